"""Whether a base can do its task at all: by its config before any work, by its logits before training."""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.errors import Problem, UsageError
from seedband.models.loading import Network
from seedband.models.model_config import read_config
from seedband.recipe.scoring import Base
from seedband.recipe.sections import Recipe
from seedband.storage.json_files import JsonObject
from seedband.tasks import Task

if TYPE_CHECKING:
    import torch

#: Where transformers says which types of models do what: read, not imported, for that takes seconds.
TABLES = Path("models", "auto", "modeling_auto.py")
MASKED = "MODEL_FOR_MASKED_LM_MAPPING_NAMES"
#: Keys by which a config of an architecture that also reads in both directions asks for one that does not.
ONE_WAY = ("is_decoder", "causal")
BOTH_WAYS = "use_bidirectional_attention"
MOST_NAMED = 3
#: Tokens that a model is tried on.
TRIED = 16
#: What a later token may change in earlier logits, in terms of what it changes in later ones: rounding stays below.
LEAK = 1e-4


def architecture_problems(recipe: Recipe, base: Base, task: Task, *, any_body: bool) -> list[Problem]:
    """Reasons for which the base's config rules out the task of a recipe.

    Args:
        recipe: Which.
        base: Its base.
        task: Its task.
        any_body: Whether its method takes bases for which the task has no model.
    """
    if recipe.train.command is not None:
        return []
    kind, (table, expected) = read_config(Path(base.path)).get("model_type"), task.architectures
    types = _types(table)
    if types and isinstance(kind, str) and kind not in types and not any_body:
        hint = 'method = "head" with pooling "mean" or "cls" takes any body' if task.outputs == "classes" else ""
        return [_unfit(kind, f"for which transformers has no model of {task.name}", expected, hint)]
    return task.base_problems(recipe, base)


def check_complete(network: Network, task: Task) -> None:
    """Refuse a model of which a part would be drawn by chance.

    Raises:
        UsageError: Its weights lack some.
    """
    if network.new:
        names = ", ".join(network.new[:MOST_NAMED]) + (" and more" if len(network.new) > MOST_NAMED else "")
        raise UsageError(
            f"model.base: a model of type {_type_of(network)} whose weights lack {names}: it would answer at random",
            hint=f"task {task.name} needs {task.architectures[1]}, with its output layer",
        )


def check_causal(network: Network, rows: Sequence[Sequence[int]], task: Task) -> None:
    """Refuse a language model that knows the tokens which it is to foretell, or that does not count them from 0.

    transformers generates at places from 0 on, and without saying so learns at those that a model counts by itself.

    Args:
        network: As it is trained.
        rows: Tokens that it is tried on.
        task: What it shall do.

    Raises:
        UsageError: A later token changes an earlier logit, or a model's own places are others.
    """
    for is_unfit, why in (
        (_leaks, "whose logits depend on later tokens: it sees answers"),
        (_counts_otherwise, "whose places of tokens do not begin at 0: it would answer at others than it learns at"),
    ):
        if is_unfit(network, rows):
            raise UsageError(
                f"model.base: a model of type {_type_of(network)} {why}",
                hint=f"task {task.name} needs {task.architectures[1]}",
            )


def _type_of(network: Network) -> str:
    model: Any = network.module
    return str(model.config.model_type)


@cache
def _types(table: str) -> Mapping[str, object]:
    """A table of model types of transformers; empty where transformers keeps it in another way."""
    return next(
        (
            dict(ast.literal_eval(statement.value.args[0]))
            for statement in _statements()
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call) and statement.value.args
            for target in statement.targets
            if isinstance(target, ast.Name) and target.id == table
        ),
        {},
    )


@cache
def _statements() -> Sequence[ast.stmt]:
    """The file in which transformers keeps its tables; none where it has no such file."""
    found = find_spec("transformers")
    file = Path(found.origin).parent / TABLES if found is not None and found.origin else None
    return ast.parse(file.read_text(encoding="utf-8")).body if file is not None and file.is_file() else ()


def _unfit(kind: str, why: str, expected: str, hint: str = "") -> Problem:
    return Problem("model.base", f"a model of type {kind}, {why}", expected, hint)


def decoder_problems(config: JsonObject, expected: str) -> list[Problem]:
    """A config that asks for attention in both directions, or for an encoder."""
    kind = str(config.get("model_type"))
    if config.get("is_encoder_decoder"):
        return [_unfit(kind, "which is an encoder with a decoder", expected)]
    if kind in _types(MASKED) and not any(config.get(key) for key in ONE_WAY):
        return [_unfit(kind, "which reads texts in both directions", expected)]
    text = config.get("text_config")
    if any(table.get(BOTH_WAYS) in (True, "all") for table in (config, text) if isinstance(table, Mapping)):
        return [_unfit(kind, "whose config asks for attention in both directions", expected)]
    return []


def _leaks(network: Network, rows: Sequence[Sequence[int]]) -> bool:
    """Check whether other tokens in the second half of a text change a logit of its first half."""
    known = sorted({token for row in rows for token in row})
    length = min(TRIED, max(map(len, rows)))
    text = [token for row in rows for token in row][:length]
    half = length // 2
    if half < 1 or len(known) < 2:  # noqa: PLR2004
        return False
    following = dict(zip(known, [*known[1:], known[0]], strict=True))
    other = text[:half] + [following[token] for token in text[half:]]
    first, second = _said(network, [text, other])
    change = (first - second).abs().amax(-1)
    return bool(change[:half].max() > LEAK * change[half:].max())


def _counts_otherwise(network: Network, rows: Sequence[Sequence[int]]) -> bool:
    """Check whether a text's logits are others where it is not said that its places begin at 0."""
    text = max(rows, key=len)[:TRIED]
    counted, own = (_said(network, [text], **given)[0] for given in ({}, {"position_ids": None}))
    return bool((counted - own).abs().max() > LEAK * (own - own[:1]).abs().max())


def _said(network: Network, texts: Sequence[Sequence[int]], **given: Any) -> "torch.Tensor":
    """Logits of texts of one length."""
    import torch

    device = next(network.module.parameters()).device
    ids = torch.tensor(texts, device=device)
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "position_ids": torch.arange(ids.shape[1], device=device).expand(len(texts), -1),
    }
    training = network.module.training
    network.module.eval()
    with torch.no_grad():
        logits = _finite(network.forward({**batch, "use_cache": False, **given}))  # type: ignore[dict-item]
    network.module.train(training)
    return logits


def _finite(logits: "torch.Tensor") -> "torch.Tensor":
    return logits.float().nan_to_num()
