"""python:<module>:<name>: what lies beside the recipe, as an evaluator."""

import hashlib
import importlib
import sys

import numpy as np
import pytest

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Predictions, as_scored, build, describe
from seedband.evaluators.external.python import fingerprint

FUNCTIONS = """
import numpy as np

CONSTANT = 3

def hits(items, predictions, weight=1.0):
    return weight * (predictions.predicted == predictions.labels)

def one_number(items, predictions):
    return 0.25
"""
CLASSES = """
from dataclasses import dataclass
from seedband.evaluators import Evaluator, Scored

@dataclass(frozen=True)
class Share(Evaluator):
    '''Share of one label.'''
    label: int = 0
    name = "share"
    version = "3"
    higher_is_better = False
    unit = "share"
    reads = "classes"

    def score(self, items, predictions):
        return Scored(float((predictions.predicted == self.label).mean()), backend="counted")

class Nothing:
    name = "nothing"
"""
PREDICTIONS = Predictions(np.array([0, 1, 1, 0]), np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [1.0, 0.0]]))
ITEMS = Items(None, tuple("abcd"), tuple("abcd"), tuple("0110"), {}, "")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recipe's folder; what is imported from it is forgotten."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "own_functions.py").write_text(FUNCTIONS)
    (tmp_path / "own_classes.py").write_text(CLASSES)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_") and name not in before]:
        del sys.modules[name]


UP = {"higher_is_better": True}


def test_a_function_beside_the_recipe_scores_every_item(folder):
    evaluator = build("python:own_functions:hits", {**UP, "unit": "points", "weight": 2.0}, folder)
    scored = as_scored(evaluator.score(ITEMS, PREDICTIONS), 4)
    assert scored.per_item.tolist() == [2.0, 2.0, 0.0, 2.0]
    assert scored.score == 1.5
    assert (evaluator.name, evaluator.unit, evaluator.higher_is_better) == ("python:own_functions:hits", "points", True)


def test_a_function_may_give_one_number_for_all(folder):
    evaluator = build("python:own_functions:one_number", {"higher_is_better": False}, folder)
    assert as_scored(evaluator.score(ITEMS, PREDICTIONS), 4).score == 0.25
    assert not evaluator.higher_is_better


def test_its_version_is_the_content_of_its_file_and_its_arguments_are_on_record(folder):
    sha256 = hashlib.sha256((folder / "own_functions.py").read_bytes()).hexdigest()
    described = describe(build("python:own_functions:hits", {**UP, "weight": 2.0}, folder))
    assert described["version"] == f"sha256:{sha256[:12]}"
    assert described["args"] == {"weight": 2.0}
    (folder / "own_functions.py").write_text(FUNCTIONS + "# changed\n")
    again = describe(build("python:own_functions:hits", {**UP, "weight": 2.0}, folder))
    assert again["version"] != described["version"]


def test_a_class_is_an_evaluator_with_its_own_version_and_arguments(folder):
    evaluator = build("python:own_classes:Share", {"label": 1}, folder)
    scored = as_scored(evaluator.score(ITEMS, PREDICTIONS), 4)
    assert (scored.score, scored.backend.split()[0]) == (0.25, "counted")
    assert describe(evaluator, scored.backend) == {
        "evaluator": "share",
        "version": "3",
        "higher_is_better": False,
        "unit": "share",
        "backend": f"counted sha256:{fingerprint(folder / 'own_classes.py', folder)}",
        "args": {"label": 1},
    }


def described_once_scored(name, args, folder):
    """As another process would."""
    for module in [module for module in sys.modules if module.startswith("own_")]:
        del sys.modules[module]
    importlib.invalidate_caches()
    evaluator = build(name, args, folder)
    return describe(evaluator, as_scored(evaluator.score(ITEMS, PREDICTIONS), 4).backend)


