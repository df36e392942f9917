"""Hyper-parameters to begin with: steps by the number of rows, the learning rate by the size of what is trained."""

import math

from seedband import tasks, trainers
from seedband.commands.init.write_toml import SectionValues
from seedband.errors import UsageError
from seedband.recipe import train_command
from seedband.storage.registry import DEFAULT_METHOD, METHODS

#: Optimizer steps that a run shall have at least, and the passes that this may cost.
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 300, 2, 20
BATCH = 8


def sections_of(
    method: str | None, command: str | None, *, task: str, n_train: int, n_parameters: int
) -> dict[str, SectionValues]:
    """The sections of a recipe about its method, to be seen and changed.

    Args:
        method: Asked for; LoRA unless said.
        command: What trains a seed. It knows its own hyper-parameters; a recipe with one must not say them.
        task: What is learnt.
        n_train: Training rows.
        n_parameters: Of the base.

    Raises:
        UsageError: The method cannot train this task.
    """
    if command is not None:
        return {"train": {"method": train_command.METHOD, "command": command}}
    fitting = [name for name in METHODS.built_in if trainers.find(name).suits(tasks.find(task))]
    if method is not None and method not in fitting:
        raise UsageError(f"--method {method}: cannot train {task}", hint=f"one of {', '.join(fitting)}")
    wanted = trainers.find(method or DEFAULT_METHOD)
    epochs = math.ceil(STEPS * BATCH / n_train)
    shared = {"method": wanted.name, "epochs": min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs)), "batch_size": BATCH}
    own = wanted.suggested(n_parameters)
    return {**own, "train": {**shared, **own["train"]}}
