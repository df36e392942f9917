"""Hubs: pinned models and files of data sets, fetched into the hub's own cache; what could run is never fetched."""

import glob
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from seedband.errors import Refused, UsageError, WorkFailed
from seedband.models.safety import PICKLES, pickled

#: What is fetched from a hub: of its top level, and one file below it; never a pickle.
HUB_ENDINGS = ("json", "safetensors", "txt", "model", "jinja", "spm", "bpe", "codes", "tiktoken")
HUB_FILE = re.compile(rf"[^/]+\.({'|'.join(HUB_ENDINGS)})|1_Pooling/config\.json")
#: More is not fetched, in bytes, and more files are not listed.
MAX_HUB_BYTES, MAX_HUB_FILES = 100 * 10**9, 10_000
_PART = r"[a-zA-Z0-9_]+(?:[.-]?[a-zA-Z0-9_]+)*+"
#: org/name, as the hub has them.
HUB_NAME = re.compile(rf"{_PART}/{_PART}")


def from_hub(name: str, commit: str, *, offline: bool) -> Path:
    """The snapshot of a hub repository, without pickles and code, in the hub's own cache.

    Args:
        name: org/name.
        commit: 40 hexadecimal digits.
        offline: Take what is cached, and ask nobody.

    Raises:
        Refused: It has pickled weights only, or is far too large.
        WorkFailed: The hub cannot be reached, or has no such thing.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        if offline:
            return _cached(name, commit)
        listed = HfApi().list_repo_tree(name, recursive=True, revision=commit)
        sizes = {entry.path: getattr(entry, "size", None) or 0 for entry in islice(listed, MAX_HUB_FILES)}
        patterns = [glob.escape(path) for path in _wanted(name, sizes)]
        return Path(snapshot_download(name, revision=commit, allow_patterns=patterns))
    except Refused:
        raise
    except Exception as error:
        with suppress(Exception):
            return _cached(name, commit)
        hint = "without --offline it would be fetched" if offline else "check the name, the commit and the network"
        raise WorkFailed(f"cannot get {name}@{commit[:12]} from the hub: {error}", hint=hint) from error


def _cached(name: str, commit: str) -> Path:
    """A snapshot that is on this machine, whole as far as it would be fetched."""
    from huggingface_hub import snapshot_download

    top = [f"*.{ending}" for ending in HUB_ENDINGS]
    found = snapshot_download(name, revision=commit, local_files_only=True, allow_patterns=top, ignore_patterns=["*/*"])
    return Path(found)


def _wanted(name: str, sizes: Mapping[str, int]) -> list[str]:
    """The files of a hub repository that are fetched, of all that it has."""
    wanted = [path for path in sizes if HUB_FILE.fullmatch(path)]
    total = sum(sizes[path] for path in wanted)
    if total > MAX_HUB_BYTES:
        raise Refused(f"{name}: has {total} bytes, more than the {MAX_HUB_BYTES} that are fetched")
    pickles = [path for path in sizes if path.endswith(PICKLES)]
    if pickles and not any(path.endswith(".safetensors") for path in wanted):
        raise pickled(name, pickles)
    return wanted


def data_file(name: str, commit: str, file: str, most: int, *, offline: bool) -> Path:
    """A file of a hub's data set, in the hub's own cache; nothing of it is ever run.

    Args:
        name: org/name.
        commit: 40 hexadecimal digits.
        file: Its path there.
        most: Bytes; a larger one is not fetched.
        offline: Take what is cached, and ask nobody.

    Raises:
        UsageError: There is no such file.
        Refused: It is too large.
        WorkFailed: The hub cannot be reached.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import RemoteEntryNotFoundError

    where = f"hf://datasets/{name}@{commit[:12]}/{file}"
    cached = try_to_load_from_cache(name, file, repo_type="dataset", revision=commit)
    if isinstance(cached, str):
        return Path(cached)
    if offline:
        raise WorkFailed(f"{where} is not on this machine", hint="without --offline it would be fetched")
    try:
        size = get_hf_file_metadata(hf_hub_url(name, file, repo_type="dataset", revision=commit)).size
        if size is not None and size <= most:
            return Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))
    except RemoteEntryNotFoundError as error:
        raise UsageError(f"{where}: the data set has no such file", hint="look at its files on the hub") from error
    except Exception as error:
        hint = "check the name, the commit and the network"
        raise WorkFailed(f"cannot get {where} from the hub: {error}", hint=hint) from error
    raise Refused(f"{where}: {size} bytes, more than the {most} that are read")
