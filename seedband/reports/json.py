"""The report as JSON, for programs: the object that `check --json` prints."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seedband.bands.verdict import Candidate, MetricVerdict, SliceVerdict
from seedband.errors import Problem
from seedband.reports import Kind, Report


@dataclass(frozen=True)
class ReportFile:
    """What `Report.as_dict` holds, for the published schema; the keys after `next` are there where a verdict is.

    Attributes:
        format: Which kind of file this is.
        version: Of this form; keys that are new do not raise it.
        status: The verdict; "refused" where the evidence allows none, "error" where what was asked could not be done.
        exit_code: What the command ends with; 0 beside the status "suspect" where such are let through.
        time: When, UTC, in ISO 8601.
        message: Why, in one line.
        problems: Every single mistake, where it was refused for several.
        band: The band, as the user named it.
        asked: The candidates or the score file, as the user named them.
        command: The command as it was typed.
        next: What to do or to run next; may be empty.
        metrics: Metric → its verdict; those that do not gate advise.
        primary: The metric that is shown first; it gates.
        reason: Why the verdict is what it is.
        failure_rate: Share of the baseline's seeds that failed to train.
        candidates: What was judged, where checkpoints were scored.
        slices: What the band says about parts of the items; they never gate.
        false_alarm_rate: Chance that any gating metric stops an unchanged candidate; an upper bound for several.
        candidates_needed: Further candidate seeds that the next look needs; 0 when settled.
        candidates_at_most: Further candidate seeds after which it is settled at the latest.
    """

    format: Literal["seedband.report"]
    version: Literal[1]
    status: Literal["pass", "fail", "suspect", "refused", "error"]
    exit_code: int
    time: str
    message: str
    problems: tuple[Problem, ...]
    band: str
    asked: tuple[str, ...]
    command: str
    next: str
    metrics: Mapping[str, MetricVerdict] = field(default_factory=dict)
    primary: str = ""
    reason: str = ""
    failure_rate: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    slices: tuple[SliceVerdict, ...] = ()
    false_alarm_rate: float = 0.0
    candidates_needed: int = 0
    candidates_at_most: int = 0


def render(report: Report) -> str:
    """One JSON object."""
    return json.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n"


KIND = Kind(render, re.compile(rb'\s*\{\s*"format":\s*"seedband\.report"'))
