"""Scoring: the one way in which a checkpoint from disk becomes scores, for a finished run as for a candidate."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import tasks
from seedband.bands import comparability
from seedband.counts import counted, first_of
from seedband.data.dataset import Items, load_items
from seedband.determinism import witnesses
from seedband.determinism.environment_record import EnvironmentRecord
from seedband.evaluators import build, describe
from seedband.events import Emit
from seedband.jobs.evaluations import evaluate, no_better_than_trivial, told_of
from seedband.jobs.item_table_writer import write_table
from seedband.models import encoded, kinds
from seedband.models.bases import config_sha256
from seedband.models.checkpoints import (
    check_fits,
    checkpoint_settings,
    checkpoint_tensors,
    open_checkpoint,
    own_parameters,
)
from seedband.models.loading import Network
from seedband.models.model_folders import CheckpointFiles
from seedband.models.speedups.feature_cache import FeatureCache
from seedband.recipe.scoring import Scoring
from seedband.runs.layout import ITEMS
from seedband.runs.run import Scored
from seedband.storage import file_hashes, json_files
from seedband.tasks import own_rows
from seedband.tasks.cache_key import rows_key
from seedband.tasks.outputs import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from seedband.models.padding import Ways
    from seedband.models.speedups.frozen_layers import Prefix
    from seedband.models.speedups.head_features import FeatureRows


@dataclass(frozen=True)
class ScoreTarget:
    """One checkpoint to be scored.

    Attributes:
        checkpoint: The files.
        out: Folder for its scores.
        label_order: Label of each of its outputs, where that is not the band's order.
    """

    checkpoint: CheckpointFiles
    out: str
    label_order: tuple[str, ...] | None = None


def checkpoint_sha256(files: CheckpointFiles, tensors: "Iterable[tuple[str, torch.Tensor]]") -> str:
    """SHA-256 of a checkpoint's tensors and of what else decides what it computes: what records know it by."""
    return json_files.digest([witnesses.tensors_sha256(tensors), checkpoint_settings(files)])


