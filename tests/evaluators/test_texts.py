"""Evaluators of texts, against the libraries and the papers they come from."""

import math

import numpy as np
import pytest
import sacrebleu
from rouge_score import rouge_scorer

from seedband.errors import UsageError
from seedband.evaluators import Generations, build
from seedband.testing import make_items

TEXTS = ("Customer wants a refund.", "The order is late", "", "customer asks for the invoice")
REFERENCES = ("The customer wants a refund", "The order never arrived", "Nothing.", "Customer asks for an invoice.")


ITEMS = make_items(REFERENCES)


def generations(texts=TEXTS) -> Generations:
    n = len(texts)
    return Generations(texts, np.arange(1.0, n + 1), np.arange(1, n + 1), 100)


READING_TEXTS = ["bleu", "chrf", "exact_match", "rouge_l", "token_f1"]


def test_exact_match_evens_out_case_punctuation_and_articles():
    scored = build("exact_match", {}).score(ITEMS, generations())
    assert scored.per_item.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert build("exact_match", {"normalise": False}).score(ITEMS, generations()).score == 0.0


def test_token_f1_is_squads():
    # "order is late" and "order never arrived" share one word of three each; nothing is said of the third.
    per_item = build("token_f1", {}).score(ITEMS, generations()).per_item
    np.testing.assert_allclose(per_item, [1.0, 1 / 3, 0.0, 1.0])


@pytest.mark.parametrize("name", ["exact_match", "token_f1"])
def test_a_reference_of_which_nothing_is_left_is_compared_as_it_is(name):
    items = make_items(["A", "?", "The", "an a"])
    assert build(name, {}).score(items, generations(("", " ", "A", ""))).per_item.tolist() == [0.0] * 4
    assert build(name, {}).score(items, generations(("a ", "?", "the", "An A"))).per_item.tolist() == [1.0] * 4


def test_reference_nll_is_per_token_and_its_trivial_score_a_uniform_models():
    evaluator = build("reference_nll", {})
    assert evaluator.score(ITEMS, generations()).per_item.tolist() == [1.0] * 4
    assert evaluator.trivial_score(ITEMS, generations()) == math.log(100)


def test_rouge_l_is_rouge_scores():
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    expected = [scorer.score(r, t)["rougeL"].fmeasure for r, t in zip(REFERENCES, TEXTS, strict=True)]
    assert build("rouge_l", {}).score(ITEMS, generations()).per_item.tolist() == expected


@pytest.mark.parametrize("reference", ["Заказ не пришёл.", "注文が届きません", "...", ""])
def test_rouge_l_refuses_references_in_which_it_would_find_no_word(reference):
    items = make_items(["The order is late.", reference])
    with pytest.raises(UsageError, match="item-1: found no word in the reference") as caught:
        build("rouge_l", {}).score(items, generations(items.targets))
    assert "chrf" in caught.value.hint


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_corpus_scores_are_sacrebleus_with_its_signature(name):
    scored = build(name, {}).score(ITEMS, generations())
    expected = getattr(sacrebleu, f"corpus_{name}")(list(TEXTS), [list(REFERENCES)])
    assert scored.score == pytest.approx(expected.score)
    assert "version:" in scored.backend


@pytest.mark.parametrize("name", READING_TEXTS)
def test_the_reference_itself_beats_an_empty_text(name):
    evaluator = build(name, {})
    best = evaluator.score(ITEMS, generations(REFERENCES)).score
    worst = evaluator.score(ITEMS, generations(("",) * 4)).score
    assert best > worst >= evaluator.trivial_score(ITEMS, generations()) - 1e-9
