"""check: score candidates exactly as the band's checkpoints were scored, and judge them by the band."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import executors, models, runs, store
from seedband.band import Band, Verdict, known_rule, load_band, valid_alpha
from seedband.candidates import Found, check_one_recipe, check_record, compare, resolve
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.preflight import scoring_for
from seedband.recipe import parse_recipe
from seedband.records import Candidate, Evaluation, ScoreJob, ScoreTarget, Scoring
from seedband.runs import OnEvent
from seedband.scoring import ITEMS
from seedband.stats.rules import Rule
from seedband.worker import RUN, SCORES

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Labels look permuted when, of the items whose label a permutation moves, so large a share is right under it …
PERMUTED_SHARE = 0.5
#: … and so many times what is right as things stand.
PERMUTED_RATIO = 2.0


def check(  # noqa: PLR0913  the public door of the gate: every keyword is one flag of the command
    candidates: str | Path | Sequence[str | Path],
    band: str | Path | Band,
    *,
    rule: Rule | None = None,
    alpha: float | None = None,
    data: str | Path | None = None,
    labels: Sequence[str] | None = None,
    base: str | None = None,
    strict: bool = False,
    offline: bool = False,
    on_event: OnEvent = lambda _: None,
) -> Verdict:
    """Judge the checkpoints of one candidate recipe.

    Args:
        candidates: Checkpoint folders, in the order trained: PEFT adapters, heads, whole models, runs or sweeps.
        band: band.json, or a band that was read from it.
        rule: Another rule than the band's.
        alpha: Another level than the band's.
        data: Where the eval file lies now; its content must be the band's.
        labels: Label of each output of the candidates, where that is not the band's order.
        base: The base that the candidates were trained on, where their own record of it leads nowhere.
        strict: Refuse another environment or method, too.
        offline: Whether model hubs must not be asked.
        on_event: Called with everything that happens.

    Returns:
        The verdict, with the candidates and what was noted on the way.

    Raises:
        UsageError: A path that is not there, an unknown rule.
        Refused: The scores would not be comparable, or a candidate cannot be opened safely.
        WorkFailed: Scoring crashed.
    """
    band = band if isinstance(band, Band) else load_band(band)
    rule = band.rule if rule is None else known_rule(rule)
    alpha = band.alpha if alpha is None else valid_alpha(alpha)
    if not band.provenance:
        raise Refused("this band was made from bare scores: it does not say how to score a checkpoint")
    scoring = _scoring(band, data, offline=offline)
    if labels is not None and sorted(labels) != sorted(scoring.labels):
        raise Refused(f"labels: the band has {sorted(scoring.labels)}, --labels has {sorted(labels)}")
    listed = [candidates] if isinstance(candidates, str | Path) else list(candidates)
    found = [entry for path in listed for entry in resolve(Path(path))]
    if not found:
        raise Refused("no candidate: there is nothing to judge")
    check_one_recipe(found)
    for entry in found:
        check_record(band, entry, scoring, base, strict=strict, offline=offline, on_event=on_event)
    with _workspace() as work:
        scored = _score(work, found, scoring, band, labels, strict=strict, offline=offline, on_event=on_event)
    _check_distinct(scored)
    return _judge(band, scored, rule, alpha)


def _scoring(band: Band, data: str | Path | None, *, offline: bool) -> Scoring:
    """How the band's checkpoints were scored, with everything it names found again and compared by content."""
    facts = band.provenance
    recipe = parse_recipe(facts["recipe"], "the band's recipe")
    base = models.locate_base(facts["base"]["reference"], facts["base"]["revision"], band.folder, offline=offline)
    if base.sha256 != facts["base"]["sha256"]:
        raise Refused(
            f"base weights: {base.path} has {base.sha256[:12]}…, the band was made on {facts['base']['sha256'][:12]}…"
        )
    path = Path(data) if data is not None else band.folder / facts["data"]["eval"]["path"]
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it is the band's eval data", hint="say where it lies with --data FILE")
    expected = facts["data"]["eval"]["sha256"]
    if (found := store.file_sha256(path)) != expected:
        raise Refused(
            f"eval data: {path} has sha256 {found[:12]}…, the band was made on {expected[:12]}…",
            hint="another eval set needs another band: sweep again",
        )
    return scoring_for(recipe, base, tuple(facts["signature"]["labels"]), path.absolute())


@contextmanager
def _workspace() -> Iterator[Path]:
    """A temporary folder that is kept when scoring crashed: its log says why."""
    work = Path(tempfile.mkdtemp(prefix="seedband-check-"))
    try:
        yield work
    except WorkFailed:
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)


def _score(
    work: Path,
    found: Sequence[Found],
    scoring: Scoring,
    band: Band,
    labels: Sequence[str] | None,
    *,
    strict: bool,
    offline: bool,
    on_event: OnEvent,
) -> list[Candidate]:
    order = None if labels is None else tuple(labels)
    targets = {
        index: ScoreTarget(entry.files, str(work / str(index)), order)
        for index, entry in enumerate(found)
        if not entry.failure
    }
    if targets:
        job = ScoreJob(scoring, tuple(targets.values()), _threads(band))
        executor = executors.make("local", slots=1, offline=offline, logs=work)
        runs.score(job, executor, on_event)
    return [
        _candidate(band, entry, work / str(index), order, strict=strict, on_event=on_event)
        for index, entry in enumerate(found)
    ]


def _threads(band: Band) -> int:
    return int(band.provenance["recipe"]["determinism"]["threads"])


