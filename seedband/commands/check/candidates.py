"""Candidates: what a path given to `check` is, and whether what stands on record beside it fits the band."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedband.bands import comparability
from seedband.bands.band import Band
from seedband.bands.comparability import Difference, Signature
from seedband.errors import Refused, UsageError
from seedband.events import Event
from seedband.jobs.executors import OnEvent
from seedband.models import kinds, model_folders, recognise
from seedband.models.bases import locate_base
from seedband.models.hub import HUB_NAME, from_hub
from seedband.models.kinds.whole_model import WholeModel
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe import identity
from seedband.recipe.scoring import Scoring
from seedband.runs import layout, run_file, sweep_file
from seedband.runs.layout import RUN
from seedband.runs.run import Run
from seedband.storage.validation import a_path

HUB_ID = re.compile(rf"(?P<name>{HUB_NAME.pattern})@(?P<commit>{model_folders.COMMIT.pattern})")


@dataclass(frozen=True)
class Found:
    """A candidate before it is scored.

    Attributes:
        files: Its checkpoint.
        run: Its run record, if it has one.
    """

    files: CheckpointFiles
    run: Run | None

    @property
    def failure(self) -> str:
        """The reason why a run failed to train and left no weights worth scoring; empty otherwise."""
        return self.run.failure if self.run is not None and not self.run.evaluations else ""

    @property
    def seed(self) -> int | None:
        """Its root seed, if that is on record."""
        return None if self.run is None else self.run.seed


def resolve(path: Path, *, offline: bool = False) -> list[Found]:
    """A path as candidates: a checkpoint is one, a sweep is all its seeds, hf://org/name@commit one of the hub's.

    Raises:
        UsageError: Nothing there, or a hub id without a commit.
        Refused: A run that is not finished, or a checkpoint that is not safe to open.
        WorkFailed: The hub cannot be reached.
    """
    if path.parts[:1] == ("hf:",):
        return [_from_hub("/".join(path.parts[1:]), offline=offline)]
    sweep_file.refuse_reported(path)
    sweep_file.refuse_reported(path.parent)
    if (path / layout.SWEEP).is_file():
        seeds = sweep_file.read_sweep(path).seeds
        missing = [seed for seed in seeds if not (layout.seed_folder(path, seed) / RUN).is_file()]
        if missing:
            raise Refused(f"{path}: seed {missing[0]} of this sweep is not finished", hint="sweep again to finish it")
        return [_found_run(run_file.read_seed(path, seed)) for seed in seeds]
    if (path / RUN).is_file():
        return [_found_run(run_file.read_run(path))]
    if (path.parent / layout.SWEEP).is_file() and path.is_dir():
        raise Refused(f"{path}: the run is not finished (no {RUN})", hint="sweep again to finish it")
    return [Found(recognise.recognise(path, str(path)), None)]


def _from_hub(text: str, *, offline: bool) -> Found:
    named = HUB_ID.fullmatch(text)
    if named is None:
        raise UsageError(
            f"hf://{text}: expected hf://org/name@commit, the commit as 40 hexadecimal digits",
            hint="a branch or a tag can change under the verdict",
        )
    folder = from_hub(named["name"], named["commit"], offline=offline)
    return Found(recognise.recognise(folder, f"hf://{text}"), None)


def _found_run(run: Run) -> Found:
    folder = run.folder
    if run.status == "failed" and not run.evaluations:
        return Found(CheckpointFiles(WholeModel.name, str(folder), str(folder)), run)
    return Found(recognise.recognise(folder, str(folder)), run)


def in_order(found: Sequence[Found], own_looks: int) -> list[Found]:
    """Candidates by root seed where their records name it, else as given: a shell's glob must not decide.

    Those that had looks of their own, the first ones, keep their place.
    """
    kept, together = found[:own_looks], found[own_looks:]
    recorded = [(entry.seed, entry) for entry in together if entry.seed is not None]
    by_seed = iter(entry for _, entry in sorted(recorded, key=lambda pair: pair[0]))
    return [*kept, *(entry if entry.seed is None else next(by_seed) for entry in together)]


def check_one_recipe(found: Sequence[Found]) -> None:
    """Several candidates are several seeds of one recipe, as far as their records tell."""
    recorded = [(entry.files.name, entry.run) for entry in found if entry.run is not None]
    for name, run in recorded[1:]:
        first_name, first = recorded[0]
        changed = identity.changed_training(first.recorded, run.recorded)
        if changed:
            raise Refused(
                f"{name} comes from another recipe than {first_name}: {', '.join(changed)}",
                hint="candidates are seeds of one recipe: judge two recipes in two calls",
            )


def check_record(
    band: Band,
    entry: Found,
    scoring: Scoring,
    base: str | None,
    *,
    strict: bool,
    offline: bool,
    on_event: OnEvent,
) -> None:
    """Compare what stands on record beside a candidate with the band, before anything is loaded."""
    expected = band.provenance["base"]
    own = _own_base(entry, base, band.folder, offline=offline)
    if own is not None and own != expected["sha256"]:
        ours = expected["sha256"]
        raise Refused(f"{entry.files.name}: base weights: the band has {ours[:12]}…, the candidate's base {own[:12]}…")
    if entry.failure:
        return
    kind = kinds.find(entry.files.kind)
    if own is None and (known := kind.base_named(Path(entry.files.path))) is not None:
        named, revision = known
        other = revision is not None and expected["revision"] not in (None, revision)
        if named != expected["reference"] or other:
            raise Refused(
                f"{entry.files.name}: its base {named!r} is not on this machine, so it cannot be compared with the "
                f"band's ({expected['reference']})",
                hint="say where it is with --base",
            )
        text = f"{entry.files.name}: its base {named!r} has the name of the band's; its weights cannot be compared"
        on_event(Event("warning", content={"text": text}))
    _check_labels(entry.files, scoring)
    if kind.whole:
        text = f"{entry.files.name} is a whole model: its weights replace the base, which cannot be compared"
        on_event(Event("note", content={"text": text}))
    if entry.run is not None and entry.run.signature is not None:
        compare(band, entry.files.name, entry.run.signature, strict=strict, on_event=on_event, only_record=True)


def _own_base(entry: Found, base: str | None, start: Path, *, offline: bool) -> str | None:
    """SHA-256 of the base that a candidate was trained on, as far as it can be known."""
    if entry.run is not None:
        return entry.run.recorded.base_sha256
    kind, path = kinds.find(entry.files.kind), Path(entry.files.path)
    if (recorded := kind.base_sha256(path)) is not None:
        return recorded
    if base is not None:
        return locate_base(base, None, Path(), offline=offline).sha256
    if (named := kind.base_named(path)) is None:
        return None
    reference = named[0]
    for folder in (Path(), start, Path(entry.files.path)) if a_path(reference) else ():
        if reference.startswith("package:") or (folder / reference).is_dir():
            return locate_base(reference, None, folder, offline=offline).sha256
    return None


def recorded_labels(files: CheckpointFiles, scoring: Scoring) -> tuple[str, ...]:
    """Labels that a head or a whole model names itself, in the order of its outputs; empty where nobody asks."""
    if not scoring.labels:
        return ()
    return tuple(kinds.find(files.kind).labels(Path(files.path)))


def _check_labels(files: CheckpointFiles, scoring: Scoring) -> None:
    own = recorded_labels(files, scoring)
    if own and sorted(own) != sorted(scoring.labels):
        raise Refused(
            f"{files.name}: labels: band has {list(scoring.labels)}, candidate has {list(own)}",
            hint="where they are other names of the same, name them in id2label of its config.json as the band does",
        )


def compare(band: Band, name: str, other: Signature, *, strict: bool, on_event: OnEvent, only_record: bool) -> None:
    """Refuse what is not comparable, tell what merely differs.

    With `only_record` the other signature was made when the candidate was trained: what scoring settles anew on this
    machine (data, evaluators, settings, environment) is compared later, by the scores that count.
    """
    found = comparability.differences(band.provenance["signature"], other)
    if only_record:
        settled = {"base.sha256", "eval_data.sha256", "evaluators", "scoring", "file_version", "padding", "environment"}
        settled |= {"base.config_sha256", "encoded.sha256"}
        found = [difference for difference in found if difference.key not in settled]
    refused = comparability.forbidding(found, strict=strict)
    if refused:
        raise Refused(
            f"{name}: {refused[0]}", hint="such scores are not comparable" if len(refused) == 1 else _rest(refused)
        )
    for difference in found:
        on_event(Event("warning", content={"text": f"{name}: {difference}"}))


def _rest(refused: Sequence[Difference]) -> str:
    return "and " + "; ".join(str(difference) for difference in refused[1:])
