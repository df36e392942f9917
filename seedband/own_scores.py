"""Sweeps of a training command that reports its own scores: nothing of seedband's scores, and there is no checkpoint.

The scores of all finished seeds go into one score file, and what becomes of it is what becomes of any score file; a
band is of the seeds that were asked for with one.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import MinLen

from seedband import commands, environment, executors, folders, provenance, reported, signature, store
from seedband.band import Band, load_band
from seedband.errors import Problem, Refused, UsageError
from seedband.evaluators import built_in
from seedband.executors import OnEvent
from seedband.folders import REPORTED_SWEEP
from seedband.from_scores import band_from_scores, check_scores, check_target
from seedband.jobs import each_warning_once, raise_crashes, raise_told, told_of
from seedband.recipe import LoadedRecipe, differing_keys
from seedband.records import Evaluation, Event, Outcome, Recipe, ReportJob, Run, SeedRun, Sweep
from seedband.reported import REPORTED, Reported
from seedband.schema import brief, read_record
from seedband.seeding import streams
from seedband.stats.rules import Rule
from seedband.verdict import Verdict

#: The score file of such a sweep.
SCORES = "scores.csv"
#: Keys of [train] on which no score depends.
FREE_KEYS = ("timeout_s", "retries", "save_steps")


@dataclass(frozen=True)
class _Data:
    """What the recipe calls the data of which the scores are; nothing else is known of it."""

    name: str
    version: str


@dataclass(frozen=True)
class _SweepFile:
    """reported-sweep.json of a sweep, as far as commands rely on it."""

    seeds: Annotated[tuple[int, ...], MinLen(1)]
    identity: Mapping[str, Any]
    data: _Data
    metrics: Mapping[str, Any]
    band_seeds: tuple[int, ...] = ()
    crashed: Mapping[str, str] = field(default_factory=dict)


class Plan(NamedTuple):
    """What such a sweep will do.

    Attributes:
        recipe: The recipe, found sound.
        start: Folder in which the command starts.
        folder: Of the sweep.
        seeds: Root seeds that are wanted.
        files: Files that the command names → SHA-256 of their content.
        finished: What is on record already, by seed.
        missing: Seeds to be trained.
    """

    recipe: Recipe
    start: Path
    folder: Path
    seeds: tuple[int, ...]
    files: Mapping[str, str]
    finished: tuple[Reported, ...]
    missing: tuple[int, ...]

    def as_dict(self, slots: int) -> dict[str, Any]:
        """The plan for people and scripts; what a run takes is known to its command alone."""
        del slots
        return {
            "folder": str(self.folder),
            "finished": [entry.seed for entry in self.finished],
            "seeds_to_train": list(self.missing),
            "seeds_to_score": [],
            "jobs": len(self.missing),
            "steps_per_run": None,
            "disk_bytes": None,
            "seconds": None,
            "seconds_from": "nothing is known of the command",
            "warnings": [],
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal within a sweep: the command with its files, its data, seeds, pins and metrics."""
        table = self.recipe.as_dict()
        train = {key: value for key, value in table["train"].items() if key not in FREE_KEYS and value is not None}
        kept = {key: table[key] for key in ("seeds", "determinism")}
        files = {f"train.command (other {name})": sha256 for name, sha256 in self.files.items()}
        data = _data(self.recipe)
        identity = {"train": train, "data": data, **kept, "evaluate": definitions(self.recipe), **files}
        found: dict[str, Any] = json.loads(store.canonical(identity))
        return found


def definitions(recipe: Recipe) -> dict[str, Any]:
    """Metric → what it is: by which name or expression the command reports it, and which direction is better."""
    patterns = commands.patterns_of(recipe.train, recipe.evaluate)
    return {
        entry.metric: {
            "read": {"printed": patterns[entry.metric]} if patterns else {"written": commands.key_of(entry)},
            "higher_is_better": _higher_is_better(entry.args, commands.key_of(entry)),
        }
        for entry in recipe.evaluate
    }


def _data(recipe: Recipe) -> dict[str, str]:
    """Name and version of the data, by which alone the scores of two sweeps are known to be of the same rows."""
    return {"name": recipe.data.name, "version": recipe.data.version}


def make_plan(
    loaded: LoadedRecipe, seeds: Sequence[int], *, out: str | Path | None = None, band: str | Path | None = None
) -> Plan:
    """What a sweep would do, and everything for which it would be refused; nothing is written.

    Raises:
        UsageError: Mistakes in what the recipe names, all at once; a folder or a band of something else.
        Refused: One seed and a band, or seeds that were trained with other versions.
    """
    recipe, start = loaded.recipe, loaded.folder
    problems = [*commands.local_problems(recipe, start), *_direction_problems(recipe)]
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise UsageError(f"{count} in what the recipe names", problems=problems)
    folder = Path("runs") / f"{recipe.data.name}-{recipe.train.method}" if out is None else Path(out)
    finished = tuple(_finished(folder))
    missing = tuple(seed for seed in seeds if seed not in {entry.seed for entry in finished})
    plan = Plan(recipe, start, folder, tuple(seeds), commands.hashes(recipe, start), finished, missing)
    _check_folder(plan)
    if band is not None:
        folders.refuse_one_seed(_on_record(plan), seeds, {entry.seed for entry in finished})
        check_target(Path(band), folder / SCORES)
        _history(plan)
    return plan


