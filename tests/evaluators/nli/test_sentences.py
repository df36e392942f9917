"""Sentences: where they end, where they do not, and that nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband.evaluators.nli.sentences import says_something, sentences

#: Each list is the text's sentences; the text is what they make with spaces between.
WORKED = {
    "marks": ["It broke.", "Why?", "Send it back!", "Now"],
    "titles and other abbreviations": ["Dr. Ito met Mrs. Okafor vs. Mr. Lee.", "Refund it, e.g. Monday, i.e. soon."],
    "initials": ["J. R. Smith wrote twice.", "Nobody answered."],
    "decimals and versions": ["It cost 3.50 euros.", "3 were sent with v1.2.3 of the app.", "See shop.example.com."],
    "numbers after an abbreviation": ["Order no. 20417 is from 3 Dec. 2024, see p. 5.", "It came in Dec.", "Then not."],
    "a full stop before a small letter": ["They left at 5 p.m. without it, from the U.S. branch.", "She waits."],
    "ellipses": ["She waited... and waited.", "Then…", "Nothing."],
    "quotes and brackets that close": ['He said "no."', "(It is late.)", "“Go!” she said.", "«Oui.»", "[Done.]", "End"],
    "a question inside a sentence": ['"Where is it?" she asked twice.', "Nobody knew."],
    "runs of marks": ["What?!", "No!!!", "Fine."],
    "entries numbered on one line": ["1. Refund the lamp.", "2. Send another.", "- 3. Write to her.", "B. Wait."],
    "marks with nothing behind": ["It is late. ..."],
}


@pytest.mark.parametrize("name", WORKED)
def test_sentences_end_where_a_reader_ends_them(name):
    assert sentences(" ".join(WORKED[name])) == WORKED[name]


def test_every_line_is_one_at_least():
    text = "Summary\r\n- The lamp broke. She wants another.\n\n* no refund\n---\n"
    assert sentences(text) == ["Summary", "- The lamp broke.", "She wants another.", "* no refund", "---"]


def test_scripts_without_spaces_or_capitals_are_split_at_their_marks():
    assert sentences("包裹没有到。客户想退款！") == ["包裹没有到。", "客户想退款！"]
    assert sentences("لم يصل الطرد. أين هو؟ شكرا") == ["لم يصل الطرد.", "أين هو؟", "شكرا"]


texts = st.text(st.sampled_from('aBé好3 .!?…。"”(-*\n\r\t\u2028\x1c') | st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_nothing_is_lost_but_space(text):
    found = sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in found)


@given(texts)
def test_only_a_line_without_letters_is_a_sentence_without_any(text):
    silent = [line for line in text.splitlines() if line.strip() and not says_something(line)]
    assert sum(not says_something(sentence) for sentence in sentences(text)) == len(silent)


@given(texts, texts)
def test_lines_are_split_one_by_one(first, second):
    assert sentences(f"{first}\n{second}") == sentences(first) + sentences(second)
