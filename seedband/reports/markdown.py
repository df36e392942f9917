"""The report as Markdown, for people: what happened, by how much, and what to do next.

Whatever comes from users stands as text: it neither formats, nor links, nor mentions anybody, nor drives a terminal.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from seedband.bands.band import Band
from seedband.bands.metric_band import MetricBand
from seedband.bands.verdict import Candidate, MetricVerdict, Verdict
from seedband.reports import Kind, Report
from seedband.reports.wording import clean, score_format, slice_lines, verdict_sentences

#: Rows and mistakes that are told one by one, and letters of one text; what is more, the JSON report has.
MAX_ROWS = 50
MAX_TEXT = 1000
CUT = "*Cut here: the rest is too long for this place. The JSON report has all of it.*"
_MARKS = re.compile(r"[\\`*_\[\]~|]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
#: Between a sign and what it would refer to: nothing to see, and no reference.
_NOTHING = "&#8203;"


def render(report: Report) -> str:
    """The whole report."""
    return "\n\n".join(blocks(report)) + "\n"


def blocks(report: Report) -> list[str]:
    """The report in parts, the most important first; any number of the last can be left out."""
    judged = ", ".join(map(escaped, report.candidates[:MAX_ROWS])) or "nothing"
    return [
        f"### seedband: {report.status.upper()}",
        escaped(report.message),
        *_tables(report.verdict, report.band),
        *_listed(_sentences(report)),
        f"Judged: {judged}, by the band {escaped(report.band_path)}. Exit code {report.exit_code}.",
        *([f"Next:\n\n{fenced(report.next_command)}"] if report.next_command else []),
        f"Command:\n\n{fenced(report.command)}",
    ]


def fitted(parts: Sequence[str], room: int) -> str:
    """As many parts as there is room for, in bytes of UTF-8; where some are left out, the text says so.

    Returns:
        The text; empty where there is no room to say even that it was cut.
    """
    whole = "\n\n".join(parts) + "\n"
    if len(whole.encode()) <= room:
        return whole
    for count in range(len(parts) - 1, -1, -1):
        text = "\n\n".join([*parts[:count], CUT]) + "\n"
        if len(text.encode()) <= room:
            return text
    return ""


def escaped(text: object) -> str:
    r"""Text from users as the Markdown of GitHub and GitLab that shows it.

    Examples:
        >>> print(escaped("a|b `c` <d> @e"), escaped("1. no list"))
        a\|b \`c\` &lt;d&gt; @&#8203;e 1\. no list
    """
    shown = re.sub(r"([@#!])(?=\S)", r"\1\0", _cut(clean(text).strip()))
    shown = "".join(_ENTITIES.get(letter, letter) for letter in shown)
    shown = _MARKS.sub(lambda mark: f"\\{mark[0]}", shown)
    shown = re.sub(r"^(\d*)([-+=.)#])", r"\1\\\2", shown)
    shown = re.sub(r"(?i)(www)\.", r"\1&#46;", shown.replace("://", "&#58;//"))
    return shown.replace("\0", _NOTHING)


def fenced(text: object) -> str:
    """Text from users as a block to copy, in a fence that it cannot close."""
    shown = _cut(clean(text))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _sentences(report: Report) -> list[str]:
    if report.verdict is None or report.band is None:
        return [str(problem) for problem in report.problems]
    lines = [*slice_lines(report.verdict, report.band)]
    return [*lines, *(verdict_sentences(report.verdict, report.band) if report.verdict.metrics else [])]


def _listed(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        more = [f"… and {len(lines) - MAX_ROWS} more"] if len(lines) > MAX_ROWS else []
        yield "\n".join(f"- {escaped(line)}" for line in [*lines[:MAX_ROWS], *more])


def _tables(verdict: Verdict | None, band: Band | None) -> Iterator[str]:
    if verdict is None or band is None:
        return
    if verdict.metrics:
        ordered = sorted(verdict.metrics.items(), key=lambda pair: (pair[0] != band.primary, not pair[1].gates))
        heads = ["metric", "verdict", "score", "band", "p", "false alarms", "detectable drop", "role"]
        yield _table(heads, [_metric(name, m, band.metrics[name]) for name, m in ordered])
    if verdict.candidates:
        heads = ["candidate", "seed", *map(escaped, band.gates), "note"]
        yield _table(heads, [_candidate(entry, band) for entry in verdict.candidates])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    more = [[f"… and {len(rows) - MAX_ROWS} more", *[""] * (len(heads) - 1)]] if len(rows) > MAX_ROWS else []
    return "\n".join(_row(row) for row in [heads, ["---"] * len(heads), *rows[:MAX_ROWS], *more])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _metric(name: str, m: MetricVerdict, band: MetricBand) -> list[str]:
    d = score_format(band)
    scores = ", ".join(f"{score:{d}}" for score in m.scores[:MAX_ROWS])
    if m.differences:
        scores += f" (differences {', '.join(f'{gap:+{d}}' for gap in m.differences[:MAX_ROWS])})"
    return [
        escaped(name),
        m.status.upper(),
        scores,
        f"{band.lower:{d}} to {band.upper:{d}}",
        "unknown" if m.p_value is None else f"{m.p_value:.3g}",
        f"{'≤ ' if m.rate_is_bound else ''}{m.false_alarm_rate:.1%}",
        "unknown" if m.detectable_drop is None else f"{m.detectable_drop:{d}}",
        "gates" if m.gates else "advises",
    ]


def _candidate(candidate: Candidate, band: Band) -> list[str]:
    scores = [
        f"{candidate.scores[name]:{score_format(band.metrics[name])}}" if name in candidate.scores else "none"
        for name in band.gates
    ]
    notes = [f"failed to train: {candidate.failure}"] if candidate.failure else []
    notes += [] if candidate.baseline_seed is None else [f"is seed {candidate.baseline_seed} of the band"]
    seed = "unknown" if candidate.seed is None else str(candidate.seed)
    return [escaped(candidate.name), seed, *scores, escaped("; ".join(notes))]


KIND = Kind(render, re.compile(rb"### seedband: (PASS|FAIL|SUSPECT|REFUSED|ERROR)\n"))
