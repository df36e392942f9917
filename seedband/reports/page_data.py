"""Page data: everything at hand about a band, gathered for a page: losses, slices, noise by source, what is on record.

What is not at hand is said in `lacking`, with what to run, and never guessed: a band that was committed without its
runs, runs that were trained anew since, a sweep of which no seed was ever reproduced.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from seedband.bands.band import Band, load_band
from seedband.bands.verdict import Verdict
from seedband.errors import Refused, SeedbandError
from seedband.reports.loss_curves import Curve, curves_of_candidates, curves_of_runs
from seedband.reports.slice_tables import SliceTable, slice_tables_of, with_candidates
from seedband.runs import layout, run_file, sweep_file
from seedband.runs.cohorts import Split, split
from seedband.runs.run import Run
from seedband.storage.validation import Number, checked

T = TypeVar("T")


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
    """Gather what is at hand about the band in a file, or of a sweep's folder.

    Raises:
        UsageError: Neither is there, or the sweep has no band.
        Refused: Records that do not hold together.
    """
    path = Path(path)
    place = sweep_file.band_path(path) if path.is_dir() else path
    return replace(of_band(load_band(place), folder=path if path.is_dir() else None), path=str(place))


def of_band(band: Band, verdict: Verdict | None = None, folder: Path | None = None) -> Overview:
    """Gather what is at hand about a band, and about the candidates that were held against it.

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
    tables = gathering.tried("slices", lambda: slice_tables_of(band, place)) or []
    losses = gathering.tried("curves", lambda: curves_of_runs(runs)) or []
    losses += gathering.tried("candidates", lambda: curves_of_candidates(candidates)) or []
    splits, same_seed = None, None
    if place is not None:
        splits = gathering.tried("noise", lambda: split(place, "seed"))
        same_seed = gathering.tried("same_seed", lambda: _same_seed(place, runs))
    return Overview(
        band=band,
        runs="" if place is None else str(place),
        curves=tuple(losses),
        splits=tuple(splits or ()),
        tables=tuple(with_candidates(table, judged) for table in tables),
        same_seed=tuple(same_seed or ()),
        initializers=_initializers(runs),
        lacking=gathering.lacking,
    )


class _Gathering:
    """Part of the page → why it is not at hand: a verdict stands, whatever its page lacks."""

    def __init__(self) -> None:
        self.lacking: dict[str, str] = {}

    def tried(self, part: str, call: Callable[[], T]) -> T | None:
        """The result of a call; where it is refused, the reason goes to `lacking`."""
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
            raise Refused(f"{run.folder} is not the run that this band was made of: it was trained again since")
    return folder, runs


def _same_seed(folder: Path, runs: Sequence[Run]) -> list[SameSeed]:
    """Results of `reproduce` for the runs that are still there.

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


def _initializers(runs: Sequence[Run]) -> dict[str, int]:
    """Distributions that the tensors of one run were drawn from: all runs of a band are drawn alike."""
    found: dict[str, int] = {}
    for entry in runs[0].initializers if runs else ():
        found[entry.distribution] = found.get(entry.distribution, 0) + 1
    return found
