"""The page as a file: its form, its policy, what it says and what it escapes."""

import base64
import hashlib
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from seedband import fit_band, reports
from seedband.bands.verdict import Candidate
from seedband.errors import Problem, Refused, UsageError
from seedband.reports import html
from seedband.reports.html import page_head, trend_page
from seedband.reports.html.values import visible
from seedband.reports.loss_curves import Curve
from seedband.reports.page_data import Overview, of_band
from seedband.reports.trend import timeline

SCORES = [0.871, 0.884, 0.879, 0.892]
HOSTILE = '<script>document.title="taken"</script>\u202edetrevni\u200f "&'
SHOWN = HOSTILE.replace("\u202e", "\\u202e").replace("\u200f", "\\u200f")
VOID = {"meta", "link", "br", "path", "use"}


class Page(HTMLParser):
    """Tags with their attributes, and text by the tag that it stands in."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def text(self, tag=None):
        return " ".join(text for name, text in self.texts if name not in ("style", "script") and tag in (None, name))


def a_slice(value, scores=(0.8, 0.82, 0.81, 0.84)):
    known = {"scores": list(scores), "n_items": 40, "unscored": [], "floor": 0.01, "resolution": 0.025}
    return {"column": "channel", "value": value, "n_items": 40, "metrics": {"accuracy": known}}


def hostile_band():
    facts = {
        "slices": [a_slice(HOSTILE), a_slice("שלום")],
        "crashed": {"9": f"out of memory {HOSTILE}"},
        "signature": {"labels": [HOSTILE, "b"], "evaluators": {"accuracy": {"version": "1", "args": {HOSTILE: 1}}}},
    }
    return fit_band({"accuracy": SCORES}, failed_seeds=[5], provenance=facts)


def report(band=None, candidate=0.869, **changes):
    band = fit_band({"accuracy": SCORES}) if band is None else band
    verdict = band.judge({"accuracy": candidate})
    call = {"band_path": "band.json", "candidates": ("runs/new",), "command": "seedband check runs/new"}
    hint = "1 more seed, 2 at most: seedband check runs/new --more-seeds 2" if verdict.status == "suspect" else ""
    return reports.of_verdict(
        verdict, band, {"pass": 0, "fail": 1, "suspect": 4}[verdict.status], hint, **call | changes
    )


def failed_report():
    band = hostile_band()
    candidate = Candidate(HOSTILE, {}, None, failure=f"the loss is not finite {HOSTILE}")
    return reports.of_verdict(
        band.judge({"accuracy": 0.1}, failure="it failed").__class__(
            "fail", {}, "accuracy", "it failed", 0.2, (candidate,)
        ),
        band,
        1,
        band_path="b",
        candidates=(HOSTILE,),
        command="seedband check x",
    )


def refused():
    error = Refused(f"{HOSTILE} is another base", [Problem("recipe.lora", HOSTILE, "a rank")], hint="sweep again")
    return reports.of_error(error, band_path=HOSTILE, candidates=(HOSTILE,), command=f"seedband check '{HOSTILE}'")


def trend(tmp_path):
    fit_band({"accuracy": SCORES}).save(tmp_path / "a" / "band.json")
    reports.write(report(), [("json", tmp_path / "b.json")])
    reports.write(refused(), [("json", tmp_path / "c.json")])
    (tmp_path / "d.json").write_text('{"format": "seedband.band", "version": 1}')
    return trend_page.render_timeline(timeline(tmp_path))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every kind of page."""
    return {
        "suspect": html.render(report()),
        "pass": html.render(report(candidate=0.89)),
        "fail": html.render(report(candidate=0.2)),
        "pairs": html.render(paired()),
        "failed": html.render(failed_report()),
        "refused": html.render(refused()),
        "error": html.render(
            reports.of_error(UsageError("no"), band_path="b", candidates=(), command="seedband check")
        ),
        "hostile": html.render(report(hostile_band())),
        "band": html.render_overview(of_band(fit_band({"m": [1, 1, 1]}, lower_is_better=["m"]))),
        "trend": trend(tmp_path_factory.mktemp("trend")),
    }


def paired():
    band = fit_band({"accuracy": SCORES})
    verdict = band.judge({"accuracy": [0.868, 0.881]}, rule="paired", seeds=[0, 1])
    return reports.of_verdict(verdict, band, 0, band_path="b", candidates=("x",), command="seedband check x")


