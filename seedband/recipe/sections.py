"""The recipe as plain data: its sections are those of seedband.toml, key for key.

The bounds beside each type are what `recipe.parse` checks, and the text below each key is its documentation.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen, Predicate

from seedband.determinism.seeds import Stream
from seedband.determinism.settings import DeterminismSection
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import (
    DEFAULT_EXECUTOR,
    DEFAULT_RULE,
    DEFAULT_TASK,
    EXECUTORS,
    METHODS,
    PAIRS_RULE,
    RULES,
    TASKS,
    Known,
)
from seedband.storage.validation import PathText

Text = Annotated[str, MinLen(1)]
#: What an evaluator's name starts with whose score a training command reports.
REPORTED = "reported:"
#: More of anything than fits into a 32-bit integer is a slip of the keyboard.
Count = Annotated[int, Ge(1), Le(2**31 - 1)]


@dataclass(frozen=True, kw_only=True)
class ModelSection:
    """`[model]`: the base model and what it is fine-tuned for."""

    base: PathText = ""
    """A folder, a hub id, or package:<installed package>/<folder> (located, never imported)."""
    revision: str | None = None
    """Commit of a hub id, 40 hexadecimal digits."""
    sha256: str | None = None
    """Expected SHA-256 of the weights; another base is refused."""
    task: Annotated[str, Known(TASKS)] = DEFAULT_TASK
    """What the model learns to do."""
    max_length: Count = 128
    """Tokens kept of a text, in training and in scoring."""


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """`[data]`: what is learnt and what is scored."""

    name: Text
    """Name of the data set."""
    version: str = ""
    """Version of the data set, for people; the content hash is what counts."""
    train: PathText = ""
    """Training rows: JSONL, CSV, Parquet, a folder of images, or hf://datasets/org/name@commit/path/file."""
    eval: PathText = ""
    """Eval rows, likewise; part of what makes two scores comparable, row order included."""
    text: Text = "text"
    """Column that holds the text."""
    text_pair: Text | None = None
    """Column that holds a second text, of tasks on pairs: the tokenizer encodes both as its pair."""
    image: Text = "image"
    """Column that holds the path of an image, relative to the data file."""
    prompt: Text = "prompt"
    """Column that holds the prompt of a language model."""
    input: Text | None = None
    """Column whose text, where a row has any, goes below the prompt, as `input` in Alpaca's format."""
    completion: Text = "completion"
    """Column that holds what it shall say."""
    messages: Text = "messages"
    """Column that holds a chat instead, whose last message is what it shall say."""
    context: Text = "context"
    """Column that holds what an answer has to rest on, where there is one."""
    label: Text = "label"
    """Column that holds the label."""
    id: Text = "id"
    """Column that names an item; items without one are named by their row."""
    slices: tuple[str, ...] = ()
    """Columns by which scores can be split."""


@dataclass(frozen=True, kw_only=True)
class TrainSection:
    """`[train]`: how one run is trained."""

    #: Checked when a recipe is prepared, with everything else that it names.
    method: Annotated[Text, Known(METHODS, checked=False)]
    """`lora`, `head`, `command` (a training script of your own) or an installed trainer."""
    command: Text | Annotated[tuple[Text, ...], MinLen(1)] | None = None
    """Method `command`: what trains a seed, such as "python train.py --seed {seed} --out {out}"; no shell reads it."""
    scores: PathText | None = None
    """Method `command`: a file of scores that the command writes, such as "{out}/metrics.json"; no checkpoint then."""
    metrics: Text | Annotated[Mapping[str, Text], MinLen(1)] | None = None
    """Likewise: a regular expression whose one group is the score, in what the command prints; or metric → one."""
    timeout_s: Annotated[float, Gt(0)] | None = None
    """Method `command`: seconds after which an attempt is ended; none unless said."""
    retries: Annotated[int, Ge(0), Le(100)] = 0
    """Method `command`: how often a seed whose command failed is tried again, from an empty {out}."""
    epochs: Count = 3
    """Passes over the training rows."""
    max_steps: Count | None = None
    """Stop after so many optimizer steps, whatever `epochs` says."""
    batch_size: Count = 16
    """Rows in one forward pass."""
    gradient_accumulation: Count = 1
    """Forward passes per optimizer step."""
    learning_rate: Annotated[float, Gt(0)] = 2e-3
    """Peak learning rate of AdamW."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after the warm-up."""
    warmup_ratio: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """AdamW's decoupled decay, on all trainable tensors but biases and norms."""
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    """Gradients are scaled down to this norm."""
    save_steps: Annotated[int, Ge(0), Le(2**31 - 1)] = 500
    """Keep a training checkpoint every so many steps, from which a killed run goes on; 0 keeps none."""
    frozen_dropout: bool = True
    """Method `lora`: drop out below the first layer that is trained, too, as common trainers do. With false those
    layers are as in scoring: what they say is computed once per row for all seeds and epochs."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the forward pass; bf16 is autocast over fp32 weights."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, about a third more time."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where runs train and checkpoints are scored; auto takes CUDA where there is any."""

    def planned_steps(self, n_items: int) -> int:
        """Optimizer steps of a run.

        Examples:
            >>> TrainSection(method="lora", epochs=2, batch_size=16).planned_steps(40)
            6
        """
        batches = math.ceil(n_items / self.batch_size)
        planned = self.epochs * math.ceil(batches / self.gradient_accumulation)
        return planned if self.max_steps is None else min(self.max_steps, planned)


