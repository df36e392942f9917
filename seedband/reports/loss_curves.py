"""Loss curves: the training loss of a band's seeds and of candidates, as their traces hold it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedband.bands.verdict import Candidate
from seedband.errors import Refused
from seedband.runs import run_file
from seedband.runs.layout import RUN, trace_path
from seedband.runs.run import Run
from seedband.storage import json_files


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


def curves_of_runs(runs: Sequence[Run]) -> list[Curve]:
    """Losses of the band's seeds.

    Raises:
        Refused: None of the runs has a trace.
    """
    found = [curve for run in runs if (curve := _curve(run.folder, f"seed {run.seed}")) is not None]
    if runs and not found:
        raise Refused("the runs left no trace of their losses")
    return found


def curves_of_candidates(candidates: Iterable[Candidate]) -> list[Curve]:
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
