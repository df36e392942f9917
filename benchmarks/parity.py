"""Does seedband train what users train today? Its scores against the Hugging Face Trainer's, seed for seed count.

    python benchmarks/parity.py [--config seedband.toml] [--seeds 16] [--jobs 2] [--out runs/parity] [--still]

Both sides train the recipe under N seeds: seedband as `sweep` does, the Trainer seeded before its model is built, one
process a seed, one thread each. Printed are the difference of means and the ratio of standard deviations with their
95 % intervals (Welch's t; F). With --still the Trainer's backbone does not drop out, only its head. Finished runs are
kept, so the script can be stopped and called again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import stats

#: BERT's config for a backbone that does not drop out under a head that does, as seedband trains a head.
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.1}


def train_with_trainer(config: Path, seed: int, *, still: bool) -> dict[str, float]:
    """One run of the recipe by transformers.Trainer and PEFT; returns its scores."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from sklearn.metrics import accuracy_score, log_loss
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from seedband.commands.sweep.prepare import prepare
    from seedband.recipe.parse import load_recipe

    torch.set_num_threads(1)
    prepared = prepare(load_recipe(config), offline=True)
    recipe, labels = prepared.recipe, prepared.scoring.labels
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(prepared.scoring.base.path)
    model = AutoModelForSequenceClassification.from_pretrained(
        prepared.scoring.base.path, num_labels=len(labels), **(STILL if still else {})
    )
    if recipe.train.method == "lora":
        targets = recipe.lora.target_modules
        adapter = LoraConfig(
            task_type=TaskType.SEQ_CLS,
            r=recipe.lora.r,
            lora_alpha=recipe.lora.alpha,
            lora_dropout=recipe.lora.dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
        )
        model = get_peft_model(model, adapter)
    else:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("classifier"))

    def rows(items):
        encoded = tokenizer(list(items.inputs), truncation=True, max_length=recipe.model.max_length)
        return [
            {name: encoded[name][row] for name in encoded} | {"labels": labels.index(items.targets[row])}
            for row in range(len(items))
        ]

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            full_determinism=True,
            num_train_epochs=recipe.train.epochs,
            per_device_train_batch_size=recipe.train.batch_size,
            per_device_eval_batch_size=recipe.score.batch_size,
            learning_rate=recipe.train.learning_rate,
            lr_scheduler_type=recipe.train.schedule,
            warmup_steps=recipe.train.warmup_ratio,
            weight_decay=recipe.train.weight_decay,
            max_grad_norm=recipe.train.max_grad_norm,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model=model, args=arguments, train_dataset=rows(prepared.train_items), data_collator=collator)
        trainer.train()
        output = trainer.predict(rows(prepared.eval_items))
    logits = torch.tensor(output.predictions)
    truth = [labels.index(label) for label in prepared.eval_items.targets]
    return {
        "accuracy": float(accuracy_score(truth, logits.argmax(1))),
        "log_loss": float(log_loss(truth, torch.softmax(logits.double(), 1), labels=range(len(labels)))),
    }


def trainer_scores(config: Path, seeds: int, jobs: int, out: Path, *, still: bool) -> list[dict[str, float]]:
    out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

    def one(seed: int) -> dict[str, float]:
        file = out / f"{'still' if still else 'trainer'}-{seed}.json"
        if not file.is_file():
            command = [sys.executable, __file__, "--config", str(config), "--one", str(seed)]
            command += ["--still"] if still else []
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            file.write_text(done.stdout.splitlines()[-1])
            print(f"Trainer seed {seed}: {file.read_text()}", flush=True)
        return json.loads(file.read_text())

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, range(seeds)))


def seedband_scores(config: Path, seeds: int, jobs: int, out: Path) -> list[dict[str, float]]:
    import seedband

    done = seedband.sweep(config, seeds, out=out / "seedband", band=None, jobs=jobs, offline=True)
    return [{entry.metric: entry.score for entry in run.evaluations} for run in done.runs[:seeds]]


def compare(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Difference of means (Welch) and ratio of standard deviations (F), each with a 95 % interval."""
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    ratio = ours.std(ddof=1) / theirs.std(ddof=1)
    high, low = (stats.f.ppf(q, len(ours) - 1, len(theirs) - 1) for q in (0.975, 0.025))
    return {
        "difference": ours.mean() - theirs.mean(),
        "difference_low": welch.low,
        "difference_high": welch.high,
        "ratio": ratio,
        "ratio_low": ratio / high**0.5,
        "ratio_high": ratio / low**0.5,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("seedband.toml"))
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/parity"))
    parser.add_argument("--still", action="store_true", help="the Trainer's backbone does not drop out")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(train_with_trainer(args.config, args.one, still=args.still)))
        return
    theirs = trainer_scores(args.config, args.seeds, args.jobs, args.out, still=args.still)
    ours = seedband_scores(args.config, args.seeds, args.jobs, args.out)
    print(f"\n{args.config}, {args.seeds} seeds a side\n")
    print("| metric | Trainer mean (sd) | seedband mean (sd) | difference [95 %] | ratio of sds [95 %] |")
    print("|---|---|---|---|---|")
    for metric in ("accuracy", "log_loss"):
        x, y = (np.array([scores[metric] for scores in side]) for side in (ours, theirs))
        c = compare(x, y)
        print(
            f"| {metric} | {y.mean():.4f} ({y.std(ddof=1):.4f}) | {x.mean():.4f} ({x.std(ddof=1):.4f}) "
            f"| {c['difference']:+.4f} [{c['difference_low']:+.4f}, {c['difference_high']:+.4f}] "
            f"| {c['ratio']:.2f} [{c['ratio_low']:.2f}, {c['ratio_high']:.2f}] |"
        )


if __name__ == "__main__":
    main()
