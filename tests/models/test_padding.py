"""What a model says of a row does not hang on the rows beside it, in training as in scoring."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from architectures import EQUAL, MATRIX, make
from matrix import scored
from tiny import run_cli
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from seedband import tasks
from seedband.commands.sweep.prepare import prepare
from seedband.data.dataset import load_items
from seedband.determinism.seeds import item_keys
from seedband.errors import UsageError
from seedband.models.encoded import batches
from seedband.models.padding import Way, equal_parts, is_unknown, settle, version
from seedband.recipe.parse import load_recipe
from seedband.storage import file_hashes, json_files
from seedband.trainers import TrainContext
from seedband.trainers.loop.forward import Forward

KINDS = {row.key: row for row in MATRIX}
#: Architecture → left, equal, version.
KNOWN = {
    "bert-text-classification": (False, False, 1),
    "qwen2-text-classification": (False, False, 2),
    "xlnet-text-classification": (True, False, 2),
    "fnet-text-classification": (False, True, 2),
    "llama-causal-lm": (True, False, 2),
    "recurrent_gemma-causal-lm": (True, True, 2),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("padding")

    def make_once(key):
        if not (folder / key).exists():
            make(KINDS[key], folder / key)
        return prepare(load_recipe(folder / key / "seedband.toml"), offline=True)

    return make_once


def settled(prepared):
    """The rows of a recipe, the network, what was found out and what was told."""
    scoring = prepared.scoring
    task, told, ways = tasks.find(scoring.task), [], {}
    torch.manual_seed(0)
    network = task.load(scoring.base.path, scoring.labels)
    lesson = task.encode(prepared.train_items, scoring)
    settle(network, lesson, "cpu", ways, "model", lambda _kind, _seed, content: told.append(content["text"]))
    return lesson, network, ways["model"], told


@pytest.mark.parametrize("key", KNOWN)
def test_a_way_is_found_in_which_padding_changes_nothing(made, key):
    lesson, _, way, told = settled(made(key))
    left, equal, number = KNOWN[key]
    assert (way.left, way.equal, version(lesson, way)) == (left, equal, number)
    assert (lesson.left_padded, lesson.equal_lengths) == (left, equal)
    assert [EQUAL in text for text in told] == [True] * equal


@pytest.mark.parametrize("key", KNOWN)
def test_the_loss_of_a_batch_is_that_of_its_rows_one_by_one(made, key):
    prepared = made(key)
    scoring, items = prepared.scoring, prepared.train_items
    torch.manual_seed(0)
    network = tasks.find(scoring.task).load(scoring.base.path, scoring.labels)
    network.module.eval()
    lesson = tasks.find(scoring.task).encode(items, scoring)
    context = TrainContext(prepared.recipe, scoring, items, tuple(item_keys(items.contents)), "cpu", "tests")
    with torch.no_grad():
        alone = [float(lesson.loss(network.forward(lesson.batch([row], "cpu")), [row])) for row in range(len(items))]
    new = [parameter for name, parameter in network.module.named_parameters() if name in network.new]
    forward = Forward(network, new, lesson, context, lambda *_: None, drop_out=True)
    rows = list(range(len(items)))[::-1]
    with torch.no_grad():
        summed = sum(float(forward.loss(part)) for part in forward.parts(rows))
    np.testing.assert_allclose(summed, sum(alone), rtol=1e-4)


def test_what_is_known_is_not_tried_again_and_rows_of_one_length_are_not_tried(made):
    prepared = made("fnet-text-classification")
    lesson, network, way, _ = settled(prepared)
    assert not is_unknown(lesson, way)
    ways = {"model": replace(way, equal=False)}
    settle(network, lesson, "cpu", ways, "model", lambda *_: None)
    assert not lesson.equal_lengths
    lesson.lengths = [7] * len(lesson.lengths)
    ways = {}
    settle(network, lesson, "cpu", ways, "model", lambda *_: None)
    assert ways == {"model": Way(left=False, equal=False, pad_id=None, tried=False)}
    assert version(lesson, way) == 1, "rows that nothing is padded beside were right"


def test_bands_whose_pad_ids_agree_are_as_they_were(made):
    prepared = made("qwen2-text-classification")
    lesson, _, way, _ = settled(prepared)
    assert version(lesson, replace(way, pad_id=lesson.tokenizer.pad_token_id)) == 1
    assert version(lesson, replace(way, pad_id=lesson.rows[0]["input_ids"][-1])) == 2


def test_a_row_that_a_model_cannot_read_by_itself_is_told(made, monkeypatch):
    prepared = made("bert-text-classification")
    scoring = prepared.scoring
    task = tasks.find(scoring.task)
    network, lesson = task.load(scoring.base.path, scoring.labels), task.encode(prepared.train_items, scoring)
    monkeypatch.setattr(lesson, "batch", lambda *_: {"input_ids": torch.zeros(1, 10**4, dtype=torch.int64)})
    with pytest.raises(UsageError, match=r"BertForSequenceClassification cannot read a row of \d+ tokens"):
        settle(network, lesson, "cpu", {}, "model", lambda *_: None)


@pytest.mark.parametrize("key", ["big_bird, in blocks-text-classification", "reformer-text-classification"])
def test_a_model_that_says_something_else_each_time_is_refused(made, key):
    with pytest.raises(UsageError, match="says something else of one row each time, or after rows of other lengths"):
        settled(made(key))


def test_batches_of_equal_lengths_hold_every_row_once():
    lesson = type("Rows", (), {"lengths": [3, 5, 3, 4, 5, 3], "equal_lengths": True})()
    assert equal_parts(lesson, [5, 4, 3, 2, 1, 0]) == [[5, 2, 0], [3], [4, 1]]
    assert batches(lesson.lengths, 2, equal=True) == [[0, 2], [5], [3], [1, 4]]
    lesson.equal_lengths = False
    assert equal_parts(lesson, [5, 4]) == [[5, 4]]


def test_a_whole_model_is_scored_alike_whatever_pad_token_it_names(tmp_path):
    row = KINDS["qwen2-text-classification"]
    make(row, tmp_path)
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", num_labels=3)
    logits = []
    for named in (None, 0, 256):
        run = tmp_path / "runs" / "seed-0"
        shutil.rmtree(run, ignore_errors=True)
        model.config.pad_token_id = named
        model.config.id2label = dict(enumerate(("fruit", "metal", "river")))
        model.config.label2id = {label: number for number, label in model.config.id2label.items()}
        model.save_pretrained(run)
        logits.append(scored(tmp_path, 16).logits)
    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_array_equal(logits[0], logits[2])
    items = load_items(
        tmp_path / "eval.jsonl", prepare(load_recipe(tmp_path / "seedband.toml"), offline=True).scoring.columns
    )
    tokenizer, model.config.pad_token_id = AutoTokenizer.from_pretrained(tmp_path / "base"), None
    with torch.no_grad():
        alone = [model.eval()(**tokenizer(text, return_tensors="pt")).logits[0].numpy() for text in items.inputs]
    np.testing.assert_allclose(logits[0], np.stack(alone), atol=1e-4)


def as_before(path, kind, *inside):
    """A record as earlier versions wrote it, without versions of padding."""
    content = json_files.read_json(path, kind)
    inner = content
    for key in inside:
        inner = inner[key]
    for table in (content, inner):
        for key in ("padding", "trained_padding"):
            table.pop(key, None)
    json_files.write_json(
        path, kind, {key: value for key, value in content.items() if key not in ("format", "version")}
    )


@pytest.mark.slow
@pytest.mark.parametrize("key", ["llama-causal-lm", "qwen2-text-classification"])
def test_an_old_band_is_refused_until_its_checkpoints_are_scored_anew(tmp_path, key):
    folder = tmp_path
    make(KINDS[key], folder)
    recipe = (folder / "seedband.toml").read_text().replace("epochs = 1", "epochs = 8")
    (folder / "seedband.toml").write_text(recipe.replace("log_loss", "calibration_error"))
    done = run_cli("sweep", "--seeds", "3", "--offline", "--out", "runs", "--band", "band.json", cwd=folder)
    assert done.code == 0, done.err
    shutil.copytree(folder / "runs" / "seed-0", folder / "candidate")
    for seed in range(3):
        as_before(folder / "runs" / f"seed-{seed}" / "run.json", "run", "signature")
    as_before(folder / "band.json", "band", "provenance", "signature")
    record = json_files.read_json(folder / "runs" / "sweep.json", "sweep")
    kept = {key: value for key, value in record.items() if key not in ("format", "version")}
    sha256 = file_hashes.file_sha256(folder / "band.json")
    json_files.write_json(folder / "runs" / "sweep.json", "sweep", {**kept, "band_sha256": sha256})
    refused = run_cli("check", "candidate", cwd=folder)
    assert refused.code == 3, refused.out + refused.err
    assert "band was made with wrong padding: sweep again, or rescore its checkpoints" in refused.err
    again = run_cli("sweep", "--seeds", "3", "--offline", "--out", "runs", "--band", "band.json", cwd=folder)
    assert again.code == 0, again.err
    assert "scored again, not trained again" in again.err
    assert ("trained these seeds with wrong padding" in again.err) == (key != "llama-causal-lm")
    signature = json.loads((folder / "band.json").read_text())["provenance"]["signature"]
    assert (signature["padding"], signature["trained_padding"]) == (2, 1)
    assert run_cli("check", "candidate", cwd=folder).code in (0, 1)
    third = run_cli("sweep", "--seeds", "3", "--offline", "--out", "runs", "--band", "band.json", cwd=folder)
    assert "scored again" not in third.err
