"""sklearn:<scorer>: equal to scikit-learn, called directly."""

import numpy as np
import pytest
import sklearn
from sklearn import metrics

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Predictions, build

N = 60


def made(n_classes: int, labels=None, seed: int = 0):
    """Items and predictions that are somewhat right."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, n_classes, N) if labels is None else labels
    logits = draw.normal(size=(len(labels), n_classes)) + 1.5 * np.eye(n_classes)[labels]
    names = tuple(map(str, range(len(labels))))
    return Items(None, names, names, tuple(map(str, labels)), {}, ""), Predictions(labels, logits)


def shares(predictions):
    exponents = np.exp(predictions.logits - predictions.logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def margin(predictions):
    return predictions.logits[:, 1] - predictions.logits[:, 0]


@pytest.mark.parametrize(
    ("scorer", "n_classes", "expected"),
    [
        ("accuracy", 3, lambda p: metrics.accuracy_score(p.labels, p.predicted)),
        ("f1_weighted", 3, lambda p: metrics.f1_score(p.labels, p.predicted, average="weighted")),
        ("neg_log_loss", 3, lambda p: -metrics.log_loss(p.labels, shares(p))),
        ("roc_auc_ovr", 3, lambda p: metrics.roc_auc_score(p.labels, shares(p), multi_class="ovr")),
        ("roc_auc", 2, lambda p: metrics.roc_auc_score(p.labels, margin(p))),
        ("average_precision", 2, lambda p: metrics.average_precision_score(p.labels, margin(p))),
        ("neg_brier_score", 2, lambda p: -metrics.brier_score_loss(p.labels, shares(p)[:, 1])),
    ],
)
def test_scores_are_those_of_scikit_learn(scorer, n_classes, expected):
    items, predictions = made(n_classes)
    scored = build(f"sklearn:{scorer}", {}).score(items, predictions)
    assert scored.score == pytest.approx(expected(predictions), rel=1e-12)
    assert scored.per_item is None


def test_a_class_that_no_item_has_is_a_column_all_the_same():
    labels = np.arange(40) % 2
    items, predictions = made(3, labels)
    assert 2 in predictions.predicted
    scored = build("sklearn:balanced_accuracy", {}).score
    recalls = [np.mean(predictions.predicted[labels == label] == label) for label in (0, 1)]
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert scored(items, predictions).score == pytest.approx(np.mean(recalls))
    weighted = metrics.f1_score(labels, predictions.predicted, average="weighted", labels=[0, 1])
    assert build("sklearn:f1_weighted", {}).score(items, predictions).score == pytest.approx(weighted)


def test_the_trivial_score_is_that_of_the_shares_of_the_classes():
    labels = np.array([0] * 30 + [1] * 20 + [2] * 10)
    items, predictions = made(3, labels)
    entropy = -sum(share * np.log(share) for share in (1 / 2, 1 / 3, 1 / 6))
    assert build("sklearn:neg_log_loss", {}).trivial_score(items, predictions) == pytest.approx(-entropy)
    assert build("sklearn:accuracy", {}).trivial_score(items, predictions) == 0.5
    assert build("sklearn:roc_auc_ovr", {}).trivial_score(items, predictions) == 0.5


def test_higher_is_better_for_losses_too():
    evaluator = build("sklearn:neg_log_loss", {})
    items, predictions = made(3)
    worse = Predictions(predictions.labels, -predictions.logits)
    assert evaluator.higher_is_better
    assert evaluator.score(items, predictions).score > evaluator.score(items, worse).score
    backend = evaluator.score(items, predictions).backend
    assert (evaluator.name, backend) == ("sklearn:neg_log_loss", f"scikit-learn {sklearn.__version__}")


def test_unknown_scorers_and_arguments_are_mistakes():
    with pytest.raises(UsageError, match="no such scorer"):
        build("sklearn:f1_wieghted", {})
    with pytest.raises(UsageError, match="takes no arguments, found average"):
        build("sklearn:f1_weighted", {"average": "micro"})


@pytest.mark.parametrize("scorer", ["r2", "neg_mean_squared_error", "adjusted_rand_score", "v_measure_score"])
def test_scorers_of_numbers_and_clusters_are_refused(scorer):
    with pytest.raises(UsageError, match=f"sklearn:{scorer}': is not for classes") as caught:
        build(f"sklearn:{scorer}", {})
    named = caught.value.hint.removeprefix("one of ").split(", ")
    assert {"accuracy", "roc_auc_ovr", "matthews_corrcoef", "neg_log_loss"} < set(named)
    assert scorer not in named
