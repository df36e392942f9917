"""The package as it is installed: what it imports, and what Python knows of it."""

import subprocess
import sys
import tomllib

from tiny import ROOT


def loaded_by(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def declare(folder):
    """Tell Python of the plugin as an installed seedband does: by the entry point that pyproject.toml declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    facts = folder / "seedband-9.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: seedband\nVersion: 9\n")
    lines = [f"{name} = {module}" for name, module in declared.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]))
