"""Shapes of a checkpoint's tensors beside its base's, from headers alone: before any of them is loaded."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import prod

from seedband.counts import counted
from seedband.errors import Problem, Refused
from seedband.storage.validation import MAX_PROBLEMS, brief

Shapes = Mapping[str, tuple[int, ...]]
#: Of whatever PEFT saves.
PREFIX = "base_model.model."
#: What marks a tensor of LoRA, whose shape depends on a rank.
LORA = ".lora_"
#: A checkpoint holds at most so many numbers, in terms of its base's: LoRA of twice the largest rank on every matrix.
MAX_TIMES = 4
#: Levels of a tensor's name that are tried without its prefix.
MAX_LEVELS = 30
#: Tokens of an adapter at most, in terms of its base's, and beside.
MAX_GROWTH, SPARE_TOKENS = 2, 1024
#: What libraries put around a model, and into the names of its tensors.
WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
#: What PEFT puts around a module that it changes.
INSIDE = frozenset({"base_layer", "token_adapter"})
#: A tensor of an adapter that is named as in the model that was trained: by the adapter's name, too.
RAW = re.compile(r"(?P<start>.*\.(?:lora_\w+|trainable_tokens_delta))\.(?!weight$|bias$)[^.]+(?P<end>\.weight|\.bias)?")
COPY = re.compile(r"\.modules_to_save\.(?:default\.)?")
RAW_MODULE = re.compile(r"(?P<start>.*)\.modules_to_save\.[^.]+(?P<end>\..+)")


def canonical_names(names: Iterable[str], source: str) -> dict[str, str]:
    """Names of an adapter's tensors → as PEFT saves them, without what wrapped the model that was saved.

    Raises:
        Refused: Several tensors have one name.

    Examples:
        >>> canonical_names(["module.model.q_proj.lora_A.default.weight"], "adapter")
        {'module.model.q_proj.lora_A.default.weight': 'base_model.model.model.q_proj.lora_A.weight'}
    """
    listed = list(names)
    found = {name: PREFIX + _unprefixed(name) if is_copy(name, listed) else _canonical(name) for name in listed}
    if len(set(found.values())) < len(found):
        twice = sorted(name for name, own in found.items() if sum(own == other for other in found.values()) > 1)
        raise Refused(f"{source}: its tensors {brief(twice[:2])} are for the same place: are there two adapters in it?")
    return found


def is_copy(name: str, names: Collection[str]) -> bool:
    """Whether a tensor stands there twice: PEFT may save what `modules_to_save` brings once more, by its raw name."""
    plain = COPY.sub(".", name)
    return plain != name and plain in names


def _unprefixed(name: str) -> str:
    plain = ".".join(part for part in name.split(".") if part not in WRAPPERS)
    while plain.startswith((PREFIX, "module.")):
        plain = plain.removeprefix(PREFIX).removeprefix("module.")
    return plain


def _canonical(name: str) -> str:
    plain = _unprefixed(name)
    for raw in (RAW, RAW_MODULE):
        if parts := raw.fullmatch(plain):
            plain = parts["start"] + (parts["end"] or "")
    return PREFIX + plain


def unwrapped(name: str) -> str:
    """Name of a tensor in the model, without what PEFT puts around its module.

    Examples:
        >>> unwrapped("base_model.model.model.embed_tokens.base_layer.weight")
        'model.embed_tokens.weight'
    """
    return ".".join(part for part in name.removeprefix(PREFIX).split(".") if part not in INSIDE)


def grown_rows(name: str, found: Shapes, base: Shapes, vocabulary: int | None) -> int | None:
    """Tokens of an adapter that saved its embeddings, where those are not the base's; None where they are.

    Args:
        name: The adapter.
        found: Names and shapes of its tensors.
        base: Those of the base.
        vocabulary: Tokens of the base.

    Raises:
        Refused: Its tensors have several numbers of tokens, or far too many.
    """
    own = {tensor: in_base(unwrapped(tensor), base) for tensor in found if LORA not in tensor}
    rows = {
        found[tensor][0]
        for tensor, shape in own.items()
        if shape is not None and shape[0] == vocabulary and found[tensor][1:] == shape[1:] and len(shape) > 1
    }
    if len(rows) > 1:
        raise Refused(f"{name}: its embeddings have different numbers of tokens: {brief(sorted(rows))}")
    found_rows = next(iter(rows), vocabulary)
    if vocabulary is None or found_rows in (None, vocabulary):
        return None
    most = MAX_GROWTH * vocabulary + SPARE_TOKENS
    if not 0 < found_rows <= most:
        raise Refused(
            f"{name}: its embeddings have {counted(found_rows, 'token')}, expected 1 to {most}, after the base's"
        )
    return found_rows


def with_rows(base: Shapes, vocabulary: int | None, rows: int | None) -> Shapes:
    """Shapes of a base that has another number of tokens."""
    if rows is None:
        return base
    return {name: (rows, *shape[1:]) if shape[:1] == (vocabulary,) else shape for name, shape in base.items()}


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
        own = None if lora else in_base(unwrapped(name), base)
        most = 2 * largest if lora else largest
        if own is not None and shape != own and not _resized(shape, own, sizes):
            yield Problem(brief(name), str(list(shape)), f"{list(own)}, as in the base")
        if own is None and max(shape, default=0) > most:
            yield Problem(brief(name), brief(shape), f"no dimension above {most}, after the largest in the base")


def _resized(shape: tuple[int, ...], own: tuple[int, ...], sizes: Mapping[int, int | None]) -> bool:
    """Check whether a tensor is one of the base's with another number of rows."""
    if not shape or shape[0] not in sizes or shape[1:] != own[1:]:
        return False
    return sizes[shape[0]] in (None, own[0])
