"""Method `head`: the backbone is frozen and never drops out; only the classification head is trained."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seedband.errors import Problem, UsageError
from seedband.models.pooling import after_pooling, resolve_pooling
from seedband.recipe.scoring import Base
from seedband.recipe.sections import Recipe
from seedband.tasks import Task
from seedband.trainers import Method, Report, SeedRun, TrainContext, TrainedRun

#: Peak learning rate on a frozen backbone.
RATE = 1e-2
#: Time of a head beside others, trained and scored, in seconds.
SECONDS = 0.3


class Head(Method):
    """A head of classes over a frozen base."""

    name = "head"
    max_group = 128

    def suits(self, task: Task) -> bool:
        """A task of classes."""
        return task.outputs == "classes"

    def problems(self, recipe: Recipe) -> list[Problem]:
        """Savings on a backward pass that there is none of."""
        if not recipe.train.gradient_checkpointing:
            return []
        expected = "false: of a frozen backbone nothing is kept for a backward pass"
        return [Problem("train.gradient_checkpointing", f'true with method "{self.name}"', expected)]

    def base_problems(self, recipe: Recipe, base: Base, task: Task) -> list[Problem]:  # noqa: ARG002
        """A pooling that the base does not tell."""
        try:
            resolve_pooling(recipe.head.pooling, Path(base.path))
        except UsageError as error:
            return [Problem("head.pooling", error.message, error.hint)]
        return []

    def takes_any_body(self, recipe: Recipe, base: Base) -> bool:
        """A pooled body needs no classifier of its own; a pooling that is not known is a mistake of its own."""
        try:
            return resolve_pooling(recipe.head.pooling, Path(base.path)) != "model"
        except UsageError:
            return True

    def warnings(self, recipe: Recipe, base: Base) -> Iterator[str]:
        """Warnings about parts of an embedding model that a head is not given."""
        left = after_pooling(Path(base.path))
        if left and recipe.head.pooling == "auto":
            parts = ", ".join(left)
            yield f"head.pooling: after its pooling this embedding model has {parts}: the head reads what comes before"

    def suggested(self, n_parameters: int) -> dict[str, dict[str, object]]:  # noqa: ARG002
        """A high learning rate, for only the head is trained."""
        return {"train": {"learning_rate": RATE}, self.name: {"pooling": "auto"}}

    def seconds(self, forward: float, rows_seen: int, rows_once: tuple[int, int]) -> tuple[float, float]:  # noqa: ARG002
        """Features are computed once for all."""
        return SECONDS, sum(rows_once) * forward

    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        """Train the heads of a group of seeds over one frozen backbone."""
        from seedband.trainers.loop import heads

        return heads.train(context, runs, report)
