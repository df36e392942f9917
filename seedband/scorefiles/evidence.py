"""Scores as evidence: numbers, each once, and none that other seeds have and one lacks."""

from collections.abc import Collection, Mapping, Sequence

from seedband.bands.admission import MAX_SCORE
from seedband.bands.stats.limits import mean
from seedband.errors import Problem
from seedband.scorefiles import names
from seedband.scorefiles.reading import ABSENT, Cell, few, shown

#: metric → seed → item → its one cell; the item "" is the seed's own score.
Table = dict[str, dict[int, dict[str, Cell]]]


def malformed(entry: Cell | Problem, failed: Collection[int]) -> Problem | None:
    """The mistake of form in an entry, if there is one."""
    if isinstance(entry, Problem):
        return entry
    if isinstance(entry.score, float) or entry.score is ABSENT or entry.seed in failed:
        return None
    hint = (
        f"{_hint(entry)}; seedband band --metric NAME reads another one alone" if names.is_missing(entry.score) else ""
    )
    if names.is_percentage(entry.score):
        hint = "--percent reads 87.1% as .871, where every score of the metric has the sign"
    return Problem(entry.where, f"{shown(entry.score)} for {entry.metric or 'a score'}", "a number", hint)


def _hint(cell: Cell) -> str:
    return f"where that run failed to train, seedband band takes --failed {cell.seed}; a candidate has failed then"


def tabulated(cells: Sequence[Cell]) -> tuple[Table, list[Problem]]:
    """All cells in their places, and those that are no evidence: not finite, or there already."""
    table: Table = {}
    refusals = []
    for cell in cells:
        rows = table.setdefault(cell.metric, {})
        if cell.score is ABSENT:
            continue
        first = rows.setdefault(cell.seed, {}).setdefault(cell.item, cell)
        if first is not cell:
            refusals.append(Problem(cell.where, f"{cell.name} again, after {first.where}", "each score once"))
        if not abs(cell.score) <= MAX_SCORE:
            refusals.append(Problem(cell.where, f"{cell.name} is {cell.score}", "a finite score", _hint(cell)))
    return table, refusals


def incomplete(table: Table, seeds: Sequence[int], items: Sequence[str]) -> list[Problem]:
    """Scores that some seeds have and others lack."""
    refusals = []
    for metric, rows in table.items():
        if missing := [str(seed) for seed in seeds if seed not in rows]:
            refusals.append(Problem(metric, f"no score of seed {few(missing)}", "every metric for every seed"))
        if not has_items(rows):
            continue
        bare = [str(seed) for seed, cells in rows.items() if "" not in cells]
        if bare and len(bare) < len(rows):
            found = f"only items of seed {few(bare)}, where other seeds have a score of their own"
            refusals.append(Problem(metric, found, "a row without item for every seed, or for none"))
        for seed, cells in rows.items():
            if lacking := [item for item in items if item not in cells]:
                found = f"no score of item {few(lacking)}"
                refusals.append(Problem(f"{metric} of seed {seed}", found, "the items of all other seeds and metrics"))
    return refusals


def has_items(rows: Mapping[int, Mapping[str, Cell]]) -> bool:
    """Check whether any seed of a metric has scores of items."""
    return any(item for cells in rows.values() for item in cells)


def score_of(cells: Mapping[str, Cell]) -> float:
    """A seed's score: its own, or the mean of its items."""
    return cells[""].score if "" in cells else mean([cell.score for cell in cells.values()])
