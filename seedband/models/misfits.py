"""Misfits: what a library raises over content of unknown origin, told as a refusal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from seedband.errors import Refused, WorkFailed

#: What transformers and PEFT raise over a config or tensors that do not hold together.
MISFITS = (
    RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, ImportError,
    ArithmeticError, SyntaxError,
)  # fmt: skip


@contextmanager
def misfits_refused(what: str) -> Iterator[None]:
    """What a library raises over content of unknown origin refuses it; what the system would not do fails the work."""
    from safetensors import SafetensorError

    try:
        yield
    except (*MISFITS, SafetensorError) as error:
        raise Refused(f"{what}: {first_line(error)}") from error
    except OSError as error:
        # Libraries raise it for missing files, too, without a number of the system's.
        if error.errno is None:
            raise Refused(f"{what}: {first_line(error)}") from error
        raise WorkFailed.from_os(error) from error


def first_line(error: Exception) -> str:
    """What an error says, on one line and quoted."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return json.dumps(" ".join(lines)[:300])
