"""The table of a recipe that `init` drafted: what a user will want to see and change, section by section."""

import re
from collections.abc import Sequence
from pathlib import Path

from seedband.commands.init.draft import Draft
from seedband.commands.init.hyperparameters import sections_of
from seedband.commands.init.survey import Survey
from seedband.commands.init.write_toml import RecipeTable, SectionValues
from seedband.recipe.locations import relative_path
from seedband.storage.registry import DEFAULT_RULE


def recipe_table(draft: Draft, paths: Sequence[str], scored: Survey) -> RecipeTable:
    """The recipe, section by section: what a user will want to see and change."""
    lengths = draft.task.lengths(draft.items, Path(draft.base.path))
    if lengths is not None:
        draft.notes.append(lengths.in_words())
    reference = relative_path(draft.base.path, draft.folder) if Path(draft.reference).is_dir() else draft.reference
    return {
        "model": {
            "base": reference,
            **({"revision": draft.revision} if draft.revision else {}),
            "task": draft.task.name,
            **({} if lengths is None else {"max_length": lengths.kept}),
        },
        "data": _data_section(draft, paths, scored),
        **sections_of(
            draft.answers.method,
            draft.answers.command,
            task=draft.task.name,
            n_train=len(draft.items) if draft.eval else draft.n_train,
            n_parameters=draft.n_parameters,
        ),
        **({"generation": {"max_new_tokens": lengths.answered}} if lengths is not None and lengths.answered else {}),
        "evaluate": [
            {"evaluator": draft.metrics[0], "primary": True},
            *({"evaluator": m} for m in draft.metrics[1:]),
        ],
        "gate": {"rule": DEFAULT_RULE, "alpha": 0.05},
    }


def _data_section(draft: Draft, paths: Sequence[str], scored: Survey) -> SectionValues:
    slices = draft.surveys[0].slices([*draft.columns.values()], scored)
    unless_named = draft.task.reading.named  # these have no column by default
    named = {role: column for role, column in draft.columns.items() if role != column or role in unless_named}
    return {
        "name": draft.answers.name or _name_of(draft.data),
        "train": paths[0],
        "eval": paths[1],
        **named,
        **draft.row_names,
        **({"slices": slices} if slices else {}),
    }


def _name_of(reference: str) -> str:
    """A name for a data set, from that of its file."""
    stem = re.sub(r"[-_.]?train(ing)?$", "", Path(reference).stem, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "data"
