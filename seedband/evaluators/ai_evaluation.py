"""One metric of FutureAGI's ai-evaluation in a process of its own.

python -m seedband.evaluators.ai_evaluation REQUEST.json ANSWER.json PARENT_PID
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

from seedband import determinism
from seedband.children import answer
from seedband.errors import WorkFailed
from seedband.networks import load_tokenizer, loading

#: What the package's NLI looks at, in tokens of premise and claim together.
MAX_TOKENS = 512


def reply(request: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of rows, each a prompt, a text and what it is held against; None where there is nothing to judge.

    Raises:
        WorkFailed: The package is of another kind than known, or the NLI model failed on a pair.
    """
    determinism.pin(determinism.inherited(os.environ))
    from fi.evals.metrics.hallucination import nli

    judge = None if request["model"] is None else Judge(request["model"])
    judge_by(nli, judge)
    scores = [
        score(request["metric"], *row) if all(part.strip() for part in row[1:]) else None for row in request["rows"]
    ]
    if judge is not None and judge.errors:
        raise WorkFailed(f"the NLI model failed on {len(judge.errors)} pairs: {judge.errors[0]}")
    return {"scores": scores}


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


def inputs(metric: str, prompt: str, text: str, rest: str) -> dict[str, Any]:
    """A row in the form that a metric of the package takes."""
    if metric == "factual_consistency":
        return {"response": text, "reference": rest}
    if metric == "groundedness":
        return {"query": prompt, "response": text, "contexts": [rest]}
    step = {"step_number": 1, "action": text, "is_final": True}
    return {"trajectory": [step], "task": {"description": prompt}, "final_result": text, "expected_result": rest}


class Judge:
    """An NLI model in the form in which the package calls its own.

    Attributes:
        errors: What went wrong: the package would go on with word overlap.
    """

    def __init__(self, path: str) -> None:
        from transformers import AutoModelForSequenceClassification

        self._tokenizer = load_tokenizer(path)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            path,
            output_loading_info=True,
            # DeBERTa, which most NLI models are, has no sdpa.
            **{**loading(), "attn_implementation": "eager"},
        )
        if info["missing_keys"]:
            raise WorkFailed(f"{path} is no NLI model: {min(info['missing_keys'])} is missing, so it would be random")
        self._model = model.eval()
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


if __name__ == "__main__":
    sys.exit(answer(sys.argv[1:], reply))
