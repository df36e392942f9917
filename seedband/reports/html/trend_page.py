"""The page of a trend: many bands and verdicts, oldest first."""

from collections.abc import Sequence

from seedband.counts import counted
from seedband.reports.html import figures
from seedband.reports.html.page_head import Head
from seedband.reports.html.tables import MAX_COLUMNS, MAX_ROWS
from seedband.reports.html.template import filled
from seedband.reports.trend import Entry, Timeline

#: Drawings of a trend.
MAX_TRENDS = 4


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
    return filled(
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


def _breaks(metric: str, numbered: Sequence[tuple[int, Entry]]) -> list[str]:
    """Notes where a band of a metric has other eval data than the one before: their scores do not compare."""
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
