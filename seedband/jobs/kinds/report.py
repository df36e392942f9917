"""Report: a command runs under one seed, and the scores that it reports go on record."""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedband.bands.admission import MAX_SCORE
from seedband.determinism import environment
from seedband.determinism.pins import check_environment
from seedband.determinism.settings import DeterminismSection
from seedband.errors import SeedbandError, WorkFailed
from seedband.events import Emit
from seedband.recipe import train_command
from seedband.recipe.sections import EvaluatorSection, TrainSection
from seedband.runs.layout import OUT, REPORTED
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import brief
from seedband.trainers import SeedRun
from seedband.trainers.command import Ear, run_script, write_course


@dataclass(frozen=True)
class ReportJob:
    """Run a command under one seed, and put the scores that it reports on record.

    Attributes:
        train: The command, and where its scores are.
        evaluate: The metrics.
        determinism: What the job's process is pinned to.
        run: Which seed, and where its record goes.
        start: Folder in which the command starts.
        files: Files that the command names → SHA-256 of their content.
    """

    train: TrainSection
    evaluate: tuple[EvaluatorSection, ...]
    determinism: DeterminismSection
    run: SeedRun
    start: str
    files: Mapping[str, str]
    kind: str = "report"

    @property
    def name(self) -> str:
        """For people and log files."""
        return f"seed {self.run.seed}"

    @property
    def launched_on(self) -> str:
        """The device of a launcher that may fork it; empty for one that has no use for a launcher."""
        return ""

    def carry_out(self, emit: Emit) -> None:
        """Run the command, and put the scores that it reports on record."""
        check_environment(self.determinism)
        train_command.check_unchanged(self.files, Path(self.start))
        record = report(self, environment.versions(), emit)
        evaluations = [{"metric": metric, "score": score} for metric, score in record["scores"].items()]
        emit("finished", self.run.seed, {"status": "finished", "evaluations": evaluations})


NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def report(job: ReportJob, versions: Mapping[str, str], emit: Emit) -> JsonObject:
    """Run the command under its seed, and record its scores.

    Raises:
        WorkFailed: It failed, or reported no score for a metric, or none that is a finite number.
    """
    folder = Path(job.run.folder)
    patterns = train_command.patterns_of(job.train, job.evaluate)
    ear = run_script(job.train, job.run, Path(job.start), Ear(job.run.seed, emit, patterns), {})
    write_course(folder, ear)
    found = _printed(ear, patterns) if job.train.scores is None else _written(job, job.train.scores)
    record = {"seed": job.run.seed, "streams": dict(job.run.streams), "scores": found, "versions": dict(versions)}
    json_files.write_json(folder / REPORTED, "reported", record)
    return record


def _printed(ear: Ear, patterns: Mapping[str, str]) -> dict[str, float]:
    """The score of every metric as it was printed last."""
    for metric, pattern in patterns.items():
        if problem := ear.unread.get(metric):
            raise WorkFailed(rf"{metric}: {problem} (as a group, (\S+) takes all of it)")
        if metric not in ear.scores:
            raise WorkFailed(f"{metric}: no line that the command printed matches {pattern!r}")
    return {metric: _number(metric, ear.scores[metric]) for metric in patterns}


def _written(job: ReportJob, template: str) -> dict[str, float]:
    """The score of every metric from the file that the command wrote."""
    values = {"out": str(Path(job.run.folder) / OUT), "seed": str(job.run.seed)}
    path = Path(job.start) / train_command.filled(template, values)
    try:
        text = json_files.read_text(path, json_files.MAX_FOREIGN_BYTES)
        table = _csv_table(text) if path.suffix == ".csv" else json.loads(text)
    except (SeedbandError, ValueError, RecursionError) as error:
        raise WorkFailed(f"the command ended well, and its scores cannot be read: {path.name}: {error}") from error
    return {
        entry.metric: _number(entry.metric, _at(table, train_command.key_of(entry), path)) for entry in job.evaluate
    }


def _csv_table(text: str) -> dict[str, str]:
    """Scores by metric, of a CSV with these two columns.

    Raises:
        ValueError: It has others, or a metric twice.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        header, *lines = [[field.strip() for field in row] for row in rows if any(row)]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"no CSV with a header: {error}") from error
    if sorted(header) != ["metric", "score"] or any(len(line) != len(header) for line in lines):
        raise ValueError(f"found columns {brief(header)}, expected metric and score in every row")
    named = [dict(zip(header, line, strict=True)) for line in lines]
    table = {row["metric"]: row["score"] for row in named}
    if len(table) < len(named):
        raise ValueError("a metric twice")
    return table


def _at(table: Any, key: str, path: Path) -> Any:
    """The value at a key, or at a path of keys with dots between them."""
    value = table
    for part in [key] if isinstance(table, Mapping) and key in table else key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = f", it has {brief(sorted(map(str, table)))}" if isinstance(table, Mapping) else ""
            raise WorkFailed(f"{path.name} has no {key}{known}")
        value = value[part]
    return value


def _number(metric: str, found: Any) -> float:
    """A score as a number; a text of it counts, for that is what is printed, and what stands in a CSV."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if not is_number and not (isinstance(found, str) and NUMBER.fullmatch(found.strip())):
        raise WorkFailed(f"{metric}: the command reported {brief(found)}, expected a finite number")
    value = float(found) if isinstance(found, str) else found
    if not -MAX_SCORE <= value <= MAX_SCORE:
        raise WorkFailed(f"{metric}: the command reported {brief(found)}, expected a finite number")
    return float(value)
