"""A score is the one that plain transformers and PEFT give one row at a time, on every architecture in the matrix."""

import subprocess
import sys

import pytest
from architectures import MATRIX
from matrix import check, sweep
from tiny import ROOT

ROWS = [pytest.param(row, id=row.key, marks=[] if row.fast else [pytest.mark.slow]) for row in MATRIX]


@pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys:RuntimeWarning")  # PEFT wrote them
@pytest.mark.parametrize("row", ROWS)
def test_scores_are_those_of_each_row_by_itself(row, tmp_path):
    check(row, sweep(row, tmp_path))


def test_the_page_of_models_is_what_the_matrix_says():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_models_page.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_matrix_is_as_large_as_it_is_said_to_be():
    assert len({row.key for row in MATRIX}) == len(MATRIX)
    assert len({row.name for row in MATRIX if row.fast}) >= 8
    assert len({row.name for row in MATRIX}) >= 40
