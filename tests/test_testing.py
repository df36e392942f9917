"""The conformance suite: every evaluator of ours passes it, and each way to break the protocol is told apart."""

import importlib
import os
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedband.evaluators import Evaluator, Predictions, Scored, build, find
from seedband.storage.registry import EVALUATORS
from seedband.testing import check_evaluator, make_items

#: They need a model, an endpoint or a checkpoint: their own tests put them through the suite.
WITH_RESOURCES = {"factual_consistency", "groundedness", "task_completion"}


@pytest.mark.parametrize("name", sorted(EVALUATORS.built_in.keys() - WITH_RESOURCES))
def test_every_built_in_evaluator_keeps_to_the_protocol(name):
    check_evaluator(build(name, {}))


@pytest.mark.parametrize("name", ["sklearn:f1_weighted", "sklearn:roc_auc_ovr", "sklearn:neg_log_loss"])
def test_scorers_of_scikit_learn_keep_to_it(name):
    check_evaluator(build(name, {}))


@dataclass(frozen=True)
class Sound(Evaluator):
    """Share of the reference's words that the text has."""

    name = "sound"
    version = "1"
    higher_is_better = True
    unit = "share"
    reads = "texts"

    def score(self, items, predictions) -> Any:
        pairs = zip(items.targets, predictions.texts, strict=True)
        return np.array([_recall(target.split(), text.split()) for target, text in pairs])


def _recall(target, text):
    return len({*target} & {*text}) / len({*target})


def test_a_sound_evaluator_passes():
    check_evaluator(Sound())


@dataclass(frozen=True)
class WrongLength(Sound):
    def score(self, items, predictions):
        return super().score(items, predictions)[1:]


@dataclass(frozen=True)
class AllNan(Sound):
    def score(self, items, predictions):
        return np.full(len(items), np.nan)


@dataclass(frozen=True)
class OrderDependent(Sound):
    def score(self, items, predictions):
        return super().score(items, predictions) * np.linspace(0.5, 1, len(items))


@dataclass(frozen=True)
class DirectionLied(Sound):
    higher_is_better = False


@dataclass(frozen=True)
class Random(Sound):
    def score(self, items, predictions):
        return np.random.default_rng().random(len(items))


@dataclass(frozen=True)
class Mutating(Sound):
    def score(self, items, predictions):
        predictions.nll[:] = 0
        return super().score(items, predictions)


@dataclass(frozen=True)
class Crashing(Sound):
    def score(self, items, predictions):
        raise KeyError("temperature")


@dataclass(frozen=True)
class WithoutVersion(Evaluator):
    name = "without_version"
    higher_is_better = True
    unit = "share"
    reads = "texts"

    def score(self, items, predictions):
        return 1.0


@dataclass(frozen=True)
class Unpicklable(Sound):
    def score(self, items, predictions):
        return Scored(0.5, details={"lock": threading.Lock()})


@dataclass(frozen=True)
class ReadingTheEnvironment(Sound):
    def score(self, items, predictions):
        return super().score(items, predictions) * (0.5 if "PYTEST_CURRENT_TEST" in os.environ else 1)


@dataclass(frozen=True)
class Drawing(Sound):
    def score(self, items, predictions):
        np.random.random()  # noqa: NPY002  moves its position, not its key
        return super().score(items, predictions)


@dataclass(frozen=True)
class DrawingFromTorch(Sound):
    def score(self, items, predictions):
        torch.rand(1)
        return super().score(items, predictions)


@dataclass(frozen=True)
class SettingAVariable(Sound):
    def score(self, items, predictions):
        os.environ["OWN_VARIABLE"] = "1"
        return super().score(items, predictions)


@dataclass(frozen=True)
class ChangingTheFolder(Sound):
    def score(self, items, predictions):
        os.chdir(tempfile.gettempdir())
        return super().score(items, predictions)


@dataclass(frozen=True)
class MostlyNan(Sound):
    def score(self, items, predictions):
        return np.where(np.array(items.ids) == items.ids[0], super().score(items, predictions), np.nan)


@dataclass(frozen=True)
class OrderDependentMatch(Sound):
    def score(self, items, predictions):
        hits = [float(text == target) for text, target in zip(predictions.texts, items.targets, strict=True)]
        return np.array(hits) * np.linspace(0.5, 1, len(items))


@dataclass(frozen=True)
class Constant(Sound):
    def score(self, items, predictions):
        return 0.5


