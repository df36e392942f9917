"""Options of a check. Light: the command line knows its options before it loads what they need."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Options that are about checkpoints: a sweep whose command reported its scores has none.
OF_CHECKPOINTS = ("data", "labels", "base", "recipe", "more_seeds", "out", "ledger_path")


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of a check; see `check` for each of them."""

    rule: str | None = None
    alpha: float | None = None
    tolerance: float | None = None
    looks: int = 0
    final: bool = False
    data: str | Path | None = None
    labels: Sequence[str] | None = None
    base: str | None = None
    recipe: str | Path | None = None
    more_seeds: int = 0
    n_pairs: int = 0
    out: str | Path | None = None
    ledger_path: str | Path | None = None
    jobs: int = 1
    strict: bool = False
    offline: bool = False

    @property
    def trains(self) -> bool:
        """Check whether the candidates' own recipe is asked for: to train by it, or to know whose looks these are."""
        return bool(self.recipe or self.more_seeds or self.n_pairs or self.ledger_path)
