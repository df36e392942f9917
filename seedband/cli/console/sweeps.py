"""A sweep for people: what it would do, what it did."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedband.cli.console.bands import band_json, print_band
from seedband.cli.console.output import print_hint, print_json, print_lines
from seedband.counts import counted, plural
from seedband.runs.layout import seed_folder

if TYPE_CHECKING:
    from seedband.bands.band import Band
    from seedband.runs.run import Sweep
    from seedband.storage.json_files import JsonObject


def print_sweep_plan(plan: "JsonObject", *, as_json: bool) -> None:
    """Print the plan of a sweep: jobs, steps, disk and a rough time."""
    if as_json:
        print_json(plan)
        return
    seeds, again = _seeds(plan["seeds_to_train"]), plan["seeds_to_score"]
    jobs = counted(plan["jobs"], "job")
    print_lines(
        [
            f"folder: {plan['folder']}, {counted(len(plan['finished']), 'run')} finished",
            f"to train: {seeds}; {jobs}, {_steps(plan['steps_per_run'])}",
            *([f"to score, not to train: {_seeds(again)}"] if again else []),
            f"disk: {_size(plan['disk_bytes'])}",
            f"time: {_duration(plan['seconds'])} ({plan['seconds_from']})",
            *(f"warning: {text}" for text in plan["warnings"]),
        ]
    )


def print_sweep(sweep: "Sweep", band: "Band", *, as_json: bool, quiet: bool = False) -> None:
    """A finished sweep: its band, its median run, and what to do with them; quiet leaves the gating band's line."""
    if as_json:
        print_json({**_runs_json(sweep), "band": str(sweep.band_path), **band_json(band)})
        return
    print_band(band, quiet=quiet)
    if quiet:
        return
    if sweep.median_seed is not None:
        print_lines([f"median run: {seed_folder(sweep.folder, sweep.median_seed)}; band: {sweep.band_path}"])
    new = "NEW_SWEEP" if "command" in band.provenance else "NEW_CHECKPOINT"
    print_hint(f"judge a new checkpoint with: seedband check {new} --band {sweep.band_path}")


def print_runs(sweep: "Sweep", *, as_json: bool) -> None:
    """Runs without a band, one line each."""
    if as_json:
        print_json(_runs_json(sweep))
        return
    for run in sweep.runs:
        scores = " ".join(f"{entry.metric}={entry.score:.6g}" for entry in run.evaluations if entry.score is not None)
        print_lines([f"{run.folder}: {run.status} {scores}{' ' + run.failure if run.failure else ''}"])


def _runs_json(sweep: "Sweep") -> "JsonObject":
    return {
        "folder": str(sweep.folder),
        "median_seed": sweep.median_seed,
        "runs": [
            {
                "seed": run.seed,
                "status": run.status,
                "failure": run.failure,
                "scores": {entry.metric: entry.score for entry in run.evaluations},
            }
            for run in sweep.runs
        ],
    }


def _seeds(listed: Sequence[int]) -> str:
    return f"{plural(len(listed), 'seed')} {', '.join(map(str, listed)) or 'none'}"


def _steps(count: int | None) -> str:
    return "as many steps as the command takes" if count is None else f"{counted(count, 'step')} a run"


def _size(count: int | None) -> str:
    return "whatever the command writes" if count is None else f"about {count / 1e6:.1f} MB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"  # noqa: PLR2004
