"""Bases that cannot do their task are refused before training: by their config, and by what their logits do."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
import transformers
from tiny import Tiny, generation_text, run_cli
from training import context_of

from seedband import trainers
from seedband.determinism.seeds import streams
from seedband.errors import UsageError
from seedband.models.loading import Network
from seedband.recipe.parse import load_recipe
from seedband.recipe.scoring import Base
from seedband.tasks import find
from seedband.tasks.base_check import architecture_problems, check_causal
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters
from seedband.trainers.lora import Lora

SMALL = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GEMMA = {**SMALL, "head_dim": 8, "sliding_window": 4}
ENCODER = {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}


def problems(tiny, folder, config, **changes):
    (folder / "config.json").write_text(json.dumps(config))
    recipe = load_recipe(tiny.config).recipe
    model = replace(recipe.model, **({"task": changes["task"]} if "task" in changes else {}))
    train = replace(recipe.train, method=changes.get("method", "lora"))
    changed, base = replace(recipe, model=model, train=train), Base("base", str(folder), "0" * 64, "0" * 64)
    any_body = trainers.find(train.method).takes_any_body(changed, base)
    return architecture_problems(changed, base, find(model.task), any_body=any_body)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model_type": "bart", "is_encoder_decoder": True}, "an encoder with a decoder"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "transformers has no model of causal-lm"),
        ({"model_type": "distilbert"}, "transformers has no model of causal-lm"),
        ({"model_type": "bert"}, "reads texts in both directions"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "attention in both directions"),
        ({"model_type": "gemma3", "text_config": {"use_bidirectional_attention": True}}, "in both directions"),
    ],
)
def test_a_config_that_is_no_decoders_is_told_with_its_type(tiny_generation, tmp_path, config, why):
    (problem,) = problems(tiny_generation, tmp_path, config)
    assert problem.where == "model.base"
    assert f"a model of type {config['model_type']}, " in problem.found
    assert why in problem.found
    assert "a decoder that completes texts" in problem.expected


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama"},
        {"model_type": "mixtral"},
        {"model_type": "mamba"},
        {"model_type": "bert", "is_decoder": True},
        {"model_type": "xlm", "causal": True},
        {"model_type": "gemma3_text", "use_bidirectional_attention": False},
    ],
)
def test_a_decoders_config_is_none_to_complain_of(tiny_generation, tmp_path, config):
    assert not problems(tiny_generation, tmp_path, config)


def test_a_body_without_a_classifier_needs_a_head_of_ours(tiny_recipe, tmp_path):
    config = {"model_type": "dinov3_vit"}
    (problem,) = problems(tiny_recipe, tmp_path, config, task="image-classification")
    assert "dinov3_vit, for which transformers has no model of image-classification" in problem.found
    assert 'method = "head"' in problem.hint
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    assert not problems(tiny_recipe, tmp_path, config, task="image-classification", method="head")


def test_all_linear_needs_linear_layers(tiny_recipe, tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    recipe, base = load_recipe(tiny_recipe.config).recipe, Base("base", str(tmp_path), "0" * 64, "0" * 64)
    (problem,) = Lora().base_problems(recipe, base, find("image-classification"))
    assert problem.where == "lora.target_modules"
    assert "a model of type resnet has no linear layers" in problem.found
    assert "convolution" in problem.expected


def network(model):
    return Network(model.eval(), lambda batch: model(**batch).logits, (), 0.02, "")


def rows():
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(3, 64, (9,), generator=draw).tolist() for _ in range(4)]


def built(name, settings, attention="sdpa"):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**settings)
    classes = {"Bert": "BertLMHeadModel", "BertGeneration": "BertGenerationDecoder", "Gemma3Text": "Gemma3ForCausalLM"}
    return getattr(transformers, classes.get(name, f"{name}ForCausalLM"))._from_config(
        config, attn_implementation=attention
    )


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Bert", ENCODER),
        ("BertGeneration", ENCODER),
        ("Gemma3Text", {**GEMMA, "use_bidirectional_attention": True}),
    ],
)
def test_logits_that_know_later_tokens_are_found(name, settings, attention):
    with pytest.raises(UsageError, match=r"model of type [\w-]+ whose logits depend on later tokens"):
        check_causal(network(built(name, settings, attention)), rows(), find("causal-lm"))


def test_a_model_that_counts_places_otherwise_than_it_is_made_to_is_found():
    model = built("Roberta", {**ENCODER, "is_decoder": True, "pad_token_id": 1})
    with pytest.raises(UsageError, match="model of type roberta whose places of tokens do not begin at 0"):
        check_causal(network(model), rows(), find("causal-lm"))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Llama", SMALL),
        ("Bert", {**ENCODER, "is_decoder": True}),
        ("Gemma3Text", {**GEMMA, "use_bidirectional_attention": False}),
        ("Mixtral", {**SMALL, "num_local_experts": 4}),
    ],
)
def test_a_causal_models_logits_are_none_to_complain_of(name, settings, attention):
    model = built(name, settings, attention).train()
    check_causal(network(model), rows(), find("causal-lm"))


def test_a_language_model_without_its_output_layer_is_refused_before_training(tiny_generation, tmp_path):
    context = context_of(tiny_generation)
    base = shutil.copytree(context.scoring.base.path, tmp_path / "base")
    llama = transformers.LlamaModel.from_pretrained(base)
    llama.config.tie_word_embeddings = False
    llama.save_pretrained(base)
    own = replace(context.scoring, base=replace(context.scoring.base, path=str(base)))
    run = SeedRun(0, streams(0, ["init"]), str(tmp_path / "run"))
    with pytest.raises(UsageError, match=r"type llama whose weights lack lm_head.weight"):
        next(adapters.train(replace(context, scoring=own), [run], lambda *_: None))
    assert not (tmp_path / "run").exists()


def test_classifiers_may_draw_their_heads():
    find("text-classification").check_loaded(replace(network(built("Llama", SMALL)), new=("score.weight",)))


def test_an_encoder_with_a_decoder_ends_even_a_dry_run_in_one_line(tiny_generation, tmp_path):
    tiny = Tiny(shutil.copytree(tiny_generation.folder, tmp_path / "tiny"))
    config = json.loads((tiny.folder / "base" / "config.json").read_text())
    config |= {"model_type": "bart", "is_encoder_decoder": True}
    (tiny.folder / "base" / "config.json").write_text(json.dumps(config))
    done = run_cli("sweep", "--dry-run", cwd=tiny.folder)
    assert done.code == 2, done.err
    assert "a model of type bart, which is an encoder with a decoder" in " ".join(done.err.split())


@pytest.mark.slow
def test_a_base_that_sees_answers_ends_a_sweep_once_before_training(tiny_generation, tmp_path):
    tiny = Tiny(shutil.copytree(tiny_generation.folder, tmp_path / "tiny"))
    settings = {**ENCODER, "vocab_size": 400, "max_position_embeddings": 256}
    built("BertGeneration", settings).save_pretrained(tiny.folder / "base")
    tiny.config.write_text(generation_text())
    done = run_cli("sweep", "--seeds", "3", "--out", "runs", cwd=tiny.folder)
    assert done.code == 2, done.err
    assert "model of type bert-generation whose logits depend on later tokens" in " ".join(done.err.split())
    assert "seed 1" not in done.err
    assert not list(tiny.runs.glob("seed-*/run.json"))
