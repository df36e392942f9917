"""Jobs: what a process of its own is asked to do, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedband.determinism.settings import DeterminismSection
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe.scoring import Scoring
from seedband.recipe.sections import EvaluatorSection, Recipe, TrainSection
from seedband.trainers import SeedRun


@dataclass(frozen=True)
class TrainJob:
    """Train a group of one or more seeds of one recipe, then score their checkpoints."""

    recipe: Recipe
    scoring: Scoring
    train_path: str
    runs: tuple[SeedRun, ...]
    provenance: Mapping[str, Any]
    kind: Literal["train"] = "train"

    @property
    def determinism(self) -> DeterminismSection:
        """What the job's process is pinned to."""
        return self.recipe.determinism

    @property
    def name(self) -> str:
        """For people and log files."""
        return "seed " + ", ".join(str(run.seed) for run in self.runs)


@dataclass(frozen=True)
class ScoreTarget:
    """One checkpoint to be scored.

    Attributes:
        checkpoint: The files.
        out: Folder for its scores.
        label_order: Label of each of its outputs, where that is not the band's order.
    """

    checkpoint: CheckpointFiles
    out: str
    label_order: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ScoreJob:
    """Score checkpoints, all in the same way."""

    scoring: Scoring
    targets: tuple[ScoreTarget, ...]
    determinism: DeterminismSection
    kind: Literal["score"] = "score"

    @property
    def name(self) -> str:
        """For people and log files."""
        return "score " + ", ".join(target.checkpoint.name for target in self.targets)


@dataclass(frozen=True)
class ProbeJob:
    """Say what a job's process is pinned to, and what its numerics are."""

    device: str
    determinism: DeterminismSection
    kind: Literal["probe"] = "probe"

    @property
    def name(self) -> str:
        """For people and log files."""
        return "probe"


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
    kind: Literal["report"] = "report"

    @property
    def name(self) -> str:
        """For people and log files."""
        return f"seed {self.run.seed}"


Job = TrainJob | ScoreJob | ProbeJob | ReportJob


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: Which.
        exit_code: Of its process; negative for a signal.
        message: What went wrong, in one line; empty when nothing did.
        log: What its libraries printed.
        error: The job's own account: exit_code, message, problems, hint; empty when it gave none.
    """

    job: Job
    exit_code: int
    message: str
    log: Path
    error: Mapping[str, Any] = field(default_factory=dict)