def sweep(
    loaded: LoadedRecipe,
    seeds: Sequence[int],
    *,
    out: str | Path | None,
    band: str | Path | None,
    jobs: int,
    offline: bool,
    keep_going: bool,
    on_event: OnEvent,
) -> Sweep:
    """Run the command under several seeds, collect the scores that it reports, and fit the band.

    Raises:
        UsageError: A recipe with mistakes, or another recipe than the folder's.
        Refused: Scores that are no evidence: the same under every seed, or of fewer than two seeds.
        WorkFailed: A seed crashed; the others are kept.
    """
    plan = make_plan(loaded, seeds, out=out, band=band)
    with store.locked(plan.folder):
        plan = make_plan(loaded, seeds, out=out, band=band)  # another sweep may have finished seeds before the lock
        for place in (plan.folder, *plan.folder.glob("seed-*/")):
            store.remove_parts(place)
        crashed = _carry_out(plan, slots=jobs, offline=offline, on_event=each_warning_once(on_event))
        raise_told(crashed)
        if not keep_going:
            raise_crashes(crashed, "sweep again to train it: what is finished is kept; --keep-going leaves it out")
        found = _finished(plan.folder)
        _check_distinct(plan.folder, found if band is None else _of_band(plan, found))
        _write_scores(plan.folder, found)
        runs = tuple(_run(plan.folder, entry) for entry in found)
        if band is None:
            return Sweep(plan.folder, runs, None, None)
        fitted = _fit(plan, Path(band), on_event)
        check_target(Path(band), plan.folder / SCORES)
        _record(plan, [], band=True)
        fitted.save(Path(band))
        return Sweep(plan.folder, runs, fitted.metrics[fitted.primary].median_seed, Path(band))


def is_reported(path: Path) -> bool:
    """Whether a folder is a sweep of a command that reports its own scores."""
    return (path / REPORTED_SWEEP).is_file()


def refuse_parts(paths: Sequence[Path]) -> None:
    """Turn away what is no candidate: a seed of such a sweep, or such a sweep beside others.

    Raises:
        Refused: One of them is.
    """
    for path in paths:
        if is_reported(path.absolute().parent):
            told = f"{path} is one seed of a sweep whose command reported its own scores"
            raise Refused(told, hint=f"its seeds are judged together: seedband check {path.parent}")
        if is_reported(path) and len(paths) > 1:
            told = f"{path} is a sweep whose command reported its own scores, and is judged alone"
            raise Refused(told, hint=f"seedband check {path}; further seeds are swept into this very folder")


def check(
    folder: Path,
    band: Band,
    *,
    rule: Rule | None,
    alpha: float | None,
    tolerance: float | None,
    strict: bool,
    on_event: OnEvent,
) -> Verdict:
    """Judge the scores of such a sweep by a band, as those of a score file.

    Raises:
        UsageError: An unknown rule, or a value out of range.
        Refused: A seed that is not finished, other data, metrics that are defined otherwise, scores that are no
            evidence, a score file that is not what the seeds have on record; other versions where `strict`.
    """
    record = read_record(folder / REPORTED_SWEEP, "reported-sweep", _SweepFile)[0]
    found = _finished(folder)
    lacking = [seed for seed in record.seeds if seed not in {entry.seed for entry in found}]
    if lacking:
        raise Refused(f"{folder}: seed {lacking[0]} of this sweep is not finished", hint="sweep again to finish it")
    _check_same_measure(folder, record, band)
    _tell_environment(folder, found, band, strict=strict, on_event=on_event)
    _check_distinct(folder, found)
    _check_scores_file(folder / SCORES, found)
    return check_scores(folder / SCORES, band, rule=rule, alpha=alpha, tolerance=tolerance, on_event=on_event)


def _check_same_measure(folder: Path, record: _SweepFile, band: Band) -> None:
    """Scores compare where both commands define them alike, on data of one name and version."""
    ours = band.provenance.get("command")
    if not isinstance(ours, Mapping):
        return
    if changed := differing_keys(ours.get("metrics", {}), record.metrics):
        told = f"{folder}: its command defines metrics otherwise than the band's: {', '.join(changed)}"
        raise Refused(told, hint="such scores are not comparable")
    known, data = ours.get("data", {}), asdict(record.data)
    for key in differing_keys(known, data):
        told = f"{folder}: data.{key}: the band has {brief(known.get(key))}, this sweep has {brief(data[key])}"
        raise Refused(told, hint="scores of other data are not comparable: sweep a band of it")


