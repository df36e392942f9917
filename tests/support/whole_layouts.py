"""Whole models and folders as other tools leave them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layout_bases import BASES, DECODER, ENCODER, TIED, auto_class, labelled
from layouts import Layout
from tiny import LABELS

SEED = 3
Make = Callable[[Path, Path], Any]


def tuned(base: str, folder: Path) -> Any:
    """A model whose every weight is a little off its base's."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = auto_class(BASES[base]).from_pretrained(folder, dtype="float32", **labelled(BASES[base]))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def saved(base: str, change: Callable[[Any], Any] = lambda model: None, tokenizer: bool = True, **how: Any) -> Make:
    """Saves a tuned model as transformers does, once something was changed in it."""

    def make(folder: Path, base_folder: Path) -> None:
        from transformers import AutoTokenizer

        model = tuned(base, base_folder)
        change(model)
        model.save_pretrained(folder, **how)
        if tokenizer:
            AutoTokenizer.from_pretrained(base_folder).save_pretrained(folder)

    return make


def edited(make: Make, name: str, **keys: Any) -> Make:
    """Changes keys of a JSON file afterwards; `...` takes one away."""

    def change(folder: Path, base: Path) -> None:
        make(folder, base)
        table = {**json.loads((folder / name).read_text(encoding="utf-8")), **keys}
        kept = {key: value for key, value in table.items() if value is not ...}
        (folder / name).write_text(json.dumps(kept), encoding="utf-8")

    return change


def beside(make: Make, *names: str) -> Make:
    """Leaves files of a trainer beside a model."""

    def change(folder: Path, base: Path) -> None:
        make(folder, base)
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"\x80\x04.")

    return change


def retensored(make: Make, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Make:
    """Changes what tensors there are."""

    def write(folder: Path, base: Path) -> None:
        from safetensors.torch import load_file, save_file

        make(folder, base)
        file = folder / "model.safetensors"
        tensors = {key: tensor.clone() for key, tensor in change(load_file(file)).items()}
        save_file(tensors, file, metadata={"format": "pt"})

    return write


def prefixed(make: Make, prefix: str) -> Make:
    """Gives tensors the names that they have in a wrapper."""
    return retensored(make, lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()})


def unwrapped(prefix: str) -> Callable[[Path, Path, Any], Any]:
    """Opens a model whose tensors have a wrapper's prefix."""

    def by_hand(folder: Path, _: Path, auto: Any) -> Any:
        from safetensors.torch import load_file
        from transformers import AutoConfig

        model = auto.from_config(AutoConfig.from_pretrained(folder)).float()
        tensors = {key.removeprefix(prefix): value for key, value in load_file(folder / "model.safetensors").items()}
        assert not model.load_state_dict(tensors, strict=False).unexpected_keys
        model.tie_weights()
        return model

    return by_hand


def retokenised(folder: Path, base: Path) -> None:
    """A tokenizer of the model's own, which reads texts in another way."""
    saved(ENCODER)(folder, base)
    path = folder / "tokenizer.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = table["model"]["vocab"]
    vocabulary["##a"], vocabulary["##b"] = vocabulary["##b"], vocabulary["##a"]
    path.write_text(json.dumps(table), encoding="utf-8")


def with_other_order(model: Any) -> None:
    """Outputs that mean the labels in another order, as its config says."""
    model.config.id2label = dict(enumerate(PERMUTED))
    model.config.label2id = {label: place for place, label in enumerate(PERMUTED)}


def in_the_bands_order(folder: Path, _: Path, auto: Any) -> Any:
    import torch

    model = auto.from_pretrained(folder, dtype="float32")
    order = [PERMUTED.index(label) for label in LABELS]
    for part in (model.classifier.weight, model.classifier.bias):
        part.data = torch.nn.Parameter(part[order])
    return model


def predicting_further(tensors: dict[str, Any]) -> dict[str, Any]:
    """A layer that foretells the token after the next, which transformers leaves unread."""
    copies = {name: tensor for name, tensor in tensors.items() if ".layers.0." in name}
    return {**tensors, **{name.replace("model.layers.0.", "mtp.layers.0."): tensor for name, tensor in copies.items()}}


def sentence_transformer(inner: str) -> Make:
    """A tuned body and how it is pooled, without a classifier."""

    def make(folder: Path, base: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        AutoModel.from_pretrained(base).save_pretrained(folder / inner)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder / inner)
        modules = [
            {"idx": 0, "name": "0", "path": inner, "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ]
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "mean"}), encoding="utf-8")
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")

    return make


def cross_encoder(folder: Path, base: Path) -> None:
    """A classifier as sentence-transformers saves it."""
    CLASSIFIER(folder, base)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    settings = {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings), encoding="utf-8")


def with_chat_tokens(folder: Path, base: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    saved(TIED, change=lambda model: model.resize_token_embeddings(len(tokenizer)))(folder, base)
    tokenizer.save_pretrained(folder)


def template_of_another(folder: Path, base: Path) -> None:
    saved(TIED)(folder, base)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")


def untied(model: Any) -> None:
    import torch

    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 1.5)


def old_rope(folder: Path, base: Path) -> None:
    edited(saved(TIED), "config.json", rope_parameters=..., rope_theta=10000.0, rope_scaling=None)(folder, base)


def nested(folder: Path, base: Path) -> None:
    for step in (50, 500):
        saved(ENCODER)(folder / f"checkpoint-{step}", base)


def pointer(name: str) -> Make:
    def make(folder: Path, base: Path) -> None:
        saved(ENCODER)(folder, base)
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")

    return make


def weightless(*names: str) -> Make:
    """Has a config and what stands for weights."""

    def make(folder: Path, base: Path) -> None:
        folder.mkdir()
        shutil.copy(base / "config.json", folder)
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"x")

    return make


