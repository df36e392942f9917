"""Evidence: the scores, seeds, metrics, levels and rules that are admitted, and what is turned away."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from numbers import Integral, Real
from typing import Any

from seedband.bands import rules
from seedband.bands.rules import Rule
from seedband.bands.stats import looks, pair_looks
from seedband.counts import counted
from seedband.errors import Refused, UsageError

DEFAULT_ALPHA = 0.05
#: Larger scores are refused: their squares would leave the range of floats.
MAX_SCORE = 1e100


def primary_of(scores: Mapping[str, Sequence[float]], primary: str | None) -> str:
    """The metric that is shown first; UsageError where several could be."""
    if primary is None:
        if len(scores) > 1:
            raise UsageError(f"{len(scores)} metrics and no primary: say which one gates", hint="primary=...")
        return next(iter(scores))
    if primary not in scores:
        raise UsageError(f"primary metric {primary!r} has no scores; there are {', '.join(scores)}")
    return primary


def gates_of(gates: Collection[str], primary: str, metrics: Collection[str]) -> tuple[str, ...]:
    """The metrics that gate: the primary alone, unless several are named."""
    named = tuple(dict.fromkeys(gates)) or (primary,)
    unknown = [name for name in named if name not in metrics]
    if unknown:
        raise UsageError(f"gating metric {unknown[0]!r} has no scores; there are {', '.join(metrics)}")
    if primary not in named:
        raise UsageError(f"primary metric {primary!r} is not among those that gate: {', '.join(named)}")
    return named


def level_of(alpha: float, gates: Sized) -> float:
    """Level of each gating metric (Bonferroni); UsageError where it leaves the range of the rules."""
    level = alpha / len(gates)
    if level < looks.MIN_ALPHA:
        raise UsageError(f"alpha {alpha} over {len(gates)} gating metrics is {level:.2g} each, below {looks.MIN_ALPHA}")
    return level


def valid_tolerance(tolerance: float | None, rule: Rule) -> float | None:
    """A tolerance of rule `paired`; UsageError for another rule, or for no score difference of 0 or more."""
    if tolerance is None:
        return None
    if not rule.on_pairs:
        raise UsageError(f"a tolerance belongs to {_on_pairs()}, this is {rule.name}")
    if not _is_number(tolerance) or not 0 <= tolerance <= MAX_SCORE:
        raise UsageError(f"tolerance {tolerance!r} is no score difference of 0 or more")
    return float(tolerance)


def valid_looks(looks: int, rule: Rule, k: int) -> int:
    """Number of first candidates that had looks of their own; UsageError for more than k, or for a rule of one look."""
    if not _is_seed(looks) or looks > k:
        raise UsageError(
            f"looks {looks!r}: expected how many of the {counted(k, 'candidate')}, the first ones, "
            "were looked at before",
            hint="leave it out for candidates that are given together",
        )
    if looks and not rule.looks_again:
        raise UsageError(f"looks on record belong to {_looking_again()}, this is {rule.name}: it looks once")
    return int(looks)


def refuse_final(rule: Rule, *, final: bool) -> None:
    """Only looks at pairs can be announced as the last one; UsageError for another rule."""
    if final and not rule.on_pairs:
        raise UsageError(f"--final announces the last look at pairs, this is rule {rule.name}", hint="leave it out")


def first_look(rule: Rule, k: int, first_pairs: int | None, *, final: bool) -> int | None:
    """Pairs at the first look of rule `paired`, 2 unless on record; None where there is one look only.

    Raises:
        UsageError: Another rule, or a first look at more pairs than there are.
    """
    refuse_final(rule, final=final)
    if first_pairs is not None:
        if not rule.on_pairs:
            raise UsageError(f"a first look at pairs belongs to {_on_pairs()}, this is {rule.name}")
        if not pair_looks.FEWEST <= first_pairs <= k:
            raise UsageError(
                f"a first look at {counted(first_pairs, 'pair')}: expected 2 to the {k} that there are now"
            )
    return None if final else first_pairs or pair_looks.FEWEST


def check_pairs(baseline: Sequence[int], failed: Collection[int], seeds: Sequence[int], k: int) -> None:
    """Refuse all but at least two candidates, each under a seed of the baseline and none under the same.

    Args:
        baseline: Healthy root seeds of the band.
        failed: Those that failed to train.
        seeds: The candidates' root seeds.
        k: How many candidates there are.
    """
    strange = [seed for seed in seeds if seed not in baseline]
    if strange:
        why = "failed to train in the band" if strange[0] in failed else "is no seed of the band"
        raise Refused(f"rule paired: seed {strange[0]} {why}; the band has {', '.join(map(str, baseline))}")
    if len(seeds) != k or len(set(seeds)) != k:
        raise Refused(
            f"rule paired: {counted(k, 'candidate')} under {counted(len(set(seeds)), 'different seed')}; "
            "it compares seed by seed"
        )
    if k < 2:  # noqa: PLR2004
        raise Refused(
            "rule paired: 1 pair has no spread, it needs at least 2",
            hint="train the candidate under another seed of the band",
        )


def baseline_scores(name: str, values: Sequence[float], seeds: Sequence[int]) -> tuple[float, ...]:
    """The scores of a metric's healthy seeds; Refused where they are no spread, or not one per seed."""
    scores = tuple(finite(value, f"{name}, seed {seed}") for value, seed in zip(values, seeds, strict=False))
    if len(values) != len(seeds) or len(set(seeds)) != len(seeds):
        raise Refused(f"{name}: {counted(len(values), 'score')} for {counted(len(set(seeds)), 'different seed')}")
    if len(scores) < 2:  # noqa: PLR2004
        raise Refused(
            f"{name}: {counted(len(scores), 'healthy seed')}; a band needs at least 2, for one seed has no spread",
            hint="train more seeds",
        )
    return scores