def _candidate(
    band: Band, entry: Found, out: Path, order: tuple[str, ...] | None, *, strict: bool, on_event: OnEvent
) -> Candidate:
    """The scores of a candidate, compared once more by what the scoring itself put on record."""
    name = entry.files.name
    if entry.failure:
        return Candidate(name, {}, None, entry.failure)
    result = store.read_json(out / SCORES, "scores")
    sha256 = result["checkpoint_sha256"]
    if entry.record is not None and entry.record["checkpoint_sha256"] != sha256:
        raise Refused(f"{name}: its weights are not those that its {RUN} records", hint="restore the run's folder")
    if result["signature"] is None:
        return Candidate(name, {}, sha256, result["failure"])
    compare(band, name, result["signature"], strict=strict, on_event=on_event, only_record=False)
    evaluations = [Evaluation(**evaluation) for evaluation in result["evaluations"]]
    scores = {evaluation.metric: evaluation.score for evaluation in evaluations if evaluation.score is not None}
    for evaluation in evaluations:
        if evaluation.metric not in scores:
            raise Refused(f"{name}: no {evaluation.metric}: {evaluation.failure}")
    labels = band.provenance["signature"]["labels"]
    if order is None:
        _check_permuted(name, out / ITEMS, labels)
    seed_of = {known: int(seed) for seed, known in band.provenance["checkpoints"].items()}
    baseline_seed = seed_of.get(sha256) if order is None or list(order) == labels else None
    return Candidate(name, scores, sha256, result["failure"], baseline_seed)


def _check_permuted(name: str, path: Path, labels: Sequence[str]) -> None:
    """Refuse predictions that fit a permutation of the labels far better than the order assumed.

    The best permutation is found on the confusion matrix (Hungarian method); only labels that it moves count, so that
    one pair of labels swapped among many is seen, too, and most items of each must be predicted as its partner: a model
    that says one label for everything fits no permutation.
    """
    import numpy as np
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    items = pd.read_parquet(path, columns=["label", "prediction"])
    confusion: NDArray[Any] = np.zeros((len(labels), len(labels)), dtype=int)
    position = {label: index for index, label in enumerate(labels)}
    np.add.at(confusion, (items["label"].map(position).to_numpy(), items["prediction"].map(position).to_numpy()), 1)
    rows, columns = linear_sum_assignment(confusion, maximize=True)
    moved = rows != columns
    total = confusion[rows[moved]].sum()
    if not total:
        return
    right, as_is = confusion[rows[moved], columns[moved]].sum() / total, confusion.diagonal()[rows[moved]].sum() / total
    each = bool((confusion.argmax(axis=1)[rows[moved]] == columns[moved]).all())
    if each and right >= PERMUTED_SHARE and right >= PERMUTED_RATIO * as_is:
        pairs = [f"{labels[row]} → {labels[column]}" for row, column in zip(rows[moved], columns[moved], strict=True)]
        raise Refused(
            f"{name}: labels look permuted: {right:.0%} of the items of {len(pairs)} labels are predicted as another "
            f"one ({', '.join(pairs[:4])}), {as_is:.0%} as their own",
            hint="give the candidate's own label order with --labels FILE, one label a line",
        )


def _check_distinct(candidates: Sequence[Candidate]) -> None:
    """The same weights twice are one candidate, and a baseline checkpoint beside others is no new evidence."""
    seen: dict[str, str] = {}
    for candidate in candidates:
        sha256 = candidate.checkpoint_sha256
        if sha256 is not None and sha256 in seen:
            raise Refused(f"{candidate.name} has the same weights as {seen[sha256]}: one candidate counts once")
        if sha256 is not None:
            seen[sha256] = candidate.name
    known = [candidate for candidate in candidates if candidate.baseline_seed is not None]
    if known and len(known) < len(candidates):
        raise Refused(
            f"{known[0].name} is seed {known[0].baseline_seed} of the band itself, among candidates that are not",
            hint="give candidates of one new recipe",
        )


def _judge(band: Band, candidates: Sequence[Candidate], rule: Rule, alpha: float) -> Verdict:
    failed = [candidate for candidate in candidates if candidate.failure]
    if failed:
        reason = f"{failed[0].name} failed to train: {failed[0].failure}"
        scored = [candidate for candidate in candidates if candidate.scores]
        if len(scored) < len(candidates):
            return Verdict("fail", {}, band.primary, reason, candidates=tuple(candidates))
        verdict = band.judge(_by_metric(candidates), rule=rule, alpha=alpha, failure=reason)
        return replace(verdict, candidates=tuple(candidates))
    verdict = band.judge(_by_metric(candidates), rule=rule, alpha=alpha)
    known = [candidate.baseline_seed for candidate in candidates if candidate.baseline_seed is not None]
    if known:
        seeds = ", ".join(str(seed) for seed in known)
        reason = f"{'these are' if len(known) > 1 else 'this is'} seed {seeds} of the band itself, weight for weight"
        verdict = replace(verdict, status="pass", reason=reason)
    return replace(verdict, candidates=tuple(candidates))


def _by_metric(candidates: Sequence[Candidate]) -> dict[str, list[float]]:
    return {metric: [candidate.scores[metric] for candidate in candidates] for metric in candidates[0].scores}


def read_labels(path: Path) -> list[str]:
    """A label a line, or a JSON list of them."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    text = path.read_text(encoding="utf-8")
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return [str(label) for label in json.loads(text)]
    except ValueError as error:
        raise UsageError(f"{path}: neither a label a line nor a JSON list: {error}") from error
