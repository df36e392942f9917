"""A signature as a sweep records it, and the same with another value at one key path."""

import copy
import tomllib

from tiny import recipe_text

from seedband.evaluators import build, describe
from seedband.recipe import parse_recipe
from seedband.records import Base, EvaluatorSection, Scoring
from seedband.signature import of_scoring, of_training

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
)
FACTS = {"fingerprint": "f00", "device": "cpu", "versions": {"torch": "2.13.0", "peft": "0.21.0", "numpy": "2"}}
EVALUATORS = {name: describe(build(name, {})) for name in ("accuracy", "f1_macro")}
SCORED = of_scoring(SCORING, "cd" * 32, EVALUATORS, FACTS)
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
