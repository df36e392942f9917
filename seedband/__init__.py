"""seedband: noise bands from training seeds, and a gate that judges new checkpoints against them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedband.bands.band import Band, fit_band, load_band
    from seedband.bands.metric_band import MetricBand
    from seedband.bands.verdict import MetricVerdict, Verdict
    from seedband.commands.check.check import check
    from seedband.commands.sweep.sweep import sweep
    from seedband.errors import Refused, SeedbandError, UsageError, WorkFailed

__all__ = [
    "Band",
    "MetricBand",
    "MetricVerdict",
    "Refused",
    "SeedbandError",
    "UsageError",
    "Verdict",
    "WorkFailed",
    "check",
    "fit_band",
    "load_band",
    "sweep",
]

_MODULES = {
    "Band": "bands.band",
    "MetricBand": "bands.metric_band",
    "MetricVerdict": "bands.verdict",
    "Refused": "errors",
    "SeedbandError": "errors",
    "UsageError": "errors",
    "Verdict": "bands.verdict",
    "WorkFailed": "errors",
    "check": "commands.check.check",
    "fit_band": "bands.band",
    "load_band": "bands.band",
    "sweep": "commands.sweep.sweep",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: `import seedband` alone costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("seedband")
    if name not in _MODULES:
        raise AttributeError(f"module 'seedband' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"seedband.{_MODULES[name]}"), name)
