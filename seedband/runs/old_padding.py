"""Old padding: which runs of earlier versions, whose records name no version of it, were padded wrongly.

What it was is told by the base's config and tokenizer alone: nothing is loaded for it but those.
"""

from collections.abc import Sequence
from typing import Literal

from seedband.bands.comparability import at
from seedband.recipe.scoring import Scoring
from seedband.runs.run import Run
from seedband.storage.registry import TASKS

#: Types of models in which padding changes what is said of a row, on the side on which it was put.
LEAKING = frozenset({"canine", "convbert", "fnet", "nystromformer", "recurrent_gemma", "xlnet", "yoso"})


def unversioned(runs: Sequence[Run]) -> list[Run]:
    """Runs that were scored before padding had a version."""
    return [run for run in runs if run.signature and at(run.signature, "padding") is None]


def went_wrong_in(scoring: Scoring) -> Literal["", "scoring", "training"]:
    """In what an earlier version padded the rows of a base wrongly; what was wrong in training was so in scoring, too.

    A model may leak that is not known here: its runs join none that are made now, for those say so.
    """
    task = TASKS.find(scoring.task)()
    if not task.pads:
        return ""
    from transformers import AutoConfig

    path = scoring.base.path
    config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if config.model_type in LEAKING:
        return "training"
    wrong: Literal["", "scoring", "training"] = task.padded_wrongly(config, task.reader.load(path))
    return wrong
