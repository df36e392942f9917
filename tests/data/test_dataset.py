"""Datasets: every row with a mistake is named; whatever the bytes, there are items or a UsageError."""

import json
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seedband.data.dataset import Items, label_set, load_items, overlap
from seedband.errors import UsageError
from seedband.models.encoded import Truncation
from seedband.models.loading import load_tokenizer
from seedband.storage.file_hashes import file_sha256
from seedband.tasks.text_classification import collate, encode_texts, truncation

COLUMNS = {"text": "text", "label": "label", "id": "id", "slices": ["channel"]}
ROWS = [{"id": f"i{n}", "text": f"text {n}", "label": "ab"[n % 2], "channel": "chat"} for n in range(20)]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture
def data(tmp_path):
    def load(rows=ROWS, *, content=None, **columns):
        path = tmp_path / "data.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_bytes("\n".join(lines).encode() if content is None else content)
        return load_items(path, {**COLUMNS, **columns})

    return load


def changed(number, **changes):
    """The rows, with the row of this number (from 1) changed."""
    return [*ROWS[: number - 1], {**ROWS[number - 1], **changes}, *ROWS[number:]]


def problems(data, *args, **options):
    with pytest.raises(UsageError) as caught:
        data(*args, **options)
    return caught.value.problems


def of_texts(*texts):
    return Items("x", tuple(f"i{n}" for n in range(len(texts))), texts, ("a",) * len(texts), {}, "", contents=texts)


def test_reads_rows_in_their_order(data):
    items = data()
    assert len(items) == 20
    assert (items.ids[3], items.inputs[3], items.targets[3]) == ("i3", "text 3", "b")
    assert items.slices == {"channel": ("chat",) * 20}
    assert items.sha256 == file_sha256(items.path)
    assert data(ROWS[::-1]).sha256 != items.sha256


def test_reads_the_columns_that_are_named(data):
    rows = [{"q": "one", "y": 1, "key": 7, "text": "other"}, {"q": "two", "y": 0}]
    items = data(rows, text="q", label="y", id="key", slices=[])
    assert (items.inputs, items.targets, items.ids) == (("one", "two"), ("1", "0"), ("7", "row-2"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"text": ""}, "'' in 'text'"),
        ({"text": " \n"}, r"' \n' in 'text'"),
        ({"text": 3}, "3 in 'text'"),
        ({"text": None}, "nothing in 'text'"),
        ({"label": None}, "nothing in 'label'"),
        ({"label": 0.5}, "0.5 in 'label'"),
        ({"label": ["a"]}, "['a'] in 'label'"),
        ({"channel": None}, "nothing in 'channel'"),
        ({"id": "i0"}, "id 'i0' of row 1 again"),
    ],
)
def test_names_the_row_with_a_mistake(data, change, found):
    [problem] = problems(data, changed(17, **change))
    assert (problem.where, problem.found) == ("data.jsonl, row 17", found)


@pytest.mark.parametrize(
    ("line", "found"), [("{", "no JSON"), ("[1]", "a list"), ("null", "a NoneType"), ("[" * 10**5, "no JSON")]
)
def test_names_the_row_that_is_no_object(data, line, found):
    [problem] = problems(data, [*ROWS[:16], line, *ROWS[17:]])
    assert (problem.where, problem.found) == ("data.jsonl, row 17", found)


def test_names_every_mistake_of_a_row_with_a_missing_slice(data):
    row = {"id": "x", "text": "words"}
    assert [problem.found for problem in problems(data, [row])] == ["nothing in 'label'", "nothing in 'channel'"]


def test_lists_ten_mistakes_and_counts_the_rest(data):
    rows = [{**row, "text": ""} for row in ROWS]
    assert [problem.where[-6:] for problem in problems(data, rows)] == [f" row {n}"[-6:] for n in range(1, 11)]
    with pytest.raises(UsageError, match="20 mistakes, the first 10 of them here"):
        data(rows)


def test_skips_blank_lines_and_counts_them(data):
    assert len(data(["", *ROWS, " ", ""])) == 20
    [problem] = problems(data, ["", "  ", *changed(15, text="")])
    assert problem.where == "data.jsonl, row 17"


