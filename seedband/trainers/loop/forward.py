"""The forward pass of training: the one place where levers are put on a network, each only where it says the same.

Layers that nothing trains are replayed; on a CPU tokens that nobody reads are left out, and padding is not computed.
"""

from collections.abc import Sequence

import torch
from torch import nn

from seedband.models.encoded import Lesson
from seedband.models.loading import Network
from seedband.models.padding import drawn_alike, equal_parts, settle
from seedband.models.speedups.first_token import keep_first_token
from seedband.models.speedups.frozen_layers import freeze_prefix, still_prefix
from seedband.models.speedups.packing import Layout, pack_rows
from seedband.tasks.cache_key import rows_key
from seedband.trainers import Report, TrainContext


class Forward:
    """The loss of some rows under a network.

    Args:
        network: In the mode in which it is trained.
        heads: Its new tensors beside adapters.
        lesson: The rows that it is trained on.
        context: What they are trained with.
        report: Told of a lever that would take too much memory.
        drop_out: Whether layers below the first that is trained drop out.
        reads: "model", or the pooling of a backbone.

    Raises:
        UsageError: They shall not, and cannot be told.

    Attributes:
        layout: Where the tokens of the batch at hand lie.
    """

    def __init__(
        self,
        network: Network,
        heads: Sequence[nn.Parameter],
        lesson: Lesson,
        context: TrainContext,
        report: Report,
        *,
        drop_out: bool,
        reads: str = "model",
    ) -> None:
        self._network, self._lesson, self._device = network, lesson, torch.device(context.device)
        self.layout, section = Layout(), context.recipe.train
        with drawn_alike(heads):
            settle(network, lesson, self._device, context.ways, reads, report)
            if not drop_out:
                still_prefix(network, lesson, self._device)
            if section.precision == "fp32":  # in half precision what is kept would not be what is computed
                key, kept = rows_key(context.scoring, context.items), context.features
                known = freeze_prefix(network, lesson, self._device, kept, key, report)
                self._lesson = known or lesson
            if context.device != "cpu":
                return  # a GPU waits for calls, not for tokens, and draws another mask where it is shorter
            if lesson.equal_lengths:
                return  # the levers are tried on rows of several lengths
            keep_first_token(network, self._lesson, self._device, self.layout)
            if not section.gradient_checkpointing:  # what is computed again in a backward pass knows no layout
                pack_rows(network, self._lesson, self._device, self.layout)

    def loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Sum of the losses of some rows, given their indices."""
        return self._lesson.loss(self._network.forward(self._lesson.batch(rows, self._device)), rows)

    def parts(self, rows: Sequence[int]) -> list[list[int]]:
        """Rows of a batch that are computed together: all of them, or those of each length."""
        return equal_parts(self._lesson, rows)
