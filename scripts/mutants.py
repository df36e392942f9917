"""Mutation testing: change the code in one place at a time, and look whether a test falls over.

    python scripts/mutants.py [--only PATTERN] [--total 420] [--seed 18] [--jobs 1] [--list]

Works on copies of the tree in a temporary folder, which the tests and every process that they start import. What was
found is kept in runs/mutants.jsonl, by the hash of the changed module and of its tests; the next call goes on from
there. benchmarks/mutants.toml says which tests tell about a module, the fastest first, and why a survivor is harmless.
Exits 1 where a survivor has no such reason, a reason fits no line any more, or less than nine in ten were killed.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutations import Mutation, mutations

ROOT = Path(__file__).parents[1]
#: Not told by the tests' own names: minutes, other people's models, other machines.
PYTEST = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestUnknownMarkWarning"]
#: A changed module whose tests take so many times longer than those of the whole one hangs.
SLOWER, AT_LEAST_S = 5.0, 120.0
SHARE_KILLED = 0.9


@dataclass(frozen=True)
class Plan:
    """What is mutated.

    Attributes:
        root: Of the tree.
        tests: Module → files of its tests, or tests in them as pytest names them, the fastest first.
        accepted: (module, line, change) → why it is harmless that no test tells it.
    """

    root: Path
    tests: Mapping[str, Sequence[str]]
    accepted: Mapping[tuple[str, str, str], str]

    @classmethod
    def read(cls, path: Path, root: Path) -> "Plan":
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        reasons = {
            (entry["module"], entry["line"], entry["change"]): entry["reason"] for entry in content.get("accepted", [])
        }
        return cls(root, content["tests"], reasons)

    def sample(self, total: int, seed: int, at_least: int = 20) -> list[Mutation]:
        """At least so many of each module, and the rest by how much there is to change in it.

        A module's first changes are the same however many are drawn of it: what was found of them is used again.
        """
        every = {module: mutations(module, (self.root / module).read_text(encoding="utf-8")) for module in self.tests}
        floor = {module: min(len(found), at_least) for module, found in every.items()}
        left = max(0, total - sum(floor.values()))
        over = sum(len(found) - floor[module] for module, found in every.items())
        drawn = []
        for module, found in every.items():
            count = floor[module] + round(left * (len(found) - floor[module]) / max(1, over))
            random.Random(f"{seed} {module}").shuffle(found)  # noqa: S311
            drawn += found[:count]
        return drawn

    def stale(self) -> list[tuple[str, str, str]]:
        """Reasons for a change that cannot be made any more."""
        possible = {
            (module, mutation.line, mutation.change)
            for module in {module for module, _, _ in self.accepted}
            for mutation in mutations(module, (self.root / module).read_text(encoding="utf-8"))
        }
        return sorted(set(self.accepted) - possible)


class Copy:
    """A copy of the tree in which one module at a time is changed."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder, self.said = folder, ""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=root, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)

    def imports_itself(self, package: str) -> bool:
        """Whether a process and one that it starts import the package from this copy."""
        told = f"import sys, subprocess, {package} as p; print(p.__file__, flush=True); "
        child = "subprocess.run([sys.executable, '-P', '-c', sys.argv[1]], check=True)"
        done = subprocess.run(
            [sys.executable, "-P", "-c", told + child, told], cwd=self.folder, env=self._environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        return len(lines) == 2 and all(Path(line).is_relative_to(self.folder) for line in lines)

    def test(self, mutation: Mutation | None, tests: Sequence[str], timeout_s: float) -> str:
        """How the tests end with this change: passed, failed, or timeout."""
        if mutation is None:
            return self._run(tests, timeout_s)
        path = self.folder / mutation.module
        whole = path.read_text(encoding="utf-8")
        try:
            self._write(path, mutation.applied(whole))
            return self._run(tests, timeout_s)
        finally:
            self._write(path, whole)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*"):  # it could look as old as the other text
            cached.unlink()

    def _environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1", "TMPDIR": str(self.folder.parent)}
        return {**os.environ, **own}

    def _run(self, tests: Sequence[str], timeout_s: float) -> str:
        temporary = self.folder.with_name(f"{self.folder.name}-tests")
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *PYTEST, "--basetemp", str(temporary), *tests],
            cwd=self.folder, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "timeout"
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self.said = output.decode(errors="replace")
        if process.returncode == 5:
            raise SystemExit(f"no tests: {' '.join(tests)}\n{self.said}")
        return "failed" if process.returncode else "passed"


