"""The draft of a recipe: what `init` finds out about data and model, or is told."""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from seedband import tasks
from seedband.commands.init.questions import Answers, Interview, Question
from seedband.commands.init.survey import Survey, data_files, eval_rank, is_eval, look_at, task_of
from seedband.counts import counted
from seedband.data.data_files import locate
from seedband.data.dataset import Items, load_items
from seedband.errors import UsageError, WorkFailed
from seedband.models import model_config, model_folders, pooling
from seedband.models.bases import locate_base
from seedband.models.hub import HUB_NAME
from seedband.storage.registry import TASKS

if TYPE_CHECKING:
    from seedband.recipe.scoring import Base, Columns

#: Metrics by what a task predicts: the first gates.
METRICS: Mapping[str, tuple[str, ...]] = {
    "classes": ("accuracy", "f1_macro", "log_loss"),
    "texts": ("reference_nll", "token_f1", "exact_match"),
}
#: Share of the most frequent label from which accuracy says little.
IMBALANCED = 0.6
#: Rows of a label below which it is hardly learnt.
FEW_ROWS = 10


@dataclass
class Draft:
    """The recipe as it comes about, answer by answer."""

    folder: Path
    answers: Answers
    interview: Interview
    offline: bool
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    n_train: int = 0

    def choose_data(self) -> None:
        """The data file, and the eval file if there is one."""
        there = list(data_files(self.folder)) if self.folder.is_dir() else []
        learnt = [path for path in there if not is_eval(path)] or there
        train = [path for path in learnt if "train" in path.stem.casefold()]
        likely = train if len(train) == 1 else learnt if len(learnt) == 1 else []
        asked = "Data file (CSV, TSV, JSONL, Parquet, or a folder of images)"
        question = Question("--data", asked, str(likely[0]) if likely else "")
        self.data = self.interview.answer(self.answers.data, question, learnt)
        # What an earlier call split off this very file is no other data.
        part = f"{Path(self.data).stem}-eval"
        scored = sorted((path for path in there if path not in learnt and path.stem != part), key=eval_rank)
        likeliest = str(scored[0]) if scored else ""
        question = Question("--eval", "Eval file (nothing: part of the data)", likeliest, optional=True)
        self.eval = self.interview.answer(self.answers.eval, question)
        self.surveys = [self._look(path) for path in (self.data, self.eval) if path]
        columns = ", ".join(self.surveys[0].columns)
        self.notes.append(f"data: {self.data}, {counted(len(self.surveys[0]), 'row')}; columns {columns}")
        if self.eval:
            self.notes.append(f"eval: {self.eval}, {counted(len(self.surveys[1]), 'row')}")

    def choose_columns(self) -> None:
        """The task, and which columns hold what."""
        survey, said = self.surveys[0], dict(self.answers.columns)
        task = self.answers.task or task_of(survey, said, generates=self._generates())
        if task not in TASKS:
            raise UsageError(f"--task {task}: no such task", hint=f"one of {', '.join(TASKS.names())}")
        self.task = tasks.find(task)
        reading = self.task.reading
        chat = said.get("messages") or (survey.column_of("messages") if "messages" in reading.also else None)
        roles = ("messages",) if chat and not {"prompt", "completion"} & said.keys() else reading.roles
        said = self._with_second_text(survey, said)
        self.columns = said if set(roles) <= said.keys() else said | self.interview.columns(survey, roles, said)
        for role, column in self.columns.items():
            if column not in survey.columns:
                raise UsageError(f"--{role} {column}: no such column", hint=f"there are {', '.join(survey.columns)}")
        if not reading.files or Path(self.data).is_file():
            self.notes.append(f"{task}: {', '.join(f'{role} in {column!r}' for role, column in self.columns.items())}")
        self._leave_unanswered(roles[-1])
        ids = survey.counts("id")
        self.row_names = (
            {"id": _unused("row", survey.columns)}
            if "id" in survey.columns and max(ids.values(), default=0) > 1
            else {}
        )
        self.items = self._items(survey)

    def _with_second_text(self, survey: Survey, said: Mapping[str, str]) -> dict[str, str]:
        """The columns that are named, and those of a second text that goes with the first: no text is dropped."""
        named = self.task.reading.named
        pair = survey.pair() if "text_pair" in named and not {"text", "text_pair"} & said.keys() else None
        if pair is not None and pair[1] not in said.values():
            return {"text": pair[0], "text_pair": pair[1], **said}
        lower = {column.casefold(): column for column in survey.columns}
        below = lower.get("input")
        taken = {*said.values(), survey.column_of("prompt") if "prompt" not in said else ""}
        if "input" in named and below is not None and below not in taken and "input" not in said:
            return {**said, "input": below}
        return dict(said)

    def _leave_unanswered(self, role: str) -> None:
        """Leave an eval file aside that nobody named and that says no answers, as those of competitions."""
        column = self.columns[role]
        if self.eval and self.answers.eval is None and self.surveys[1].lacks(column):
            self.notes.append(f"left aside: {self.eval}, which has nothing in {column!r}: eval rows come from the data")
            self.eval, self.surveys = "", self.surveys[:1]

    def choose_model(self) -> None:
        """The base model."""
        example, package = self.task.example
        default = example if package and importlib.util.find_spec(package) else ""
        question = Question("--model", "Base model (a folder, package:<package>/<folder>, or org/name@commit)", default)
        self.reference, self.revision = _pinned(
            self.interview.answer(self.answers.model, question), offline=self.offline
        )
        start = Path() if Path(self.reference).is_dir() else self.folder
        keys = ("--model", "its commit")
        self.base: Base = locate_base(self.reference, self.revision, start, offline=self.offline, keys=keys)
        if why := self.task.unfit(Path(self.base.path)):
            raise UsageError(f"--model {self.reference}: {why}")
        self.n_parameters = sum(math.prod(shape) for shape in model_folders.tensor_names(Path(self.base.path)).values())
        self.notes.append(f"model: {self.reference}, {self.n_parameters / 1e6:.3g} M parameters{self._kind()}")

    def choose_metric(self) -> None:
        """The metric that gates, and those that advise."""
        listed = METRICS[self.task.outputs]
        default = listed[0]
        if listed[0] == "accuracy":
            label, most = self._labels()
            if most / len(self.items) > IMBALANCED:
                default = "f1_macro"
                self.notes.append(f"metric: f1_macro, for {most / len(self.items):.0%} of the rows are {label!r}")
        metric = self.interview.answer(self.answers.metric, Question("--metric", "Metric that gates", default))
        self.metrics = (metric, *(name for name in listed if name != metric))

    def _look(self, reference: str) -> Survey:
        return look_at(locate(reference, Path(), offline=self.offline))

    def _items(self, survey: Survey) -> Items:
        reading = self.task.reading
        names = {name: None if name in reading.named else name for name in reading.columns}
        columns: Columns = {
            "task": self.task.name,
            "id": "id",
            "slices": [],
            **names,
            **self.columns,
            **self.row_names,
        }
        return load_items(survey.path, columns)

    def _labels(self) -> tuple[str, int]:
        """The most frequent label and how many rows have it; what there is to know of labels is noted."""
        counts = {label: self.items.targets.count(label) for label in sorted(set(self.items.targets))}
        most = max(counts, key=lambda label: counts[label])
        self.notes.append(f"labels: {len(counts)}, {min(counts.values())} to {counted(counts[most], 'row')} each")
        rare = [label for label, count in counts.items() if count < FEW_ROWS]
        if rare:
            self.warnings.append(f"labels with fewer than {FEW_ROWS} rows: {', '.join(rare[:5])}")
        return most, counts[most]

    def _generates(self) -> bool:
        """Check whether the model that a flag names, and that lies here, writes texts."""
        named = self.answers.model
        places = [Path(named), self.folder / named] if named else []
        return any(place.is_dir() and model_config.is_decoder(place) for place in places)

    def _kind(self) -> str:
        path = Path(self.base.path)
        if (path / "1_Pooling" / "config.json").is_file():
            with suppress(UsageError):
                return f", an embedding model ({pooling.resolve_pooling('auto', path)} pooling)"
        return ", a language model" if model_config.is_decoder(path) else ""


def _pinned(reference: str, *, offline: bool) -> tuple[str, str | None]:
    """A reference to a model and its commit; what a name of the hub points to now is looked up."""
    name, _, commit = reference.partition("@")
    if Path(reference).is_dir() or not HUB_NAME.fullmatch(name):
        return reference, None
    if commit or offline:
        return name, commit or None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    hint = "give its commit (org/name@commit), a folder, or a package"
    try:
        return name, HfApi().model_info(name).sha
    except RepositoryNotFoundError as error:
        raise UsageError(f"--model {name}: the hub has no such model, nor is it a folder here", hint=hint) from error
    except Exception as error:
        raise WorkFailed(f"--model {name}: the hub does not say its commit: {error}", hint=hint) from error


def _unused(name: str, columns: Sequence[str]) -> str:
    return name if name not in columns else _unused(f"{name}_", columns)
