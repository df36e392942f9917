"""For those who write evaluators: does one keep to the protocol, so that a band of its scores means something?

from seedband.testing import check_evaluator

def test_my_metric_keeps_to_the_protocol():
check_evaluator(MyMetric())
"""

import math
import sys
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from seedband.counts import counted
from seedband.data.dataset import Items
from seedband.evaluators import (
    MAX_UNSCORED_SHARE,
    Checkpoint,
    Evaluator,
    Predictions,
    Reads,
    Scored,
    as_scored,
    describe,
)
from seedband.storage import json_files
from seedband.testing.surroundings import SURROUNDINGS, elsewhere, restored, surroundings_now
from seedband.testing.trial_answers import extreme, middling, reordered

#: Two scores that differ by more are not the same.
TOLERANCE = 1e-6
LABELS = ("fruit", "metal", "river")
ANSWERS = (
    "The parcel of Ana Ruiz was lost near Lyon, and she wants her 48 euros back.",
    "Login fails after the update of 3 May. Safari only.",
    "Ben cannot change the address of order 7719.",
    "The invoice names the wrong company, Harbour Ltd instead of Harbor Inc.",
    "A refund was promised on Monday; nothing has come so far.",
    "The lamp arrived with a broken shade.",
    "Mrs Okafor wants the contract to end in June.",
    "The app shows yesterday's balance.",
)


def make_items(
    targets: Sequence[str], inputs: Sequence[str] | None = None, contexts: Sequence[str] | None = None
) -> Items:
    """Eval items as evaluators get them, without a file.

    Args:
        targets: A label or a reference for each.
        inputs: What the model was given; something unless said.
        contexts: What an answer has to rest on.

    Examples:
        >>> make_items(["yes", "no"]).ids
        ('item-0', 'item-1')
    """
    given = tuple(inputs or (f"Input {number}." for number in range(len(targets))))
    return Items(
        path=Path("items.jsonl"),
        ids=tuple(f"item-{number}" for number in range(len(given))),
        inputs=given,
        targets=tuple(targets),
        slices={},
        sha256=json_files.digest([given, list(targets)]),
        contexts=None if contexts is None else tuple(contexts),
        contents=given,
    )


def check_evaluator(evaluator: Any, items: Items | None = None, predictions: Any = None) -> None:
    """Find out whether an evaluator keeps to the protocol.

    It is asked to score predictions that are right, wrong and in between: the same ones twice, in another order, in
    another folder with an empty environment. Right answers have to score better than wrong ones, but where it reads
    "any": that may measure something else, such as length. Everything amiss is told at once.

    Args:
        evaluator: Which.
        items: Eval items to try it on, where it wants special ones; some of each kind are here.
        predictions: Of these items; a `Checkpoint` for an evaluator that reads one, which is then only asked twice.

    Raises:
        AssertionError: It does not, and in what.
    """
    amiss = list(_form(evaluator))
    if not amiss:
        items = items or _items("classes" if isinstance(predictions, Predictions) else evaluator.reads)
        given = predictions if predictions is not None else middling(evaluator.reads, items)
        try:
            with restored():
                amiss = list(_course(evaluator, items, given))
        except Exception as error:  # noqa: BLE001  whatever it raises is the finding
            # Arrays of predictions are read-only, so numpy is the first to say it.
            writes = isinstance(error, ValueError) and "read-only" in str(error)
            what = "changes what it is given to read" if writes else "crashes"
            amiss = [f"{what}: {type(error).__name__}: {error}"]
    if amiss:
        what = getattr(evaluator, "name", None) or type(evaluator).__name__
        raise AssertionError("\n".join([f"evaluator {what}:", *(f"  - {text}" for text in amiss)]))


def _form(evaluator: Any) -> Iterator[str]:
    """Check what can be checked without scoring."""
    amiss = list(_attributes(evaluator))
    yield from amiss
    if not isinstance(evaluator, Evaluator):
        lacking = [name for name in ("score", "trivial_score", "check_ready", "bounds") if not hasattr(evaluator, name)]
        yield f"lacks {', '.join(lacking) or 'what the protocol says'}: inherit from seedband.evaluators.Evaluator"
    elif not amiss:
        yield from _arguments(evaluator)


def _attributes(evaluator: Any) -> Iterator[str]:
    for name, kind in (("name", str), ("version", str), ("higher_is_better", bool), ("unit", str), ("backend", str)):
        value = getattr(evaluator, name, None)
        if not isinstance(value, kind):
            found = "missing" if value is None else f"{value!r}"
            yield f"{name} is {found}, expected a {kind.__name__}"
        elif name in ("name", "version") and not value:
            yield f"{name} is empty"
    if getattr(evaluator, "reads", None) not in get_args(Reads):
        yield f"reads is {getattr(evaluator, 'reads', None)!r}, expected one of {', '.join(get_args(Reads))}"


