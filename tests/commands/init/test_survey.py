"""A data file says what it is for: by the names of its columns, and by what they hold."""

import json

import pytest

from seedband.commands.init.survey import Survey, data_files, eval_rank, guessed_columns, look_at, task_of
from seedband.errors import UsageError

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def rows(**columns):
    return Survey(None, tuple({name: made(n) for name, made in columns.items()} for n in range(60)))


def words(n):
    return f"some words of row {n}"


def few(n):
    return "abc"[n % 3]


@pytest.mark.parametrize(
    ("survey", "task", "columns"),
    [
        (rows(text=words, label=few), "text-classification", {"text": "text", "label": "label"}),
        (rows(Query=words, Intent=few, channel=few), "text-classification", {"text": "Query", "label": "Intent"}),
        (rows(id=str, note=words, kind=few), "text-classification", {"text": "note", "label": "kind"}),
        (rows(question=words, answer=words), "causal-lm", {"prompt": "question", "completion": "answer"}),
        (rows(input=words, output=words, label=words), "causal-lm", {"prompt": "input", "completion": "output"}),
        (rows(chat=lambda _: CHAT), "causal-lm", {"messages": "chat"}),
        (rows(file=lambda n: f"{n}.png", label=few), "image-classification", {"image": "file", "label": "label"}),
    ],
)  # fmt: skip
def test_task_and_columns_are_told_by_names_and_contents(survey, task, columns):
    assert task_of(survey, (), generates=False) == task
    assert guessed_columns(survey, tuple(columns), {}) == columns


def test_where_columns_could_be_for_two_tasks_the_model_decides():
    survey = rows(question=words, answer=few, label=few)
    assert task_of(survey, (), generates=False) == "text-classification"
    assert task_of(survey, (), generates=True) == "causal-lm"
    assert task_of(survey, ("text",), generates=True) == "text-classification"


def test_two_columns_that_could_be_the_label_are_none():
    assert guessed_columns(rows(text=words, kind=few, area=few), ("text", "label"), {})["label"] == ""
    assert guessed_columns(rows(text=words, kind=few, area=few), ("text", "label"), {"label": "area"}) == {
        "text": "text", "label": "area"
    }  # fmt: skip


def test_what_is_for_no_task_is_told_with_the_flags():
    survey = rows(first=words, second=words)
    with pytest.raises(UsageError, match="columns first, second: none looks like a label") as info:
        task_of(survey, (), generates=False)
    assert "--text and --label" in info.value.hint


def test_slices_are_columns_of_few_values_in_every_row_of_both_files():
    first = rows(text=words, label=few, channel=few, score=few, always=lambda _: "x", number=lambda n: n, part=few)
    second = rows(text=words, label=few, channel=few, score=few, part=lambda n: few(n) if n else None)
    assert first.slices(["text", "label"], second) == ["channel"]


def test_a_file_of_unknown_columns_is_read_and_its_mistakes_told(tmp_path):
    (tmp_path / "a.csv").write_text("what,ever\nx,1\n")
    assert look_at(tmp_path / "a.csv").columns == ("what", "ever")
    (tmp_path / "a.csv").write_text("text;label\nx;1\n")
    with pytest.raises(UsageError) as info:
        look_at(tmp_path / "a.csv")
    assert "separated by ';'" in info.value.hint
    (tmp_path / "a.jsonl").write_text('{"a": 1}\nnothing\n[]\n')
    with pytest.raises(UsageError, match="2 rows cannot be read") as info:
        look_at(tmp_path / "a.jsonl")
    assert len(info.value.problems) == 2
    (tmp_path / "empty.csv").write_text("text,label\n")
    with pytest.raises(UsageError, match="holds no row"):
        look_at(tmp_path / "empty.csv")


def test_data_files_are_found_by_their_names_and_eval_files_told_apart(tmp_path):
    for name in ("test.csv", "train.jsonl", "latest.csv", "my-eval.parquet", "notes.txt", ".hidden.csv"):
        (tmp_path / name).write_text(json.dumps({}))
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    (tmp_path / "pictures" / "cat" / "1.png").touch()
    (tmp_path / "runs").mkdir()
    found = [path.name for path in data_files(tmp_path)]
    assert found == ["latest.csv", "my-eval.parquet", "pictures", "test.csv", "train.jsonl"]
    ranked = sorted(data_files(tmp_path), key=eval_rank)
    assert [path.name for path in ranked][:2] == ["my-eval.parquet", "test.csv"]
