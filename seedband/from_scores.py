"""Bands and verdicts from scores that were made elsewhere."""

import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seedband import evaluators
from seedband.band import Band, fit_band, load_band
from seedband.errors import Problem, Refused, SeedbandError, UsageError
from seedband.evidence import DEFAULT_ALPHA, known_rule
from seedband.records import Event
from seedband.scorefiles import MAX_LISTED, ScoreFile, count, few, read_scores
from seedband.stats.failed import probable_failed
from seedband.stats.limits import mean
from seedband.stats.pair_looks import FEWEST
from seedband.stats.rules import Rule
from seedband.verdict import Verdict

#: How far a score may lie from the mean of its items and still count as that mean, rounded.
ROUNDING = 0.01


def band_from_scores(  # noqa: PLR0913  one keyword for each thing that a user may say
    path: Path,
    *,
    band_path: Path = Path("band.json"),
    seeds: Collection[int] | None = None,
    lower_is_better: Collection[str] = (),
    higher_is_better: Collection[str] = (),
    primary: str | None = None,
    gates: Collection[str] = (),
    failed: Collection[int] = (),
    rule: Rule = "retest",
    alpha: float = DEFAULT_ALPHA,
    history: Sequence[Band] = (),
) -> tuple[Band, tuple[str, ...]]:
    """Fit a band to a score file.

    Args:
        path: The score file.
        band_path: Where the band will lie: its record of the score file is relative to that folder.
        seeds: Root seeds that the band is of; all of the file unless said.
        lower_is_better: Metrics that are no built-in evaluator and whose lower scores are better.
        higher_is_better: Metrics that are no built-in evaluator and whose higher scores are better.
        primary: The metric that gates; not needed when there is one metric.
        gates: Several metrics that gate, the primary among them; the primary alone unless said.
        failed: Root seeds that failed to train; they are counted and kept out of the band.
        rule: "retest", "t" or "range".
        alpha: False-alarm rate of the rule, from .001 to .2.
        history: Earlier bands of the same evaluators on the same eval set.

    Returns:
        The band, and notes for the user: seeds that probably failed to train, items that were of no use.

    Raises:
        UsageError: A malformed file, a metric without a direction, a flag that does not fit the file.
        Refused: Scores that are no evidence, or fewer than two healthy seeds.
    """
    whole = read_scores(path, failed)
    file = whole if seeds is None else whole.of(seeds)
    mistakes = [*_direction_mistakes(file.scores, lower_is_better, higher_is_better), *_failed_mistakes(file, failed)]
    if primary is None and len(file.scores) > 1:
        mistakes.append(Problem("--primary", "nothing", f"the metric that gates: {', '.join(file.scores)}"))
    if mistakes:
        raise UsageError(f"{path}: {count(mistakes, 'mistake')} in what was said of it", problems=mistakes[:MAX_LISTED])
    means = {name: table for name, table in file.items.items() if _are_means(file.scores[name], table)}
    with _about(path):
        band = fit_band(
            file.scores,
            alpha=alpha,
            rule=rule,
            primary=primary,
            gates=gates,
            lower_is_better=[
                name for name in file.scores if name in lower_is_better or _higher_is_better(name) is False
            ],
            items=means,
            seeds=file.seeds,
            failed_seeds=file.failed_seeds,
            history=history,
            provenance=_provenance(file, band_path),
        )
    return band, (*_failure_notes(band), *_floor_notes(file, means))


def check_scores(  # noqa: PLR0913  every keyword is one flag of the command
    scores: Path,
    band: Band,
    *,
    rule: str | None = None,
    alpha: float | None = None,
    tolerance: float | None = None,
    looks: int = 0,
    trained: Sequence[int] = (),
    final: bool = False,
    on_event: Callable[[Event], None] = lambda _: None,
) -> Verdict:
    """Judge the candidate seeds of a score file, one score of every metric per seed.

    Args:
        scores: The score file.
        band: To judge by.
        rule: Another rule than the band's.
        alpha: Another level than the band's.
        tolerance: Of rule `paired`.
        looks: How many of the seeds, the first ones, were looked at before the others were there; see `Band.judge`.
        trained: Its seeds in the order trained, where that is on record; else the order of the file is it.
        final: For rule `paired`, whether this is the only look.
        on_event: Called with what is noted.

    Raises:
        UsageError: No such file, a malformed one, or more looks than seeds.
        Refused: Other metrics or items than the band's, NaN, duplicates, gaps.
    """
    file = read_scores(scores)
    if extra := [name for name in file.scores if name not in band.metrics]:
        text = f"{scores}: {few(extra)}: left out, for the band has {few(band.metrics)}"
        on_event(Event("note", content={"text": text}))
    ours = band.provenance.get("items_sha256")
    if ours is not None and file.items_sha256 is not None and ours != file.items_sha256:
        raise Refused(f"{scores}: its items are not those of the band", hint="score the band's own items")
    if "signature" in band.provenance:
        text = f"nothing on record says that {scores} was scored as the band was: its evaluators and data are yours"
        on_event(Event("note", content={"text": text}))
    chosen = band.rule if rule is None else known_rule(rule)
    if chosen == "paired":
        if file.path.suffix.lower() == ".json":
            raise Refused(f"{scores}: JSON names no seeds, and rule paired compares seed by seed", hint="give a CSV")
        text = f"that the seeds of {scores} share their draws with the band's is vouched for by whoever trained them"
        on_event(Event("note", content={"text": text}))
        if not final and len(band.seeds) > FEWEST:
            text = "no record says which looks were taken, so every number of pairs from 2 on counts as one"
            on_event(Event("note", content={"text": f"{text}; --final says that this is the only one"}))
    # Where looks were taken, their order counts, and no score file of a sweep keeps it.
    order = sorted(range(len(file.seeds)), key=lambda row: trained.index(file.seeds[row]) if trained else row)
    with _about(scores):
        return band.judge(
            {name: [own[row] for row in order] for name, own in file.scores.items()},
            rule=chosen,
            alpha=alpha,
            seeds=[file.seeds[row] for row in order],
            tolerance=tolerance,
            looks=looks,
            final=final,
        )


