"""One data file into training rows and eval rows: by what they say, so that it is one split wherever it is made."""

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from seedband.data.rows import DataRow
from seedband.errors import UsageError
from seedband.storage import atomic_files

#: Eval rows that are asked for at least, and at most: fewer hide drops, more take time and show little more.
FEW_EVAL, MANY_EVAL = 200, 2000
#: Of all rows, the share that eval gets, and the largest share that it takes of a small file.
SHARE, LARGEST_SHARE = 0.2, 0.4


def eval_size(n: int) -> int:
    """Number of rows that are kept for eval, of `n`.

    Examples:
        >>> [eval_size(n) for n in (10, 300, 800, 5000, 100_000)]
        [4, 120, 200, 1000, 2000]
    """
    wanted = max(SHARE * n, min(FEW_EVAL, LARGEST_SHARE * n))
    return int(min(wanted, MANY_EVAL))


def split(contents: Sequence[str], strata: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Rows to learn from and rows to be scored on, each in the order of the file.

    Rows of one content stay on one side. Each stratum gives its share; one with a single content is learnt.

    Args:
        contents: What is given of every row, normalised.
        strata: Label of every row; the first row of a content says where it belongs.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(contents):
        rows_of[content].append(row)
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for content, rows in rows_of.items():
        groups[strata[rows[0]]].append(content)
    share = eval_size(len(contents)) / len(contents)
    scored: set[int] = set()
    for members in groups.values():
        ordered = sorted(members, key=lambda content: hashlib.sha256(content.encode()).digest())
        wanted = share * sum(len(rows_of[content]) for content in ordered)
        taken = 0
        for content in ordered[:-1]:  # one is left to learn
            if taken + len(rows_of[content]) / 2 > wanted:
                continue
            scored.update(rows_of[content])
            taken += len(rows_of[content])
    return [row for row in range(len(contents)) if row not in scored], sorted(scored)


def write_part(source: Path, rows: Sequence[DataRow], chosen: Sequence[int], target: Path) -> bool:
    """Write some rows of a data file to another, in the format that its name asks for.

    Args:
        source: The data file.
        rows: All its rows.
        chosen: Which of them.
        target: Where they go; what lies there already must be the same.

    Returns:
        Whether it was written: it is not where it lies there already.

    Raises:
        UsageError: Another file lies there.
    """
    content = _content(source, rows, chosen, target.suffix.lower())
    if target.exists():
        if target.is_file() and target.read_bytes() == content:
            return False
        raise UsageError(f"{target} exists and is not this part of {source}", hint="move it, or name it with --eval")
    with atomic_files.replacing(target) as temporary:
        temporary.write_bytes(content)
    return True


def _content(source: Path, rows: Sequence[DataRow], chosen: Sequence[int], suffix: str) -> bytes:
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(pq.read_table(source).take(list(chosen)), sink)
        return bytes(sink.getvalue().to_pybytes())
    if suffix == ".jsonl":
        return "".join(json.dumps(rows[row], ensure_ascii=False) + "\n" for row in chosen).encode()
    text, names = io.StringIO(newline=""), list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows[row] for row in chosen)
    return text.getvalue().encode()
