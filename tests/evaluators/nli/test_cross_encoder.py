"""Cross-encoders: windows of a premise, parts of a sentence, and the output for entailment."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import once
from tiny_nli import make_tiny_nli

from seedband.evaluators.nli.cross_encoder import CrossEncoder, entailment_output, locate


@pytest.fixture(scope="session")
def shared_nli(shared_folder) -> Path:
    """Not to be written to."""
    return once(shared_folder / "tiny-nli", make_tiny_nli)


@pytest.fixture(scope="session")
def encoder(shared_nli) -> CrossEncoder:
    return CrossEncoder.load(locate(str(shared_nli), None), None)


def test_windows_hold_the_whole_premise_and_the_whole_sentence_each(encoder):
    premise, sentence = " ".join(f"w{number}" for number in range(150)), "and nothing is left out."
    ids = encoder.tokenizer(premise, add_special_tokens=False)["input_ids"]
    windows = encoder._windows(premise, sentence)
    ending = encoder.tokenizer(sentence, add_special_tokens=False)["input_ids"]
    assert len(windows) > 1
    covered = 0
    for window in windows:
        row = window["input_ids"]
        assert len(row) <= encoder.max_length
        assert row[-1 - len(ending) : -1] == ending
        inside = row[1 : -2 - len(ending)]
        start = next(n for n in range(covered + 1) if ids[n : n + len(inside)] == inside)
        covered = start + len(inside)
    assert covered == len(ids)


@given(st.text(st.sampled_from("ab é好🎉."), max_size=400).map(str.strip))
@settings(max_examples=40)
def test_parts_of_a_sentence_lose_nothing_but_space(encoder, text):
    text = f"a{text}z"
    parts = encoder._parts(text)
    assert "".join(filter(str.isalnum, "".join(parts))) == "".join(filter(str.isalnum, text))
    assert all(len(encoder._offsets(part)) <= encoder.max_length // 2 + 1 for part in parts)


@pytest.mark.parametrize(
    ("labels", "output"),
    [
        (("contradiction", "entailment", "neutral"), 1),
        (("ENTAILMENT", "NEUTRAL", "CONTRADICTION"), 0),
        (("not_entailment", "entailment"), 1),
        (("Entailment", "Not Entailment"), 0),
    ],
)
def test_the_output_for_entailment_is_found_by_its_name(labels, output):
    config = {"architectures": ["DebertaV2ForSequenceClassification"], "id2label": dict(enumerate(labels))}
    assert entailment_output(config, "nli") == output
