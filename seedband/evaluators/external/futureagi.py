"""fi:<metric>: metrics of FutureAGI's ai-evaluation, computed on this machine, with the backend that really ran.

Left alone, the package asks a hub for an NLI model of no fixed revision, and takes word overlap where that fails, for
single items, too; an input that it finds invalid scores 0; and litellm, which it brings, fetches a list of prices when
it is imported. Here the backend is an argument, nothing is fetched, and what the package has nothing to judge by stays
without a score. It sets variables of the process, so it gets one of its own: `futureagi_child`.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from seedband.data.dataset import Items
from seedband.determinism import subprocesses
from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Generations, Scored, bind
from seedband.evaluators.nli.cross_encoder import HINT, LABELS, entailment_output, locate, plain_labels
from seedband.models.model_config import read_config
from seedband.recipe.scoring import Base

How = Literal["overlap", "nli"]
PACKAGE = "ai-evaluation"
#: Keeps litellm from fetching prices and from reading an .env file when it is imported, and traces from being sent.
QUIET = {"OTEL_SDK_DISABLED": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}


class Metric(NamedTuple):
    """One metric of the package.

    Attributes:
        needs: What an item must have, as `Items` names it.
        backends: What it can be computed by.
        overlap: What its overlap is, for people.
    """

    needs: Literal["targets", "contexts"]
    backends: tuple[How, ...]
    overlap: str


METRICS: Mapping[str, Metric] = {
    "factual_consistency": Metric("targets", ("overlap", "nli"), "word overlap with the reference"),
    "groundedness": Metric("contexts", ("overlap", "nli"), "word overlap with the context"),
    "task_completion": Metric(
        "targets", ("overlap",), "keyword overlap with the reference, in a trajectory of one step"
    ),
}


def load(metric: str, folder: Path, args: Mapping[str, object]) -> Evaluator:
    """A metric by its name in the package.

    Raises:
        UsageError: No such metric, or arguments that it does not take.
    """
    name = f"fi:{metric}"
    if metric not in METRICS:
        raise UsageError(f"evaluator {name!r}: no such metric", hint=f"one of {', '.join(METRICS)}")
    if "metric" in args:
        raise UsageError(f"evaluator {name!r}: metric is its name, not an argument")
    evaluator = bind(AiEvaluation, {"metric": metric, **args}, name, folder)
    assert isinstance(evaluator, AiEvaluation)
    evaluator.check_arguments()
    return evaluator


@dataclass(frozen=True)
class Judged:
    """What the package says of the texts.

    Attributes:
        scores: Of every row; None where there is nothing to judge.
        backend: What tells the NLI model from others; empty without one.
    """

    scores: Sequence[float | None]
    backend: str = ""


@dataclass(frozen=True)
class AiEvaluation(Evaluator):
    """A metric of ai-evaluation over the texts.

    Attributes:
        metric: Its name.
        by: "overlap" of words, or "nli".
        model: For "nli": a folder with a cross-encoder in safetensors, or a hub id with its revision.
        revision: Commit of a hub id.
    """

    metric: str
    by: How = "overlap"
    model: str | None = None
    revision: str | None = None

    version = "1"
    higher_is_better = True
    unit = "share"
    reads = "texts"
    bounds = (0.0, 1.0)
    backend = PACKAGE
    library = "fi"
    extra = "fi"
    paths = ("model",)
    needs_trust = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the recipe says it."""
        return f"fi:{self.metric}"

    @property
    def needs_context(self) -> bool:  # type: ignore[override]
        """Check whether the metric is about the context."""
        return METRICS[self.metric].needs == "contexts"

    def check_arguments(self) -> None:
        """Hold the arguments against each other.

        Raises:
            UsageError: They do not fit.
        """
        known = METRICS[self.metric].backends
        if self.by not in get_args(How) or self.by not in known:
            raise UsageError(f"{self.name}: by: found {self.by!r}, expected one of {', '.join(known)}")
        if not all(isinstance(value, str | None) for value in (self.model, self.revision)):
            raise UsageError(f"{self.name}: model and revision are texts")
        if (self.by == "nli") != (self.model is not None):
            raise UsageError(
                f'{self.name}: by = "nli" needs a model, and nothing else takes one',
                hint='args = { by = "nli", model = "<folder>" }',
            )

    def check_ready(self, *, offline: bool = False) -> None:
        """Find the package, and the model where one is asked for."""
        try:
            version(PACKAGE)
        except PackageNotFoundError:
            raise UsageError(f"{self.name}: {PACKAGE} is not installed", hint='pip install "seedband[fi]"') from None
        if self.model is not None:
            self._located(offline=offline)

    def score(self, items: Items, predictions: Generations) -> Scored:
        """One score an item; NaN where the package would find nothing to judge, and make a number of that.

        Raises:
            UsageError: Data without contexts, or no such model.
            Refused: An NLI model that takes a clear entailment for none, or the reverse.
            WorkFailed: The package or the model failed.
        """
        import numpy as np

        given = getattr(items, METRICS[self.metric].needs)
        if given is None:
            raise UsageError(f"{self.name}: the eval data have no context", hint="give every row a context")
        model = None if self.model is None else asdict(self._located())
        request = {
            "metric": self.metric,
            "model": model,
            "rows": list(zip(items.inputs, predictions.texts, given, strict=True)),
        }
        child = "seedband.evaluators.external.futureagi_child"
        answer = Judged(**subprocesses.ask(child, request, self.name, QUIET, sys.stderr))
        scores = np.array([math.nan if score is None else score for score in answer.scores])
        blank = int(np.isnan(scores).sum())
        how = METRICS[self.metric].overlap if model is None else answer.backend
        return Scored(
            float(np.nanmean(scores)) if blank < len(scores) else math.nan,
            scores,
            backend=f"{PACKAGE} {version(PACKAGE)} {self.metric}: {how}",
            details={"nothing_to_judge": blank} if blank else {},
        )

    def _located(self, *, offline: bool = False) -> Base:
        """The NLI model on this machine, found safe to load.

        Raises:
            UsageError: It is not there, or does not say which output means what.
            Refused: Only pickled weights, or code of its own.
        """
        assert self.model is not None
        base = locate(self.model, self.revision, offline=offline)
        config = read_config(Path(base.path))
        entailment_output(config, base.reference)
        labels = plain_labels(config).values()
        if set(labels) != LABELS[0]:
            raise UsageError(
                f"{self.name}: {base.reference} has the labels {', '.join(labels)}, expected contradiction too: the "
                "package takes any other label for neutral",
                hint=HINT,
            )
        return base
