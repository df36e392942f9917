"""accept: a deliberate change is blessed: the band of a finished sweep takes the place of the one that gates.

The old band stays beside it as it was, and the new one says why it was replaced, when and by whom.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from seedband.bands import comparability
from seedband.bands.band import Band, load_band
from seedband.commands.sweep.fit import fit
from seedband.commands.sweep.plan import Plan, make_plan
from seedband.commands.sweep.prepare import prepare
from seedband.counts import counted
from seedband.errors import Refused, UsageError
from seedband.models.recognise import recognise
from seedband.recipe import identity
from seedband.recipe.locations import recorded_recipe
from seedband.recipe.parse import differing_keys
from seedband.runs import reported_folder, sweep_file
from seedband.runs.layout import RUN
from seedband.runs.run import Run
from seedband.runs.sweep_file import RecordedSweep
from seedband.storage import atomic_files, file_hashes, json_files, locks
from seedband.storage.validation import brief

#: What a score is made of: where it differs, the two bands do not measure the same, and that has to be said.
MEASURE = tuple(
    key.partition(".")[0]
    for key, need in comparability.COMPARED.items()
    if (need == "must" and "base" not in key) or key == "encoded.sha256"
)
#: Keys of a recipe that say where things lie or what they are called: what lies there is compared by content.
PLACES = {"data.train", "data.eval", "data.name", "data.version", "model.base", "model.revision"}
#: Digits of a hash by which an old band is named.
DIGITS = 12
#: How long git may take.
GIT_SECONDS = 10


@dataclass(frozen=True)
class Accepted:
    """A band that took another's place.

    Attributes:
        path: Where it lies.
        band: The new one.
        old: The old one.
        kept: Where the old one lies now, byte for byte as it was.
        changed: In what the two differ, a line each.
        reason: Why it was replaced.
    """

    path: Path
    band: Band
    old: Band
    kept: Path
    changed: tuple[str, ...]
    reason: str


def accept(
    folder: str | Path,
    band: str | Path = "band.json",
    *,
    reason: str,
    allow: Collection[str] = (),
    offline: bool = False,
) -> Accepted:
    """Replace a band by that of a finished sweep.

    Args:
        folder: Of the sweep.
        band: The band that is replaced.
        reason: Why; it stands in the new band.
        allow: What of `MEASURE` may differ from the old band.
        offline: Whether model hubs must not be asked.

    Raises:
        UsageError: No reason, no such sweep or band, or the sweep's own band.
        Refused: The runs are no full sweep, do not hold together, or measure something else than the old band.
        WorkFailed: The disk is full or not to be written to; the old band is still there.
    """
    folder, path, reason = Path(folder), Path(band), " ".join(reason.split())
    if not reason:
        raise UsageError("--reason is empty", hint="say why the change is meant: the band keeps it")
    if unknown := sorted({*allow} - {*MEASURE}):
        raise UsageError(f"--allow {unknown[0]}: nothing of that name can differ", hint=f"one of {', '.join(MEASURE)}")
    _refuse_reported(folder, path)
    record = sweep_file.read_sweep(folder)
    old = load_band(path)
    if "recipe" not in old.provenance:
        message = f"{path}: was made from scores alone, so nothing tells in what the two bands differ"
        raise Refused(message, hint=_by_hand(path, "write the new one with sweep or band"))
    with locks.locked(folder):
        before = path.read_bytes()
        plan = _plan(folder, record, offline=offline)
        new = _fitted(plan, record, path)
        if _is_same(old, new):
            _take_over(path, plan, new, record)
        if len(new.seeds) < len(old.seeds):
            raise Refused(
                f"{folder} has {counted(len(new.seeds), 'healthy seed')}, {path} has {len(old.seeds)}",
                hint=f"sweep it on with --seeds {len(old.seeds) + len(new.failed_seeds)} or more",
            )
        changed = tuple(_changes(old, new, allow))
        accepted = Accepted(path, new, old, _place_of(path, before), changed, reason)
        return _put(accepted, before, plan)


def _refuse_reported(folder: Path, band: Path) -> None:
    """A sweep whose command reported its scores has no weights and items by which its band could be made anew.

    Raises:
        Refused: It is one.
    """
    if reported_folder.is_reported(folder):
        message = f"{folder}: its training command reported its own scores, and accept takes sweeps with checkpoints"
        raise Refused(message, hint=_by_hand(band, f"write the new one with sweep --out {folder}"))


def _by_hand(band: Path, written: str) -> str:
    """Instructions for a band that `accept` does not replace."""
    new, old = (band.with_name(f"{band.stem}.{what}{band.suffix}") for what in ("new", "old"))
    return f"by hand: {written} --band {new}, look at both, then: mv {band} {old} && mv {new} {band}"


def _plan(folder: Path, record: RecordedSweep, *, offline: bool) -> Plan:
    """The sweep as its recipe has it: every run that it asked for is there, and scored as asked.

    Raises:
        Refused: It is not.
    """
    prepared = prepare(recorded_recipe(record.recorded, folder), offline=offline)
    if changed := identity.changed_keys(record.recorded, prepared.recorded):
        raise Refused(
            f"{folder}: what it was trained on is no longer there: {', '.join(changed)} changed",
            hint="restore the data and the base, or sweep again",
        )
    try:
        plan = make_plan(prepared, record.band_seeds or record.seeds, folder)
    except UsageError as error:
        raise Refused(error.message, hint="its runs are not those of its recipe: sweep again") from error
    has_band = record.band is not None
    missing = [run.seed for job in plan.jobs for run in job.runs if not (has_band and str(run.seed) in record.crashed)]
    if missing:
        crash = record.crashed.get(str(missing[0]))
        why = "its run is not finished" if crash is None else crash.message
        raise Refused(f"{folder} is no full sweep: seed {missing[0]}: {why}", hint="sweep again to finish it")
    if plan.stale:
        message = f"seed {plan.stale[0].seed} is not scored as its recipe asks"
        raise Refused(f"{folder} is no full sweep: {message}", hint="sweep again to score it: nothing is trained again")
    failed = [run for run in plan.finished if run.status == "failed"]
    if failed and not has_band:
        raise Refused(
            f"{folder} is no full sweep: seed {failed[0].seed} failed to train: {failed[0].failure}",
            hint="give it a band of its own first (sweep --band FILE), which counts failed seeds",
        )
    return plan


def _fitted(plan: Plan, record: RecordedSweep, path: Path) -> Band:
    """The band of the sweep's runs, which are those on record to the last bit."""
    ours = [run for run in plan.finished if run.seed in plan.seeds]
    for run in ours:
        _check_weights(run)
    crashed = {seed: crash.message for seed, crash in record.crashed.items() if int(seed) in plan.seeds}
    return fit(plan.prepared, ours, path, crashed=crashed)


