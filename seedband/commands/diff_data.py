"""diff-data: two data sets compared row by row, each given as data or as what was scored on it."""

from dataclasses import dataclass
from pathlib import Path

from seedband.bands.band import Band, load_band
from seedband.commands.sweep.prepare import columns_of
from seedband.data import row_diff
from seedband.data.data_files import locate
from seedband.data.dataset import load_items
from seedband.data.row_diff import Fingerprints, RowChanges
from seedband.errors import Refused, UsageError
from seedband.recipe.parse import find_config, load_recipe, parse_recipe
from seedband.recipe.scoring import Columns
from seedband.runs import eval_rows, layout, run_file, sweep_file
from seedband.runs.layout import RUN


@dataclass(frozen=True)
class _Side:
    """One of the two.

    Attributes:
        name: As the user called it.
        band: A band, if it is one.
        folder: A sweep or a run, if it is one.
    """

    name: str
    band: Band | None = None
    folder: Path | None = None

    def columns(self) -> Columns | None:
        """The columns that its runs were scored on; None for a data file."""
        if self.folder is not None:
            single = (self.folder / RUN).is_file()
            read = run_file.read_run if single else sweep_file.read_sweep
            recipe = read(self.folder).recorded.recipe
        else:
            recipe = {} if self.band is None else self.band.provenance.get("recipe", {})
        return columns_of(parse_recipe(recipe, f"the recipe of {self.name}")) if recipe else None


def diff_data(
    old: str | Path, new: str | Path, *, config: str | Path | None = None, offline: bool = False
) -> RowChanges:
    """Compare two data sets row by row.

    Rows are found again by their id; a row without one by what it gives: input, target and context. Slices are no part
    of it.

    Args:
        old: A data file, an image folder, hf://datasets/org/name@commit/path/file, a band.json, a run, or a sweep; the
            last three stand for the eval data that they were scored on.
        new: Likewise.
        config: The recipe that names the columns of data files; that of the other side unless said, else the one in
            the current folder.
        offline: Whether data hubs must not be asked.

    Raises:
        UsageError: Nothing there, rows with mistakes, or no recipe that names columns.
        Refused: A record without fingerprints.
        WorkFailed: The hub cannot be reached.
    """
    sides = [_side(str(path)) for path in (old, new)]
    known = next((columns for side in sides if (columns := side.columns()) is not None), None)
    before, after = (_rows(side, config, known, offline=offline) for side in sides)
    return row_diff.changes(before, after)


def _side(name: str) -> _Side:
    path = Path(name)
    if (path / layout.SWEEP).is_file() or (path / RUN).is_file():
        return _Side(name, folder=path)
    return _Side(name, band=load_band(path)) if path.suffix == ".json" else _Side(name)


def _rows(side: _Side, config: str | Path | None, known: Columns | None, *, offline: bool) -> Fingerprints:
    if side.folder is not None:
        return eval_rows.of_folder(side.folder)
    if side.band is not None:
        rows = eval_rows.of_band(side.band)
        if rows is None:
            raise Refused(
                f"{side.name}: has no fingerprints of rows, nor have runs beside it", hint="name its data file"
            )
        return rows
    path = locate(side.name, Path(), offline=offline)
    if not path.exists():
        raise UsageError(f"{side.name}: no such file")
    return row_diff.of_items(load_items(path, _columns(config, known)))


def _columns(config: str | Path | None, known: Columns | None) -> Columns:
    if config is None and known is not None:
        return known
    return columns_of(load_recipe(Path(config) if config is not None else find_config(Path())).recipe)