def candidate_scores(
    scores: Mapping[str, float | Sequence[float]], expected: Collection[str]
) -> dict[str, tuple[float, ...]]:
    """One score per candidate for every metric of the band, others left out; Refused for missing ones or counts."""
    if missing := sorted(set(expected) - set(scores)):
        extra = ", ".join(sorted(set(scores) - set(expected)))
        raise Refused(
            f"the candidate has no {', '.join(missing)}" + (f"; it has {extra}" if extra else ""),
            hint="every metric of the band is needed, under the band's own name: rename it where it has another",
        )
    listed = {name: _listed(scores[name]) for name in expected}
    counts = {name: len(values) for name, values in listed.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise Refused(f"different counts of candidate scores: {counts}")
    return {name: tuple(finite(value, f"candidate's {name}") for value in values) for name, values in listed.items()}


def seeds_of(
    scores: Mapping[str, Sequence[float]], primary: str, seeds: Sequence[int] | None, failed: Sequence[int]
) -> tuple[int, ...]:
    """The healthy root seeds, 0 .. n-1 unless named; UsageError for what is no list of scores or no seed."""
    for name, values in scores.items():
        if not _is_list(values):
            raise UsageError(f"{name}: {values!r} is no list of scores, one a seed")
    healthy = tuple(range(len(scores[primary]))) if seeds is None else tuple(seeds)
    for seed in (*healthy, *failed):
        if not _is_seed(seed):
            raise UsageError(f"root seeds are whole numbers of 0 or more, and {seed!r} is none")
    for seed in failed:
        if seed in healthy or list(failed).count(seed) > 1:
            raise UsageError(f"failed seed {seed} is named twice, or is one of the healthy seeds")
    return healthy


def _listed(value: Any) -> list[Any]:
    """Scores as a list: of one, of a list, of an array or a tensor of either."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return list(plain) if isinstance(plain, Iterable) and not isinstance(plain, str) else [plain]


def _is_list(values: object) -> bool:
    return isinstance(values, Collection) and not isinstance(values, str)


def _is_seed(value: object) -> bool:
    return type(value) is not bool and isinstance(value, Integral) and int(value) >= 0


def _is_number(value: object) -> bool:
    """A real number of Python or numpy; True and False are none."""
    return type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))


def _is_small(value: float) -> bool:
    """Check whether a number lies within MAX_SCORE; integers may be larger than any float."""
    return -MAX_SCORE <= (value if isinstance(value, int) else float(value)) <= MAX_SCORE


def finite(value: float | None, what: str) -> float:
    """A finite number within MAX_SCORE; anything else is Refused, by its name."""
    if value is None or not _is_number(value) or not _is_small(value):
        raise Refused(f"{what}: {value!r} is not a finite score")
    return float(value)


def valid_alpha(alpha: float) -> float:
    """A level that the rules are made for; UsageError outside .001 to .2."""
    if not _is_number(alpha) or not looks.MIN_ALPHA <= alpha <= looks.MAX_ALPHA:
        raise UsageError(f"alpha {alpha!r} is outside [{looks.MIN_ALPHA}, {looks.MAX_ALPHA}]")
    return float(alpha)


def rule_of_band(name: str) -> Rule:
    """A rule that a band may judge by without being told more."""
    rule = rules.find(name)
    if rule.on_pairs:
        raise UsageError(f"rule {name} needs candidates under the band's own seeds: ask for it when judging")
    return rule


def _on_pairs() -> str:
    return _any_of(name for name in rules.names() if rules.find(name).on_pairs)


def _looking_again() -> str:
    return _any_of(name for name in rules.names() if rules.find(name).looks_again)


def _any_of(names: Iterable[str]) -> str:
    """Rules as a sentence names them."""
    found = list(names)
    return f"rule {found[0]}" if len(found) == 1 else f"one of the rules {', '.join(found)}"