def _check_weights(run: Run) -> None:
    from seedband.jobs.score import checkpoint_sha256
    from seedband.models.checkpoints import checkpoint_tensors

    recorded = run.checkpoint_sha256
    if recorded is None:  # nothing was left that could be scored
        return
    files = recognise(run.folder, str(run.folder))
    if checkpoint_sha256(files, checkpoint_tensors(files)) != recorded:
        raise Refused(
            f"{run.folder}: its weights are not those that its {RUN} records", hint="restore the run's folder"
        )


def _is_same(old: Band, new: Band) -> bool:
    """Check whether a band is of these very runs."""
    facts = ("checkpoints", "items", "signature")
    return (old.seeds, old.metrics) == (new.seeds, new.metrics) and all(
        json_files.canonical(old.provenance.get(key)) == json_files.canonical(new.provenance[key]) for key in facts
    )


def _take_over(path: Path, plan: Plan, new: Band, record: RecordedSweep) -> None:
    """A band of these very runs needs no reason; where an `accept` was killed, its sweep learns of it now."""
    sha256 = file_hashes.file_sha256(path)
    if record.band is None or (plan.folder / record.band).resolve() != path.resolve() or sha256 != record.band_sha256:
        plan.record.name_band(plan.seeds, path, new, sha256)
    raise UsageError(f"{path} is the band of {plan.folder} already: there is nothing to accept")


def _changes(old: Band, new: Band, allow: Collection[str]) -> Iterator[str]:
    """In what two bands differ, a line each.

    Raises:
        Refused: In what a score is made of, and that was not said.
    """
    ours, theirs = old.provenance, new.provenance
    found = comparability.differences(ours["signature"], theirs["signature"])
    told = [
        (key.key.partition(".")[0], comparability.in_words(key.key, key.ours, key.theirs, "the new one"))
        for key in found
    ]
    unsaid = {key: line for key, line in told if key in MEASURE and key not in allow}
    if unsaid:
        raise Refused(
            f"the two bands do not measure the same: {'; '.join(unsaid.values())}",
            hint=f"if that is the change that is meant, say so: {' '.join(f'--allow {key}' for key in unsaid)}",
        )
    yield from (line for _, line in told)
    first, second = (comparability.at(facts, "data.train.sha256") for facts in (ours, theirs))
    if not identity.same_rows(ours["data"]["train"], theirs["data"]["train"]):
        yield comparability.in_words("training data", first, second, "the new one")
    for key in differing_keys(ours["recipe"], json.loads(json_files.canonical(theirs["recipe"]))):
        if key not in PLACES and key.partition(".")[0] not in identity.SCORED_BY:
            values = (brief(comparability.at(facts["recipe"], key)) for facts in (ours, theirs))
            yield "{}: {}, now {}".format(key, *values)


def _place_of(path: Path, content: bytes) -> Path:
    """The path where an old band is kept: in the same folder, for its paths start there."""
    return path.with_name(f"{path.stem}.{hashlib.sha256(content).hexdigest()[:DIGITS]}{path.suffix}")


def _put(accepted: Accepted, before: bytes, plan: Plan) -> Accepted:
    """Keep the old band, put the new one in its place, and tell its sweep; killed at any moment, one of them is there.

    The sweep learns of its band last: until then no sweep may replace it, and the same `accept` ends what was begun.
    """
    path, kept = accepted.path, accepted.kept
    entry = {
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **_author(path.absolute().parent),
        "reason": accepted.reason,
        "changed": list(accepted.changed),
        "replaced": {"file": kept.name, "sha256": hashlib.sha256(before).hexdigest()},
    }
    entries = [*accepted.band.provenance.get("accepted", ()), entry]
    new = replace(accepted.band, provenance={**accepted.band.provenance, "accepted": entries})
    atomic_files.remove_parts(path.parent, kept.name)
    atomic_files.remove_parts(path.parent, path.name)
    with atomic_files.replacing(kept) as temporary:
        temporary.write_bytes(before)
    if path.read_bytes() != before:
        raise Refused(f"{path} was replaced while its sweep was looked at", hint="accept again")
    text = new.as_text()
    atomic_files.write_text(path, text)
    plan.record.name_band(plan.seeds, path, new, hashlib.sha256(text.encode()).hexdigest())
    return replace(accepted, band=new)


def _author(folder: Path) -> dict[str, str | None]:
    """Author and commit as git knows them; None where there is no git, or nobody."""
    name, mail = _git(folder, "config", "user.name"), _git(folder, "config", "user.email")
    who = f"{name} <{mail}>" if name and mail else name or mail
    return {"by": who, "commit": _git(folder, "rev-parse", "HEAD")}


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
