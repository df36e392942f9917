"""lm_eval:<task>: a task of EleutherAI's lm-evaluation-harness, asked of the checkpoint itself.

The harness seeds every generator of its process anew, so it gets one of its own: `lm_eval_child`.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from seedband.data.dataset import Items
from seedband.determinism import subprocesses
from seedband.errors import Refused, UsageError
from seedband.evaluators import Checkpoint, Evaluator, Scored, bind
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import checked

#: What the harness and what it builds on must not do: send reports, or start a process per CPU to estimate an error.
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0", "DISABLE_MULTIPROC": "1"}


def load(task: str, folder: Path, args: Mapping[str, object]) -> Evaluator:
    """A task by its name in the harness, or in a folder of tasks of one's own.

    Raises:
        UsageError: Arguments that it does not take, or of another kind.
    """
    name = f"lm_eval:{task}"
    evaluator = bind(partial(HarnessTask, task), args, name, folder)
    assert isinstance(evaluator, HarnessTask)
    try:
        checked({key: value for key, value in asdict(evaluator).items() if key != "task"}, _Arguments, "args")
    except Refused as error:
        raise UsageError(f"evaluator {name!r}: {error.message}", error.problems) from None
    return evaluator


@dataclass(frozen=True)
class _Arguments:
    """What the arguments of a task may be."""

    include_path: str | None
    metric: str | None
    higher_is_better: bool
    num_fewshot: Annotated[int, Ge(0)] | None
    fewshot_seed: int
    limit: Annotated[int, Ge(1)] | None
    batch_size: Annotated[int, Ge(1)]
    apply_chat_template: bool


@dataclass(frozen=True)
class HarnessAnswer:
    """What the harness says of a checkpoint.

    Attributes:
        score: The harness's own number.
        stderr: Of the score, where it has one.
        n_items: Questions that were asked.
        backend: What two scores must share beside the arguments.
    """

    score: float
    stderr: float | None
    n_items: int
    backend: str


@dataclass(frozen=True)
class HarnessTask(Evaluator):
    """A task of the harness; its score is the harness's own number over the task's own questions.

    Attributes:
        task: Its name.
        include_path: Folder with tasks of one's own, as YAML files; relative paths in them start there.
        metric: "acc", or where a task has several filters with one of them, "exact_match,strict-match"; the first of
            the task unless said.
        higher_is_better: Direction of the metric; another one than the harness's is refused.
        num_fewshot: Examples before every question; as the task says unless said.
        fewshot_seed: Which examples.
        limit: Questions asked, from the first on; all unless said.
        batch_size: Requests in one forward pass.
        apply_chat_template: Whether questions are put as chats.
    """

    task: str
    include_path: str | None = None
    metric: str | None = None
    higher_is_better: bool = True  # type: ignore[misc]  # of a class this is an attribute
    num_fewshot: int | None = None
    fewshot_seed: int = 1234
    limit: int | None = None
    batch_size: int = 8
    apply_chat_template: bool = False

    version = "1"
    unit = "the task's"
    reads = "checkpoint"
    backend = "lm_eval"
    library = "lm_eval"
    extra = "lm-eval"
    paths = ("include_path",)
    needs_trust = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the recipe says it."""
        return f"lm_eval:{self.task}"

    def check_ready(self, *, offline: bool = False) -> None:
        """Find the task, its metric and its direction; data and model are opened when it scores."""
        super().check_ready(offline=offline)
        if self.include_path is not None and not Path(self.include_path).is_dir():
            raise UsageError(f"{self.name}: include_path: no folder {self.include_path}")
        self._ask(None)

    def score(self, items: Items, predictions: Checkpoint) -> Scored:
        """Over the task's questions, which are not the recipe's items: none of these has a score."""
        answer = HarnessAnswer(**self._ask(predictions))
        stderr = {} if answer.stderr is None else {"stderr": answer.stderr}
        return Scored(answer.score, backend=answer.backend, details=stderr, n_items=answer.n_items)

    def _ask(self, checkpoint: Checkpoint | None) -> JsonObject:
        """The answer of the harness in a process of its own; without a checkpoint, about the task alone.

        Raises:
            UsageError: There is no such task, or not as the arguments say.
            WorkFailed: It crashed.
        """
        request = {"task": asdict(self), "checkpoint": None if checkpoint is None else asdict(checkpoint)}
        log = None if checkpoint is None else sys.stderr
        return subprocesses.ask("seedband.evaluators.external.lm_eval_child", request, self.name, QUIET, log)
