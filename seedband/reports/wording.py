"""What a band and a verdict mean, in words: the same on a terminal, in a report and on a page.

Nothing here is escaped: who prints a line escapes it for where it goes.
"""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from seedband.bands import rules
from seedband.bands.band import Band
from seedband.bands.metric_band import MetricBand
from seedband.bands.stats.decision import Decision
from seedband.bands.verdict import MetricVerdict, SliceVerdict, Verdict
from seedband.counts import counted, plural
from seedband.storage.json_files import JsonObject

#: Scores below this are written with an exponent.
SMALL = 1e-4
#: Slices told one by one, the clearest first; a candidate that collapsed is worse on all of them.
TOLD_SLICES = 5


class Asked(NamedTuple):
    """What a check was asked, as far as it says what to do next.

    Attributes:
        again: The same call, given options that are set anew; None where it was given plain numbers.
        scores: The score file that was judged; empty for anything else.
        sweep: The sweep that was judged, where its command reports its own scores; empty for anything else.
        recipe: Whether the candidates' recipe was named.
        ledger: Whether a ledger was.
        more_seeds: Seeds that could be trained.
        pairs: Pairs that were.
        final: Whether it was announced as the only look at them.
    """

    again: Callable[[Mapping[str, str]], str] | None
    scores: str = ""
    sweep: str = ""
    recipe: bool = False
    ledger: bool = False
    more_seeds: int = 0
    pairs: int = 0
    final: bool = False


