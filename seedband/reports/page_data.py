"""Page data: everything at hand about a band, gathered for a page: losses, slices, noise by source, what is on record.

What is not at hand is said in `lacking`, with what to run, and never guessed: a band that was committed without its
runs, runs that were trained anew since, a sweep of which no seed was ever reproduced.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from seedband.bands.band import Band, load_band
from seedband.bands.metric_band import MetricBand
from seedband.bands.stats.variance import NO_PRIOR
from seedband.bands.verdict import Candidate, SliceVerdict, Verdict
from seedband.errors import Refused, SeedbandError
from seedband.runs import layout, run_file, sweep_file
from seedband.runs.cohorts import Cohort, Split, split
from seedband.runs.layout import RUN, trace_path
from seedband.runs.run import Run
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import Number, checked

T = TypeVar("T")


@dataclass(frozen=True)
class Curve:
    """The loss of one run, step by step.

    Attributes:
        name: "seed 3", or the candidate as the user named it.
        steps: Optimizer steps with a finite loss.
        losses: Their losses.
        is_candidate: Whether it is no run of the band.
    """

    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    is_candidate: bool = False


@dataclass(frozen=True)
class SliceRow:
    """Some of the items under every seed.

    Attributes:
        value: That the items share.
        n_items: How many there are.
        rates: Per seed: the share of failed items, or the mean score.
        edges: Lower and upper edge of their own band, of what `rates` are.
        p_seeds: Whether seeds differ on them beyond chance, after Holm's correction; None without the items.
        candidates: The candidates' rates on them, in the order trained; empty without candidates.
        p_candidates: Whether the candidates are worse on them, after Holm's correction; None without candidates.
    """

    value: str
    n_items: int
    rates: tuple[float, ...]
    edges: tuple[float, float]
    p_seeds: float | None = None
    candidates: tuple[float, ...] = ()
    p_candidates: float | None = None


@dataclass(frozen=True)
class SliceTable:
    """A metric, split by a column of the eval data.

    Attributes:
        metric: Its name.
        column: By which the items are split.
        fails: Whether rates are shares of failed items, rather than scores.
        seeds: Root seeds, in the order of every `rates`.
        rows: Slice by slice.
        overall: All items, where they are at hand.
    """

    metric: str
    column: str
    fails: bool
    seeds: tuple[int, ...]
    rows: tuple[SliceRow, ...]
    overall: SliceRow | None = None


@dataclass(frozen=True)
class _Proof:
    """What `reproduce` left of a metric's noise."""

    metric: str
    same_seed: Number | None
    scoring: Number | None


@dataclass(frozen=True)
class _Reproduced:
    status: str
    final: str | None
    noise: tuple[_Proof, ...] = ()


@dataclass(frozen=True)
class SameSeed:
    """How far a run trained again lies from the one on record.

    Attributes:
        metric: Of what.
        seed: Which seed was trained again.
        status: "equal", "different" or "not comparable".
        distance: Between the two scores.
        scoring: How far the stored checkpoint, scored again, lies from its score on record.
    """

    metric: str
    seed: int
    status: str
    distance: float | None
    scoring: float | None


@dataclass(frozen=True)
class Overview:
    """Everything at hand about a band.

    Attributes:
        band: The band.
        path: Its file, where it was read from one for this page.
        runs: Folder of its runs as it is named for people; empty where it has none.
        curves: Losses of its seeds, then of candidates.
        splits: Every metric with items, taken apart by seed.
        tables: Every metric with slices, column by column.
        same_seed: What `reproduce` found.
        initializers: Distribution → how many tensors of a run were drawn from it.
        lacking: Part of the page → why it is not at hand, and what would bring it.
    """

    band: Band
    path: str = ""
    runs: str = ""
    curves: tuple[Curve, ...] = ()
    splits: tuple[Split, ...] = ()
    tables: tuple[SliceTable, ...] = ()
    same_seed: tuple[SameSeed, ...] = ()
    initializers: Mapping[str, int] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)


