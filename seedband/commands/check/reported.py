"""check, for a sweep whose command reports its own scores: judged as a score file is, and comparable like a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

from seedband.bands import comparability
from seedband.bands.band import Band
from seedband.bands.options import JudgingKeys
from seedband.bands.verdict import Verdict
from seedband.commands.scores.from_file import check_scores
from seedband.errors import Refused
from seedband.events import Event
from seedband.jobs.executors import OnEvent
from seedband.recipe.parse import differing_keys
from seedband.runs import layout
from seedband.runs.layout import SCORES_FILE
from seedband.runs.reported_folder import ReportedSweep, check_distinct, check_scores_file, finished_seeds, read
from seedband.runs.reported_run import Reported
from seedband.storage.validation import brief


def check(folder: Path, band: Band, *, strict: bool, on_event: OnEvent, **options: Unpack[JudgingKeys]) -> Verdict:
    """Judge the scores of such a sweep by a band, as those of a score file.

    Raises:
        UsageError: An unknown rule, or a value out of range.
        Refused: A seed that is not finished, other data, metrics that are defined otherwise, scores that are no
            evidence, a score file that is not what the seeds have on record; other versions where `strict`.
    """
    record = read(folder)
    found = finished_seeds(folder)
    lacking = [seed for seed in record.seeds if seed not in {entry.seed for entry in found}]
    if lacking:
        raise Refused(f"{folder}: seed {lacking[0]} of this sweep is not finished", hint="sweep again to finish it")
    _check_same_measure(folder, record, band)
    _tell_environment(folder, found, band, strict=strict, on_event=on_event)
    check_distinct(folder, found)
    check_scores_file(folder / SCORES_FILE, found)
    trained = record.seeds if options.get("looks") else ()
    return check_scores(folder / SCORES_FILE, band, trained=trained, on_event=on_event, **options)


def _check_same_measure(folder: Path, record: ReportedSweep, band: Band) -> None:
    """Scores compare where both commands define them alike, on data of one name and version."""
    ours = band.provenance.get("command")
    if not isinstance(ours, Mapping):
        return
    if changed := differing_keys(ours.get("metrics", {}), record.metrics):
        message = f"{folder}: its command defines metrics otherwise than the band's: {', '.join(changed)}"
        raise Refused(message, hint="such scores are not comparable")
    known, data = ours.get("data", {}), asdict(record.data)
    for key in differing_keys(known, data):
        message = f"{folder}: data.{key}: the band has {brief(known.get(key))}, this sweep has {brief(data[key])}"
        raise Refused(message, hint="scores of other data are not comparable: sweep a band of it")


def _tell_environment(folder: Path, found: Sequence[Reported], band: Band, *, strict: bool, on_event: OnEvent) -> None:
    """Other versions than the band's; a release of seedband, which only hears the scores, is none."""
    ours = {"environment": {"versions": _foreign(comparability.at(band.provenance, "environment.versions") or {})}}
    told: dict[str, str] = {}
    for entry in found if "command" in band.provenance else ():
        theirs = {"environment": {"versions": _foreign(entry.versions)}}
        for difference in comparability.differences(ours, theirs):
            if difference.key == "environment":
                told.setdefault(str(difference), f"{layout.seed_folder(folder, entry.seed)}: {difference}")
    if told and strict:
        raise Refused(next(iter(told.values())), hint="--strict takes scores of the band's own versions alone")
    for text in told.values():
        on_event(Event("warning", content={"text": text}))


def _foreign(versions: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if name != "seedband"}
