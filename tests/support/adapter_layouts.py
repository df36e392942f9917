"""Adapters as PEFT and the tools around it leave them."""

import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from layout_bases import BASES, DECODER, ENCODER, GPT2, MOE, TIED, labelled
from layouts import Layout
from tiny import LABELS

SEED = 3
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
#: Asks PEFT to save an adapter as one on the base as it was before; names one that was saved before training.
CONVERSION = "path_initial_model_for_weight_conversion"
UNSUPPORTED = "merge it into its base (merge_and_unload) and check the whole model"
#: What training tools, and other releases of PEFT, write beside what is asked for.
NOTES = {
    "unsloth_fixed": True,
    "unsloth_version": "2026.1",
    "layer_replication": None,
    "corda_config": {"corda_method": "ipm"},
    "lora_ga_config": None,
    "eva_config": {"rho": 2.0},
    "arrow_config": None,
    "use_qalora": False,
    "qalora_group_size": 16,
    "alora_invocation_tokens": None,
    "ensure_weight_tying": False,
    "velora_config": {},
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "loftq_config": {},
    "enable_lora": None,
    "merge_weights": False,
    "of_tomorrow": None,
    "of_another_day": [],
}


def lora(base: str, before: Callable[[Any], Any] | None = None, save: Mapping[str, Any] | None = None, **given: Any):
    """How a plain PEFT adapter of a base is made whose every tensor says something."""

    def make(folder: Path, base_folder: Path) -> None:
        from peft import LoraConfig

        saved(folder, base_folder, base, LoraConfig, before, save, **{"target_modules": BASES[base].targets, **given})

    return make


def saved(folder, base_folder, base, method, before=None, save=None, **given):
    """A plain PEFT adapter of some method."""
    import torch
    import transformers
    from peft import get_peft_model

    kind = "ForCausalLM" if BASES[base].texts else "ForSequenceClassification"
    torch.manual_seed(SEED)
    model = getattr(transformers, f"AutoModel{kind}").from_pretrained(
        base_folder, dtype=torch.float32, **labelled(BASES[base])
    )
    if before is not None:
        before(model)
    task = "CAUSAL_LM" if BASES[base].texts else "SEQ_CLS"
    adapted = get_peft_model(model, method(**{"task_type": task, **given}))
    if start := (save or {}).get(CONVERSION):
        adapted.save_pretrained(start)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    adapted.save_pretrained(folder, **(save or {}))


def grown(model: Any) -> None:
    """Two tokens more than the base has."""
    model.resize_token_embeddings(model.config.vocab_size + 2, mean_resizing=False)


def edited(make: Callable[[Path, Path], Any], **keys: Any) -> Callable[[Path, Path], None]:
    """The same with another adapter_config.json; what becomes `...` is left out."""

    def write(folder: Path, base: Path) -> None:
        make(folder, base)
        config = {**json.loads((folder / CONFIG).read_text()), **keys}
        (folder / CONFIG).write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))

    return write


