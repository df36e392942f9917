"""A causal language model learns completions and completes prompts; against transformers itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_decoder import make_tiny_decoder
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from seedband.dataset import load_items
from seedband.errors import UsageError
from seedband.records import Base, EvaluatorSection, GenerationSection, Scoring
from seedband.tasks import causal_lm

COLUMNS = {"task": "causal-lm", "id": "id", "slices": []} | {
    name: name for name in ("prompt", "completion", "messages", "context")
}
PROMPTS = ["the apple was", "iron and zinc", "near us today the very old river oder", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("lm")
    make_tiny_decoder(root / "plain")
    make_tiny_decoder(root / "chat", chat=True)
    return root


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def scoring(base: Path, max_length: int = 64, batch_size: int = 4) -> Scoring:
    evaluator = EvaluatorSection(evaluator="reference_nll", primary=True)
    where = Base("base", str(base), "0", "0")
    said = GenerationSection(max_new_tokens=6)
    return Scoring(where, "causal-lm", max_length, batch_size, "cpu", (), "", {}, (evaluator,), said, "")


@pytest.fixture
def items(tmp_path):
    rows = [{"prompt": prompt, "completion": f" {word}"} for prompt, word in zip(PROMPTS, "abcd", strict=True)]
    return load_items(write(tmp_path / "rows.jsonl", rows), COLUMNS)


def test_losses_and_answers_are_those_of_each_row_alone(folder, items):
    base = folder / "plain"
    said = causal_lm.predict(causal_lm.load(str(base), ()), items, scoring(base), "cpu")
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


def test_only_the_completion_is_learnt(folder, items):
    base = folder / "plain"
    lesson = causal_lm.encode(items, scoring(base))
    rows = [0, 2]
    assert lesson.units(rows) == sum(len(lesson.rows[row].completion) for row in rows)
    batch = lesson.batch(rows, torch.device("cpu"))
    model = causal_lm.load(str(base), ())
    model.module.requires_grad_(requires_grad=False)
    summed = lesson.loss(model.forward(batch), rows)
    each = [float(lesson.loss(model.forward(lesson.batch([row], torch.device("cpu"))), [row])) for row in rows]
    np.testing.assert_allclose(float(summed), sum(each), rtol=1e-4)


def test_what_is_too_long_loses_the_start_of_its_prompt_and_is_counted(folder, items):
    tokenizer = AutoTokenizer.from_pretrained(folder / "plain")
    whole = causal_lm.tokenised(tokenizer, items, 64)
    short = causal_lm.tokenised(tokenizer, items, 6)
    for full, cut in zip(whole, short, strict=True):
        assert cut.completion == full.completion
        assert full.prompt[len(full.prompt) - len(cut.prompt) :] == cut.prompt
        assert cut.cut == len(full.prompt) - len(cut.prompt)
        assert len(cut.prompt) + len(cut.completion) <= 6


def test_chats_go_through_the_template_of_their_base(folder, tmp_path):
    talk = [{"role": "user", "content": "the apple"}, {"role": "assistant", "content": "fruit"}]
    items = load_items(write(tmp_path / "chat.jsonl", [{"messages": talk}]), COLUMNS)
    (row,) = causal_lm.tokenised(AutoTokenizer.from_pretrained(folder / "chat"), items, 64)
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    assert tokenizer.decode(row.prompt) == "<|user|>the apple<|end|><|assistant|>"
    assert tokenizer.decode(row.completion) == "fruit<|end|>"
    with pytest.raises(UsageError, match="has no chat template"):
        causal_lm.tokenised(AutoTokenizer.from_pretrained(folder / "plain"), items, 64)