@dataclass(frozen=True, kw_only=True)
class LoraSection:
    """`[lora]`: the adapter, for method `lora`; names and meaning are PEFT's."""

    r: Count = 8
    """Rank."""
    alpha: Annotated[float, Gt(0)] = 16
    """Scale: the update is multiplied by alpha / r."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Dropout on the adapter's input."""
    target_modules: tuple[str, ...] | str = "all-linear"
    """Modules that get an adapter, by the end of their name, or "all-linear"."""


@dataclass(frozen=True, kw_only=True)
class HeadSection:
    """`[head]`: the classification head, for method `head`."""

    pooling: Literal["auto", "mean", "cls", "model"] = "auto"
    """auto: the embedding model's own pooling where it has one, else the architecture's own head ("model")."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    """Dropout on the pooled features; with pooling "model" the architecture's own applies instead."""


@dataclass(frozen=True, kw_only=True)
class InitSection:
    """`[init]`: how new tensors are drawn."""

    lora: str = "kaiming"
    """Initializer of LoRA A."""
    head: str = "normal"
    """Initializer of heads and whatever else the base lacks."""


@dataclass(frozen=True, kw_only=True)
class SeedsSection:
    """`[seeds]`: what differs between runs."""

    vary: Annotated[tuple[Stream, ...], MinLen(1)] = ("init", "order", "dropout")
    """Streams that differ between runs; a stream that is not named keeps the value of root seed 0."""


@dataclass(frozen=True, kw_only=True)
class ScoreSection:
    """`[score]`: how checkpoints are scored; part of what makes two scores comparable."""

    batch_size: Count = 64
    """Items in one forward pass."""


@dataclass(frozen=True, kw_only=True)
class GenerationSection:
    """`[generation]`: how a language model answers in scoring: greedily, so that nothing is left to chance."""

    max_new_tokens: Count = 64
    """Tokens of an answer at most."""


@dataclass(frozen=True, kw_only=True)
class EvaluatorSection:
    """`[[evaluate]]`: one metric."""

    evaluator: Text
    """Name of the evaluator."""
    name: Annotated[str, MinLen(1), Predicate(str.isprintable)] | None = None
    """What the metric is called; as its evaluator unless said, so that one evaluator can stand twice."""
    primary: bool = False
    """The metric that gates; the others advise."""
    args: dict[str, object] = field(default_factory=dict)
    """Arguments of the evaluator."""

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self.name or self.evaluator.removeprefix(REPORTED)


@dataclass(frozen=True, kw_only=True)
class GateSection:
    """`[gate]`: the rule that band.json asks `check` to judge by."""

    rule: Annotated[str, Known(RULES, without=(PAIRS_RULE,))] = DEFAULT_RULE
    """Rule of the verdict."""
    alpha: Annotated[float, Ge(0.001), Le(0.2)] = 0.05
    """False-alarm rate of the rule."""
    metrics: tuple[str, ...] = ()
    """Several metrics that gate, the primary among them, each at alpha / K; the primary alone unless named."""
    history: tuple[PathText, ...] = ()
    """Bands of the same evaluators on the same eval data, whose variances are pooled; at least 2."""


@dataclass(frozen=True, kw_only=True)
class LogSection:
    """`[log]`: an experiment tracker that is told of a sweep once its results are on disk."""

    mlflow: Text | None = None
    """MLflow: the http(s) address of a server, or sqlite:///FILE; the password is the environment's business."""
    experiment: Text | None = None
    """Experiment there; the data's name and the method unless said."""
    checkpoints: bool = False
    """Log the checkpoints of the runs, too."""


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """`[run]`: where jobs go. It changes no number, and is no part of what makes a recipe the one it is."""

    executor: Annotated[str, Known(EXECUTORS)] = DEFAULT_EXECUTOR
    """What runs the jobs: local, on this machine."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that is held fixed in a sweep: seedband.toml, validated."""

    model: ModelSection = ModelSection()
    data: DataSection
    train: TrainSection
    lora: LoraSection = LoraSection()
    head: HeadSection = HeadSection()
    init: InitSection = InitSection()
    seeds: SeedsSection = SeedsSection()
    determinism: DeterminismSection = DeterminismSection()
    score: ScoreSection = ScoreSection()
    generation: GenerationSection = GenerationSection()
    evaluate: Annotated[tuple[EvaluatorSection, ...], MinLen(1)]
    gate: GateSection = GateSection()
    log: LogSection = LogSection()
    run: RunSection = RunSection()

    def as_dict(self) -> JsonObject:
        """Nested plain dict, as seedband.toml would spell it, without where its jobs go."""
        return {name: section for name, section in asdict(self).items() if name != "run"}

    @property
    def primary(self) -> str:
        """Name of the metric that gates."""
        return next(section.metric for section in self.evaluate if section.primary)

    @property
    def reports(self) -> bool:
        """Check whether a command reports the scores: then there is no checkpoint, and nothing of seedband's scores."""
        return self.train.scores is not None or self.train.metrics is not None
