"""Whatever a file holds, its reader gives an answer or a named refusal, and so does what commands do with it next.

Our own files carry a seal, which catches damage; what stands here is sealed anew after every change.
"""

import json
import math
import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from tiny import recipe_text
from typer.testing import CliRunner

from seedband.bands import comparability
from seedband.bands.band import fit_band, load_band
from seedband.bands.rules import find
from seedband.cli import app, console
from seedband.commands.check import candidates, ledger, pairs
from seedband.commands.check.check import read_labels
from seedband.commands.check.gate import Gate
from seedband.commands.check.score_candidates import scoring_of
from seedband.commands.plan import plan
from seedband.commands.reproduce import _compare, _predictions, _run
from seedband.commands.scores.from_file import _made_from, check_scores
from seedband.commands.ship import model_card, ship
from seedband.commands.sweep import plan as sweep_plan
from seedband.commands.sweep import sweep_record
from seedband.commands.sweep.fit import _check_comparable, _score, fit, history
from seedband.commands.sweep.plan import Plan
from seedband.commands.sweep.prepare import prepare
from seedband.commands.sweep.sources.checkpoints import _check_band_path
from seedband.commands.sweep.sweep import band_of
from seedband.data import data_files, dataset, row_diff
from seedband.errors import Refused, SeedbandError, UsageError
from seedband.jobs import distinct_seeds, spec
from seedband.models import bases, model_config, model_folders, pooling, recognise, safety
from seedband.models.checkpoints import checkpoint_settings, checkpoint_tensors
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe import identity
from seedband.recipe import parse as recipes
from seedband.recipe.locations import recorded_recipe
from seedband.runs import cohorts, eval_rows, folders, run_file, score_table, sweep_file
from seedband.runs import item_table as items
from seedband.runs.layout import TRAINING, trace_path
from seedband.runs.run import Sweep
from seedband.scorefiles import read_scores
from seedband.storage import file_hashes, json_files
from seedband.storage.validation import a_path, brief

SOME = settings(max_examples=60, suppress_health_check=list(HealthCheck))
FEW = settings(SOME, max_examples=25)
LEVELS = {depth: json.loads("[" * depth + "]" * depth) for depth in (50, 99, 150)}
#: Letters that a message has at most, whatever it is about.
MAX_MESSAGE = 20_000
#: What hostile and clumsy hands write; random JSON seldom gets there.
NASTY = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**400), 0.5, -0.5, 1e101, 1.7e308, -1.7e308, 5e-324),
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "../../x",
        "\0",
        "a\0b",
        "\ud800",
        "\x1b[31m",
        "NaN",
        "1e999",
        "0",
        "é" * 200,
        "x" * 5000,
    ),
    *("package:", "package:os/..", "package:numpy/\0", "a/b", "[markup]", "\n", "/dev/zero", "/proc/self/mem", "int"),
    *([], {}, [None], [[]], [{}], {"": None}, {"0": "x"}, {"x": 10**400}, [0, 0], [1, 2], ["a", "a"], *LEVELS.values()),
]
texts = st.text(max_size=6) | st.sampled_from([value for value in NASTY if isinstance(value, str)])
values = st.sampled_from(NASTY) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


class Docs(NamedTuple):
    """A swept folder that examples write to, and its files as they were."""

    folder: Path
    prepared: object
    kept: dict

    def __repr__(self):
        return f"Docs({self.folder})"  # a failing example is told with it

    @property
    def run(self):
        return self.folder / "runs" / "seed-0"

    @property
    def sweep(self):
        return self.folder / "runs"

    @property
    def band(self):
        return self.folder / "band.json"

    def restore(self):
        for path, content in self.kept.items():
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)


@pytest.fixture(scope="module")
def swept_docs(tiny_heads, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "tiny"
    shutil.copytree(tiny_heads.folder, folder)
    prepared = prepare(recipes.load_recipe(folder / "seedband.toml"), offline=True)
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 2**20}
    return Docs(folder, prepared, kept)


@pytest.fixture
def docs(swept_docs):
    swept_docs.restore()
    yield swept_docs
    swept_docs.restore()


#: Key paths of our documents end here; below lies only what a mutation put in.
DEEPEST = 8