def check_target(band_path: Path, scores_path: Path) -> None:
    """A band is evidence: only a band of the same score file is replaced.

    Raises:
        UsageError: Something else lies at `band_path`.
    """
    if band_path.is_dir():
        raise UsageError(f"{band_path} is a folder, not a place for a band")
    if band_path.exists() and _source(band_path) != scores_path.resolve():
        raise UsageError(
            f"{band_path} exists, and it is not a band of {scores_path}",
            hint="give another --band, or move the file",
        )


def _source(band_path: Path) -> Path | None:
    """The score file that a band was made from; None for a band of another kind, and for what is no band."""
    try:
        facts = load_band(band_path).provenance
    except SeedbandError:
        return None
    if "scores" not in facts:
        return None
    relative: str = facts["scores"]["path"]
    return (band_path.parent.resolve() / relative).resolve()


def _are_means(scores: Sequence[float], items: Sequence[Sequence[float]]) -> bool:
    """Whether every score is the mean of its items: only then do they say how far it moves by chance."""
    return all(math.isclose(score, mean(row), rel_tol=ROUNDING) for score, row in zip(scores, items, strict=True))


def _direction_mistakes(
    metrics: Collection[str], lower_is_better: Collection[str], higher_is_better: Collection[str]
) -> Iterator[Problem]:
    flags = {"--lower-is-better": lower_is_better, "--higher-is-better": higher_is_better}
    for flag, names in flags.items():
        unknown = [name for name in names if name not in metrics]
        yield from (Problem(f"{flag} {name}", "no such metric", f"one of {', '.join(metrics)}") for name in unknown)
    for name in metrics:
        own, given = _higher_is_better(name), [flag for flag, names in flags.items() if name in names]
        if len(given) > 1:
            yield Problem(name, " and ".join(given), "one of them")
        elif own is None and not given:
            yield Problem(name, "no direction", f"--lower-is-better {name} or --higher-is-better {name}")
        elif own is not None and given == ["--lower-is-better" if own else "--higher-is-better"]:
            yield Problem(f"{given[0]} {name}", "the wrong direction", "none: a built-in evaluator has its own")


def _higher_is_better(metric: str) -> bool | None:
    """Direction of a built-in evaluator; None for another metric."""
    evaluator = evaluators.built_in(metric)
    return None if evaluator is None else evaluator.higher_is_better


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """A refusal of scores names the file that they come from."""
    try:
        yield
    except Refused as error:
        raise Refused(f"{path}: {error.message}", problems=error.problems, hint=error.hint) from error


def _failed_mistakes(file: ScoreFile, failed: Collection[int]) -> Iterator[Problem]:
    for seed in failed:
        if seed not in file.failed_seeds:
            yield Problem(f"--failed {seed}", "no such seed", f"one of {few(map(str, file.seeds))}")


def _floor_notes(file: ScoreFile, means: Collection[str]) -> tuple[str, ...]:
    return tuple(
        f"{metric}: its scores are not the means of its items, so these set no floor under its noise"
        for metric in file.items
        if metric not in means
    )


def _failure_notes(band: Band) -> tuple[str, ...]:
    """A note for every seed whose primary score looks as if it had failed to train."""
    metric = band.metrics[band.primary]
    side = "below" if metric.higher_is_better else "above"
    return tuple(
        f"seed {metric.seeds[index]} ({metric.name} {metric.scores[index]:.6g}) lies more than 6 MADs {side} the "
        f"median: probably failed to train; exclude it with --failed {metric.seeds[index]}"
        for index in probable_failed(metric.oriented)
    )


def _provenance(file: ScoreFile, band_path: Path) -> dict[str, Any]:
    folder = file.path.parent.resolve()
    relative = Path(os.path.relpath(folder / file.path.name, band_path.parent.resolve())).as_posix()
    return {
        "made_by": f"seedband {version('seedband')}",
        "scores": {"path": relative, "sha256": file.sha256},
        "items_sha256": file.items_sha256,
    }