def renamed(make: Callable[[Path, Path], Any], name: Callable[[str], str], **keys: Any) -> Callable[[Path, Path], None]:
    """The same with other names of tensors; as PEFT names them it lies beside, for hands."""

    def write(folder: Path, base: Path) -> None:
        from safetensors.torch import load_file, save_file

        make(folder, base)
        shutil.copytree(folder, folder.with_name("plain"))
        edited(lambda *_: None, **keys)(folder, base)
        save_file({name(key): tensor for key, tensor in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)

    return write


def converted(base: str, **given: Any) -> Callable[[Path, Path], None]:
    """An adapter that changed its base before training, saved as plain LoRA on the base as it was."""

    def make(folder: Path, base_folder: Path) -> None:
        lora(base, save={CONVERSION: str(folder.with_name("start"))}, **given)(folder, base_folder)

    return make


def beside_quantised(folder: Path, base: Path) -> None:
    """As trainers leave it that write the config of what they trained on, too."""
    lora(TIED)(folder, base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    asked = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": asked}))


def cast(make: Callable[[Path, Path], Any], dtype: str) -> Callable[[Path, Path], None]:
    """The same in another precision."""

    def write(folder: Path, base: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        make(folder, base)
        tensors = load_file(folder / WEIGHTS)
        save_file({key: tensor.to(getattr(torch, dtype)) for key, tensor in tensors.items()}, folder / WEIGHTS)

    return write


def each_expert(folder: Path, base: Path) -> None:
    """An adapter of a Mixtral of transformers 4, which had a module for every matrix of every expert."""
    import torch
    from safetensors.torch import load_file, save_file

    lora(MOE)(folder, base)
    tensors, sides = load_file(folder / WEIGHTS), {"w1": (32, 64), "w2": (64, 32), "w3": (32, 64)}
    for layer, expert, (name, (inner, outer)) in itertools.product(range(2), range(4), sides.items()):
        module = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts.{expert}.{name}"
        tensors[f"{module}.lora_A.weight"] = torch.randn(8, inner) * 0.3
        tensors[f"{module}.lora_B.weight"] = torch.randn(outer, 8) * 0.3
    save_file(tensors, folder / WEIGHTS)
    edited(lambda *_: None, target_modules=["q_proj", "v_proj", *sides])(folder, base)


def beside(folder: Path, base: Path, auto: Any) -> Any:
    """What lies beside a renamed adapter, opened as PEFT opens it."""
    from peft import PeftModel

    given = {} if "CausalLM" in auto.__name__ else {"num_labels": len(LABELS)}
    return PeftModel.from_pretrained(auto.from_pretrained(base, dtype="float32", **given), folder.with_name("plain"))


def beside_without_task(folder: Path, base: Path, auto: Any) -> Any:
    """As PEFT opens it where nothing is said of its task: PEFT looks for a decoder otherwise."""
    plain = shutil.copytree(folder, folder.with_name("plain"))
    edited(lambda *_: None, task_type=None)(plain, base)
    return beside(folder, base, auto)


def with_grown(folder: Path, base: Path, auto: Any) -> Any:
    """As PEFT's users open an adapter with tokens of its own: the base is resized first."""
    from peft import PeftModel

    model = auto.from_pretrained(base, dtype="float32")
    grown(model)
    return PeftModel.from_pretrained(model, folder)


def shrunk(model: Any) -> None:
    """Only the letters of the base's tokens."""
    model.resize_token_embeddings(270)


def with_tokens(make: Callable[[Path, Path], Any], *tokens: str) -> Callable[[Path, Path], None]:
    """The same with a tokenizer of its own, which has further tokens."""

    def write(folder: Path, base: Path) -> None:
        from transformers import AutoTokenizer

        make(folder, base)
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.add_tokens(list(tokens))
        tokenizer.save_pretrained(folder)

    return write


def other(base: str, method: str, **given: Any) -> Callable[[Path, Path], None]:
    """An adapter of another method than LoRA."""

    def make(folder: Path, base_folder: Path) -> None:
        import peft

        saved(folder, base_folder, base, getattr(peft, f"{method}Config"), **given)

    return make


def pickled(make: Callable[[Path, Path], Any]) -> Callable[[Path, Path], None]:
    def write(folder: Path, base: Path) -> None:
        make(folder, base)
        (folder / WEIGHTS).rename(folder / "adapter_model.bin")

    return write


def with_raw_name(key: str) -> str:
    return key.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default.")


def saved_by_hand(key: str) -> str:
    """As `model.state_dict()` names what `modules_to_save` and LoRA bring."""
    return with_raw_name(key).replace(".classifier.", ".classifier.modules_to_save.default.")


BOTH = ["embed_tokens", "lm_head"]
ADAPTERS = [
    Layout("DoRA", ENCODER, lora(ENCODER, use_dora=True)),
    Layout(
        "rsLoRA with expressions in rank_pattern and alpha_pattern",
        ENCODER,
        lora(
            ENCODER,
            use_rslora=True,
            rank_pattern={r".*layer\.0\..*\.query": 2, "value": 4},
            alpha_pattern={r"^bert\.encoder\.layer\.[01]\..*\.(query|value)$": 3},
        ),
    ),
    Layout(
        "a rank for every module in rank_pattern, and a larger r that none has",
        ENCODER,
        edited(lora(ENCODER, r=2, lora_alpha=3), r=16, lora_alpha=32, rank_pattern={".*": 2}, alpha_pattern={".*": 3}),
        fast=True,
    ),
    Layout(
        "entries of rank_pattern and alpha_pattern that no module matches",
        ENCODER,
        edited(lora(ENCODER, r=2), rank_pattern={"dense": 64}, alpha_pattern={"dense": 64}),
    ),
    Layout("every bias", ENCODER, lora(ENCODER, bias="all")),
    Layout("biases of the adapted modules", ENCODER, lora(ENCODER, bias="lora_only")),
    Layout("a bias in LoRA itself", ENCODER, lora(ENCODER, lora_bias=True)),
    Layout(
        "LoRA on word embeddings, their weights beside",
        ENCODER,
        lora(ENCODER, target_modules=["word_embeddings", "query"], save={"save_embedding_layers": True}),
    ),
    Layout(
        "no task_type, the head in modules_to_save",
        ENCODER,
        lora(ENCODER, task_type=None, modules_to_save=["classifier"]),
    ),
    Layout(
        "task_type FEATURE_EXTRACTION, the head in modules_to_save",
        ENCODER,
        lora(ENCODER, task_type="FEATURE_EXTRACTION", modules_to_save=["classifier"]),
    ),
    Layout(
        "task_type CAUSAL_LM on a classifier, the head in modules_to_save",
        ENCODER,
        edited(lora(ENCODER, task_type=None, modules_to_save=["classifier"]), task_type="CAUSAL_LM"),
        by_hand=beside_without_task,
    ),
    Layout(
        "task_type TOKEN_CLS, tensors that fit",
        ENCODER,
        edited(lora(ENCODER), task_type="TOKEN_CLS"),
    ),
    Layout("task_type SEQ_2_SEQ_LM on a decoder", TIED, edited(lora(TIED), task_type="SEQ_2_SEQ_LM")),
    Layout("config.json of a base in 4 bits beside", TIED, beside_quantised),
    Layout(
        "PiSSA, converted when it was saved",
        DECODER,
        converted(DECODER, target_modules=["q_proj"], init_lora_weights="pissa"),
    ),
    Layout("OLoRA, not converted", ENCODER, lora(ENCODER, init_lora_weights="olora")),
    Layout(
        "state dict saved by hand: `.default.` in every name",
        ENCODER,
        renamed(lora(ENCODER), saved_by_hand),
        by_hand=beside,
        fast=True,
    ),
    Layout(
        "names of a compiled model: `_orig_mod.`",
        ENCODER,
        renamed(lora(ENCODER), lambda key: f"_orig_mod.{key}"),
        by_hand=beside,
    ),
    Layout(
        "names of DDP and FSDP: `module.`, `_fsdp_wrapped_module.`",
        ENCODER,
        renamed(lora(ENCODER), lambda key: f"module.{key.replace('.encoder.', '._fsdp_wrapped_module.encoder.')}"),
        by_hand=beside,
    ),
    Layout(
        "names without `base_model.model.`",
        ENCODER,
        renamed(lora(ENCODER), lambda key: key.removeprefix("base_model.model.")),
        by_hand=beside,
    ),
    Layout(
        "names with `base_model.model.` twice",
        ENCODER,
        renamed(lora(ENCODER), lambda key: f"base_model.model.{key}"),
        by_hand=beside,
    ),
    Layout(
        "expressions in target_modules and exclude_modules",
        ENCODER,
        lora(ENCODER, target_modules=r".*\.(query|key|value)", exclude_modules=r".*layer\.1\..*key"),
    ),
    Layout("layers_to_transform", ENCODER, lora(ENCODER, layers_to_transform=[1], layers_pattern="layer")),
    Layout("fp16, as trained on a base in 8 bits", ENCODER, cast(lora(ENCODER), "float16")),
    Layout("bf16", ENCODER, cast(lora(ENCODER), "bfloat16")),
    Layout("notes of other tools and releases in its config", ENCODER, edited(lora(ENCODER), **NOTES)),
    Layout(
        "the config of an early PEFT",
        ENCODER,
        edited(
            lora(ENCODER),
            **dict.fromkeys(
                (
                    *("use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "loftq_config", "peft_version"),
                    *("layers_to_transform", "layers_pattern", "exclude_modules", "target_parameters", "lora_bias"),
                ),
                ...,
            ),
        ),
    ),
    Layout("LoRA on a tied lm_head", TIED, lora(TIED, target_modules=["q_proj", "lm_head"]), fast=True),
    Layout(
        "LoRA on tied embeddings, their weights beside", TIED, lora(TIED, target_modules=["q_proj", "embed_tokens"])
    ),
    Layout(
        "LoRA on embeddings and lm_head, tied by ensure_weight_tying",
        TIED,
        lora(TIED, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True),
    ),
    Layout("trainable_token_indices", TIED, lora(TIED, trainable_token_indices=[5, 6, 40])),
    Layout(
        "trainable_token_indices of tied embeddings, their weights beside",
        TIED,
        lora(TIED, trainable_token_indices=[1, 5], save={"save_embedding_layers": True}),
    ),
    Layout(
        "trainable_token_indices by module",
        DECODER,
        lora(DECODER, trainable_token_indices={"embed_tokens": [5, 6, 40], "lm_head": [5, 9]}),
    ),
    Layout("whole embeddings and lm_head in modules_to_save", DECODER, lora(DECODER, modules_to_save=BOTH)),
    Layout("tied embeddings in modules_to_save", TIED, lora(TIED, modules_to_save=["embed_tokens"])),
    Layout(
        "tied embeddings in modules_to_save, with ensure_weight_tying",
        TIED,
        lora(TIED, modules_to_save=["embed_tokens"], ensure_weight_tying=True),
    ),
    Layout("added tokens, embeddings saved", TIED, lora(TIED, grown), by_hand=with_grown),
    Layout(
        "added tokens, embeddings and lm_head in modules_to_save",
        DECODER,
        lora(DECODER, grown, modules_to_save=BOTH),
        by_hand=with_grown,
    ),
    Layout(
        "added tokens, trainable_token_indices",
        DECODER,
        lora(DECODER, grown, trainable_token_indices=[5, 6]),
        by_hand=with_grown,
    ),
    Layout(
        "added tokens, LoRA on embeddings and lm_head",
        DECODER,
        lora(DECODER, grown, target_modules=["q_proj", *BOTH]),
        by_hand=with_grown,
    ),
    Layout(
        "added tokens that no eval row has, with a tokenizer of its own",
        TIED,
        with_tokens(lora(TIED, grown), "granite", "marble"),
        by_hand=with_grown,
        fast=True,
    ),
    Layout(
        "added tokens that eval rows have, with a tokenizer of its own",
        TIED,
        with_tokens(lora(TIED, grown), "the", "was"),
        "its own tokenizer reads row 2 of eval.jsonl (id eval-1)",
    ),
    Layout("fewer embeddings than eval rows need", TIED, lora(TIED, shrunk), "has 270 embeddings, and row 1 of"),
    Layout("LoRA on embeddings and lm_head", DECODER, lora(DECODER, target_modules=["q_proj", *BOTH])),
    Layout("Conv1D with fan_in_fan_out", GPT2, lora(GPT2, fan_in_fan_out=True)),
    Layout("Conv1D without fan_in_fan_out", GPT2, edited(lora(GPT2, fan_in_fan_out=True), fan_in_fan_out=False)),
    Layout("LoRA on tied embeddings of GPT-2", GPT2, lora(GPT2, fan_in_fan_out=True, target_modules=["c_attn", "wte"])),
    Layout(
        "experts by target_parameters", MOE, lora(MOE, target_parameters=["experts.gate_up_proj", "experts.down_proj"])
    ),
    Layout("a module for every expert, as transformers 4 had them", MOE, each_expert),
    Layout("all-linear on experts", MOE, lora(MOE, target_modules="all-linear")),
    Layout("IA3", ENCODER, other(ENCODER, "IA3", target_modules=["value"], feedforward_modules=[]), UNSUPPORTED),
    Layout("prompt tuning", TIED, other(TIED, "PromptTuning", num_virtual_tokens=4), "is not supported"),
    Layout("prefix tuning", TIED, other(TIED, "PrefixTuning", num_virtual_tokens=4), "is not supported"),
    Layout("LoHa", ENCODER, other(ENCODER, "LoHa", target_modules=["query"]), UNSUPPORTED),
    Layout("LoKr", ENCODER, other(ENCODER, "LoKr", target_modules=["query"]), UNSUPPORTED),
    Layout("VeRA", ENCODER, other(ENCODER, "Vera", target_modules=["query"]), UNSUPPORTED),
    Layout("OFT", ENCODER, other(ENCODER, "OFT", target_modules=["query"], oft_block_size=8), UNSUPPORTED),
    Layout("AdaLoRA", ENCODER, other(ENCODER, "AdaLora", target_modules=["query"], total_step=10), UNSUPPORTED),
    Layout("X-LoRA", ENCODER, edited(lora(ENCODER), peft_type="XLORA"), "is not supported"),
    Layout("pickled weights", ENCODER, pickled(lora(ENCODER)), "opening a pickle runs it"),
    Layout("copied layers", ENCODER, edited(lora(ENCODER), layer_replication=[[0, 2], [1, 2]]), UNSUPPORTED),
    Layout("aLoRA", TIED, edited(lora(TIED), alora_invocation_tokens=[5, 6]), UNSUPPORTED),
    Layout("QALoRA", ENCODER, edited(lora(ENCODER), use_qalora=True), UNSUPPORTED),
    Layout(
        "a module of Python's to import",
        ENCODER,
        edited(lora(ENCODER), megatron_config={"hidden_size": 1}, megatron_core="antigravity"),
        "is not safe to load",
    ),
    Layout(
        "an expression that takes for ever",
        ENCODER,
        edited(lora(ENCODER), rank_pattern={"(.|.)*[56]": 4}),
        "takes too long",
    ),
    Layout("a key that nobody knows", ENCODER, edited(lora(ENCODER), of_tomorrow=[1]), "does not know this key"),
    Layout(
        "PiSSA of a fast decomposition, not converted",
        ENCODER,
        lora(ENCODER, init_lora_weights="pissa_niter_4"),
        CONVERSION,
    ),
    Layout("a task_type that nobody knows", ENCODER, edited(lora(ENCODER), task_type="OF_TOMORROW"), "task_type"),
]
