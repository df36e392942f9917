"""adapter_config.json: the keys that PEFT may be given, with values of these types, and no other."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, Predicate

from seedband.storage.expressions import a_bounded_expression
from seedband.storage.validation import Number

MAX_NAMES = 2000
MODULE = re.compile(r"[A-Za-z0-9_.]{1,255}")
INITIALIZER = re.compile(r"gaussian|eva|olora|pissa|orthogonal|mica|lora_ga")


def a_plain_module_name(value: str) -> bool:
    """Check whether a text names modules, and is no expression."""
    return MODULE.fullmatch(value) is not None


def an_initializer_of_peft(value: str) -> bool:
    """Tell a value of `init_lora_weights` that PEFT documents, and after which it finds the base again as it was."""
    return INITIALIZER.fullmatch(value) is not None


Name = Annotated[str, Predicate(a_plain_module_name)]
Names = Annotated[tuple[Name, ...], MaxLen(MAX_NAMES)]
Expression = Annotated[str, Predicate(a_bounded_expression)]
Rank = Annotated[int, Ge(1)]
Tokens = Annotated[tuple[Annotated[int, Ge(0)], ...], MaxLen(100_000)]


@dataclass(frozen=True)
class Lora:
    """adapter_config.json: every key that PEFT is given, where the file has it; expressions are not handed on."""

    peft_type: Literal["LORA"]
    r: Rank
    task_type: str | None = None
    target_modules: Names | str = ()
    target_parameters: Names = ()
    exclude_modules: Names | str = ()
    modules_to_save: Names = ()
    layers_to_transform: Annotated[tuple[int, ...], MaxLen(MAX_NAMES)] | int = ()
    layers_pattern: Names | Name | Literal[""] = ()
    rank_pattern: Annotated[Mapping[Expression, Rank], MaxLen(MAX_NAMES)] = field(default_factory=dict)
    alpha_pattern: Annotated[Mapping[Expression, Number], MaxLen(MAX_NAMES)] = field(default_factory=dict)
    trainable_token_indices: Tokens | Annotated[Mapping[Name, Tokens], MaxLen(MAX_NAMES)] = ()
    lora_alpha: Number = 8
    lora_dropout: Annotated[Number, Ge(0), Le(1)] = 0.0
    bias: Literal["none", "all", "lora_only"] = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    ensure_weight_tying: bool = False
    init_lora_weights: bool | Annotated[str, Predicate(an_initializer_of_peft)] = True
