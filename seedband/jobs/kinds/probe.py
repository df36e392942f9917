"""Probe: what a pinned process is like."""

from dataclasses import asdict, dataclass

from seedband.determinism import environment
from seedband.determinism.pins import pin, read_back
from seedband.determinism.settings import DeterminismSection
from seedband.events import Emit
from seedband.jobs.process import resolve_device


@dataclass(frozen=True)
class ProbeJob:
    """Say what a job's process is pinned to, and what its numerics are."""

    device: str
    determinism: DeterminismSection
    kind: str = "probe"

    @property
    def name(self) -> str:
        """For people and log files."""
        return "probe"

    @property
    def launched_on(self) -> str:
        """The device of a launcher that may fork it; empty for one that has no use for a launcher."""
        return ""

    def carry_out(self, emit: Emit) -> None:
        """Pin, and say what this process is like: its pins as read back, its environment, its numerics."""
        pin(self.determinism)
        device = resolve_device(self.device)
        emit("probed", None, {"environment": asdict(environment.describe(device)), "pins": read_back()})
