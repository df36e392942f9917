"""Trackers: what an experiment tracker is told of a sweep, read from what the sweep left on disk.

Training and band never depend on one. A child process talks to it, for its library is a guest: it starts threads, reads
variables and would phone home. A sweep is found again by its recipe and numerics, a run by its seed, and what has been
logged is known by its content: nothing is logged twice, and what is missing is logged by the next sweep.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from seedband.commands.sweep.tracking.entries import Request, entries_of
from seedband.determinism import subprocesses
from seedband.determinism.pins import without_secrets
from seedband.errors import SeedbandError, UsageError, WorkFailed
from seedband.events import Event
from seedband.jobs.executors import OnEvent
from seedband.recipe.contradictions import SQLITE
from seedband.recipe.sections import Recipe
from seedband.runs import layout
from seedband.storage.json_files import JsonObject

CHILD = "seedband.commands.sweep.tracking.mlflow"
#: What mlflow would do unless told otherwise: phone home, and use an address that the recipe does not name.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
#: Its own patience is minutes; whoever sets these variables has another.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def check_ready(recipe: Recipe, start: Path, *, offline: bool) -> None:
    """Ask a recipe's tracker whether it would take a sweep; nothing is written.

    Args:
        recipe: Of the sweep.
        start: Where relative paths in it start.
        offline: Whether no server must be asked.

    Raises:
        UsageError: Its library is not installed, or it cannot hold the experiment.
        WorkFailed: It cannot be reached.
    """
    address = _address(recipe, start)
    if not address:
        return
    if find_spec("mlflow") is None:
        raise UsageError("log.mlflow: mlflow is not installed", hint='pip install "seedband[mlflow]"')
    if address.startswith(SQLITE):
        folder = Path(address.removeprefix(SQLITE)).parent
        if not folder.is_dir():
            raise UsageError(f"log.mlflow: {folder} is no folder", hint="make it, or name another file")
    elif not offline:
        try:
            _ask(Request(address, _experiment(recipe)))
        except WorkFailed as error:
            hint = f"start it, or take it out of [log]: a later sweep logs what is missing; {error.hint}"
            raise WorkFailed(error.message, hint=hint.removesuffix("; ")) from None


def log_sweep(recipe: Recipe, start: Path, folder: Path, *, offline: bool, on_event: OnEvent) -> None:
    """Tell a recipe's tracker of a sweep; what goes wrong is a warning, for the sweep itself is done.

    Args:
        recipe: Of the sweep.
        start: Where relative paths in it start.
        folder: Of the sweep; its lock must be held.
        offline: Whether no server must be asked.
        on_event: Called with what came of it.
    """
    address = _address(recipe, start)
    if not address:
        return
    if offline and not address.startswith(SQLITE):
        text = f"offline: nothing is logged to {address}; sweep again without --offline to log it"
        on_event(Event("note", content={"text": text}))
        return
    experiment = _experiment(recipe)
    try:
        entries = entries_of(recipe, folder)
        request = Request(address, experiment, _artifacts_of(address), entries)
        logged = _ask(request, folder / layout.LOGS / "mlflow.log") if entries else None
    except (SeedbandError, OSError) as error:
        told = error.message if isinstance(error, SeedbandError) else str(error)
        text = f"the sweep is done, but not all of it is logged: {told}; sweep again to log what is missing"
        on_event(Event("warning", content={"text": text}))
        return
    if logged is not None:
        on_event(Event("note", content={"text": _told(logged, experiment, address)}))


def _told(logged: Sequence[str], experiment: str, address: str) -> str:
    what = ", ".join(logged) if logged else "nothing new"
    return f"logged to {experiment!r} of {address}: {what}"


def _address(recipe: Recipe, start: Path) -> str:
    """The tracker's address, files by their whole path; empty where there is no tracker."""
    address = recipe.log.mlflow or ""
    if address.startswith(SQLITE):
        return SQLITE + str((start / address.removeprefix(SQLITE)).absolute())
    return address


def _artifacts_of(address: str) -> str | None:
    """The folder of artifacts where no server takes them: beside the database."""
    return str(Path(address.removeprefix(SQLITE)).parent / "mlartifacts") if address.startswith(SQLITE) else None


def _experiment(recipe: Recipe) -> str:
    return recipe.log.experiment or f"{recipe.data.name}-{recipe.train.method}"


def _ask(request: Request, log: Path | None = None) -> list[str]:
    """Names of what the tracker's child has logged.

    Raises:
        UsageError, WorkFailed: With what it tells, free of secrets.
    """
    patience = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    variables = {**QUIET, **patience, "MLFLOW_TRACKING_URI": request.address, "MLFLOW_REGISTRY_URI": request.address}
    try:
        if log is None:
            return _logged(subprocesses.ask(CHILD, asdict(request), "log.mlflow", variables))
        log.parent.mkdir(exist_ok=True)
        with log.open("w", encoding="utf-8") as file:
            return _logged(subprocesses.ask(CHILD, asdict(request), "log.mlflow", variables, file))
    except (UsageError, WorkFailed) as error:
        raise type(error)(without_secrets(error.message, os.environ), hint=error.hint) from None


def _logged(answer: JsonObject) -> list[str]:
    return [str(name) for name in answer["logged"]]