def clean(text: object) -> str:
    """Text without control characters: a label or a path must not drive the terminal.

    Examples:
        >>> clean("a" + chr(27) + "[31mb") == "a" + chr(92) + "x1b[31mb"
        True
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def score_format(metric: MetricBand) -> str:
    """The format specification that shows a hundredth of the metric's noise, in 4 decimals or more.

    Examples:
        >>> format(0.5, score_format(MetricBand("f1", (0.51, 0.53), (0, 1))))
        '0.5000'
        >>> format(2e-12, score_format(MetricBand("mse", (1.1e-12, 1.3e-12), (0, 1))))
        '2.000e-12'
    """
    sd, largest = metric.noise_sd, max(map(abs, metric.scores))
    if 0 < largest < SMALL:
        significant = math.ceil(math.log10(largest / sd)) + 2 if sd > 0 else 4
        return f".{min(max(significant, 2), 15)}e"
    return f".{next((d for d in range(4, 12) if sd >= 10.0 ** (1 - d)), 12) if sd > 0 else 4}f"


def verdict_line(name: str, m: MetricVerdict, band: MetricBand) -> str:
    """One greppable line for one metric."""
    d = score_format(band)
    parts = [
        f"{name}: {m.status.upper()}",
        f"score={_listed(m.scores, d)}",
        f"band=[{band.lower:{d}},{band.upper:{d}}]",
        f"rule={m.rule}",
        *([f"differences={_listed(m.differences, d)}", f"tolerance={m.tolerance:{d}}"] if m.differences else []),
        f"p={'unknown' if m.p_value is None else format(m.p_value, '.3g')}",
        f"false_alarm_rate={m.false_alarm_rate:.3g}",
        f"detectable_drop={'unknown' if m.detectable_drop is None else format(m.detectable_drop, d)}",
    ]
    if m.candidates_needed:
        parts.append(f"more_seeds={m.candidates_needed}..{m.candidates_at_most}")
    return " ".join([*parts, "gates" if m.gates else "advises"])


def conclusion(verdict: Verdict) -> str:
    """The reason of a verdict, and what would settle it."""
    return f"{verdict.reason}; 1 more seed, {_at_most(verdict)}" if verdict.candidates_needed else verdict.reason


def slice_lines(verdict: Verdict, band: Band) -> list[str]:
    """Slices on which candidates are worse than chance explains; one line where there are none."""
    if not verdict.slices:
        return []
    worse = _worse(verdict, band)
    if not worse:
        n = len({(entry.column, entry.value) for entry in verdict.slices})
        return [f"slices: on none of {n} is it worse than chance explains (Holm-corrected; slices advise)"]
    lines = []
    for entry in worse[:TOLD_SLICES]:
        d = score_format(band.metrics[entry.metric])
        name = f"{entry.metric} on {entry.column} = {entry.value} ({counted(entry.n_items, 'item')})"
        edges = f"score={_listed(entry.scores, d)} band=[{entry.lower:{d}},{entry.upper:{d}}]"
        lines.append(f"{name}: {edges} p={entry.p_adjusted:.3g} after Holm advises")
    more = len(worse) - len(lines)
    if more:
        lines.append(f"… and {counted(more, 'more slice')} like these (--json has {plural(more, 'it', 'them')})")
    return lines


def _worse(verdict: Verdict, band: Band) -> list[SliceVerdict]:
    """Slices on which candidates are worse than chance explains, the clearest first."""
    worse = [entry for entry in verdict.slices if entry.p_adjusted <= band.alpha]
    return sorted(worse, key=lambda entry: entry.p_adjusted)


def after_fail(verdict: Verdict, band: Band, path: str) -> str:
    """Commands after a fail: one shows where it lost, the others make a deliberate change the new band.

    Args:
        verdict: Which failed.
        band: That it was held against.
        path: Of the band, as the user named it.
    """
    worse = _worse(verdict, band) if "runs" in band.provenance else []
    by = f" --by {shlex.quote(worse[0].column)}" if worse else ""
    show = f"seedband show {shlex.quote(path)}{by}"
    return f"see what it is held against: {show}, or if the change is meant: {_meant(band, path)}"


def after_suspect(verdict: Verdict, asked: Asked) -> str:
    """The step that settles a suspect: the same call, with as many more seeds as it may need."""
    if not _on_pairs(verdict):
        return f"1 more seed, {_at_most(verdict)}: {_one_more(verdict, asked)}"
    if asked.final:
        return "this was announced as the only look at pairs: change the recipe, or sweep the band with more seeds"
    if not verdict.candidates_needed:
        settles = "sweep the band with more seeds, score more items, or allow a larger --tolerance"
        return f"no seed of the band is left: {settles}"
    return f"1 more seed, {_at_most(verdict)}: {_one_more_pair(asked)}"


def _on_pairs(verdict: Verdict) -> bool:
    return rules.find(verdict.metrics[verdict.primary].rule).on_pairs


def _one_more(verdict: Verdict, asked: Asked) -> str:
    """The call by which the next seed joins and earlier looks stay on record."""
    primary = verdict.metrics[verdict.primary]
    taken = len(primary.scores) if rules.find(primary.rule).looks_again else 0
    again = {"--looks": str(taken)} if taken else {}
    if asked.again is None:
        message = f", the new one last, with looks={taken}" if taken else ""
        return f"train and score it as the others, and give the scores of all of them{message}"
    if asked.scores:
        return f"train and score it as the others, add it to {asked.scores}, then {asked.again(again)}"
    if asked.sweep:
        return f"sweep {asked.sweep} with one more, then {asked.again(again)}"
    known = asked.recipe or any(candidate.seed is not None for candidate in verdict.candidates)
    extra = {} if known else {"--recipe": "CANDIDATE.toml"}
    own = asked.again({"--more-seeds": str(asked.more_seeds + verdict.candidates_at_most), **extra})
    if asked.ledger:
        return f"{own}, or check a checkpoint of another seed with the same --ledger"
    return own if known or not taken else f"name a checkpoint of another seed behind it, with --looks {taken}, or {own}"


def _one_more_pair(asked: Asked) -> str:
    if asked.again is not None and asked.pairs:
        return asked.again({"--pairs": str(asked.pairs + 1)})
    if asked.again is not None and asked.sweep:
        return f"sweep {asked.sweep} with another seed of the band, then {asked.again({})}"
    where = f"add its row to {asked.scores}" if asked.scores else "name its run, too"
    where = "give the scores of all of them" if asked.again is None else where
    return f"train the candidate under another seed of the band, and {where}"


def _meant(band: Band, path: str) -> str:
    """The commands that make a deliberate change the band: only runs with checkpoints can be accepted."""
    if "recipe" not in band.provenance:
        return "score its seeds, and make a new band with seedband band"
    sweep = "seedband sweep --config NEW.toml"
    if not any(band.provenance.get("checkpoints", {}).values()):
        return f"make a new band with {sweep}"
    return f"{sweep}, then seedband accept runs/NAME --band {shlex.quote(path)} --reason TEXT"


def verdict_sentences(verdict: Verdict, band: Band) -> list[str]:
    """False-alarm rate and detectable drop of the metrics that gate, and failed seeds, as sentences."""
    lines = []
    for name, m in verdict.gating.items():
        d = score_format(band.metrics[name])
        prefix = f"{name}: " if len(verdict.gating) > 1 else ""
        lines.append(f"{prefix}{_rate(m, d)}; {_smallest_drop(m.detectable_drop, d)}")
    if len(verdict.gating) > 1:
        lines.append(
            f"{len(verdict.gating)} metrics gate: false-alarm rate at most {verdict.false_alarm_rate:.1%} in all"
        )
    if band.failed_seeds:
        seeds = len(band.seeds) + len(band.failed_seeds)
        lines.append(
            f"on top of that, {len(band.failed_seeds)} of {counted(seeds, 'baseline seed')} failed to train "
            f"({verdict.failure_rate:.0%})"
        )
    return lines


def _rate(m: MetricVerdict, d: str) -> str:
    if rules.find(m.rule).on_pairs:
        rate = f"at most {m.false_alarm_rate:.1%} for recipes no worse than the tolerance {m.tolerance:{d}}"
        return f"false-alarm rate: {rate}"
    return f"false-alarm rate: {_percent(m)}"


def _percent(rates: MetricVerdict | Decision) -> str:
    """The rate at which an unchanged recipe fails, and the rate at which it needs another seed first."""
    again = f" ({rates.screen_rate:.0%} need another seed first)" if rates.screen_rate else ""
    return f"{'at most ' if rates.rate_is_bound else ''}{rates.false_alarm_rate:.1%}{again}"


def _smallest_drop(drop: float | None, d: str) -> str:
    """The smallest drop of one candidate that fails the check in 80 % of cases; without a scale nobody knows."""
    if drop is None:
        return "smallest drop caught: unknown, for the scores have no spread"
    return f"smallest drop caught with 80 % power: {drop:{d}}"


def _at_most(verdict: Verdict) -> str:
    """The most seeds that there can be: pairs end with the band's seeds, whether or not they settled it."""
    left = verdict.candidates_at_most
    return f"{left} left in the band" if _on_pairs(verdict) else f"{left} at most"