def places(value, path=()):
    """Every key path of a document."""
    found = [path]
    if len(path) > DEEPEST:
        return found
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*found, *(place for key, entry in inner for place in places(entry, (*path, key)))]


def fresh(value):
    """A copy, whatever its depth: examples must not change each other's values."""
    return json.loads(json.dumps(value))


def mutate(data, document):
    """The document with something replaced, taken out or put in, once or twice."""
    document = fresh(document)
    for _ in range(data.draw(st.integers(1, 2))):
        *parents, last = data.draw(st.sampled_from(places(document)[1:]), "place")
        inner = document
        for key in parents:
            inner = inner[key]
        kind = data.draw(st.sampled_from(["replace", "replace", "delete", "insert"]))
        if kind == "delete":
            del inner[last]
        elif kind == "replace":
            inner[last] = fresh(data.draw(values, "value"))
        elif isinstance(inner, list):
            inner.insert(last, fresh(data.draw(values, "value")))
        else:
            inner[data.draw(texts, "key")] = fresh(data.draw(values, "value"))
        if len(places(document)) == 1:
            break
    return document


def body(path):
    """What a sealed file of ours holds, without its seal."""
    return {
        key: value for key, value in json.loads(path.read_text()).items() if key not in ("format", "version", "sha256")
    }


def seal(path, kind, content):
    """Write a file whose seal is right, however deep its content is."""
    sealed = {"format": f"seedband.{kind}", "version": 1, **content}
    path.write_text(json.dumps({**sealed, "sha256": json_files.digest(sealed)}))


def ask(call, *arguments, names=None, codes=(2, 3), **options):
    """The answer of a call; None where it was refused by name, and anything else fails the test."""
    try:
        return call(*arguments, **options)
    except SeedbandError as error:
        caught = error
    assert caught.exit_code in codes, caught
    assert len(str(caught)) < MAX_MESSAGE
    assert names is None or str(names) in str(caught)
    return None


def shipped(docs):
    to = docs.folder / "shipped"
    shutil.rmtree(to, ignore_errors=True)
    ship(docs.sweep, to)


def ask_all(*calls):
    for call in calls:
        ask(call, codes=(2, 3, 5))


@SOME
@given(st.data())
def test_sealed_run(docs, data):
    docs.restore()
    path = docs.run / "run.json"
    seal(path, "run", mutate(data, body_of(docs, path)))
    run = ask(run_file.read_run, docs.run, names=path)
    other = run_file.read_run(docs.sweep / "seed-1")
    docs_band = load_band(docs.band)
    ask(folders.finished_runs, docs.sweep)
    found = ask(candidates.resolve, docs.run)
    if run is None or not found:
        return
    healthy = [entry for entry in (other, run) if entry.status == "finished"]
    two = [*found, *candidates.resolve(other.folder)]
    ask_all(
        lambda: identity.changed_keys(other.recorded, run.recorded),
        lambda: comparability.differences(other.signature, run.signature or {}),
        lambda: _check_comparable(healthy),
        lambda: _score(run, "accuracy"),
        lambda: fit(docs.prepared, healthy, docs.band),
        lambda: distinct_seeds.check_distinct([other, run], docs.prepared.recipe, ["init", "order", "dropout"]),
        lambda: sweep_plan._check_same_recipe(docs.prepared, docs.sweep, [run], None),
        lambda: sweep_plan._check_same_versions([run]),
        lambda: Plan(docs.prepared, docs.sweep, (0,), record_of(docs), (run, other), ()).as_dict(),
        lambda: prepare(recorded_recipe(run.recorded, run.folder), offline=True),
        lambda: score_table.scores_table([run, other]),
        lambda: candidates.check_one_recipe(two),
        lambda: check_record(docs, docs_band, found[0]),
        lambda: pairs.shared_seeds(docs_band, two),
        lambda: pairs.item_floors(docs_band, two),
        lambda: _compare(docs.sweep, run, other, None),
        lambda: _run(docs.sweep, None),
        lambda: shipped(docs),
        lambda: console.print_runs(Sweep(docs.sweep, (run, other), None, None), as_json=True),
        lambda: console.print_runs(Sweep(docs.sweep, (run, other), None, None), as_json=False),
    )


