"""Names and shapes of tensors of unknown origin."""

import pytest

from seedband.errors import Refused
from seedband.models.shape_check import canonical_names, grown_rows

QUERY = "base_model.model.bert.query"


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (f"{QUERY}.lora_A.weight", f"{QUERY}.lora_A.weight"),
        (f"{QUERY}.lora_A.default.weight", f"{QUERY}.lora_A.weight"),
        (f"{QUERY}.lora_B.sft.weight", f"{QUERY}.lora_B.weight"),
        (f"{QUERY}.lora_B.default.bias", f"{QUERY}.lora_B.bias"),
        (f"{QUERY}.lora_embedding_A.default", f"{QUERY}.lora_embedding_A"),
        (f"{QUERY}.lora_magnitude_vector.default.weight", f"{QUERY}.lora_magnitude_vector.weight"),
        (f"{QUERY}.token_adapter.trainable_tokens_delta.default", f"{QUERY}.token_adapter.trainable_tokens_delta"),
        (f"{QUERY}.modules_to_save.default.dense.weight", f"{QUERY}.dense.weight"),
        (f"_orig_mod.{QUERY}.lora_A.weight", f"{QUERY}.lora_A.weight"),
        (f"module.{QUERY}.lora_A.weight", f"{QUERY}.lora_A.weight"),
        ("base_model.model._orig_mod.bert.query.lora_A.weight", f"{QUERY}.lora_A.weight"),
        ("base_model.model.base_model.model.bert.query.lora_A.weight", f"{QUERY}.lora_A.weight"),
        ("bert._fsdp_wrapped_module.query.lora_A.weight", f"{QUERY}.lora_A.weight"),
        ("base_model.model.model.query.weight", "base_model.model.model.query.weight"),
    ],
)
def test_tensors_are_called_as_peft_saves_them(raw, plain):
    assert canonical_names([raw], "adapter") == {raw: plain}


def test_what_is_saved_twice_keeps_its_names():
    twice = [f"{QUERY}.weight", f"{QUERY}.modules_to_save.weight", f"{QUERY}.modules_to_save.default.weight"]
    assert set(canonical_names(twice, "adapter").values()) == set(twice)


def test_two_adapters_in_one_file_are_refused():
    names = [f"{QUERY}.lora_A.{adapter}.weight" for adapter in ("default", "reference")]
    with pytest.raises(Refused, match="two adapters"):
        canonical_names(names, "adapter")


@pytest.mark.parametrize(
    ("rows", "told"),
    [([12], ""), ([12, 13], "different numbers"), ([10**9], "expected 1 to 1044"), ([0], "expected 1")],
)
def test_embeddings_may_have_some_more_tokens_and_all_the_same_number(rows, told):
    base = {"embed.weight": (10, 4), "head.weight": (10, 4), "query.weight": (4, 4)}
    found = {f"base_model.model.{name}": (count, 4) for name, count in zip(base, rows, strict=False)}
    if told:
        with pytest.raises(Refused, match=told):
            grown_rows("adapter", found, base, 10)
    else:
        assert grown_rows("adapter", found, base, 10) == 12
