"""The section of a recipe that says what its jobs are pinned to."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le


@dataclass(frozen=True, kw_only=True)
class DeterminismSection:
    """`[determinism]`: what every run and every scoring is pinned to."""

    threads: Annotated[int, Ge(1), Le(1024)] = 1
    """CPU threads of a job, whatever the shell says: another number gives other numerics."""
    portable: bool = False
    """Take the instructions that every x86 machine of the last decade has (AVX2): for CI with mixed runners."""
