"""AdamW and its learning rates."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import get_scheduler

from seedband.recipe.sections import TrainSection

#: `[train] schedule` → what transformers calls it, each with a warm-up.
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def adamw(
    decayed: Sequence[torch.Tensor], others: Sequence[torch.Tensor], section: TrainSection, *, fused: bool = False
) -> torch.optim.AdamW:
    """AdamW; biases and norms are not decayed."""
    groups = [{"params": decayed, "weight_decay": section.weight_decay}, {"params": others, "weight_decay": 0.0}]
    given = [group for group in groups if group["params"]]
    return torch.optim.AdamW(given, lr=section.learning_rate, fused=fused or None)


def schedule_of(optimizer: torch.optim.Optimizer, section: TrainSection, total: int, done: int = 0) -> Any:
    """The learning rates, from the step that comes next."""
    schedule = get_scheduler(SCHEDULES[section.schedule], optimizer, math.ceil(total * section.warmup_ratio), total)
    if done:
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": done, "_step_count": done + 1})
        rates = [base * rate(done) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
        schedule._last_lr = rates  # noqa: SLF001  what get_last_lr reads, and no method sets
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
    return schedule
