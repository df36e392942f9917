"""Prompts and completions in tokens: what is cut, what marks a text, how chats are spelled."""

from pathlib import Path

import pytest
from prompts import COLUMNS, PROMPTS, chats, write
from tiny_decoder import CHAT, make_tiny_decoder
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from seedband.data.dataset import load_items
from seedband.errors import UsageError
from seedband.models.encoded import Truncation
from seedband.tasks import prompt_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("lm")
    make_tiny_decoder(root / "plain")
    make_tiny_decoder(root / "chat", chat=True)
    return root


@pytest.fixture
def items(tmp_path):
    rows = [{"prompt": prompt, "completion": f" {word}"} for prompt, word in zip(PROMPTS, "abcd", strict=True)]
    return load_items(write(tmp_path / "rows.jsonl", rows), COLUMNS)


def test_what_is_too_long_loses_the_start_of_its_prompt_and_is_counted(folder, items):
    tokenizer = AutoTokenizer.from_pretrained(folder / "plain")
    whole = prompt_rows.tokenised(tokenizer, items, 64)
    short = prompt_rows.tokenised(tokenizer, items, 6)
    for full, cut in zip(whole, short, strict=True):
        assert cut.completion == full.completion
        assert full.prompt[len(full.prompt) - len(cut.prompt) :] == cut.prompt
        assert cut.prompt_cut == len(full.prompt) - len(cut.prompt)
        assert cut.question == full.prompt[-6:]
        assert cut.question_cut == len(full.prompt) - len(cut.question)
        assert len(cut.prompt) + len(cut.completion) <= 6
    assert prompt_rows.truncation(whole) == Truncation()
    lost = [row.prompt_cut for row in short]
    assert prompt_rows.truncation(short) == Truncation(sum(n > 0 for n in lost), sum(lost))


def test_a_prompt_of_which_nothing_remains_and_a_completion_that_is_cut_are_counted_apart(folder, tmp_path):
    rows = [
        {"prompt": "the apple was very old", "completion": " iron and zinc"},
        {"prompt": "the apple was very old", "completion": " a"},
        {"prompt": "a", "completion": " a"},
    ]
    items = load_items(write(tmp_path / "rows.jsonl", rows), COLUMNS)
    tokenizer = AutoTokenizer.from_pretrained(folder / "plain")
    whole = prompt_rows.tokenised(tokenizer, items, 64)
    room = len(whole[1].completion) + 1
    cut = prompt_rows.tokenised(tokenizer, items, room)
    found = prompt_rows.truncation(cut)
    assert (found.rows, found.prompts, found.completions) == (2, 2, 1)
    before = sum(len(row.prompt) + len(row.completion) for row in whole)
    assert found.tokens == before - sum(len(row.prompt) + len(row.completion) for row in cut)
    told = found.in_words("eval", 3, room)
    assert "2 lost all of the prompt but a token at most; 1 lost the end of the completion" in told


def with_marks(folder):
    """The plain tokenizer, which now puts its marks around every text, as some do."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "plain")
    marks = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
    return tokenizer


def test_a_cut_prompt_keeps_the_mark_that_begins_a_text(folder, items):
    tokenizer = with_marks(folder)
    for row in prompt_rows.tokenised(tokenizer, items, 8):
        assert row.prompt[0] == row.question[0] == tokenizer.bos_token_id
        assert len(row.question) <= 8
        assert len(row.prompt) + len(row.completion) <= 8
    first = prompt_rows.tokenised(tokenizer, items, 64)[0]
    bare = prompt_rows.tokenised(tokenizer, items, len(first.completion) + 1)[0]
    assert (bare.prompt, bare.bare) == ([tokenizer.bos_token_id], True)


def test_a_prompt_does_not_end_its_text(folder, items):
    tokenizer = with_marks(folder)
    assert tokenizer(PROMPTS[0])["input_ids"][-1] == tokenizer.eos_token_id
    for row in prompt_rows.tokenised(tokenizer, items, 64):
        assert tokenizer.eos_token_id not in row.prompt
        assert row.completion[-1] == tokenizer.eos_token_id


def test_chats_go_through_the_template_of_their_base(folder, tmp_path):
    talk = [{"role": "user", "content": "the apple"}, {"role": "assistant", "content": "fruit"}]
    items = load_items(write(tmp_path / "chat.jsonl", [{"messages": talk}]), COLUMNS)
    (row,) = prompt_rows.tokenised(AutoTokenizer.from_pretrained(folder / "chat"), items, 64)
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    assert tokenizer.decode(row.prompt) == "<|user|>the apple<|end|><|assistant|>"
    assert tokenizer.decode(row.completion) == "fruit<|end|>"
    with pytest.raises(UsageError, match="has no chat template"):
        prompt_rows.tokenised(AutoTokenizer.from_pretrained(folder / "plain"), items, 64)


def test_a_template_that_prints_the_date_is_told_the_same_every_day(folder, tmp_path, monkeypatch):
    asked = (
        "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}\n"
        "<|system|>{{ date_string }}, {{ strftime_now('%Y-%m-%d') }}<|end|>"
    )
    base, items = chats(folder, tmp_path, chat_template=asked + CHAT)
    tokenizer = AutoTokenizer.from_pretrained(base)
    (row,) = prompt_rows.tokenised(tokenizer, items, 128)
    told = tokenizer.decode(row.prompt)
    assert told == "<|system|>26 Jul 2024, 2024-07-26<|end|><|user|>the apple<|end|><|assistant|>"
    # The template really asks: without the fixed day it says another.
    monkeypatch.setattr(prompt_rows, "CALENDAR", "")
    (other,) = prompt_rows.tokenised(tokenizer, items, 128)
    assert tokenizer.decode(other.prompt) != told
    assert prompt_rows.digest([other]) != prompt_rows.digest([row])


def test_the_calendar_changes_nothing_else_of_a_template(folder, tmp_path, monkeypatch):
    base, items = chats(
        folder, tmp_path, chat_template="\n  {% if true %}{% endif %}\n  " + CHAT + "{# strftime_now #}"
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    with_calendar = prompt_rows.tokenised(tokenizer, items, 128)
    monkeypatch.setattr(prompt_rows, "CALENDAR", "")
    assert prompt_rows.tokenised(tokenizer, items, 128) == with_calendar
