"""Prediction limits: where would one further seed, or the mean of k further seeds, still be ordinary?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from scipy import special

from seedband.bands.stats.variance import NO_PRIOR, Prior, moderated


def mean(scores: Sequence[float]) -> float:
    """Arithmetic mean, summed without rounding error, so that the order of seeds is irrelevant.

    Examples:
        >>> mean([0.871, 0.884, 0.879, 0.892])
        0.8815
    """
    return math.fsum(scores) / len(scores)


def squared_deviations(scores: Sequence[float]) -> float:
    """Sum of squared deviations from the mean, shape (n,) -> scalar, 0 for equal scores.

    Examples:
        >>> squared_deviations([1.0, 1.0])
        0.0
        >>> squared_deviations([1.0, 3.0])
        2.0
    """
    if min(scores) == max(scores):
        return 0.0
    centre = mean(scores)
    return math.fsum((score - centre) ** 2 for score in scores)


def sample_sd(scores: Sequence[float]) -> float:
    """Standard deviation with n - 1 in the denominator, n >= 2.

    Examples:
        >>> round(sample_sd([0.871, 0.884, 0.879, 0.892]), 6)
        0.008813
    """
    return math.sqrt(squared_deviations(scores) / (len(scores) - 1))


def lower_median(scores: Sequence[float]) -> float:
    """The middle score, for even n the lower of the two: always the score of a real run.

    Examples:
        >>> lower_median([0.871, 0.884, 0.879, 0.892])
        0.879
    """
    return sorted(scores)[(len(scores) - 1) // 2]


def plain_median(scores: Sequence[float]) -> float:
    """The median; for even n halfway between the two middle scores.

    Examples:
        >>> plain_median([0.871, 0.884, 0.879, 0.892])
        0.8815
    """
    ordered = sorted(scores)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@lru_cache(maxsize=4096)
def prediction_factor(n: int, k: int, alpha: float, prior_df: float = 0.0) -> float:
    """K in the limit `mean - K * sd` below which the mean of k further seeds falls with probability alpha.

    The pooled sd is taken as the baseline's; df = n + k - 2 (n - 1 for k = 1), plus those that history is worth.

    Examples:
        >>> [round(prediction_factor(n, 1, 0.05), 3) for n in (3, 4, 5, 8, 10)]
        [3.372, 2.631, 2.335, 2.01, 1.923]
        >>> [round(prediction_factor(n, 1, 0.01), 3) for n in (3, 4, 5, 8, 10)]
        [8.042, 5.077, 4.105, 3.18, 2.959]
    """
    return -float(special.stdtrit(n + k - 2 + prior_df, alpha)) * math.sqrt(1 / n + 1 / k)


def all_below_rate(n: int, k: int) -> float:
    """Chance that all k further seeds fall below all n baseline seeds when nothing changed: 1 / C(n+k, k).

    Examples:
        >>> [round(all_below_rate(n, 1), 3) for n in (3, 4, 5, 8, 10)]
        [0.25, 0.2, 0.167, 0.111, 0.091]
        >>> [round(all_below_rate(n, 2), 4) for n in (3, 4, 5, 8, 10)]
        [0.1, 0.0667, 0.0476, 0.0222, 0.0152]
    """
    return 1 / math.comb(n + k, k)


@dataclass(frozen=True)
class Baseline:
    """The scores that candidates are judged by, and the scale that they and their history set.

    Attributes:
        scores: One per healthy seed, shape (n,), n >= 2, higher is better.
        floor: Smallest standard deviation that the items allow, in score units.
        prior: What the history of other bands says about the variance.

    Examples:
        >>> baseline = Baseline((0.871, 0.884, 0.879, 0.892))
        >>> round(baseline.limit(0.05), 4), round(baseline.limit(0.005), 4)
        (0.8583, 0.8239)
        >>> round(baseline.t([0.869]), 4), round(baseline.p_value([0.869]), 3)
        (-1.2686, 0.147)
        >>> Baseline((0.9, 0.9)).t([0.8]) is None
        True
    """

    scores: tuple[float, ...]
    floor: float = 0.0
    prior: Prior = NO_PRIOR

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.scores)

    @cached_property
    def mean(self) -> float:
        """Mean of the scores."""
        return mean(self.scores)

    @cached_property
    def squares(self) -> float:
        """Sum of squared deviations of the seeds, with those that the history stands for."""
        return squared_deviations(self.scores) + self.prior.df * self.prior.variance

    @cached_property
    def sd(self) -> float:
        """Standard deviation that limits are made of: moderated by the history, never below the floor."""
        return max(moderated(sample_sd(self.scores), self.n - 1, self.prior).sd, self.floor)

    def t(self, candidates: Sequence[float]) -> float | None:
        """Two-sample t statistic with pooled standard deviation; negative when the candidates are worse.

        Args:
            candidates: One score per candidate seed, shape (k,), k >= 1.

        Returns:
            `(mean(y) - mean(x)) / (s_p * sqrt(1/n + 1/k))` with df = n + k - 2 + prior.df; None when s_p is zero,
            for then there is no scale to judge by.

        References:
            Hahn and Meeker, Statistical Intervals (1991), section 4.8: the prediction interval for the mean of k
            further observations. The moderated scale: Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004), section 3.
        """
        n, k = self.n, len(candidates)
        squares = self.squares + squared_deviations(candidates)
        sd, centre = max(math.sqrt(squares / (n + k - 2 + self.prior.df)), self.floor), mean(candidates)
        return None if sd == 0.0 else (centre - self.mean) / (sd * math.sqrt(1 / n + 1 / k))

    def p_value(self, candidates: Sequence[float]) -> float | None:
        """One-sided p-value that the candidates are drawn as the baseline was; None without a scale.

        It is the smallest of the pooled t over all thresholds c of max(y, c): a candidate that got worse widens the
        candidates' own spread, and that must not buy room. For k = 1 it is the p-value of `t` itself.

        Examples:
            >>> baseline = Baseline((0.871, 0.884, 0.879, 0.892))
            >>> round(baseline.p_value([0.861, 0.861]), 4), round(baseline.p_value([0.861, 0.761]), 4)
            (0.0181, 0.0124)
        """
        t = self.t(self._raised(candidates))
        return None if t is None else float(special.stdtr(self.n + len(candidates) - 2 + self.prior.df, t))

    def _raised(self, candidates: Sequence[float]) -> Sequence[float]:
        """The candidates as max(y, c), for the threshold c at which their pooled t is smallest.

        With u = y - mean(x), A the squares of the baseline and R1, R2 the sums of u and of its squares over the
        candidates above c, the slope of t in c has the sign of A + R2 - R1 c. That changes at most once, from minus to
        plus, so t is smallest at c = (A + R2) / R1, or where nobody is raised. Under a floor of the sd that is reached
        on the way, t only rises from there on: it is smallest where the floor is met.
        """
        worst_first = sorted(candidates)
        for raised, score in enumerate(worst_first):
            above = [y - self.mean for y in worst_first[raised:]]
            total, squares = math.fsum(above), self.squares + math.fsum(u * u for u in above)
            if squares >= total * (score - self.mean):
                break
        if raised == 0:
            return candidates
        threshold = self.mean + squares / total
        if self.floor > 0:
            threshold = min(threshold, self._meets_floor(worst_first))
        return [max(y, threshold) for y in candidates]

    def _meets_floor(self, worst_first: Sequence[float]) -> float:
        """The threshold at which the pooled sd falls to the floor; the highest candidate where it stays above."""
        n, k = self.n, len(worst_first)
        allowed = self.floor**2 * (n + k - 2 + self.prior.df) - self.squares
        for raised in range(1, k):
            rest = worst_first[raised:]
            # Raised ones lie x below the mean of the rest: their squares are those of the rest, and this share of x^2.
            left = allowed - squared_deviations(rest)
            x = math.sqrt(max(left, 0.0) * k / (raised * len(rest)))
            threshold = mean(rest) - x
            if left >= 0 and threshold <= worst_first[raised]:
                return max(threshold, worst_first[0])
        return worst_first[-1]

    def limit(self, alpha: float) -> float:
        """Score below which one further seed of the same recipe falls with probability `alpha`."""
        return self.mean - prediction_factor(self.n, 1, alpha, self.prior.df) * self.sd