@pytest.mark.parametrize(
    ("name", "args"), [("python:own_classes:Share", {}), ("python:own_functions:hits", {"higher_is_better": True})]
)
def test_a_band_knows_when_the_code_has_changed_or_what_it_imports(folder, name, args):
    module = name.split(":")[1]
    (folder / "own_package").mkdir()
    (folder / "own_package" / "__init__.py").write_text("")
    (folder / "own_package" / "deep.py").write_text("def late():\n    from . import deeper\n")
    (folder / "own_package" / "deeper.py").write_text("LIMIT = 1\n")
    (folder / "own_other.py").write_text("LIMIT = 1\n")
    content = (folder / f"{module}.py").read_text()
    (folder / f"{module}.py").write_text(f"{content}\ndef late():\n    import own_package.deep as deep\n")
    before = described_once_scored(name, args, folder)
    (folder / "own_other.py").write_text("LIMIT = 2\n")
    assert described_once_scored(name, args, folder) == before
    for place in (folder / "own_package" / "deeper.py", folder / f"{module}.py"):
        place.write_text(f"{place.read_text()}# changed\n")
        after = described_once_scored(name, args, folder)
        assert after["backend"] != before["backend"]
        before = after


def test_the_code_is_that_of_the_file_in_which_it_really_stands(folder):
    (folder / "own_door.py").write_text("from own_functions import hits\n")
    described = describe(build("python:own_door:hits", UP, folder))
    sha256 = hashlib.sha256((folder / "own_functions.py").read_bytes()).hexdigest()
    assert described["version"] == f"sha256:{sha256[:12]}"
    assert described["backend"] == f"own_door:hits sha256:{fingerprint(folder / 'own_functions.py', folder)}"


def test_code_that_is_installed_below_the_recipe_counts_as_installed(folder, tmp_path_factory):
    for place in (folder / "venv" / "site-packages", elsewhere := tmp_path_factory.mktemp("elsewhere")):
        place.mkdir(parents=True, exist_ok=True)
        (place / "own_installed.py").write_text("import own_classes\n")
    here = fingerprint(folder / "venv" / "site-packages" / "own_installed.py", folder)
    assert here == fingerprint(elsewhere / "own_installed.py", folder)


def test_a_module_that_cannot_be_parsed_counts_by_its_content(folder):
    (folder / "own_start.py").write_text("def late():\n    import own_broken\n")
    seen = set()
    for content in ("def score(:", "def score(::", "\0"):
        (folder / "own_broken.py").write_text(content)
        seen.add(fingerprint(folder / "own_start.py", folder))
    assert len(seen) == 3


def test_where_a_recipe_lies_is_no_part_of_its_code(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved")
    (moved / "own_classes.py").write_text(CLASSES)
    assert fingerprint(moved / "own_classes.py", moved) == fingerprint(folder / "own_classes.py", folder)


def test_an_installed_module_comes_before_one_beside_the_recipe(folder):
    (folder / "statistics.py").write_text("raise SystemExit('shadowed')")
    assert build("python:statistics:fmean", {**UP}, folder).reference == "statistics:fmean"


@pytest.mark.parametrize(
    ("name", "args", "told"),
    [
        ("python:own_missing:score", UP, "cannot import own_missing: ModuleNotFoundError"),
        ("python:own_functions:absent", UP, "has no absent"),
        ("python:own_functions:CONSTANT", UP, "CONSTANT is a int, expected a function or class"),
        ("python:own_functions:hits", {}, "does not say which direction is better"),
        ("python:own_functions:hits", {"higher_is_better": "yes"}, "does not say which direction is better"),
        ("python:own_functions:hits", {**UP, "unit": 1}, "does not say which direction is better"),
        ("python:own_functions:hits", {**UP, "wait": 2.0}, "unexpected keyword argument 'wait'"),
        ("python:own_classes:Share", {"lable": 1}, "unexpected keyword argument 'lable'"),
        ("python:own_classes:Nothing", {}, "lacks version, higher_is_better, unit, reads, score"),
        ("python:own_functions", UP, "expected python:<module>:<function>"),
        ("python:../own_functions:hits", UP, "expected python:<module>:<function>"),
    ],
)
def test_what_is_no_evaluator_is_a_mistake_that_says_so(folder, name, args, told):
    with pytest.raises(UsageError) as caught:
        build(name, args, folder)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def score(:", "SyntaxError"),
        ("import own_absent_too", "ModuleNotFoundError: No module named 'own_absent_too'"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_mistake_with_its_reason(folder, content, told):
    (folder / "own_broken.py").write_text(content)
    with pytest.raises(UsageError, match=r"cannot import own_broken") as caught:
        build("python:own_broken:score", UP, folder)
    assert told in caught.value.message
    assert str(folder) in caught.value.hint
