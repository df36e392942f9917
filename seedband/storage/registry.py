"""The registry: every kind's objects by name, those built in and those of installed packages.

A kind is a task, a method, a rule …; an object of it lives in one file and is imported when it is used. A package adds
one by an entry point in the kind's group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from seedband.errors import UsageError


@dataclass(frozen=True)
class Registry:
    """The objects of one kind.

    Attributes:
        kind: What messages call it.
        group: Entry points of packages that bring more.
        built_in: Name → `module:attribute`.
    """

    kind: str
    group: str
    built_in: Mapping[str, str]

    def __hash__(self) -> int:
        return hash(self.group)

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self.installed()

    def names(self) -> list[str]:
        """Names of all objects, sorted."""
        return sorted({*self.built_in, *self.installed()})

    def installed(self) -> dict[str, EntryPoint]:
        """Entry points of packages, by name.

        Raises:
            UsageError: A name that two packages claim.
        """
        found: dict[str, EntryPoint] = {}
        for entry in _entries(self.group):
            if found.setdefault(entry.name, entry).value != entry.value:
                raise UsageError(
                    f"{self.kind} {entry.name!r} is claimed by {found[entry.name].value} and {entry.value}"
                )
        return found

    def place(self, name: str) -> str:
        """The place of an object, as `module:attribute`.

        Raises:
            UsageError: Unknown name, or one that two packages claim, or another beside the built-in one.
        """
        installed = self.installed()
        if name in self.built_in and name in installed:
            raise UsageError(f"{self.kind} {name!r} is built in and also installed as {installed[name].value}")
        if name in self.built_in:
            return self.built_in[name]
        if name in installed:
            return installed[name].value
        raise UsageError(f"unknown {self.kind} {name!r}", hint=f"there are {', '.join(self.names())}")

    def find(self, name: str) -> Any:
        """The object of a name, imported.

        Raises:
            UsageError: Unknown name, a name that two packages claim, or a package whose object cannot be imported.
        """
        module, _, attribute = (place := self.place(name)).partition(":")
        try:
            found: Any = import_module(module)
            return getattr(found, attribute) if attribute else found
        except Exception as error:
            if name in self.built_in:
                raise
            raise UsageError(
                f"{self.kind} {name!r} is installed as {place}, which cannot be imported: {error}",
                hint="update the package that brings it, or uninstall it",
            ) from error


@cache
@dataclass(frozen=True)
class Known:
    """Annotation of a text in a record: a name that a registry knows; the JSON Schema lists the built-in ones.

    Attributes:
        registry: Which.
        without: Built-in names that do not count.
        checked: Whether the name is checked where the record is read; if not, whoever uses it does.
    """

    registry: Registry
    without: tuple[str, ...] = ()
    checked: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The check, for pydantic."""
        from pydantic_core import PydanticCustomError, core_schema

        def check(name: str) -> str:
            if name not in self.registry or name in self.without:
                *others, last = map(repr, [*self._built_in(), *sorted(self.registry.installed())])
                listed = f"{', '.join(others)} or {last}" if others else last
                raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": listed})
            return name

        if not self.checked:
            return handler(source)
        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, object]:
        """The built-in names, whatever is installed."""
        return {**handler(schema), "enum": self._built_in()}

    def _built_in(self) -> list[str]:
        return [name for name in self.registry.built_in if name not in self.without]


@cache
def _every() -> Any:
    """Entry points of all installed packages: read once, for that takes long."""
    return entry_points()


@cache
def _entries(group: str) -> tuple[EntryPoint, ...]:
    return tuple(_every().select(group=group))