BROKEN = {
    Drawing: "changes the global random state",
    DrawingFromTorch: "changes torch's global random state",
    SettingAVariable: "changes the environment",
    ChangingTheFolder: "changes the working folder",
    MostlyNan: "leaves 7 of 8 items without a score",
    OrderDependentMatch: "depends on the order of items",
    Constant: "cannot tell right answers from wrong ones: both score 0.5",
    WrongLength: r"a record can hold: found scores of shape \(7,\), expected one for each of 8 items",
    AllNan: "scores no item: every one is NaN",
    OrderDependent: "depends on the order of items",
    DirectionLied: r"has the wrong direction: lower is better, and right answers score 1, wrong ones 0",
    Random: "is random: two calls on the same predictions gave other scores",
    Mutating: "changes what it is given to read",
    Crashing: "crashes: KeyError: 'temperature'",
    WithoutVersion: "version is missing, expected a str",
    Unpicklable: "gives no score that a record can hold: cannot pickle",
    ReadingTheEnvironment: "reads global state",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_evaluator_is_told_what_is_amiss_and_nothing_else(broken):
    with pytest.raises(AssertionError, match=BROKEN[broken]) as caught:
        check_evaluator(broken())
    assert len(str(caught.value).splitlines()) == 2, caught.value


@dataclass(frozen=True)
class ImportingLate(Sound):
    """Imports a library that sets a variable and draws when it is imported, as scikit-learn does."""

    library: str = ""

    def score(self, items, predictions):
        importlib.import_module(self.library)
        return super().score(items, predictions)


@dataclass(frozen=True)
class ImportingLateAndSettingAVariable(ImportingLate):
    def score(self, items, predictions):
        os.environ["OWN_VARIABLE"] = "1"
        return super().score(items, predictions)


@pytest.fixture
def library(tmp_path, monkeypatch):
    name = f"late_{tmp_path.name.replace('-', '_')}"
    lines = "import os, numpy\nos.environ['SET_BY_THE_LIBRARY'] = '1'\nnumpy.random.random()\n"
    (tmp_path / f"{name}.py").write_text(lines, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_what_a_library_does_when_it_is_first_imported_is_not_the_evaluators(library):
    check_evaluator(ImportingLate(library=library))


def test_what_an_evaluator_changes_itself_is_found_beside_a_first_import(library):
    with pytest.raises(AssertionError, match="changes the environment"):
        check_evaluator(ImportingLateAndSettingAVariable(library=library))


def test_what_a_broken_evaluator_changes_is_put_back():
    before = torch.get_rng_state().tolist(), dict(os.environ), Path.cwd()
    for broken in (DrawingFromTorch, SettingAVariable, ChangingTheFolder):
        with pytest.raises(AssertionError):
            check_evaluator(broken())
    assert (torch.get_rng_state().tolist(), dict(os.environ), Path.cwd()) == before


@dataclass(frozen=True)
class ShareOfFirstClass(Sound):
    reads = "any"

    def score(self, items, predictions):
        return (predictions.predicted == 0).astype(float)


@dataclass(frozen=True)
class Length(Sound):
    reads = "any"

    def score(self, items, predictions):
        return np.array([float(len(text)) for text in predictions.texts])


def test_what_reads_anything_is_asked_of_the_kind_that_is_given_and_may_measure_something_else():
    check_evaluator(Length())
    labels = np.arange(24) % 3
    predictions = Predictions(labels, np.random.default_rng(0).normal(size=(24, 4)))
    check_evaluator(ShareOfFirstClass(), make_items([str(label) for label in labels]), predictions)
    check_evaluator(ShareOfFirstClass(), predictions=predictions)


@dataclass(frozen=True)
class AboutNothing(Length):
    def score(self, items, predictions):
        lengths = super().score(items, predictions) / 7
        return Scored(0.0, lengths - lengths.mean())


def test_a_mean_of_zero_may_differ_in_its_last_digits():
    check_evaluator(AboutNothing())


@dataclass(frozen=True)
class ReadingTheFolder(Sound):
    def score(self, items, predictions):
        return float(os.path.exists("pyproject.toml"))  # noqa: PTH110


@dataclass(frozen=True)
class ReadingTheGenerator(Sound):
    def score(self, items, predictions):
        state = np.random.get_state()[1]  # noqa: NPY002
        return float(state[0] % 1000)


@dataclass(frozen=True)
class Seeding(Sound):
    def score(self, items, predictions):
        np.random.seed(0)  # noqa: NPY002
        return super().score(items, predictions)


@dataclass(frozen=True)
class CountingCalls(Sound):
    calls: list = field(default_factory=list)

    def score(self, items, predictions):
        self.calls.append(1)
        return float(len(self.calls))


@dataclass(frozen=True)
class OutOfBounds(Sound):
    bounds = (0.0, 0.1)


@dataclass(frozen=True)
class CorpusWithItems(Sound):
    def score(self, items, predictions):
        per_item = super().score(items, predictions)
        return Scored(float(per_item.mean()) / 2, per_item)


@dataclass(frozen=True)
class TrivialIsBest(Sound):
    def trivial_score(self, items, predictions):
        return 1.0


class NoDataclass(Sound):
    __dataclass_params__ = None


@dataclass(frozen=True)
class PathsOfNothing(Sound):
    paths = ("model",)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (ReadingTheFolder, "reads global state"),
        (ReadingTheGenerator, "reads global state"),
        (Seeding, "changes the global random state"),
        (CountingCalls, "is random"),
        (OutOfBounds, "expected a number from 0 to 0.1"),
        (CorpusWithItems, "while its items' mean is"),
        (TrivialIsBest, "has a trivial score of 1, and right answers score 1, no better"),
        (NoDataclass, "is no frozen dataclass"),
        (PathsOfNothing, "paths names model, which are no arguments"),
    ],
)
def test_further_ways_to_break_the_protocol_are_told(broken, told, monkeypatch):
    monkeypatch.chdir(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    with pytest.raises(AssertionError, match=told):
        check_evaluator(broken())


def test_an_object_that_is_no_evaluator_is_told_what_it_lacks():
    with pytest.raises(AssertionError, match=r"name is missing(?s:.*)lacks score"):
        check_evaluator(object())


def test_items_and_predictions_of_ones_own_are_scored():
    @dataclass(frozen=True)
    class Needing(Sound):
        def score(self, items, predictions):
            assert items.contexts is not None
            assert items.contexts[0].startswith("c")
            return super().score(items, predictions)

    check_evaluator(Needing(), make_items(["one two", "three four"], contexts=["c1", "c2"]))
    with pytest.raises(AssertionError, match="crashes: AssertionError"):
        check_evaluator(Needing(), make_items(["one two", "three four"]))


def test_what_needs_resources_is_known_by_name():
    assert {name for name in WITH_RESOURCES if find(name)} == WITH_RESOURCES
