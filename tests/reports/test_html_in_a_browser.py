"""The page in headless Chromium: what it asks for, whether it fits, whether it can be read, and what seeds tell."""

import re

import pytest
from browser import find_chromium, launched
from tiny import run_cli

from seedband import fit_band, reports
from seedband.bands.verdict import Candidate
from seedband.reports import html
from seedband.reports.html import trend_page
from seedband.reports.trend import timeline

pytestmark = pytest.mark.slow
SCORES = [0.871, 0.884, 0.879, 0.892]
HOSTILE = '<script>document.title="taken"</script><img src=x onerror=document.title="taken">\u202edetrevni\u200f'
SHOWN = HOSTILE.replace("\u202e", "\\u202e").replace("\u200f", "\\u200f")
KINDS = ("sweep", "hostile", "refused", "trend", "wide", "narrow", "far")
#: Contrast of every text that can be seen, against what is painted below its middle.
CONTRAST = """() => {
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const rgba = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const painted = (element) => {
    const style = getComputedStyle(element);
    const paint = element instanceof SVGElement ? style.fill : style.backgroundColor;
    const isPlain = element instanceof SVGElement && !["path", "use", "rect"].includes(element.tagName);
    const colour = rgba(paint);
    return isPlain || paint === "none" || colour.length < 3 || colour[3] === 0 ? null : colour;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    const isSvg = element instanceof SVGElement;
    const isSeen = element.checkVisibility() && !["TITLE", "SCRIPT", "STYLE", "title"].includes(element.tagName);
    if (!node.textContent.trim() || !isSeen) continue;
    element.scrollIntoView({block: "center", inline: "center"});
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = [...range.getClientRects()].find((rect) => rect.width > 0 && rect.height > 0);
    if (!box) continue;
    const below = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const ground = below.map(painted).find(Boolean);
    if (!ground) { found.push({text: node.textContent.trim(), ratio: 0}); continue; }
    const style = getComputedStyle(element);
    const own = rgba(isSvg ? style.fill : style.color);
    found.push({text: node.textContent.trim(), svg: isSvg, ratio: ratio(light(own), light(ground))});
  }
  return found;
}"""

