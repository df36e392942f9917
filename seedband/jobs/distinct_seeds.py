"""Distinct seeds: no two seeds of a sweep may share a draw that should vary, or one of them is no evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seedband.determinism.witnesses import equal_witnesses
from seedband.errors import Refused
from seedband.models.initializers import LORA
from seedband.recipe.sections import Recipe
from seedband.runs.run import Run

#: Stream → the witnesses that must differ between two seeds under which it varies.
WITNESSES_OF: Mapping[str, tuple[str, ...]] = {
    "init": ("init_adapter", "init_head"),
    "order": ("order",),
    "dropout": ("dropout",),
}


#: What a user calls each of them.
CALLED: Mapping[str, str] = {
    "init_adapter": "initial adapter",
    "init_head": "initial head",
    "order": "order of items",
    "dropout": "dropout masks",
}


#: What no two seeds of a script of the user's own may share, and what it is called.
OF_SCRIPTS: Mapping[str, str] = {
    "final": "identical weights",
    "losses": "identical loss traces",
    "predictions": "identical predictions on all items",
}


def check_distinct(runs: Sequence[Run], recipe: Recipe, vary: Sequence[str]) -> None:
    """Refuse runs among which two share a draw that should vary."""
    guard = StepZeroGuard(recipe, vary, {})
    for run in runs:
        if recipe.train.command is None or run.status == "finished":
            guard.admit(run.seed, run.witnesses)


@dataclass
class StepZeroGuard:
    """Knows the draws of every seed so far, and admits no seed that repeats one."""

    recipe: Recipe
    vary: Sequence[str]
    seen: dict[int, Mapping[str, str | None]] = field(default_factory=dict)

    def admit(self, seed: int, witnesses: Mapping[str, str | None]) -> None:
        """Remember what a seed drew.

        Raises:
            Refused: Nothing of what the recipe varies, or the same as another seed.
        """
        if self.recipe.train.command is not None:
            self._admit_of_script(seed, witnesses)
            return
        names = [name for stream in self.vary for name in WITNESSES_OF[stream]]
        if all(witnesses.get(name) is None for name in names):
            raise Refused(
                f"seeds do nothing: the recipe varies {', '.join(self.vary)}, and seed {seed} drew none of it",
                hint="name streams in seeds.vary that this recipe uses",
            )
        for other, known in self.seen.items():
            for name in equal_witnesses(known, witnesses, names if other != seed else ()):
                raise Refused(
                    f"seed {seed} has the same {CALLED[name]} as seed {other}, though it should vary",
                    hint=self._cause(name),
                )
        self.seen[seed] = dict(witnesses)

    def _admit_of_script(self, seed: int, witnesses: Mapping[str, str | None]) -> None:
        for other, known in self.seen.items():
            for name in equal_witnesses(known, witnesses, OF_SCRIPTS if other != seed else ()):
                raise Refused(
                    f"seeds {other} and {seed} gave {OF_SCRIPTS[name]}: your script seems to ignore --seed",
                    hint="give the seed to everything that draws: initial weights, order of items, dropout",
                )
        self.seen[seed] = dict(witnesses)

    def _cause(self, name: str) -> str:
        lora = self.recipe.init.lora
        if name == "init_adapter" and LORA[lora].changes_base:
            return (
                f'init.lora = "{lora}" computes the adapter from the base weights, the same for every seed: take '
                f'another initializer, or leave "init" out of seeds.vary'
            )
        return "every seed must change what seeds.vary names: is a trainer of yours ignoring its streams?"
