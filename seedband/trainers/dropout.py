"""Dropout as a function of (dropout seed, step, module): no mask depends on what was drawn before it.

One seam for every dropout that runs through torch's functions, whichever module or attention kernel calls it: while
`KeyedDropout` is active, a mask comes from a generator seeded for this step, forward pass, module and call. Evaluating
in between, another module's dropout or a resumed run cannot shift it.
"""

import hashlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from seedband.seeding import derive


class KeyedDropout(TorchFunctionMode):
    """Draws the dropout masks of one model.

    Args:
        model: Whose modules' names key the masks.
        seed: Seed of the stream `dropout`.
        name_of: Turns a module's name into one that does not depend on wrappers.
    """

    def __init__(self, model: nn.Module, seed: int, name_of: Any = str) -> None:
        super().__init__()
        self._seed = seed
        self._names = {module: name_of(name) for name, module in model.named_modules()}
        self._inside: list[str] = []
        self._calls: dict[str, int] = {}
        self._key = ""
        self._handles: list[Any] = []
        self._generators: dict[torch.device, torch.Generator] = {}
        self._digest: Any = None
        self.drawn = 0

    def start_pass(self, step: int, accumulated: int) -> None:
        """Begin the forward pass number `accumulated` of an optimizer step."""
        self._key = f"{step}|{accumulated}"
        self._calls.clear()
        # What draws in another way (feature dropout, layer drop) is at least the same in every run of this seed.
        torch.manual_seed(derive(self._seed, self._key))

    def witness(self) -> str | None:
        """Hash of all masks drawn in the first optimizer step; None when no dropout was active."""
        return self._digest.hexdigest() if self._digest is not None else None

    def __enter__(self) -> Self:
        for module, name in self._names.items():
            self._handles.append(module.register_forward_pre_hook(self._enter_module(name)))
            self._handles.append(module.register_forward_hook(self._leave_module, always_call=True))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Dropout draws its own mask, attention gets its generator seeded, all else passes through."""
        kwargs = kwargs or {}
        if func is functional.dropout:
            return self._dropout(*args, **kwargs)
        if func is functional.scaled_dot_product_attention and _attention_rate(args, kwargs) > 0:
            seed = self._next_seed()
            self._note(str(seed).encode())
            # The kernel draws its mask inside, from the default generator of the device.
            torch.manual_seed(seed)
        return func(*args, **kwargs)

    def _dropout(self, values: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:  # noqa: FBT001, FBT002
        if not training or p == 0.0:
            return functional.dropout(values, p, training=False, inplace=inplace)
        generator = self._generator(values.device)
        generator.manual_seed(self._next_seed())
        kept = _draw_kept(values, p, generator)
        self._note(kept)
        scaled = kept.to(values.dtype).mul_(1.0 / (1.0 - p))
        return values.mul_(scaled) if inplace else values * scaled

    def _next_seed(self) -> int:
        module = self._inside[-1] if self._inside else ""
        call = self._calls.get(module, 0)
        self._calls[module] = call + 1
        return derive(self._seed, self._key, module, call)

    def _note(self, drawn: "torch.Tensor | bytes") -> None:
        """Add to the witness, in the first step only."""
        self.drawn += 1
        if not self._key.startswith("0|"):
            return
        self._digest = self._digest or hashlib.sha256()
        self._digest.update(drawn if isinstance(drawn, bytes) else drawn.cpu().numpy().tobytes())

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device)
        return self._generators[device]

    def _enter_module(self, name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any) -> None:
            self._inside.append(name)

        return hook

    def _leave_module(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._inside.pop()


def _draw_kept(values: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Which elements are kept, as a boolean mask.

    Random 64-bit words are read as four 16-bit numbers each and compared with a threshold, in half the time of
    `bernoulli_`; so the rate is rounded to a multiple of 1/65536.
    """
    n = values.numel()
    words = torch.empty((n + 3) // 4, dtype=torch.int64, device=values.device)
    words.random_(-(2**63), None, generator=generator)
    return (words.view(torch.int16)[:n] >= min(round(p * 2**16), 2**16 - 1) - 2**15).view(values.shape)


def _attention_rate(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    return float(args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0))  # noqa: PLR2004
