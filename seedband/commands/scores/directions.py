"""Directions of metrics in score files: as evaluators have them, as the user says, else as file or name do."""

from collections.abc import Collection, Iterator, Mapping

from seedband import evaluators
from seedband.errors import Problem
from seedband.scorefiles import ScoreFile, few, names

#: Stands for every metric that has no direction of its own.
ALL = "all"


def direction_mistakes(
    file: ScoreFile, lower_is_better: Collection[str], higher_is_better: Collection[str]
) -> Iterator[Problem]:
    """Metrics without a direction, and flags that name none or contradict an evaluator."""
    metrics = file.scores
    flags = {"--lower-is-better": lower_is_better, "--higher-is-better": higher_is_better}
    for flag, listed in flags.items():
        unknown = [name for name in listed if name not in metrics and name != ALL]
        yield from (Problem(f"{flag} {name}", "no such metric", f"one of {', '.join(metrics)}") for name in unknown)
    for name in metrics:
        own, given = _built_in(name), [flag for flag, listed in flags.items() if name in listed]
        given = given or [flag for flag, listed in flags.items() if ALL in listed and own is None]
        if len(given) > 1:
            yield Problem(name, " and ".join(given), "one of them")
        elif own is None and not given and _told(file, name) is None:
            hint = "" if len(metrics) == 1 else "--metric NAME reads that one alone"
            yield Problem(name, "no direction", f"--lower-is-better {name} or --higher-is-better {name}", hint)
        elif own is not None and given == ["--lower-is-better" if own else "--higher-is-better"]:
            yield Problem(f"{given[0]} {name}", "the wrong direction", "none: a built-in evaluator has its own")


def direction_of(
    file: ScoreFile, name: str, lower_is_better: Collection[str], higher_is_better: Collection[str]
) -> bool:
    """Check whether higher is better: as its evaluator has it, as the user says, else as its file or name does."""
    if (own := _built_in(name)) is not None:
        return own
    if name in lower_is_better or name in higher_is_better:
        return name in higher_is_better
    if ALL in lower_is_better or ALL in higher_is_better:
        return ALL in higher_is_better
    return bool(_told(file, name))


def _told(file: ScoreFile, name: str) -> bool | None:
    """Direction that the file gives a metric, else its name."""
    return file.directions.get(name, names.higher_is_better(name))


def _built_in(metric: str) -> bool | None:
    """Direction of a built-in evaluator; None for another metric."""
    evaluator = evaluators.built_in(metric)
    return None if evaluator is None else evaluator.higher_is_better


def taken_for_granted(
    file: ScoreFile, ways: Mapping[str, bool], flags: Collection[str], primary: str | None, chosen: str | None
) -> Iterator[str]:
    """Notes on what was guessed: directions, and the metric that gates."""
    given = {*file.directions, *flags} if ALL not in flags else {*ways}
    guessed = [name for name in ways if _built_in(name) is None and name not in given]
    told = {
        "higher": [name for name in guessed if ways[name]],
        "lower": [name for name in guessed if not ways[name]],
    }
    if guessed:
        listed = "; ".join(f"{word} is better for {few(metrics)}" for word, metrics in told.items() if metrics)
        yield f"by their names, {listed}: --lower-is-better and --higher-is-better say otherwise"
    if chosen is not None and primary is None:
        yield f"{chosen} gates, of {len(ways)} metrics: --primary names another"
