"""Base models: found in a folder, in a package or on a hub."""

import shutil
import sys

import pytest

from seedband.errors import UsageError, WorkFailed
from seedband.models.bases import check_reads, files_sha256, locate_base
from seedband.models.hub import HUB_FILE
from seedband.models.readers import TOKENIZER
from seedband.storage.file_hashes import file_sha256


@pytest.fixture
def package(tmp_path, tiny_recipe, monkeypatch):
    """An installed package that carries a model and must never be imported."""
    root = tmp_path / "site" / "carrier"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise AssertionError('imported')")
    (root / "model").symlink_to(tiny_recipe.folder / "base", target_is_directory=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return root


def test_folder_is_found_relative_to_the_recipe(tiny_recipe):
    base = locate_base("base", None, tiny_recipe.folder, offline=True)
    assert base.sha256 == file_sha256(tiny_recipe.folder / "base" / "model.safetensors")
    assert base.reference == "base"


def test_package_is_located_and_never_imported(tmp_path, tiny_recipe, monkeypatch):
    root = tmp_path / "site" / "carrier"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise AssertionError('imported')")
    shutil.copytree(tiny_recipe.folder / "base", root / "model")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    base = locate_base("package:carrier/model", None, tmp_path, offline=True)
    assert base.path == str(root / "model")
    assert "carrier" not in sys.modules


def test_package_folder_cannot_lead_out_of_the_package(package):
    with pytest.raises(UsageError, match="has no folder"):
        locate_base("package:carrier/../..", None, package, offline=True)
    with pytest.raises(UsageError, match="has no folder"):
        locate_base("package:carrier/model", None, package, offline=True)  # a link that leads out


@pytest.mark.parametrize("reference", ["package:no_such_package/model", "package:os.path/model", "nowhere", "a/b/c"])
def test_what_is_not_there_is_a_usage_error(reference, tmp_path):
    with pytest.raises(UsageError):
        locate_base(reference, None, tmp_path, offline=True)


@pytest.mark.parametrize(
    "name",
    ["chat_template.jinja", "chat_template.json", "additional_chat_templates/tool.jinja", "generation_config.json"],
)
def test_what_decides_prompts_and_where_answers_end_is_part_of_the_base(tiny_recipe, tmp_path, name):
    base = shutil.copytree(tiny_recipe.folder / "base", tmp_path / "base")
    before = files_sha256(base)
    (base / name).parent.mkdir(exist_ok=True)
    (base / name).write_text("{}")
    assert files_sha256(base) != before


@pytest.mark.parametrize("name", ["chat_template.jinja", "generation_config.json", "config.json"])
def test_what_scores_depend_on_is_fetched_from_a_hub(name):
    assert HUB_FILE.fullmatch(name)


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_hub_id_needs_a_commit(revision, tmp_path):
    with pytest.raises(UsageError, match="commit"):
        locate_base("org/name", revision, tmp_path, offline=True)


def test_hub_id_that_is_not_cached_cannot_be_fetched_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(WorkFailed, match="cannot get org/name"):
        locate_base("org/name", "0" * 40, tmp_path, offline=True)


def test_a_sentencepiece_model_alone_is_a_tokenizer(tiny_recipe, tmp_path):
    import sentencepiece
    from transformers import AutoTokenizer

    base = shutil.copytree(tiny_recipe.folder / "base", tmp_path / "base")
    for path in base.glob("*"):
        if path.name.startswith(("tokenizer", "vocab", "special")):
            path.unlink()
    with pytest.raises(UsageError, match="has no tokenizer"):
        check_reads(base, TOKENIZER)
    pieces = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    ids = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    with (base / "spm.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["the nile is a river", "gold is a metal"] * 50),
            model_writer=file,
            vocab_size=40,
            hard_vocab_limit=False,
            minloglevel=2,
            **ids,
            **pieces,
        )
    (base / "tokenizer_config.json").write_text('{"tokenizer_class": "DebertaV2Tokenizer"}')
    check_reads(base, TOKENIZER)
    read = AutoTokenizer.from_pretrained(base)("the nile")["input_ids"]
    assert (read[0], read[-1]) == (1, 2)
    (base / "spm.model").write_bytes(b"x")
    with pytest.raises(UsageError, match="transformers cannot open"):
        check_reads(base, TOKENIZER)
