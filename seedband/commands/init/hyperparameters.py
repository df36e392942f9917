"""Hyper-parameters to begin with: steps by the number of rows, the learning rate by the size of what is trained."""

import math
from typing import Any

from seedband import tasks
from seedband.errors import UsageError
from seedband.recipe import train_command

#: Optimizer steps that a run shall have at least, and the passes that this may cost.
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 300, 2, 20
BATCH = 8
#: Peak learning rate of a head on a frozen backbone.
HEAD_RATE = 1e-2
#: Most parameters → peak learning rate that LoRA trains well with.
LORA_RATES = ((50e6, 3e-3), (150e6, 1e-3), (1e9, 5e-4), (math.inf, 2e-4))


def sections_of(
    method: str | None, command: str | None, *, task: str, n_train: int, n_parameters: int
) -> dict[str, Any]:
    """How a recipe trains: its sections of the method, to be seen and changed.

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
    method, known = method or "lora", tasks.find(task).methods
    if method not in known:
        raise UsageError(f"--method {method}: cannot train {task}", hint=f"one of {', '.join(known)}")
    epochs = math.ceil(STEPS * BATCH / n_train)
    train = {"method": method, "epochs": min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs)), "batch_size": BATCH}
    if method == "head":
        return {"train": {**train, "learning_rate": HEAD_RATE}, "head": {"pooling": "auto"}}
    rate = next(rate for most, rate in LORA_RATES if n_parameters <= most)
    return {
        "train": {**train, "learning_rate": rate, "warmup_ratio": 0.1},
        "lora": {"r": 8, "alpha": 16, "dropout": 0.1, "target_modules": "all-linear"},
    }
