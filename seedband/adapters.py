"""Adapters of unknown origin: what their config asks for is held against their tensors before PEFT acts on it.

PEFT trusts adapter_config.json: it allocates whatever rank stands there, copies layers of the base, compiles regular
expressions, and imports the module that `megatron_core` names. It is given nothing but the keys that stand here, with
values of these types, and ranks that the tensors have.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, Predicate

from seedband.errors import Problem, Refused
from seedband.models import read_adapter
from seedband.records import CheckpointFiles
from seedband.schema import MAX_PROBLEMS, Number, brief, checked
from seedband.shapes import PREFIX, Shapes, in_base

CONFIG = "adapter_config.json"
#: What PEFT resolves itself, without an expression.
ALL_LINEAR = "all-linear"
MAX_NAMES = 2000
MODULE = re.compile(r"[A-Za-z0-9_.]{1,255}")
INITIALIZER = re.compile(
    r"gaussian|eva|olora|pissa|pissa_niter_[0-9]{1,2}|corda|loftq|orthogonal|mica",
)
FACTOR = re.compile(
    re.escape(PREFIX) + r"(?P<module>[A-Za-z0-9_.]{1,255})\.lora_(?:embedding_)?(?P<factor>[AB])(?:\.weight)?"
)
#: Keys that say where an adapter comes from, or how its training started; PEFT is not given them.
NOTES = {
    "auto_mapping", "base_model_name_or_path", "eva_config", "inference_mode", "loftq_config", "megatron_core",
    "peft_version", "qalora_group_size", "revision", "runtime_config",
}  # fmt: skip


def a_plain_module_name(value: str) -> bool:
    """Whether a text names modules, and is no expression."""
    return MODULE.fullmatch(value) is not None


def an_initializer_of_peft(value: str) -> bool:
    """Whether PEFT documents this value of `init_lora_weights`."""
    return INITIALIZER.fullmatch(value) is not None


Name = Annotated[str, Predicate(a_plain_module_name)]
Names = Annotated[tuple[Name, ...], MaxLen(MAX_NAMES)]
Rank = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class Lora:
    """adapter_config.json: every key that PEFT is given, where the file has it. A text in `target_modules` is not."""

    peft_type: Literal["LORA"]
    r: Rank
    task_type: Literal["SEQ_CLS", "CAUSAL_LM"] | None = None
    target_modules: Names | str = ()
    exclude_modules: Names | Name = ()
    modules_to_save: Names = ()
    layers_to_transform: Annotated[tuple[int, ...], MaxLen(MAX_NAMES)] | int = ()
    layers_pattern: Names | Name | Literal[""] = ()
    rank_pattern: Annotated[Mapping[Name, Rank], MaxLen(MAX_NAMES)] = field(default_factory=dict)
    alpha_pattern: Annotated[Mapping[Name, Number], MaxLen(MAX_NAMES)] = field(default_factory=dict)
    lora_alpha: Number = 8
    lora_dropout: Annotated[Number, Ge(0), Le(1)] = 0.0
    bias: Literal["none", "all", "lora_only"] = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    init_lora_weights: bool | Annotated[str, Predicate(an_initializer_of_peft)] = True


KEYS = {key.name for key in fields(Lora)}


def check_adapter(files: CheckpointFiles, tensors: Shapes, base: Shapes, task: str | None) -> dict[str, Any]:
    """Refuse an adapter whose config asks for more than its tensors are, or for anything that is not known here.

    Args:
        files: The adapter.
        tensors: Names and shapes of its tensors.
        base: Names and shapes of the base's tensors.
        task: What PEFT calls the band's task; None where it has no name for it.

    Returns:
        What PEFT may be given. An expression in `target_modules` is replaced by the modules that the tensors are for.

    Raises:
        Refused: With the reasons.
    """
    given = {key: value for key, value in read_adapter(Path(files.path)).items() if value is not None}
    unsafe = f"{files.name}: this adapter is not safe to load"
    checked(given, Lora, f"{unsafe}: {CONFIG}")
    factors = _factors(tensors)
    _refuse(unsafe, [*_unknown(given), *_task(given, task), *_ranks(given, factors)])
    _refuse(f"{files.name}: this adapter does not fit the base", _modules(given, factors, base))
    kept = {key: value for key, value in given.items() if key in KEYS}
    targets = kept.get("target_modules")
    if isinstance(targets, str) and targets.lower() != ALL_LINEAR:
        kept["target_modules"] = sorted(factors)
    return kept


def _refuse(message: str, problems: Iterable[Problem]) -> None:
    where = [Problem(f"{CONFIG}: {p.where}", p.found, p.expected, p.hint) for p in islice(problems, MAX_PROBLEMS)]
    if where:
        raise Refused(message, problems=where)


def _unknown(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A key that nobody knows here may ask for anything, unless it asks for nothing."""
    for key, value in config.items():
        if value and key not in KEYS | NOTES:
            yield Problem(brief(key), brief(value), "nothing: seedband does not know this key")


