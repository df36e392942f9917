"""seedband: noise bands from training seeds, and a gate that judges new checkpoints against them."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedband.bands.band import Band, fit_band, load_band
    from seedband.bands.metric_band import MetricBand
    from seedband.bands.verdict import MetricVerdict, Verdict
    from seedband.check import check
    from seedband.errors import Refused, SeedbandError, UsageError, WorkFailed
    from seedband.sweep import sweep

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
    "check": "check",
    "fit_band": "bands.band",
    "load_band": "bands.band",
    "sweep": "sweep",
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


class _Package(ModuleType):
    """Keeps `seedband.sweep` and `seedband.check` the functions, though files of the same name hold them.

    Python binds a submodule to its package when it is first imported, which would put the module there instead.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
