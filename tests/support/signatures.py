"""A signature as a sweep records it, and the same with another value at one key path."""

import copy
import tomllib
from dataclasses import asdict
from pathlib import Path

from tiny import recipe_text

from seedband.bands.comparability import ReadRows, of_scoring, of_training
from seedband.determinism.environment_record import EnvironmentRecord
from seedband.evaluators import build, describe
from seedband.recipe.parse import parse_recipe
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import EvaluatorSection, GenerationSection
from seedband.runs import run_file
from seedband.runs.run import Evaluation, Pins, Run

SCORING = Scoring(
    base=Base("org/base", "/models/base", "ab" * 32, "cd" * 32),
    task="text-classification",
    max_length=32,
    batch_size=64,
    device="cpu",
    labels=("fruit", "metal"),
    eval_path="eval.jsonl",
    columns={},
    evaluators=(EvaluatorSection(evaluator="accuracy", primary=True),),
    generation=GenerationSection(),
    folder="/recipes",
)
FACTS = EnvironmentRecord({"torch": "2.13.0", "peft": "0.21.0", "numpy": "2"}, "cpu", {}, "f00")
EVALUATORS = {name: describe(build(name, {})) for name in ("accuracy", "f1_macro")}
READ = ReadRows("12" * 32, "34" * 32)
SCORED = of_scoring(SCORING, "cd" * 32, EVALUATORS, FACTS, {}, READ)
FULL = {**SCORED, **of_training(parse_recipe(tomllib.loads(recipe_text()), "there"))}


def changed(path, value, signature=FULL):
    """The signature with another value at a path; without it, when the value is None."""
    other = copy.deepcopy(signature)
    *parents, last = path.split(".")
    inner = other
    for part in parents:
        inner = inner[part]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return other


def run_record(seed, **changes):
    """A finished run as run.json has it."""
    evaluation = {"metric": "accuracy", "score": 0.5, "n_items": 2, "n_unscored": 0, "trivial_score": 0.5}
    rows = {"path": "rows.jsonl", "sha256": "cd" * 32}
    return {
        "seed": seed,
        "streams": {"init": 1, "order": 2, "dropout": 3},
        "status": "finished",
        "failure": "",
        "evaluations": [evaluation],
        "signature": FULL,
        "checkpoint_sha256": "ef" * 32,
        "items_sha256": "01" * 32,
        "witnesses": {},
        "initializers": [],
        "recipe": parse_recipe(tomllib.loads(recipe_text()), "there").as_dict(),
        "provenance": {
            "base": {**asdict(SCORING.base), "revision": None},
            "data": {"name": "tiny", "version": "", "train": rows, "eval": rows, "n_train": 2, "n_eval": 2},
        },
        "environment": asdict(FACTS),
        "pins": {"threads": 1, "environment": {}},
        "train_seconds": 1.0,
        **changes,
    }


def recorded(**changes):
    """The recipe of a run's record."""
    return run_file.recorded_in(run_record(0, **changes))


def a_run(seed, **changes):
    """A run as commands read it."""
    record = run_record(seed)
    facts = {
        "folder": Path("new") / f"seed-{seed}",
        "evaluations": (Evaluation("accuracy", 0.5, 1, 0, None),),
        "initializers": (),
        "recorded": run_file.recorded_in(record),
        "environment": EnvironmentRecord({}, "cpu", {}, ""),
        "pins": Pins(1, {}),
        "record": record,
    }
    same = ("witnesses", "streams", "signature", "checkpoint_sha256", "items_sha256", "train_seconds")
    return Run(**{**{key: record.get(key) for key in same}, "seed": seed, **facts, **changes})
