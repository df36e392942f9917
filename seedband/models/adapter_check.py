"""Adapters of unknown origin: what their config asks for is held against their tensors before PEFT acts on it.

PEFT trusts adapter_config.json: it allocates whatever rank stands there, copies layers of the base, compiles regular
expressions, and imports the module that `megatron_core` names. It is given nothing but the keys that stand here, with
values of these types, and ranks that the tensors have.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import TypedDict, TypeVar

from seedband.errors import Problem, Refused
from seedband.models.adapter_config import Lora, a_plain_module_name
from seedband.models.model_folders import CheckpointFiles, read_adapter
from seedband.models.shape_check import PREFIX, Shapes, in_base
from seedband.storage.expressions import matched
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import MAX_PROBLEMS, brief, checked

CONFIG = "adapter_config.json"
#: What PEFT resolves itself, without an expression.
ALL_LINEAR = "all-linear"
FACTOR = re.compile(
    re.escape(PREFIX) + r"(?P<module>[A-Za-z0-9_.]{1,255})\.lora_(?:embedding_)?(?P<factor>[AB])(?:\.weight)?"
)
#: Keys that say where an adapter comes from, or how its training started; PEFT is not given them.
NOTES = {
    "auto_mapping", "base_model_name_or_path", "corda_config", "enable_lora", "eva_config", "inference_mode",
    "loftq_config", "lora_ga_config", "megatron_core", "merge_weights", "peft_version", "qalora_group_size", "revision",
    "runtime_config", "unsloth_fixed", "unsloth_version", "velora_config",
}  # fmt: skip
#: Keys of PEFT by which an adapter computes something else than LoRA does.
OTHERWISE = {
    "alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "monteclora_config", "use_bdlora",
    "use_qalora",
}  # fmt: skip
#: Values of `init_lora_weights` that changed the base before training by data or by chance: PEFT cannot repeat it.
UNREPEATED = re.compile(r"corda|loftq|pissa_niter_.*")
#: Methods of PEFT that leave nothing that could be merged into weights.
UNMERGED = {
    "ADAPTION_PROMPT", "CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "PROMPT_TUNING",
    "XLORA",
}  # fmt: skip
UNMERGEABLE = "and this type cannot be merged into its base, either; train LoRA, or a whole model"
MERGE = "merge it into its base (merge_and_unload) and check the whole model"
CONVERT = f"{MERGE}; or save it again after training with path_initial_model_for_weight_conversion"
#: Tasks of PEFT: an adapter of any is opened where its tensors fit, whatever the band's task.
TASKS = (None, "CAUSAL_LM", "FEATURE_EXTRACTION", "QUESTION_ANS", "SEQ_2_SEQ_LM", "SEQ_CLS", "TOKEN_CLS")
#: Module → "A" and "B" → shape.
Factors = Mapping[str, Mapping[str, tuple[int, ...]]]


class Plain(TypedDict, total=False):
    """Keys of a config whose expressions were replaced by the modules that they match."""

    target_modules: list[str]
    exclude_modules: None
    init_lora_weights: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]


KEYS = {key.name for key in fields(Lora)}
N = TypeVar("N", int, float)


def check_adapter(files: CheckpointFiles, tensors: Shapes, base: Shapes, task: str | None) -> dict[str, object]:
    """Refuse an adapter whose config asks for more than its tensors are, or for anything that is not known here.

    Args:
        files: The adapter.
        tensors: Names and shapes of its tensors.
        base: Names and shapes of the base's tensors, with as many tokens as the adapter has.
        task: What PEFT calls the band's task; None where it has no name for it.

    Returns:
        What PEFT may be given. Expressions are replaced by the modules that they match.

    Raises:
        Refused: With the reasons.
    """
    given = {key: value for key, value in read_adapter(Path(files.path)).items() if value is not None}
    check_supported(files)
    unsafe = f"{files.name}: this adapter is not safe to load"
    lora = checked(given, Lora, f"{unsafe}: {CONFIG}")
    factors = _factors(tensors)
    _refuse(unsafe, _unknown(given))
    unfit = f"{files.name}: this adapter does not fit the base"
    _refuse(unfit, _task(lora, task))
    kept = {key: value for key, value in given.items() if key in KEYS}
    # PEFT's class for a decoder wants one, whatever its tensors are for.
    kept["task_type"] = task if lora.task_type == task else None
    try:
        plain = _without_expressions(lora, factors, base)
    except TimeoutError:
        raise Refused(f"{unsafe}: {CONFIG}: an expression for modules takes too long to match") from None
    resolved = replace(lora, rank_pattern=plain.get("rank_pattern", lora.rank_pattern))
    _refuse(unfit, [*_modules(resolved, factors, base), *_without_factors(lora, factors, base)])
    # Where no module has the rank that stands for the rest, PEFT would still allocate by it what is missing.
    return {**kept, **plain, "r": min(lora.r, _largest_rank(factors))}


def check_supported(files: CheckpointFiles) -> None:
    """Refuse what PEFT can open and this cannot, with the way out.

    Raises:
        Refused: It is no plain LoRA.
    """
    config = read_adapter(Path(files.path))
    method = config.get("peft_type")
    if isinstance(method, str) and method != "LORA":
        what = f"{files.name}: an adapter of type {brief(method)} is not supported, only LoRA is"
        raise Refused(what, hint=UNMERGEABLE if method in UNMERGED else MERGE)
    if asked := sorted(key for key in OTHERWISE if config.get(key)):
        raise Refused(f"{files.name}: LoRA with {', '.join(asked)} is not supported", hint=MERGE)
    begun = config.get("init_lora_weights")
    if isinstance(begun, str) and UNREPEATED.fullmatch(begun):
        what = f"{files.name}: LoRA with init_lora_weights = {brief(begun)} is not supported"
        raise Refused(f"{what}: it changed the base as no later opening does", hint=CONVERT)


def _without_expressions(lora: Lora, factors: Factors, base: Shapes) -> Plain:
    """Resolve the expressions of a config to the names of modules."""
    found: Plain = {}
    parameters = _parameters(lora)
    targets, excluded = lora.target_modules, lora.exclude_modules
    expression = isinstance(targets, str) and targets.lower() != ALL_LINEAR
    if expression or (isinstance(excluded, str) and not a_plain_module_name(excluded)):
        # PEFT saves tensors for every module that it matched.
        weights = {module: f"{module}.weight" for module in factors}
        found["target_modules"] = sorted(
            module
            for module, weight in weights.items()
            if in_base(weight, base) and not f".{weight}".endswith(parameters)
        )
        found["exclude_modules"] = None
    if lora.init_lora_weights == "lora_ga":
        found["init_lora_weights"] = True
    if not lora.rank_pattern and not lora.alpha_pattern:
        return found
    names = [name for module in factors for name, _ in _wrapped(module, base, parameters)]
    if lora.rank_pattern:
        found["rank_pattern"] = _resolved(lora.rank_pattern, names)
    if lora.alpha_pattern:
        found["alpha_pattern"] = _resolved(lora.alpha_pattern, names)
    return found


def _resolved(patterns: Mapping[str, N], names: Iterable[str]) -> dict[str, N]:
    """By the name of each module what its first pattern says, as an expression that matches it alone."""
    left, found = dict.fromkeys(names), dict[str, N]()
    for pattern, value in patterns.items():
        for name in matched(pattern, list(left)):
            found["^" + re.escape(name)] = value
            del left[name]
    return found


def _refuse(message: str, problems: Iterable[Problem]) -> None:
    where = [Problem(f"{CONFIG}: {p.where}", p.found, p.expected, p.hint) for p in islice(problems, MAX_PROBLEMS)]
    if where:
        raise Refused(message, problems=where)


def _unknown(config: JsonObject) -> Iterator[Problem]:
    """A key that nobody knows here may ask for anything, unless it asks for nothing."""
    for key, value in config.items():
        if value and key not in KEYS | NOTES:
            yield Problem(brief(key), brief(value), "nothing: seedband does not know this key")


def _task(lora: Lora, task: str | None) -> Iterator[Problem]:
    if lora.task_type not in TASKS:
        yield Problem("task_type", brief(lora.task_type), f"{task!r}, or nothing")


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


def _largest_rank(factors: Factors) -> int:
    """The largest among the tensors: PEFT allocates by the config, before it reads them."""
    return max((shapes["A"][0] for shapes in factors.values() if shapes.get("A")), default=1)


def _wrapped(module: str, base: Shapes, parameters: tuple[str, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """Names, as patterns know them, and shapes that LoRA of a module may stand for.

    Its weight; or a tensor that stands in it by itself, as those of experts do. Several such are adapted in each other,
    and the inner ones are called by the `base_layer` of the outer.
    """
    weight = in_base(f"{module}.weight", base)
    if weight is not None:
        return [(f"{module}.weight" if f".{module}.weight".endswith(parameters) else module, weight)]
    holder = module
    while holder.endswith(".base_layer"):
        holder = holder.removesuffix(".base_layer")
    return [(name, shape) for name, shape in base.items() if name.rpartition(".")[0] == holder and len(shape) > 1]


def _modules(lora: Lora, factors: Factors, base: Shapes) -> Iterator[Problem]:
    """Every module with LoRA is one of the base, and A and B have its width and the rank that the config gives it."""
    # As PEFT reads them, where a dot stands for any character.
    patterns = [(re.compile(rf"(.*\.)?({key})$"), rank) for key, rank in lora.rank_pattern.items()]
    for module, shapes in factors.items():
        wrapped = [
            (next((rank for pattern, rank in patterns if pattern.match(name)), lora.r), weight)
            for name, weight in _wrapped(module, base, _parameters(lora))
        ]
        if not wrapped:
            yield Problem(module, "LoRA tensors", "none for modules that its base lacks")
        elif not any(
            rank <= 2 * max(weight, default=0) and _fit(shapes.get("A", ()), shapes.get("B", ()), weight, rank)
            for rank, weight in wrapped
        ):
            rank, weight = wrapped[0]
            found = f"LoRA tensors {', '.join(f'{key} {list(shape)}' for key, shape in sorted(shapes.items()))}"
            yield Problem(module, found, f"A and B of rank {rank} for a weight {list(weight)}")


def _parameters(lora: Lora) -> tuple[str, ...]:
    """Ends of the names of tensors that a config adapts by themselves, a dot before each."""
    return tuple(f".{name}" for name in lora.target_parameters)


def _without_factors(lora: Lora, factors: Factors, base: Shapes) -> Iterator[Problem]:
    """PEFT allocates for every tensor that `target_parameters` names: each has LoRA in the file."""
    ends = _parameters(lora)
    named = [name for name in base if ends and f".{name}".endswith(ends)]
    adapted = {name for module in factors if named for name, _ in _wrapped(module, base, ends)}
    for name in named:
        if not any(f".{known}".endswith(f".{name}") for known in adapted):
            yield Problem(f"target_parameters: {name}", "no LoRA tensors", "A and B for it")


def _fit(a: Sequence[int], b: Sequence[int], weight: Sequence[int], rank: int) -> bool:
    """Check whether B A has the shape of a weight: (out, in, ...), or of a matrix (in, out), as embeddings have it.

    PEFT writes those of all experts, (experts, out, in) or (experts, in, out), in one A (experts * rank, in) and one B.
    """
    ones = [1] * (len(weight) - 2)
    turned = weight[::-1] if len(weight) == 2 else weight  # noqa: PLR2004
    plain = any(
        [*a] == [rank, *shape[1:]] and [*b] == [shape[0], rank, *ones] for shape in (weight, turned) if len(shape) > 1
    )
    if plain or len(weight) != 3:  # noqa: PLR2004
        return plain
    experts, *sides = weight
    return any(
        [*a] == [experts * rank, inner] and [*b] == [outer, experts * rank] for inner, outer in (sides, sides[::-1])
    )
