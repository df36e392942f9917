"""The report as a page: one file that asks for nothing, for a screen, a phone, paper, and whoever only listens.

Values reach the page through the template, which escapes them, and through `visible`, which shows what cannot be seen;
the template sets their direction apart. Drawings come as SVG elements of ours.
"""

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from seedband.bands.band import Band
from seedband.bands.comparability import at
from seedband.bands.metric_band import MetricBand
from seedband.bands.verdict import MetricVerdict, Verdict
from seedband.counts import counted, plural
from seedband.errors import Problem
from seedband.reports import Kind, Report, wording
from seedband.reports.html import figures, tables
from seedband.reports.html.figures import Drawn, Shown
from seedband.reports.html.tables import MAX_COLUMNS, MAX_ROWS
from seedband.reports.html.values import MAX_VALUE, isolated, ordered, visible
from seedband.reports.page_data import Overview, of_band
from seedband.reports.trend import Entry, Timeline

if TYPE_CHECKING:
    from jinja2 import Environment

#: Drawings of metrics besides the primary one.
MAX_STRIPS = 8
#: Drawings of a trend.
MAX_TRENDS = 4
#: Letters of a candidate's name in what its marks tell.
MAX_NAME = 80
#: What follows from what was found, where a command is part of it.
COMMAND = re.compile(
    r"(?P<before>.*?)(?P<command>\bseedband (?:check|show|sweep|diff-data|reproduce) .*?)(?P<after>, or .*)?"
)
TITLES = {"pass": "Pass", "fail": "Fail", "suspect": "Suspect", "refused": "Refused", "error": "Error"}


@dataclass(frozen=True)
class Step:
    """What to do next, with the command to copy, if there is one."""

    label: str
    before: str = ""
    command: str = ""
    after: str = ""


@dataclass(frozen=True)
class Head:
    """What the page says first.

    Attributes:
        status: Which decides its colour: that of a verdict, "refused", "error" or "band".
        title: In a word.
        sentence: Why.
        steps: What to do next.
    """

    status: str
    title: str
    sentence: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Strip:
    """A metric on its axis.

    Attributes:
        name: Of the metric.
        role: "gates" or "advises", and its status.
        status: Of the verdict; empty without one.
        drawn: The drawing.
    """

    name: str
    role: str
    status: str
    drawn: Drawn


def render(report: Report) -> str:
    """The page of one call of `check`."""
    found = None if report.band is None else of_band(report.band, report.verdict)
    steps = [_step(report.next_command, report.message)] if report.next_command else []
    if not steps or not steps[0].command:
        steps.append(Step("Run it again", command=report.command))
    head = Head(report.status, TITLES[report.status], report.message, tuple(steps))
    call = {"band": report.band_path, "candidates": ", ".join(report.candidates) or "none named"}
    return _page(head, found, report.verdict, call=call, problems=report.problems)


def render_overview(found: Overview) -> str:
    """The page of a band without a verdict."""
    band = found.band
    sentence = f"{counted(len(band.seeds), 'seed')} of one recipe, and how far apart their scores lie"
    given = "CHECKPOINT" if "recipe" in band.provenance else "--scores FILE"
    what = "a checkpoint" if "recipe" in band.provenance else "further scores"
    step = Step(f"Hold {what} against it", command=f"seedband check {given} --band {shlex.quote(found.path)}")
    return _page(Head("band", "Noise band", sentence, (step,)), found, None, call={"band": found.path}, problems=())


def render_timeline(found: Timeline) -> str:
    """The page of many bands and verdicts."""
    numbered = list(enumerate(found.entries, 1))
    with figures.plain_style():
        trends = [
            (name, _breaks(name, numbered), figures.trend(f"trend-{index}", name, shown))
            for index, name in enumerate(found.metrics[:MAX_TRENDS])
            if (shown := [(number, entry) for number, entry in numbered if name in entry.metrics])
        ]
    n_bands = sum(entry.kind == "band" for entry in found.entries)
    n_verdicts = len(found.entries) - n_bands
    sentence = f"{counted(n_bands, 'band')} and {counted(n_verdicts, 'verdict')}, oldest first"
    head = Head("band", "Trend", sentence)
    listed = numbered[-MAX_ROWS:]
    return _filled(
        "trend.html",
        head=head,
        folder=str(found.folder),
        trends=trends,
        others=max(0, len(found.metrics) - MAX_TRENDS),
        listed=listed,
        older=len(numbered) - len(listed),
        unread=sorted((str(path), why) for path, why in found.unread.items())[:MAX_ROWS],
        guessed=any(not entry.on_record for entry in found.entries),
        scores=_entry_scores,
    )


