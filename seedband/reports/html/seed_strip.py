"""The strip: the seeds of a metric on an axis, its band and its collapse limit, candidates below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedband.bands.metric_band import MetricBand
from seedband.reports.html.axis import DIGIT, WIDE, axis_around, levels_of, near, sampled
from seedband.reports.html.canvas import Canvas, Role
from seedband.reports.wording import score_format

#: More seeds than this are small dots, without their numbers.
MAX_NUMBERED = 24
#: Candidates so far from everything else are an arrow at the edge: within, the seeds would be a dot.
MAX_REACH = 1.0
#: Likewise a collapse limit: few seeds put it far away, and the picture is of the seeds.
MAX_LIMIT_REACH = 4.0


@dataclass(frozen=True)
class Shown:
    """A candidate on the axis.

    Attributes:
        score: Where.
        told: What it tells.
        verdict: Put before its score, in the colour of that verdict; empty for none.
    """

    score: float
    told: str
    verdict: Literal["", "pass", "suspect", "fail"] = ""


class SeedStrip:
    """The strip of one metric at one width."""

    def __init__(
        self, metric: MetricBand, candidates: Sequence[Shown], width: float, most: int, *, small: bool
    ) -> None:
        self.metric, self.candidates, self.width, self.small = metric, candidates, width, small
        self.form = score_format(metric)
        self.letters = max(len(f"{score:{self.form}}") for score in [*metric.scores, *(c.score for c in candidates)])
        self.numbered = metric.n <= MAX_NUMBERED and not small
        self.size = 22.0 if self.numbered else 11.0
        self.limit = metric.collapse_limit if math.isfinite(metric.collapse_limit) else None
        core = [*metric.scores, metric.lower, metric.upper]
        core += near(core, [] if self.limit is None else [self.limit], MAX_LIMIT_REACH)
        shown = [*core, *near(core, [c.score for c in candidates], MAX_REACH)]
        # An arrow at the edge has its label beside it, where nothing else is drawn.
        aside = 16 + 20 + DIGIT * self.letters
        start = aside if any(c.score < min(shown) for c in candidates) else 16
        self.axis = axis_around(shown, start, width - (aside if any(c.score > max(shown) for c in candidates) else 16))
        self.seeds = sampled(sorted(zip(metric.seeds, metric.scores, strict=True), key=lambda pair: pair[1]), most)
        self.seed_levels = levels_of([self.axis(score) for _, score in self.seeds], [self.size + 2] * len(self.seeds))
        self.places = [min(max(self.axis(c.score), 12.0), width - 12.0) for c in candidates]
        # A label stands right of its mark: room for both, with the mark in the middle.
        self.labelled = len(candidates) <= 4  # noqa: PLR2004
        words = max((len(c.verdict) + 1 for c in candidates if c.verdict), default=0)
        room = 2 * (12 + DIGIT * (self.letters + words)) if self.labelled else self.size + 2
        self.candidate_levels = levels_of(self.places, [room] * len(candidates))

    def draw(self) -> Canvas:
        """The strip on a canvas of its own."""
        head = 30.0 if self.small else 54.0
        step = self.size + 3
        seeds_height = step * (max(self.seed_levels) + 1) + 14
        below = 26.0 * (max(self.candidate_levels) + 1) + 8 if self.candidates else 0.0
        foot = head + seeds_height + below
        canvas = Canvas(self.width, foot + 34)
        self._band(canvas, head, head + seeds_height)
        self._limit(canvas, foot)
        self._ticks(canvas, foot + 6)
        base = head + seeds_height - 7 - step / 2
        for (seed, score), level in zip(self.seeds, self.seed_levels, strict=True):
            self._seed(canvas, seed, score, base - level * step)
        for shown, place, level in zip(self.candidates, self.places, self.candidate_levels, strict=True):
            self._candidate(canvas, shown, place, head + seeds_height + 20 + 26 * level)
        return canvas

    def _band(self, canvas: Canvas, top: float, bottom: float) -> None:
        left, right = self.axis(self.metric.lower), self.axis(self.metric.upper)
        message = f"band: {self.metric.lower:{self.form}} to {self.metric.upper:{self.form}}"
        canvas.box(left - 3, top, right + 3, bottom, "tint", told=message)
        lower, upper = (f"{edge:{self.form}}" for edge in (self.metric.lower, self.metric.upper))
        y, room = top - 12, DIGIT * self.letters
        if self.metric.lower == self.metric.upper:
            canvas.text(min(max(left, room / 2), self.width - room / 2), y, lower, "ink", anchor="center")
            return
        if right - left <= 2 * room + 12:
            half = room + 2 * DIGIT
            middle = min(max((left + right) / 2, half), self.width - half)
            canvas.text(middle, y, f"{lower} to {upper}", "ink", anchor="center")
            return
        canvas.text(left - 3, y, lower, "ink", anchor="left")
        canvas.text(right + 3, y, upper, "ink", anchor="right")
        if right - left > 2 * room + 60:
            canvas.text((left + right) / 2, y, "band", "muted", anchor="center")

    def _limit(self, canvas: Canvas, bottom: float) -> None:
        if self.limit is None:
            return
        x = min(max(self.axis(self.limit), 6.0), self.width - 6.0)
        text = f"collapse limit {self.limit:{self.form}}"
        if self.axis.low <= self.limit <= self.axis.high:
            canvas.line([x, x], [20 if self.small else 22, bottom], "muted", width=1.5, dashed=True)
        else:
            text = f"← {text}" if self.limit < self.axis.low else f"{text} →"
        if not self.small:
            canvas.text(
                x - 6 if x < self.width / 2 else x + 6,
                10,
                text,
                "muted",
                anchor="left" if x < self.width / 2 else "right",
            )

    def _ticks(self, canvas: Canvas, y: float) -> None:
        canvas.line([16, self.width - 16], [y, y], "line")
        for value, text in self.axis.ticks(7 if self.width == WIDE else 3):
            x = self.axis(value)
            canvas.line([x, x], [y, y + 4], "line")
            room = DIGIT * len(text) / 2
            canvas.text(min(max(x, room), self.width - room), y + 16, text, "muted", size=12, anchor="center")

    def _seed(self, canvas: Canvas, seed: int, score: float, y: float) -> None:
        median = seed == self.metric.median_seed
        message = f"seed {seed}: {score:{self.form}}{' (median run)' if median else ''}"
        canvas.mark(self.axis(score), y, "dot", "dot", size=self.size, ring=median, told=message)
        if self.numbered:
            size = 11 if seed < 100 else 9 if seed < 1000 else 6  # noqa: PLR2004
            canvas.text(self.axis(score), y, str(seed), "on-dot", size=size, anchor="center")

    def _candidate(self, canvas: Canvas, shown: Shown, x: float, y: float) -> None:
        true = self.axis(shown.score)
        shape = "diamond" if abs(true - x) < 1 else "left" if true < x else "right"
        role: Role = shown.verdict or "accent"
        canvas.mark(x, y, shape, role, size=14 if shape == "diamond" else 16, told=shown.told)
        if self.labelled:
            text = f"{shown.verdict} {shown.score:{self.form}}".strip()
            fits = x + 14 + DIGIT * len(text) < self.width
            canvas.text(x + 14 if fits else x - 14, y, text, role, anchor="left" if fits else "right", bold=True)