def _task(config: Mapping[str, Any], task: str | None) -> Iterator[Problem]:
    if config.get("task_type") not in (None, task):
        yield Problem("task_type", brief(config["task_type"]), f"{task!r}, or nothing")


def lora_modules(tensors: Shapes) -> set[str]:
    """The modules that an adapter's tensors are for."""
    return set(_factors(tensors))


def _factors(tensors: Shapes) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of A and B of every module."""
    factors: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for name, shape in tensors.items():
        if found := FACTOR.fullmatch(name):
            factors[found["module"]][found["factor"]] = shape
    return factors


def _ranks(config: Mapping[str, Any], factors: Mapping[str, Mapping[str, tuple[int, ...]]]) -> Iterator[Problem]:
    """No rank may be larger than the tensors have: PEFT allocates by the config, before it reads the tensors."""
    largest = max((shapes["A"][0] for shapes in factors.values() if shapes.get("A")), default=0)
    patterns = [(f"rank_pattern.{name}", rank) for name, rank in config.get("rank_pattern", {}).items()]
    for key, rank in [("r", config["r"]), *patterns]:
        if rank > largest:
            yield Problem(key, brief(rank), f"a rank from 1 to {largest}, the largest among its tensors")


def _modules(
    config: Mapping[str, Any], factors: Mapping[str, Mapping[str, tuple[int, ...]]], base: Shapes
) -> Iterator[Problem]:
    """Every module with LoRA is one of the base, and A and B have its width and the rank that the config gives it."""
    # As PEFT reads them, where a dot stands for any character.
    patterns = [(re.compile(rf"(.*\.)?({key})$"), rank) for key, rank in config.get("rank_pattern", {}).items()]
    for module, shapes in factors.items():
        weight = in_base(f"{module}.weight", base)
        rank = next((rank for pattern, rank in patterns if pattern.match(module)), config["r"])
        if weight is None:
            yield Problem(module, "LoRA tensors", "none for modules that its base lacks")
        elif rank > 2 * max(weight, default=0) or not _fit(shapes.get("A", ()), shapes.get("B", ()), weight, rank):
            found = f"LoRA tensors {', '.join(f'{key} {list(shape)}' for key, shape in sorted(shapes.items()))}"
            yield Problem(module, found, f"A and B of rank {rank} for a weight {list(weight)}")


def _fit(a: Sequence[int], b: Sequence[int], weight: Sequence[int], rank: int) -> bool:
    """Whether B A has the shape of a weight: (out, in, ...), or of a matrix (in, out), as embeddings have it."""
    ones = [1] * (len(weight) - 2)
    turned = weight[::-1] if len(weight) == 2 else weight  # noqa: PLR2004
    return any(
        [*a] == [rank, *shape[1:]] and [*b] == [shape[0], rank, *ones] for shape in (weight, turned) if len(shape) > 1
    )
