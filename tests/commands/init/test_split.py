"""One file into two: the same split everywhere, labels on either side, duplicates on one."""

import csv
import json
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband.commands.init.split import eval_size, split, write_part
from seedband.errors import UsageError

ROWS = st.lists(st.tuples(st.integers(0, 40).map(str), st.sampled_from("abc")), min_size=1, max_size=80)


@given(ROWS)
def test_every_row_is_on_one_side_and_what_says_the_same_on_the_same(rows):
    contents, labels = [row[0] for row in rows], [row[1] for row in rows]
    train, scored = split(contents, labels)
    assert sorted([*train, *scored]) == list(range(len(rows)))
    assert not {contents[row] for row in train} & {contents[row] for row in scored}
    first = dict(reversed(list(zip(contents, labels, strict=True))))
    assert {first[contents[row]] for row in scored} <= {first[contents[row]] for row in train}


def test_the_split_is_that_of_the_contents_whatever_their_order():
    contents, labels = [f"text {n}" for n in range(300)], ["ab"[n % 3 == 0] for n in range(300)]
    order = list(range(300))
    random.Random(1).shuffle(order)
    once = {contents[row] for row in split(contents, labels)[1]}
    again = split([contents[row] for row in order], [labels[row] for row in order])[1]
    assert {contents[order[row]] for row in again} == once
    assert len(once) == eval_size(300) == 120
    counts = Counter(labels[row] for row in split(contents, labels)[1])
    assert counts == {"a": 80, "b": 40}


WRITTEN = [{"text": 'a "b", c\nd', "label": "x"}, {"text": "é", "label": "y", "note": "only here"}, {"text": "z"}]


def read(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    return [{key: value for key, value in row.items() if value} for row in rows]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_parts_hold_the_chosen_rows_as_they_were_and_are_never_overwritten(tmp_path, suffix):
    source, target = tmp_path / f"all{suffix}", tmp_path / f"part{suffix}"
    columns = {name: [row.get(name) for row in WRITTEN] for name in ("text", "label", "note")}
    pq.write_table(pa.table(columns), tmp_path / "all.parquet")
    assert write_part(source, WRITTEN, [0, 1], target)
    assert read(target) == WRITTEN[:2]
    before = target.read_bytes()
    assert not write_part(source, WRITTEN, [0, 1], target)
    with pytest.raises(UsageError, match="exists and is not this part of"):
        write_part(source, WRITTEN, [0, 2], target)
    assert target.read_bytes() == before
