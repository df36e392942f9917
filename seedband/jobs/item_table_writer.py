"""items.parquet, written: what a checkpoint predicted for every item, and how every evaluator scored it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.data.dataset import Items
from seedband.runs.item_table import ROW
from seedband.storage import atomic_files
from seedband.tasks.outputs import Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_table(
    path: Path,
    items: Items,
    predictions: Outputs,
    labels: Sequence[str],
    columns: "Mapping[str, NDArray[Any]]",
) -> None:
    """Write items.parquet: what was predicted for every item, and how every evaluator scored it."""
    import pyarrow as pa
    from pyarrow import parquet

    table = {
        "item": items.ids,
        ROW: items.fingerprints,
        **{f"slice:{name}": values for name, values in items.slices.items()},
        "label": items.targets,
        **predictions.columns(labels),
        **{f"score:{name}": values for name, values in columns.items()},
    }
    written = pa.table({name: _as_column(values) for name, values in table.items()})
    # Numbers hardly repeat, so a dictionary of them would be of no use.
    texts = [field.name for field in written.schema if pa.types.is_string(field.type)]
    with atomic_files.replacing(path) as temporary:
        parquet.write_table(written, temporary, use_dictionary=texts)


def _as_column(values: Any) -> Any:
    """A column; of a table of numbers, shape (n_items, n), a list a row."""
    import numpy as np
    import pyarrow as pa

    if getattr(values, "ndim", 1) == 1:
        return pa.array(values, from_pandas=True)
    n_items, n = values.shape
    return pa.ListArray.from_arrays(np.arange(0, (n_items + 1) * n, n, dtype=np.int32), pa.array(values.ravel()))
