"""Optional libraries: imported when they are needed, with a hint where they are not installed."""

from importlib import import_module
from typing import Any

from seedband.errors import UsageError


def require(module: str, extra: str) -> Any:
    """A module of an optional library.

    Args:
        module: Its name.
        extra: The extra of seedband that brings it.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        package = module.partition(".")[0].replace("_", "-")
        raise UsageError(f"{package} is not installed", hint=f'pip install "seedband[{extra}]"') from error
