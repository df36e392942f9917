"""One metric of FutureAGI's ai-evaluation in a process of its own.

python -m seedband.evaluators.external.futureagi_child REQUEST.json ANSWER.json PARENT_PID
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from seedband.counts import counted
from seedband.determinism import pins
from seedband.determinism.subprocesses import answer
from seedband.errors import WorkFailed
from seedband.evaluators.external.futureagi import Judged
from seedband.evaluators.nli.cross_encoder import CrossEncoder, plain_labels
from seedband.recipe.scoring import Base
from seedband.storage.json_files import JsonObject

#: Seconds between two lines of progress.
TELL_S = 60.0


def reply(request: JsonObject) -> Mapping[str, object]:
    """Scores of rows, each a prompt, a text and what it is held against; None where there is nothing to judge.

    Raises:
        Refused: The NLI model fails the fixed pairs.
        WorkFailed: The package is of another kind than known, or the NLI model failed on a pair.
    """
    pins.pin(pins.inherited(os.environ))
    from fi.evals.metrics.hallucination import nli

    encoder = None if request["model"] is None else CrossEncoder.load(Base(**request["model"]), None)
    if encoder is not None:
        encoder.verify()
    judge = None if encoder is None else Judge(encoder)
    judge_by(nli, judge)
    scores = [
        score(request["metric"], *row) if all(part.strip() for part in row[1:]) else None
        for row in watched(request["rows"])
    ]
    if judge is not None and judge.errors:
        raise WorkFailed(f"the NLI model failed on {counted(len(judge.errors), 'pair')}: {judge.errors[0]}")
    return asdict(Judged(scores, "" if encoder is None else encoder.backend))


def watched(rows: Sequence[Any]) -> Iterator[Any]:
    """Rows, telling how many are done now and then: whoever waits would take silence for a hang."""
    told = time.monotonic()
    for done, row in enumerate(rows):
        if time.monotonic() - told >= TELL_S:
            told = time.monotonic()
            sys.stderr.write(f"{done} of {counted(len(rows), 'item')} judged\n")
        yield row


def judge_by(nli: Any, judge: "Judge | None") -> None:
    """Have the package judge by a model, or by word overlap: False is how it remembers that it has no model.

    Raises:
        WorkFailed: It does not keep its model where it is known to.
    """
    if not hasattr(nli, "_nli_pipeline"):
        raise WorkFailed("this version of ai-evaluation is not known: it keeps its NLI model elsewhere")
    nli._nli_pipeline = False if judge is None else judge  # noqa: SLF001


def score(metric: str, prompt: str, text: str, rest: str) -> float | None:
    """One row by the package's own class; what that does not accept raises here, rather than score 0."""
    from fi.evals.local.registry import get_registry

    judged = get_registry().create(metric)
    result = judged.compute_one(judged.input_model.model_validate(inputs(metric, prompt, text, rest)))
    claimless = metric != "task_completion" and "details" not in result
    return None if claimless else float(result["output"])


def inputs(metric: str, prompt: str, text: str, rest: str) -> dict[str, object]:
    """A row in the form that a metric of the package takes."""
    if metric == "factual_consistency":
        return {"response": text, "reference": rest}
    if metric == "groundedness":
        return {"query": prompt, "response": text, "contexts": [rest]}
    step = {"step_number": 1, "action": text, "is_final": True}
    return {"trajectory": [step], "task": {"description": prompt}, "final_result": text, "expected_result": rest}


class Judge:
    """An NLI model in the form in which the package calls its own.

    Args:
        encoder: The model.

    Attributes:
        errors: What went wrong: the package would go on with word overlap.
    """

    def __init__(self, encoder: CrossEncoder) -> None:
        self._encoder = encoder
        self._labels = plain_labels(encoder.model.config.to_dict())
        self.errors: list[str] = []

    def __call__(self, pair: Mapping[str, str], **_: Any) -> dict[str, str | float]:
        """Label and probability of a pair of premise and claim, cut to what the model takes."""
        encoder = self._encoder
        try:
            tokens = encoder.tokenizer(pair["text"], pair["text_pair"], truncation=True, max_length=encoder.max_length)
            shares = encoder.probabilities(tokens)
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            raise
        best = int(shares.argmax())
        return {"label": self._labels[best], "score": float(shares[best])}


if __name__ == "__main__":
    sys.exit(answer(sys.argv[1:], reply))
