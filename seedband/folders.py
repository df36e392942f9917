"""Folders of sweeps: where a run lies, what it left on record, and what makes two runs one recipe."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import store
from seedband.band import load_band
from seedband.errors import Refused, UsageError
from seedband.recipe import differing_keys
from seedband.records import Evaluation, Run
from seedband.scoring import ITEMS
from seedband.worker import RUN

if TYPE_CHECKING:
    import pandas as pd

SWEEP = "sweep.json"
#: Keys of a recipe that say where things are or how to judge them: they may change within a sweep.
FREE_KEYS = (
    "data.train", "data.eval", "data.name", "data.version", "model.base", "model.revision",
    "gate.rule", "gate.alpha", "gate.metrics", "gate.history",
)  # fmt: skip


def seed_folder(folder: Path, seed: int) -> Path:
    """Where the run of a seed lies in its sweep."""
    return folder / f"seed-{seed}"


def read_run(folder: Path) -> Run:
    """A finished run from its folder.

    Raises:
        UsageError: No run.json: the run is not finished.
        Refused: run.json was edited, or is of an unknown version.
    """
    record = store.read_json(folder / RUN, "run")
    try:
        return Run(
            seed=record["seed"],
            folder=folder,
            status=record["status"],
            failure=record["failure"],
            evaluations=tuple(Evaluation(**entry) for entry in record["evaluations"]),
            witnesses=record["witnesses"],
            record=record,
        )
    except (KeyError, TypeError) as error:
        raise Refused(f"{folder / RUN}: not a run that holds together: {error}") from error


def read_sweep(folder: Path) -> dict[str, Any]:
    """sweep.json of a sweep.

    Raises:
        UsageError: The folder holds no sweep.
        Refused: The file was edited, or is of an unknown version.
    """
    if not (folder / SWEEP).is_file():
        raise UsageError(f"{folder}: no sweep (it has no {SWEEP})")
    return store.read_json(folder / SWEEP, "sweep")


def band_path(folder: Path) -> Path:
    """Where the band of a sweep lies.

    Raises:
        UsageError: The folder holds no sweep, or the sweep has no band.
        Refused: Another band lies there now.
    """
    record = read_sweep(folder)
    if record["band"] is None:
        raise UsageError(f"{folder}: this sweep has no band", hint="sweep at least 2 seeds, without --no-band")
    path: Path = folder / record["band"]
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it is the band of {folder}", hint="sweep again to write it")
    if store.file_sha256(path) != record["band_sha256"]:
        raise Refused(f"{path} is no longer the band that {folder} wrote", hint="restore it, or sweep again")
    return path


def sweep_folder(path: Path) -> Path:
    """The folder of a sweep, itself or as the band that it wrote names it.

    Raises:
        UsageError: Neither a sweep nor the band of one that still lies where it did.
    """
    if path.is_dir():
        read_sweep(path)
        return path
    band = load_band(path)
    if "runs" not in band.provenance:
        raise UsageError(f"{path}: was made from bare scores, there are no runs to look into")
    folder: Path = band.folder / band.provenance["runs"]
    if not (folder / SWEEP).is_file():
        raise UsageError(f"{folder}: no sweep; {path} was made from it", hint="name the folder of the sweep")
    return folder


def finished_runs(folder: Path) -> list[Run]:
    """Every finished run of a sweep, by seed."""
    runs = [read_run(path.parent) for path in folder.glob(f"seed-*/{RUN}")]
    return sorted(runs, key=lambda run: run.seed)


def identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a recipe the one it is: all but where things lie and how they are judged, base and rows by content.

    Args:
        record: A table with a `recipe` and its `provenance`: run.json, sweep.json, or a prepared recipe's.
    """
    recipe: dict[str, Any] = json.loads(store.canonical(record["recipe"]))
    for path in FREE_KEYS:
        section, _, key = path.partition(".")
        recipe[section].pop(key, None)
    base, data = record["provenance"]["base"], record["provenance"]["data"]
    return {
        **recipe,
        "model.base (other weights)": base["sha256"],
        "model.base (other config or tokenizer)": base["files_sha256"],
        "data.train (other rows)": data["train"]["sha256"],
        "data.eval (other rows)": data["eval"]["sha256"],
    }


def changed_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What differs between two records' recipes, their bases and rows compared by content."""
    return differing_keys(identity(first), identity(second))


def scores_table(runs: Sequence[Run]) -> "pd.DataFrame":
    """All seeds in one long table: seed, item, slice columns, label, prediction, evaluator, score."""
    import pandas as pd

    parts = []
    for run in runs:
        if not run.evaluations:
            continue
        items = read_items(run).drop(columns="logits")
        scored = [name for name in items.columns if name.startswith("score:")]
        kept = [name for name in items.columns if not name.startswith("score:")]
        long = items.melt(id_vars=kept, value_vars=scored, var_name="evaluator", value_name="score")
        long["evaluator"] = long["evaluator"].str.removeprefix("score:")
        long.insert(0, "seed", run.seed)
        parts.append(long.rename(columns=lambda name: name.removeprefix("slice:")))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def read_items(run: Run) -> "pd.DataFrame":
    """items.parquet of a run, which must be the one that its record names."""
    import pandas as pd

    path = run.folder / ITEMS
    if not path.is_file() or store.file_sha256(path) != run.record.get("items_sha256"):
        raise Refused(f"{path} is missing or not the one that {RUN} records", hint=f"remove {run.folder}, sweep again")
    return pd.read_parquet(path)


def item_scores(runs: Sequence[Run], metric: str) -> list[list[float]] | None:
    """Score of every item under every run, shape (n_runs, n_items); None where the metric has none."""
    columns = [read_items(run) for run in runs]
    if not all(f"score:{metric}" in table.columns for table in columns):
        return None
    return [table[f"score:{metric}"].tolist() for table in columns]
