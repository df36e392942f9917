"""A score is the one that plain transformers and PEFT give one row at a time, on every architecture in the matrix."""

import pytest
from architectures import MATRIX
from matrix import check, sweep

ROWS = [pytest.param(row, id=row.key, marks=[] if row.fast else [pytest.mark.slow]) for row in MATRIX]


@pytest.mark.parametrize("row", ROWS)
def test_scores_are_those_of_each_row_by_itself(row, tmp_path):
    check(row, sweep(row, tmp_path))
