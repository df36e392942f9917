"""Dropout as a function of (dropout seed, epoch, item, module): no mask depends on what was drawn before it.

One seam for every dropout that runs through torch's functions, whichever module or attention kernel calls it: while
`KeyedDropout` is active, every row of a batch gets a mask from a generator seeded for this epoch, item, module and
call. Evaluating in between, another module's dropout or a resumed run cannot shift it, and neither can a change of
recipe: with some items removed, or batches of another size, every item keeps its masks.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from seedband.determinism.seeds import derive
from seedband.models.speedups.packing import STATES, Layout


class KeyedDropout(TorchFunctionMode):
    """Draws the dropout masks of one model.

    Args:
        model: Whose modules' names key the masks.
        seed: Seed of the stream `dropout`.
        name_of: Turns a module's name into one that does not depend on wrappers.
        left_padded: Whether batches are padded on the left, so that an item's tokens are counted from the last.
        layout: Where the tokens of the batch at hand lie, where its rows may be packed.
    """

    def __init__(
        self,
        model: nn.Module,
        seed: int,
        name_of: Any = str,
        *,
        left_padded: bool = False,
        layout: Layout | None = None,
    ) -> None:
        super().__init__()
        self._layout = layout or Layout()
        self._seed = seed
        self._left_padded = left_padded
        self._names = {module: name_of(name) for name, module in model.named_modules()}
        self._inside: list[str] = []
        self._calls: dict[str, int] = {}
        self._pass = ""
        self._rows: list[str] = []
        self._handles: list[Any] = []
        self._generators: dict[torch.device, torch.Generator] = {}
        self._digest: Any = None
        self._recomputes = False

    def start_pass(self, step: int, accumulated: int, epoch: int, items: Sequence[str]) -> None:
        """Begin a forward pass.

        Args:
            step: Optimizer step.
            accumulated: Number of the forward pass in this step.
            epoch: Pass over the data that it belongs to.
            items: Key of the item in each row of the batch.
        """
        self._pass = f"{step}|{accumulated}"
        self._rows = [row_key(epoch, item) for item in items]
        self._calls.clear()
        # What draws in another way (feature dropout, layer drop) is at least the same in every run of this seed.
        _seed_generators(derive(self._seed, self._pass))

    def checkpointed(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Contexts for a part of the forward pass and for its recomputation: torch's checkpoint asks for both."""
        place = self._pass, self._rows, tuple(self._inside), dict(self._calls)
        return nullcontext(), self._again(*place)

    @contextmanager
    def _again(self, started: str, rows: list[str], inside: Sequence[str], calls: Mapping[str, int]) -> Iterator[None]:
        """The mode once more, from where a part of the forward pass began: it meets its own masks.

        A backward pass runs outside of the mode, which torch leaves while it calls anything that the mode sees, on a
        GPU in a thread of its own, and after the forward pass has gone on.
        """
        now = self._pass, self._rows, self._inside, self._calls, self._recomputes
        self._pass, self._rows, self._inside, self._calls = started, rows, [*inside], {**calls}
        self._recomputes = True
        super().__enter__()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            super().__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._pass, self._rows, self._inside, self._calls, self._recomputes = now

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
            seed = derive(self._seed, self._pass, *self._next_call("attention"))
            self._note(str(seed).encode())
            # The kernel draws its mask inside, from the default generator of the device.
            _seed_generators(seed)
        return func(*args, **kwargs)

    def _dropout(self, values: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:  # noqa: FBT001, FBT002
        if not training or p == 0.0:
            return functional.dropout(values, p, training=False, inplace=inplace)
        place = self._next_call()
        seeds = [derive(self._seed, key, *place) for key in self._keys(values)]
        kept = self._kept(values, p, seeds)
        self._note(kept)
        scaled = kept.to(values.dtype).mul_(1.0 / (1.0 - p))
        return values.mul_(scaled) if inplace else values * scaled

    def _keys(self, values: torch.Tensor) -> list[str]:
        """The keys of the masks of some values: their items where they are of rows, else the pass."""
        if self._layout.is_packed(values):
            return [self._rows[row] for row in self._layout.order]
        return self._rows if values.dim() > 0 and len(values) == len(self._rows) else [self._pass]

    def _kept(self, values: torch.Tensor, p: float, seeds: Sequence[int]) -> torch.Tensor:
        """The mask of every seed, of as many rows, packed or padded."""
        generator, turned = self._generator(values.device), self._left_padded and values.dim() == STATES
        if self._layout.is_packed(values):
            sizes = [length * values.shape[-1] for length in self._layout.lengths]
            kept = draw_kept(sizes, p, seeds, generator).view(-1, values.shape[-1])
            parts = torch.split(kept, self._layout.lengths)
            return torch.cat([part.flip(0) for part in parts] if turned else parts)[None]
        kept = draw_kept([values.numel() // len(seeds)] * len(seeds), p, seeds, generator).view(values.shape)
        return kept.flip(1) if turned and len(seeds) == len(values) else kept

    def _next_call(self, what: str = "") -> tuple[str, int]:
        """The module that asks for a mask, and how often it did so before in this pass; attention is counted apart.

        How often attention asks depends on the groups of its batch, and no other mask shall.
        """
        module = self._inside[-1] if self._inside else ""
        call = self._calls.get(what + module, 0)
        self._calls[what + module] = call + 1
        return module, call

    def _note(self, drawn: "torch.Tensor | bytes") -> None:
        """Add to the witness, in the first step only, and no mask twice."""
        if self._recomputes or not self._pass.startswith("0|"):
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


def _seed_generators(seed: int) -> None:
    """Seed as `torch.manual_seed` does, without the stack trace that it keeps for devices that are not there."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def row_key(epoch: int, item: str) -> str:
    """The key of an item's masks in one epoch, beside the seed, the module and the call."""
    return f"{epoch}|{item}"


def draw_kept(sizes: Sequence[int], p: float, seeds: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw the elements that are kept, as one row of booleans: for every seed as many as its size, one after another.

    On a CPU a shorter mask is the beginning of a longer one of its seed, so that padding does not change it; on a GPU
    the length decides which thread draws which element.
    """
    kept = torch.empty(sum(sizes), dtype=torch.bool, device=generator.device)
    for part, seed in zip(torch.split(kept, list(sizes)), seeds, strict=True):
        part.bernoulli_(1.0 - p, generator=generator.manual_seed(seed))
    return kept


def _attention_rate(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    return float(args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0))  # noqa: PLR2004
