"""Names that scripts of users import: they stay where they are."""

import subprocess
import sys
from importlib import import_module

import pytest

#: Module → what may be imported from it.
PUBLIC = {
    "seedband": [
        "Band", "MetricBand", "MetricVerdict", "Refused", "SeedbandError", "UsageError", "Verdict", "WorkFailed",
        "check", "fit_band", "load_band", "sweep", "__version__",
    ],
    "seedband.band": ["Band", "fit_band", "load_band"],
    "seedband.errors": ["Problem", "Refused", "SeedbandError", "UsageError", "WorkFailed"],
    "seedband.pytest_plugin": ["assert_within"],
    "seedband.testing": ["check_evaluator", "make_items"],
    "seedband.evaluators": ["Checkpoint", "Evaluator", "Generations", "Predictions", "Reads", "Scored"],
}  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_importable(module):
    found = import_module(module)
    assert [name for name in PUBLIC[module] if not hasattr(found, name)] == []


def test_the_doors_are_functions_whatever_is_imported_before():
    script = "import seedband, seedband.cli.sweep, seedband.cli.check; print(seedband.sweep, seedband.check)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert [word for word in done.stdout.split() if word.startswith("<")] == ["<function", "<function"]