class Findings:
    """What was found, in a file that the next call reads."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._path, self._plan = path, plan
        self._keys: dict[Mutation, str] = {}  # made once: files may change while tests run on their copies
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._known = {entry["key"]: entry for entry in map(json.loads, lines)}

    def key(self, mutation: Mutation) -> str:
        if mutation not in self._keys:
            self._keys[mutation] = self._hashed(mutation)
        return self._keys[mutation]

    def _hashed(self, mutation: Mutation) -> str:
        files = [name.partition("::")[0] for name in self._plan.tests[mutation.module]]
        texts = [(self._plan.root / name).read_text(encoding="utf-8") for name in files]
        whole = (self._plan.root / mutation.module).read_text(encoding="utf-8")
        return hashlib.sha256("\0".join([mutation.applied(whole), *texts]).encode()).hexdigest()

    def get(self, mutation: Mutation) -> dict[str, object] | None:
        return self._known.get(self.key(mutation))

    def add(self, mutation: Mutation, outcome: str, seconds: float) -> None:
        entry = {"key": self.key(mutation), "module": mutation.module, "row": mutation.row, "line": mutation.line}
        entry |= {"change": mutation.change, "outcome": outcome, "seconds": round(seconds, 1)}
        self._known[entry["key"]] = entry
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def try_all(plan: Plan, drawn: Sequence[Mutation], findings: Findings, jobs: int, package: str = "seedband") -> None:
    """Run the tests on every change that was not tried yet."""
    waiting = [mutation for mutation in drawn if findings.get(mutation) is None]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(min(jobs, len(waiting))):
            copies.put(Copy(plan.root, Path(folder).resolve() / str(number)))
        if waiting and not copies.queue[0].imports_itself(package):
            raise SystemExit(f"{package} is not imported from the copy: nothing could be told")

        def tried(module: str, mutation: Mutation | None, timeout_s: float) -> tuple[str, float]:
            copy, before = copies.get(), time.monotonic()
            try:
                outcome = copy.test(mutation, plan.tests[module], timeout_s)
                if mutation is None and outcome != "passed":
                    raise SystemExit(f"the tests of {module} fail without any change:\n{copy.said}")
                return outcome, time.monotonic() - before
            finally:
                copies.put(copy)

        def whole(module: str) -> float:
            _, seconds = tried(module, None, 3600)
            print(f"{module}: {seconds:.0f} s for its tests", flush=True)
            return seconds

        def one(mutation: Mutation) -> None:
            outcome, seconds = tried(mutation.module, mutation, max(AT_LEAST_S, SLOWER * times[mutation.module]))
            findings.add(mutation, outcome, seconds)
            told = "SURVIVED" if outcome == "passed" else "killed" if outcome == "failed" else outcome
            print(f"{told} in {seconds:.0f} s  {mutation}", flush=True)

        with ThreadPoolExecutor(max(1, jobs)) as pool:
            modules = list(dict.fromkeys(mutation.module for mutation in waiting))
            times = dict(zip(modules, pool.map(whole, modules), strict=True))
            list(pool.map(one, waiting))


def report(plan: Plan, drawn: Iterable[Mutation], findings: Findings) -> tuple[str, bool]:
    """The table, the interval and the survivors; and whether all is well."""
    from scipy.stats import binomtest

    found = [(mutation, str((findings.get(mutation) or {})["outcome"])) for mutation in drawn]
    tried, killed = Counter(m.module for m, _ in found), Counter(m.module for m, end in found if end != "passed")
    lines = [f"{killed[module]:4} of {count:4} killed  {module}" for module, count in tried.items()]
    n, k, hung = len(found), sum(killed.values()), sum(end == "timeout" for _, end in found)
    interval = binomtest(k, n).proportion_ci(method="exact")
    lines.append(f"{k} of {n} killed: {k / n:.1%}, 95 % interval {interval.low:.1%} to {interval.high:.1%} "
                 f"(Clopper–Pearson); {hung} of them by running on for too long")  # fmt: skip
    left = [mutation for mutation, end in found if end == "passed"]
    told = {mutation: plan.accepted.get((mutation.module, mutation.line, mutation.change)) for mutation in left}
    lines += [f"survived: {mutation}\n    {reason or 'NO REASON GIVEN'}" for mutation, reason in told.items()]
    stale = plan.stale()
    lines += [f"a reason that fits no line any more: {': '.join(entry)}" for entry in stale]
    return "\n".join(lines), all(told.values()) and not stale and k >= SHARE_KILLED * n


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="of the tree")
    parser.add_argument("--plan", type=Path, default=Path("benchmarks/mutants.toml"), help="below the root")
    parser.add_argument("--package", default="seedband")
    parser.add_argument(
        "--only", default="*", help="modules of this pattern; the changes that a call for all tries in them"
    )
    parser.add_argument("--total", type=int, default=420, help="changes that are tried; at least 20 a module")
    parser.add_argument("--at-least", type=int, default=20, help="of each module")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--jobs", type=int, default=1, help="copies of the tree that are tested at the same time")
    parser.add_argument("--list", action="store_true", help="say what would be tried")
    given = parser.parse_args(arguments)
    plan = Plan.read(given.root / given.plan, given.root)
    whole = plan.sample(given.total, given.seed, given.at_least)
    drawn = [mutation for mutation in whole if fnmatch.fnmatch(mutation.module, given.only)]
    if not drawn:
        parser.error(f"--only: found {given.only}, expected a pattern of one of {', '.join(plan.tests)}")
    if given.list:
        print(*drawn, sep="\n")
        return 0
    findings = Findings(given.root / "runs" / "mutants.jsonl", plan)
    try_all(plan, drawn, findings, given.jobs, given.package)
    text, well = report(plan, drawn, findings)
    print(text)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
