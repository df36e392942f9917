"""An environment, as records hold it. Light: whoever compares records needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentRecord:
    """Everything about a process that numbers can depend on.

    Attributes:
        versions: Of Python and of packages.
        device: "cpu" or "cuda".
        hardware: Processor, instruction set, GPU.
        fingerprint: SHA-256 over a battery of results: equal ones mean one class of numerics.
    """

    versions: Mapping[str, str]
    device: str
    hardware: Mapping[str, object]
    fingerprint: str
