"""Scoring: the one way in which a checkpoint from disk becomes scores, for a finished run as for a candidate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import determinism, signature, store
from seedband.classifiers import (
    Classifier,
    check_fits,
    checkpoint_settings,
    checkpoint_tensors,
    load_tokenizer,
    open_checkpoint,
)
from seedband.dataset import Items, collate, encode, load_items
from seedband.evaluators import Evaluator, Predictions, build, describe
from seedband.records import Evaluation, ScoreTarget, Scoring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ITEMS = "items.parquet"
#: More unscored items than this share, and more than one, and there is no score.
MAX_UNSCORED_SHARE = 0.01
Emit = Callable[[str, int | None, Mapping[str, Any]], None]


def score_checkpoint(
    scoring: Scoring, target: ScoreTarget, device: str, facts: Mapping[str, Any], emit: Emit
) -> dict[str, Any]:
    """Predictions of a checkpoint from disk, every evaluator's score, and both by item in items.parquet."""
    files = target.checkpoint
    check_fits(files, scoring.base, scoring.labels)
    tensors = list(checkpoint_tensors(files))
    sha256 = store.digest([determinism.tensors_sha256(tensors), checkpoint_settings(files)])
    broken = sorted(name for name, tensor in tensors if not bool(tensor.isfinite().all()))
    if broken:
        failure = f"weights are not finite: {broken[0]} and {len(broken) - 1} more tensors"
        return {"evaluations": [], "signature": None, "checkpoint_sha256": sha256, "failure": failure}
    items = load_items(Path(scoring.eval_path), scoring.columns)
    emit("start", None, {"what": f"scoring {files.name} on {len(items)} items"})
    classifier = open_checkpoint(files, scoring.base, scoring.labels)
    logits = predict(
        classifier,
        load_tokenizer(scoring.base.path),
        items.texts,
        max_length=scoring.max_length,
        batch_size=scoring.batch_size,
        device=device,
    )
    if target.label_order is not None:
        logits = logits[:, [target.label_order.index(label) for label in scoring.labels]]
    evaluators = {section.evaluator: build(section.evaluator, section.args) for section in scoring.evaluators}
    predictions = Predictions(_targets(items, scoring.labels), logits)
    evaluations, columns = evaluate(evaluators, predictions)
    _write_items(Path(target.out) / ITEMS, items, predictions, scoring.labels, columns)
    described = {name: describe(evaluator) for name, evaluator in evaluators.items()}
    return {
        "evaluations": [asdict(evaluation) for evaluation in evaluations],
        "signature": signature.of_scoring(scoring, items.sha256, described, facts),
        "checkpoint_sha256": sha256,
        "items_sha256": store.file_sha256(Path(target.out) / ITEMS),
        "failure": _no_better_than_trivial(scoring, evaluations),
    }


def predict(
    classifier: Classifier, tokenizer: Any, texts: Sequence[str], *, max_length: int, batch_size: int, device: str
) -> "NDArray[np.float64]":
    """Logits of every text, shape (n_texts, n_classes), in the order given.

    Batches are made of texts of similar length; the same texts make the same batches for every checkpoint.
    """
    import numpy as np
    import torch

    rows = encode(tokenizer, texts, max_length)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]["input_ids"]))
    classifier.module.to(device).eval()
    parts: list[Any] = [None] * len(rows)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            logits = classifier.logits(collate(tokenizer, [rows[row] for row in chosen], torch.device(device)))
            for row, values in zip(chosen, logits.double().cpu().numpy(), strict=True):
                parts[row] = values
    return np.stack(parts)


def evaluate(
    evaluators: Mapping[str, Evaluator], predictions: Predictions
) -> "tuple[list[Evaluation], dict[str, NDArray[Any]]]":
    """Ask every evaluator; one that crashes or leaves items unscored loses its own score and no other."""
    evaluations: list[Evaluation] = []
    columns: dict[str, NDArray[Any]] = {}
    for name, evaluator in evaluators.items():
        evaluation, per_item = _evaluate(name, evaluator, predictions)
        evaluations.append(evaluation)
        if per_item is not None:
            columns[name] = per_item
    return evaluations, columns


def _evaluate(name: str, evaluator: Evaluator, predictions: Predictions) -> "tuple[Evaluation, NDArray[Any] | None]":
    import numpy as np

    n = len(predictions.labels)
    if not np.isfinite(predictions.logits).all():
        rows = int((~np.isfinite(predictions.logits)).any(axis=1).sum())
        return Evaluation(name, None, n, rows, 0.0, f"{rows} of {n} items have logits that are not finite"), None
    try:
        scored, trivial = evaluator.score(predictions), float(evaluator.trivial_score(predictions))
    except Exception as error:  # noqa: BLE001  an evaluator is somebody's code: its crash must not lose the others
        return Evaluation(name, None, n, n, 0.0, f"the evaluator crashed: {type(error).__name__}: {error}"), None
    unscored = 0 if scored.per_item is None else int(np.isnan(scored.per_item).sum())
    if unscored > max(1, MAX_UNSCORED_SHARE * n):
        return Evaluation(name, None, n, unscored, trivial, f"{unscored} of {n} items have no score"), scored.per_item
    if not np.isfinite(scored.score):
        return Evaluation(name, None, n, unscored, trivial, f"the score is {scored.score}"), scored.per_item
    return Evaluation(name, float(scored.score), n - unscored, unscored, trivial), scored.per_item


def _targets(items: Items, labels: Sequence[str]) -> "NDArray[Any]":
    import numpy as np

    class_of = {label: index for index, label in enumerate(labels)}
    return np.array([class_of[label] for label in items.labels], dtype=np.int64)


def _write_items(
    path: Path,
    items: Items,
    predictions: Predictions,
    labels: Sequence[str],
    columns: "Mapping[str, NDArray[Any]]",
) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            "item": items.ids,
            **{f"slice:{name}": values for name, values in items.slices.items()},
            "label": items.labels,
            "prediction": [labels[index] for index in predictions.predicted],
            "logits": list(predictions.logits),
            **{f"score:{name}": values for name, values in columns.items()},
        }
    )
    with store.replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _no_better_than_trivial(scoring: Scoring, evaluations: Sequence[Evaluation]) -> str:
    """Why a checkpoint whose weights are finite failed to train all the same."""
    primary = next(section for section in scoring.evaluators if section.primary)
    evaluation = next(entry for entry in evaluations if entry.metric == primary.evaluator)
    if evaluation.score is None:
        return ""
    sign = 1 if build(primary.evaluator, primary.args).higher_is_better else -1
    if sign * evaluation.score > sign * evaluation.trivial_score:
        return ""
    return (
        f"{evaluation.metric} {evaluation.score:.4g} is no better than the trivial predictor's "
        f"{evaluation.trivial_score:.4g}"
    )
