"""What earlier bands say about the spread of a new one: variances moderated towards a common prior.

Worth doing only over bands of one evaluator on one eval set; over different tasks the prior is worth next to nothing.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

MIN_BANDS = 2
#: Variances of zero are raised to this share of the median variance before logarithms are taken.
ZERO_SHARE = 1e-5
#: Relative step at which Newton's iteration has converged.
PRECISION = 1e-8


class Prior(NamedTuple):
    """What the variances of other bands are worth.

    Attributes:
        df: Degrees of freedom, at most those of the bands that the prior was fitted to.
        variance: Prior variance s0^2 in squared score units.
        estimated_df: Degrees of freedom as estimated, d0; infinite where the variances differ by no more than chance.
    """

    df: float
    variance: float
    estimated_df: float


#: Without history: worth nothing.
NO_PRIOR = Prior(0.0, 0.0, 0.0)


class Moderated(NamedTuple):
    """A standard deviation and the degrees of freedom it is worth."""

    sd: float
    df: float


def fit_prior(sds: Sequence[float], dfs: Sequence[float]) -> Prior:
    """Fit a scaled inverse chi-square prior to the variances of bands, by the moments of their logarithms.

    A variance of zero is raised to 1e-5 of the median. A prior is never worth more than the observations it was made
    from: with `df` capped at their sum, a band moderated by the prior of the *other* bands has at most the pooled
    degrees of freedom of all, as in limma; and where the variances differ by no more than chance, it gets exactly the
    pooled variance.

    Args:
        sds: Standard deviation of every band in score units, each >= 0, at least 2, at most half of them 0.
        dfs: Degrees of freedom of each, n - 1 > 0 for a band of n seeds.

    Raises:
        ValueError: Fewer than 2 bands, different lengths, a value out of range, or mostly zeros.

    References:
        Smyth, Linear models and empirical Bayes methods for assessing differential expression in microarray
        experiments, Statistical Applications in Genetics and Molecular Biology 3 (2004), section 6.2.

    Examples:
        >>> prior = fit_prior([0.004, 0.006, 0.009, 0.012, 0.005, 0.02, 0.0088], [3] * 7)
        >>> round(prior.df, 4), round(prior.variance, 8)
        (8.3109, 8.366e-05)
        >>> fit_prior([0.01, 0.01], [3, 3])
        Prior(df=6.0, variance=0.0001, estimated_df=inf)
    """
    variances, d = np.square(np.asarray(sds, dtype=float)), np.asarray(dfs, dtype=float)
    if variances.ndim != 1 or variances.shape != d.shape or len(d) < MIN_BANDS:
        raise ValueError(f"{np.size(sds)} sds and {np.size(dfs)} dfs: expected as many of each, 2 or more")
    if not (np.isfinite(variances) & np.isfinite(d) & (np.asarray(sds) >= 0) & (d > 0)).all():
        raise ValueError(f"sds {sds} and dfs {dfs}: expected finite sds >= 0 and dfs > 0")
    median = float(np.median(variances))
    if median == 0:
        raise ValueError("most sds are zero: they say nothing about the size of the noise")
    variances = np.maximum(variances, ZERO_SHARE * median)
    logs = np.log(variances) - special.digamma(d / 2) + np.log(d / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, d / 2).mean())
    pooled_df = float(d.sum())
    if excess <= 0:
        return Prior(pooled_df, float(d @ variances) / pooled_df, math.inf)
    d0 = 2 * _trigamma_inverse(excess)
    variance = math.exp(float(logs.mean()) + float(special.digamma(d0 / 2)) - math.log(d0 / 2))
    return Prior(min(d0, pooled_df), variance, d0)


def moderated(sd: float, df: float, prior: Prior) -> Moderated:
    """Posterior standard deviation of a band and what it is worth: `(d0 s0^2 + d s^2) / (d0 + d)` on `d0 + d` df.

    Args:
        sd: Standard deviation of the band in score units, >= 0.
        df: Its degrees of freedom, > 0.
        prior: Fitted to other bands of the same evaluator on the same eval set.

    References:
        Smyth (2004), as in `fit_prior`, section 3.

    Examples:
        >>> moderated(0.03, 2.0, Prior(df=6.0, variance=1e-4, estimated_df=6.0))
        Moderated(sd=0.0173..., df=8.0)
    """
    total = prior.df + df
    return Moderated(math.sqrt((prior.df * prior.variance + df * sd**2) / total), total)


def _trigamma_inverse(x: float) -> float:
    """The y > 0 at which trigamma is x > 0: Newton's iteration on 1 / trigamma, which is convex, from above.

    References:
        Smyth (2004), as in `fit_prior`, appendix.
    """
    y, step = 0.5 + 1 / x, math.inf
    while abs(step) > PRECISION * y:
        trigamma = float(special.polygamma(1, y))
        step = trigamma * (1 - trigamma / x) / float(special.polygamma(2, y))
        y += step
    return y
