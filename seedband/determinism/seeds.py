"""Root seed → independent named streams: `init`, `order`, `dropout`.

Every draw is keyed by what it is for, not by when it happens: a tensor by its name, the order by the items' content, a
dropout mask by epoch, item and module. So a draw survives a change of recipe: adding a target module, removing
items or evaluating in between leaves every other draw alone ("Paired seeds" in docs/explanation/statistics.md).
Seeds are hashed, never counted up: with `seed + epoch`, seed 1 in epoch 0 is seed 0 in epoch 1.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, get_args

from seedband.errors import UsageError

Stream = Literal["init", "order", "dropout"]
STREAMS: tuple[Stream, ...] = get_args(Stream)
#: Part of the signature: raised whenever a key or a draw changes.
SEEDING_VERSION = 5
MAX_ROOT_SEED = 2**63 - 1
#: More root seeds than anybody means.
MAX_SEEDS = 100_000


def derive(*parts: object) -> int:
    """A 63-bit seed from the hash of its parts.

    Examples:
        >>> derive(0, "init") == derive(0, "init")
        True
        >>> derive(0, "init") == derive(1, "init")
        False
    """
    key = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def streams(root_seed: int, vary: Collection[str]) -> dict[str, int]:
    """The seed of each stream; a stream that does not vary keeps the value of root seed 0.

    Examples:
        >>> streams(3, ["order"])["init"] == streams(0, STREAMS)["init"]
        True
        >>> streams(3, ["order"])["order"] == streams(0, STREAMS)["order"]
        False
    """
    return {stream: derive(root_seed if stream in vary else 0, stream) for stream in STREAMS}


def item_keys(contents: Iterable[str]) -> list[str]:
    """A key per item from its content alone; equal items are told apart by how often they came before.

    Labels are no part of it: relabelling an item must not move it in the order.
    """
    seen: dict[str, int] = {}
    keys = []
    for content in contents:
        fingerprint = hashlib.sha256(content.encode()).hexdigest()
        count = seen.get(fingerprint, 0)
        seen[fingerprint] = count + 1
        keys.append(f"{fingerprint}#{count}" if count else fingerprint)
    return keys


def epoch_order(order_seed: int, epoch: int, keys: Sequence[str]) -> list[int]:
    """Indices of the items in the order of one epoch: sorted by hash(order seed, epoch, item key).

    Examples:
        >>> keys = item_keys(["a", "b", "c", "d"])
        >>> order = epoch_order(7, 0, keys)
        >>> sorted(order)
        [0, 1, 2, 3]
        >>> without_b = epoch_order(7, 0, [keys[0], keys[2], keys[3]])
        >>> [[0, 2, 3][i] for i in without_b] == [i for i in order if i != 1]
        True
    """
    prefix = f"{order_seed}|{epoch}|"
    hashes = [hashlib.sha256((prefix + key).encode()).digest() for key in keys]
    return sorted(range(len(keys)), key=hashes.__getitem__)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Root seeds from `--seeds`: a count, or a list.

    Raises:
        UsageError: Neither.

    Examples:
        >>> parse_seeds("4")
        (0, 1, 2, 3)
        >>> parse_seeds("3,7,11"), parse_seeds("7,")
        ((3, 7, 11), (7,))
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"--seeds: {text!r} is neither a count nor a list", hint="such as 4, or 3,7,11")
    numbers = [int(part) for part in parts]
    return root_seeds(numbers[0] if "," not in text else numbers)


def root_seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """A count of seeds as the seeds 0, 1, …; a list as it is, checked.

    Raises:
        UsageError: None at all, one twice, or one out of range.
    """
    if isinstance(seeds, int) and seeds > MAX_SEEDS:
        raise UsageError(f"{seeds} seeds are more than {MAX_SEEDS}", hint="a single seed is a list: 7,")
    listed = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not listed:
        raise UsageError("no seed: give a count of at least 1, or a list")
    if len(set(listed)) != len(listed):
        twice = next(seed for seed in listed if listed.count(seed) > 1)
        raise UsageError(f"seed {twice} twice: a run is counted once")
    if not all(0 <= seed <= MAX_ROOT_SEED for seed in listed):
        raise UsageError(f"seeds are between 0 and {MAX_ROOT_SEED}")
    return listed
