"""The drawings of the page: seeds on an axis, losses, noise side by side, and scores over time.

Each is drawn twice: wide, and narrow for a phone. Texts in them are numbers and words of ours; what users named stands
in the words that marks tell, set apart by the page.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from seedband.bands.metric_band import MetricBand
from seedband.counts import counted
from seedband.reports.html.canvas import Canvas, Role
from seedband.reports.page_data import Curve
from seedband.reports.trend import Entry
from seedband.reports.wording import score_format

T = TypeVar("T")
#: Pixels across: for a screen, and for a phone.
WIDE, NARROW = 880.0, 344.0
#: More seeds than this are small dots, without their numbers.
MAX_NUMBERED = 24
#: Seeds and candidates that all strips of a page draw together, and seeds of a band in a trend: the page stays small.
MAX_MARKS, MAX_DOTS = 1500, 24
#: Levels of dots over one score; what is more lies on the topmost.
MAX_LEVELS = 10
#: Points of all curves of a drawing together.
MAX_POINTS = 4000
#: Width of a digit of the labels, in pixels.
DIGIT = 7.8
#: Candidates so far from everything else are an arrow at the edge: within, the seeds would be a dot.
MAX_REACH = 1.0
#: Likewise a collapse limit: few seeds put it far away, and the picture is of the seeds.
MAX_LIMIT_REACH = 4.0


class Drawn(NamedTuple):
    """A drawing, for wide screens and for narrow ones."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class Shown:
    """A candidate on the axis.

    Attributes:
        score: Where.
        told: What it tells.
    """

    score: float
    told: str


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib as it comes, whatever the user's own settings are, and the same bytes for the same drawing."""
    import matplotlib as mpl
    import matplotlib.style

    with mpl.style.context("default", after_reset=True):
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "seedband", "path.simplify": False})
        yield


def strip(
    name: str, metric: MetricBand, candidates: Sequence[Shown] = (), *, small: bool = False, most: int = MAX_MARKS
) -> Drawn:
    """The seeds of a metric on an axis, with its band, its collapse limit, and candidates below.

    Args:
        name: Of the drawing.
        metric: Which.
        candidates: On its axis.
        small: Whether it stands below others.
        most: Seeds that are drawn; of more, the lowest, the highest and evenly many between, by their scores.
    """
    label = f"{counted(metric.n, 'seed')} on an axis from {min(metric.scores):.4g} to {max(metric.scores):.4g}"
    return _both(name, label, lambda width: _Strip(metric, candidates, width, most, small=small).draw())


def losses(name: str, curves: Sequence[Curve]) -> Drawn:
    """The loss of every run over its steps, candidates on top."""
    return _both(name, f"training loss of {counted(len(curves), 'run')}", lambda width: _losses(curves, width))


def noise(name: str, sources: Sequence[tuple[str, float]], form: str) -> Drawn:
    """Sources of noise side by side, as bars from zero."""
    told = ", ".join(f"{source} {value:{form}}" for source, value in sources)
    return _both(name, f"noise by source: {told}", lambda width: _noise(sources, form, width))


def trend(name: str, metric: str, entries: Sequence[tuple[int, Entry]]) -> Drawn:
    """Bands and verdicts of a metric, from the oldest to the newest; narrow ones show the newest only.

    Args:
        name: Of the drawing.
        metric: Which.
        entries: Number in the table, and entry.
    """
    return _both(
        name,
        f"{counted(len(entries), 'band or verdict', 'bands and verdicts')} over time",
        lambda width: _trend(metric, entries, width),
    )


def _both(name: str, label: str, draw: Callable[[float], Canvas]) -> Drawn:
    return Drawn(
        draw(WIDE).inline(f"{name}-wide", label, "wide"), draw(NARROW).inline(f"{name}-narrow", label, "narrow")
    )


