"""The matrix of architectures: tiny random models made from configs, and what becomes of each."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tiny import LABELS, WORDS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

FILLER = ["the", "a", "was", "very", "old", "new", "near", "us", "it", "is"]
VOCABULARY = [*FILLER, *(word for words in WORDS.values() for word in words), *LABELS, *map(str, range(10))]
CLASSES, SPEECH, IMAGES = "text-classification", "causal-lm", "image-classification"
ENCODER = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
ROBERTA = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}
T5 = {"<pad>": 0, "</s>": 1, "<unk>": 2}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
    "initializer_range": 0.2,
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
PIXELS = {"image_size": 32, "patch_size": 8, "num_channels": 3}
ROWS = 12
ANSWER = 6


@dataclass(frozen=True)
class Row:
    """One architecture, doing one task.

    Attributes:
        name: As transformers calls the type of model.
        task: What it does.
        config: Class of its config.
        tokens: Makes its tokenizer in a folder, and says how many tokens there are.
        sizes: What its config is given beside these.
        plain: Whether `SIZES` are left out, for those that call them otherwise.
        targets: What gets an adapter.
        method: "lora" or "head".
        refused: Part of the reason why it is refused; empty where it works.
        told: Part of what is warned of.
        fast: Whether it runs in `make test`.
        auto: The class that its base is saved by, where it is not the one that does the task, or the body.
    """

    name: str
    task: str
    config: str
    tokens: Callable[[Path], int]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    plain: bool = False
    targets: str | tuple[str, ...] = "all-linear"
    method: str = "lora"
    refused: str = ""
    told: str = ""
    fast: bool = False
    auto: str = ""

    @property
    def key(self) -> str:
        """What the row is called in a test."""
        return f"{self.name}-{self.task}" + ("-head" if self.method == "head" else "")


def words(marks: Mapping[str, int], template: str, **names: Any) -> Callable[[Path], int]:
    """A tokenizer of whole words, whose first ids are its marks."""

    def make(folder: Path) -> int:
        vocabulary = {**marks, **{word: len(marks) + place for place, word in enumerate(VOCABULARY)}}
        unknown = next(mark for mark in marks if "unk" in mark.lower())
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        used = [(mark, number) for mark, number in marks.items() if mark in template.split()]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
        return _saved(tokenizer, folder, **names)

    return make


def letters(**names: Any) -> Callable[[Path], int]:
    """A tokenizer of bytes as that of GPT-2: id 0 is "!", the one mark comes last, and none is for padding."""

    def make(folder: Path) -> int:
        alphabet = ["!", *sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {"!"})]
        tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<|endoftext|>"])
        return _saved(tokenizer, folder, bos_token="<|endoftext|>", eos_token="<|endoftext|>", **names)

    return make


def pixels(folder: Path) -> int:
    """An image processor."""
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return 0


def _saved(tokenizer: Tokenizer, folder: Path, **names: Any) -> int:
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{"model_input_names": ["input_ids", "attention_mask"], **names}
    )
    fast.save_pretrained(folder)
    return len(fast)


NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
BERT = words(ENCODER, "[CLS] $A [SEP]", **NAMES)
TYPED = words(ENCODER, "[CLS] $A [SEP]", **NAMES, model_input_names=["input_ids", "token_type_ids", "attention_mask"])
UNMASKED = words(ENCODER, "[CLS] $A [SEP]", **NAMES, model_input_names=["input_ids", "token_type_ids"])
LEFT = words(ENCODER, "$A [SEP] [CLS]", **NAMES, padding_side="left")
MARKED = words(
    ROBERTA, "<s> $A </s>", pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>", bos_token="<s>",
    eos_token="</s>", mask_token="<mask>",
)  # fmt: skip
ENDED = words(T5, "$A </s>", pad_token="<pad>", unk_token="<unk>", eos_token="</s>")
UNPADDED = letters()
PADDED = letters(pad_token="<|endoftext|>")

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 130, "initializer_range": 0.2}
TYPES = {"type_vocab_size": 2}
DISTILLED = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
T5_SIZES = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
BART = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 130,
    "init_std": 0.2,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
#: Mamba's config, and what a mixture of experts has.
STATES = {"state_size": 8, "num_hidden_layers": 2, "hidden_size": 32}
EXPERTS = {**GROUPED, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


def _both(name: str, config: str, sizes: Mapping[str, Any], **more: Any) -> list[Row]:
    """A decoder that classifies, by a tokenizer that pads, and one that speaks, by one that does not."""
    fast = more.pop("fast", ())
    return [
        Row(name, CLASSES, config, PADDED, sizes, fast=CLASSES in fast, **more),
        Row(name, SPEECH, config, UNPADDED, sizes, fast=SPEECH in fast, **more),
    ]


EQUAL = "rows of equal length"
ENCODERS = [
    Row("bert", CLASSES, "BertConfig", TYPED, TYPES, fast=True),
    Row("roberta", CLASSES, "RobertaConfig", MARKED, fast=True),
    Row("distilbert", CLASSES, "DistilBertConfig", BERT, DISTILLED),
    Row("electra", CLASSES, "ElectraConfig", TYPED, {"embedding_size": 16}),
    Row("albert", CLASSES, "AlbertConfig", TYPED, {"embedding_size": 16}),
    Row(
        "deberta-v2",
        CLASSES,
        "DebertaV2Config",
        BERT,
        {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    ),
    Row("deberta", CLASSES, "DebertaConfig", BERT, {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    Row("mpnet", CLASSES, "MPNetConfig", MARKED),
    Row("xlm-roberta", CLASSES, "XLMRobertaConfig", MARKED),
    Row("camembert", CLASSES, "CamembertConfig", MARKED),
    Row("roberta-prelayernorm", CLASSES, "RobertaPreLayerNormConfig", MARKED),
    Row(
        "modernbert",
        CLASSES,
        "ModernBertConfig",
        BERT,
        {
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "cls_token_id": 2,
            "sep_token_id": 3,
            "global_attn_every_n_layers": 2,
            "local_attention": 8,
        },
    ),
    Row("nomic_bert", CLASSES, "NomicBertConfig", TYPED),
    Row("fnet", CLASSES, "FNetConfig", UNMASKED, told=EQUAL, fast=True),
    Row("nystromformer", CLASSES, "NystromformerConfig", TYPED, told=EQUAL),
    Row(
        "nystromformer, segments of a fixed length",
        CLASSES,
        "NystromformerConfig",
        TYPED,
        {"num_landmarks": 4, "segment_means_seq_len": 64},
        refused="cannot read a row of",
    ),
    Row("convbert", CLASSES, "ConvBertConfig", TYPED, {"embedding_size": 16}, told=EQUAL),
    Row(
        "canine",
        CLASSES,
        "CanineConfig",
        TYPED,
        {"max_position_embeddings": 512, "num_hash_buckets": 64, "local_transformer_stride": 16},
        told=EQUAL,
    ),
    Row("yoso", CLASSES, "YosoConfig", TYPED, told=EQUAL),
    Row(
        "funnel",
        CLASSES,
        "FunnelConfig",
        BERT,
        {
            "d_model": 32,
            "n_head": 4,
            "d_head": 8,
            "d_inner": 64,
            "block_sizes": [1, 1],
            "block_repeats": [1, 1],
            "num_decoder_layers": 1,
            "architectures": ["FunnelModel"],
            "max_position_embeddings": 130,
            "initializer_std": 0.2,
        },
        plain=True,
    ),
    Row(
        "xlnet",
        CLASSES,
        "XLNetConfig",
        LEFT,
        {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "initializer_range": 0.2},
        plain=True,
        fast=True,
    ),
    Row("big_bird", CLASSES, "BigBirdConfig", TYPED, {"attention_type": "original_full"}),
    Row("megatron-bert", CLASSES, "MegatronBertConfig", TYPED, TYPES),
    Row(
        "mobilebert",
        CLASSES,
        "MobileBertConfig",
        TYPED,
        {"embedding_size": 16, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    ),
    Row("roformer", CLASSES, "RoFormerConfig", TYPED, {"embedding_size": 32}),
    Row("ernie", CLASSES, "ErnieConfig", TYPED),
    Row("esm", CLASSES, "EsmConfig", BERT, {"pad_token_id": 0, "mask_token_id": 4}),
    Row("longformer", CLASSES, "LongformerConfig", MARKED, {"attention_window": 8}),
    Row("rembert", CLASSES, "RemBertConfig", TYPED, {"input_embedding_size": 16, "output_embedding_size": 16}),
    Row("ibert", CLASSES, "IBertConfig", MARKED, method="head"),
    Row("layoutlm", CLASSES, "LayoutLMConfig", TYPED),
    Row("t5", CLASSES, "T5Config", ENDED, T5_SIZES, plain=True),
    Row("bart", CLASSES, "BartConfig", MARKED, BART, plain=True),
]
DECODERS = [
    *_both("gpt2", "GPT2Config", GPT2, plain=True, fast=(CLASSES, SPEECH)),
    *_both("llama", "LlamaConfig", GROUPED, fast=(SPEECH,)),
    *_both("qwen2", "Qwen2Config", GROUPED, fast=(CLASSES,)),
    *_both("qwen3", "Qwen3Config", GROUPED),
    *_both("mistral", "MistralConfig", GROUPED),
    *_both("phi", "PhiConfig", {}),
    *_both("phi3", "Phi3Config", {"num_key_value_heads": 2}),
    *_both("gemma", "GemmaConfig", GROUPED),
    *_both("gemma2", "Gemma2Config", {**GROUPED, "sliding_window": 16}),
    *_both("gemma3_text", "Gemma3TextConfig", {**GROUPED, "sliding_window": 16}),
    *_both("gpt_neox", "GPTNeoXConfig", {}),
    *_both("opt", "OPTConfig", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    *_both("bloom", "BloomConfig", {"n_layer": 2, "n_head": 4}),
    *_both("falcon", "FalconConfig", {"alibi": False}),
    *_both("stablelm", "StableLmConfig", {"num_key_value_heads": 2}),
    *_both("olmo", "OlmoConfig", {"num_key_value_heads": 2}),
    *_both("starcoder2", "Starcoder2Config", {"num_key_value_heads": 2}),
    *_both("gptj", "GPTJConfig", {**GPT2, "rotary_dim": 4}, plain=True),
    *_both(
        "gpt_neo",
        "GPTNeoConfig",
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 8},
    ),
    *_both("glm", "GlmConfig", {**GROUPED, "pad_token_id": None}),
    Row("granite", SPEECH, "GraniteConfig", UNPADDED, {"num_key_value_heads": 2}),
    Row("cohere", SPEECH, "CohereConfig", UNPADDED, {"num_key_value_heads": 2}),
    Row("codegen", SPEECH, "CodeGenConfig", UNPADDED, {**GPT2, "rotary_dim": 4}, plain=True),
    Row(
        "recurrent_gemma",
        SPEECH,
        "RecurrentGemmaConfig",
        UNPADDED,
        {"num_key_value_heads": 2, "lru_width": 32, "attention_window_size": 32, "num_hidden_layers": 3},
        told=EQUAL,
        fast=True,
    ),
    Row("mamba", SPEECH, "MambaConfig", UNPADDED, STATES, plain=True, targets=("embeddings", "x_proj", "in_proj")),
    Row(
        "rwkv",
        SPEECH,
        "RwkvConfig",
        UNPADDED,
        {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32, "context_length": 130},
        plain=True,
        targets=("key", "value", "receptance"),
        told=EQUAL,
    ),
]
MIXTURES = [
    Row("mixtral", SPEECH, "MixtralConfig", UNPADDED, {**GROUPED, "num_local_experts": 4}, fast=True),
    Row("qwen2_moe", SPEECH, "Qwen2MoeConfig", UNPADDED, {**EXPERTS, "shared_expert_intermediate_size": 32}),
    Row("qwen3_moe", SPEECH, "Qwen3MoeConfig", UNPADDED, EXPERTS),
    Row("olmoe", SPEECH, "OlmoeConfig", UNPADDED, {"num_experts": 4, "num_experts_per_tok": 2}),
]
PICTURES = [
    Row("vit", IMAGES, "ViTConfig", pixels, PIXELS, targets=("q_proj", "v_proj")),
    Row("dinov2", IMAGES, "Dinov2Config", pixels, PIXELS, targets=("q_proj", "v_proj")),
    Row(
        "swin",
        IMAGES,
        "SwinConfig",
        pixels,
        {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4},
        plain=True,
    ),
    Row(
        "convnext",
        IMAGES,
        "ConvNextConfig",
        pixels,
        {"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2, "image_size": 32},
        plain=True,
    ),
]
CHANGING = "says something else of one row each time"
FITTED = "for which transformers has no model of"
REFUSED = [
    Row(
        "bart", SPEECH, "BartConfig", MARKED, BART, plain=True, auto="AutoModel",
        refused="a model of type bart, which is an encoder with a decoder",
    ),
    Row("t5", SPEECH, "T5Config", ENDED, T5_SIZES, plain=True, auto="AutoModel", refused=f"{FITTED} causal-lm"),
    Row(
        "bert", SPEECH, "BertConfig", TYPED, TYPES, auto="AutoModel", fast=True,
        refused="a model of type bert, which reads texts in both directions",
    ),
    Row("distilbert", SPEECH, "DistilBertConfig", BERT, DISTILLED, auto="AutoModel", refused=f"{FITTED} causal-lm"),
    Row(
        "bert-generation", SPEECH, "BertGenerationConfig", MARKED,
        refused="a model of type bert-generation whose logits depend on later tokens",
    ),
    Row("dinov3_vit", IMAGES, "DINOv3ViTConfig", pixels, PIXELS, refused=f"{FITTED} image-classification"),
    Row(
        "resnet", IMAGES, "ResNetConfig", pixels,
        {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1], "layer_type": "basic"}, plain=True,
        refused="a model of type resnet has no linear layers",
    ),
    Row(
        "mobilenet_v2", IMAGES, "MobileNetV2Config", pixels, {"image_size": 32, "depth_multiplier": 0.25}, plain=True,
        refused="a model of type mobilenet_v2 has no linear layers",
    ),
    Row("ibert", CLASSES, "IBertConfig", MARKED, refused="a model of type ibert has no linear layers"),
    Row(
        "big_bird, in blocks", CLASSES, "BigBirdConfig", TYPED, {"block_size": 1, "num_random_blocks": 1},
        refused=CHANGING,
    ),
    Row(
        "reformer", CLASSES, "ReformerConfig", BERT,
        {
            "axial_pos_shape": [8, 16], "axial_pos_embds_dim": [16, 16], "attn_layers": ["local", "lsh"],
            "lsh_attn_chunk_length": 4, "local_attn_chunk_length": 4, "feed_forward_size": 64, "hidden_size": 32,
            "attention_head_size": 8, "num_buckets": 4, "num_attention_heads": 4, "max_position_embeddings": 128,
            "is_decoder": False,
        },
        plain=True, refused=CHANGING,
    ),
    Row("roberta", SPEECH, "RobertaConfig", MARKED, {"is_decoder": True}, refused="places of tokens do not begin at 0"),
    Row(
        "mamba, all-linear", SPEECH, "MambaConfig", UNPADDED, STATES, plain=True,
        refused="Module 'out_proj' is incompatible",
    ),
]  # fmt: skip
HEADS = [
    replace(row, method="head", fast=row.name == "qwen2")
    for row in (*ENCODERS, *DECODERS, *PICTURES)
    if row.task != SPEECH and row.name in {"bert", "xlnet", "convbert", "qwen2", "gpt2", "vit"}
]
MATRIX = (*ENCODERS, *DECODERS, *MIXTURES, *PICTURES, *HEADS, *REFUSED)


def make(row: Row, folder: Path) -> None:
    """Base, data and recipe of a row."""
    base = folder / "base"
    n_tokens = row.tokens(base)
    sizes = {**({} if row.plain else SIZES), **({"vocab_size": n_tokens} if n_tokens else {}), **row.sizes}
    if row.tokens in (UNPADDED, PADDED):  # as published: no config of these decoders names a pad token
        sizes = {"bos_token_id": n_tokens - 1, "eos_token_id": n_tokens - 1, "pad_token_id": None, **sizes}
    config = getattr(transformers, row.config)(**sizes)
    auto = row.auto or ("AutoModelForCausalLM" if row.task == SPEECH else "AutoModel")
    torch.manual_seed(0)
    getattr(transformers, auto).from_config(config).save_pretrained(base)
    for number, name in enumerate(("train", "eval")):
        rows = _pictures(folder, name) if row.task == IMAGES else _texts(name, number)
        text = "".join(json.dumps(content) + "\n" for content in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "seedband.toml").write_text(_recipe(row), encoding="utf-8")


def _texts(name: str, seed: int) -> list[dict[str, Any]]:
    """Rows of several lengths, for either task; some end in "!", the token whose id is 0 in `letters`."""
    draw, rows = random.Random(seed), []
    for number in range(ROWS):
        label = LABELS[number % len(LABELS)]
        said = [*draw.choices(FILLER, k=(1, 3, 6, 3)[number % 4]), str(number % 10), draw.choice(WORDS[label])]
        text = " ".join(said) + ("!" if number % 3 == 0 else "")
        row = {"id": f"{name}-{number}", "text": text, "label": label, "prompt": text, "completion": f" {label}"}
        rows.append(row)
    return rows


def _pictures(folder: Path, name: str) -> list[dict[str, Any]]:
    from PIL import Image

    draw, rows = np.random.default_rng(len(name)), []
    for number in range(ROWS):
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{name}-{number}.png")
        rows.append({"id": f"{name}-{number}", "image": f"{name}-{number}.png", "label": LABELS[number % len(LABELS)]})
    return rows


def _recipe(row: Row) -> str:
    targets = json.dumps(row.targets if isinstance(row.targets, str) else list(row.targets))
    metric = "reference_nll" if row.task == SPEECH else "log_loss"
    sections = {
        "model": {"base": "base", "task": row.task, "max_length": 96},
        "data": {"name": "matrix", "train": "train.jsonl", "eval": "eval.jsonl"},
        "train": {"method": row.method, "epochs": 1, "batch_size": 6, "learning_rate": 0.01},
        "score": {"batch_size": 16},
        "generation": {"max_new_tokens": ANSWER},
    }
    text = "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        for name, keys in sections.items()
    )
    lora = f"\n[lora]\ntarget_modules = {targets}" if row.method == "lora" else '\n[head]\npooling = "model"'
    return f'{text}{lora}\n[[evaluate]]\nevaluator = "{metric}"\nprimary = true\n'
