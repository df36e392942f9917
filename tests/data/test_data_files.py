"""Data files of every format give the same rows, or are told by what is wrong with them; hubs give single files."""

import csv
import datetime as dt
import json
import math

import pyarrow as pa
import pytest
from hub import COMMIT, Hub, environment, serving
from pyarrow import parquet
from tiny import run_cli, write_rows

from seedband.data import data_files
from seedband.data.data_files import content_sha256
from seedband.data.dataset import load_items
from seedband.errors import Refused, UsageError
from seedband.storage import file_hashes

COLUMNS = {"text": "text", "label": "label", "id": "id", "slices": ["channel"]}
TALK = {"task": "causal-lm", "id": "id", "slices": []} | {
    name: name for name in ("prompt", "completion", "messages", "context")
}
ROWS = [{"id": f"i{n}", "text": f'text, "{n}"\nof two lines', "label": n % 2, "channel": "chat"} for n in range(6)]


def write_csv(path, rows=ROWS, separator=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path, rows=ROWS, **columns):
    table = pa.Table.from_pylist(rows)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    parquet.write_table(table, path)
    return path


def content(path, columns=COLUMNS):
    items = load_items(path, columns)
    return items.ids, items.inputs, items.targets, items.slices, items.contexts, items.fingerprints


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "bom.csv", "a.parquet", "A.PARQUET", "dictionary.parquet"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    path = tmp_path / name
    if name.lower().endswith("parquet"):
        encoded = {"channel": pa.array(["chat"] * 6).dictionary_encode()} if "dictionary" in name else {}
        write_parquet(path, **encoded)
    else:
        write_csv(path, separator="\t" if "tsv" in name else ",", encoding="utf-8-sig" if "bom" in name else "utf-8")
    assert content(path) == content(write_jsonl(tmp_path / "a.jsonl"))


def test_a_chat_of_parquet_is_that_of_jsonl(tmp_path):
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    rows = [{"messages": talk, "context": "none"}, {"messages": [{**talk[0], "name": "x"}, talk[1]], "context": "none"}]
    write_parquet(tmp_path / "a.parquet", rows)  # where a key of some messages is null in all others
    assert content(tmp_path / "a.parquet", TALK) == content(write_jsonl(tmp_path / "a.jsonl", rows), TALK)


@pytest.mark.parametrize("other", ["prompt", "completion"])
def test_a_row_is_a_chat_or_a_prompt_and_never_both(tmp_path, other):
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": talk, other: ""}, {"messages": talk, other: "hi"}])
    with pytest.raises(UsageError) as told:
        load_items(path, TALK)
    (problem,) = told.value.problems
    assert (problem.where, problem.found) == ("a.jsonl, row 2", f"'messages' and {other!r}")
    assert load_items(path, {**TALK, other: "-"}).chat


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("text", [1, 2, 3, 4, 5, 6], "1 in 'text'"),
        ("text", [b"bytes"] * 6, "b'bytes' in 'text'"),
        ("text", [None] * 6, "nothing in 'text'"),
        ("text", [["a"]] * 6, "['a'] in 'text'"),
        ("label", [0.0, 1.0] * 3, "0.0 in 'label'"),
        ("label", [True, False] * 3, "True in 'label'"),
        ("label", [math.nan] * 6, "nothing in 'label'"),
        ("channel", [math.nan] * 6, "nothing in 'channel'"),
    ],
)
def test_a_parquet_column_of_another_type_is_told_by_row(tmp_path, column, values, found):
    with pytest.raises(UsageError, match="6 mistakes") as caught:
        load_items(write_parquet(tmp_path / "a.parquet", **{column: pa.array(values)}), COLUMNS)
    assert (caught.value.problems[0].where, caught.value.problems[0].found) == ("a.parquet, row 1", found)


def test_a_slice_may_be_of_any_type(tmp_path):
    days = pa.array([dt.date(2026, 11, 22)] * 6)
    items = load_items(write_parquet(tmp_path / "a.parquet", channel=days), COLUMNS)
    assert items.slices == {"channel": ("2026-11-22",) * 6}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text;label\na;b\n", "of which none is asked for"),
        ("one\ttwo\na\tb\n", "of which none is asked for"),
        ("text,label,text\na,b,c\n", "'text' is twice in the header"),
        ('text,label\n"a,b\n', "unexpected end of data"),
        ("", "holds no row"),
        ("text,label\n", "holds no row"),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_told(tmp_path, text, told):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UsageError, match=told):
        load_items(tmp_path / "a.csv", {**COLUMNS, "slices": []})


def test_a_separator_that_is_not_read_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("text;label\na;b\n")
    with pytest.raises(UsageError) as caught:
        load_items(tmp_path / "a.csv", COLUMNS)
    assert caught.value.hint == "it looks separated by ';', which is not read"


def test_a_csv_row_with_cells_too_many_or_too_few_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,channel\nfine,a,chat\nnot, quoted,a,chat\nshort,a\n")
    with pytest.raises(UsageError) as caught:
        load_items(tmp_path / "a.csv", COLUMNS)
    assert [(problem.where, problem.found) for problem in caught.value.problems] == [
        ("a.csv, row 3", "1 more cell than the header has"),
        ("a.csv, row 4", "nothing in 'channel'"),
    ]