def record_of(docs, known=None):
    return sweep_record.SweepRecord(docs.prepared, docs.sweep, known)


def check_record(docs, band, entry, base=None):
    candidates.check_record(band, entry, docs.prepared.scoring, base, strict=False, offline=True, on_event=str)


@FEW
@given(st.data())
def test_sealed_sweep(docs, data):
    docs.restore()
    path = docs.sweep / "sweep.json"
    seal(path, "sweep", mutate(data, body_of(docs, path)))
    ask(sweep_file.read_sweep, docs.sweep, names=path)
    before = path.read_bytes()
    ask_all(
        lambda: sweep_file.band_path(docs.sweep),
        lambda: candidates.resolve(docs.sweep),
        lambda: band_of(docs.sweep),
        lambda: _check_band_path(docs.band, sweep_plan.make_plan(docs.prepared, [0], docs.sweep)),
        lambda: cohorts.split(docs.sweep, "channel"),
        lambda: _run(docs.sweep, None),
        lambda: sweep_record.stamp(docs.sweep, 0, {"status": "equal"}),
        lambda: path.write_bytes(before),
        lambda: record_of(docs, sweep_file.read_sweep(docs.sweep)).ask((0, 1)),
        lambda: path.write_bytes(before),
        lambda: shipped(docs),
    )


def body_of(docs, path):
    return {
        key: value for key, value in json.loads(docs.kept[path]).items() if key not in ("format", "version", "sha256")
    }


@SOME
@given(st.data())
def test_sealed_band(docs, data):
    docs.restore()
    seal(docs.band, "band", mutate(data, body_of(docs, docs.band)))
    band = ask(load_band, docs.band, names=docs.band)
    if band is None:
        return
    entries = candidates.resolve(docs.sweep)
    other = fit_band(
        {"accuracy": [0.1, 0.2, 0.4]}, provenance={"signature": body_of(docs, docs.band)["provenance"]["signature"]}
    )
    half = {name: [0.5] for name in band.metrics}
    wide = fit_band({"accuracy": [0.1, 0.25, 0.3]}, seeds=[7, 8, 9], provenance=other.provenance)
    csv = docs.folder / "scores.csv"
    csv.write_text("metric,seed,score\naccuracy,0,0.5\n")
    ask_all(
        lambda: console.print_verdict(band.judge(half), band),
        lambda: band.judge(half, rule="t").as_dict(),
        lambda: band.judge({name: [0.5, 0.25] for name in band.metrics}, rule="paired", seeds=band.seeds[:2]),
        lambda: console.print_band(band),
        lambda: console.print_band(band, as_json=True),
        lambda: console.print_plan(plan(0.1, band=band)),
        lambda: check_scores(csv, band),
        lambda: fit_band(
            {"accuracy": [0.1, 0.2, 0.3]}, seeds=[4, 5, 6], history=[band, other], provenance=other.provenance
        ),
        lambda: fit_band({name: [0.1, 0.2, 0.3] for name in band.metrics}, primary=band.primary, history=[band, wide]),
        lambda: _made_from(docs.band),
        lambda: sweep_file.sweep_folder(docs.band),
        lambda: eval_rows.of_band(band),
        lambda: band.save(docs.folder / "again.json"),
    )
    assert "recipe" not in band.provenance or load_band(docs.band) == band
    if "recipe" in band.provenance:
        run = run_file.read_run(docs.run)
        ask_all(
            lambda: scoring_of(band, None, offline=True),
            lambda: check_record(docs, band, entries[0]),
            lambda: check_record(docs, band, candidates.Found(entries[0].files, None)),
            lambda: pairs.shared_seeds(band, entries),
            lambda: pairs.item_floors(band, entries),
            lambda: recipes.parse_recipe(band.provenance["recipe"], "the band's recipe"),
            lambda: {int(seed) for seed in band.provenance["checkpoints"]},
            lambda: model_card(band, run).encode() if run.seed in band.seeds else None,
        )


