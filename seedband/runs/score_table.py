"""Score tables: the scores of every item under every seed, in one table."""

from collections import defaultdict
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from seedband.counts import counted
from seedband.errors import Refused
from seedband.runs.item_table import ROW, read_table
from seedband.runs.layout import ITEMS, RUN
from seedband.runs.run import Run
from seedband.storage import file_hashes

if TYPE_CHECKING:
    import pandas as pd


#: Columns of items.parquet that scores.parquet does without: they are long, and no score.
PREDICTED = ["logits", "nll", "n_tokens", ROW]


def scores_table(runs: Sequence[Run]) -> "pd.DataFrame":
    """All seeds in one long table: seed, item, slice columns, label, prediction, evaluator, score."""
    import pandas as pd

    alike: defaultdict[tuple[str, ...], list[pd.DataFrame]] = defaultdict(list)
    for run in runs:
        if run.evaluations:
            items = read_items(run, without={*PREDICTED, "slice:label"})
            items.insert(0, "seed", run.seed)
            alike[tuple(items.columns)].append(items)
    if not alike:
        return pd.DataFrame()
    # Seeds are melted together: of a call on one seed's items most is not about their number.
    parts = [_melted(pd.concat(tables, ignore_index=True)) for tables in alike.values()]
    return pd.concat(parts, ignore_index=True).sort_values("seed", kind="stable", ignore_index=True)


def _melted(items: "pd.DataFrame") -> "pd.DataFrame":
    scored = [name for name in items.columns if name.startswith("score:")]
    kept = [name for name in items.columns if not name.startswith("score:")]
    long = items.melt(id_vars=kept, value_vars=scored, var_name="evaluator", value_name="score")
    long["evaluator"] = long["evaluator"].str.removeprefix("score:")
    return long.rename(columns=lambda name: name.removeprefix("slice:"))


def read_items(run: Run, *, without: Container[str] = ()) -> "pd.DataFrame":
    """items.parquet of a run, which must be the one that its record names.

    Args:
        run: Whose.
        without: Columns that are left out.

    Raises:
        Refused: It is not there, is another one, or holds no items as scoring writes them.
    """
    path = run.folder / ITEMS
    if not path.is_file() or file_hashes.file_sha256(path) != run.items_sha256:
        raise Refused(f"{path} is missing or not the one that {RUN} records", hint=f"remove {run.folder}, sweep again")
    return read_table(path, without=without)


def item_scores(runs: Sequence[Run], metric: str) -> list[list[float]] | None:
    """Score of every item under every run, shape (n_runs, n_items); None where the metric has none.

    Raises:
        Refused: Items that are not those on record, or not the same for all runs.
    """
    columns = [read_items(run) for run in runs]
    if not all(f"score:{metric}" in table.columns for table in columns):
        return None
    for run, table in zip(runs, columns, strict=True):
        if len(table) != len(columns[0]):
            raise Refused(
                f"{run.folder / ITEMS}: {counted(len(table), 'item')}, {runs[0].folder / ITEMS} has {len(columns[0])}"
            )
    return [table[f"score:{metric}"].tolist() for table in columns]
