"""Score: checkpoints are scored, all in the same way."""

from dataclasses import dataclass
from pathlib import Path

from seedband.determinism import environment
from seedband.determinism.pins import pin, read_back
from seedband.determinism.settings import DeterminismSection
from seedband.events import Emit
from seedband.jobs.process import feature_cache, resolve_device
from seedband.jobs.score import Scorer, ScoreTarget
from seedband.models import base_watch
from seedband.recipe.scoring import Scoring
from seedband.runs.layout import SCORES
from seedband.storage import json_files


@dataclass(frozen=True)
class ScoreJob:
    """Score checkpoints, all in the same way."""

    scoring: Scoring
    targets: tuple[ScoreTarget, ...]
    determinism: DeterminismSection
    kind: str = "score"

    @property
    def name(self) -> str:
        """For people and log files."""
        return "score " + ", ".join(target.checkpoint.name for target in self.targets)

    @property
    def launched_on(self) -> str:
        """The device of a launcher that may fork it; empty for one that has no use for a launcher."""
        return self.scoring.device

    def carry_out(self, emit: Emit) -> None:
        """Score every checkpoint; each result goes to scores.json in its folder, written last."""
        pin(self.determinism)
        device = resolve_device(self.scoring.device)
        facts = environment.describe(device)
        base = base_watch.watch(self.scoring)
        scorer = Scorer(self.scoring, device, facts, feature_cache(facts, read_back(), base, emit), emit)
        for target in self.targets:
            result = scorer.score(target)
            base.check()
            json_files.write_json(
                Path(target.out) / SCORES, "scores", {"checkpoint": target.checkpoint.name, **result.as_dict()}
            )
            emit("scored", None, {"checkpoint": target.checkpoint.name})
