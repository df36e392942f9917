"""Recorded rows: the fingerprints of the eval data that a band, a sweep or a run was scored on."""

from pathlib import Path
from typing import TYPE_CHECKING

from seedband.bands.band import Band
from seedband.data.row_diff import Fingerprints, of_rows, unpacked
from seedband.errors import Refused
from seedband.runs import folders, layout, run_file, score_table
from seedband.runs.item_table import ROW, read_table
from seedband.runs.layout import ITEMS, RUN
from seedband.runs.run import Run
from seedband.storage import file_hashes

if TYPE_CHECKING:
    import pandas as pd


def of_band(band: Band) -> Fingerprints | None:
    """Rows of a band's eval data: from the items of its runs where they still lie, else as band.json holds them.

    Returns:
        None for a band of bare scores, of the first releases, or of very many rows whose runs are gone.
    """
    facts = band.provenance
    if "recipe" not in facts:
        return None
    for seed, sha256 in facts["items"].items():
        path = layout.seed_folder(band.folder / facts["runs"], int(seed)) / ITEMS
        if path.is_file() and file_hashes.file_sha256(path) == sha256:
            rows = _of_table(read_table(path))
            if rows is not None:
                return rows
    text = facts["data"]["eval"].get("rows")
    return None if text is None else unpacked(text)


def of_folder(path: Path) -> Fingerprints:
    """Rows that a run, or the runs of a sweep, were scored on.

    Raises:
        Refused: No run there was scored, or it was by a release that wrote no fingerprints.
    """
    runs = [run_file.read_run(path)] if (path / RUN).is_file() else folders.finished_runs(path)
    for run in runs:
        rows = _of_run(run)
        if rows is not None:
            return rows
    raise Refused(f"{path}: no run with fingerprints of its rows", hint="sweep again, or name the data file itself")


def _of_run(run: Run) -> Fingerprints | None:
    return _of_table(score_table.read_items(run)) if run.evaluations else None


def _of_table(table: "pd.DataFrame") -> Fingerprints | None:
    return of_rows(table["item"].tolist(), table[ROW].tolist()) if ROW in table.columns else None