@SOME
@given(st.data())
def test_sealed_head(docs, data):
    docs.restore()
    path = docs.run / "head.json"
    seal(path, "head", mutate(data, body_of(docs, path)))
    ask(model_folders.read_head, docs.run, names=path)
    files = CheckpointFiles("head", str(docs.run), "head")
    band = load_band(docs.band)
    ask_all(
        lambda: recognise.recognise(docs.run, "head"),
        lambda: json_files.digest(checkpoint_settings(files)),
        lambda: check_record(docs, band, candidates.Found(files, None)),
    )


LOOK = {
    "name": "a",
    "scores": {"accuracy": 0.5},
    "checkpoint_sha256": "ab",
    "failure": "",
    "baseline_seed": None,
    "seed": 1,
}
BOOK = {"entries": {"key": {"status": "suspect", "looks": [LOOK, {**LOOK, "checkpoint_sha256": "cd"}]}}}


@SOME
@given(st.data())
def test_sealed_ledger(docs, data):
    docs.restore()
    path = docs.folder / "ledger.json"
    seal(path, "ledger", mutate(data, BOOK))
    gate = Gate(fit_band({"accuracy": [0.1, 0.2, 0.4]}), find("retest"), 0.05, None, path, None)

    def use():
        with ledger.opened(path) as book:
            for key, entry in list(book.entries.items()):
                verdict = gate._judge([], entry.joined([]) or list(entry.looks))
                book.record(key, verdict.status, verdict.candidates)

    ask(use)


@SOME
@given(st.data())
def test_sealed_job(docs, data):
    docs.restore()
    path = docs.folder / "job.json"
    spec.write_job(path, sweep_plan.train_jobs(docs.prepared, docs.sweep, [0])[0])
    seal(path, "job", mutate(data, body(path)))
    ask(spec.read_job, path, names=path)


@SOME
@given(st.data())
def test_sealed_training_state_is_gone_on_from_or_left(docs, data):
    import torch

    from seedband.trainers.loop import resume

    folder = docs.folder / "training"
    folder.mkdir(exist_ok=True)
    trace_path(folder).write_text("{}\n")
    named = [("a", torch.nn.Parameter(torch.zeros(2)))]
    optimizer = torch.optim.AdamW([p for _, p in named])
    named[0][1].sum().backward()
    optimizer.step()
    resume.save(folder, named, optimizer, resume.Progress(1, ("0.5",), {"init": "x"}), "recipe")
    content = body(folder / TRAINING)
    weights = folder / "training-1.safetensors"
    if data.draw(st.booleans()):
        weights.write_bytes(damaged(data, weights.read_bytes()))
        content["tensors_sha256"] = file_hashes.file_sha256(weights)
    else:
        content = mutate(data, content)
    seal(folder / TRAINING, "training", content)
    found = resume.load(folder, named, torch.optim.AdamW([p for _, p in named]), {"init": "x"}, "recipe")
    assert found if isinstance(found, str) else (found.steps == 1 and len(found.losses) == 1)


