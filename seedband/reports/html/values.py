"""Values as a page shows them: nothing invisible, nothing without end, and numbers with the digits that count."""

from seedband.bands.band import Band
from seedband.bands.metric_band import MetricBand
from seedband.reports.wording import clean

#: Letters of a text that are shown: of a sentence, and of a value among many.
MAX_TEXT, MAX_VALUE = 2000, 200


def visible(text: object, limit: int = MAX_TEXT) -> str:
    """Text whose invisible letters are seen, direction marks among them, and that ends somewhere.

    Examples:
        >>> visible("a" + chr(0x202e) + "b") == "a" + chr(92) + "u202eb"
        True
    """
    shown = clean(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"


def isolated(text: str) -> str:
    """Text in whatever direction, which leaves what stands around it alone: where no markup can do that."""
    return f"\u2068{text}\u2069"


def ordered(band: Band) -> list[MetricBand]:
    """The primary metric, then those that gate, then the others."""
    return sorted(band.metrics.values(), key=lambda m: (m.name != band.primary, m.name not in band.gates))