def overview(path: str | Path) -> Overview:
    """What is at hand about the band in a file, or of a sweep's folder.

    Raises:
        UsageError: Neither is there, or the sweep has no band.
        Refused: Records that do not hold together.
    """
    path = Path(path)
    place = sweep_file.band_path(path) if path.is_dir() else path
    return replace(of_band(load_band(place), folder=path if path.is_dir() else None), path=str(place))


def of_band(band: Band, verdict: Verdict | None = None, folder: Path | None = None) -> Overview:
    """What is at hand about a band, and about the candidates that were held against it.

    Args:
        band: The band.
        verdict: What it says of candidates, if any.
        folder: Of its runs; where the band says they are unless given.
    """
    gathering = _Gathering()
    judged = () if verdict is None else verdict.slices
    candidates = () if verdict is None else verdict.candidates
    nowhere: tuple[Path | None, list[Run]] = (None, [])
    place, runs = gathering.tried("runs", lambda: _runs(band, folder)) or nowhere
    tables = gathering.tried("slices", lambda: _tables(band, place)) or []
    losses = gathering.tried("curves", lambda: _curves(runs)) or []
    losses += gathering.tried("candidates", lambda: _curves_of(candidates)) or []
    splits, same_seed = None, None
    if place is not None:
        splits = gathering.tried("noise", lambda: split(place, "seed"))
        same_seed = gathering.tried("same_seed", lambda: _same_seed(place, runs))
    return Overview(
        band=band,
        runs="" if place is None else str(place),
        curves=tuple(losses),
        splits=tuple(splits or ()),
        tables=tuple(_with_candidates(table, judged) for table in tables),
        same_seed=tuple(same_seed or ()),
        initializers=_initializers(runs),
        lacking=gathering.lacking,
    )


class _Gathering:
    """Part of the page → why it is not at hand: a verdict stands, whatever its page lacks."""

    def __init__(self) -> None:
        self.lacking: dict[str, str] = {}

    def tried(self, part: str, call: Callable[[], T]) -> T | None:
        """What a call finds; where it is refused, why is told instead."""
        try:
            return call()
        except SeedbandError as error:
            self.lacking[part] = error.message
            return None


def _runs(band: Band, folder: Path | None) -> tuple[Path | None, list[Run]]:
    """The runs that a band was made of, weight for weight.

    Raises:
        Refused: There are none, or other ones lie there now.
    """
    facts = band.provenance
    if "runs" not in facts:
        raise Refused("this band was made from bare scores: there are no runs to look into")
    folder = band.folder / facts["runs"] if folder is None else folder
    if not (folder / layout.SWEEP).is_file():
        raise Refused(f"the runs of this band are not at hand: {folder} is no sweep here")
    runs = [run_file.read_seed(folder, seed) for seed in band.seeds]
    for run in runs:
        if run.checkpoint_sha256 != facts.get("checkpoints", {}).get(str(run.seed)):
            raise Refused(f"{run.folder} is not the run that this band was made of: it was trained anew since")
    return folder, runs


def _tables(band: Band, folder: Path | None) -> list[SliceTable]:
    """Every metric with slices: from the items where they are at hand, else from what the band keeps.

    Raises:
        Refused: There are none.
    """
    columns = [] if folder is None else sweep_file.read_sweep(folder).recorded.slices
    tables = [_of_split(part) for column in columns if folder for part in split(folder, column)]
    tables = tables or _of_record(band)
    if not tables:
        raise Refused("no slices on record: `slices` under [data] names columns of the eval data")
    return tables


def _same_seed(folder: Path, runs: Sequence[Run]) -> list[SameSeed]:
    """What `reproduce` found of the runs that still lie there.

    Raises:
        Refused: It was edited.
    """
    proofs = sweep_file.read_sweep(folder).reproduced
    found: list[SameSeed] = []
    for run in runs:
        if str(run.seed) not in proofs:
            continue
        source = f"{folder / layout.SWEEP}: not a sweep that holds together: reproduced.{run.seed}"
        proof = checked(proofs[str(run.seed)], _Reproduced, source)
        if proof.final == run.witnesses.get("final"):
            found += [
                SameSeed(noise.metric, run.seed, proof.status, noise.same_seed, noise.scoring) for noise in proof.noise
            ]
    return found