def _arguments(evaluator: Any) -> Iterator[str]:
    low, high = evaluator.bounds
    if not low < high:
        yield f"bounds {evaluator.bounds} are no range"
    parameters = getattr(evaluator, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        yield "is no frozen dataclass: its fields are its arguments, and they stand in band.json"
        return
    unknown = {*evaluator.paths} - {field.name for field in fields(evaluator)}
    if unknown:
        yield f"paths names {', '.join(sorted(unknown))}, which are no arguments"
    try:
        json_files.canonical(describe(evaluator))
    except (TypeError, ValueError) as error:
        yield f"has arguments that JSON cannot hold: {error}"


def _course(evaluator: Evaluator, items: Items, given: Any) -> Iterator[str]:
    """Check what shows when it scores."""
    before, known = deepcopy((items, given)), set(sys.modules)
    with restored():
        raw, changed = _watched(evaluator, items, given)
    if not _same((items, given), before):
        yield "changes what it is given to read"
        items, given = before
    if changed and sys.modules.keys() - known:
        # A library that is imported for the first time may change them, whoever imports it: another call imports none.
        _, changed = _watched(evaluator, items, given)
    yield from changed
    amiss = list(_result(evaluator, raw, len(items.ids)))
    yield from amiss
    if amiss:
        return
    first = as_scored(raw, len(items.ids))
    if not _equal(first, _score(evaluator, items, given)):
        yield "is random: two calls on the same predictions gave other scores"
        return
    with elsewhere(evaluator):
        if not _equal(first, _score(evaluator, items, given)):
            yield "reads global state: with another environment, folder or random state the scores are others"
    if isinstance(given, Checkpoint):
        return
    yield from _order(evaluator, items, given, first)
    yield from _direction(evaluator, items, given)


def _watched(evaluator: Evaluator, items: Items, given: Any) -> tuple[Any, list[str]]:
    """The result of an evaluator, and how the call changed its surroundings."""
    before = surroundings_now()
    raw = evaluator.score(items, given)
    after = surroundings_now()
    return raw, [words for name, words in SURROUNDINGS.items() if name in before and after[name] != before[name]]


def _result(evaluator: Evaluator, raw: Any, n_items: int) -> Iterator[str]:
    try:
        deepcopy(raw)
        scored = as_scored(raw, n_items)
        json_files.canonical({"backend": scored.backend, "details": dict(scored.details)})
    except Exception as error:  # noqa: BLE001  what a result raises is up to it
        yield f"gives no score that a record can hold: {error}"
        return
    per_item = scored.per_item
    if per_item is not None and bool(np.isnan(per_item).all()):
        yield "scores no item: every one is NaN"
        return
    unscored = 0 if per_item is None else int(np.isnan(per_item).sum())
    if unscored > max(1, MAX_UNSCORED_SHARE * n_items):
        yield f"leaves {unscored} of {counted(n_items, 'item')} without a score, with which a sweep has none"
        return
    low, high = evaluator.bounds
    if not math.isfinite(scored.score) or not low <= scored.score <= high:
        yield f"gives {scored.score}, expected a number from {low:g} to {high:g}"
    if per_item is not None and not math.isclose(
        np.nanmean(per_item), scored.score, rel_tol=TOLERANCE, abs_tol=TOLERANCE
    ):
        yield f"gives {scored.score:.6g}, while its items' mean is {np.nanmean(per_item):.6g}: then give no items"


def _order(evaluator: Evaluator, items: Items, given: Any, first: Scored) -> Iterator[str]:
    order = np.random.default_rng(1).permutation(len(items.ids))
    moved = _score(evaluator, reordered(items, order), reordered(given, order))
    expected = replace(first, per_item=None if first.per_item is None else first.per_item[order])
    if not _equal(expected, moved):
        yield "depends on the order of items: the same ones in another order have other scores"


def _direction(evaluator: Evaluator, items: Items, given: Any) -> Iterator[str]:
    sign = 1 if evaluator.higher_is_better else -1
    right, wrong = (extreme(items, given, right=right) for right in (True, False))
    best, worst = _score(evaluator, items, right).score, _score(evaluator, items, wrong).score
    if math.isclose(best, worst, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        if evaluator.reads != "any":
            yield f"cannot tell right answers from wrong ones: both score {best:.4g}"
            return
    elif sign * best < sign * worst:
        word = "higher" if evaluator.higher_is_better else "lower"
        yield f"has the wrong direction: {word} is better, and right answers score {best:.4g}, wrong ones {worst:.4g}"
    trivial = evaluator.trivial_score(items, right)
    if trivial is not None and not sign * trivial < sign * best:
        yield f"has a trivial score of {trivial:.4g}, and right answers score {best:.4g}, no better"


def _score(evaluator: Evaluator, items: Items, given: Any) -> Scored:
    return as_scored(evaluator.score(deepcopy(items), deepcopy(given)), len(items.ids))


def _items(reads: Reads) -> Items:
    if reads == "classes":
        return make_items([LABELS[number % 7 % 3] for number in range(24)])
    contexts = [f"{answer} We were told so by phone." for answer in ANSWERS]
    return make_items(ANSWERS, [f"Summarise: {context}" for context in contexts], contexts)


def _equal(first: Scored, second: Scored) -> bool:
    if not math.isclose(first.score, second.score, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        return False
    if first.per_item is None or second.per_item is None:
        return first.per_item is second.per_item
    return bool(np.allclose(first.per_item, second.per_item, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _same(first: Any, second: Any) -> bool:
    """Check whether two records hold the same, arrays to the last bit."""
    if is_dataclass(first):
        return all(_same(getattr(first, field.name), getattr(second, field.name)) for field in fields(first))
    if isinstance(first, tuple) and any(is_dataclass(value) for value in first):
        return all(map(_same, first, second))
    if isinstance(first, np.ndarray):
        return bool(np.array_equal(first, second, equal_nan=True)) and first.dtype == second.dtype
    return bool(first == second)
