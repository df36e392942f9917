"""The drawings of the page: seeds on an axis, losses, noise side by side, and scores over time.

Each is drawn twice: wide, and narrow for a phone. Texts in them are numbers and words of ours; what users named stands
in the words that marks tell, set apart by the page.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from seedband.bands.metric_band import MetricBand
from seedband.counts import counted
from seedband.reports.html.axis import DIGIT, NARROW, WIDE, Axis, axis_around, sampled
from seedband.reports.html.canvas import Canvas, Role
from seedband.reports.html.seed_strip import SeedStrip, Shown
from seedband.reports.loss_curves import Curve
from seedband.reports.trend import Entry

#: Seeds and candidates that all strips of a page draw together, and seeds of a band in a trend: the page stays small.
MAX_MARKS, MAX_DOTS = 1500, 24
#: Points of all curves of a drawing together.
MAX_POINTS = 4000


class Drawn(NamedTuple):
    """A drawing, for wide screens and for narrow ones."""

    wide: str
    narrow: str


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
    return _both(name, label, lambda width: SeedStrip(metric, candidates, width, most, small=small).draw())


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


def _losses(curves: Sequence[Curve], width: float) -> Canvas:
    height = 280.0 if width == WIDE else 230.0
    canvas = Canvas(width, height)
    points = max(8, MAX_POINTS // len(curves))
    thinned = [_thinned(curve, points) for curve in curves]
    values = [loss for _, losses in thinned for loss in losses]
    y = axis_around(values, height - 40, 12)
    labels = y.ticks(5 if width == WIDE else 4)
    left = 12 + DIGIT * max(len(text) for _, text in labels)
    last = max(max(steps) for steps, _ in thinned)
    x = Axis(0, last or 1, left + 6, width - 12)
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
    y = axis_around(values, height - 40, 16)
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


def _moment(canvas: Canvas, x: float, y: Axis, metric: str, number: int, entry: Entry) -> None:
    """One band or verdict of the trend."""
    found = entry.metrics[metric]
    scores = sampled(sorted(found.scores), MAX_DOTS)
    listed = ", ".join(f"{score:.4g}" for score in scores)
    if found.band is not None:
        lower, upper = found.band
        which = "seeds" if len(scores) == len(found.scores) else "some of its seeds"
        message = f"{number}: band {lower:.4g} to {upper:.4g}, {which} {listed}"
        canvas.box(x - 13, y(upper) - 3, x + 13, y(lower) + 3, "tint", told=message)
        for score in scores:
            canvas.mark(x, y(score), "dot", "dot", size=7)
        return
    if found.limit is not None:
        canvas.line([x - 14, x + 14], [y(found.limit)] * 2, "muted", width=1.5, dashed=True)
    shape, role = MARKS.get(found.status, MARKS["fail"])
    for score in scores:
        canvas.mark(x, y(score), shape, role, size=13, told=f"{number}: {found.status}, {score:.4g}")
