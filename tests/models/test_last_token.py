"""A decoder that classifies reads each row's last token, whatever ids its config names."""

import numpy as np
import pytest
import torch
from architectures import ENDED, MATRIX, PADDED, make
from transformers import AutoConfig, AutoModelForSequenceClassification, T5Config, T5ForSequenceClassification

from seedband.models.last_token import find_by_mask, looks_for_padding, take_ids
from seedband.tasks import find

ROWS = [[5, 7, 9, 0], [5, 0], [8], [0, 0, 0], [4, 6, 256]]
DECODER = next(row for row in MATRIX if row.key == "qwen2-text-classification")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    make(DECODER, folder)
    return folder / "base"


def opened(base, pad_token_id):
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, pad_token_id=pad_token_id).eval()


def batch(fill, *, left=False):
    longest = max(map(len, ROWS))
    gaps = [longest - len(row) for row in ROWS]
    pad = (lambda row, gap, filler: [filler] * gap + row) if left else (lambda row, gap, filler: row + [filler] * gap)
    ids = [pad(row, gap, fill) for row, gap in zip(ROWS, gaps, strict=True)]
    mask = [pad([1] * len(row), gap, 0) for row, gap in zip(ROWS, gaps, strict=True)]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("fill", [0, 7, 256])
@pytest.mark.parametrize("named", [None, 0, 7, 256])
def test_no_id_hides_a_token_or_shows_padding(base, named, fill, left):
    model, plain = opened(base, named), opened(base, None)
    find_by_mask(model)
    with torch.no_grad():
        alone = [plain(input_ids=torch.tensor([row])).logits[0].numpy() for row in ROWS]
        together = model(**batch(fill, left=left)).logits.numpy()
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)


@pytest.mark.parametrize("named", [None, 0, 7])
def test_a_config_is_as_it_was_once_the_model_is_done_or_has_failed(base, named):
    model = opened(base, named)
    known = find_by_mask(model)
    assert known == model.config.pad_token_id == (named or 0)
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[10**6]]), attention_mask=torch.tensor([[1]]))
    model(**batch(7))
    assert model.config.pad_token_id == known


def test_what_does_not_look_for_padding_is_left_alone(tmp_path):
    make(next(row for row in MATRIX if row.key == "bert-text-classification"), tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    assert find_by_mask(model) is None
    assert not model._forward_pre_hooks


def test_decoders_that_classify_are_known_by_their_class():
    assert looks_for_padding(
        type(AutoModelForSequenceClassification.from_config(AutoConfig.for_model("gpt2", n_layer=1)))
    )
    assert not looks_for_padding(T5ForSequenceClassification)


def test_gradients_pass_through_the_last_token_only(base):
    model = opened(base, 0)
    find_by_mask(model)
    seen = []
    model.score.register_full_backward_hook(lambda _module, _into, out: seen.append(out[0].abs().sum(-1)))
    model(**batch(0)).logits.sum().backward()
    last = [place.nonzero().flatten().tolist() for place in seen[0]]
    assert last == [[len(row) - 1] for row in ROWS]


def test_the_end_of_a_row_is_the_bases_whatever_a_whole_model_says(tmp_path):
    n_tokens = ENDED(tmp_path / "base")
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    T5Config(vocab_size=n_tokens, **sizes).save_pretrained(tmp_path / "base")
    model = T5ForSequenceClassification(T5Config(vocab_size=n_tokens, eos_token_id=9, **sizes))
    take_ids(model, str(tmp_path / "base"))
    assert model.config.eos_token_id == 1


@pytest.mark.parametrize("kind", ["gpt2", "opt", "bloom", "modernbert-decoder"])
def test_other_architectures_too(tmp_path, kind):
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    given = {
        "gpt2": {"n_embd": 32, "n_layer": 1, "n_head": 4},
        "opt": {**sizes, "ffn_dim": 64, "word_embed_proj_dim": 32},
        "bloom": {"hidden_size": 32, "n_layer": 1, "n_head": 4},
        "modernbert-decoder": sizes,
    }[kind]
    PADDED(tmp_path)
    config = AutoConfig.for_model(kind, **{"vocab_size": 300, "num_labels": 3, "pad_token_id": 0, **given})
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    network = find("text-classification").load(str(tmp_path), ("a", "b", "c"))
    assert network.pad_id is not None
    model = network.module.eval()
    with torch.no_grad():
        alone = [
            model(input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.int64)).logits[0]
            for row in ROWS
        ]
        np.testing.assert_allclose(model(**batch(7)).logits, torch.stack(alone), atol=1e-5)
