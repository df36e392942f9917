"""trace.jsonl: loss, learning rate and gradient norm of every step."""

import json
import math
import os
from pathlib import Path
from typing import TextIO

from seedband.runs.layout import trace_path
from seedband.trainers.loop.steps import Step


class Trace:
    """The trace of one run, open after the steps that were done: a second kill would lose them, were they rewritten.

    Args:
        folder: Of the run.
        kept: Bytes of what a run that was killed had written, up to where it goes on from.
    """

    def __init__(self, folder: Path, kept: int = 0) -> None:
        self._file: TextIO = trace_path(folder).open("r+" if kept else "w", encoding="utf-8")
        self._file.seek(kept)
        self._file.truncate()

    def write(self, step: Step, loss: float, rate: float, norm: float) -> None:
        """Add a step; a number that is not finite is written as text, for JSON has no word for it."""
        values = {"loss": loss, "learning_rate": rate, "gradient_norm": norm}
        finite = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step.number, "epoch": step.epoch, **finite}) + "\n")

    def flushed(self) -> int:
        """Its length, once all of it is on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Nothing follows."""
        self._file.close()