def _listed(scores: Sequence[float], d: str) -> str:
    return ",".join(f"{score:{d}}" for score in scores)


def band_sentences(band: Band) -> list[str]:
    """False-alarm rate and detectable drop of one candidate, and what else there is to know, as sentences."""
    lines = [_band_rates(band.metrics[name], band) for name in band.gates]
    if len(band.gates) > 1:
        primary = band.metrics[band.primary]
        each = "" if not rules.find(band.rule).has_level else f", each at alpha {primary.alpha:.3g}"
        total = min(1.0, sum(band.metrics[name].prospect(band.rule).false_alarm_rate for name in band.gates))
        alone = _smallest_drop(primary.prospect(band.rule, band.alpha).detectable_drop, score_format(primary))
        lines.append(
            f"{len(band.gates)} metrics gate{each}: false-alarm rate about {total:.1%} in all; "
            f"gating on {primary.name} alone, {alone}"
        )
    lines += [_history(metric, band) for metric in band.metrics.values() if metric.prior.df]
    if band.failed_seeds:
        rate, n = band.metrics[band.primary].failure_rate, len(band.seeds)
        lines.append(
            f"{len(band.failed_seeds)} of {n + len(band.failed_seeds)} seeds failed to train "
            f"({rate.share:.0%}, 90 % interval {rate.low:.0%} to {rate.high:.0%}); they are no part of the band"
        )
    for seed, message in band.provenance.get("crashed", {}).items():
        lines.append(f"seed {seed} is no part of the band, for its run crashed: {message}")
    if band.metrics[band.primary].spread == 0:
        lines.append("all seeds score the same: zero spread is not evidence of zero noise")
    if accepted := band.provenance.get("accepted"):
        lines.append(_accepted(accepted))
    return lines


def _accepted(entries: Sequence[JsonObject]) -> str:
    """The number of accepted changes, and the reason of the last one."""
    last, times = entries[-1], "once" if len(entries) == 1 else f"{len(entries)} times"
    who = f" by {last['by']}" if last["by"] else ""
    return f"accepted {times}, last: {last['reason']} ({last['when']}{who}); before it: {last['replaced']['file']}"


def _history(metric: MetricBand, band: Band) -> str:
    """The worth of earlier bands, in words."""
    d, history = score_format(metric), band.provenance["history"]
    return (
        f"{metric.name}: history of {history['bands']} bands, worth {metric.prior.df:.1f} degrees of freedom beside "
        f"{metric.n - 1} of its own: sd {metric.noise_sd:{d}} instead of {metric.sd:{d}}; that they share "
        f"evaluator and eval set is {history['comparability']}"
    )


def _band_rates(metric: MetricBand, band: Band) -> str:
    """False-alarm rate of the band's rule, and the smallest drop that it catches."""
    name = f"{metric.name}, " if len(band.gates) > 1 else ""
    sight = metric.prospect(band.rule)
    drop = _smallest_drop(sight.detectable_drop, score_format(metric))
    return f"{name}rule {band.rule}: false-alarm rate {_percent(sight)}; {drop}"