def test_reads_windows_line_ends_and_a_byte_order_mark(data):
    content = "\ufeff" + "\r\n".join(json.dumps(row) for row in ROWS)
    assert data(content=content.encode()).inputs == data().inputs


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_refuses_an_empty_file(data, content):
    with pytest.raises(UsageError, match="holds no row"):
        data(content=content)


def test_refuses_what_is_not_utf8(data):
    with pytest.raises(UsageError, match="not UTF-8 at byte 9"):
        data(content=b'{"text": \xff}')


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        load_items(tmp_path / "data.jsonl", COLUMNS)


def test_label_set_is_sorted_whatever_the_order_of_rows(data):
    rows = changed(4, label=3)
    assert label_set(data(rows)) == label_set(data(rows[::-1])) == ("3", "a", "b")


@pytest.mark.parametrize("text", ["the cat", "The  CAT ", "\tthe\ncat", "ｔｈｅ cat", "the\u00a0cat"])
def test_overlap_is_found_after_normalisation(text):
    assert overlap(of_texts("a dog", text), of_texts("other", "the cat", "the cats")) == ["i1"]


def test_overlap_is_found_across_forms_of_letters():
    assert overlap(of_texts("ﬁne Straße"), of_texts("FINE STRASSE")) == ["i0"]
    assert overlap(of_texts("cafe\u0301"), of_texts("caf\u00e9", "cafe")) == ["i0"]


def test_batches_are_padded_on_the_side_that_is_asked_for():
    def tokenizer(texts, *, truncation, max_length, padding):
        assert truncation
        assert not padding
        ids = [[len(word) for word in text.split()][:max_length] for text in texts]
        return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}

    rows = encode_texts(tokenizer, ["a bb ccc dddd", "eeeee"], 3)
    assert rows[1] == {"input_ids": [5], "attention_mask": [1]}
    batch = collate(SimpleNamespace(pad_token_id=9, pad_token_type_id=0), rows, torch.device("cpu"), left=False)
    assert batch["input_ids"].tolist() == [[1, 2, 3], [5, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    none = SimpleNamespace(pad_token_id=None, pad_token_type_id=0)
    assert collate(none, rows, torch.device("cpu"), left=False)["input_ids"][1].tolist() == [5, 0, 0]
    assert collate(none, rows, torch.device("cpu"), left=True)["input_ids"][1].tolist() == [0, 0, 5]


def test_what_a_text_loses_to_the_length_is_counted(tiny_recipe):
    tokenizer = load_tokenizer(str(tiny_recipe.folder / "base"))
    texts = ["the apple", "the very old apple was near us today", "the old iron was new"]
    whole = [len(row["input_ids"]) for row in encode_texts(tokenizer, texts, 512)]
    rows = encode_texts(tokenizer, texts, whole[2])
    assert truncation(tokenizer, texts, rows, whole[2]) == Truncation(1, whole[1] - whole[2])
    assert truncation(tokenizer, texts, encode_texts(tokenizer, texts, 512), 512) == Truncation()


def load_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_bytes(content)
    try:
        items = load_items(path, COLUMNS)
    except UsageError:
        return None
    assert len(items) == len(items.inputs) == len(items.targets) == len(set(items.ids)) > 0
    return items


@given(st.binary(max_size=200))
@example(b"\x00")
@example(b"\xef\xbb\xbf{}")
@settings(deadline=None)
def test_any_bytes_are_items_or_a_usage_error(tmp_path_factory, content):
    items = load_bytes(tmp_path_factory, content)
    assert items is None or all(text.strip() for text in items.inputs)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "text", "label", "channel", "x"]), json_values), max_size=4))
@settings(deadline=None)
def test_any_json_is_items_or_a_usage_error(tmp_path_factory, rows):
    items = load_bytes(tmp_path_factory, "\n".join(json.dumps(row) for row in rows).encode())
    assert items is None or all(text.strip() for text in items.inputs)


def test_null_ids_are_named_by_their_row(data):
    items = data(changed(3, id=None))
    assert items.ids[2] == "row-3"


@pytest.mark.parametrize(("column", "value"), [("label", True), ("text", "\ud800"), ("label", "\udfff")])
def test_no_label_and_no_text_are_told_by_row(data, column, value):
    (problem,) = problems(data, changed(5, **{column: value}))
    assert "row 5" in problem.where
    assert column in problem.found
