"""Shapes of a checkpoint's tensors beside its base's, from headers alone: before any of them is loaded."""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

from seedband.errors import Problem, Refused
from seedband.models import ADAPTER_WEIGHTS, HEAD_WEIGHTS, header, tensor_names
from seedband.records import CheckpointFiles
from seedband.schema import MAX_PROBLEMS, brief

Shapes = Mapping[str, tuple[int, ...]]
#: Of whatever PEFT saves.
PREFIX = "base_model.model."
#: What marks a tensor of LoRA, whose shape depends on a rank.
LORA = ".lora_"
#: A checkpoint holds at most so many numbers, in terms of its base's: LoRA of twice the largest rank on every matrix.
MAX_TIMES = 4
#: Levels of a tensor's name that are tried without its prefix.
MAX_LEVELS = 30


def checkpoint_shapes(files: CheckpointFiles) -> Shapes:
    """Names and shapes of a checkpoint's tensors.

    Raises:
        Refused: A weight file has no header that fits it.
        WorkFailed: It cannot be read.
    """
    single = {"adapter": ADAPTER_WEIGHTS, "head": HEAD_WEIGHTS}.get(files.kind)
    folder = Path(files.path)
    return header(folder / single) if single else tensor_names(folder)


def in_base(name: str, base: Shapes) -> tuple[int, ...] | None:
    """The shape that the base gives a tensor; its own names may lack the prefix that the model's have.

    Examples:
        >>> in_base("bert.encoder.query.weight", {"encoder.query.weight": (32, 32)})
        (32, 32)
    """
    parts = name.rsplit(".", MAX_LEVELS)
    for start in range(max(1, len(parts) - 1)):
        shape = base.get(".".join(parts[start:]))
        if shape is not None:
            return shape
    return None


def check_shapes(
    name: str, found: Shapes, base: Shapes, n_labels: int, vocabulary: tuple[int, int] | None = None
) -> None:
    """Refuse tensors that cannot belong to this base: the base's own of another shape, or new ones far too large.

    Args:
        name: Of the checkpoint, for messages.
        found: Its tensors.
        base: The base's.
        n_labels: How many outputs a new head has.
        vocabulary: How many embeddings the base has, and how many this checkpoint, where that is known.

    Raises:
        Refused: With the first reasons.
    """
    largest = max(n_labels, *(size for shape in base.values() for size in shape), 1)
    room = MAX_TIMES * sum(prod(shape) for shape in base.values()) + n_labels * largest
    total = sum(prod(shape) for shape in found.values())
    if total > room:
        raise Refused(
            f"{name}: its tensors hold {total} numbers, more than {room}, {MAX_TIMES} times what its base has"
        )
    sizes = {n_labels: None, **({vocabulary[1]: vocabulary[0]} if vocabulary else {})}
    problems = list(_strange(found, base, sizes, max(largest, *sizes)))[:MAX_PROBLEMS]
    if problems:
        raise Refused(f"{name}: its tensors do not fit the base", problems=problems)


def _strange(found: Shapes, base: Shapes, sizes: Mapping[int, int | None], largest: int) -> Iterator[Problem]:
    """Tensors that do not fit; `sizes` are other numbers of rows that one may have → whose place they take."""
    for name, shape in found.items():
        lora = LORA in name
        own = None if lora else in_base(name.removeprefix(PREFIX), base)
        most = 2 * largest if lora else largest
        if own is not None and shape != own and not _resized(shape, own, sizes):
            yield Problem(brief(name), str(list(shape)), f"{list(own)}, as in the base")
        if own is None and max(shape, default=0) > most:
            yield Problem(brief(name), brief(shape), f"no dimension above {most}, after the largest in the base")


def _resized(shape: tuple[int, ...], own: tuple[int, ...], sizes: Mapping[int, int | None]) -> bool:
    """Whether a tensor is one of the base's with another number of rows."""
    if not shape or shape[0] not in sizes or shape[1:] != own[1:]:
        return False
    return sizes[shape[0]] in (None, own[0])
