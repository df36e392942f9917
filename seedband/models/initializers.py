"""How every new tensor is drawn, by name.

Each tensor has its own generator, keyed by (init seed, parameter name), on CPU and in fp32: what is drawn depends on
no other tensor, no earlier use of a generator, no device. Modes that PEFT computes from the base weights (olora,
pissa) are left to PEFT and say so; they draw nothing, so every seed gets the same adapter.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from seedband.determinism.seeds import derive
from seedband.recipe.identity import REPLACED

if TYPE_CHECKING:
    import torch

    Named = tuple[str, torch.nn.Parameter]


@dataclass(frozen=True)
class Distribution:
    """What a tensor is drawn from.

    Attributes:
        name: Readable form, such as "normal(0, 0.02)".
        std: Its standard deviation.
        draw: Fills a CPU fp32 tensor, given a generator.
    """

    name: str
    std: float
    draw: "Callable[[torch.Tensor, torch.Generator], Any]"


@dataclass(frozen=True)
class LoraInitializer:
    """One way to start an adapter.

    Attributes:
        mode: What PEFT calls it; "true" is its default.
        distribution: Of LoRA A, given (fan_in, rank); None when PEFT computes it from the base weights.
    """

    mode: str
    distribution: Callable[[int, int], Distribution] | None

    @property
    def init_lora_weights(self) -> bool | str:
        """The value of PEFT's `init_lora_weights`."""
        return self.mode if self.mode != "true" else True

    @property
    def changes_base(self) -> bool:
        """Check whether the frozen weights are edited, too: a saved adapter must then be converted."""
        return self.distribution is None


@dataclass(frozen=True)
class TensorRecord:
    """How one new tensor was really drawn.

    Attributes:
        name: Parameter name, free of PEFT's wrappers.
        shape: Its shape.
        fan_in: Number of inputs of its layer.
        distribution: What it was drawn from.
        target_std: Standard deviation of that distribution.
        realised_std: Standard deviation of its values.
    """

    name: str
    shape: tuple[int, ...]
    fan_in: int
    distribution: str
    target_std: float | None
    realised_std: float


def normal(std: float) -> Distribution:
    """Normal with mean 0."""
    return Distribution(f"normal(0, {std:.6g})", std, lambda tensor, g: tensor.normal_(0.0, std, generator=g))


def uniform(bound: float) -> Distribution:
    """Uniform between -bound and +bound."""
    name = f"uniform(-{bound:.6g}, {bound:.6g})"
    return Distribution(name, bound / math.sqrt(3), lambda tensor, g: tensor.uniform_(-bound, bound, generator=g))


def zeros() -> Distribution:
    """All zero."""
    return Distribution("zeros", 0.0, lambda tensor, _: tensor.zero_())


def ones() -> Distribution:
    """All one: the scale of a norm."""
    return Distribution("ones", 0.0, lambda tensor, _: tensor.fill_(1.0))


#: `[init] lora`: what PEFT calls it, and the distribution of A; B starts at zero.
LORA: Mapping[str, LoraInitializer] = {
    "kaiming": LoraInitializer("true", lambda fan_in, _: uniform(1 / math.sqrt(fan_in))),
    "gaussian": LoraInitializer("gaussian", lambda _, rank: normal(1 / rank)),
    "olora": LoraInitializer("olora", None),
    "pissa": LoraInitializer("pissa", None),
}

#: `[init] head`: the distribution of a weight, given the architecture's own standard deviation; biases are zero.
HEAD: Mapping[str, Callable[[float], Distribution]] = {"normal": normal}


def plain_name(name: str) -> str:
    """Parameter name free of PEFT's wrappers: the same in every recipe that has the tensor.

    Examples:
        >>> plain_name("base_model.model.bert.layer.0.query.lora_A.default.weight")
        'bert.layer.0.query.lora_A.weight'
        >>> plain_name("base_model.model.classifier.modules_to_save.default.weight")
        'classifier.weight'
    """
    plain = name.removeprefix("base_model.model.").replace(".modules_to_save.default.", ".")
    return plain.replace(".default.", ".").removesuffix(".default")


def is_lora(name: str) -> bool:
    """Check whether a parameter belongs to an adapter, not to a head."""
    return ".lora_" in name


def draw_new(
    parameters: "Iterable[Named]",
    init_seed: int,
    lora: str,
    head: str,
    head_std: float,
    replaced: Collection[str] = (),
) -> list[TensorRecord]:
    """Draw every new tensor anew, and say how.

    Args:
        parameters: The new tensors with their names, wrapped or plain.
        init_seed: Seed of the stream `init`.
        lora: Name of the LoRA initializer.
        head: Name of the initializer of all other new tensors.
        head_std: The architecture's own standard deviation for new weights.
        replaced: Names of those that the base has, too.

    Returns:
        One record per tensor, sorted by name.
    """
    records = []
    for name, parameter in sorted(parameters, key=lambda pair: plain_name(pair[0])):
        plain = plain_name(name)
        distribution = _distribution(plain, parameter, lora, HEAD[head](head_std))
        if distribution is not None:
            _fill(parameter, distribution, derive(init_seed, "tensor", plain))
        record = _record(plain, parameter, distribution, lora)
        marked = replace(record, distribution=record.distribution + REPLACED)
        records.append(marked if plain in replaced else record)
    return records


def as_dicts(records: Iterable[TensorRecord]) -> list[dict[str, object]]:
    """Records, ready for JSON."""
    return [asdict(record) for record in records]


def _distribution(name: str, parameter: "torch.nn.Parameter", lora: str, head: Distribution) -> Distribution | None:
    if is_lora(name):
        return _lora_distribution(name, parameter, LORA[lora])
    if parameter.dim() > 1:
        return head
    return zeros() if name.endswith("bias") else ones()


def _lora_distribution(name: str, parameter: "torch.nn.Parameter", initializer: LoraInitializer) -> Distribution | None:
    """On an embedding PEFT starts A at zero and draws B, for A is looked up there, not multiplied."""
    if ".lora_embedding_" in name:
        return normal(1.0) if name.endswith("_B") else zeros()
    if initializer.distribution is None:
        return None
    return initializer.distribution(_fan_in(parameter), parameter.shape[0]) if ".lora_A." in name else zeros()


def _fill(parameter: "torch.nn.Parameter", distribution: Distribution, seed: int) -> None:
    import torch

    drawn = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
    distribution.draw(drawn, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        parameter.copy_(drawn)


def _record(name: str, parameter: "torch.nn.Parameter", distribution: Distribution | None, lora: str) -> TensorRecord:
    values = parameter.detach().float()
    realised = float(values.std(unbiased=False)) if values.numel() > 1 else 0.0
    return TensorRecord(
        name=name,
        shape=tuple(parameter.shape),
        fan_in=_fan_in(parameter),
        distribution=f"{lora}, computed by PEFT from the base weights" if distribution is None else distribution.name,
        target_std=None if distribution is None else distribution.std,
        realised_std=realised,
    )


def _fan_in(parameter: "torch.nn.Parameter") -> int:
    return math.prod(parameter.shape[1:]) if parameter.dim() > 1 else parameter.numel()