def test_every_page_is_whole_and_asks_for_nothing(pages):
    for name, text in pages.items():
        page = Page(text)
        assert not page.open, name
        assert text.count("<!DOCTYPE html>") == 1
        assert page.named("html") == [{"lang": "en"}]
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.named("meta")
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        ids = Counter(attrs["id"] for _, attrs in page.tags if "id" in attrs)
        assert not [key for key, count in ids.items() if count > 1], name
        for tag, attrs in page.tags:
            assert not [key for key in attrs if key.startswith("on") or key in ("style", "src", "action")], (name, tag)
            if "href" in attrs:
                assert attrs["href"] == "data:," or attrs["href"].removeprefix("#") in ids, (name, attrs)
        for drawing in page.named("svg"):
            assert drawing["aria-label"]
        assert len(page.named("script")) == len(page.named("style")) == 1
        assert "http" not in re.sub(r"http-equiv", "", text), name
        assert len(text) < 200_000, name


def test_policy_allows_its_own_style_and_script_and_nothing_else(pages):
    text = pages["suspect"]
    policy = next(m["content"] for m in Page(text).named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    for tag in ("style", "script"):
        content = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        assert content.strip()
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "img-src": "data:"}


def test_the_same_report_is_the_same_bytes_whatever_the_users_settings_are(monkeypatch):
    import matplotlib as mpl

    told = report()
    first = html.render(told)
    monkeypatch.setitem(mpl.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "path")
    assert html.render(told) == first


def test_labels_are_text_whatever_they_hold(pages):
    for name in ("hostile", "failed", "refused", "trend"):
        page = Page(pages[name])
        assert SHOWN in page.text("bdi"), name
        assert "\u202e" not in pages[name], name
        assert "\u200f" not in pages[name], name
        assert len(page.named("script")) == 1, name
    assert "שלום" in Page(pages["hostile"]).text("bdi")


def test_marks_tell_a_candidates_name_as_text_set_apart():
    band = fit_band({"accuracy": SCORES})
    verdict = band.judge({"accuracy": 0.88})
    known = verdict.__class__(
        **{**vars(verdict), "candidates": (Candidate(HOSTILE, {"accuracy": 0.88}, "ab", seed=7),)}
    )
    text = html.render(reports.of_verdict(known, band, 0, band_path="b", candidates=("x",), command="c"))
    assert f"candidate 1 \u2068{SHOWN}\u2069, seed 7: 0.8800" in Page(text).text("title")


def test_every_seed_can_be_reached_by_keyboard_and_tells_its_score(pages):
    page = Page(pages["suspect"])
    marks = [attrs for tag, attrs in page.tags if attrs.get("class") == "mark"]
    assert marks
    assert all(mark["tabindex"] == "0" and mark["role"] == "img" for mark in marks)
    told = page.text("title")
    for seed, score in enumerate(SCORES):
        assert f"seed {seed}: {score:.4f}" in told
    assert "(median run)" in told
    assert "candidate 1: 0.8690" in told


def test_what_is_not_at_hand_is_said_and_not_drawn(pages):
    text = Page(pages["suspect"]).text()
    assert "Not at hand: this band was made from bare scores: there are no runs to look into" in " ".join(text.split())
    assert "Same-seed noise is not measured: there is no run to repeat" in text
    assert "without environment, signature or evaluators" in text
    assert "a seed of the band" not in text


def test_verdict_stands_first_then_why_then_what_to_run(pages):
    text = " ".join(Page(pages["suspect"]).text().split())
    places = [
        text.index(part) for part in ("Suspect", "1 more seed, 2 at most", "--more-seeds 2", "Seeds and candidates")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("hint", "before", "command", "after"),
    [
        (
            "1 more seed, 2 at most: seedband check x --more-seeds 2",
            "1 more seed, 2 at most",
            "seedband check x --more-seeds 2",
            "",
        ),
        (
            "1 more seed: seedband check x, or check a checkpoint",
            "1 more seed",
            "seedband check x",
            "or check a checkpoint",
        ),
        ("sweep again", "sweep again", "", ""),
        ("pip install seedband[x]", "pip install seedband[x]", "", ""),
    ],
)
def test_command_of_a_hint_is_set_apart_from_its_words(hint, before, command, after):
    step = page_head.next_step(hint, "")
    assert (step.before, step.command, step.after) == (before, command, after)


def test_problems_and_hint_of_a_refusal_are_on_the_page(pages):
    text = Page(pages["refused"]).text()
    assert f"recipe.lora: found {SHOWN}, expected a rank" in text
    assert "sweep again" in text
    assert "There is no band to show" in text