#: Labels of a drawing that lie on one another.
COVERED = """() => {
  const found = [];
  for (const drawing of document.querySelectorAll("svg.drawing")) {
    const texts = [...drawing.querySelectorAll("text")].filter((text) => text.checkVisibility());
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([one, a], index) => boxes.slice(index + 1).forEach(([other, b]) => {
      const apart = a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
      if (!apart) found.push([one, other]);
    }));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    yield from launched()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, tiny_swept):
    """Kind → file: of a real sweep, of labels that bite, of a refusal, of many verdicts, of 40 seeds and 7 metrics."""
    folder = tmp_path_factory.mktemp("pages")
    candidates = [tiny_swept.runs / f"seed-{seed}" for seed in (0, 1)]
    seeds = ["--rule", "paired"]
    done = run_cli(
        "check", *candidates, *seeds, "--report", f"html={folder / 'sweep.html'}", "-q", cwd=tiny_swept.folder
    )
    assert done.code in (0, 1, 4), done.err
    narrow = judged(0.7, [0.8710, 0.8712, 0.8711, 0.8713])
    far = judged(0.5, [0.8710, 0.8920])
    texts = {"narrow": html.render(narrow), "far": html.render(far)}
    texts |= {"hostile": html.render(hostile()), "refused": html.render(refused()), "wide": html.render(wide())}
    for number, score in enumerate((0.88, 0.869, 0.2, 0.86)):
        fit_band({"accuracy": SCORES}).save(folder / "runs" / str(number) / "band.json")
        reports.write(judged(score), [("json", folder / "runs" / f"{number}.json")])
    texts["trend"] = trend_page.render_timeline(timeline(folder / "runs"))
    for kind, text in texts.items():
        (folder / f"{kind}.html").write_text(text, encoding="utf-8")
    return {kind: folder / f"{kind}.html" for kind in KINDS}


def judged(score, scores=SCORES):
    band = fit_band({"accuracy": scores})
    verdict = band.judge({"accuracy": score})
    call = {"band_path": "band.json", "candidates": ("runs/new",), "command": "seedband check runs/new"}
    return reports.of_verdict(verdict, band, 4, "1 more seed: seedband check runs/new --more-seeds 2", **call)


def hostile():
    known = {"scores": SCORES, "n_items": 40, "unscored": [], "floor": 0.01, "resolution": 0.025}
    facts = {
        "slices": [
            {"column": "channel", "value": value, "n_items": 40, "metrics": {"accuracy": known}}
            for value in (HOSTILE, "مرحبا بالعالم", "x" * 400)
        ],
        "crashed": {"9": f"out of memory {HOSTILE}"},
    }
    band = fit_band({"accuracy": SCORES}, failed_seeds=[5], provenance=facts)
    verdict = band.judge({"accuracy": 0.869})
    known = {**vars(verdict), "candidates": (Candidate(HOSTILE, {"accuracy": 0.869}, "ab" * 32, seed=7),)}
    call = {"band_path": HOSTILE, "candidates": (HOSTILE,), "command": f"seedband check '{HOSTILE}'"}
    return reports.of_verdict(verdict.__class__(**known), band, 4, **call)


def refused():
    from seedband.errors import Problem, Refused

    error = Refused(f"{HOSTILE} is another base", [Problem("recipe.lora", HOSTILE, "a rank")], hint="sweep again")
    return reports.of_error(
        error, band_path="band.json", candidates=("x" * 300,), command="seedband check " + "y" * 300
    )


def wide():
    scores = {f"metric_{k}": [0.5 + (seed * 37 % 101) / 1000 + k for seed in range(40)] for k in range(7)}
    band = fit_band(scores, primary="metric_0", lower_is_better=["metric_3"])
    verdict = band.judge({name: [values[0] - 0.01] * 3 for name, values in scores.items()})
    call = {"band_path": "band.json", "candidates": ("a", "b", "c"), "command": "seedband check a b c"}
    return reports.of_verdict(verdict, band, 4, **call)


@pytest.fixture
def look(browser, pages):
    """Opens a page; what the browser had to say of it is at hand as `heard`."""
    contexts = []

    def opened(kind, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.heard = []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("request", lambda request: page.heard.append(request.url))
        page.goto(pages[kind].as_uri())
        assert page.heard.pop(0) == pages[kind].as_uri()
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", KINDS)
def test_page_is_quiet_fits_and_can_be_read(look, pages, kind, width, scheme):
    page = look(kind, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    texts = page.evaluate(CONTRAST)
    assert len(texts) > 5
    assert any(entry.get("svg") for entry in texts) == (kind != "refused")
    dim = [entry for entry in texts if entry["ratio"] < 4.5]
    assert not dim
    clipped = page.evaluate("[...document.querySelectorAll('.whole')].map((e) => e.scrollWidth - e.clientWidth)")
    assert clipped == ([0] if kind not in ("refused", "trend") else [])
    assert page.evaluate(COVERED) == []
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.heard == []
    assert page.title() != "taken"
    assert pages[kind].stat().st_size < 1_000_000
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", dark))) < 128 * 3) == (scheme == "dark")


@pytest.mark.parametrize("width", [1280, 390])
def test_hover_and_focus_on_a_seed_show_its_values(look, width):
    page = look("hostile", width)
    told = page.locator("#told")
    assert told.is_hidden()
    for seed, score in enumerate(SCORES):
        mark = page.locator(f'.mark[aria-label^="seed {seed}: {score:.4f}"]:visible')
        mark.hover()
        assert told.inner_text().startswith(f"seed {seed}: {score:.4f}")
        box = told.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    page.mouse.move(0, 0)
    assert told.is_hidden()
    page.locator('.mark[aria-label^="seed 2: "]:visible').focus()
    assert told.inner_text() == "seed 2: 0.8790 (median run)"
    page.keyboard.press("Tab")
    assert told.inner_text().startswith("seed ")
    page.keyboard.press("Escape")
    assert told.is_hidden()


def test_marks_are_reached_by_the_tab_key_alone(look):
    page = look("hostile")
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert {f"seed {seed}: {score:.4f}" for seed, score in enumerate(SCORES) if seed != 2} <= reached


def test_labels_are_text_and_are_not_run(look):
    for kind in ("hostile", "refused"):
        page = look(kind, 390)
        assert SHOWN in page.inner_text("body")
        assert page.locator("img").count() == 0
        assert page.evaluate("document.scripts.length") == 1
    page = look("hostile")
    page.locator('.mark[aria-label^="candidate 1"]:visible').focus()
    assert SHOWN[:80] in page.locator("#told").inner_text()


def test_the_command_is_copied_from_a_file(look):
    page = look("trend")
    assert page.locator("button").count() == 0
    page = look("refused")
    page.locator("button").click()
    assert page.locator("button").inner_text() == "Copied"
    assert page.evaluate("navigator.clipboard.readText()") == "seedband check " + "y" * 300


def test_without_script_a_page_says_the_same(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["hostile"].as_uri())
    assert page.locator("button").is_hidden()
    assert page.locator(".mark title").first.text_content()
    context.close()


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_made_for_paper_too(look, kind):
    page = look(kind, 794, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("button:visible").count() == 0
    assert page.locator("svg.narrow:visible").count() == 0
    assert (page.locator("svg.wide:visible").count() > 0) == (kind != "refused")
    dim = [entry for entry in page.evaluate(CONTRAST) if 0 < entry["ratio"] < 4.5]
    assert not dim
    assert page.pdf().startswith(b"%PDF")


def test_a_missing_browser_fails_the_tests_with_what_to_install(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_chromium()
