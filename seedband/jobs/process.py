"""What every job of a pinned process needs: its device, and the cache of features."""

import os
from collections.abc import Mapping

from seedband.determinism.environment_record import EnvironmentRecord
from seedband.determinism.pins import PORTABLE
from seedband.errors import UsageError
from seedband.events import Emit
from seedband.models.base_watch import BaseWatch
from seedband.models.speedups.feature_cache import FOLDER, FeatureCache, distrust, trim
from seedband.storage import atomic_files, json_files


def feature_cache(facts: EnvironmentRecord, pins: Mapping[str, object], base: BaseWatch, emit: Emit) -> FeatureCache:
    """The cache of features of a frozen backbone, apart for every class of numerics."""
    folder = atomic_files.cache_folder() / FOLDER
    if why := distrust(folder):
        hint = f"remove it, make it yours alone, or set {atomic_files.CACHE} to another folder"
        emit("warning", None, {"text": f"{folder} {why}: nothing is kept there, nor read ({hint})"})
        return FeatureCache()
    trim(folder)
    apart = [facts.fingerprint, facts.versions, facts.hardware, facts.device]
    instructions = [os.environ.get(name) for name in PORTABLE]
    return FeatureCache(folder, json_files.digest([*apart, pins["threads"], instructions]), base.glance)


def resolve_device(asked: str) -> str:
    """The device a job runs on; "auto" takes CUDA where there is any."""
    import torch

    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise UsageError('train.device: "cuda" was asked for, and torch finds no CUDA device', hint='device = "auto"')
    if asked == "auto":
        return "cuda" if available else "cpu"
    return asked