def _of_split(part: Split) -> SliceTable:
    overall, *rows = [_row(cohort) for cohort in part.cohorts]
    return SliceTable(part.metric, part.by, part.binary, part.seeds, tuple(rows), overall)


def _row(cohort: Cohort) -> SliceRow:
    return SliceRow(cohort.name, cohort.n_items, cohort.rates, cohort.band, cohort.p_adjusted)


def _of_record(band: Band) -> list[SliceTable]:
    """The slices that band.json keeps: scores, without the items that would tell whether seeds differ."""
    rows: dict[tuple[str, str], list[SliceRow]] = {}
    for entry in band.provenance.get("slices", ()):
        for name, known in entry["metrics"].items():
            if name not in band.metrics or len(known["scores"]) != len(band.seeds):
                continue
            edges = _own_band(band.metrics[name], known)
            row = SliceRow(entry["value"], int(known["n_items"]), tuple(known["scores"]), (edges.lower, edges.upper))
            rows.setdefault((name, entry["column"]), []).append(row)
    return [
        SliceTable(name, column, fails=False, seeds=band.seeds, rows=tuple(found))
        for (name, column), found in rows.items()
    ]


def _own_band(metric: MetricBand, known: JsonObject) -> MetricBand:
    noise = {"floor": known["floor"], "resolution": known["resolution"], "prior": NO_PRIOR}
    return replace(metric, scores=tuple(known["scores"]), **noise)


def _with_candidates(table: SliceTable, judged: Sequence[SliceVerdict]) -> SliceTable:
    """A table with what the verdict says of its slices."""
    own = {entry.value: entry for entry in judged if (entry.metric, entry.column) == (table.metric, table.column)}
    rows = []
    for row in table.rows:
        entry = own.get(row.value)
        if entry is None:
            rows.append(row)
            continue
        rates = tuple(1 - score if table.fails else score for score in entry.scores)
        rows.append(replace(row, candidates=rates, p_candidates=entry.p_adjusted))
    return replace(table, rows=tuple(rows))


def _curves(runs: Sequence[Run]) -> list[Curve]:
    """Losses of the band's seeds.

    Raises:
        Refused: None of the runs has a trace.
    """
    found = [curve for run in runs if (curve := _curve(run.folder, f"seed {run.seed}")) is not None]
    if runs and not found:
        raise Refused("the runs left no trace of their losses")
    return found


def _curves_of(candidates: Iterable[Candidate]) -> list[Curve]:
    """Losses of those candidates whose run lies where the user named it."""
    found = []
    for number, candidate in enumerate(candidates, 1):
        folder = Path(candidate.name)
        if not (folder / RUN).is_file():
            continue
        run = run_file.read_run(folder)
        same = run.checkpoint_sha256 == candidate.checkpoint_sha256
        curve = _curve(folder, f"candidate {number}", is_candidate=True) if same else None
        found += [] if curve is None else [curve]
    return found


def _curve(folder: Path, name: str, *, is_candidate: bool = False) -> Curve | None:
    """The losses in a run's trace; None where it has none. A loss that is not finite stands there as text."""
    path = trace_path(folder)
    if not path.is_file():
        return None
    steps, losses = [], []
    for number, line in enumerate(json_files.read_text(path, json_files.MAX_JSON_BYTES).splitlines()):
        try:
            entry = json_files.loads(line)
        except ValueError as error:
            raise Refused(f"{path}: line {number + 1}: {error}", hint="restore the run's folder") from error
        loss = entry.get("loss") if isinstance(entry, dict) else None
        if isinstance(loss, int | float) and math.isfinite(loss):
            steps.append(number)
            losses.append(float(loss))
    return Curve(name, tuple(steps), tuple(losses), is_candidate) if losses else None


def _initializers(runs: Sequence[Run]) -> dict[str, int]:
    """How the tensors of one run were drawn: all runs of a band are drawn alike."""
    found: dict[str, int] = {}
    for entry in runs[0].initializers if runs else ():
        found[entry.distribution] = found.get(entry.distribution, 0) + 1
    return found