def _tell_environment(folder: Path, found: Sequence[Reported], band: Band, *, strict: bool, on_event: OnEvent) -> None:
    """Other versions than the band's; a release of seedband, which only hears the scores, is none."""
    ours = {"environment": {"versions": _foreign(signature.at(band.provenance, "environment.versions") or {})}}
    told: dict[str, str] = {}
    for entry in found if "command" in band.provenance else ():
        theirs = {"environment": {"versions": _foreign(entry.versions)}}
        for difference in signature.differences(ours, theirs):
            if difference.key == "environment":
                told.setdefault(str(difference), f"{folders.seed_folder(folder, entry.seed)}: {difference}")
    if told and strict:
        raise Refused(next(iter(told.values())), hint="--strict takes scores of the band's own versions alone")
    for text in told.values():
        on_event(Event("warning", content={"text": text}))


def _foreign(versions: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if name != "seedband"}


def _carry_out(plan: Plan, *, slots: int, offline: bool, on_event: OnEvent) -> list[Outcome]:
    """Run the command under the seeds that are missing; those that crashed."""
    _record(plan, [])
    on_event(Event("plan", content={"jobs": len(plan.missing), "seeds": plan.seeds, "folder": str(plan.folder)}))
    logs = plan.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    section = plan.recipe
    jobs = []
    for seed in plan.missing:
        place = folders.seed_folder(plan.folder, seed).absolute()
        place.mkdir(parents=True, exist_ok=True)
        run = SeedRun(seed, streams(seed, section.seeds.vary), str(place))
        start = str(plan.start.absolute())
        jobs.append(ReportJob(section.train, section.evaluate, section.determinism, run, start, plan.files))
    executor = executors.make("local", slots=slots, offline=offline, logs=logs)
    failed = [outcome for outcome in executor.run(jobs, on_event) if outcome.exit_code != 0]
    _record(plan, [outcome for outcome in failed if told_of(outcome) is None])
    return failed


def _on_record(plan: Plan) -> dict[str, Any]:
    """reported-sweep.json; empty where there is none, or what another recipe began here and left nothing of."""
    path = plan.folder / REPORTED_SWEEP
    record = read_record(path, "reported-sweep", _SweepFile)[1] if path.is_file() else {}
    return {} if record and differing_keys(record["identity"], plan.identity) else record


def _baseline(plan: Plan) -> set[int]:
    """The seeds that were asked for with a band: candidates in the same folder are no part of it."""
    return {*folders.with_seeds(_on_record(plan), plan.seeds, band=True)["band_seeds"]}


def _of_band(plan: Plan, found: Sequence[Reported]) -> list[Reported]:
    baseline = _baseline(plan)
    return [entry for entry in found if entry.seed in baseline]


def _record(plan: Plan, crashed: Sequence[Outcome], *, band: bool = False) -> None:
    """reported-sweep.json: which seeds, with a band or without, of what, and what became of those not finished."""
    before = _on_record(plan)
    told = dict(before.get("crashed", {}))
    for outcome in crashed:
        assert isinstance(outcome.job, ReportJob)
        told[str(outcome.job.run.seed)] = outcome.message
    left = {
        s: message for s, message in told.items() if not (folders.seed_folder(plan.folder, int(s)) / REPORTED).is_file()
    }
    told_of_all = {"identity": plan.identity, "data": _data(plan.recipe), "metrics": definitions(plan.recipe)}
    content = {**folders.with_seeds(before, plan.seeds, band=band), **told_of_all, "crashed": left}
    store.write_json(plan.folder / REPORTED_SWEEP, "reported-sweep", content)


def _finished(folder: Path) -> list[Reported]:
    """What every finished seed has on record, by seed."""
    found = []
    for path in folder.glob(f"seed-*/{REPORTED}"):
        entry = reported.read(path.parent)
        if path.parent.name != folders.seed_folder(folder, entry.seed).name:
            raise Refused(f"{path}: is of seed {entry.seed}", hint="every seed has its own folder")
        found.append(entry)
    return sorted(found, key=lambda entry: entry.seed)


