"""The tables of the page, as texts; the template escapes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seedband.bands.band import Band
from seedband.bands.comparability import at
from seedband.bands.metric_band import MetricBand
from seedband.bands.verdict import Verdict
from seedband.counts import counted
from seedband.reports import wording
from seedband.reports.html.values import ordered
from seedband.reports.page_data import Overview

#: More of anything than this is counted, not listed: the page stays below its size.
MAX_ROWS = 60
#: Seeds that stand side by side in a table; of more, the lowest and the highest.
MAX_COLUMNS = 12
#: What the record names first, and where it stands in a band's provenance.
NAMED = (
    ("base", "base.reference"),
    ("revision", "base.revision"),
    ("base weights", "base.sha256"),
    ("data", "data.name"),
    ("version", "data.version"),
    ("training rows", "data.n_train"),
    ("eval rows", "data.n_eval"),
    ("eval data", "data.eval.sha256"),
)
#: Tables of slices.
MAX_TABLES = 8


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        caption: What it shows.
        head: Titles of its columns.
        rows: Its rows; the first cell is their title.
        more: What was left out; empty when nothing was.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: str = ""


def metric_table(band: Band, verdict: Verdict | None) -> Table:
    """Every metric: its band, and what the rule says or would say."""
    rows = [
        _band_row(metric, band) if verdict is None else _verdict_row(metric, verdict)
        for metric in ordered(band)[:MAX_ROWS]
        if verdict is None or metric.name in verdict.metrics
    ]
    more = len(band.metrics) - MAX_ROWS
    left = f"and {counted(more, 'more metric')}" if more > 0 else ""
    head: tuple[str, ...]
    if verdict is None:
        head = ("metric", "", "band", "mean", "sd", "collapse limit", "false alarms", "drop stopped (80 % power)")
        return Table("Every metric", head, tuple(rows), left)
    head = ("metric", "", "verdict", "scores", "limit", "band", "p", "false alarms", "drop stopped (80 % power)")
    return Table("Every metric", head, tuple(rows), left)


def _band_row(metric: MetricBand, band: Band) -> tuple[str, ...]:
    d, sight = wording.score_format(metric), metric.prospect(band.rule)
    role = "gates" if metric.name in band.gates else "advises"
    numbers = [metric.mean, metric.sd, metric.collapse_limit]
    shown = [f"{number:{d}}" for number in numbers]
    return (
        metric.name,
        role,
        _edges(metric),
        *shown,
        f"{sight.false_alarm_rate:.1%}",
        _known(sight.detectable_drop, d),
    )


def _verdict_row(metric: MetricBand, verdict: Verdict) -> tuple[str, ...]:
    told, d = verdict.metrics[metric.name], wording.score_format(metric)
    listed = told.differences or told.scores
    scores = ", ".join(f"{score:{d}}" for score in listed[:MAX_COLUMNS])
    scores += f" and {len(listed) - MAX_COLUMNS} more" if len(listed) > MAX_COLUMNS else ""
    if told.differences:
        scores = f"differences {scores}; tolerance {told.tolerance:{d}}"
    return (
        metric.name,
        "gates" if told.gates else "advises",
        told.status,
        scores,
        _known(told.limit, d),
        _edges(metric),
        "unknown" if told.p_value is None else f"{told.p_value:.3g}",
        f"{told.false_alarm_rate:.1%}",
        _known(told.detectable_drop, d),
    )


def _edges(metric: MetricBand) -> str:
    d = wording.score_format(metric)
    return f"{metric.lower:{d}} to {metric.upper:{d}}"


def _known(value: float | None, d: str) -> str:
    return "unknown" if value is None else f"{value:{d}}"


def seed_table(band: Band, verdict: Verdict | None) -> Table:
    """Every seed's scores, and every candidate's."""
    metrics = ordered(band)[:MAX_COLUMNS]
    first = band.metrics[band.primary]
    rows = []
    for index, seed in enumerate(first.seeds[:MAX_ROWS]):
        title = f"seed {seed}{', median run' if seed == first.median_seed else ''}"
        rows.append((title, *(f"{m.scores[index]:{wording.score_format(m)}}" for m in metrics)))
    if verdict is not None and verdict.metrics:
        scores = [verdict.metrics[m.name].scores for m in metrics]
        for index in range(min(len(scores[0]), MAX_ROWS)):
            cells = (f"{own[index]:{wording.score_format(m)}}" for own, m in zip(scores, metrics, strict=True))
            rows.append((f"candidate {index + 1}", *cells))
    more = f"and {counted(len(first.seeds) - MAX_ROWS, 'more seed')}" if len(first.seeds) > MAX_ROWS else ""
    return Table("Scores of every seed", ("", *(m.name for m in metrics)), tuple(rows), more)


def slice_tables(found: Overview) -> list[Table]:
    """The cohort split: every slice under every seed, and what the verdict says of it."""
    tables = []
    for table in found.tables[:MAX_TABLES]:
        many = len(table.seeds) > MAX_COLUMNS
        seeds = ("lowest", "highest") if many else tuple(f"seed {seed}" for seed in table.seeds)
        everything = [*([] if table.overall is None else [("all items", table.overall)])]
        everything += [(row.value, row) for row in table.rows]
        tested = any(row.p_seeds is not None for _, row in everything)
        judged = any(row.candidates for _, row in everything)
        head = (table.column, "items", *seeds, "band", *(["seeds differ, p"] if tested else []))
        head += ("candidates", "worse, p") if judged else ()
        rows = []
        for value, row in everything[:MAX_ROWS]:
            rates = (min(row.rates), max(row.rates)) if many else row.rates
            cells = [value, str(row.n_items), *(_rate(rate, fails=table.fails) for rate in rates)]
            cells.append(" to ".join(_rate(edge, fails=table.fails) for edge in row.edges))
            cells += [_p(row.p_seeds)] if tested else []
            if judged:
                cells += [", ".join(_rate(rate, fails=table.fails) for rate in row.candidates[:MAX_COLUMNS]) or "–"]
                cells += [_p(row.p_candidates)]
            rows.append(tuple(cells))
        left = len(everything) - MAX_ROWS
        more = f"and {left} more" if left > 0 else ""
        tables.append(Table(f"{table.metric}: {'fail rate' if table.fails else 'score'}", head, tuple(rows), more))
    return tables


def _rate(rate: float, *, fails: bool) -> str:
    return f"{rate:.1%}" if fails else f"{rate:.4f}"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def record(found: Overview) -> list[tuple[str, list[tuple[str, str]]]]:
    """The record, group by group: key and value."""
    facts = found.band.provenance
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    named = [(label, str(value)) for label, path in NAMED if (value := at(facts, path)) not in (None, "")]
    if named:
        groups.append(("Base and data", named))
    if "initializers" in facts.get("signature", {}):
        drawn = _flat(facts["signature"]["initializers"])
        drawn += [(counted(count, "tensor"), told) for told, count in found.initializers.items()]
        groups.append(("Initializers", drawn))
    if (training := at(facts, "recipe.train")) is not None:
        groups.append(("Training", _flat(training)))
    if "environment" in facts:
        groups.append(("Environment", _flat(facts["environment"])))
    if "signature" in facts:
        kept = {key: value for key, value in facts["signature"].items() if key not in ("evaluators", "initializers")}
        groups.append(("Signature", _flat(kept)))
    if "scores" in facts:
        groups.append(("Scores", _flat(facts["scores"])))
    return [(title, rows[:MAX_ROWS]) for title, rows in groups]


def _flat(table: Any, above: str = "") -> list[tuple[str, str]]:
    """Key paths of a table and their values as text; a value that should be a table is told as it is."""
    if not isinstance(table, Mapping):
        return [(above or "value", str(table))]
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{above}{key}.")
        elif isinstance(value, list):
            rows.append((f"{above}{key}", ", ".join(map(str, value)) or "none"))
        else:
            rows.append((f"{above}{key}", "none" if value in (None, "", {}) else str(value)))
    return rows


def evaluator_table(band: Band) -> Table | None:
    """Evaluators as they ran; None where none is on record."""
    described = band.provenance.get("signature", {}).get("evaluators")
    if not isinstance(described, Mapping):
        return None
    rows = []
    for name, entry in list(described.items())[:MAX_ROWS]:
        known = entry if isinstance(entry, Mapping) else {}
        arguments = known.get("args")
        args = "; ".join(f"{key} = {value}" for key, value in _flat(arguments)) if arguments else "none"
        rows.append((name, *(str(known.get(key) or "–") for key in ("version", "backend", "unit")), args))
    return Table("Evaluators", ("metric", "version", "backend", "unit", "arguments"), tuple(rows))
