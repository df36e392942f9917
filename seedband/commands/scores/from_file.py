"""Bands and verdicts from scores that were made elsewhere."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

from seedband.bands import rules
from seedband.bands.band import Band, fit_band, load_band
from seedband.bands.options import Fitting, FittingKeys, Judging, JudgingKeys
from seedband.bands.stats.failed import probable_failed
from seedband.bands.stats.limits import mean
from seedband.bands.stats.pair_looks import FEWEST
from seedband.bands.verdict import Verdict
from seedband.commands.scores.directions import ALL, direction_mistakes, direction_of, taken_for_granted
from seedband.errors import Problem, Refused, SeedbandError, UsageError
from seedband.events import Event
from seedband.recipe import locations
from seedband.scorefiles import MAX_LISTED, ScoreFile, Wanted, count, few, label, places, read_scores
from seedband.storage.json_files import JsonObject

#: How far a score may lie from the mean of its items and still count as that mean, rounded.
ROUNDING = 0.01


def band_from_scores(
    path: Path | Sequence[Path],
    *,
    band_path: Path = Path("band.json"),
    of_seeds: Collection[int] | None = None,
    higher_is_better: Collection[str] = (),
    wanted: Wanted | None = None,
    on_read: Callable[[str], None] = lambda _: None,
    **options: Unpack[FittingKeys],
) -> tuple[Band, tuple[str, ...]]:
    """Fit a band to score files.

    Args:
        path: The score file, several of them, or a folder of them.
        band_path: Where the band will lie: its record of the score file is relative to that folder.
        of_seeds: Root seeds that the band is of; all of the file by default.
        higher_is_better: Metrics that are no built-in evaluator and whose higher scores are better; or "all".
        wanted: What else the user says of the files.
        on_read: Called with what was read and left, and with what was taken for granted.
        **options: See `bands.options.Fitting`. Without a primary metric, the first gates of which higher is better,
            else the first; `lower_is_better` names metrics that are no built-in evaluator, or "all".

    Returns:
        The band, and notes for the user: seeds that probably failed to train, items that were of no use.

    Raises:
        UsageError: A malformed file, a metric without a direction, a flag that does not fit the file.
        Refused: Scores that are no evidence, or fewer than two healthy seeds.
    """
    fitting = Fitting(**options)
    lower_is_better, primary, gates = fitting.lower_is_better, fitting.primary, fitting.gates
    failed = fitting.failed_seeds
    flags = {*lower_is_better, *higher_is_better, *gates, *([] if primary is None else [primary])}
    asked = replace(wanted or Wanted(), named=frozenset(flags - {ALL}))
    whole = read_scores(path, failed, asked)
    file = whole if of_seeds is None else whole.of(of_seeds)
    what = label([source.path for source in file.sources])
    mistakes = [*direction_mistakes(file, lower_is_better, higher_is_better), *_failed_mistakes(file, failed)]
    if mistakes:
        raise UsageError(f"{what}: {count(mistakes, 'mistake')} in what was said of it", problems=mistakes[:MAX_LISTED])
    ways = {name: direction_of(file, name, lower_is_better, higher_is_better) for name in file.scores}
    chosen = primary
    if primary is None and len(file.scores) > 1:
        # Of those that gate, where some do.
        choice = [name for name in (gates or file.scores) if name in ways]
        chosen = next((name for name in choice if ways[name]), next(iter(choice), None))
    if file.one_run and len(file.seeds) == 1:
        raise Refused(f"{what}: is of one run, and one run has no spread", hint=_all_runs(file.path))
    for text in (*file.notes, *taken_for_granted(file, ways, flags, primary, chosen)):
        on_read(text)
    means = {name: table for name, table in file.items.items() if _are_means(file.scores[name], table)}
    with _about(what):
        band = fit_band(
            file.scores,
            alpha=fitting.alpha,
            rule=fitting.rule,
            primary=chosen,
            gates=gates,
            lower_is_better=[name for name, higher in ways.items() if not higher],
            items=means,
            seeds=file.seeds,
            failed_seeds=file.failed_seeds,
            history=fitting.history,
            provenance=_provenance(file, band_path, asked),
        )
    return band, (*_failure_notes(band), *_floor_notes(file, means))


def check_scores(
    scores: Path | Sequence[Path],
    band: Band,
    *,
    trained: Sequence[int] = (),
    wanted: Wanted | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
    **options: Unpack[JudgingKeys],
) -> Verdict:
    """Judge the candidate seeds of a score file, one score of every metric per seed.

    Args:
        scores: The score file, several of them, or a folder of them.
        band: To judge by.
        trained: Its seeds in the order trained, where that is on record; else the order of the file is it.
        wanted: What else the user says of the files; percent is read as for the band.
        on_event: Called with what is noted.
        **options: See `bands.options.Judging`: rule, alpha, tolerance, looks and final.

    Raises:
        UsageError: No such file, a malformed one, or more looks than seeds.
        Refused: Other metrics or items than the band's, NaN, duplicates, gaps.
    """
    judging, asked = Judging(**options), wanted or Wanted()
    percent = asked.percent or bool(_sources(band).get("percent"))
    file = read_scores(scores, (), replace(asked, only=frozenset(band.metrics), needs_seeds=False, percent=percent))
    what = label([source.path for source in file.sources])
    for text in file.notes:
        on_event(Event("note", content={"text": text}))
    if extra := [name for name in (*file.others, *file.scores) if name not in band.metrics]:
        text = f"{what}: {few(extra)}: left out, for the band has {few(band.metrics)}"
        on_event(Event("note", content={"text": text}))
    ours = band.provenance.get("items_sha256")
    if ours is not None and file.items_sha256 is not None and ours != file.items_sha256:
        raise Refused(f"{what}: its items are not those of the band", hint="score the band's own items")
    if "signature" in band.provenance:
        text = f"nothing on record says that {what} was scored as the band was: its evaluators and data are yours"
        on_event(Event("note", content={"text": text}))
    chosen = rules.find(band.rule if judging.rule is None else judging.rule)
    if chosen.on_pairs:
        if not file.names_seeds:
            kind = "JSON" if file.path.suffix.lower() == ".json" else "it"
            raise Refused(
                f"{what}: {kind} names no seeds, and rule {chosen.name} compares seed by seed", hint="give a CSV"
            )
        text = f"that the seeds of {what} share their draws with the band's is vouched for by whoever trained them"
        on_event(Event("note", content={"text": text}))
        if not judging.final and len(band.seeds) > FEWEST:
            text = "no record says which looks were taken, so every number of pairs from 2 on counts as one"
            on_event(Event("note", content={"text": f"{text}; --final says that this is the only one"}))
    # Where looks were taken, their order counts, and no score file of a sweep keeps it.
    order = sorted(range(len(file.seeds)), key=lambda row: trained.index(file.seeds[row]) if trained else row)
    with _about(what):
        return band.judge(
            {name: [own[row] for row in order] for name, own in file.scores.items()},
            rule=chosen.name,
            alpha=judging.alpha,
            seeds=[file.seeds[row] for row in order],
            tolerance=judging.tolerance,
            looks=judging.looks,
            final=judging.final,
        )


def check_target(band_path: Path, scores_path: Path | Sequence[Path], wanted: Wanted | None = None) -> None:
    """A band is evidence: only a band of the same score files is replaced, to which others may have come.

    Raises:
        UsageError: Something else lies at `band_path`.
    """
    if band_path.is_dir():
        raise UsageError(f"{band_path} is a folder, not a place for a band")
    if not band_path.exists():
        return
    given = places.files_of([scores_path] if isinstance(scores_path, Path) else scores_path)
    before, where = _made_from(band_path)
    if before and before <= {path.resolve() for path in given} and where == dict((wanted or Wanted()).where):
        return
    group = "".join(f" {column}={value}" for column, value in where.items()) if before else ""
    message = f", but of {group.strip()} alone" if group else ""
    raise UsageError(
        f"{band_path} exists, and it is not a band of {label(given)}{message}",
        hint="give another --band, or move the file",
    )


def _made_from(band_path: Path) -> tuple[set[Path], dict[str, str]]:
    """The score files that a band was made from, and of which group; none for a band of another kind."""
    try:
        band = load_band(band_path)
    except SeedbandError:
        return set(), {}
    facts = _sources(band)
    relative = [*facts.get("files", {}), *([facts["path"]] if "path" in facts else [])]
    return {(band_path.parent.resolve() / path).resolve() for path in relative}, dict(facts.get("where", {}))


def _sources(band: Band) -> JsonObject:
    """The record that a band has of its score files."""
    facts = band.provenance.get("scores", {})
    return facts if isinstance(facts, Mapping) else {}


def _are_means(scores: Sequence[float], items: Sequence[Sequence[float]]) -> bool:
    """Check whether every score is the mean of its items: only then do they say how far it moves by chance."""
    return all(math.isclose(score, mean(row), rel_tol=ROUNDING) for score, row in zip(scores, items, strict=True))


@contextmanager
def _about(what: str) -> Iterator[None]:
    """A refusal of scores names the file that they come from."""
    try:
        yield
    except Refused as error:
        raise Refused(f"{what}: {error.message}", problems=error.problems, hint=error.hint) from error


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
        f"seed {metric.seeds[index]} ({metric.name} {metric.scores[index]:.6g}) is more than 6 MADs {side} the "
        f"median: probably failed to train; exclude it with --failed {metric.seeds[index]}"
        for index in probable_failed(metric.oriented)
    )


def _all_runs(path: Path) -> str:
    """The command that makes a band of all runs beside one."""
    named = places.seeds_of([path])[path]
    part = named.part if isinstance(named, places.Named) else ""
    others = str(path).replace(part, part.rstrip("0123456789") + "*") if part else f"RUNS/*/{path.name}"
    return f"give the files of all seeds: seedband band {others}"


def _provenance(file: ScoreFile, band_path: Path, wanted: Wanted) -> JsonObject:
    """One file is on record as ever; several are by path; and what was said of them, where something was."""
    paths = {source: locations.relative_path(source.path, band_path.parent.resolve()) for source in file.sources}
    facts: dict[str, Any] = {"path": paths[file.sources[0]], "sha256": file.sha256}
    if len(paths) > 1:
        facts = {"files": {path: source.sha256 for source, path in paths.items()}}
    if wanted.where:
        facts["where"] = dict(wanted.where)
    if wanted.percent:
        facts["percent"] = True
    return {"made_by": f"seedband {version('seedband')}", "scores": facts, "items_sha256": file.items_sha256}
