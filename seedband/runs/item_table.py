"""items.parquet: what a checkpoint predicted for every item, and how every evaluator scored it."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.errors import Refused
from seedband.storage import json_files
from seedband.storage.validation import brief

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: What items.parquet holds at most, unpacked: a file of a few kilobytes can claim more than any memory has.
MAX_ITEMS_BYTES = 4 * 1024**3
#: Bytes of a number in a column of items, in memory.
VALUE_BYTES = 8
ITEM_COLUMNS = {"item", "label", "prediction"}
#: Fingerprint of what each row gives; runs of the first releases have none.
ROW = "row_sha256"


def read_table(path: Path, *, without: Container[str] = ()) -> "pd.DataFrame":
    """items.parquet; the size that it will have in memory is known before it is read.

    Args:
        path: The file.
        without: Columns that are left out.

    Raises:
        Refused: Too large, or no items as scoring writes them.
    """
    import pyarrow as pa
    from pyarrow import compute, parquet

    try:
        with parquet.ParquetFile(path) as file:
            facts, fields = file.metadata, list(file.schema_arrow)
            _check_bytes(path, max(_claimed_bytes(facts), facts.num_rows * len(fields)))
            names = [field.name for field in fields]
            strange = [field.name for field in fields if not _is_item_column(field)]
            if strange or ITEM_COLUMNS - set(names) or len(set(names)) < len(names):
                found = brief(strange or sorted(names))
                raise Refused(f"{path}: found columns {found}, expected those of items as scoring writes them")
        table = _read_bounded(path, [field for field in fields if field.name not in without])
        table.validate(full=True)  # bytes that are no UTF-8 are read as text without a word
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(f"{path}: cannot be read as Parquet: {error}") from error
    names = table.column_names
    holes = [name for name in names if not name.startswith("score:") and table[name].null_count]
    if not holes and "logits" in names and compute.list_flatten(table["logits"]).null_count:
        holes = ["logits"]
    if holes:
        raise Refused(f"{path}: column {brief(holes[0])} has holes, expected a value for every item")
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def predictions_sha256(table: "pd.DataFrame") -> str:
    """Hash of what was predicted for every item, to the last digit."""
    numbers = [[float(value).hex() for value in row] for row in table["logits"]] if "logits" in table else None
    losses = [float(value).hex() for value in table["nll"]] if "nll" in table else None
    return json_files.digest([list(table["prediction"]), numbers, losses])


def _claimed_bytes(facts: Any) -> int:
    """Bytes of a Parquet file without its compression, as it says; numbers that stand for each other count each."""
    groups = [facts.row_group(index) for index in range(facts.num_row_groups)]
    values = sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
    return max(sum(int(group.total_byte_size) for group in groups), int(values) * VALUE_BYTES)


def _check_bytes(path: Path, size: int) -> None:
    if size > MAX_ITEMS_BYTES:
        raise Refused(f"{path}: {size} bytes unpacked, more than the {MAX_ITEMS_BYTES} that are read")


def _read_bounded(path: Path, fields: "Sequence[pa.Field]") -> "pa.Table":
    """A table batch by batch, up to the limit; a text that stands once for many rows is counted before it is copied."""
    import pyarrow as pa
    from pyarrow import parquet

    texts = [field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    names, size, batches = [field.name for field in fields], 0, []
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        for found in file.iter_batches(columns=names):
            batch = found.select(names)  # a name with a dot brings what begins with it along
            size += sum(_unpacked_bytes(column) for column in batch.columns)
            _check_bytes(path, size)
            batches.append([_unpacked(column, field.type) for column, field in zip(batch.columns, fields, strict=True)])
    schema = pa.schema(fields)
    return pa.Table.from_batches([pa.record_batch(batch, schema=schema) for batch in batches], schema=schema)


def _unpacked_bytes(column: Any) -> int:
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = compute.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
    return int(compute.sum(lengths).as_py() or 0) + int(column.indices.nbytes)


def _unpacked(column: Any, wanted: Any) -> Any:
    import pyarrow as pa

    return column.dictionary_decode().cast(wanted) if pa.types.is_dictionary(column.type) else column


def _is_item_column(column: Any) -> bool:
    """Check whether a column has the type that scoring gives it."""
    import pyarrow as pa

    if column.name.startswith("score:"):
        return bool(pa.types.is_floating(column.type))
    if column.name == "logits":
        return bool(pa.types.is_list(column.type) and pa.types.is_floating(column.type.value_type))
    if column.name == "nll":
        return bool(pa.types.is_floating(column.type))
    if column.name == "n_tokens":
        return bool(pa.types.is_integer(column.type))
    known = column.name in {*ITEM_COLUMNS, ROW} or column.name.startswith("slice:")
    return known and bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