class _Axis(NamedTuple):
    """A linear map from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Round values on the axis, with just the decimals that tell them apart."""
        from matplotlib.ticker import MaxNLocator

        found = [
            float(v)
            for v in MaxNLocator(count, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
            if self.low <= v <= self.high
        ]
        step = found[1] - found[0] if len(found) > 1 else abs(self.high - self.low)
        decimals = min(12, max(0, math.ceil(-math.log10(step) - 1e-9)))
        return [(value, f"{value + 0.0:.{decimals}f}") for value in found]


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    """An axis that holds the values; around a single one there is some room."""
    low, high = min(values), max(values)
    room = (high - low) * 0.04 or max(abs(high) * 0.01, 1e-3)
    return _Axis(low - room, high + room, start, end)


def _near(core: Sequence[float], values: Sequence[float], reach: float) -> list[float]:
    """The values that lie within so many spans of the core."""
    room = (max(core) - min(core)) * reach
    return [value for value in values if min(core) - room <= value <= max(core) + room]


def _levels(places: Sequence[float], widths: Sequence[float]) -> list[int]:
    """On which level each mark lies, so that none covers another unless there are too many."""
    ends = [-math.inf] * MAX_LEVELS
    levels = [0] * len(places)
    for index in sorted(range(len(places)), key=lambda i: places[i]):
        left, right = places[index] - widths[index] / 2, places[index] + widths[index] / 2
        level = next((n for n, end in enumerate(ends) if end <= left), MAX_LEVELS - 1)
        levels[index], ends[level] = level, right
    return levels


def _sampled(values: Sequence[T], most: int) -> list[T]:
    """The first, the last and evenly many between."""
    if len(values) <= most:
        return list(values)
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]


class _Strip:
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
        core += _near(core, [] if self.limit is None else [self.limit], MAX_LIMIT_REACH)
        shown = [*core, *_near(core, [c.score for c in candidates], MAX_REACH)]
        # An arrow at the edge has its label beside it, where nothing else is drawn.
        aside = 16 + 20 + DIGIT * self.letters
        start = aside if any(c.score < min(shown) for c in candidates) else 16
        self.axis = _axis(shown, start, width - (aside if any(c.score > max(shown) for c in candidates) else 16))
        self.seeds = _sampled(sorted(zip(metric.seeds, metric.scores, strict=True), key=lambda pair: pair[1]), most)
        self.seed_levels = _levels([self.axis(score) for _, score in self.seeds], [self.size + 2] * len(self.seeds))
        self.places = [min(max(self.axis(c.score), 12.0), width - 12.0) for c in candidates]
        # A label stands right of its mark: room for both, with the mark in the middle.
        self.labelled = len(candidates) <= 4  # noqa: PLR2004
        room = 2 * (12 + DIGIT * self.letters) if self.labelled else self.size + 2
        self.candidate_levels = _levels(self.places, [room] * len(candidates))

    def draw(self) -> Canvas:
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
        told = f"band: {self.metric.lower:{self.form}} to {self.metric.upper:{self.form}}"
        canvas.box(left - 3, top, right + 3, bottom, "tint", told=told)
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
        told = f"seed {seed}: {score:{self.form}}{' (median run)' if median else ''}"
        canvas.mark(self.axis(score), y, "dot", "dot", size=self.size, ring=median, told=told)
        if self.numbered:
            size = 11 if seed < 100 else 9 if seed < 1000 else 6  # noqa: PLR2004
            canvas.text(self.axis(score), y, str(seed), "on-dot", size=size, anchor="center")

    def _candidate(self, canvas: Canvas, shown: Shown, x: float, y: float) -> None:
        true = self.axis(shown.score)
        shape = "diamond" if abs(true - x) < 1 else "left" if true < x else "right"
        canvas.mark(x, y, shape, "accent", size=14 if shape == "diamond" else 16, told=shown.told)
        if self.labelled:
            text = f"{shown.score:{self.form}}"
            fits = x + 14 + DIGIT * len(text) < self.width
            canvas.text(x + 14 if fits else x - 14, y, text, "accent", anchor="left" if fits else "right", bold=True)


