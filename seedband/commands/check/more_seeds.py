"""Further seeds of a candidate's own recipe: what `check --more-seeds` and `--pairs` train."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedband.commands.check.candidates import Found, resolve
from seedband.commands.sweep.carry_out import carry_out
from seedband.commands.sweep.plan import make_plan
from seedband.commands.sweep.prepare import Prepared, prepare
from seedband.errors import Refused, UsageError
from seedband.jobs.executors import Executor, OnEvent
from seedband.recipe import identity
from seedband.recipe.locations import recorded_recipe
from seedband.recipe.parse import load_recipe
from seedband.runs import layout
from seedband.storage import json_files, locks


@dataclass(frozen=True)
class Trainer:
    """Trains further seeds of the candidates' own recipe.

    Attributes:
        prepared: The recipe, found sound.
        folder: Where its runs go.
        executor: Where jobs go.
        on_event: Called with everything that happens.
    """

    prepared: Prepared
    folder: Path
    executor: Executor
    on_event: OnEvent = lambda _: None

    def train(self, seeds: Sequence[int]) -> list[Found]:
        """The runs of these seeds, trained where they are not there yet."""
        with locks.locked(self.folder):
            plan = make_plan(self.prepared, seeds, self.folder)
            # On record only when they are finished: a sweep that waits for a seed is no candidate.
            carry_out(plan, self.executor, on_event=self.on_event, announce=False)
        return [entry for seed in seeds for entry in resolve(layout.seed_folder(self.folder, seed))]


def trainer_of(
    found: Sequence[Found],
    recipe: str | Path | None,
    out: str | Path | None,
    executor: Executor,
    *,
    offline: bool,
    on_event: OnEvent,
) -> Trainer:
    """A trainer of further seeds, by the recipe that the candidates have on record or the one named.

    Raises:
        UsageError: Neither is there, or the recipe has mistakes.
        Refused: The recipe named is another, or what the candidates were trained on has changed.
    """
    run = next((entry.run for entry in found if entry.run is not None), None)
    if recipe is not None:
        loaded = load_recipe(Path(recipe))
    elif run is not None:
        loaded = recorded_recipe(run.recorded, run.folder)
    else:
        raise UsageError(
            "the candidate has no run record, so its recipe is unknown", hint="name it with --recipe candidate.toml"
        )
    prepared = prepare(loaded, offline=offline)
    changed = [] if run is None else identity.changed_keys(run.recorded, prepared.recorded)
    if changed:
        raise Refused(
            f"the candidate was trained by another recipe than the one at hand: {', '.join(changed)} changed",
            hint="restore what changed, or name the candidate's own recipe with --recipe",
        )
    return Trainer(prepared, _folder(found, prepared, out), executor, on_event)


def _folder(found: Sequence[Found], prepared: Prepared, out: str | Path | None) -> Path:
    """The folder of further seeds: the sweep that the candidates come from, else one that the recipe names."""
    if out is not None:
        return Path(out)
    for entry in found:
        parent = Path(entry.files.path).parent
        if entry.run is not None and (parent / layout.SWEEP).is_file():
            return parent
    digest = json_files.digest(identity.identity(prepared.recorded))[:8]
    return Path("runs") / f"{prepared.recipe.data.name}-{prepared.recipe.train.method}-{digest}"
