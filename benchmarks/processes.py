"""Processes as a user sees them: how long the whole of one takes, and how much memory it and its children hold."""

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: Seconds between two looks at the memory of a tree of processes.
LOOK_S = 0.1
#: Threads are for whoever is measured to choose, and caches are empty.
UNSET = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TOKENIZERS_PARALLELISM",
    "SEEDBAND_CACHE_DIR",
)


def environment(cache: Path, **more: str) -> dict[str, str]:
    """What a measured process is given: this checkout, no pinned threads, no hub, and caches of its own."""
    shell = {name: value for name, value in os.environ.items() if name not in UNSET}
    pinned = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    return {**shell, **pinned, **more}


def seconds(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
    """Wall time of a whole process, and what it printed.

    Raises:
        SystemExit: It failed; what it said is told.
    """
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with exit code {done.returncode}: {done.stderr[-2000:]}")
    return taken, done.stdout


def peak_bytes(command: Sequence[str], env: Mapping[str, str], log: Path) -> int:
    """Most memory that a process and its descendants held together, as seen every tenth of a second.

    Summed is the proportional set size: a page that n processes share counts one n-th in each, so that what a forked
    child shares with its parent counts once.
    """
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_held, tree(process.pid))))
            time.sleep(LOOK_S)
    if process.returncode:
        text = log.read_text(encoding="utf-8")[-2000:]
        raise SystemExit(f"{' '.join(command)}\nended with exit code {process.returncode}: {text}")
    return peak


def tree(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        children[int(fields[1])].append(int(stat.parent.name))
    waiting = [pid]
    while waiting:
        yield (found := waiting.pop())
        waiting += children[found]


def _held(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0  # ended meanwhile
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return 1024 * int(line.split()[1])
