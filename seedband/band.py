"""The public path of `Band`, `fit_band` and `load_band`; they live in `seedband.bands`."""

from seedband.bands.band import Band, fit_band, load_band

__all__ = ["Band", "fit_band", "load_band"]