def _page(
    head: Head,
    found: Overview | None,
    verdict: Verdict | None,
    *,
    call: Mapping[str, str],
    problems: Sequence[Problem],
) -> str:
    return _filled(
        "page.html",
        head=head,
        call=call,
        problems=[str(problem) for problem in problems[:MAX_ROWS]],
        candidates=_candidates(verdict),
        found=found,
        **({} if found is None else _sections(found, verdict)),
    )


def _sections(found: Overview, verdict: Verdict | None) -> dict[str, Any]:
    """Everything below the verdict."""
    band = found.band
    lines = wording.band_sentences(band) if verdict is None else wording.verdict_sentences(verdict, band)
    shown = [*found.curves[:MAX_ROWS], *(curve for curve in found.curves[MAX_ROWS:] if curve.is_candidate)]
    with figures.plain_style():
        strips = _strips(band, verdict)
        losses = figures.losses("losses", shown) if shown else None
        noises = [_noise(f"noise-{index}", metric, found) for index, metric in enumerate(ordered(band)[:MAX_STRIPS])]
    return {
        "band": band,
        "verdict": verdict,
        "lines": lines,
        "advice": [] if verdict is None else wording.slice_lines(verdict, band),
        "strips": strips,
        "losses": losses,
        "curves": (len(shown), len(found.curves)),
        "noises": [entry for entry in noises if entry is not None],
        "metrics": tables.metric_table(band, verdict),
        "seeds": tables.seed_table(band, verdict),
        "slices": tables.slice_tables(found),
        "record": tables.record(found),
        "evaluators": tables.evaluator_table(band),
        "lost": _lost(band),
        "lacking": found.lacking,
        "runs": found.runs,
    }


def _step(text: str, sentence: str) -> Step:
    """What to do next, taken apart into words that the page has not said yet and the command in it."""
    taken = COMMAND.fullmatch(text)
    if taken is None:
        return Step("Next", before=text)
    before = taken["before"].rstrip(": ")
    after = (taken["after"] or "").removeprefix(", ")
    return Step("Next", "" if before in sentence else before, taken["command"], after)


def _strips(band: Band, verdict: Verdict | None) -> list[Strip]:
    found = []
    drawn_metrics = ordered(band)[: MAX_STRIPS + 1]
    most = figures.MAX_MARKS // len(drawn_metrics)
    for index, metric in enumerate(drawn_metrics):
        told = None if verdict is None else verdict.metrics.get(metric.name)
        role = "gates" if (told.gates if told else metric.name in band.gates) else "advises"
        better = f"{'higher' if metric.higher_is_better else 'lower'} is better"
        unit = f"; unit: {metric.unit}" if metric.unit else ""
        drawn = figures.strip(f"strip-{index}", metric, _shown(metric, told, verdict), small=index > 0, most=most)
        unit += f"; {most} of {metric.n} seeds {plural(most, 'is', 'are')} drawn" if metric.n > most else ""
        found.append(Strip(metric.name, f"{role}; {better}{unit}", told.status if told else "", drawn))
    return found


def _shown(metric: MetricBand, told: MetricVerdict | None, verdict: Verdict | None) -> list[Shown]:
    """Candidates as they stand on the axis."""
    if told is None or verdict is None:
        return []
    d, named = wording.score_format(metric), verdict.candidates
    shown = []
    for index, score in enumerate(told.scores[:MAX_ROWS]):
        seed = named[index].seed if index < len(named) else None
        name = f" {isolated(visible(named[index].name, MAX_NAME))}" if index < len(named) else ""
        under = "" if seed is None else f", seed {seed}"
        shown.append(Shown(score, f"candidate {index + 1}{name}{under}: {score:{d}}"))
    return shown


def _candidates(verdict: Verdict | None) -> list[tuple[str, str]]:
    """Name and what is known of every candidate."""
    if verdict is None:
        return []
    found = []
    for candidate in verdict.candidates[:MAX_ROWS]:
        known = [] if candidate.seed is None else [f"seed {candidate.seed}"]
        known += [f"weights {candidate.checkpoint_sha256[:12]}"] if candidate.checkpoint_sha256 else []
        known += [f"failed to train: {candidate.failure}"] if candidate.failure else []
        known += [f"seed {candidate.baseline_seed} of the band itself"] if candidate.baseline_seed is not None else []
        found.append((candidate.name, ", ".join(known)))
    return found


