"""The forward pass of training: the one place where levers are put on a model, each only where it says the same.

Layers that nothing trains are replayed, tokens that nobody reads are left out, padding is not computed.
"""

from collections.abc import Sequence

import torch
from torch import nn

from seedband.feature_cache import rows_key
from seedband.first_token import keep_first_token
from seedband.packing import Layout, pack_rows
from seedband.prefix import freeze_prefix
from seedband.tasks import Lesson
from seedband.trainers import TrainContext


class Forward:
    """The loss of some rows under a model of transformers.

    Args:
        model: In the mode in which it is trained, with its new tensors drawn.
        lesson: The rows that it is trained on.
        context: What they are trained with.
        drop_out: Whether layers that nothing trains drop out.

    Attributes:
        layout: Where the tokens of the batch at hand lie.
    """

    def __init__(self, model: nn.Module, lesson: Lesson, context: TrainContext, *, drop_out: bool) -> None:
        self._model, self._lesson, self._device = model, lesson, torch.device(context.device)
        self.layout, section = Layout(), context.recipe.train
        if section.precision == "fp32":  # in half precision what is kept would not be what is computed
            key = rows_key(context.scoring, context.items.contents)
            cache = context.features
            self._lesson = freeze_prefix(model, lesson, self._device, cache, key, drop_out=drop_out) or lesson
        keep_first_token(model, self._lesson, self._device, self.layout)
        # A GPU waits for calls, not for tokens; what is computed again in a backward pass knows no layout.
        if context.device == "cpu" and not section.gradient_checkpointing:
            pack_rows(model, self._lesson, self._device, self.layout)

    def loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Sum of the losses of some rows, given their indices."""
        return self._lesson.loss(self._model(**self._lesson.batch(rows, self._device)).logits, rows)