def _check_folder(plan: Plan) -> None:
    """What lies in the folder must be of this very command, metrics and versions."""
    hint = "give another --out, or remove the folder"
    if plan.folder.exists() and not plan.folder.is_dir():
        raise UsageError(f"{plan.folder} is a file, not a folder")
    if (plan.folder / folders.SWEEP).is_file():
        raise UsageError(f"{plan.folder} holds a sweep whose checkpoints seedband scored", hint=hint)
    if plan.finished:
        record = read_record(plan.folder / REPORTED_SWEEP, "reported-sweep", _SweepFile)[0]
        if changed := differing_keys(record.identity, plan.identity):
            raise UsageError(f"{plan.folder} holds runs of another recipe: {', '.join(changed)} changed", hint=hint)
    now = environment.versions()
    for entry in plan.finished if plan.missing else ():
        place = folders.seed_folder(plan.folder, entry.seed)
        if changed := differing_keys(entry.versions, now):
            raise Refused(
                f"{place} was trained with other versions: {', '.join(changed)} changed",
                hint="give another --out, or go back to those versions",
            )


def _check_distinct(folder: Path, found: Sequence[Reported]) -> None:
    """Where scores are all that is known, only the same under every seed tells of a seed that nobody reads."""
    if len(found) > 1 and all(entry.scores == found[0].scores for entry in found):
        seeds = ", ".join(str(entry.seed) for entry in found)
        raise Refused(
            f"{folder}: seeds {seeds} gave identical scores on every metric: your script seems to ignore --seed",
            hint="give the seed to everything that draws; a metric of few items needs more of them",
        )


def _check_scores_file(path: Path, found: Sequence[Reported]) -> None:
    """What is judged is what the seeds have on record, sealed: the score file has no seal of its own."""
    if not path.is_file() or path.read_bytes() != _scores_text(found).encode():
        told = f"{path} is missing or not what the seeds beside it have on record in their {REPORTED}"
        raise Refused(
            told, hint="sweep again to write it anew; scores of your own go into a file of their own: --scores"
        )


def _write_scores(folder: Path, found: Sequence[Reported]) -> None:
    store.write_text(folder / SCORES, _scores_text(found))


def _scores_text(found: Sequence[Reported]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["metric", "seed", "score"])
    for entry in found:
        writer.writerows([metric, entry.seed, repr(score)] for metric, score in entry.scores.items())
    return text.getvalue()


def _fit(plan: Plan, path: Path, on_event: OnEvent) -> Band:
    """The band of the seeds asked for with one, with what is known of where its scores come from."""
    recipe, gate, baseline = plan.recipe, plan.recipe.gate, _baseline(plan)
    facts = definitions(recipe)
    band, notes = band_from_scores(
        plan.folder / SCORES,
        band_path=path,
        seeds=baseline,
        lower_is_better=[name for name, told in facts.items() if not told["higher_is_better"]],
        higher_is_better=[name for name, told in facts.items() if told["higher_is_better"]],
        primary=recipe.primary,
        gates=gate.metrics,
        rule=gate.rule,
        alpha=gate.alpha,
        history=_history(plan),
    )
    for text in notes:
        on_event(Event("note", content={"text": text}))
    command = recipe.train.command
    told = {
        "command": {
            "arguments": [] if command is None else list(commands.arguments_of(command)),
            "files": dict(plan.files),
            "metrics": facts,
            "data": _data(recipe),
            "vary": sorted(recipe.seeds.vary),
            "runs": provenance.relative_path(plan.folder, path.absolute().parent),
        },
        "environment": {"versions": environment.versions()},
        "crashed": {seed: text for seed, text in _on_record(plan)["crashed"].items() if int(seed) in baseline},
    }
    return replace(band, provenance={**band.provenance, **told})


def _run(folder: Path, entry: Reported) -> Run:
    scored = tuple(Evaluation(metric, score, 0, 0, None) for metric, score in entry.scores.items())
    return Run(entry.seed, folders.seed_folder(folder, entry.seed), "finished", "", scored, {}, {})


def _history(plan: Plan) -> list[Band]:
    """The earlier bands that the recipe names, relative to where it lies."""
    return [load_band(plan.start / path) for path in plan.recipe.gate.history]


def _direction_problems(recipe: Recipe) -> list[Problem]:
    """A metric must say which direction is better, unless a built-in evaluator of its name does."""
    problems = []
    for index, entry in enumerate(recipe.evaluate, 1):
        where, own = f"evaluate[{index}].args.higher_is_better", _built_in_direction(entry.metric)
        given = entry.args.get("higher_is_better")
        if given is None and _higher_is_better(entry.args, commands.key_of(entry)) is None:
            problems.append(Problem(where, "nothing", f"true or false: which is better for {commands.key_of(entry)}?"))
        if given is not None and own is not None and given != own:
            problems.append(Problem(where, str(given).lower(), f"{str(own).lower()}, as for {entry.metric} of ours"))
    return problems


def _higher_is_better(args: Mapping[str, Any], key: str) -> bool | None:
    given = args.get("higher_is_better")
    return given if isinstance(given, bool) else _built_in_direction(key)


def _built_in_direction(name: str) -> bool | None:
    evaluator = built_in(name)
    return None if evaluator is None else evaluator.higher_is_better
