"""What the Trainer of Hugging Face leaves: eval_results.json, all_results.json and the like, one file per run."""

import re
from collections.abc import Mapping

from seedband.scorefiles.json_shapes import run_of
from seedband.scorefiles.reading import Document, Reading, Wanted
from seedband.scorefiles.tables import reading

_RATE = re.compile(r"(eval|test|predict|train)_.*(runtime|samples_per_second|steps_per_second)")


class HfTrainer:
    """Results of one run of the Trainer."""

    endings = (".json",)
    files = ("eval_results.json", "all_results.json", "test_results.json", "predict_results.json")
    summary = (
        "`eval_results.json`, `all_results.json` and the like, as `Trainer.save_metrics` writes them: one run a file."
    )
    seeds = "the path"

    def recognises(self, document: Document) -> bool:
        """An object of that name, or one that has the Trainer's own rates in it."""
        value = document.value if document.ending in self.endings else None
        if not isinstance(value, Mapping) or any(isinstance(entry, Mapping | list) for entry in value.values()):
            return False
        return bool(value) and (document.path.name in self.files or any(map(_RATE.fullmatch, value)))

    def read(self, document: Document, wanted: Wanted) -> Reading:
        """The scores of one run."""
        return reading(document, run_of(document.value, "results of Hugging Face's Trainer"), wanted)
