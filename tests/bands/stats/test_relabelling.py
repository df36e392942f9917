"""Relabelling: healthy weak models are left alone, permuted ones are found."""

import itertools

import numpy as np
import pandas as pd
import pytest

from seedband.bands.stats import relabelling
from seedband.commands.check.label_order import refuse_permuted
from seedband.errors import Refused


def drawn(rng, n_items, n_classes, accuracy):
    """Labels, and predictions that are right in a share of items and drawn by chance in the others."""
    labels = rng.integers(n_classes, size=n_items)
    guessed = rng.integers(n_classes, size=n_items)
    return labels, np.where(rng.random(n_items) < accuracy, labels, guessed)


def refused(labels, predicted, n_classes):
    names = [f"class {index}" for index in range(n_classes)]
    table = {"label": [names[index] for index in labels], "prediction": [names[index] for index in predicted]}
    try:
        refuse_permuted("candidate", pd.DataFrame(table), names)
    except Refused as error:
        assert "labels look permuted" in error.message  # noqa: PT017
        return True
    return False


@pytest.mark.parametrize(("n_items", "n_classes"), [(12, 3), (20, 10), (30, 3), (30, 20), (60, 40)])
def test_healthy_weak_models_are_not_refused(n_items, n_classes):
    rng = np.random.default_rng(1)
    found = [
        refused(*drawn(rng, n_items, n_classes, accuracy), n_classes) for accuracy in (0.0, 0.1, 0.3) for _ in range(20)
    ]
    assert sum(found) == 0


def test_the_thresholds_alone_refused_weak_models(monkeypatch):
    monkeypatch.setattr(relabelling, "is_significant", lambda *_: True)
    rng = np.random.default_rng(1)
    assert any(refused(*drawn(rng, 12, 3, 0.1), 3) for _ in range(60))


@pytest.mark.parametrize(("n_items", "n_classes", "accuracy"), [(60, 3, 0.8), (100, 5, 0.7), (200, 20, 0.8)])
def test_permuted_labels_are_found(n_items, n_classes, accuracy):
    rng = np.random.default_rng(2)
    for _ in range(10):
        labels, predicted = drawn(rng, n_items, n_classes, accuracy)
        assert refused(labels, (predicted + 1) % n_classes, n_classes)
        assert not refused(labels, predicted, n_classes)


def test_one_pair_swapped_among_many_is_found():
    labels, predicted = drawn(np.random.default_rng(3), 300, 10, 0.8)
    swapped = np.array([1, 0, *range(2, 10)])[predicted]
    assert refused(labels, swapped, 10)


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_the_gain_is_that_of_the_best_of_all_permutations(n_classes):
    counts = np.random.default_rng(n_classes).integers(9, size=(n_classes, n_classes))
    every = [
        sum(counts[row, order[row]] for row in range(n_classes)) for order in itertools.permutations(range(n_classes))
    ]
    order, gain = relabelling.best_relabelling(counts)
    assert gain == max(every) - np.trace(counts)
    assert counts[np.arange(n_classes), order].sum() == max(every)


def test_chance_is_called_significant_as_rarely_as_it_says():
    rng = np.random.default_rng(4)
    found = [relabelling.is_significant(*drawn(rng, 25, 4, 0.0), 0.05) for _ in range(200)]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("shift", [0, 1])
def test_significant_is_what_as_few_shuffles_equal_as_the_level_allows(shift, monkeypatch):
    monkeypatch.setattr(relabelling, "SHUFFLES", 19)
    labels, predicted = drawn(np.random.default_rng(7 + shift), 12, 3, 0.3)
    predicted = (predicted + shift) % 3

    def gain(said):
        return relabelling.best_relabelling(relabelling.confusion(labels, said, 3))[1]

    draw = np.random.default_rng(relabelling.SEED)
    p = (1 + sum(gain(draw.permutation(predicted)) >= gain(predicted) for _ in range(19))) / 20
    assert relabelling.is_significant(labels, predicted, p + 1e-9)
    assert not relabelling.is_significant(labels, predicted, p - 1e-9)
