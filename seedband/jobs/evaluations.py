"""Evaluations: what every evaluator says of a checkpoint, and what of it is worth telling."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seedband.counts import counted, plural
from seedband.data.dataset import Items
from seedband.errors import SeedbandError
from seedband.evaluators import MAX_UNSCORED_SHARE, Evaluator, as_scored
from seedband.runs.run import Evaluation
from seedband.tasks.outputs import Checkpoint, Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def evaluate(
    evaluators: Mapping[str, Evaluator], items: Items, predictions: Outputs, checkpoint: Checkpoint
) -> "tuple[list[Evaluation], dict[str, NDArray[Any]]]":
    """Ask every evaluator; one that crashes or leaves items unscored loses its own score and no other."""
    evaluations: list[Evaluation] = []
    columns: dict[str, NDArray[Any]] = {}
    for name, evaluator in evaluators.items():
        evaluation, per_item = _evaluate(name, evaluator, items, predictions, checkpoint)
        evaluations.append(evaluation)
        if per_item is not None:
            columns[name] = per_item
    return evaluations, columns


def _evaluate(
    name: str, evaluator: Evaluator, items: Items, predictions: Outputs, checkpoint: Checkpoint
) -> "tuple[Evaluation, NDArray[Any] | None]":
    import numpy as np

    n, usable = len(predictions), int(predictions.usable.sum())
    if usable < n and evaluator.reads != "checkpoint":
        message = f"{n - usable} of {counted(n, 'item')} {plural(n - usable, 'has', 'have')} logits that are not finite"
        return Evaluation(name, None, n, n - usable, None, message), None
    given = checkpoint if evaluator.reads == "checkpoint" else predictions
    try:
        scored = as_scored(evaluator.score(items, given), n)
        trivial = evaluator.trivial_score(items, given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  somebody's code, which may call sys.exit: it must not lose the others
        traceback.print_exc()
        return Evaluation(name, None, n, n, None, _crash(error), crashed=True), None
    unscored = 0 if scored.per_item is None else int(np.isnan(scored.per_item).sum())
    n_items = n - unscored if scored.n_items is None else scored.n_items
    failure = ""
    if unscored > max(1, MAX_UNSCORED_SHARE * n):
        failure = f"{unscored} of {counted(n, 'item')} {plural(unscored, 'has', 'have')} no score"
    elif not np.isfinite(scored.score):
        failure = f"the score is {scored.score}"
    score = None if failure else scored.score
    evaluation = Evaluation(
        name, score, n_items, unscored, trivial, failure, backend=scored.backend, details=dict(scored.details)
    )
    return evaluation, scored.per_item


def told_of(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Warnings and notes worth printing for one evaluation: items left out of it, and its evaluator's own details."""
    if evaluation.failure:
        yield "warning", f"no score: {evaluation.failure}"
    elif evaluation.n_unscored:
        n = evaluation.n_items + evaluation.n_unscored
        lost = evaluation.n_unscored
        message = f"{lost} of {counted(n, 'item')} {plural(lost, 'has', 'have')} no score"
        yield "warning", f"{message}, and {plural(lost, 'is', 'are')} left out"
    if evaluation.details:
        yield "note", ", ".join(f"{key} {_short(value)}" for key, value in evaluation.details.items())


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _crash(error: BaseException) -> str:
    if isinstance(error, SeedbandError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"the evaluator crashed: {type(error).__name__}: {error}"


def no_better_than_trivial(evaluators: Mapping[str, Evaluator], primary: str, evaluations: Sequence[Evaluation]) -> str:
    """The reason why a checkpoint of finite weights failed to train all the same; empty otherwise."""
    evaluation = next(entry for entry in evaluations if entry.metric == primary)
    if evaluation.score is None or evaluation.trivial_score is None:
        return ""
    sign = 1 if evaluators[primary].higher_is_better else -1
    if sign * evaluation.score > sign * evaluation.trivial_score:
        return ""
    return (
        f"{evaluation.metric} {evaluation.score:.4g} is no better than the trivial predictor's "
        f"{evaluation.trivial_score:.4g}"
    )