#: Of a recipe that names none.
DEFAULT_TASK = "text-classification"
TASKS = Registry(
    "task",
    "seedband.tasks",
    {
        "text-classification": "seedband.tasks.text_classification:TextClassification",
        "image-classification": "seedband.tasks.image_classification:ImageClassification",
        "causal-lm": "seedband.tasks.causal_lm:CausalLm",
    },
)
#: What `init` writes.
DEFAULT_METHOD = "lora"
METHODS = Registry(
    "method",
    "seedband.trainers",
    {
        "lora": "seedband.trainers.lora:Lora",
        "head": "seedband.trainers.head:Head",
        "command": "seedband.trainers.command:Command",
    },
)
CHECKPOINT_KINDS = Registry(
    "checkpoint kind",
    "seedband.checkpoints",
    {
        "adapter": "seedband.models.kinds.adapter:Adapter",
        "head": "seedband.models.kinds.head:Head",
        "model": "seedband.models.kinds.whole_model:WholeModel",
    },
)
JOB_KINDS = Registry(
    "kind of job",
    "seedband.jobs",
    {
        "train": "seedband.jobs.kinds.train:TrainJob",
        "score": "seedband.jobs.kinds.score:ScoreJob",
        "report": "seedband.jobs.kinds.report:ReportJob",
        "probe": "seedband.jobs.kinds.probe:ProbeJob",
    },
)
#: Of a band that names none.
DEFAULT_RULE = "retest"
#: By which pairs are judged.
PAIRS_RULE = "paired"
RULES = Registry(
    "rule",
    "seedband.rules",
    {
        "retest": "seedband.bands.rules.retest:Retest",
        "t": "seedband.bands.rules.t:T",
        "range": "seedband.bands.rules.range:Range",
        "paired": "seedband.bands.rules.paired:Paired",
    },
)
EVALUATORS = Registry(
    "evaluator",
    "seedband.evaluators",
    {
        "accuracy": "seedband.evaluators.metrics.accuracy:Accuracy",
        "balanced_accuracy": "seedband.evaluators.metrics.balanced_accuracy:BalancedAccuracy",
        "bleu": "seedband.evaluators.metrics.bleu:Bleu",
        "calibration_error": "seedband.evaluators.metrics.calibration_error:CalibrationError",
        "chrf": "seedband.evaluators.metrics.chrf:Chrf",
        "exact_match": "seedband.evaluators.metrics.exact_match:ExactMatch",
        "f1_macro": "seedband.evaluators.metrics.f1_macro:F1Macro",
        "f1_micro": "seedband.evaluators.metrics.f1_micro:F1Micro",
        "factual_consistency": "seedband.evaluators.nli.factual_consistency:FactualConsistency",
        "groundedness": "seedband.evaluators.nli.groundedness:Groundedness",
        "log_loss": "seedband.evaluators.metrics.log_loss:LogLoss",
        "mcc": "seedband.evaluators.metrics.mcc:Mcc",
        "reference_nll": "seedband.evaluators.metrics.reference_nll:ReferenceNll",
        "rouge_l": "seedband.evaluators.metrics.rouge_l:RougeL",
        "task_completion": "seedband.evaluators.judge.task_completion:TaskCompletion",
        "token_f1": "seedband.evaluators.metrics.token_f1:TokenF1",
    },
)
REPORTS = Registry(
    "kind of report",
    "seedband.reports",
    {
        "json": "seedband.reports.json:KIND",
        "junit": "seedband.reports.junit:KIND",
        "github": "seedband.reports.github:KIND",
        "markdown": "seedband.reports.markdown:KIND",
        "html": "seedband.reports.html:KIND",
    },
)
DEFAULT_EXECUTOR = "local"
EXECUTORS = Registry("executor", "seedband.executors", {"local": "seedband.jobs.executors.local:LocalExecutor"})
#: The first that recognises a file reads it; those of other packages are asked before, for they are the narrower ones.
SCORE_FILES = Registry(
    "format of score files",
    "seedband.scorefiles",
    {
        "lm_eval": "seedband.scorefiles.lm_eval:LmEval",
        "hf_trainer": "seedband.scorefiles.hf_trainer:HfTrainer",
        "csv": "seedband.scorefiles.csv_tables:CsvTables",
        "json": "seedband.scorefiles.json_shapes:JsonShapes",
    },
)
