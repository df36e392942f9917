"""What was measured so far, in a file that grows line by line: a run that is cut off goes on, or is printed."""

import json
import os
import platform
import shutil
import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measurements import Measured
from processes import ROOT

PACKAGES = ("torch", "transformers", "peft", "numpy", "typer")


class Results:
    """A file of JSON lines: first the facts of machine and code, then a line for each measurement.

    Attributes:
        facts: What has to be equal for measurements to stand in one table.
        commands: By which it was made: one that was cut off, and those that went on.
        values: Measurement → repeat → value.
        accuracies: Measurement → repeat → mean accuracy of what was trained.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}
        self.commands: list[str] = []
        self.values: dict[str, dict[int, float]] = defaultdict(dict)
        self.accuracies: dict[str, dict[int, float]] = defaultdict(dict)
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for line in map(json.loads, lines):
            self._take(line)

    def begin(self, facts: dict[str, Any], command: str) -> None:
        """Start, or go on.

        Raises:
            SystemExit: The file is of another machine, other code or other work.
        """
        known = self.facts or facts
        differing = [name for name, fact in facts.items() if known.get(name) != fact]
        if differing:
            name = differing[0]
            told = f"{name} was {known.get(name)}, it is {facts[name]}"
            raise SystemExit(f"{self.path}: of another run: {told}; give another --keep")
        self._append({"facts": facts, "command": command})

    def add(self, name: str, repeat: int, measured: Measured) -> None:
        """Put one measurement on record."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._append({"name": name, "repeat": repeat, **measured._asdict(), "at": now})

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        if "facts" in line:
            self.facts = line["facts"]
            self.commands = list(dict.fromkeys([*self.commands, line["command"]]))
            return
        self.values[line["name"]][line["repeat"]] = line["value"]
        if line["accuracy"] is not None:
            self.accuracies[line["name"]][line["repeat"]] = line["accuracy"]


def facts() -> dict[str, Any]:
    """Machine, versions, and which code was measured."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": f"{os.cpu_count()} cores of {_processor()}, {memory / 2**30:.0f} GiB",
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "packages": {name: version(name) for name in PACKAGES},
        "commit": subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return "none"
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "none"
