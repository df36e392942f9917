"""Texts in tokens: in calls of the tokenizer that are small, and say what one call would."""

import pytest

from seedband.models.loading import load_tokenizer
from seedband.tasks import text_classification
from seedband.tasks.text_classification import encode_texts, truncation

TEXTS = [f"apple iron {'rhine ' * (number % 5)}{number}" for number in range(11)]


@pytest.mark.parametrize("at_once", [1, 3, 11])
def test_texts_are_the_same_tokens_in_however_many_calls(tiny_recipe, monkeypatch, at_once):
    tokenizer = load_tokenizer(str(tiny_recipe.folder / "base"))
    one = encode_texts(tokenizer, TEXTS, 12)
    cut = truncation(tokenizer, TEXTS, one, 12)
    assert 0 < cut.rows < len(TEXTS)
    asked = []
    monkeypatch.setattr(text_classification, "AT_ONCE", at_once)

    def counted(texts, **options):
        asked.append(len(texts))
        return tokenizer(texts, **options)

    assert encode_texts(counted, TEXTS, 12) == one
    assert truncation(counted, TEXTS, one, 12) == cut
    assert max(asked) <= at_once


def test_no_texts_are_no_tokens(tiny_recipe):
    assert encode_texts(load_tokenizer(str(tiny_recipe.folder / "base")), [], 12) == []
