"""Folders of sweeps: where a run lies, what it left on record, and what makes two runs one recipe."""

from pathlib import Path

from seedband.errors import Refused
from seedband.models.model_folders import CHECKPOINT
from seedband.runs.layout import (
    LOGS,
    RUN,
    TRAINED,
    seed_folder,
    seed_folders,
    trace_path,
    training_files,
)
from seedband.runs.run import Run
from seedband.runs.run_file import read_run
from seedband.runs.sweep_file import refuse_reported
from seedband.storage import atomic_files


def finished_runs(folder: Path) -> list[Run]:
    """Every finished run of a sweep, by seed."""
    refuse_reported(folder)
    runs = [read_run(run) for run in seed_folders(folder) if (run / RUN).exists()]
    for run in runs:
        if run.folder.name != seed_folder(folder, run.seed).name:
            raise Refused(f"{run.folder / RUN}: is the run of seed {run.seed}", hint="every seed has its own folder")
    return sorted(runs, key=lambda run: run.seed)


def clear(folder: Path) -> None:
    """Remove what a sweep left when it was killed; the folder's lock must be held.

    Half-written files, jobs, training checkpoints of runs that are finished; and the checkpoint of a run that is not,
    which may be of another method than the one that is trained next, unless it is trained and waits to be scored.
    """
    for job in (folder / LOGS).glob("*.job.json"):
        job.unlink(missing_ok=True)
    for place in (folder, folder / LOGS, *seed_folders(folder)):
        atomic_files.remove_parts(place)
    # Without a trace it is no run of ours, whatever it is called.
    for run in (place for place in seed_folders(folder) if trace_path(place).is_file()):
        if (run / RUN).is_file():
            stale = [*training_files(run), run / TRAINED]
        else:
            stale = [] if (run / TRAINED).is_file() else [run / name for name in CHECKPOINT]
        for path in stale:
            path.unlink(missing_ok=True)
