"""How fast is a sweep, against what users do today? A table of ratios, each measured in one run.

    python benchmarks/speed.py [--data DIR] [--repeats 3] [--only ROW ...] [--keep DIR]
    python benchmarks/speed.py --print DIR/speed.jsonl

DIR holds Banking77's train.csv and test.csv. Today's way is `trainer_loop.py`, one process a seed: a loop over N seeds
is taken as N times one run, which every repeat measures once, under another seed. A repeat measures everything in turn,
peers first, so that what else the machine does falls on both sides. Times are wall times of whole processes, imports
included; every sweep starts with empty folders and caches. Memory is the most that a tree of processes holds at once,
summed as proportional set sizes (a page that forked processes share counts once) and looked at ten times a second: of
both sides one epoch, of a sweep two seeds. The levers of `levers.py` are switched off one at a time.

Results go to speed.jsonl as they come, in the folder that --keep names: called again with it, the script goes on.
"""

import argparse
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import processes
from results import Results, facts
from table import MEASUREMENTS, amount, needed, printed, selected
from work import Work

RESULTS = "speed.jsonl"
DATA = Path("../shared/data/banking77")


def measure(work: Work, times: dict[str, int], results: Results) -> None:
    """Measure what is missing, repeat by repeat; trainings first, then what is over at once."""
    for trained in (True, False):
        names = [name for name in times if trains([name]) == trained]
        for repeat in range(max((times[name] for name in names), default=0)):
            for name in names:
                if repeat < times[name] and repeat not in results.values[name]:
                    _measure(name, work, repeat, results)


def _measure(name: str, work: Work, repeat: int, results: Results) -> None:
    folder = work.folder / f"{name}-{repeat}"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
    folder.mkdir()
    results.add(name, repeat, MEASUREMENTS[name].measure(work, repeat, folder))
    shutil.rmtree(folder)
    if trains([name]):
        value = amount(results.values[name][repeat], MEASUREMENTS[name].unit)
        print(f"{name}, repeat {repeat}: {value}", file=sys.stderr, flush=True)


def run(work: Work, rows: Sequence[str], repeats: int, command: str) -> Results:
    """Measure what some rows need; results are in the work's folder."""
    times = needed(selected(rows), repeats)
    results = Results(work.folder / RESULTS)
    trained = f"{work.train} + {work.evaluated} messages, {work.epochs} epochs, {work.base or 'MiniLM'}"
    results.begin({**facts(), "work": trained}, command)
    if trains(times):
        work.write_rows()
        warm_up(work)
    measure(work, times, results)
    return results


def trains(names: Iterable[str]) -> bool:
    """Whether anything among some measurements is trained."""
    return any(MEASUREMENTS[name].trains for name in names)


def warm_up(work: Work) -> None:
    """Libraries are read from disk once before anything counts."""
    libraries = "import torch, peft, sklearn, pandas; from transformers import Trainer"
    environment = processes.environment(work.folder / "cache")
    subprocess.run([sys.executable, "-c", libraries], env=environment, check=True, capture_output=True)


def report(results: Results, rows: list[str]) -> str:
    """The tables, with what they were measured on."""
    told = results.facts
    packages = ", ".join(f"{name} {number}" for name, number in told["packages"].items())
    trained = [
        f"{name} {statistics.fmean(scores.values()):.4f}" for name, scores in results.accuracies.items() if scores
    ]
    parts = [
        f"{told['processor']}; GPU: {told['gpu']}; {told['system']}; {packages}; commit {told['commit']}.",
        f"`{'`, `'.join(results.commands)}`",
        printed(selected(rows), results.values),
        f"Mean accuracy: {', '.join(trained)}." if trained else "",
    ]
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of Banking77; {DATA} unless said")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="names of rows, levers, or ablation")
    parser.add_argument("--keep", type=Path, help="folder of work and results; a temporary one unless said")
    parser.add_argument("--print", type=Path, dest="shown", metavar="FILE", help="print a file of results, and end")
    args = parser.parse_args()
    if args.shown is not None:
        print(report(Results(args.shown), args.only))
        return
    if trains(needed(selected(args.only), args.repeats)) and not (args.data / "train.csv").is_file():
        parser.error(f"--data {args.data}: there is no train.csv of Banking77")
    folder = args.keep or Path(tempfile.mkdtemp(prefix="seedband-speed-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"results go to {folder / RESULTS}", file=sys.stderr)
    command = shlex.join(["python", "benchmarks/speed.py", *sys.argv[1:]])
    work = Work(args.data.absolute(), folder.absolute())
    print(report(run(work, args.only, args.repeats, command), args.only))


if __name__ == "__main__":
    main()
