"""How far an output does what was asked, as a language model judges it."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen

from seedband import counts
from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import MAX_UNSCORED_SHARE, Evaluator, Generations, Scored
from seedband.evaluators.judge.cache import Cache, Judgement, cache_file
from seedband.evaluators.judge.endpoint import Endpoint
from seedband.evaluators.judge.rubric import ChatRequest, Material, Rubric, RubricName, as_share
from seedband.storage import atomic_files, json_files
from seedband.storage.optional import require
from seedband.storage.validation import problems_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seedband.evaluators.judge.judging import Judged

PER_MILLION = 1e6


@dataclass(frozen=True)
class TaskCompletion(Evaluator):
    """Grades from 1 to 5 by a rubric, as 0 to 1, from a judge behind any OpenAI-compatible endpoint, at temperature 0.

    Attributes:
        base_url: What stands before /chat/completions.
        model: The judge, as the endpoint calls it.
        rubric: What it judges by, with its version.
        instructions: What it should know of this task in particular.
        repeats: Judgements of every output; their mean is its score, their disagreement is told.
        seed: For endpoints that take one.
        concurrency: Requests at a time.
        timeout: Seconds that a reply may take.
        max_attempts: Requests for one judgement.
        backoff: Seconds that the wait before a second attempt is drawn from; it doubles with every further one.
        api_key_env: Variable of the environment that holds the key; "" for an endpoint without one.
        price_in: Of a million tokens read.
        price_out: Of a million tokens written.
    """

    base_url: Annotated[str, MinLen(1)]
    model: Annotated[str, MinLen(1)]
    rubric: RubricName = "task-completion-1"
    instructions: str = ""
    repeats: Annotated[int, Ge(1), Le(100)] = 1
    seed: int | None = None
    concurrency: Annotated[int, Ge(1), Le(256)] = 8
    timeout: Annotated[float, Gt(0), Le(3600)] = 60.0
    max_attempts: Annotated[int, Ge(1), Le(100)] = 10
    backoff: Annotated[float, Ge(0), Le(60)] = 1.0
    api_key_env: str = "OPENAI_API_KEY"
    price_in: Annotated[float, Ge(0)] | None = None
    price_out: Annotated[float, Ge(0)] | None = None

    name = "task_completion"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "openai-compatible"
    reads = "texts"
    library = "tenacity"
    extra = "judge"
    needs_trust = True

    def __post_init__(self) -> None:
        _check_arguments(self)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of the judge."""
        return Endpoint(self.base_url, self.api_key_env)

    @property
    def environment(self) -> tuple[str, ...]:
        """Variables that it reads: none of them moves a score."""
        return (self.api_key_env, atomic_files.CACHE, "HF_HUB_OFFLINE")

    @property
    def sends_to(self) -> str:
        """The endpoint's host, unless it is this machine."""
        return "" if self.endpoint.is_local else self.endpoint.host

    def check_ready(self, *, offline: bool = False) -> None:
        """Find out whether the endpoint could be asked; it is not."""
        for module in (self.library, "httpx2"):
            require(module, self.extra)
        self.endpoint.check()

    def score(self, items: Items, generations: Generations) -> Scored:
        """Mean grade of every item, and their mean; NaN for one that lacks a judgement."""
        self.check_ready()
        rubric = Rubric(self.rubric, self.instructions)
        asked = [rubric.request(self.model, material, self.seed) for material in _materials(items, generations.texts)]
        keys = [[self._key(request, repeat) for repeat in range(self.repeats)] for request in asked]
        requests = {key: request for row, request in zip(keys, asked, strict=True) for key in row}
        judged = self._judge(requests, keys, max(1, MAX_UNSCORED_SHARE * len(items)))
        shares = np.array([[_share(judged.said.get(key)) for key in row] for row in keys])
        per_item = shares.mean(axis=1)
        scored = shares[~np.isnan(per_item)]
        models = ", ".join(sorted({said.model for said in judged.said.values()}))
        return Scored(
            float(scored.mean()) if scored.size else math.nan,
            per_item,
            f"{self.backend} {models}, rubric {rubric.name} sha256:{rubric.sha256[:12]}",
            {**self._told(judged, len(shares) - len(scored)), **_noise(scored)},
        )

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of an empty text, by the rubric."""
        return 0.0

    def _key(self, request: ChatRequest, repeat: int) -> str:
        """The key of a judgement: the whole request, and its endpoint.

        The endpoint is part of it: two of them may call two models by one name.
        """
        return json_files.digest([self.version, self.endpoint.url, request, repeat])

    def _judge(self, requests: Mapping[str, ChatRequest], keys: Sequence[Sequence[str]], spare: float) -> "Judged":
        from seedband.evaluators.judge.client import Client
        from seedband.evaluators.judge.judging import judge

        with (
            Cache(cache_file()) as cache,
            Client(self.endpoint, timeout=self.timeout, max_attempts=self.max_attempts, backoff=self.backoff) as client,
        ):
            return judge(requests, keys, client, cache, concurrency=self.concurrency, spare=spare)

    def _told(self, judged: "Judged", unscored: int) -> dict[str, float | int | str]:
        counted = judged.counted
        return {
            "calls": counted["calls"],
            "from cache": judged.cached,
            "retries": counted["retries"],
            "unscored": unscored,
            **({"the last of them": judged.failure} if unscored else {}),
            "prompt tokens": counted["prompt_tokens"],
            "completion tokens": counted["completion_tokens"],
            **self._cost(counted),
        }

    def _cost(self, counted: Mapping[str, int]) -> dict[str, float | str]:
        if self.price_in is None or self.price_out is None:
            return {}
        if counted["uncounted"]:
            told = counts.counted(counted["uncounted"], "reply does not say its", "replies do not say their")
            return {"cost": f"unknown: {told} tokens"}
        cost = self.price_in * counted["prompt_tokens"] + self.price_out * counted["completion_tokens"]
        return {"cost": cost / PER_MILLION}


def _materials(items: Items, texts: Sequence[str]) -> Iterator[Material]:
    """The material of every item for the judge."""
    for row, (given, target, text) in enumerate(zip(items.inputs, items.targets, texts, strict=True)):
        prompt = json.loads(given) if items.chat else given
        if items.contexts is None:
            yield {"prompt": prompt, "reference": target, "output": text}
        else:
            yield {"prompt": prompt, "context": items.contexts[row], "reference": target, "output": text}


def _share(said: Judgement | None) -> float:
    return math.nan if said is None else as_share(said.grade)


def _noise(shares: "NDArray[np.float64]") -> dict[str, float]:
    """The judge's disagreement with itself, about one output and in the score.

    Args:
        shares: Every judgement of the items that have all of theirs, shape (n_items, n_repeats).
    """
    n_items, repeats = shares.shape
    if repeats == 1 or not n_items:
        return {}
    variances = shares.var(axis=1, ddof=1)
    return {
        "judge noise (sd of an item)": float(np.sqrt(variances).mean()),
        "judge noise (sd of the score)": float(np.sqrt(variances.sum() / repeats) / n_items),
    }


def _check_arguments(evaluator: TaskCompletion) -> None:
    from pydantic import ValidationError, create_model

    shape: Any = {field.name: (field.type, ...) for field in fields(evaluator)}
    try:
        create_model("Arguments", **shape).model_validate(asdict(evaluator), strict=True)
    except ValidationError as error:
        problems = [replace(problem, where=f"{evaluator.name}: {problem.where}") for problem in problems_of(error)]
        raise UsageError(f"evaluator {evaluator.name!r}: wrong arguments", problems=problems) from None
    if (evaluator.price_in is None) != (evaluator.price_out is None):
        raise UsageError(f"evaluator {evaluator.name!r}: a price_in needs a price_out, and the other way round")
