"""Markdown: users' text stands as text, whatever it is; the table says what a reader needs."""

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from seedband import fit_band, reports
from seedband.bands.verdict import Candidate
from seedband.errors import Problem, Refused
from seedband.reports import markdown
from seedband.reports.markdown import CUT, escaped, fenced, fitted
from seedband.reports.wording import clean

GFM = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = (
    "|a`<script>alert(1)</script>` @team #12 **b** \n# [x](http://evil.example) ![y](z)\u202egnp \x1b[31m"
    " $x$ \udcff ~~s~~"
)
TEXTS = st.text(st.sampled_from("ab1.-+=#>|`<&@!$*_~[](){}:/\\ \n\t\u202e\x1b\udcff'\"w"), max_size=40) | st.text(
    max_size=40
)
BAND = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]})
CALL = {"band_path": "band.json", "candidates": ("new.csv",), "command": "seedband check --scores new.csv"}


def shown(source):
    """What a reader sees of a page, block after block, and the tags that made it."""
    texts, tags = [], set()
    for token in GFM.parse(source):
        tags.add(token.type)
        if token.type == "fence":
            texts.append(token.content.removesuffix("\n"))
        for child in token.children or []:
            tags.add(child.type)
        if token.type == "inline":
            texts.append("".join(child.content for child in token.children))
    return [text.replace("\u200b", "") for text in texts], tags


@given(TEXTS)
@settings(max_examples=400)
def test_any_text_is_shown_as_it_is(text):
    for source in (escaped(text), f"- {escaped(text)}"):
        texts, tags = shown(source)
        assert "".join(texts) == clean(text).strip()
        assert not tags & {"html_inline", "html_block", "code_inline", "strong_open", "em_open", "link_open", "image"}
        assert not tags & {
            "s_open",
            "heading_open",
            "blockquote_open",
            "code_block",
            "ordered_list_open",
            "hr",
            "softbreak",
        }
    assert not re.search(r"[@#]\w", re.sub(r"&#\d+;", "&", escaped(text)))


@given(TEXTS)
def test_any_text_stays_within_its_cell_and_its_fence(text):
    texts, tags = shown(f"| {escaped(text)} | b |\n| --- | --- |\n| {escaped(text)} | d |")
    told = clean(text).strip()
    assert texts == [told, "b", told, "d"]
    assert "table_open" in tags
    assert shown(f"{fenced(text)}\n\nafter")[0] == [clean(text), "after"]


def test_nothing_in_it_mentions_refers_or_links():
    source = escaped(NASTY)
    assert "@team" not in source
    assert "#12" not in source
    assert "http://" not in source
    assert "$" not in source
    assert "\u202e" not in source
    assert "\\\\u202e" in source


def test_a_verdict_is_a_table_and_sentences():
    band = fit_band(
        {"accuracy": [0.871, 0.884, 0.879, 0.892], "log_loss": [0.50, 0.51, 0.53, 0.52]},
        primary="accuracy",
        lower_is_better=["log_loss"],
    )
    verdict = band.judge({"accuracy": 0.869, "log_loss": 0.9})
    texts, _ = shown(markdown.render(reports.of_verdict(verdict, band, 4, "train one more", **CALL)))
    assert texts[:2] == ["seedband: SUSPECT", "below the band; 1 more seed, 2 at most"]
    assert texts[2:10] == ["metric", "verdict", "score", "band", "p", "false alarms", "detectable drop", "role"]
    assert texts[10:14] == ["accuracy", "SUSPECT", "0.8690", "0.8710 to 0.8920"]
    assert texts[15:18] == ["5.0%", "0.0208", "gates"]
    assert texts[18:20] == ["log_loss", "FAIL"]
    assert texts[25] == "advises"
    assert any("false-alarm rate: 5.0%" in text for text in texts)
    assert texts[-3:] == ["train one more", "Command:", CALL["command"]]


def test_candidates_stand_with_their_seeds_and_why_they_failed():
    entries = [
        Candidate("runs/x/seed-7", {"accuracy": 0.88}, "a" * 64, baseline_seed=2, seed=7),
        Candidate(NASTY, {}, None, failure="loss became NaN"),
    ]
    verdict = replace(BAND.judge({"accuracy": 0.88}), candidates=tuple(entries))
    texts, tags = shown(markdown.render(reports.of_verdict(verdict, BAND, 0, "", **CALL)))
    start = texts.index("candidate")
    assert texts[start : start + 8] == [
        "candidate", "seed", "accuracy", "note", "runs/x/seed-7", "7", "0.8800", "is seed 2 of the band",
    ]  # fmt: skip
    assert texts[start + 8 : start + 12] == [clean(NASTY), "unknown", "none", "failed to train: loss became NaN"]
    assert "html_inline" not in tags


def test_a_refusal_lists_its_problems_and_no_more_than_people_read():
    problems = [Problem(f"row {number}", NASTY, "a number") for number in range(80)]
    texts, tags = shown(markdown.render(reports.of_error(Refused("80 mistakes", problems, hint="mend"), **CALL)))
    assert texts[:2] == ["seedband: REFUSED", "80 mistakes"]
    assert sum(text.startswith("row ") for text in texts) == 50
    assert "… and 30 more" in texts
    assert not tags & {"html_inline", "html_block", "link_open", "strong_open"}


def test_what_has_no_room_is_left_out_and_said_so():
    parts = ["### head", "a" * 100, "b" * 100]
    assert fitted(parts, 1000) == f"### head\n\n{'a' * 100}\n\n{'b' * 100}\n"
    assert fitted(parts, 200) == f"### head\n\n{'a' * 100}\n\n{CUT}\n"
    assert fitted(parts, 110) == f"### head\n\n{CUT}\n"
    assert fitted(parts, 10) == ""
