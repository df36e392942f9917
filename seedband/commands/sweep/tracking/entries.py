"""Entries of a tracker: a sweep and its runs, read from what the sweep left on disk."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedband.bands import comparability
from seedband.bands.band import Band, load_band
from seedband.models.model_folders import CHECKPOINT
from seedband.recipe import identity
from seedband.recipe.sections import Recipe
from seedband.runs import folders, layout, sweep_file
from seedband.runs.layout import ITEMS, RUN, trace_path
from seedband.runs.run import Run
from seedband.storage import json_files

#: Letters that MLflow takes in the name of a parameter or metric, and how many; longer texts are cut.
FOREIGN = re.compile(r"[^\w.\- :]")
MAX_NAME, MAX_TEXT = 200, 500
#: Key of a line of trace.jsonl → what the metric is called.
TRACED = {"loss": "train.loss", "learning_rate": "train.learning_rate", "gradient_norm": "train.gradient_norm"}


@dataclass(frozen=True)
class Entry:
    """One run of a tracker.

    Attributes:
        name: For people.
        key: What it is found again by.
        digest: Of what is logged; equal ones are not logged twice.
        status: "FINISHED" or "FAILED".
        started, traced, ended: When it began, trained its last step and was scored, in milliseconds since 1970: later
            scores are newer.
        tags: What may change.
        params: What never does.
        metrics: Name → value.
        series: Metric, step, value.
        artifacts: Path on this machine → folder in the tracker; "" is the top.
    """

    name: str
    key: str
    digest: str
    status: str
    started: int
    traced: int
    ended: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    series: Sequence[tuple[str, int, float]] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What the child that talks to the tracker is asked.

    Attributes:
        address: Of the tracker.
        experiment: Its name there.
        artifacts: Where artifacts go; None for wherever the tracker puts them.
        entries: The sweep, then its runs; none only asks whether it could be logged.
    """

    address: str
    experiment: str
    artifacts: str | None = None
    entries: Sequence[Entry] = ()


def entries_of(recipe: Recipe, folder: Path) -> list[Entry]:
    """The entries of a sweep for a tracker: the sweep first, then its runs by seed; none where no run is finished."""
    finished = folders.finished_runs(folder)
    if not finished:
        return []
    runs = [_run_entry(run, checkpoints=recipe.log.checkpoints) for run in finished]
    return [_sweep_entry(recipe, folder, finished, runs), *runs]


def _run_entry(run: Run, *, checkpoints: bool) -> Entry:
    """A finished run: its scores, its course, its record."""
    scores = {entry.metric: entry.score for entry in run.evaluations if entry.score is not None}
    metrics = {_name(name): float(score) for name, score in scores.items()}
    names = [RUN, ITEMS, *(CHECKPOINT if checkpoints else ())]
    files = {name: run.folder / name for name in names if (run.folder / name).is_file()}
    known = [
        run.status, run.failure, metrics, dict(run.witnesses), run.checkpoint_sha256, sorted(files),
    ]  # fmt: skip
    trace = trace_path(run.folder)
    ended = _milliseconds(run.folder / RUN)
    traced = _milliseconds(trace) if trace.is_file() else ended
    return Entry(
        name=f"seed {run.seed}",
        key=str(run.seed),
        digest=json_files.digest(known),
        status="FAILED" if run.status == "failed" else "FINISHED",
        started=traced - round(1000 * run.train_seconds),
        traced=traced,
        ended=ended,
        tags={"seedband.failure": _cut(run.failure)} if run.failure else {},
        params={"seed": str(run.seed), **{f"{name}_seed": str(value) for name, value in run.streams.items()}},
        metrics=metrics,
        series=tuple(_series(trace)) if trace.is_file() else (),
        artifacts={str(path.absolute()): "checkpoint" if name in CHECKPOINT else "" for name, path in files.items()},
    )


def _sweep_entry(recipe: Recipe, folder: Path, finished: Sequence[Run], runs: Sequence[Entry]) -> Entry:
    """The sweep itself: its recipe, and its band where it has one."""
    record = sweep_file.read_sweep(folder)
    first = finished[0].environment
    key = json_files.digest([identity.identity(record.recorded), first.fingerprint, first.device, first.versions])
    path = sweep_file.band_path(folder) if record.band is not None else None
    files = [folder / name for name in (layout.SWEEP, layout.RECIPE, layout.SCORES_TABLE)]
    crashed = {seed: crash.message for seed, crash in record.crashed.items()}
    tags = {
        "seedband.recipe": recipe.data.name,
        "seedband.version": str(first.versions.get("seedband")),
        "seedband.signature": json_files.digest(finished[0].signature),
        "seedband.band_sha256": str(record.band_sha256 or ""),
        "seedband.crashed": _cut("; ".join(f"seed {seed}: {told}" for seed, told in crashed.items())),
        **_free(recipe.as_dict()),
    }
    params = {_name(name): _cut(text) for name, text in _flat(identity.without_free_keys(recipe.as_dict()))}
    return Entry(
        name=f"sweep {folder.absolute().name}",
        key=key,
        digest=json_files.digest([tags, [run.digest for run in runs]]),
        status="FINISHED",
        started=min(run.started for run in runs),
        traced=max(run.traced for run in runs),
        ended=max(*(run.ended for run in runs), _milliseconds(path) if path is not None else 0),
        tags={name: text for name, text in tags.items() if text},
        params=params,
        metrics=_band_metrics(load_band(path)) if path is not None else {},
        artifacts={str(file.absolute()): "" for file in [*files, *([path] if path is not None else [])]},
    )


def _band_metrics(band: Band) -> dict[str, float]:
    """The edges of every metric's band, and what they rest on."""
    names = ("lower", "upper", "mean", "sd", "spread")
    return {
        _name(f"{metric}.{name}"): float(getattr(found, name))
        for metric, found in band.metrics.items()
        for name in names
    }


def _series(trace: Path) -> Iterator[tuple[str, int, float]]:
    """Metric, step and value of every step on record; a loss that is not finite stands there as text."""
    with trace.open(encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError):  # a run that was killed while it wrote may leave half a line
                step = json.loads(line)
                yield from ((name, int(step["step"]), float(step[key])) for key, name in TRACED.items() if key in step)


def _free(recipe: Mapping[str, object]) -> dict[str, str]:
    """Tags of the keys that may change within a sweep, apart from the tracker's own address."""
    paths = [path for path in identity.FREE_KEYS if "." in path]
    found = {path: comparability.at(recipe, path) for path in paths}
    return {f"seedband.{path}": _cut(_text(value)) for path, value in found.items() if value not in (None, "", ())}


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key path and text of every value of nested tables; of tables in a list by their number."""
    for key, value in table.items():
        if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            value = {str(number): entry for number, entry in enumerate(value, 1)}  # noqa: PLW2901
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value not in (None, ""):
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _name(name: str) -> str:
    """A name that MLflow takes, still another one for another name.

    Examples:
        >>> _name("python:lengths:words"), _name("lm_eval:a/b")
        ('python:lengths:words', 'lm_eval:a_b-0e0f3445')
    """
    safe = FOREIGN.sub("_", name)[:MAX_NAME]
    safe = f"_{safe}" if safe.startswith(".") else safe
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _milliseconds(path: Path) -> int:
    return path.stat().st_mtime_ns // 10**6