class Scorer:
    """Scores checkpoints of one base: the items are read and encoded once, and so is what all of them have in common.

    Args:
        scoring: Everything a score depends on besides the checkpoint.
        device: "cpu" or "cuda".
        facts: This process's environment.
        cache: Where features of a frozen backbone are kept.
        emit: Told of what happens.
        ways: How rows of the base share batches, once that is known.
    """

    def __init__(
        self,
        scoring: Scoring,
        device: str,
        facts: EnvironmentRecord,
        cache: FeatureCache,
        emit: Emit,
        ways: "Ways | None" = None,
    ) -> None:
        self._scoring, self._device, self._facts, self._cache, self._emit = scoring, device, facts, cache, emit
        self._task = tasks.find(scoring.task)
        self._ways: Ways = {} if ways is None else ways
        self._opened: dict[str, Network] = {}
        self._ends: dict[str, tuple[Network, FeatureRows] | None] = {}

    @cached_property
    def _items(self) -> Items:
        return load_items(Path(self._scoring.eval_path), self._scoring.columns)

    @cached_property
    def _lesson(self) -> Any:
        return self._task.encode(self._items, self._scoring)

    @cached_property
    def _read(self) -> comparability.ReadRows:
        """Hashes of rows and base as the model reads them, for signatures."""
        encoded = self._task.encoded_sha256(self._lesson)
        return comparability.ReadRows(encoded, config_sha256(Path(self._scoring.base.path)), self._items.also)

    def score(self, target: ScoreTarget) -> Scored:
        """Predictions of a checkpoint from disk, every evaluator's score, and both by item in items.parquet."""
        scoring, files = self._scoring, target.checkpoint
        check_fits(files, scoring.base, scoring.labels, self._task)
        tensors = list(checkpoint_tensors(files))
        sha256 = checkpoint_sha256(files, tensors)
        broken = sorted(name for name, tensor in tensors if not bool(tensor.isfinite().all()))
        if broken:
            failure = f"weights are not finite: {first_of(broken, 'tensor')}"
            return Scored(checkpoint_sha256=sha256, failure=failure)
        items = self._items
        self._emit("start", None, {"what": f"scoring {files.name} on {counted(len(items), 'item')}"})
        predictions = self._predict(files)
        if told := predictions.truncated.in_words("eval", len(items), scoring.max_length):
            self._emit("warning", None, {"text": told})
        if target.label_order is not None:
            predictions = predictions.reordered(target.label_order, scoring.labels)
        checkpoint = Checkpoint(files, scoring.base, scoring.batch_size, scoring.max_length, self._device, scoring.task)
        evaluators = {
            entry.metric: build(entry.evaluator, entry.args, Path(scoring.folder)) for entry in scoring.evaluators
        }
        evaluations, columns = evaluate(evaluators, items, predictions, checkpoint)
        for evaluation in evaluations:
            for kind, text in told_of(evaluation):
                self._emit(kind, None, {"text": f"{files.name}: {evaluation.metric}: {text}"})
        write_table(Path(target.out) / ITEMS, items, predictions, scoring.labels, columns)
        described = {entry.metric: describe(evaluators[entry.metric], entry.backend) for entry in evaluations}
        return Scored(
            evaluations=tuple(evaluations),
            signature=comparability.of_scoring(
                scoring,
                items.sha256,
                described,
                self._facts,
                predictions.settings,
                self._read,
                self._padding(files),
            ),
            checkpoint_sha256=sha256,
            items_sha256=file_hashes.file_sha256(Path(target.out) / ITEMS),
            truncated=asdict(predictions.truncated),
            failure=no_better_than_trivial(evaluators, scoring.primary, evaluations),
        )

    def _predict(self, files: CheckpointFiles) -> Any:
        """Predictions of a checkpoint; its network is freed with this call, for an evaluator may need the memory."""
        from seedband.models.last_token import take_ids

        scoring = self._scoring
        network = open_checkpoint(files, scoring.base, scoring.labels, self._task, self._opened)
        own_rows.check_ids(files, network, self._items, self._lesson, self._task)
        kind, folder = kinds.find(files.kind), Path(files.path)
        if kind.whole:
            take_ids(network.module, scoring.base.path)
        self._settle(files, network)
        rows = self._lesson
        if not kind.keeps_base:
            rows = own_rows.read_alike(files, scoring, self._items, rows, self._task)
        if kind.keeps_base and (end := self._end(network, kind.reads(folder))):
            network, rows = end
        if not kind.whole and not kind.keeps_base and self._task.outputs == "classes":
            rows = self._above_the_base(files, network) or rows
        return self._task.predict(network, rows, scoring, self._device)

    def _settle(self, files: CheckpointFiles, network: Network) -> None:
        """Pad the items as the base bears it: what a candidate's own weights or config say of padding changes nothing.

        A head is on its base already; a base is opened beside an adapter or a model once in a job, unless it was
        trained in it.
        """
        from seedband.models import padding

        reads, device = _reads(files), self._device
        if not kinds.find(files.kind).keeps_base and padding.is_unknown(self._lesson, self._ways.get(reads)):
            network = self._task.load(self._scoring.base.path, self._scoring.labels)
        network.module.to(device)
        with padding.drawn_alike(padding.new_parameters(network)):
            padding.settle(network, self._lesson, device, self._ways, reads, self._emit)

    def _padding(self, files: CheckpointFiles) -> int:
        """Version of how the items are padded."""
        from seedband.models import padding

        return padding.version(self._lesson, self._ways[_reads(files)])

    def _above_the_base(self, files: CheckpointFiles, network: Network) -> "Prefix | None":
        """The items, with what enters the first layer that an adapter changes; None where it changes the first."""
        import torch

        from seedband.models.speedups.frozen_layers import freeze_prefix

        brought = set(own_parameters(files, network))
        for parameter in network.module.parameters():
            parameter.requires_grad_(parameter in brought)
        device, key = torch.device(self._device), rows_key(self._scoring, self._items)
        network.module.to(device)
        return freeze_prefix(network, self._lesson, device, self._cache, key, self._emit)

    def _end(self, network: Network, pooling: str) -> "tuple[Network, FeatureRows] | None":
        """The end of a network with a linear head, and what it reads; None where it is another kind of head."""
        from seedband.models.speedups import head_features, linear_heads

        if pooling not in self._ends:
            network.module.to(self._device)
            probe = self._lesson.batch(encoded.probe_rows(self._lesson), self._device)
            head, found = linear_heads.linear_head(network, probe, network.module.eval), None
            if head is not None:
                key = [*rows_key(self._scoring, self._items), pooling]
                size = self._scoring.batch_size
                given = self._lesson, size, self._device, self._cache, key, self._emit
                known = head_features.compute_features(head, *given)
                found = head_features.on_features(network, head), head_features.FeatureRows(self._lesson, known)
            self._ends[pooling] = found
        return self._ends[pooling]


def _reads(files: CheckpointFiles) -> str:
    """The part of a base that its outputs come from: "model", or a pooling."""
    return kinds.find(files.kind).reads(Path(files.path))
