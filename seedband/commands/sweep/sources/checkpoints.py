"""Scores of checkpoints that seedband trains and scores itself."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from seedband.bands.band import Band
from seedband.commands.sweep import tracking
from seedband.commands.sweep.carry_out import carry_out
from seedband.commands.sweep.fit import fit, history
from seedband.commands.sweep.plan import Plan, make_plan
from seedband.commands.sweep.prepare import prepare
from seedband.commands.sweep.sources import SweepCall
from seedband.errors import UsageError
from seedband.jobs.executors import Executor
from seedband.runs import sweep_file
from seedband.runs.run import Run
from seedband.storage import atomic_files, file_hashes


class Checkpoints:
    """A sweep whose checkpoints are scored here.

    Args:
        call: What is asked for.
    """

    def __init__(self, call: SweepCall) -> None:
        self._call, self._prepared = call, prepare(call.loaded, offline=call.offline)

    def make_plan(self) -> Plan:
        """Plan what is missing, and refuse what cannot be swept; writes nothing."""
        call, prepared = self._call, self._prepared
        plan = make_plan(prepared, call.seeds, call.folder, slots=call.jobs)
        if call.band is not None:
            sweep_file.refuse_one_seed(plan.record.content.band_seeds, call.seeds, {run.seed for run in plan.finished})
            _check_band_path(call.band, plan)
            history(prepared)
        tracking.check_ready(prepared.recipe, prepared.folder, offline=call.offline)
        return plan

    def carry_out(self, plan: Plan, executor: Executor) -> tuple[Run, ...]:
        """Train and score what is missing, and collect every run of the folder."""
        call = self._call
        return tuple(carry_out(plan, executor, on_event=call.on_event, keep_going=call.keep_going))

    def fit(self, plan: Plan, runs: Sequence[Run], path: Path) -> Band:
        """The band of the runs that were asked for with one: candidates in the same folder are no part of it."""
        _check_band_path(path, plan)  # training took its time, and somebody may have put another file there
        record = plan.record.content.asked(plan.seeds, band=True)
        crashed = {seed: crash.message for seed, crash in record.crashed.items() if int(seed) in record.band_seeds}
        return fit(plan.prepared, [run for run in runs if run.seed in record.band_seeds], path, crashed=crashed)

    def save(self, plan: Plan, band: Band, path: Path) -> None:
        """Put the band on record, then in its place: killed at any moment, the next sweep knows what lies there."""
        text = band.as_text()
        plan.record.name_band(plan.seeds, path, band, hashlib.sha256(text.encode()).hexdigest())
        atomic_files.remove_parts(path.parent, path.name)
        atomic_files.write_text(path, text)

    def log(self, plan: Plan) -> None:
        """Log the sweep to the trackers of the recipe."""
        prepared, call = plan.prepared, self._call
        tracking.log_sweep(prepared.recipe, prepared.folder, plan.folder, offline=call.offline, on_event=call.on_event)


def _check_band_path(path: Path, plan: Plan) -> None:
    """A band is evidence: only the sweep that made it may replace it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a place for a band")
    if not path.exists():
        return
    if not plan.record.content.wrote(path, file_hashes.file_sha256(path)):
        raise UsageError(
            f"{path} exists, and it is not the band of {plan.folder}",
            hint="give another --band; or --no-band: its runs are candidates then, which `seedband accept` can bless",
        )
