"""Every evaluator: a pure function of the predictions, whatever the order of items."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from plugins import install
from scipy.special import softmax
from sklearn import metrics

from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Predictions, build, describe, known
from seedband.storage import json_files
from seedband.storage.registry import EVALUATORS
from seedband.testing import make_items


def f1_of_classes(p):
    by_class = metrics.precision_recall_fscore_support(
        p.labels, p.predicted, labels=range(p.n_classes), zero_division=0
    )
    return by_class[2]


def recalls_of_present_classes(p):
    present = np.unique(p.labels)
    return np.mean([(p.predicted[p.labels == label] == label).mean() for label in present])


def calibration_gaps(p):
    """Guo et al. 2017, equation 3, bin by bin."""
    shares = softmax(p.logits, axis=1)
    confidence, hits = shares.max(axis=1), p.predicted == p.labels
    total = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(hits[inside].mean() - confidence[inside].mean())
    return total / len(p.labels)


RANGES = {
    "accuracy": (0, 1),
    "balanced_accuracy": (0, 1),
    "calibration_error": (0, 1),
    "f1_macro": (0, 1),
    "f1_micro": (0, 1),
    "log_loss": (0, math.inf),
    "mcc": (-1, 1),
}
ORACLES = {
    "accuracy": lambda p: metrics.accuracy_score(p.labels, p.predicted),
    "balanced_accuracy": recalls_of_present_classes,
    "calibration_error": calibration_gaps,
    "f1_micro": lambda p: metrics.accuracy_score(p.labels, p.predicted),
    "f1_macro": lambda p: f1_of_classes(p).mean(),
    "log_loss": lambda p: metrics.log_loss(p.labels, softmax(p.logits, axis=1), labels=range(p.n_classes)),
    "mcc": lambda p: metrics.matthews_corrcoef(p.labels, p.predicted),
}
# Classes predicted: 0 0 1 0 2 1 of 0 0 0 1 1 2.
WORKED = Predictions(np.array([0, 0, 0, 1, 1, 2]), np.eye(3)[[0, 0, 1, 0, 2, 1]] * math.log(2))
#: What classes are is in the predictions: these evaluators look at nothing else.
ITEMS = make_items(())
WORKED_SCORES = {
    "accuracy": 2 / 6,
    "balanced_accuracy": (2 / 3 + 0 + 0) / 3,
    "calibration_error": 1 / 2 - 2 / 6,
    "f1_micro": 2 / 6,
    "f1_macro": (2 / 3 + 0 + 0) / 3,
    "log_loss": math.log(4) - 2 / 6 * math.log(2),
    "mcc": -1 / 11,
}
WORKED_TRIVIAL = {
    "accuracy": 1 / 2,
    "balanced_accuracy": 1 / 3,
    "calibration_error": None,
    "f1_micro": 1 / 2,
    "f1_macro": (2 / 3) / 3,
    "log_loss": -(math.log(1 / 2) / 2 + math.log(1 / 3) / 3 + math.log(1 / 6) / 6),
    "mcc": 0.0,
}


@st.composite
def predictions(draw):
    n, k = draw(st.integers(2, 25)), draw(st.integers(2, 4))
    labels = draw(arrays.arrays(np.int64, n, elements=st.integers(0, k - 1)))
    assume(len(set(labels.tolist())) > 1)
    logits = draw(arrays.arrays(np.int64, (n, k), elements=st.integers(-40, 40)))
    return Predictions(labels, logits / 8)


def constant(p):
    """The class shares for every item."""
    shares = np.bincount(p.labels, minlength=p.n_classes) / len(p.labels)
    logits = np.log(shares, where=shares > 0, out=np.full(p.n_classes, -1e3))
    return Predictions(p.labels, np.tile(logits, (len(p.labels), 1)))


def sign(name):
    return 1 if build(name, {}).higher_is_better else -1


every = pytest.mark.parametrize("name", RANGES)
examples = settings(deadline=None, max_examples=40)


@every
def test_describes_itself(name):
    evaluator = build(name, {})
    assert isinstance(evaluator, Evaluator)
    assert evaluator.name == name
    assert evaluator.bounds == RANGES[name]
    assert isinstance(evaluator.version, str)
    described = describe(evaluator)
    assert described.keys() == {"evaluator", "version", "higher_is_better", "unit", "backend", "args"}
    assert json_files.canonical(described)


@every
def test_worked_example(name):
    assert build(name, {}).score(ITEMS, WORKED).score == pytest.approx(WORKED_SCORES[name])
    trivial = WORKED_TRIVIAL[name]
    assert build(name, {}).trivial_score(ITEMS, WORKED) == (trivial if trivial is None else pytest.approx(trivial))


@every
@given(p=predictions())
@examples
def test_score_is_that_of_scikit_learn_and_in_range(name, p):
    scored = build(name, {}).score(ITEMS, p)
    low, high = RANGES[name]
    assert low <= scored.score <= high
    assert scored.score == pytest.approx(ORACLES[name](p), abs=1e-9)
    assert isinstance(scored.score, float)
    if scored.per_item is not None:
        assert scored.per_item.shape == p.labels.shape
        assert scored.per_item.mean() == scored.score


@every
@given(p=predictions(), draw=st.randoms(use_true_random=False))
@examples
def test_order_of_items_is_irrelevant(name, p, draw):
    order = list(range(len(p.labels)))
    draw.shuffle(order)
    evaluator, moved = build(name, {}), Predictions(p.labels[order], p.logits[order])
    assert evaluator.score(ITEMS, moved).score == pytest.approx(evaluator.score(ITEMS, p).score, abs=1e-12)
    trivial = evaluator.trivial_score(ITEMS, p)
    assert evaluator.trivial_score(ITEMS, moved) == (trivial if trivial is None else pytest.approx(trivial, abs=1e-12))
    if evaluator.score(ITEMS, p).per_item is not None:
        assert evaluator.score(ITEMS, moved).per_item.tolist() == evaluator.score(ITEMS, p).per_item[order].tolist()


@every
@given(p=predictions())
@examples
def test_same_twice_and_inputs_are_not_changed(name, p):
    labels, logits, state = p.labels.copy(), p.logits.copy(), np.random.get_state()[1].tolist()  # noqa: NPY002
    for array in (p.labels, p.logits):
        array.flags.writeable = False
    evaluator = build(name, {})
    first, second = evaluator.score(ITEMS, p), build(name, {}).score(ITEMS, p)
    assert first.score == second.score
    assert evaluator.trivial_score(ITEMS, p) == evaluator.trivial_score(ITEMS, p)
    assert (p.labels.tolist(), p.logits.tolist()) == (labels.tolist(), logits.tolist())
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


@pytest.mark.parametrize("name", sorted(RANGES.keys() - {"calibration_error"}))
@given(p=predictions())
@examples
def test_trivial_score_reads_no_logits_and_is_that_of_a_constant(name, p):
    evaluator = build(name, {})
    trivial = evaluator.trivial_score(ITEMS, p)
    assert evaluator.trivial_score(ITEMS, Predictions(p.labels, np.full_like(p.logits, np.nan))) == trivial
    assert evaluator.score(ITEMS, constant(p)).score == pytest.approx(trivial, abs=1e-9)


@every
@given(p=predictions())
@examples
def test_perfect_predictions_beat_trivial_ones_and_all_others(name, p):
    evaluator, right = build(name, {}), Predictions(p.labels, np.eye(p.n_classes)[p.labels] * 30)
    best, trivial = sign(name) * evaluator.score(ITEMS, right).score, evaluator.trivial_score(ITEMS, p)
    assert trivial is None or best > sign(name) * trivial
    assert best >= sign(name) * evaluator.score(ITEMS, p).score - 1e-12


def test_describe_lists_defaults():
    assert describe(build("f1_macro", {}))["args"] == {"zero_division": 0.0}
    assert describe(build("f1_macro", {"zero_division": 1.0}))["args"] == {"zero_division": 1.0}
    assert describe(build("accuracy", {}))["args"] == {}


def test_refuses_an_unknown_name():
    with pytest.raises(UsageError, match="unknown evaluator 'acuracy'") as caught:
        build("acuracy", {})
    assert caught.value.hint.startswith("there are accuracy, balanced_accuracy, ")
    assert "python:<module>:<function>" in caught.value.hint


@pytest.mark.parametrize(("name", "args"), [("accuracy", {"x": 1}), ("f1_macro", {"zero": 1}), ("mcc", {"a b": 1})])
def test_refuses_arguments_that_it_does_not_take(name, args):
    with pytest.raises(UsageError, match=f"evaluator '{name}': got an unexpected keyword argument") as caught:
        build(name, args)
    assert caught.value.hint.startswith("it takes (")


def test_builds_an_installed_plugin(monkeypatch):
    install(
        monkeypatch, EVALUATORS, ("house", f"{EVALUATORS.built_in['mcc']}"), ("house", f"{EVALUATORS.built_in['mcc']}")
    )
    assert {*known()} - {"house"} >= {*EVALUATORS.built_in}
    assert "house" in known()
    assert build("house", {}).score(ITEMS, WORKED).score == build("mcc", {}).score(ITEMS, WORKED).score


def test_refuses_a_name_that_two_packages_claim(monkeypatch):
    install(monkeypatch, EVALUATORS, ("house", "one:House"), ("house", "two:House"))
    with pytest.raises(UsageError, match="'house' is claimed by one:House and two:House"):
        build("accuracy", {})


def test_refuses_a_plugin_with_the_name_of_a_built_in(monkeypatch):
    install(monkeypatch, EVALUATORS, ("mcc", "one:Mcc"))
    with pytest.raises(UsageError, match="'mcc' is built in and also installed as one:Mcc"):
        build("mcc", {})
    assert build("accuracy", {})