def _noise(name: str, metric: MetricBand, found: Overview) -> tuple[str, Drawn | None, list[str]] | None:
    """Noise by source: a drawing of what is known, and words for it and for what is not."""
    part = next((split for split in found.splits if split.metric == metric.name), None)
    proofs = [proof for proof in found.same_seed if proof.metric == metric.name]
    measured = [proof for proof in proofs if proof.distance is not None]
    d = wording.score_format(metric)
    sources = [("seeds (sd)", metric.sd)]
    notes = []
    if part is not None:
        sources.append(("items (standard error)", part.item_se))
        p = part.parts
        notes.append(
            f"Another seed has an sd of {p.same_items_sd:{d}} on these {p.n_items} items, and of "
            f"{p.new_items_sd:{d}} on as many new ones"
        )
        if part.binary:
            notes.append(f"Two seeds differ on {part.churn:.1%} of the items: by itself an sd of {part.floor:{d}}")
    if measured:
        worst = max(measured, key=lambda proof: proof.distance or 0.0)
        sources.append(("same seed again", worst.distance or 0.0))
        notes.append(_same_seed_words(worst.seed, worst.status, len(measured)))
    elif metric.name == found.band.primary:
        swept = "runs" in found.band.provenance
        how = (
            f"run seedband reproduce {shlex.quote(found.runs or 'runs/NAME')}" if swept else "there is no run to repeat"
        )
        notes.append(f"Same-seed noise is not measured: {how}")
    if len(sources) == 1 and metric.name != found.band.primary:
        return None
    drawn = figures.noise(name, sources, d) if len(sources) > 1 else None
    if drawn is None:
        notes.insert(0, f"Seeds: sd {metric.sd:{d}}")
    return metric.name, drawn, notes


def _same_seed_words(seed: int, status: str, n_measured: int) -> str:
    others = f", the most of {n_measured} seeds trained again" if n_measured > 1 else ""
    found = {
        "equal": "bit for bit the same",
        "different": "it came out otherwise",
        "not comparable": "in another environment, so the two are not comparable",
    }.get(status, status)
    return f"Seed {seed} was trained again{others}: {found}"


def _lost(band: Band) -> list[str]:
    """Seeds that failed or crashed, and why."""
    facts = band.provenance
    reasons = {seed: at(facts, f"failures.{seed}") or "no reason on record" for seed in band.failed_seeds}
    told = [f"seed {seed} failed to train: {reason}" for seed, reason in reasons.items()]
    told += [f"seed {seed} crashed: {message}" for seed, message in facts.get("crashed", {}).items()]
    return told[:MAX_ROWS]


def _breaks(metric: str, numbered: Sequence[tuple[int, Entry]]) -> list[str]:
    """Where bands of a metric are about other eval data than the one before: their scores do not compare."""
    told, before = [], None
    for number, entry in numbered:
        point = entry.metrics.get(metric)
        if point is None or point.band is None:
            continue
        if before is not None and point.eval_sha256 != before[1]:
            told.append(f"Band {number} is about other eval data than band {before[0]}: their scores do not compare")
        before = (number, point.eval_sha256)
    return told[:MAX_ROWS]


def _entry_scores(entry: Entry) -> str:
    """The primary metric of an entry, in a few words."""
    point = entry.metrics.get(entry.primary)
    if point is None:
        return "–"
    if point.band is not None:
        return f"{point.band[0]:.4g} to {point.band[1]:.4g}"
    listed = ", ".join(f"{score:.4g}" for score in point.scores[:MAX_COLUMNS])
    return listed if point.limit is None else f"{listed} (limit {point.limit:.4g})"


def _filled(template: str, **values: Any) -> str:
    """A page from its template, with a policy that allows its own style and script, and nothing else."""
    from markupsafe import Markup

    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    page = _environment().get_template(template)
    # Ours, both of them: not a letter in them comes from a user.
    own = {"style": Markup(style), "script": Markup(script), "policy": policy, "max_value": MAX_VALUE}  # noqa: S704
    return page.render(**own, **values)


def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=PackageLoader("seedband.reports.html", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.filters["counted"] = counted
    environment.filters["drawn"] = Markup  # for what a Canvas wrote
    return environment


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


KIND = Kind(
    render,
    re.compile(rb'\s*<!DOCTYPE html>\s*<html[^>]*>\s*<head>\s*<meta name="generator" content="seedband">'),
    needs=("jinja2", "matplotlib"),
)
