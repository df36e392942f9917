"""Last token: decoders that classify read a row's last token, and find it by the id of padding in their config.

A config may have none, or one that is not the tokenizer's, or one that real tokens have too. So what a model compares
is changed: while it looks for the last token, padding by its mask has an id that no token has.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

#: An id that no token has.
NONE = -1


def looks_for_padding(model: type) -> bool:
    """Check whether a class of models looks for padding among the ids that it is given."""
    forward: Any = inspect.unwrap(model.forward)  # type: ignore[attr-defined]
    return "pad_token_id" in forward.__code__.co_names


def find_by_mask(model: Any) -> int | None:
    """Have a model of transformers find each row's last token by its mask, whatever id its config names.

    Returns:
        The id by which it would have; None where it does not look for padding, and is as it was.
    """
    body = model.base_model
    if body is model or not looks_for_padding(type(model)):
        return None
    configs = {id(config): config for config in (model.config, model.config.get_text_config())}.values()
    known = next((config.pad_token_id for config in configs if config.pad_token_id is not None), 0)
    marks = _Marks(list(configs), known)
    model.register_forward_pre_hook(marks.put, with_kwargs=True)
    body.register_forward_pre_hook(marks.take, with_kwargs=True)
    body.register_forward_hook(marks.look, always_call=True)
    model.register_forward_hook(marks.leave, always_call=True)
    return known


def take_ids(model: Any, base: str) -> None:
    """Give a model the ids of its base that say where a row begins and ends: those of its own config count nothing."""
    from transformers import AutoConfig

    known = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    for name in ("eos_token_id", "decoder_start_token_id"):
        if hasattr(model.config, name) and hasattr(known, name):
            setattr(model.config, name, getattr(known, name))


class _Marks:
    """Marks of padding, in the ids that the outer part of a model sees, and hidden from the inner one."""

    def __init__(self, configs: list[Any], known: int) -> None:
        self._configs, self._known = configs, known
        self._name(known)

    def _name(self, pad: int) -> None:
        for config in self._configs:
            config.pad_token_id = pad

    def put(self, _module: nn.Module, given: Any, keywords: Mapping[str, torch.Tensor]) -> Any:
        """Mark what the mask says is padding."""
        self._name(NONE)
        ids, mask = keywords.get("input_ids"), keywords.get("attention_mask")
        if ids is None or mask is None:
            return None
        return given, {**keywords, "input_ids": ids.masked_fill(mask == 0, NONE)}

    def take(self, _module: nn.Module, given: Any, keywords: Mapping[str, object]) -> Any:
        """Give the marked tokens an id that can be looked up: nothing that is read depends on which."""
        self._name(self._known)
        return tuple(map(self._unmarked, given)), {name: self._unmarked(value) for name, value in keywords.items()}

    def look(self, *_: Any) -> None:
        """The last token is looked for next."""
        self._name(NONE)

    def leave(self, *_: Any) -> None:
        """The model is done."""
        self._name(self._known)

    @staticmethod
    def _unmarked(value: Any) -> Any:
        ids = isinstance(value, torch.Tensor) and value.dtype == torch.int64
        return value.masked_fill(value == NONE, 0) if ids else value
