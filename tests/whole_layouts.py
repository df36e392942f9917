"""Whole models and folders as other tools leave them: how each is made, and what has to become of it.

A layout is scored through the real command line and by hand, by plain transformers, one row at a time and without
padding.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import LABELS

SEED = 3


@dataclass(frozen=True)
class Layout:
    """One way in which a model comes.

    Attributes:
        name: As the reference page calls it.
        base: Key of `BASES`: what the band stands on.
        make: Writes it to a folder, given that and its base's.
        refused: A part of the message; empty where it is scored.
        code: The exit code where it is refused.
        by_hand: Where plain transformers needs a call of its own: gives the model, given folder and auto class.
        fast: Whether it is tried in the fast suite, too.
    """

    name: str
    base: str
    make: Callable[[Path, Path], Any]
    refused: str = ""
    code: int = 3
    by_hand: Callable[[Path, Any], Any] | None = None
    fast: bool = False


def encoder(folder: Path) -> None:
    from tiny_encoder import make_tiny_encoder

    make_tiny_encoder(folder)


def decoder(folder: Path) -> None:
    from tiny_decoder import make_tiny_decoder

    make_tiny_decoder(folder, chat=True)


#: Base → how it is made, its LoRA targets, and whether it says texts.
BASES: dict[str, tuple[Callable[[Path], None], list[str], bool]] = {
    "encoder": (encoder, ["query", "value"], False),
    "decoder": (decoder, ["q_proj", "v_proj"], True),
}


def auto_class(texts: bool) -> Any:
    import transformers

    return transformers.AutoModelForCausalLM if texts else transformers.AutoModelForSequenceClassification


def tuned(base: Path, texts: bool) -> Any:
    """A model whose every weight is a little off its base's."""
    import torch

    labels = {} if texts else {"num_labels": len(LABELS), "id2label": dict(enumerate(LABELS))}
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = auto_class(texts).from_pretrained(base, dtype="float32", **labels)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def saved(
    texts: bool, change: Callable[[Any], Any] = lambda model: None, tokenizer: bool = True, **how: Any
) -> Callable[[Path, Path], None]:
    """Saves a tuned model as transformers does, once something was changed in it."""

    def make(folder: Path, base: Path) -> None:
        from transformers import AutoTokenizer

        model = tuned(base, texts)
        change(model)
        model.save_pretrained(folder, **how)
        if tokenizer:
            AutoTokenizer.from_pretrained(base).save_pretrained(folder)

    return make


def edited(make: Callable[[Path, Path], None], name: str, **keys: Any) -> Callable[[Path, Path], None]:
    """Changes keys of a JSON file afterwards; `...` takes one away."""

    def change(folder: Path, base: Path) -> None:
        make(folder, base)
        table = {**json.loads((folder / name).read_text(encoding="utf-8")), **keys}
        kept = {key: value for key, value in table.items() if value is not ...}
        (folder / name).write_text(json.dumps(kept), encoding="utf-8")

    return change


def beside(make: Callable[[Path, Path], None], *names: str) -> Callable[[Path, Path], None]:
    """Leaves files of a trainer beside a model."""

    def change(folder: Path, base: Path) -> None:
        make(folder, base)
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"\x80\x04.")

    return change


def renamed(make: Callable[[Path, Path], None], name: Callable[[str], str]) -> Callable[[Path, Path], None]:
    """Gives tensors other names."""

    def change(folder: Path, base: Path) -> None:
        from safetensors.torch import load_file, save_file

        make(folder, base)
        file = folder / "model.safetensors"
        tensors = {name(key): tensor.clone() for key, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})

    return change


def unwrapped(prefix: str) -> Callable[[Path, Any], Any]:
    """Opens a model whose tensors have a wrapper's prefix."""

    def by_hand(folder: Path, auto: Any) -> Any:
        from safetensors.torch import load_file
        from transformers import AutoConfig

        model = auto.from_config(AutoConfig.from_pretrained(folder)).float()
        tensors = {key.removeprefix(prefix): value for key, value in load_file(folder / "model.safetensors").items()}
        assert not model.load_state_dict(tensors, strict=False).unexpected_keys
        model.tie_weights()
        return model

    return by_hand


def bf16(model: Any) -> None:
    import torch

    model.to(torch.bfloat16)


def retokenised(**changes: Any) -> Callable[[Path, Path], None]:
    """A tokenizer of the model's own, which reads texts in another way."""

    def make(folder: Path, base: Path) -> None:
        saved(texts=False)(folder, base)
        path = folder / "tokenizer.json"
        table = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = table["model"]["vocab"]
        vocabulary["##a"], vocabulary["##b"] = vocabulary["##b"], vocabulary["##a"]
        path.write_text(json.dumps({**table, **changes}), encoding="utf-8")

    return make


def with_chat_tokens(folder: Path, base: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    saved(texts=True, change=lambda model: model.resize_token_embeddings(len(tokenizer)))(folder, base)
    tokenizer.save_pretrained(folder)


def template_of_another(folder: Path, base: Path) -> None:
    saved(texts=True)(folder, base)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")


def untied(model: Any) -> None:
    import torch

    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 1.5)


