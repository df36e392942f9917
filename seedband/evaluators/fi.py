"""fi:<metric>: metrics of FutureAGI's ai-evaluation, computed on this machine, with the backend that really ran.

Left alone, the package asks a hub for an NLI model of no fixed revision, and takes word overlap where that fails, for
single items, too; an input that it finds invalid scores 0; and litellm, which it brings, fetches a list of prices when
it is imported. Here the backend is an argument, nothing is fetched, and what the package has nothing to judge by stays
without a score. Its door `evaluate` is passed by: it opens traces that an exporter may send.
"""

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from seedband.dataset import Items
from seedband.errors import UsageError, WorkFailed
from seedband.evaluators import Evaluator, Generations, Scored, bind
from seedband.models import locate_base
from seedband.networks import load_tokenizer, loading

if TYPE_CHECKING:
    from seedband.records import Base

How = Literal["overlap", "nli"]
PACKAGE = "ai-evaluation"
#: What the package's NLI looks at, in tokens of claim and premise together.
MAX_TOKENS = 512
#: What keeps litellm from fetching prices and from reading an .env file of the working directory, once it is imported.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
NLI_LABELS = {"entailment", "neutral", "contradiction"}


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


def load(metric: str, folder: Path, args: Mapping[str, Any]) -> Evaluator:
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
    paths = ("model",)
    needs_trust = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the recipe says it."""
        return f"fi:{self.metric}"

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

    def check_ready(self) -> None:
        """Find the package, and the model where one is asked for."""
        try:
            version(PACKAGE)
        except PackageNotFoundError:
            raise UsageError(f"{self.name}: {PACKAGE} is not installed", hint="pip install 'seedband[fi]'") from None
        if self.model is not None:
            located(self.model, self.revision)

    def score(self, items: Items, predictions: Generations) -> Scored:
        """One score an item; NaN where the package would find nothing to judge, and make a number of that."""
        import numpy as np

        needs = METRICS[self.metric].needs
        given = getattr(items, needs)
        if given is None:
            raise UsageError(f"{self.name}: the eval data have no context", hint="give every row a context")
        rows = list(zip(items.inputs, predictions.texts, given, strict=True))
        with entailment(self.model, self.revision) as (judge, model):
            per_item = [
                self._one(prompt, text, rest) if text.strip() and rest.strip() else math.nan
                for prompt, text, rest in rows
            ]
            if judge is not None and judge.errors:
                raise WorkFailed(f"{self.name}: the NLI model failed on {len(judge.errors)} pairs: {judge.errors[0]}")
        how = METRICS[self.metric].overlap if model is None else f"nli {model.reference} sha256 {model.sha256[:12]}"
        scores = np.array(per_item, dtype=np.float64)
        blank = sum(math.isnan(score) for score in per_item)
        mean = float(np.nanmean(scores)) if blank < len(scores) else math.nan
        return Scored(
            mean,
            scores,
            backend=f"{PACKAGE} {version(PACKAGE)} {self.metric}: {how}",
            details={"nothing_to_judge": blank} if blank else {},
        )

    def _one(self, prompt: str, text: str, rest: str) -> float:
        """One item by the package's own class; what it does not accept raises, rather than score 0."""
        from fi.evals.local.registry import get_registry

        metric = get_registry().create(self.metric)
        result = metric.compute_one(metric.input_model.model_validate(_inputs(self.metric, prompt, text, rest)))
        claimless = self.metric != "task_completion" and "details" not in result
        return math.nan if claimless else float(result["output"])


def _inputs(metric: str, prompt: str, text: str, rest: str) -> dict[str, Any]:
    """An item in the form that a metric of the package takes."""
    if metric == "factual_consistency":
        return {"response": text, "reference": rest}
    if metric == "groundedness":
        return {"query": prompt, "response": text, "contexts": [rest]}
    step = {"step_number": 1, "action": text, "is_final": True}
    return {"trajectory": [step], "task": {"description": prompt}, "final_result": text, "expected_result": rest}


def located(model: str, revision: str | None) -> "Base":
    """The NLI model on this machine, found safe to load.

    Raises:
        UsageError: It is not there, or does not say which output means what.
        Refused: Only pickled weights, or code of its own.
    """
    from transformers import AutoConfig

    base = locate_base(model, revision, Path(), offline="HF_HUB_OFFLINE" in os.environ)
    config = AutoConfig.from_pretrained(base.path, local_files_only=True, trust_remote_code=False)
    labels = sorted(str(label).lower() for label in config.id2label.values())
    if set(labels) != NLI_LABELS or len(labels) != len(NLI_LABELS):
        raise UsageError(
            f"{model}: labels {', '.join(labels)}, expected {', '.join(sorted(NLI_LABELS))}",
            hint="the package takes any other label for neutral",
        )
    return base


class Judge:
    """An NLI model in the form in which the package calls its own.

    Attributes:
        errors: What went wrong: the package would go on with word overlap.
    """

    def __init__(self, base: "Base") -> None:
        from transformers import AutoModelForSequenceClassification

        self._tokenizer = load_tokenizer(base.path)
        self._model = AutoModelForSequenceClassification.from_pretrained(base.path, **loading()).eval()
        self.errors: list[str] = []

    def __call__(self, pair: Mapping[str, str], **_: Any) -> dict[str, str | float]:
        """Label and probability of a pair of premise and claim."""
        import torch

        try:
            tokens = self._tokenizer(
                pair["text"], pair["text_pair"], truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
            )
            with torch.no_grad():
                shares = self._model(**tokens).logits[0].softmax(-1)
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            raise
        best = int(shares.argmax())
        return {"label": str(self._model.config.id2label[best]).lower(), "score": float(shares[best])}


@contextmanager
def entailment(model: str | None, revision: str | None) -> "Iterator[tuple[Judge | None, Base | None]]":
    """Let the package judge by this model, or by word overlap; it is left as it was."""
    os.environ.update(QUIET)
    with warnings.catch_warnings():
        # It warns of the overlap that was asked for, and hides warnings of the whole process when it is imported.
        warnings.simplefilter("ignore")
        from fi.evals.metrics.hallucination import nli

        if not hasattr(nli, "_nli_pipeline"):
            raise WorkFailed(f"{PACKAGE} {version(PACKAGE)} is not known: it chooses its backend in another way")
        base = None if model is None else located(model, revision)
        judge = None if base is None else Judge(base)
        before = nli._nli_pipeline  # noqa: SLF001  the one place where the package keeps what it judges by
        nli._nli_pipeline = judge or False  # noqa: SLF001
        try:
            yield judge, base
        finally:
            nli._nli_pipeline = before  # noqa: SLF001