ADAPTER = {"base_model_name_or_path": "org/base", "revision": None, "peft_type": "LORA", "modules_to_save": ["score"]}
CONFIG = {"model_type": "bert", "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0}, "vocab_size": 10}
SHARDS = {"metadata": {}, "weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
POOLING = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


@SOME
@given(st.data())
def test_files_of_other_tools(docs, data):
    docs.restore()
    folder = docs.folder / "foreign"
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    documents = {
        "adapter_config.json": ADAPTER,
        "config.json": CONFIG,
        model_folders.INDEX: SHARDS,
        "1_Pooling/config.json": POOLING,
    }
    chosen = data.draw(st.sampled_from(list(documents)))
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(mutate(data, document) if name == chosen else document))
    for name in ("a", "b", "adapter_model"):
        shutil.copyfile(docs.run / "head.safetensors", folder / f"{name}.safetensors")
    band = load_band(docs.band)
    adapter, model = (CheckpointFiles(kind, str(folder), "new") for kind in ("adapter", "model"))
    ask_all(
        lambda: recognise.recognise(folder, "new"),
        lambda: safety.check_safe(folder),
        lambda: model_folders.weights_sha256(folder),
        lambda: bases.files_sha256(folder),
        lambda: model_folders.tensor_names(folder),
        lambda: pooling.resolve_pooling("auto", folder),
        lambda: json_files.digest(checkpoint_settings(adapter)),
        lambda: json_files.digest(checkpoint_settings(model)),
        lambda: check_record(docs, band, candidates.Found(adapter, None)),
        lambda: check_record(docs, band, candidates.Found(model, None)),
    )


@SOME
@given(st.data())
def test_recipe(docs, data):
    docs.restore()
    import tomllib

    table = mutate(data, tomllib.loads(recipe_text(train_method='"head"')))
    path = docs.folder / "mutated.toml"
    try:
        path.write_text(tomli_w.dumps(_without_null(table)), encoding="utf-8")
    except (RecursionError, UnicodeEncodeError):
        return
    loaded = ask(recipes.load_recipe, path, names=path)
    if loaded is not None:
        ask_all(
            lambda: recipes.parse_recipe(recipes.tomllib.loads(recipes.dump_recipe(loaded.recipe)), "there"),
            lambda: Plan(prepare(loaded, offline=True), docs.sweep, (0,), record_of(docs), (), ()).as_dict(),
            lambda: sweep_plan.make_plan(replace_recipe(docs, loaded), [0]),
            lambda: history(replace_recipe(docs, loaded)),
        )


def replace_recipe(docs, loaded):
    return replace(docs.prepared, recipe=loaded.recipe)


def _without_null(value):
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return [_without_null(inner) for inner in value if inner is not None] if isinstance(value, list) else value


TOML = [
    *("[", "]", "[[", "]]", "=", ".", '"', "'''", "\n", "\\", "{", "}", ",", "#", "a", "model", "tool", "seedband"),
    *(
        "inf",
        "nan",
        "1e999",
        "1" * 5000,
        "a." * 5000,
        "[" * 2000,
        "{a=" * 2000,
        "2024-01-01",
        "99:99:99",
        "\ufeff",
        "\0",
    ),
]
toml = st.lists(st.sampled_from(TOML), max_size=12).map("".join)


@SOME
@given(toml)
def test_any_toml(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    for name in ("any.toml", "pyproject.toml"):
        (folder / name).write_text(text, encoding="utf-8")
        ask(recipes.load_recipe, folder / name, names=folder / name)
    ask(recipes.find_config, folder)


cells = st.sampled_from(
    ["metric", "seed", "score", "item", "acc", "0", "1", "-1", "0.5", "nan", "inf", "1e999", "9" * 400]
)
rows = st.lists(st.lists(cells | texts, max_size=5).map(",".join), max_size=6).map("\n".join)


@SOME
@given(rows, values)
def test_score_files(tmp_path_factory, text, value):
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.csv").write_text(text, encoding="utf-8", errors="replace")
    (folder / "any.json").write_text(json.dumps(value))
    (folder / "map.json").write_text(json.dumps({"acc": value, "f1": [0.5, value]}))
    for name in ("any.csv", "any.json", "map.json"):
        ask(read_scores, folder / name, names=folder / name)
        ask(read_scores, folder / name, failed=[0], names=folder / name)


lines = st.fixed_dictionaries(
    {}, optional={"text": texts | values, "label": texts | values, "id": texts | values, "channel": values}
).map(json.dumps)


@SOME
@given(st.lists(lines | texts, max_size=5).map("\n".join))
def test_rows_and_labels(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    path.write_text(text, encoding="utf-8", errors="replace")
    columns = {"text": "text", "label": "label", "id": "id", "slices": ["channel"]}
    items = ask(dataset.load_items, path, columns, names="rows.jsonl")
    if items is not None:
        dataset.overlap(items, items)
        assert not row_diff.changes(row_diff.of_items(items), row_diff.of_items(items))
        dataset.duplicates(items)
        assert dataset.label_set(items)
    ask(read_labels, path)
    path.write_text(f"[{text}]", encoding="utf-8", errors="replace")
    ask(read_labels, path, names=path)


def damaged(data, content):
    """Bytes with some of them changed, cut off or doubled."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)) | st.integers(0, min(200, len(content))))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    return bytes(content)


def safetensors_bytes(header, size=16):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


TENSORS = {"x": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"format": "pt"}}
DTYPES = ["F64", "F16", "BF16", "F8_E4M3", "F8_E8M0", "F4", "F6_E2M3", "U16", "BOOL", "C64", "I8", "x", ""]


@SOME
@given(st.data())
def test_safetensors(docs, data):
    folder = docs.folder / "tensors"
    folder.mkdir(exist_ok=True)
    header = mutate(data, TENSORS)
    if data.draw(st.booleans()):
        dtype = data.draw(st.sampled_from(DTYPES))
        header = {"x": {"dtype": dtype, "shape": [data.draw(st.integers(0, 32))], "data_offsets": [0, 16]}}
    content = safetensors_bytes(header)
    content = damaged(data, content) if data.draw(st.booleans()) else content
    for name in (model_folders.WEIGHTS, model_folders.HEAD_WEIGHTS):
        (folder / name).write_bytes(content)
    ask(model_folders.tensor_names, folder, names=folder / model_folders.WEIGHTS)
    for kind in ("head", "model"):
        ask(lambda kind=kind: list(checkpoint_tensors(CheckpointFiles(kind, str(folder), "new"))), names="new")


@FEW
@given(st.data())
def test_items(docs, data):
    docs.restore()
    run, path = run_file.read_run(docs.run), docs.run / "items.parquet"
    kept = docs.kept[path]
    table = parquet.read_table(pa.BufferReader(kept))
    kind = data.draw(st.sampled_from(["bytes", "drop", "retype", "twice", "shorter", "metadata"]))
    column = data.draw(st.sampled_from(table.column_names))
    if kind == "drop":
        table = table.drop_columns([column])
    if kind == "retype":
        entries = data.draw(st.sampled_from([[None], [1], ["x"], [[0.5]], [[None]], [b"x"], [{"a": 1}], [math.nan]]))
        index = table.column_names.index(column)
        table = table.set_column(index, column, pa.array(entries * table.num_rows))
    if kind == "twice":
        table = table.append_column(column, table[column])
    if kind == "shorter":
        table = table.slice(0, data.draw(st.integers(0, 3)))
    if kind == "metadata":
        table = table.replace_schema_metadata({"pandas": json.dumps(data.draw(values))})
    parquet.write_table(table, path)
    if kind == "bytes":
        path.write_bytes(damaged(data, kept))
    run = replace(run, items_sha256=file_hashes.file_sha256(path))
    other = run_file.read_run(docs.sweep / "seed-1")
    ask_all(
        lambda: score_table.read_items(run),
        lambda: score_table.item_scores([run, other], "accuracy"),
        lambda: score_table.scores_table([run, other]),
        lambda: _predictions(run),
    )
    record = {**run.record, "items_sha256": run.items_sha256, "sha256": 0}
    seal(docs.run / "run.json", "run", {key: value for key, value in record.items() if key != "sha256"})
    ask_all(lambda: cohorts.split(docs.sweep, "seed"), lambda: cohorts.split(docs.sweep, "channel"))
    ask(eval_rows.of_folder, docs.run)


def reader_table(docs):
    """Every reader, with the file that it reads."""
    columns = {"text": "text", "label": "label", "id": "id", "slices": []}
    folder = docs.folder / "any"
    files = CheckpointFiles("head", str(folder), "new")
    return {
        "band.json": load_band,
        "run.json": lambda path: run_file.read_run(path.parent),
        "sweep.json": lambda path: (sweep_file.read_sweep(path.parent), sweep_file.band_path(path.parent)),
        "head.json": lambda path: model_folders.read_head(path.parent),
        "job.json": spec.read_job,
        "ledger.json": lambda path: ledger.opened(path).__enter__(),
        "adapter_config.json": lambda path: model_folders.read_adapter(path.parent),
        "config.json": lambda path: model_config.read_config(path.parent),
        model_folders.INDEX: lambda path: model_folders.weight_files(path.parent),
        "1_Pooling/config.json": lambda path: pooling.resolve_pooling("auto", path.parent.parent),
        "seedband.toml": recipes.load_recipe,
        "pyproject.toml": recipes.load_recipe,
        "scores.csv": read_scores,
        "scores.json": read_scores,
        "rows.jsonl": lambda path: dataset.load_items(path, columns),
        "labels.json": read_labels,
        model_folders.WEIGHTS: lambda path: model_folders.tensor_names(path.parent),
        model_folders.HEAD_WEIGHTS: lambda _: list(checkpoint_tensors(files)),
    }


READERS = sorted(reader_table(Docs(Path(), None, {})))


@pytest.mark.parametrize("name", READERS)
@settings(SOME, max_examples=20)
@given(
    content=st.binary(max_size=40)
    | values.map(json.dumps).map(str.encode)
    | st.text(max_size=40).map(lambda t: t.encode(errors="replace"))
)
def test_any_bytes(docs, name, content):
    path = docs.folder / "any" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        ask(reader_table(docs)[name], path, names=path.name)
    finally:
        path.unlink()


DEEP = [b"[" * depth + b"]" * depth for depth in (*range(80, 120), *range(900, 1010, 3), 100_000)]


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(("json", "jsonl", "toml"))])
def test_nested_too_deep(docs, name):
    path = docs.folder / "any" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for deep in DEEP:
        path.write_bytes(b"x = " + deep if name.endswith("toml") else b'{"x": ' + deep + b"}")
        ask(reader_table(docs)[name], path, names=path.name)
    path.unlink()


@pytest.mark.parametrize("name", [name for name in READERS if "safetensors" not in name or name == model_folders.INDEX])
def test_a_gigantic_file_is_refused_unread(docs, name, monkeypatch):
    path = docs.folder / "any" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        os.truncate(file.fileno(), 2**31 + 1)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read"))
    monkeypatch.setattr(Path, "read_bytes", lambda *_, **__: pytest.fail("read"))
    try:
        with pytest.raises(Refused, match=r"bytes, more than the \d+ that are read"):
            reader_table(docs)[name](path)
    finally:
        path.unlink()


def test_a_parquet_bomb_is_refused_by_what_it_claims(docs, monkeypatch):
    path, run = docs.run / "items.parquet", run_file.read_run(docs.run)
    rows_ = 3_000_000
    parquet.write_table(pa.table({"label": pa.array(["x" * 50] * rows_)}), path, use_dictionary=False)
    assert path.stat().st_size < 10**7
    run = replace(run, items_sha256=file_hashes.file_sha256(path))
    monkeypatch.setattr(items, "MAX_ITEMS_BYTES", 10**8)
    with pytest.raises(Refused, match=r"bytes unpacked, more than the 100000000"):
        score_table.read_items(run)


@pytest.mark.parametrize("column", ["label", "logits"])
def test_a_parquet_bomb_of_repeated_values_is_refused_while_it_is_read(docs, monkeypatch, column):
    path, run = docs.run / "items.parquet", run_file.read_run(docs.run)
    rows_ = 100_000
    columns = {name: pa.array(["x"] * rows_) for name in ("item", "label", "prediction")}
    columns["logits"] = pa.array([[0.5]] * rows_)
    longer = {"label": lambda: pa.array(["x" * 10_000] * rows_), "logits": lambda: pa.array([[0.5] * 400] * rows_)}
    parquet.write_table(pa.table({**columns, column: longer[column]()}), path)
    assert path.stat().st_size < 10**6
    run = replace(run, items_sha256=file_hashes.file_sha256(path))
    monkeypatch.setattr(items, "MAX_ITEMS_BYTES", 10**8)
    before = pa.total_allocated_bytes()
    with pytest.raises(Refused, match=r"bytes unpacked, more than the 100000000"):
        score_table.read_items(run)
    assert pa.total_allocated_bytes() - before < 10**8


def test_a_line_that_is_too_long_is_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "MAX_LINE", 50)
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": "b"}\n' + json.dumps({"text": "a" * 50, "label": "b"}))
    with pytest.raises(UsageError, match="row 2 has 76 characters, expected at most 50 on a line"):
        dataset.load_items(tmp_path / "rows.jsonl", {"text": "text", "label": "label", "id": "id", "slices": []})


def test_a_band_of_hostile_names_does_not_drive_the_terminal(tmp_path):
    fit_band({"f1": [0.1, 0.2], "\x1b[31macc": [0.1, 0.2]}, primary="f1").save(tmp_path / "band.json")
    with pytest.raises(Refused, match=r"metrics: found .*'\\x1b\[31macc'.*expected a table of metrics"):
        load_band(tmp_path / "band.json")


def test_a_run_in_the_folder_of_another_seed_is_refused(docs):
    shutil.copyfile(docs.sweep / "seed-1" / "run.json", docs.run / "run.json")
    for call in (folders.finished_runs, candidates.resolve):
        with pytest.raises(Refused, match=r"seed-0/run\.json: .*seed"):
            call(docs.sweep)


def test_data_names_lead_to_no_other_folder():
    import tomllib

    for name in ("../../etc", "/etc/x", "a\\u0000b", "a" * 300):
        with pytest.raises(UsageError, match="1 mistake") as caught:
            recipes.parse_recipe(tomllib.loads(recipe_text(data_name=f'"{name}"')), "there")
        assert caught.value.problems[0].where == "data.name"


NAN = ("NaN", "Infinity", "-Infinity", "1e999")


@pytest.mark.parametrize("number", NAN)
@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(("json", "jsonl"))])
def test_json_has_no_word_for_nan(docs, name, number):
    path = docs.folder / "any" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"[{number}]" if name == "labels.json" else f'{{"accuracy": [0.5, {number}]}}'
    path.write_text(text)
    try:
        with pytest.raises((UsageError, Refused), match="finite"):
            reader_table(docs)[name](path)
    finally:
        path.unlink()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "key",
    ["train_learning_rate", "train_weight_decay", "train_warmup_ratio", "lora_alpha", "lora_dropout", "gate_alpha"],
)
def test_toml_has_words_for_nan_and_recipes_do_not(tmp_path, key, number):
    (tmp_path / "seedband.toml").write_text(recipe_text(**{key: number}))
    with pytest.raises(UsageError) as caught:
        recipes.load_recipe(tmp_path / "seedband.toml")
    (problem,) = caught.value.problems
    assert problem.where == key.replace("_", ".", 1)
    assert "finite" in problem.expected


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("key", ["train_epochs", "data_name", "seeds_vary"])
def test_keys_that_are_no_numbers_are_not_nan_either(tmp_path, key, number):
    (tmp_path / "seedband.toml").write_text(recipe_text(**{key: number}))
    with pytest.raises(UsageError) as caught:
        recipes.load_recipe(tmp_path / "seedband.toml")
    assert caught.value.problems[0].where == key.replace("_", ".", 1)


@pytest.mark.parametrize("score", ["nan", "inf", "-inf", "NaN", "Infinity", "1e999"])
def test_csv_scores_are_finite(tmp_path, score):
    (tmp_path / "scores.csv").write_text(f"metric,seed,score\naccuracy,0,0.5\naccuracy,1,{score}\n")
    with pytest.raises(Refused, match="a finite score"):
        read_scores(tmp_path / "scores.csv")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "command",
    [
        ["check", "--scores", "scores.csv", "--alpha"],
        ["check", "--scores", "scores.csv", "--rule", "paired", "--tolerance"],
        ["plan", "--sd", "0.01", "--drop"],
        ["plan", "--drop", "0.01", "--sd"],
        ["plan", "--drop", "0.01", "--sd", "0.01", "--power"],
        ["plan", "--drop", "0.01", "--sd", "0.01", "--alpha"],
        ["band", "scores.csv", "--alpha"],
    ],
)
def test_flags_that_are_not_finite_exit_2(tmp_path, monkeypatch, command, number):
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("metric,seed,score\naccuracy,0,0.5\naccuracy,1,0.6\n")
    fit_band({"accuracy": [0.5, 0.6]}).save("band.json")
    done = CliRunner().invoke(app, [*command[:-1], f"{command[-1]}={number}"])
    assert done.exit_code == 2
    assert number in done.output


@given(values)
def test_what_a_message_shows_is_short(value):
    assert len(brief(value)) < 2000


@given(texts)
def test_a_path_can_be_asked_of_the_file_system(text):
    if a_path(text):
        assert Path(text).is_file() in (True, False)
        assert Path(text).resolve().is_absolute()
