"""Score candidates exactly as the checkpoints of a band were scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seedband import tasks
from seedband.bands.band import Band
from seedband.bands.verdict import Candidate
from seedband.commands.check.candidates import Found, check_record, compare, recorded_labels
from seedband.commands.check.label_order import refuse_permuted
from seedband.commands.sweep.prepare import columns_of, scoring_for
from seedband.commands.sweep.trust import trusted_folder
from seedband.data import row_diff
from seedband.data.data_files import locate
from seedband.data.dataset import data_sha256, load_items
from seedband.errors import Refused, UsageError
from seedband.jobs import run_jobs
from seedband.jobs.executors import Executor, OnEvent
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.score import ScoreTarget
from seedband.models import bases
from seedband.recipe import identity
from seedband.recipe.locations import on_hub
from seedband.recipe.parse import parse_recipe
from seedband.recipe.scoring import Base, Scoring
from seedband.runs import eval_rows, slices
from seedband.runs.item_table import read_table
from seedband.runs.layout import ITEMS, RUN
from seedband.runs.run import read_scored


@dataclass(frozen=True)
class Rescorer:
    """Scores the candidates of one call, all in the band's way.

    Attributes:
        band: The band that they will be judged by.
        scoring: How its checkpoints were scored, with everything it names found again on this machine.
        labels: Label of each output of the candidates, where that is not the band's order.
        base: The base that the candidates were trained on, where their own record of it leads nowhere.
        strict: Refuse another environment or method, too.
        executor: Where jobs go.
        offline: Whether model hubs must not be asked.
        on_event: Called with everything that happens.
    """

    band: Band
    scoring: Scoring
    labels: tuple[str, ...] | None
    base: str | None
    strict: bool
    executor: Executor
    offline: bool
    on_event: OnEvent

    def score(self, found: Sequence[Found]) -> list[Candidate]:
        """The candidates with their scores, in the order given.

        Raises:
            Refused: The scores would not be comparable, or a candidate cannot be opened safely.
            WorkFailed: Scoring crashed.
        """
        for entry in found:
            check_record(
                self.band,
                entry,
                self.scoring,
                self.base,
                strict=self.strict,
                offline=self.offline,
                on_event=self.on_event,
            )
        with run_jobs.workspace("check") as work:
            places = [work / str(index) for index in range(len(found))]
            targets = tuple(
                ScoreTarget(entry.files, str(place), self.labels or recorded_labels(entry.files, self.scoring) or None)
                for entry, place in zip(found, places, strict=True)
                if not entry.failure
            )
            if targets:
                section = parse_recipe(self.band.provenance["recipe"], "the band's recipe").determinism
                job = ScoreJob(self.scoring, targets, section)
                run_jobs.score(job, self.executor, work, self.on_event)
            return [self._candidate(entry, place) for entry, place in zip(found, places, strict=True)]

    def _candidate(self, entry: Found, out: Path) -> Candidate:
        """The scores of a candidate, compared once more by what the scoring itself put on record."""
        name, seed = entry.files.name, entry.seed
        if entry.failure:
            return Candidate(name, {}, None, entry.failure, seed=seed)
        scored = read_scored(out)
        sha256 = scored.checkpoint_sha256
        if entry.run is not None and entry.run.checkpoint_sha256 != sha256:
            raise Refused(f"{name}: its weights are not those that its {RUN} records", hint="restore the run's folder")
        if scored.signature is None:
            return Candidate(name, {}, sha256, scored.failure, seed=seed)
        for crashed in (evaluation for evaluation in scored.evaluations if evaluation.crashed):
            run_jobs.raise_unscored(name, crashed, "check again")  # it could not say what it would have run
        compare(self.band, name, scored.signature, strict=self.strict, on_event=self.on_event, only_record=False)
        scores = {
            evaluation.metric: evaluation.score for evaluation in scored.evaluations if evaluation.score is not None
        }
        for evaluation in scored.evaluations:
            run_jobs.raise_unscored(name, evaluation, "check again")
        labels, items = self.band.provenance["signature"]["labels"], read_table(out / ITEMS)
        if self.labels is None and labels and not _on_record(entry, self.scoring):
            refuse_permuted(name, items, labels)
        seed_of = {known: int(seed) for seed, known in self.band.provenance["checkpoints"].items()}
        baseline_seed = seed_of.get(sha256) if self.labels in (None, tuple(labels)) else None
        by_slice = slices.of_candidate(items, self.band)
        return Candidate(name, scores, sha256, scored.failure, baseline_seed, seed, by_slice)


def scoring_of(
    band: Band,
    data: str | Path | None,
    own: str | Path | None = None,
    base_at: str | None = None,
    *,
    offline: bool,
) -> Scoring:
    """The scoring of the band's checkpoints, with everything that it names found again and compared by content.

    Args:
        band: Which.
        data: Where its eval data lie now.
        own: A recipe of the user's own, for evaluators that a record alone cannot make run.
        base_at: Where the base lies now; where the band's record says unless it is the band's.
        offline: Whether model hubs must not be asked.
    """
    facts = band.provenance
    recipe = parse_recipe(facts["recipe"], "the band's recipe")
    base = _base(band, base_at, offline=offline)
    bases.check_reads(Path(base.path), tasks.find(recipe.model.task).reader)
    path = _eval_path(band, data, offline=offline)
    if not path.exists():
        raise UsageError(f"{path}: no such file; it is the band's eval data", hint="say where it is with --data FILE")
    expected = facts["data"]["eval"]["sha256"]
    found, also = data_sha256(path, columns_of(recipe))
    if not identity.same_rows(facts["data"]["eval"], {"sha256": found, "also": also}):
        raise _other_rows(band, path, columns_of(recipe), f"{path} has sha256 {found[:12]}…", f"{expected[:12]}…")
    recorded = band.folder / facts.get("folder", ".")
    start = trusted_folder(recipe, recorded, None if own is None else Path(own))
    return scoring_for(recipe, base, tuple(facts["signature"]["labels"]), path.absolute(), start)


def _base(band: Band, base_at: str | None, *, offline: bool) -> Base:
    """The base of a band, known by its content, wherever it lies now."""
    facts, hint = band.provenance["base"], "say where it is now with --base FOLDER"
    if base_at is not None:
        given = bases.locate_base(base_at, None, Path(), offline=offline, keys=("--base", "a commit"))
        if given.sha256 == facts["sha256"]:
            return replace(given, reference=facts["reference"])
        hint = f"--base {base_at} is another model, {given.sha256[:12]}…; {hint}"
    try:
        base = bases.locate_base(facts["reference"], facts["revision"], band.folder, offline=offline)
    except UsageError as error:
        raise UsageError(f"the band's base: {error.message}", problems=error.problems, hint=hint) from error
    if base.sha256 != facts["sha256"]:
        message = f"base weights: {base.path} has {base.sha256[:12]}…, the band was made on {facts['sha256'][:12]}…"
        raise Refused(message, hint=hint)
    return base


def _eval_path(band: Band, data: str | Path | None, *, offline: bool) -> Path:
    """The path of the band's eval data, from the user or from its record."""
    recorded = band.provenance["data"]["eval"]["path"]
    if data is None:
        return locate(recorded, band.folder, offline=offline) if on_hub(recorded) else band.folder / recorded
    return locate(str(data), Path(), offline=offline) if on_hub(str(data)) else Path(data)


def _other_rows(band: Band, path: Path, columns: Mapping[str, Any], found: str, expected: str) -> Refused:
    """The refusal of eval data other than the band's, with the first rows that differ as far as that can be known."""
    ours, told = eval_rows.of_band(band), ""
    if ours is not None:
        try:
            told = f": {row_diff.changes(ours, row_diff.of_items(load_items(path, columns)))}"
        except UsageError as error:
            told = f", and it cannot be read: {error.problems[0] if error.problems else error.message}"
    return Refused(
        f"eval data: {found}, the band was made on {expected}{told}",
        hint=f"`seedband diff-data BAND {path}` names every row; another eval set needs another band: sweep again",
    )


def _on_record(entry: Found, scoring: Scoring) -> bool:
    """Check whether a candidate itself says in which order its outputs stand for the labels, which is used.

    The record of a run says it of what seedband trained: a script of the user's own may have an order of its own.
    """
    if recorded_labels(entry.files, scoring):
        return True
    return entry.run is not None and not entry.run.recorded.by_command
