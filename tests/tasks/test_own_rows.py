"""Rows as a checkpoint's own tokenizer reads them."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from seedband.data.dataset import load_items
from seedband.errors import Refused
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe.scoring import Base
from seedband.tasks import find
from seedband.tasks.own_rows import check_ids, read_alike

COLUMNS = {
    "task": "causal-lm", "prompt": "prompt", "completion": "completion", "messages": "messages",
    "context": "context", "id": "id", "slices": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    from tiny_decoder import make_tiny_decoder

    return make_tiny_decoder(tmp_path_factory.mktemp("own-rows") / "base", chat=True)


@pytest.fixture
def chats(tmp_path):
    talks = [
        [{"role": "user", "content": f"the apple {n}"}, {"role": "assistant", "content": "a fruit"}] for n in range(3)
    ]
    path = tmp_path / "eval.jsonl"
    path.write_text("".join(json.dumps({"id": f"r{n}", "messages": talk}) + "\n" for n, talk in enumerate(talks)))
    return load_items(path, COLUMNS)


@pytest.fixture
def ask(base, chats):
    """Reads the rows as a candidate does."""
    scoring = SimpleNamespace(base=Base("base", str(base), "", ""), task="causal-lm", max_length=48, labels=())
    lesson = find("causal-lm").encode(chats, scoring)

    def read(folder, kind="adapter"):
        return read_alike(CheckpointFiles(kind, str(folder), "mine"), scoring, chats, lesson, find("causal-lm")), lesson

    return read


@pytest.fixture
def candidate(base, tmp_path):
    folder = tmp_path / "candidate"
    folder.mkdir()
    for file in base.iterdir():
        if file.name != "model.safetensors":
            shutil.copy(file, folder)
    return folder


def template(folder) -> str:
    return (folder / "chat_template.jinja").read_text(encoding="utf-8")


def test_the_bases_own_tokenizer_is_read_no_second_time(ask, candidate):
    found, lesson = ask(candidate)
    assert found is lesson


def test_a_checkpoint_without_a_tokenizer_reads_as_the_base(ask, tmp_path):
    (tmp_path / "bare").mkdir()
    found, lesson = ask(tmp_path / "bare")
    assert found is lesson


def test_a_template_that_renders_the_rows_alike_is_let_through(ask, candidate):
    (candidate / "chat_template.jinja").write_text("{# another one #}" + template(candidate))
    found, lesson = ask(candidate)
    assert found.rows == lesson.rows


def test_a_template_that_renders_a_row_otherwise_is_refused_and_the_row_named(ask, candidate):
    changed = "{% if 'apple 1' in messages[0]['content'] %}<|system|>{% endif %}" + template(candidate)
    (candidate / "chat_template.jinja").write_text(changed)
    with pytest.raises(Refused, match=r"mine: its own tokenizer reads row 2 of eval.jsonl \(id r1\).*token 1 of its "):
        ask(candidate)


def test_a_tokenizer_without_a_template_takes_the_bases(ask, candidate):
    (candidate / "chat_template.jinja").unlink()
    found, lesson = ask(candidate)
    assert found.rows == lesson.rows


def test_a_tokenizer_that_cannot_be_opened_is_refused(ask, candidate):
    (candidate / "tokenizer.json").write_text("{}")
    with pytest.raises(Refused, match="transformers cannot open its tokenizer") as raised:
        ask(candidate)
    assert "remove its files" in raised.value.hint


def test_answers_are_spelt_with_the_tokens_that_were_added(ask, candidate):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(candidate)
    tokenizer.add_tokens(["granite"])
    tokenizer.save_pretrained(candidate)
    found, lesson = ask(candidate)
    assert found.spell([[len(tokenizer) - 1]]) == ["granite"]
    assert lesson.spell([[len(tokenizer) - 1]]) != ["granite"]


def network(embeddings):
    """A model that looks tokens up in a table of so many, or in none."""

    def look_up():
        if embeddings is None:
            raise NotImplementedError
        return torch.nn.Embedding(embeddings, 2)

    return SimpleNamespace(module=SimpleNamespace(get_input_embeddings=look_up))


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_a_token_without_an_embedding_is_refused_and_the_row_named(ask, candidate, chats, kind):
    found, _ = ask(candidate)
    most = max(max(*row.prompt, *row.completion) for row in found.rows)
    files = CheckpointFiles(kind, str(candidate), "mine")
    check_ids(files, network(most + 1), chats, found, find("causal-lm"))
    with pytest.raises(Refused, match=r"has 9 embeddings, and row 1 of eval.jsonl \(id r0\)"):
        check_ids(files, network(9), chats, found, find("causal-lm"))


@pytest.mark.parametrize(("kind", "embeddings"), [("head", 9), ("model", None)])
def test_heads_and_models_that_have_no_table_of_tokens_lack_none(ask, candidate, chats, kind, embeddings):
    found, _ = ask(candidate)
    check_ids(CheckpointFiles(kind, str(candidate), "mine"), network(embeddings), chats, found, find("causal-lm"))