def _losses(curves: Sequence[Curve], width: float) -> Canvas:
    height = 280.0 if width == WIDE else 230.0
    canvas = Canvas(width, height)
    points = max(8, MAX_POINTS // len(curves))
    thinned = [_thinned(curve, points) for curve in curves]
    values = [loss for _, losses in thinned for loss in losses]
    y = _axis(values, height - 40, 12)
    labels = y.ticks(5 if width == WIDE else 4)
    left = 12 + DIGIT * max(len(text) for _, text in labels)
    last = max(max(steps) for steps, _ in thinned)
    x = _Axis(0, last or 1, left + 6, width - 12)
    for value, text in labels:
        canvas.line([left, width - 6], [y(value)] * 2, "line")
        canvas.text(left - 8, y(value), text, "muted", size=12, anchor="right")
    for value, text in x.ticks(8 if width == WIDE else 4):
        canvas.text(x(value), height - 20, text, "muted", size=12, anchor="center")
    canvas.text(width - 6, height - 5, "step", "muted", size=12, anchor="right")
    for curve, (steps, losses) in sorted(zip(curves, thinned, strict=True), key=lambda pair: pair[0].is_candidate):
        told = f"{curve.name}: loss {curve.losses[-1]:.4g} at its last step, {curve.steps[-1]}"
        role: Role = "accent" if curve.is_candidate else "curve"
        thick = 2.5 if curve.is_candidate else 1.5
        if len(steps) == 1:
            canvas.mark(x(steps[0]), y(losses[0]), "dot", role, size=8, told=told)
            continue
        canvas.line([x(step) for step in steps], [y(loss) for loss in losses], role, width=thick, told=told)
    return canvas


def _thinned(curve: Curve, points: int) -> tuple[list[float], list[float]]:
    """A curve of at most so many points, each the mean of as many neighbours."""
    size = math.ceil(len(curve.steps) / points)
    starts = range(0, len(curve.steps), size)
    parts = [(curve.steps[i : i + size], curve.losses[i : i + size]) for i in starts]
    return [sum(s) / len(s) for s, _ in parts], [sum(v) / len(v) for _, v in parts]


def _noise(sources: Sequence[tuple[str, float]], form: str, width: float) -> Canvas:
    wide = width == WIDE
    row = 34.0 if wide else 48.0
    canvas = Canvas(width, row * len(sources) + 4)
    left = 190.0 if wide else 2.0
    room = width - left - DIGIT * (max(len(f"{value:{form}}") for _, value in sources) + 2)
    most = max(value for _, value in sources) or 1.0
    for number, (source, value) in enumerate(sources):
        y = row * number + (row / 2 if wide else 34)
        canvas.text(
            left - 14 if wide else 2, y if wide else y - 20, source, "muted", anchor="right" if wide else "left"
        )
        end = left + max(2.0, room * value / most)
        canvas.box(left, y - 7, end, y + 7, "dot", told=f"{source}: {value:{form}}")
        canvas.text(end + 10, y, f"{value:{form}}", "ink")
    return canvas


#: Status of a verdict → its mark and its colour: neither alone has to be told apart.
MARKS: dict[str, tuple[str, Role]] = {
    "pass": ("diamond", "pass"),
    "suspect": ("triangle", "suspect"),
    "fail": ("cross", "fail"),
}


def _trend(metric: str, entries: Sequence[tuple[int, Entry]], width: float) -> Canvas:
    slot = 42.0
    kept = list(entries)[-int((width - 70) // slot) :]
    height = 320.0 if width == WIDE else 280.0
    values = [value for _, entry in kept for value in entry.metrics[metric].values]
    y = _axis(values, height - 40, 16)
    canvas = Canvas(width, height)
    labels = y.ticks(6 if width == WIDE else 5)
    left = 12 + DIGIT * max(len(text) for _, text in labels)
    for value, text in labels:
        canvas.line([left, width - 6], [y(value)] * 2, "line")
        canvas.text(left - 8, y(value), text, "muted", size=12, anchor="right")
    step = min(90.0, (width - left - 12) / len(kept))
    for place, (number, entry) in enumerate(kept):
        x = left + 6 + step * (place + 0.5)
        canvas.text(x, height - 20, str(number), "muted", size=12, anchor="center")
        _moment(canvas, x, y, metric, number, entry)
    return canvas


def _moment(canvas: Canvas, x: float, y: _Axis, metric: str, number: int, entry: Entry) -> None:
    """One band or verdict of the trend."""
    found = entry.metrics[metric]
    scores = _sampled(sorted(found.scores), MAX_DOTS)
    listed = ", ".join(f"{score:.4g}" for score in scores)
    if found.band is not None:
        lower, upper = found.band
        which = "seeds" if len(scores) == len(found.scores) else "some of its seeds"
        told = f"{number}: band {lower:.4g} to {upper:.4g}, {which} {listed}"
        canvas.box(x - 13, y(upper) - 3, x + 13, y(lower) + 3, "tint", told=told)
        for score in scores:
            canvas.mark(x, y(score), "dot", "dot", size=7)
        return
    if found.limit is not None:
        canvas.line([x - 14, x + 14], [y(found.limit)] * 2, "muted", width=1.5, dashed=True)
    shape, role = MARKS.get(found.status, MARKS["fail"])
    for score in scores:
        canvas.mark(x, y(score), shape, role, size=13, told=f"{number}: {found.status}, {score:.4g}")
