"""What makes a sweep fast, lever by lever: how each is switched off, and the sweep that is then measured again.

A new lever is a new entry; its patches replace what it does by what was done before.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from work import Sections

WITHOUT = Path(__file__).parent / "without"
#: Module → attribute → the source that replaces it, run in the module's namespace.
Patches = Mapping[str, Mapping[str, str]]

HEADS_ALONE = 'BUILT_IN = {**BUILT_IN, "head": Method("seedband.trainers.head", 1)}'

FEATURES_EVERY_STEP = """
def _pooled_head(network, lesson, context, pooling):
    modules = network.module
    modules["dropout"].train()

    def logits(rows):
        batch = lesson.batch(rows, torch.device(context.device))
        with torch.no_grad():
            states = modules["backbone"](**batch).last_hidden_state
            features = pool(states, batch.get("attention_mask"), pooling)
        return modules["classifier"](modules["dropout"](features))

    return logits
"""

BERNOULLI_MASKS = """
def _draw_kept(values, p, seeds, generator):
    kept = torch.empty((len(seeds), values.numel() // len(seeds)), device=values.device)
    for row, seed in zip(kept, seeds, strict=True):
        row.bernoulli_(1 - p, generator=generator.manual_seed(seed))
    return kept.bool().reshape(values.shape)
"""


@dataclass(frozen=True)
class Lever:
    """One lever.

    Attributes:
        what: What it does.
        of: The sweep that is measured with it and without it, a name of `table.MEASUREMENTS`.
        recipe: Keys of the recipe that switch it off.
        jobs: Jobs at a time without it, where that differs.
        environment: Variables that switch it off.
        patches: What replaces its code.
    """

    what: str
    of: str
    recipe: Sections = field(default_factory=dict)
    jobs: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    patches: Patches = field(default_factory=dict)

    @property
    def switched_off(self) -> dict[str, str]:
        """The environment of every process of a sweep without it."""
        if not self.patches:
            return dict(self.environment)
        return {**self.environment, "SEEDBAND_WITHOUT": json.dumps(self.patches)}


LEVERS: Mapping[str, Lever] = {
    "heads-in-one-job": Lever(
        "a job trains up to 64 heads", "head-mean-4", patches={"seedband.trainers": {"BUILT_IN": HEADS_ALONE}}
    ),
    "features-once": Lever(
        "pooled features are computed once",
        "head-mean-4",
        patches={"seedband.trainers.head": {"_pooled_head": FEATURES_EVERY_STEP}},
    ),
    "jobs-of-one-thread": Lever(
        "two jobs of one thread, not one job of two",
        "lora-4-jobs-2",
        recipe={"determinism": {"threads": 2}},
        jobs=1,
    ),
    "masks-from-words": Lever(
        "dropout masks are read from random 64-bit words",
        "lora-4-jobs-2",
        patches={"seedband.trainers.dropout": {"_draw_kept": BERNOULLI_MASKS}},
    ),
}
