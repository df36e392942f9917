"""Units: percent beside fractions is refused, for a score of 41.5 would pass every gate of .88.

A score file, a dict in Python and a pytest assertion all end here.
"""

import math
from collections.abc import Mapping, Sequence

from seedband.errors import Refused

#: Lowest and highest score of the built-in evaluators that have bounds; `tests/test_units.py` holds them together.
BOUNDS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "accuracy", "balanced_accuracy", "calibration_error", "exact_match", "f1_macro", "f1_micro",
            "factual_consistency", "groundedness", "rouge_l", "task_completion", "token_f1",
        ),
        (0.0, 1.0),
    ),
    "mcc": (-1.0, 1.0),
    "bleu": (0.0, 100.0),
    "chrf": (0.0, 100.0),
    "log_loss": (0.0, math.inf),
    "reference_nll": (0.0, math.inf),
}  # fmt: skip
#: A fraction, with room for rounding and for metrics that may lie a little above 1, is never larger.
MAX_FRACTION = 1.5
#: A smaller fraction is none that anybody gates on.
LEAST = 0.1
#: Scores of one recipe differ by less than this factor, once they are in one unit.
LIKE = 3
HINT = "give the scores in the metric's own unit (.86, not 86), or call the metric by another name"


def check_baseline(metric: str, scores: Sequence[float], seeds: Sequence[int], *, higher_is_better: bool) -> None:
    """Refuse baseline scores that the metric of that name cannot have, or that are in two units.

    Args:
        metric: Its name.
        scores: One score per seed, shape (n,), finite.
        seeds: The root seeds, shape (n,).
        higher_is_better: Direction of the metric.

    Raises:
        Refused: With the seed whose score is in another unit.
    """
    low, high = BOUNDS.get(metric, (-math.inf, math.inf))
    for seed, score in zip(seeds, scores, strict=True):
        if not low <= score <= high:
            question = ": percent or fraction?" if score > MAX_FRACTION else ""
            raise Refused(f"{metric} of seed {seed} is {score:.6g}, expected {low:g} to {high:g}{question}", hint=HINT)
    fractions = [score for score in scores if LEAST <= score <= 1]
    percent = [score for score in scores if MAX_FRACTION < score <= 100]  # noqa: PLR2004  as its name says
    # A seed that scored nothing says nothing of the unit.
    if not (higher_is_better and fractions and len(fractions) + len(percent) + list(scores).count(0) == len(scores)):
        return
    if percent and _is_hundredfold(fractions, percent):
        one, other = (dict(zip(scores, seeds, strict=True))[score] for score in (max(fractions), min(percent)))
        raise Refused(
            f"{metric} of seed {one} is {max(fractions):.6g}, of seed {other} {min(percent):.6g}: percent or fraction?",
            hint="give all scores of a metric in one unit",
        )


def check_candidates(
    metric: str, baseline: Sequence[float], candidates: Sequence[float], *, higher_is_better: bool
) -> None:
    """Refuse candidate scores in another unit than the baseline's.

    A metric of which lower is better is never refused for its size: a loss that diverged is a fail.

    Args:
        metric: Its name.
        baseline: One score per seed, shape (n,).
        candidates: One score per candidate, shape (k,).
        higher_is_better: Direction of the metric.

    Raises:
        Refused: With the candidate's score.

    Examples:
        >>> check_candidates("f1", [0.871, 0.884], [41.5], higher_is_better=True)
        Traceback (most recent call last):
        seedband.errors.Refused: f1: a candidate scores 41.5, the band's seeds 0.871 to 0.884: percent or fraction?
        >>> check_candidates("loss", [0.3, 0.4], [41.5], higher_is_better=False)
    """
    problem = _other_unit if higher_is_better else _other_sign
    for score in candidates:
        if question := problem(metric, baseline, score):
            seeds = f"{min(baseline):.6g} to {max(baseline):.6g}"
            raise Refused(f"{metric}: a candidate scores {score:.6g}, the band's seeds {seeds}: {question}", hint=HINT)


def check_history(
    metric: str, own: Sequence[float], earlier: Sequence[Sequence[float]], *, higher_is_better: bool
) -> None:
    """Refuse earlier bands in another unit: their variances would be borrowed.

    Args:
        metric: Its name.
        own: One score per seed of the band, shape (n,).
        earlier: Those of every earlier band.
        higher_is_better: Direction of the metric.

    Raises:
        Refused: With the number of the earlier band.
    """
    for number, scores in enumerate(earlier, 1) if higher_is_better else ():
        if _is_hundredfold(own, scores) or _is_hundredfold(scores, own):
            listed = f"{min(scores):.6g} to {max(scores):.6g}, the band's seeds {min(own):.6g} to {max(own):.6g}"
            raise Refused(
                f"history, band {number}: {metric} scores {listed}: percent or fraction?",
                hint="give all bands of a metric in one unit",
            )


def _is_hundredfold(small: Sequence[float], large: Sequence[float]) -> bool:
    """Check whether some scores are fractions, and others like them in percent."""
    if not (min(small) >= LEAST and max(small) <= 1 and min(large) > MAX_FRACTION and max(large) <= 100):  # noqa: PLR2004
        return False
    return min(large) / max(small) >= 100 / LIKE and max(large) / min(small) <= 100 * LIKE


def _other_unit(metric: str, baseline: Sequence[float], score: float) -> str:
    low, high = BOUNDS.get(metric, (-math.inf, math.inf))
    in_bounds = all(low <= own <= high for own in baseline)
    fractions = all(0 <= own <= 1 for own in baseline)
    percent = all(MAX_FRACTION < own <= 100 for own in baseline)  # noqa: PLR2004  as its name says
    if (fractions and score > MAX_FRACTION) or (percent and 0 < score <= 1):
        return "percent or fraction?"
    return f"expected {low:g} to {high:g}" if in_bounds and not low <= score <= high else ""


def _other_sign(_: str, baseline: Sequence[float], score: float) -> str:
    if (score < 0 <= min(baseline)) or (score > 0 > max(baseline)):
        return "another sign than every seed of the band"
    return ""
