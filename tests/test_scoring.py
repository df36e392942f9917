"""What an evaluator may leave behind, and what becomes of it."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from seedband.evaluators import Predictions, Scored, build
from seedband.scoring import evaluate

N = 200


def predictions(broken_rows: int = 0, value: float = math.nan) -> Predictions:
    logits = np.random.default_rng(0).normal(size=(N, 3))
    logits[:broken_rows, 0] = value
    return Predictions(np.arange(N) % 3, logits)


@dataclass(frozen=True)
class Given:
    """Gives what it was told to give."""

    per_item: tuple[float, ...]
    score_given: float = 0.5
    trivial: float = 0.0
    crash: str = ""

    name = "given"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "none"

    def score(self, _: Predictions) -> Scored:
        if self.crash:
            raise ValueError(self.crash)
        return Scored(self.score_given, np.array(self.per_item) if self.per_item else None)

    def trivial_score(self, _: Predictions) -> float:
        return self.trivial


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_leave_no_score(value):
    for name in ("accuracy", "log_loss", "f1_macro", "mcc"):
        (evaluation,), columns = evaluate({name: build(name, {})}, predictions(2, value))
        assert evaluation.score is None
        assert evaluation.failure == f"2 of {N} items have logits that are not finite"
        assert not columns


@pytest.mark.parametrize(
    ("evaluator", "told"),
    [
        (Given((), math.nan), "the score is nan"),
        (Given((), math.inf), "the score is inf"),
        (Given((), crash="boom"), "the evaluator crashed: ValueError: boom"),
        (Given((math.nan,) * 3 + (1.0,) * (N - 3)), f"3 of {N} items have no score"),
    ],
)
def test_an_evaluator_that_fails_loses_its_own_score_and_no_other(evaluator, told):
    evaluations, _ = evaluate({"given": evaluator, "accuracy": build("accuracy", {})}, predictions())
    assert [entry.score is None for entry in evaluations] == [True, False]
    assert evaluations[0].failure == told


@pytest.mark.parametrize("unscored", [0, 1, 2])
def test_few_unscored_items_are_counted(unscored):
    per_item = (math.nan,) * unscored + (1.0,) * (N - unscored)
    (evaluation,), _ = evaluate({"given": Given(per_item)}, predictions())
    assert evaluation.score == 0.5
    assert (evaluation.n_items, evaluation.n_unscored) == (N - unscored, unscored)
