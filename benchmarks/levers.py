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

ONE_BY_ONE = "Head.max_group = 1"
NO_LINEAR_HEAD = "linear_head = lambda *_: None"
NO_KNOWN_END = "Scorer._end = lambda *_: None"
NO_STACK = "MAX_STACK = 1"
RUN_EACH_TIME = "freeze_prefix = lambda *_: None"
PADDED_ROWS = "pack_rows = lambda *_: False"
ALL_TOKENS = 'keep_first_token = lambda *_: ""'
SCORED_WHOLE = "Scorer._above_the_base = lambda *_: None"
NO_FORK = "may_fork = lambda job: False"
#: The launcher imports the worker before it tells the garbage collector to rest.
TIDY = """
import gc
gc.disable, _main = lambda: None, main
main = lambda arguments: sys.exit(_main(arguments))
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
    "features-once": Lever(
        "features of a frozen backbone are computed once, in training and in scoring",
        "head-mean-4",
        patches={
            "seedband.trainers.loop.heads": {"linear_head": NO_LINEAR_HEAD},
            "seedband.trainers.loop.forward": {"freeze_prefix": RUN_EACH_TIME},
            "seedband.jobs.score": {"Scorer": NO_KNOWN_END},
        },
    ),
    "features-for-scoring": Lever(
        "the same, in scoring alone", "head-32", patches={"seedband.jobs.score": {"Scorer": NO_KNOWN_END}}
    ),
    "heads-stacked": Lever(
        "up to 16 heads are one batched product",
        "head-256",
        patches={"seedband.trainers.loop.stacked_heads": {"MAX_STACK": NO_STACK}},
    ),
    "heads-in-one-job": Lever(
        "a job trains up to 128 heads", "head-32", patches={"seedband.trainers.head": {"Head": ONE_BY_ONE}}
    ),
    "imports-once": Lever(
        "jobs are forked from a process that has imported all",
        "last-two-4-jobs-2",
        patches={"seedband.jobs.executors.local": {"may_fork": NO_FORK}},
    ),
    "untidied": Lever(
        "imports without garbage collection, forks that end without taking their modules apart",
        "head-4",
        patches={"seedband.jobs.worker": {"main": TIDY}},
    ),
    "rows-packed": Lever(
        "rows of a batch are packed without padding",
        "lora-4-jobs-2",
        patches={"seedband.trainers.loop.forward": {"pack_rows": PADDED_ROWS}},
    ),
    "first-token": Lever(
        "the last layer goes on with the one token that the head reads",
        "last-two-4-jobs-2",
        patches={"seedband.trainers.loop.forward": {"keep_first_token": ALL_TOKENS}},
    ),
    "frozen-prefix": Lever(
        "frozen layers that do not drop out are replayed, in training and in scoring",
        "last-two-4-jobs-2",
        patches={
            "seedband.trainers.loop.forward": {"freeze_prefix": RUN_EACH_TIME},
            "seedband.jobs.score": {"Scorer": SCORED_WHOLE},
        },
    ),
    "prefix-for-scoring": Lever(
        "the same, in scoring alone", "last-two-4-jobs-2", patches={"seedband.jobs.score": {"Scorer": SCORED_WHOLE}}
    ),
    "jobs-of-one-thread": Lever(
        "two jobs of one thread, not one job of two",
        "lora-4-jobs-2",
        recipe={"determinism": {"threads": 2}},
        jobs=1,
    ),
}
