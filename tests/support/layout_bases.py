"""Bases that layouts of checkpoints are tried on: tiny, of random weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import LABELS


@dataclass(frozen=True)
class Base:
    """What bands stand on.

    Attributes:
        make: Writes the model and its tokenizer to a folder.
        targets: Modules that the band's own adapters are on.
        texts: Whether it says texts; it tells classes if not.
    """

    make: Callable[[Path], Any]
    targets: Sequence[str]
    texts: bool = True


def auto_class(base: Base) -> Any:
    """The class of transformers that opens a base for its task."""
    import transformers

    return transformers.AutoModelForCausalLM if base.texts else transformers.AutoModelForSequenceClassification


def labelled(base: Base) -> dict[str, Any]:
    """What a classifier is told about its outputs."""
    return {} if base.texts else {"num_labels": len(LABELS), "id2label": dict(enumerate(LABELS))}


def encoder(folder: Path) -> None:
    from tiny_encoder import make_tiny_encoder

    make_tiny_encoder(folder)


def tied(folder: Path) -> None:
    from tiny_decoder import make_tiny_decoder

    make_tiny_decoder(folder)


def decoder(folder: Path, architecture: str, **settings: Any) -> None:
    """A decoder with the tokenizer of the tied one."""
    import torch
    import transformers

    tied(folder)
    own = transformers.AutoConfig.from_pretrained(folder)
    ids = {name: getattr(own, name) for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
    (folder / "model.safetensors").unlink()
    config = getattr(transformers, f"{architecture}Config")(**{**ids, **settings})
    torch.manual_seed(0)
    family = {"GPT2": "GPT2LMHeadModel"}.get(architecture, f"{architecture}ForCausalLM")
    getattr(transformers, family)(config).save_pretrained(folder)


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}
BASES: Mapping[str, Base] = {
    "encoder": Base(encoder, ["query", "value"], texts=False),
    "tied decoder": Base(tied, ["q_proj", "v_proj"]),
    "decoder": Base(lambda folder: decoder(folder, "Llama", tie_word_embeddings=False, **SMALL), ["q_proj", "v_proj"]),
    "GPT-2": Base(
        lambda folder: decoder(folder, "GPT2", n_embd=32, n_layer=2, n_head=4, n_positions=128, initializer_range=0.2),
        ["c_attn"],
    ),
    "mixture of experts": Base(
        lambda folder: decoder(folder, "Mixtral", num_local_experts=4, tie_word_embeddings=False, **SMALL),
        ["q_proj", "v_proj"],
    ),
}

ENCODER, TIED, DECODER, GPT2, MOE = BASES
