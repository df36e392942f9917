"""The record of a sweep while its lock is held: read once, and written at every step."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from seedband.bands.band import Band
from seedband.commands.sweep.prepare import Prepared
from seedband.jobs.kinds.train import TrainJob
from seedband.jobs.spec import Outcome
from seedband.recipe import identity, locations
from seedband.runs import layout
from seedband.runs.layout import RUN
from seedband.runs.sweep_file import Crash, RecordedSweep, read_sweep
from seedband.storage import file_hashes, json_files
from seedband.storage.json_files import JsonObject


class SweepRecord:
    """sweep.json of one sweep, for whoever writes it.

    Args:
        prepared: The recipe.
        folder: Of the sweep.
        known: What is on record there; None for a folder without a record.
    """

    def __init__(self, prepared: Prepared, folder: Path, known: RecordedSweep | None) -> None:
        if known is not None and identity.changed_training(known.recorded, prepared.recorded):
            known = None  # another recipe was begun here, and left nothing
        here = identity.RecordedRecipe(prepared.recipe.as_dict(), locations.relative(prepared.provenance, folder))
        self._content = replace(known, recorded=here) if known else RecordedSweep(folder=folder, recorded=here)

    @property
    def content(self) -> RecordedSweep:
        """The record as it is."""
        return self._content

    def ask(self, seeds: Sequence[int]) -> None:
        """Put seeds on record that are asked for now."""
        self._write(self._content.asked(seeds, band=False))

    def crash(self, seeds: Sequence[int], crashed: Sequence[Outcome]) -> None:
        """Put on record what became of jobs that crashed, until their seeds are trained."""
        folder, told = self._content.folder, dict(self._content.crashed)
        for outcome in crashed:
            assert isinstance(outcome.job, TrainJob)
            crash = Crash(outcome.message, locations.relative_path(outcome.log, folder))
            told |= {str(run.seed): crash for run in outcome.job.runs}
        self._write(replace(self._content.asked(seeds, band=False), crashed=told))

    def name_band(self, seeds: Sequence[int], path: Path, band: Band, sha256: str) -> None:
        """Put a band on record that is about to be written, with what it replaces.

        It is on record first: a sweep that is killed in between knows either as its own.

        Args:
            seeds: Asked for with it.
            path: Where it goes.
            band: The band.
            sha256: Of its text.
        """
        self._write(
            replace(
                self._content.asked(seeds, band=True),
                median_seed=band.metrics[band.primary].median_seed,
                band=locations.relative_path(path, self._content.folder),
                band_sha256=sha256,
                band_before_sha256=file_hashes.file_sha256(path) if path.is_file() else None,
            )
        )

    def _write(self, content: RecordedSweep) -> None:
        unfinished = {seed: crash for seed, crash in content.crashed.items() if not _is_finished(content.folder, seed)}
        self._content = replace(content, crashed=unfinished)
        json_files.write_json(content.folder / layout.SWEEP, "sweep", _as_dict(self._content))


def _is_finished(folder: Path, seed: str) -> bool:
    return (layout.seed_folder(folder, int(seed)) / RUN).is_file()


def _as_dict(content: RecordedSweep) -> JsonObject:
    return {
        "seeds": list(content.seeds),
        "band_seeds": list(content.band_seeds),
        "median_seed": content.median_seed,
        "band": content.band,
        "band_sha256": content.band_sha256,
        "band_before_sha256": content.band_before_sha256,
        "reproduced": content.reproduced,
        "crashed": {seed: asdict(crash) for seed, crash in content.crashed.items()},
        "recipe": content.recorded.recipe,
        "provenance": content.recorded.provenance,
    }


def stamp(folder: Path, seed: int, proof: JsonObject) -> None:
    """Put into sweep.json what became of training a seed again; the folder's lock must be held."""
    content = read_sweep(folder)
    before = content.reproduced.get(str(seed), {})
    if proof["status"] == "not comparable" and before.get("final") == proof["final"]:
        return  # what another environment cannot tell does not undo what the run's own told
    new = replace(content, reproduced={**content.reproduced, str(seed): dict(proof)})
    json_files.write_json(folder / layout.SWEEP, "sweep", _as_dict(new))
