"""A causal language model learns completions and completes prompts; against transformers itself."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from prompts import COLUMNS, PROMPTS, chats, write
from tiny_decoder import CHAT, make_tiny_decoder
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config

from seedband.bands.comparability import ReadRows, of_scoring
from seedband.data.dataset import load_items
from seedband.determinism.environment_record import EnvironmentRecord
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import EvaluatorSection, GenerationSection
from seedband.tasks import causal_lm, find, prompt_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("lm")
    make_tiny_decoder(root / "plain")
    make_tiny_decoder(root / "chat", chat=True)
    return root


def scoring(base: Path, max_length: int = 64, batch_size: int = 4) -> Scoring:
    evaluator = EvaluatorSection(evaluator="reference_nll", primary=True)
    where = Base("base", str(base), "0", "0")
    said = GenerationSection(max_new_tokens=6)
    return Scoring(where, "causal-lm", max_length, batch_size, "cpu", (), "", {}, (evaluator,), said, "")


def predict(model, items, given: Scoring):
    return find("causal-lm").predict(model, find("causal-lm").encode(items, given), given, "cpu")


@pytest.fixture
def items(tmp_path):
    rows = [{"prompt": prompt, "completion": f" {word}"} for prompt, word in zip(PROMPTS, "abcd", strict=True)]
    return load_items(write(tmp_path / "rows.jsonl", rows), COLUMNS)


def test_losses_and_answers_are_those_of_each_row_alone(folder, items):
    base = folder / "plain"
    said = predict(find("causal-lm").load(str(base), ()), items, scoring(base))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)
    for row, (prompt, completion) in enumerate(zip(items.inputs, items.targets, strict=True)):
        given = tokenizer(prompt)["input_ids"]
        answer = [*tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logits = model(torch.tensor([given + answer])).logits[0, len(given) - 1 : -1]
            alone = model.generate(torch.tensor([given]), do_sample=False, max_new_tokens=6)[0, len(given) :]
        expected = functional.cross_entropy(logits, torch.tensor(answer), reduction="sum")
        np.testing.assert_allclose(said.nll[row], float(expected), rtol=1e-4)
        assert said.n_tokens[row] == len(answer)
        assert said.texts[row] == tokenizer.decode(alone, skip_special_tokens=True).strip()


def test_a_model_without_torchs_attention_answers_with_its_own(folder, items, tmp_path):
    base = shutil.copytree(folder / "plain", tmp_path / "base")
    sizes = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1}
    AutoModelForCausalLM.from_config(Gemma2Config(**sizes, **heads, eos_token_id=2)).save_pretrained(base)
    model = find("causal-lm").load(str(base), ())
    assert model.attention == "eager"
    said = predict(model, items, scoring(base))
    apart = predict(model, items, scoring(base, batch_size=1))
    np.testing.assert_allclose(said.nll, apart.nll, rtol=1e-4)


def test_only_the_completion_is_learnt(folder, items):
    base = folder / "plain"
    lesson = find("causal-lm").encode(items, scoring(base))
    rows = [0, 2]
    assert lesson.units(rows) == sum(len(lesson.rows[row].completion) for row in rows)
    batch = lesson.batch(rows, torch.device("cpu"))
    model = find("causal-lm").load(str(base), ())
    model.module.requires_grad_(requires_grad=False)
    summed = lesson.loss(model.forward(batch), rows)
    each = [float(lesson.loss(model.forward(lesson.batch([row], torch.device("cpu"))), [row]).detach()) for row in rows]
    np.testing.assert_allclose(float(summed.detach()), sum(each), rtol=1e-4)


def test_what_is_asked_does_not_depend_on_what_shall_be_said(folder, tmp_path):
    base, prompt = folder / "plain", "the very old river oder was seen today near us"
    said = []
    for name, completion in (("short", " a"), ("long", " the apple and the pear and the plum and the iron")):
        path = write(tmp_path / f"{name}.jsonl", [{"prompt": prompt, "completion": completion}])
        said.append(predict(find("causal-lm").load(str(base), ()), load_items(path, COLUMNS), scoring(base, 10)))
    short, long = said
    assert long.texts == short.texts
    assert long.truncated.tokens > short.truncated.tokens
    tokenizer = AutoTokenizer.from_pretrained(base)
    given = tokenizer(prompt, return_tensors="pt")["input_ids"][:, -10:]
    alone = AutoModelForCausalLM.from_pretrained(base).generate(given, do_sample=False, max_new_tokens=6)[0, 10:]
    assert long.texts == (tokenizer.decode(alone, skip_special_tokens=True).strip(),)


def test_prompts_that_are_too_long_by_themselves_are_counted_apart(folder, items):
    base = folder / "plain"
    tokenizer = AutoTokenizer.from_pretrained(base)
    lengths = [len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    room = sorted(lengths)[-2]
    found = predict(find("causal-lm").load(str(base), ()), items, scoring(base, room)).truncated
    assert found.questions == sum(length > room for length in lengths) == 1
    assert found.rows > found.questions
    assert "1 answered without the start of the prompt" in found.in_words("eval", 4, room)
    assert find("causal-lm").encode(items, scoring(base, room)).truncated.questions == 0


def test_answers_are_greedy_whatever_the_model_asks_for(folder, items, tmp_path):
    base = shutil.copytree(folder / "plain", tmp_path / "base")
    plain = predict(find("causal-lm").load(str(base), ()), items, scoring(base))
    asked = {"do_sample": True, "temperature": 5.0, "top_k": 3, "repetition_penalty": 9.0, "no_repeat_ngram_size": 1}
    (base / "generation_config.json").write_text(json.dumps({**asked, "min_new_tokens": 6, "num_beams": 3}))
    model = find("causal-lm").load(str(base), ())
    assert model.module.generation_config.repetition_penalty == 9.0
    assert predict(model, items, scoring(base)).texts == plain.texts


def test_an_answer_ends_where_the_model_says_so(folder, items, tmp_path):
    base = shutil.copytree(folder / "plain", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    given = tokenizer(PROMPTS[0], return_tensors="pt")
    alone = AutoModelForCausalLM.from_pretrained(base).generate(**given, do_sample=False, max_new_tokens=6)
    said = alone[0, given["input_ids"].shape[1] :].tolist()
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokenizer.eos_token_id, said[2]]}))
    shorter = predict(find("causal-lm").load(str(base), ()), items, scoring(base))
    until = said[: said.index(said[2]) + 1]
    assert len(until) < len(said)
    assert shorter.texts[0] == tokenizer.decode(until, skip_special_tokens=True).strip()
    assert shorter.settings["ends"] == sorted({tokenizer.eos_token_id, said[2]})


def test_a_candidates_own_settings_do_not_say_where_its_answers_end(folder, items, tmp_path):
    base = folder / "plain"
    candidate = shutil.copytree(base, tmp_path / "candidate")
    plain = predict(find("causal-lm").load(str(base), ()), items, scoring(base))
    (candidate / "generation_config.json").write_text(json.dumps({"eos_token_id": list(range(3, 300))}))
    said = predict(find("causal-lm").load(str(candidate), ()), items, scoring(base))
    assert said.texts == plain.texts
    assert any(" " in text for text in said.texts)
    assert said.settings == plain.settings
    assert said.settings["ends"] == [AutoTokenizer.from_pretrained(base).eos_token_id]


def test_where_answers_end_and_what_was_asked_are_in_the_signature(folder, items):
    base = folder / "plain"
    model = find("causal-lm").load(str(base), ())
    facts = EnvironmentRecord({}, "cpu", {}, "f00")
    lengths = (64, 6)
    settings = [predict(model, items, scoring(base, length)).settings for length in lengths]
    digests = [
        find("causal-lm").encoded_sha256(find("causal-lm").encode(items, scoring(base, length))) for length in lengths
    ]
    long, short = (
        of_scoring(scoring(base), "ab", {}, facts, each, ReadRows(sha256, "cd"))
        for each, sha256 in zip(settings, digests, strict=True)
    )
    assert long["scoring"]["generation"] == {"max_new_tokens": 6, **settings[0]}
    assert long["scoring"]["generation"]["ends"] == short["scoring"]["generation"]["ends"]
    assert long["encoded"] != short["encoded"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_answers_do_not_depend_on_their_company(folder, items, batch_size):
    base = folder / "plain"
    model = find("causal-lm").load(str(base), ())
    together = predict(model, items, scoring(base, batch_size=4))
    apart = predict(model, items, scoring(base, batch_size=batch_size))
    assert apart.texts == together.texts
    np.testing.assert_allclose(apart.nll, together.nll, rtol=1e-4)


def test_no_more_logits_at_a_time_than_memory_is_meant_for(folder, items, monkeypatch):
    base = folder / "plain"
    model = find("causal-lm").load(str(base), ())
    together = predict(model, items, scoring(base))
    sizes = []

    def watched(batch):
        logits = model.forward(batch)
        sizes.append(logits.numel())
        return logits

    monkeypatch.setattr(causal_lm, "MAX_LOGITS", max(together.n_tokens + 1) * together.vocabulary * 2)
    apart = predict(replace(model, forward=watched), items, scoring(base))
    assert len(sizes) == 2
    assert max(sizes) <= causal_lm.MAX_LOGITS
    np.testing.assert_allclose(apart.nll, together.nll, rtol=1e-4)


@pytest.mark.parametrize("after", ["", "\n"])
def test_a_chat_ends_with_the_mark_of_its_template(folder, tmp_path, after):
    template = CHAT.replace("<|end|>", f"<|end|>{after}")
    base, items = chats(folder, tmp_path, eos_token="</s>", chat_template=template)
    tokenizer = AutoTokenizer.from_pretrained(base)
    end, eos = (tokenizer.convert_tokens_to_ids(mark) for mark in ("<|end|>", "</s>"))
    model = find("causal-lm").load(str(base), ())
    model.module.set_output_embeddings(biased(model.module.lm_head, end))
    lengths = []
    generate = model.module.generate

    def watched(**given):
        answered = generate(**given)
        lengths.append(answered.shape[1] - given["input_ids"].shape[1])
        return answered

    model.module.generate = watched
    said = predict(model, items, scoring(base))
    assert said.settings["ends"] == sorted([end, eos])
    assert lengths == [1]


def biased(head, token):
    """An output layer that says one token whatever it is given."""
    layer = torch.nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.bias[token] = 1.0
    return layer


def test_what_ends_a_chat_is_special_and_its_last_word(folder, tmp_path):
    for number, template in enumerate((CHAT.replace("<|end|>", "."), CHAT.replace("<|end|>", "<|end|> then"))):
        (tmp_path / str(number)).mkdir()
        base, items = chats(folder, tmp_path / str(number), eos_token="</s>", chat_template=template)
        tokenizer = AutoTokenizer.from_pretrained(base)
        rows = prompt_rows.tokenised(tokenizer, items, 64)
        assert causal_lm.ends_of(tokenizer, rows, base) == [tokenizer.eos_token_id]