def test_seeds_that_failed_or_crashed_are_told_with_their_reason(pages):
    text = Page(pages["hostile"]).text()
    assert "seed 5 failed to train: no reason on record" in text
    assert f"seed 9 crashed: out of memory {SHOWN}" in text


def test_candidate_far_off_is_an_arrow_at_the_edge_and_tells_its_score():
    from seedband.reports.html.axis import NARROW
    from seedband.reports.html.seed_strip import SeedStrip, Shown

    metric = fit_band({"accuracy": SCORES}).metrics["accuracy"]
    drawn = SeedStrip(metric, [Shown(-50.0, "far"), Shown(0.88, "near")], NARROW, 100, small=False)
    assert drawn.places[0] == 12
    assert drawn.axis.low > 0
    assert 0 < drawn.axis(0.88) < NARROW


@pytest.mark.parametrize("scores", [[0.5, 0.5, 0.5], [0.0, 0.0], [1e-9, 2e-9, 4e-9], [1e12, 1e12 + 1, 1e12 + 7]])
def test_every_scale_has_its_place_on_the_axis(scores):
    band = fit_band({"m": scores})
    text = html.render(
        reports.of_verdict(band.judge({"m": scores[0]}), band, 0, band_path="b", candidates=(), command="c")
    )
    xs = [float(use["x"]) for use in Page(text).named("use")]
    assert all(0 <= x <= 880 for x in xs)
    assert not re.search(r"\bnan\b|\binf\b", text)


def test_marks_do_not_cover_each_other_until_there_are_too_many():
    from seedband.reports.html.axis import levels_of

    assert levels_of([10, 12, 50, 14], [8, 8, 8, 8]) == [0, 1, 0, 2]


def test_curve_of_many_steps_is_thinned_to_means():
    from seedband.reports.html.figures import _thinned

    steps, losses = _thinned(Curve("seed 0", tuple(range(100)), tuple(map(float, range(100)))), 10)
    assert len(steps) == 10
    assert (steps[0], losses[0]) == (4.5, 4.5)


@pytest.mark.slow
def test_page_stays_below_a_megabyte_with_more_than_anybody_has():
    names = [f"metric {number} {'ü' * 60}" for number in range(12)]
    scores = {name: [0.5 + (seed * 37 % 101) / 1000 for seed in range(400)] for name in names}
    facts = {"crashed": {str(seed): "x" * 1000 for seed in range(1000, 1100)}}
    band = fit_band(scores, primary=names[0], provenance=facts)
    curves = tuple(
        Curve(f"seed {s}", tuple(range(2000)), tuple(1 / (s + k + 1) for k in range(2000))) for s in range(80)
    )
    text = html.render_overview(Overview(band, path="band.json", curves=curves, lacking={"slices": "none"}))
    assert len(text.encode()) < 1_000_000
    assert "60 of 80 runs are drawn" in text
    assert "166 of 400 seeds are drawn" in text
    assert "and 340 more seeds" in text


def test_a_band_that_shares_nothing_with_the_one_before_is_set_apart(tmp_path):
    for number in (1, 2):
        facts = {"signature": {"eval_data": {"sha256": str(number) * 64}}}
        fit_band({"accuracy": SCORES}, provenance=facts).save(tmp_path / f"{number}.json")
    text = Page(trend_page.render_timeline(timeline(tmp_path))).text()
    assert "is about other eval data than band 1: their scores do not compare" in text


def test_libraries_that_are_missing_are_named_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError) as caught:
        reports.parse(["html=page.html"])
    assert caught.value.hint == 'pip install "seedband[report]"'
    assert reports.parse(["json=page.json"])


def test_report_says_when_it_was_made():
    told = json.loads(json.dumps(report().as_dict()))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", told["time"])


def test_invisible_letters_are_seen_and_long_texts_end():
    assert visible("a\u202eb\nc\x1b") == "a\\u202eb\\nc\\x1b"
    assert visible("x" * 5000, 300) == "x" * 300 + "…"


def test_a_record_of_another_form_is_told_as_it_is():
    odd = {
        "signature": {"initializers": "x", "evaluators": [1], "labels": {}},
        "environment": 3,
        "recipe": {"train": [1]},
        "base": {},
        "failures": [],
        "scores": {"path": {"a": [{"b": None}]}},
    }
    band = fit_band({"accuracy": SCORES}, failed_seeds=[9], provenance=odd)
    text = Page(html.render_overview(of_band(band))).text()
    assert "seed 9 failed to train: no reason on record" in text
    assert "{'b': None}" in text