def test_long_cells_are_read(tmp_path):
    rows = [{**ROWS[0], "text": "long " * 50_000}]
    assert content(write_csv(tmp_path / "a.csv", rows)) == content(write_jsonl(tmp_path / "a.jsonl", rows))


def test_what_is_no_parquet_is_told(tmp_path):
    write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    (tmp_path / "c.parquet").write_bytes(b"text,label\n")
    for name in ("b", "c"):
        with pytest.raises(UsageError, match="not valid Parquet"):
            load_items(tmp_path / f"{name}.parquet", COLUMNS)


def test_a_parquet_bomb_is_refused(tmp_path, monkeypatch):
    rows = [{**ROWS[0], "id": str(n), "text": "x" * 10_000} for n in range(2000)]
    path = write_parquet(tmp_path / "a.parquet", rows)
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(data_files, "MAX_BYTES", 5_000_000)
    with pytest.raises(Refused, match="unpacks to more than 5000000 bytes"):
        load_items(path, COLUMNS)


NAME = "org/intents"
FILE = f"hf://datasets/{NAME}@{COMMIT}/data/eval.jsonl"


@pytest.fixture
def hub(tmp_path):
    """A data set with its rows, and with what must not be fetched."""
    write_rows(tmp_path / "eval.jsonl", 20, seed=2)
    rows = (tmp_path / "eval.jsonl").read_bytes()
    with serving(Hub(NAME, {"data/eval.jsonl": rows, "intents.py": b"print('run')"}, "datasets")) as server:
        yield server


def diff(hub, tiny, *arguments, **env):
    away = environment(hub, tiny.folder.parent) | env
    return run_cli("diff-data", *arguments, cwd=tiny.folder, env=away)


def test_a_file_of_a_hub_is_fetched_alone_and_kept(hub, tiny, tmp_path):
    done = diff(hub, tiny, FILE, tmp_path / "eval.jsonl")
    assert done.code == 0, done.err
    assert {path for path in hub.asked if NAME in path} == {f"/datasets/{NAME}/resolve/{COMMIT}/data/eval.jsonl"}
    hub.asked.clear()
    assert diff(hub, tiny, FILE, tmp_path / "eval.jsonl", "--offline").code == 0
    assert diff(hub, tiny, FILE, tmp_path / "eval.jsonl", HF_ENDPOINT="http://127.0.0.1:9").code == 0
    assert not hub.asked


def test_a_file_of_a_hub_that_cannot_be_had_is_told_by_its_exit_code(hub, tiny, tmp_path):
    own = tmp_path / "eval.jsonl"
    for arguments, env, code, told in (
        ((FILE, own, "--offline"), {}, 5, "without --offline it would be fetched"),
        ((FILE, own), {"HF_ENDPOINT": "http://127.0.0.1:9"}, 5, "check the name, the commit and the network"),
        ((FILE.replace("eval", "test"), own), {}, 2, "the data set has no such file"),
    ):
        done = diff(hub, tiny, *arguments, **env)
        assert done.code == code, done.err
        assert told in done.err
    hub.sizes["data/eval.jsonl"] = 3 * 1024**3
    done = diff(hub, tiny, FILE, own)
    assert done.code == 3, done.err
    assert "3221225472 bytes, more than" in done.err


@pytest.mark.parametrize(
    "reference",
    [
        f"hf://datasets/{NAME}@main/data/eval.jsonl",
        f"hf://datasets/{NAME}/data/eval.jsonl",
        f"hf://datasets/{NAME}@{COMMIT}",
        f"hf://datasets/{NAME}@{COMMIT}/intents.py",
        f"hf://datasets/{NAME}@{COMMIT}/data.pickle",
        f"hf://datasets/{NAME}@{COMMIT}/../eval.jsonl",
        f"hf://datasets/{NAME}@{COMMIT}/data/../../eval.jsonl",
        f"hf://datasets/../..@{COMMIT}/eval.jsonl",
        f"hf://{NAME}@{COMMIT}/eval.jsonl",
    ],
)
def test_what_is_no_pinned_file_of_rows_is_a_usage_error(reference, tmp_path):
    with pytest.raises(UsageError, match="expected hf://datasets/org/name@commit/path"):
        data_files.locate(reference, tmp_path, offline=True)


@pytest.mark.slow
def test_a_sweep_on_data_of_a_hub_is_checked_from_its_cache(hub, tiny):
    for name in ("train", "eval"):
        hub.files[f"data/{name}.jsonl"] = (tiny.folder / f"{name}.jsonl").read_bytes()
        (tiny.folder / f"{name}.jsonl").unlink()
    text = tiny.config.read_text().replace('method = "lora"', 'method = "head"')
    for name in ("train", "eval"):
        text = text.replace(f'"{name}.jsonl"', f'"hf://datasets/{NAME}@{COMMIT}/data/{name}.jsonl"')
    tiny.config.write_text(text)
    env = environment(hub, tiny.folder.parent)
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder, env=env)
    assert done.code == 0, done.err
    band = json.loads(tiny.band.read_text())
    assert band["provenance"]["data"]["eval"]["path"] == FILE
    assert str(tiny.folder.parent) not in tiny.band.read_text()
    done = run_cli("check", "runs/seed-0", "--offline", cwd=tiny.folder, env=env)
    assert done.code == 0, done.err
    done = run_cli("check", "runs/seed-0", "--data", FILE, cwd=tiny.folder, env=env)
    assert done.code == 0, done.err


