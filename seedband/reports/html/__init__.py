"""The report as a page: one file that asks for nothing, for a screen, a phone, paper, and whoever only listens.

Values reach the page through the template, which escapes them, and through `visible`, which shows what cannot be seen;
the template sets their direction apart. Drawings come as SVG elements of ours.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seedband.bands.band import Band
from seedband.bands.comparability import at
from seedband.bands.metric_band import MetricBand
from seedband.bands.verdict import MetricVerdict, Verdict
from seedband.counts import counted, plural
from seedband.errors import Problem
from seedband.reports import Kind, Report, wording
from seedband.reports.html import figures, tables
from seedband.reports.html.figures import Drawn
from seedband.reports.html.noise import noise_by_source
from seedband.reports.html.page_head import Head, Step, next_step
from seedband.reports.html.seed_strip import Shown
from seedband.reports.html.tables import MAX_ROWS
from seedband.reports.html.template import filled
from seedband.reports.html.values import isolated, ordered, visible
from seedband.reports.page_data import Overview, of_band

#: Drawings of metrics besides the primary one.
MAX_STRIPS = 8
#: Letters of a candidate's name in what its marks tell.
MAX_NAME = 80
TITLES = {"pass": "Pass", "fail": "Fail", "suspect": "Suspect", "refused": "Refused", "error": "Error"}


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
    steps = [next_step(report.next_command, report.message)] if report.next_command else []
    if not steps or not steps[0].command:
        steps.append(Step("Run it again", command=report.command))
    head = Head(report.status, TITLES[report.status], report.message, tuple(steps))
    call = {"band": report.band_path, "candidates": ", ".join(report.candidates) or "none named"}
    return _page(head, found, report.verdict, call=call, problems=report.problems)


def render_overview(found: Overview) -> str:
    """The page of a band without a verdict."""
    band = found.band
    sentence = f"{counted(len(band.seeds), 'seed')} of one recipe, and how far apart their scores are"
    given = "CHECKPOINT" if "recipe" in band.provenance else "--scores FILE"
    what = "a checkpoint" if "recipe" in band.provenance else "further scores"
    step = Step(f"Hold {what} against it", command=f"seedband check {given} --band {shlex.quote(found.path)}")
    return _page(Head("band", "Noise band", sentence, (step,)), found, None, call={"band": found.path}, problems=())


def _page(
    head: Head,
    found: Overview | None,
    verdict: Verdict | None,
    *,
    call: Mapping[str, str],
    problems: Sequence[Problem],
) -> str:
    return filled(
        "page.html",
        head=head,
        call=call,
        problems=[str(problem) for problem in problems[:MAX_ROWS]],
        candidates=_candidates(verdict),
        found=found,
        **({} if found is None else _sections(found, verdict)),
    )


def _sections(found: Overview, verdict: Verdict | None) -> dict[str, object]:
    """Everything below the verdict."""
    band = found.band
    lines = wording.band_sentences(band) if verdict is None else wording.verdict_sentences(verdict, band)
    shown = [*found.curves[:MAX_ROWS], *(curve for curve in found.curves[MAX_ROWS:] if curve.is_candidate)]
    with figures.plain_style():
        strips = _strips(band, verdict)
        losses = figures.losses("losses", shown) if shown else None
        noises = [
            noise_by_source(f"noise-{index}", metric, found) for index, metric in enumerate(ordered(band)[:MAX_STRIPS])
        ]
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


def _lost(band: Band) -> list[str]:
    """Seeds that failed or crashed, and why."""
    facts = band.provenance
    reasons = {seed: at(facts, f"failures.{seed}") or "no reason on record" for seed in band.failed_seeds}
    told = [f"seed {seed} failed to train: {reason}" for seed, reason in reasons.items()]
    told += [f"seed {seed} crashed: {message}" for seed, message in facts.get("crashed", {}).items()]
    return told[:MAX_ROWS]


KIND = Kind(
    render,
    re.compile(rb'\s*<!DOCTYPE html>\s*<html[^>]*>\s*<head>\s*<meta name="generator" content="seedband">'),
    needs=("jinja2", "matplotlib"),
)
