"""items.parquet: what is read, left out and refused."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from seedband.errors import Refused
from seedband.runs.item_table import read_table

COLUMNS = {
    "score:a.b": [0.25, 0.75],
    "score:a": [1.0, 0.0],
    "logits": [[0.5, 1.0], [2.0, 0.0]],
    "item": ["1", "2"],
    "label": ["x", "y"],
    "prediction": ["x", "x"],
}


@pytest.fixture
def path(tmp_path):
    parquet.write_table(pa.table(COLUMNS), tmp_path / "items.parquet")
    return tmp_path / "items.parquet"


@pytest.mark.parametrize("without", [set(), {"score:a.b"}, {"logits", "score:a"}])
def test_every_column_that_is_not_left_out_is_read_as_it_is(path, without):
    table = read_table(path, without=without)
    assert list(table.columns) == [name for name in COLUMNS if name not in without]
    for name in table:
        assert [value.tolist() if name == "logits" else value for value in table[name]] == COLUMNS[name]


def test_a_column_that_is_left_out_must_be_there_all_the_same(path):
    parquet.write_table(pa.table(COLUMNS).drop_columns(["label"]), path)
    with pytest.raises(Refused, match="expected those of items as scoring writes them"):
        read_table(path, without={"label"})


@pytest.mark.parametrize("column", ["item", "label", "prediction"])
def test_a_text_that_is_no_utf_8_is_refused(path, column):
    texts = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"x\x80")]
    )
    table = pa.table(COLUMNS)
    parquet.write_table(table.set_column(table.column_names.index(column), column, texts), path)
    with pytest.raises(Refused, match="cannot be read as Parquet"):
        read_table(path)