PLAIN = [{"role": "user", "content": "say gold"}, {"role": "assistant", "content": "gold"}]


@pytest.mark.parametrize(
    "talk",
    [
        [{"from": "human", "value": "say gold"}, {"from": "gpt", "value": "gold"}],
        [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in PLAIN],
        [{"role": "user", "content": [{"type": "text", "text": "say"}, {"type": "text", "text": " gold"}]}, PLAIN[1]],
    ],
)
def test_chats_of_other_formats_are_the_same_chats(tmp_path, talk):
    other = load_items(write_jsonl(tmp_path / "a.jsonl", [{"messages": talk}]), TALK)
    plain = load_items(write_jsonl(tmp_path / "b.jsonl", [{"messages": PLAIN}]), TALK)
    assert (other.inputs, other.targets, other.chat) == (plain.inputs, plain.targets, True)


@pytest.mark.parametrize(
    "talk",
    [
        [{"from": "human", "value": "say gold"}, {"from": "human", "value": "gold"}],
        [{"from": "function", "value": "{}"}, {"from": "gpt", "value": "gold"}],
        [{"role": "user", "content": [{"type": "image", "url": "x.png"}]}, PLAIN[1]],
        [{"role": "user", "content": []}, PLAIN[1]],
        ["say gold", "gold"],
    ],
)
def test_chats_that_would_lose_something_are_refused_by_row(tmp_path, talk):
    with pytest.raises(UsageError) as caught:
        load_items(write_jsonl(tmp_path / "a.jsonl", [{"messages": PLAIN}, {"messages": talk}]), TALK)
    assert caught.value.problems[0].where == "a.jsonl, row 2"


@pytest.mark.parametrize("start", ["", "\ufeff", " \n"])
def test_a_json_array_gives_the_rows_of_its_lines(tmp_path, start):
    path = tmp_path / "a.json"
    path.write_text(start + json.dumps(ROWS, indent=1), encoding="utf-8")
    assert content(path) == content(write_jsonl(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(("text", "told"), [("[1]", "1 mistake"), ("[{}", "begins as a JSON array and is none")])
def test_a_json_array_that_is_none_is_told(tmp_path, text, told):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=told):
        load_items(tmp_path / "a.json", COLUMNS)


def test_a_second_text_is_part_of_the_row(tmp_path):
    rows = [{"text": "it rains", "other": f"it is {what}", "label": what} for what in ("wet", "dry")]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    columns = {**COLUMNS, "slices": [], "text_pair": "other"}
    items = load_items(path, columns)
    assert items.pairs == ("it is wet", "it is dry")
    assert len({*items.contents}) == len({*items.fingerprints}) == 2
    assert items.unread == ()
    alone = load_items(path, {**columns, "text_pair": None})
    assert (alone.pairs, alone.unread) == (None, ("other",))
    with pytest.raises(UsageError, match="1 mistake") as caught:
        load_items(write_jsonl(tmp_path / "b.jsonl", [rows[0], {"text": "a", "label": "wet"}]), columns)
    assert caught.value.problems[0].expected == "a second text that is not empty"


def test_an_input_goes_below_its_prompt(tmp_path):
    rows = [{"prompt": "Say it", "input": text, "completion": "gold"} for text in ("gold", "", None)]
    columns = {"task": "causal-lm", "id": "id", "slices": [], "context": "context", "messages": "messages"}
    columns |= {"prompt": "prompt", "completion": "completion", "input": "input"}
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    assert load_items(path, columns).inputs == ("Say it\ngold", "Say it", "Say it")
    assert load_items(path, {**columns, "input": None}).inputs == ("Say it",) * 3


@pytest.mark.parametrize("content", [b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n\n{"a": "x\\r"}', b"", b"a,b\n1,\r2\n"])
def test_a_file_is_known_by_its_lines_however_they_end(tmp_path, content):
    lf, crlf = tmp_path / "lf.csv", tmp_path / "crlf.csv"
    lf.write_bytes(content)
    crlf.write_bytes(content.replace(b"\n", b"\r\n"))
    (plain, others), (same, windows) = content_sha256(lf), content_sha256(crlf)
    assert plain == same == file_hashes.file_sha256(lf)
    assert {plain, *others} == {same, *windows} == {file_hashes.file_sha256(lf), file_hashes.file_sha256(crlf)}


def test_the_bytes_of_parquet_are_no_lines(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"a\r\nb")
    assert content_sha256(path) == (file_hashes.file_sha256(path), ())