def old_rope(folder: Path, base: Path) -> None:
    edited(saved(texts=True), "config.json", rope_parameters=..., rope_theta=10000.0, rope_scaling=None)(folder, base)


def nested(folder: Path, base: Path) -> None:
    for step in (50, 500):
        saved(texts=False)(folder / f"checkpoint-{step}", base)


def pointer(name: str) -> Callable[[Path, Path], None]:
    def make(folder: Path, base: Path) -> None:
        saved(texts=False)(folder, base)
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")

    return make


def weightless(*names: str) -> Callable[[Path, Path], None]:
    """Has a config and what stands for weights."""

    def make(folder: Path, base: Path) -> None:
        folder.mkdir()
        shutil.copy(base / "config.json", folder)
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"x")

    return make


CLASSIFIER, WRITER = saved(texts=False), saved(texts=True)
NOTES = {
    "_attn_implementation_autoset": True, "reference_compile": False, "output_hidden_states": True, "my_note": "x",
    "unsloth_fixed": True, "unsloth_version": "2026.1", "_name_or_path": "somebody/model", "return_dict": False,
}  # fmt: skip
TRAINERS = ("pytorch_model.bin", "optimizer.pt", "scheduler.pt", "training_args.bin", "trainer_state.json")

WHOLE = [
    Layout("as saved by transformers", "encoder", CLASSIFIER),
    Layout("notes of other tools in config.json", "encoder", edited(CLASSIFIER, "config.json", **NOTES), fast=True),
    Layout("beside pickles of a trainer", "encoder", beside(CLASSIFIER, *TRAINERS)),
    Layout("saved in bf16", "encoder", saved(texts=False, change=bf16)),
    Layout("in shards", "encoder", saved(texts=False, max_shard_size="20KB")),
    Layout("without a tokenizer", "encoder", saved(texts=False, tokenizer=False)),
    Layout("config without architectures", "encoder", edited(CLASSIFIER, "config.json", architectures=...)),
    Layout(
        "tensors named by torch.compile",
        "encoder",
        renamed(CLASSIFIER, lambda name: f"_orig_mod.{name}"),
        by_hand=unwrapped("_orig_mod."),
        fast=True,
    ),
    Layout(
        "tensors named by data-parallel training",
        "decoder",
        renamed(WRITER, lambda name: f"module.{name}"),
        by_hand=unwrapped("module."),
    ),
    Layout(
        "attention of another kind in config.json",
        "encoder",
        edited(CLASSIFIER, "config.json", _attn_implementation="flash_attention_2"),
        by_hand=lambda folder, auto: auto.from_pretrained(folder, dtype="float32", _attn_implementation="sdpa"),
    ),
    Layout(
        "embeddings padded to a multiple of 64",
        "decoder",
        saved(texts=True, change=lambda model: model.resize_token_embeddings(pad_to_multiple_of=64)),
    ),
    Layout("chat tokens added, with their embeddings", "decoder", with_chat_tokens, fast=True),
    Layout("output layer no longer tied", "decoder", saved(texts=True, change=untied)),
    Layout("rope as transformers 4 writes it", "decoder", old_rope),
    Layout("a chat template of its own, where no row is a chat", "decoder", template_of_another),
    Layout("a tokenizer that reads rows otherwise", "encoder", retokenised(), "its own tokenizer reads row", fast=True),
    Layout("another activation", "encoder", edited(CLASSIFIER, "config.json", hidden_act="relu"), "hidden_act"),
    Layout("another number of layers", "encoder", edited(CLASSIFIER, "config.json", num_hidden_layers=1), "layers"),
    Layout(
        "another rope",
        "decoder",
        edited(WRITER, "config.json", rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
        "rope_parameters",
    ),
    Layout(
        "kernels of a hub", "encoder", edited(CLASSIFIER, "config.json", _attn_implementation="a/b"), "never opened"
    ),
    Layout("a folder of checkpoints", "encoder", nested, "checkpoint-500", 2),
    Layout("Git LFS pointer in place of weights", "encoder", pointer("model.safetensors"), "git lfs pull", 2),
    Layout("Git LFS pointer in place of a tokenizer", "encoder", pointer("tokenizer.json"), "git lfs pull", 2),
    Layout("DeepSpeed ZeRO", "encoder", weightless("global_step9/x", "zero_to_fp32.py"), "zero_to_fp32.py", 2),
    Layout("FSDP", "encoder", weightless("pytorch_model_fsdp_0/__0_0.distcp"), "accelerate merge-weights", 2),
    Layout("GGUF", "encoder", weightless("model.gguf"), "GGUF", 2),
    Layout("shards without their index", "encoder", weightless("model-00001-of-00002.safetensors"), "index", 2),
    Layout("SetFit", "encoder", weightless("model_head.pkl"), "SetFit", 2),
]
