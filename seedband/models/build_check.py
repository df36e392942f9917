"""Builds: how a whole model is built, held against its base as transformers loads both.

A config is compared once it is loaded: releases write one build in many ways, and tools leave notes of their own in it.
A key that no line of transformers reads changes no number.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from seedband.errors import Problem, Refused
from seedband.models.model_folders import CheckpointFiles
from seedband.models.shape_check import Shapes, in_base
from seedband.recipe.scoring import Base
from seedband.storage.validation import MAX_PROBLEMS, brief

#: Keys of config.json that a fine-tuned model may have otherwise than its base: names, notes, what only training asks,
#: what a model gives beside its logits, and what depends on which tensors are there.
FREE_KEYS = {
    "_commit_hash", "_name_or_path", "_num_labels", "architectures", "dtype", "finetuning_task",
    "gradient_checkpointing", "id2label", "initializer_factor", "initializer_range", "label2id", "num_labels",
    "output_attentions", "output_hidden_states", "output_router_logits", "pretraining_tp", "problem_type",
    "reference_compile",
    "return_dict", "router_aux_loss_coef", "tie_word_embeddings", "tokenizer_class", "torch_dtype",
    "transformers_version", "use_cache",
}  # fmt: skip
#: Likewise: ids of tokens, and rates of dropout, which scoring does without.
FREE_KEY = re.compile(r"\w+_token_id|\w*dropout\w*|\w+_(pdrop|drop)")
#: How many places a model was made for; and the kinds of rotary places that do not depend on it. Those that are learnt
#: are tensors, whose shapes are compared.
POSITIONS = "max_position_embeddings"
LENGTHLESS = ("default", "linear", "llama3")
#: Looked at apart: a model may have embeddings of its own number.
VOCABULARY = "vocab_size"
#: Files of transformers that read configs of any model.
GENERIC = ("*modeling_*.py", "masking_utils.py", "cache_utils.py", "configuration_utils.py", "pytorch_utils.py")
GENERIC_INTEGRATIONS = ("sdpa_attention.py", "moe.py")


class Vocabulary(NamedTuple):
    """Count the embeddings of a base, and of a whole model on it."""

    base: int
    own: int


def check_build(files: CheckpointFiles, base: Base, found: Shapes, own: Shapes) -> Vocabulary | None:
    """Refuse a whole model that is built otherwise than the band's base, but for what changes no number.

    Its config decides what is allocated, before tensors are read.

    Args:
        files: The model.
        base: What the band stands on.
        found: Names and shapes of the model's tensors.
        own: Those of the base.

    Returns:
        How many embeddings both have; None where the config of either does not say.

    Raises:
        Refused: With the first reasons.
    """
    ours, theirs = loaded_config(base.path), loaded_config(files.path)
    problems = list(_differences(ours, theirs))
    sizes = [getattr(config.get_text_config(), VOCABULARY, None) for config in (ours, theirs)]
    vocabulary = Vocabulary(*sizes) if all(isinstance(size, int) for size in sizes) else None  # type: ignore[arg-type]
    if vocabulary is not None and vocabulary.own != vocabulary.base:
        rows = _embeddings(found, own, vocabulary.base)
        if rows != {vocabulary.own}:
            expected = f"{vocabulary.base}, as in the base, or the number of its embeddings, {sorted(rows)}"
            problems.append(Problem(f"config.json: {VOCABULARY}", brief(vocabulary.own), expected))
    if problems:
        message = f"{files.name}: another architecture than the band's base"
        raise Refused(message, problems=problems[:MAX_PROBLEMS])
    return vocabulary


def loaded_config(path: str) -> Any:
    """The config of a model as transformers loads it.

    Raises:
        Refused: It is none that transformers knows.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # Whatever a config of unknown origin makes transformers raise, it cannot be compared.
        line = " ".join(line.strip() for line in str(error).splitlines())[:300]
        raise Refused(f"{path}: config.json is none that transformers knows: {json.dumps(line)}") from error


def _differences(base: Any, own: Any, where: str = "") -> Iterator[Problem]:
    expected, found = base.to_dict(), own.to_dict()
    free = FREE_KEYS | {VOCABULARY} | ({POSITIONS} if _is_lengthless(found) and _is_lengthless(expected) else set())
    if expected.get("model_type") != found.get("model_type"):
        yield _problem(f"{where}model_type", found.get("model_type"), expected.get("model_type"))
        return
    for key in sorted({*expected, *found} - free):
        inner = getattr(base, key, None), getattr(own, key, None)
        if all(hasattr(config, "to_dict") for config in inner):
            yield from _differences(*inner, where=f"{where}{key}.")
        elif (
            found.get(key) != expected.get(key) and not FREE_KEY.fullmatch(key) and _is_read(key, type(own).__module__)
        ):
            yield _problem(f"{where}{key}", found.get(key), expected.get(key))


def _is_lengthless(config: Mapping[str, object]) -> bool:
    """Tell a config whose places are all rotary, of a kind that no number of places changes."""
    rope = config.get("rope_parameters")
    if not isinstance(rope, Mapping):
        return False
    tables = [rope] if "rope_type" in rope else list(rope.values())
    return bool(tables) and all(isinstance(t, Mapping) and t.get("rope_type") in LENGTHLESS for t in tables)


def _problem(key: str, found: Any, expected: Any) -> Problem:
    return Problem(f"config.json: {key}", brief(found), brief(expected))


def _is_read(key: str, module: str) -> bool:
    """Tell by transformers' source whether it reads a key of a config: the model's own, and what all models use."""
    name = re.escape(key)
    asked = (
        rf"config\w*\.{name}\b|\w+attr\([^,()]+, *[\"']{name}[\"']|^ {{4}}{name}\s*:|self\.{name}\b"
        rf"|\.(?:get|pop)\([\"']{name}[\"']|config\w*\[[\"']{name}[\"']\]"
    )
    return re.search(asked, _source(module), re.MULTILINE) is not None


@cache
def _source(module: str) -> str:
    """The source that reads the configs of a model: its own, and that of what all models use."""
    import importlib.util

    import transformers

    spec = importlib.util.find_spec(module)
    home, generic = Path(str(spec.origin if spec else "")).parent, Path(transformers.__file__).parent
    files = [
        *home.glob("*.py"),
        *(file for pattern in GENERIC for file in generic.glob(pattern)),
        *(generic / "integrations" / name for name in GENERIC_INTEGRATIONS),
    ]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())


def _embeddings(found: Shapes, base: Shapes, rows: int) -> set[int]:
    """Count the rows of a model where its base has one for each token."""
    known = ((shape, in_base(name, base)) for name, shape in found.items())
    return {shape[0] for shape, own in known if own is not None and own[:1] == (rows,) and shape}