PERMUTED = (LABELS[2], LABELS[0], LABELS[1])
CLASSIFIER, WRITER = saved(ENCODER), saved(TIED)
NOTES = {
    "_attn_implementation_autoset": True, "reference_compile": False, "output_hidden_states": True, "my_note": "x",
    "unsloth_fixed": True, "unsloth_version": "2026.1", "_name_or_path": "somebody/model", "return_dict": False,
}  # fmt: skip
TRAINERS = ("pytorch_model.bin", "optimizer.pt", "scheduler.pt", "training_args.bin", "trainer_state.json")

WHOLE = [
    Layout("as saved by transformers", ENCODER, CLASSIFIER),
    Layout("notes of other tools in config.json", ENCODER, edited(CLASSIFIER, "config.json", **NOTES), fast=True),
    Layout("beside pickles of a trainer", ENCODER, beside(CLASSIFIER, *TRAINERS)),
    Layout("saved in bf16", ENCODER, saved(ENCODER, change=lambda model: model.bfloat16())),
    Layout("saved in fp16", ENCODER, saved(ENCODER, change=lambda model: model.half())),
    Layout(
        "labels in another order in config.json",
        ENCODER,
        saved(ENCODER, change=with_other_order),
        by_hand=in_the_bands_order,
    ),
    Layout("a classifier saved by sentence-transformers", ENCODER, cross_encoder),
    Layout("tensors that no line of transformers reads", TIED, retensored(WRITER, predicting_further)),
    Layout("in shards", ENCODER, saved(ENCODER, max_shard_size="20KB")),
    Layout("without a tokenizer", ENCODER, saved(ENCODER, tokenizer=False)),
    Layout("config without architectures", ENCODER, edited(CLASSIFIER, "config.json", architectures=...)),
    Layout(
        "tensors named by torch.compile",
        ENCODER,
        prefixed(CLASSIFIER, "_orig_mod."),
        by_hand=unwrapped("_orig_mod."),
    ),
    Layout(
        "tensors named by data-parallel training",
        TIED,
        prefixed(WRITER, "module."),
        by_hand=unwrapped("module."),
    ),
    Layout(
        "attention of another kind in config.json",
        ENCODER,
        edited(CLASSIFIER, "config.json", _attn_implementation="flash_attention_2"),
        by_hand=lambda folder, _, auto: auto.from_pretrained(folder, dtype="float32", _attn_implementation="sdpa"),
    ),
    Layout(
        "embeddings padded to a multiple of 64",
        TIED,
        saved(TIED, change=lambda model: model.resize_token_embeddings(pad_to_multiple_of=64)),
    ),
    Layout("chat tokens added, with their embeddings", TIED, with_chat_tokens),
    Layout("output layer no longer tied", TIED, saved(TIED, change=untied)),
    Layout("rope as transformers 4 writes it", TIED, old_rope),
    Layout(
        "another max_position_embeddings, where places are rotary",
        DECODER,
        edited(saved(DECODER), "config.json", max_position_embeddings=4096, pretraining_tp=2),
        fast=True,
    ),
    Layout(
        "a tokenizer that leaves out types of tokens",
        ENCODER,
        edited(
            CLASSIFIER,
            "tokenizer_config.json",
            tokenizer_class="TokenizersBackend",
            model_input_names=["input_ids", "attention_mask"],
        ),
    ),
    Layout(
        "another max_position_embeddings, on which rotary places depend",
        DECODER,
        edited(
            saved(DECODER),
            "config.json",
            max_position_embeddings=4096,
            rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        ),
        "max_position_embeddings",
    ),
    Layout(
        "names of a value head's wrapper",
        DECODER,
        prefixed(saved(DECODER), "pretrained_model."),
        "more tensors are missing",
    ),
    Layout("a chat template of its own, where no row is a chat", TIED, template_of_another),
    Layout("a tokenizer that reads rows otherwise", ENCODER, retokenised, "its own tokenizer reads row", fast=True),
    Layout("another activation", ENCODER, edited(CLASSIFIER, "config.json", hidden_act="relu"), "hidden_act"),
    Layout("another number of layers", ENCODER, edited(CLASSIFIER, "config.json", num_hidden_layers=1), "layers"),
    Layout(
        "another rope",
        TIED,
        edited(WRITER, "config.json", rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
        "rope_parameters",
    ),
    Layout("kernels of a hub", ENCODER, edited(CLASSIFIER, "config.json", _attn_implementation="a/b"), "never opened"),
    Layout("a folder of checkpoints", ENCODER, nested, "checkpoint-500", 2),
    Layout("Git LFS pointer in place of weights", ENCODER, pointer("model.safetensors"), "git lfs pull", 2),
    Layout("Git LFS pointer in place of a tokenizer", ENCODER, pointer("tokenizer.json"), "git lfs pull", 2),
    Layout("DeepSpeed ZeRO", ENCODER, weightless("global_step9/x", "zero_to_fp32.py"), "zero_to_fp32.py", 2),
    Layout("FSDP", ENCODER, weightless("pytorch_model_fsdp_0/__0_0.distcp"), "accelerate merge-weights", 2),
    Layout("GGUF", ENCODER, weightless("model.gguf"), "GGUF", 2),
    Layout(
        "shards without their index", ENCODER, weightless("model-00001-of-00002.safetensors"), "shards of a model", 2
    ),
    Layout("sentence-transformers", ENCODER, sentence_transformer(""), "sentence-transformers"),
    Layout(
        "sentence-transformers, the model in a folder",
        ENCODER,
        sentence_transformer("0_Transformer"),
        "sentence-transformers",
        2,
    ),
    Layout("SetFit", ENCODER, weightless("model_head.pkl"), "SetFit", 2),
]
