"""What can be measured: one run of the Trainer script, one sweep, the start of a program, a piece of statistics."""

import json
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import in_process
import processes
from levers import LEVERS, WITHOUT
from work import Work

#: Seeds of the band and of the candidate whose scores `check` reads.
BAND_SEEDS, CANDIDATE_SEEDS = 20, 3
BARE_APP = """
import typer

app = typer.Typer()


@app.command()
def train(seeds: int = 4) -> None:
    "Train a recipe under several seeds."


@app.command()
def judge(band: str = "band.json") -> None:
    "Judge a candidate by the band."


app()
"""


class Measured(NamedTuple):
    """What one measurement gave: seconds, bytes or milliseconds, and the mean accuracy of what was trained."""

    value: float
    accuracy: float | None = None


class Measurement(Protocol):
    """One thing that is measured, in a folder of its own, as often as is asked for.

    Attributes:
        unit: "s", "bytes" or "ms".
        trains: Whether it takes the rows of the work, and minutes.
        min_repeats: Repeats at least: what is over at once varies most, and costs little.
    """

    unit: str
    trains: ClassVar[bool]
    min_repeats: ClassVar[int]

    def measure(self, work: Work, repeat: int, folder: Path) -> Measured: ...


@dataclass(frozen=True)
class TrainerRun:
    """One run of the Trainer script, under another seed in each repeat."""

    method: str
    unit: str = "s"
    trains: ClassVar[bool] = True
    min_repeats: ClassVar[int] = 1

    def measure(self, work: Work, repeat: int, folder: Path) -> Measured:
        env = processes.environment(folder / "cache")
        if self.unit == "bytes":
            command = work.trainer(self.method, repeat, folder / "model", epochs=1)
            return Measured(processes.peak_bytes(command, env, folder / "log"))
        taken, printed = processes.seconds(work.trainer(self.method, repeat, folder / "model"), env)
        return Measured(taken, json.loads(printed.splitlines()[-1])["accuracy"])


@dataclass(frozen=True)
class Sweep:
    """One sweep, seeds 0, 1, ..., from nothing: its runs and caches go to an empty folder."""

    recipe: str
    seeds: int
    jobs: int = 1
    unit: str = "s"
    lever: str = ""
    trains: ClassVar[bool] = True
    min_repeats: ClassVar[int] = 1

    def without(self, lever: str) -> "Sweep":
        """The same sweep with a lever switched off."""
        return replace(self, lever=lever)

    def measure(self, work: Work, repeat: int, folder: Path) -> Measured:  # noqa: ARG002  every repeat is alike
        env, changes, jobs = processes.environment(folder / "cache"), {}, self.jobs
        if self.lever:
            lever = LEVERS[self.lever]
            env |= {**lever.switched_off, "PYTHONPATH": f"{WITHOUT}:{env['PYTHONPATH']}"}
            changes, jobs = lever.recipe, lever.jobs or self.jobs
        if self.unit == "bytes":
            recipe = work.write_recipe(self.recipe, folder / "seedband.toml", {"train": {"epochs": 1}})
            command = work.sweep(recipe, self.seeds, jobs, folder / "runs")
            return Measured(processes.peak_bytes(command, env, folder / "log"))
        recipe = work.write_recipe(self.recipe, folder / "seedband.toml", changes)
        taken, _ = processes.seconds(work.sweep(recipe, self.seeds, jobs, folder / "runs", folder / "band.json"), env)
        scores = json.loads((folder / "band.json").read_text(encoding="utf-8"))["metrics"]["accuracy"]["scores"]
        return Measured(taken, statistics.fmean(scores))


@dataclass(frozen=True)
class Start:
    """A program from its start to its end: `{python}`, `{seedband}` and `{folder}` are filled in."""

    command: tuple[str, ...]
    unit: str = "s"
    trains: ClassVar[bool] = False
    min_repeats: ClassVar[int] = 21

    def measure(self, work: Work, repeat: int, folder: Path) -> Measured:  # noqa: ARG002  every repeat is alike
        made = _start_files(work.folder / "start")
        # The script that pip installs, where there is one: `python -m` looks for the module first.
        script = Path(sys.executable).with_name("seedband")
        places = {"python": sys.executable, "seedband": str(script), "folder": str(made)}
        filled = [part.format(**places) for part in self.command]
        if filled[0] == str(script) and not script.is_file():
            filled[:1] = [sys.executable, "-m", "seedband"]
        return Measured(processes.seconds(filled, processes.environment(folder / "cache"))[0])


@dataclass(frozen=True)
class Statistics:
    """Statistics in this process, of `in_process`."""

    what: str
    unit: str = "ms"
    trains: ClassVar[bool] = False
    min_repeats: ClassVar[int] = 7

    def measure(self, work: Work, repeat: int, folder: Path) -> Measured:  # noqa: ARG002  every repeat is alike
        return Measured(in_process.milliseconds(self.what))


def _start_files(folder: Path) -> Path:
    """The bare app, a band of 20 seeds, and the scores of a candidate that passes."""
    if not folder.is_dir():
        from seedband import fit_band

        folder.mkdir()
        scores = [0.87 + 0.001 * ((7 * seed) % BAND_SEEDS) for seed in range(BAND_SEEDS)]
        fit_band({"accuracy": scores}).save(folder / "band.json")
        (folder / "app.py").write_text(BARE_APP, encoding="utf-8")
        rows = "".join(f"accuracy,{100 + seed},0.881\n" for seed in range(CANDIDATE_SEEDS))
        (folder / "scores.csv").write_text(f"metric,seed,score\n{rows}", encoding="utf-8")
    return folder
