"""What a model's config says."""

import json

import pytest

from seedband.errors import Refused
from seedband.models.model_config import end_ids, has_chat_template, positions


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"n_positions": 1024}, 1024),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 32768}}, 32768),
        ({"max_position_embeddings": -1}, None),
        ({}, None),
    ],
)
def test_positions_are_those_that_a_text_can_have(config, expected, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert positions(tmp_path) == expected


def test_positions_of_roberta_are_those_of_its_forward_pass(tmp_path):
    import torch
    from transformers import RobertaConfig, RobertaModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = RobertaModel(RobertaConfig(vocab_size=20, max_position_embeddings=14, pad_token_id=1, **sizes))
    model.config.save_pretrained(tmp_path)
    most = positions(tmp_path)
    model(torch.full((1, most), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, most + 1), 5))


@pytest.mark.parametrize(
    ("generation", "config", "expected"),
    [
        ({"eos_token_id": [2, 7]}, {"eos_token_id": 3}, [2, 7]),
        ({}, {"eos_token_id": 3}, [3]),
        (None, {"eos_token_id": 3}, [3]),
        (None, {"text_config": {"eos_token_id": [4]}}, [4]),
        (None, {}, []),
    ],
)
def test_a_text_ends_where_the_generation_config_says_or_else_the_config(generation, config, expected, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert end_ids(tmp_path) == expected


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_a_text_ends_with_tokens(name, tmp_path):
    (tmp_path / name).write_text(json.dumps({"eos_token_id": "</s>"}))
    with pytest.raises(Refused, match="eos_token_id"):
        end_ids(tmp_path)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("{{ messages }}", True),
        ([{"name": "default", "template": "{{ messages }}"}], True),
        ([{"name": "rag", "template": "{{ messages }}"}], False),
        (None, False),
    ],
)
def test_a_chat_template_stands_in_the_tokenizers_config_or_beside_it(told, expected, tmp_path):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": told}))
    assert has_chat_template(tmp_path) is expected
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert has_chat_template(tmp_path)
