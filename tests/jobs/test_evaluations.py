"""What an evaluator may leave behind, and what becomes of it."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from seedband.errors import UsageError
from seedband.evaluators import Checkpoint, Evaluator, Generations, Predictions, Scored, build
from seedband.jobs.evaluations import evaluate, told_of
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe.scoring import Base
from seedband.testing import make_items

N = 200


ITEMS = make_items([str(n % 3) for n in range(N)])


CHECKPOINT = Checkpoint(CheckpointFiles("model", "m", "m"), Base("b", "b", "0", "0"), 8, 16, "cpu", "causal-lm")


def predictions(broken_rows: int = 0, value: float = math.nan) -> Predictions:
    logits = np.random.default_rng(0).normal(size=(N, 3))
    logits[:broken_rows, 0] = value
    return Predictions(np.arange(N) % 3, logits)


@dataclass(frozen=True)
class Given(Evaluator):
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
    reads = "any"

    def score(self, items, given) -> Scored:
        if self.crash:
            raise ValueError(self.crash)
        return Scored(self.score_given, np.array(self.per_item) if self.per_item else None)

    def trivial_score(self, items, given) -> float:
        return self.trivial


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_leave_no_score(value):
    for name in ("accuracy", "log_loss", "f1_macro", "mcc"):
        (evaluation,), columns = evaluate({name: build(name, {})}, ITEMS, predictions(2, value), CHECKPOINT)
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
    evaluations, _ = evaluate({"given": evaluator, "accuracy": build("accuracy", {})}, ITEMS, predictions(), CHECKPOINT)
    assert [entry.score is None for entry in evaluations] == [True, False]
    assert evaluations[0].failure == told
    assert evaluations[0].crashed == bool(evaluator.crash)


@pytest.mark.parametrize("unscored", [0, 1, 2])
def test_few_unscored_items_are_counted(unscored):
    per_item = (math.nan,) * unscored + (1.0,) * (N - unscored)
    (evaluation,), _ = evaluate({"given": Given(per_item)}, ITEMS, predictions(), CHECKPOINT)
    assert evaluation.score == 0.5
    assert (evaluation.n_items, evaluation.n_unscored) == (N - unscored, unscored)


@dataclass(frozen=True)
class Saying(Evaluator):
    """Says what it was made to say."""

    said: str

    name = "saying"
    version = "1"
    higher_is_better = True
    unit = "share"
    reads = "any"

    def score(self, items, given):
        say = {
            "number": lambda: 0.25,
            "items": lambda: [1.0, *[0.0] * (N - 1)],
            "array": lambda: np.linspace(0, 1, N),
            "hole": lambda: [math.nan, *[1.0] * (N - 1)],
            "short": lambda: [1.0],
            "nothing": lambda: None,
            "text": lambda: "0.5",
            "told": lambda: Scored(0.5, None, "a model", {"calls": 3, "cost": 0.5}, 7),
            "checkpoint": lambda: float(given is CHECKPOINT),
            "refusal": refuse,
        }
        return say[self.said]()


def refuse():
    raise UsageError("no key", hint="set JUDGE_KEY")


@dataclass(frozen=True)
class Ending(Given):
    """Ends as it was told to."""

    error: type[BaseException] = SystemExit

    def score(self, items, given) -> Scored:
        raise self.error(3)


@pytest.mark.parametrize("error", [SystemExit, MemoryError, GeneratorExit])
def test_an_evaluator_that_ends_the_process_or_fills_the_memory_loses_its_own_score_and_no_other(error):
    ending = Ending((), error=error)
    evaluations, _ = evaluate({"ending": ending, "accuracy": build("accuracy", {})}, ITEMS, predictions(), CHECKPOINT)
    assert [entry.score is None for entry in evaluations] == [True, False]
    assert evaluations[0].failure == f"the evaluator crashed: {error.__name__}: 3"
    assert evaluations[0].crashed


def test_an_interruption_is_no_crash():
    with pytest.raises(KeyboardInterrupt):
        evaluate({"ending": Ending((), error=KeyboardInterrupt)}, ITEMS, predictions(), CHECKPOINT)


@dataclass(frozen=True)
class Writing(Given):
    """Writes into what it is given."""

    array: str = "logits"

    def score(self, items, given) -> Scored:
        getattr(given, self.array)[:] = 0
        return Scored(1.0)


@pytest.mark.parametrize("array", ["logits", "labels", "nll", "n_tokens"])
def test_an_evaluator_that_writes_into_predictions_crashes_and_the_others_score_what_was_predicted(array):
    texts = Generations(("a",) * N, np.linspace(0, 1, N), np.arange(N), 9)
    given, other = (predictions(), "accuracy") if array in ("logits", "labels") else (texts, "reference_nll")
    (alone,), _ = evaluate({other: build(other, {})}, ITEMS, given, CHECKPOINT)
    both = {"writing": Writing((), array=array), other: build(other, {})}
    (crashed, beside), _ = evaluate(both, ITEMS, given, CHECKPOINT)
    assert crashed.crashed
    assert "read-only" in crashed.failure
    assert beside == alone


def said(what):
    (evaluation,), columns = evaluate({"saying": Saying(what)}, ITEMS, predictions(), CHECKPOINT)
    return evaluation, columns.get("saying")


@pytest.mark.parametrize(("what", "score"), [("number", 0.25), ("items", 1 / N), ("array", 0.5), ("hole", 1.0)])
def test_a_number_and_a_number_for_each_item_are_scores(what, score):
    evaluation, per_item = said(what)
    assert evaluation.score == pytest.approx(score)
    assert evaluation.trivial_score is None
    assert evaluation.n_unscored == (what == "hole")
    assert (per_item is None) == (what == "number")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("short", "found scores of shape (1,), expected one for each of 200 items"),
        ("nothing", "TypeError"),
        ("refusal", "no key (set JUDGE_KEY)"),
    ],
)
def test_what_is_no_score_is_a_crash_of_its_evaluator_alone(what, told):
    evaluation, per_item = said(what)
    assert evaluation.score is None
    assert evaluation.crashed
    assert told in evaluation.failure
    assert per_item is None


def test_what_ran_and_what_it_took_stand_beside_the_score():
    evaluation, _ = said("told")
    assert (evaluation.backend, evaluation.details, evaluation.n_items) == ("a model", {"calls": 3, "cost": 0.5}, 7)


def test_an_evaluator_of_checkpoints_gets_the_checkpoint_whatever_was_predicted():
    @dataclass(frozen=True)
    class Asking(Saying):
        reads = "checkpoint"

    (evaluation,), _ = evaluate({"a": Asking("checkpoint")}, ITEMS, predictions(3), CHECKPOINT)
    assert evaluation.score == 1.0


def test_what_nobody_should_have_to_look_for_is_told():
    told = [list(told_of(said(what)[0])) for what in ("number", "hole", "short", "told")]
    assert told[0] == []
    assert told[1] == [("warning", "1 of 200 items has no score, and is left out")]
    assert told[2][0][0] == "warning"
    assert told[3] == [("note", "calls 3, cost 0.5")]
