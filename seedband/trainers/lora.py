"""Method `lora`: a PEFT adapter, and with it every tensor that the base lacks."""

import math
from collections.abc import Iterator, Sequence

from seedband.errors import Problem
from seedband.models.lora_targets import convolution_problems, target_problems
from seedband.recipe.scoring import Base
from seedband.recipe.sections import Recipe
from seedband.tasks import Task
from seedband.trainers import Method, Report, SeedRun, TrainContext, TrainedRun

#: Most parameters → peak learning rate that it trains well with.
RATES = ((50e6, 3e-3), (150e6, 1e-3), (1e9, 5e-4), (math.inf, 2e-4))


class Lora(Method):
    """Adapters on some layers of a frozen base."""

    name = "lora"
    adapts = True

    def base_problems(self, recipe: Recipe, base: Base, task: Task) -> list[Problem]:
        """Target modules that the base lacks."""
        return convolution_problems(recipe, base, task) or target_problems(recipe, base, task)

    def suggested(self, n_parameters: int) -> dict[str, dict[str, object]]:
        """All linear layers, and a learning rate by the size of the base."""
        rate = next(rate for most, rate in RATES if n_parameters <= most)
        return {
            "train": {"learning_rate": rate, "warmup_ratio": 0.1},
            self.name: {"r": 8, "alpha": 16, "dropout": 0.1, "target_modules": "all-linear"},
        }

    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        """Train one adapter after the other."""
        from seedband.trainers.loop import adapters

        return adapters.train(context, runs, report)
