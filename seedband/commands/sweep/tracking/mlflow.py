"""The process that talks to MLflow: it imports the library, and nobody else does.

Only its client is used: runs that a notebook has open, experiments that variables name and what autologging would add
play no part.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from seedband.commands.sweep.tracking.entries import Entry, Request
from seedband.determinism import subprocesses
from seedband.errors import UsageError, WorkFailed
from seedband.storage.json_files import JsonObject

if TYPE_CHECKING:
    from mlflow.entities import Run as TrackedRun

T = TypeVar("T")
#: Tags by which a run is found again, and by which it is known to be logged to its end.
KEY, LOGGED = "seedband.key", "seedband.logged"
PARENT = "mlflow.parentRunId"
#: How many a request may hold.
MAX_METRICS, MAX_PARAMS = 1000, 100
MAX_MESSAGE = 300


def main(arguments: Sequence[str]) -> int:
    """Answer the request in a file; see `children.answer`."""
    return subprocesses.answer(arguments, reply)


def reply(content: JsonObject) -> Mapping[str, object]:
    """Log what is not logged yet.

    Args:
        content: A `Request`, as JSON.

    Returns:
        "logged": the names of those that were.

    Raises:
        UsageError: The experiment was deleted.
        WorkFailed: The tracker cannot be reached, or says no.
    """
    request = Request(**{**content, "entries": [Entry(**entry) for entry in content["entries"]]})
    try:
        return {"logged": _log(request)}
    except (UsageError, WorkFailed):
        raise
    except Exception as error:  # a dozen libraries, each with errors of its own
        if _unreachable(error):
            raise WorkFailed(f"{request.address} cannot be reached") from error
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"[:MAX_MESSAGE]
        raise WorkFailed(
            f"{request.address} does not do what it is asked: {told}",
            hint="for a user mlflow reads MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN",
        ) from error


def _unreachable(error: BaseException | None) -> bool:
    """Check whether an error is that nobody answered, or comes of that."""
    import requests

    while error is not None and not isinstance(error, requests.ConnectionError | requests.Timeout):
        error = error.__cause__ or error.__context__
    return error is not None


def _log(request: Request) -> list[str]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=request.address)
    experiment = client.get_experiment_by_name(request.experiment)
    if experiment is not None and experiment.lifecycle_stage != "active":
        found = f"the experiment {request.experiment!r} was deleted there"
        raise UsageError(found, hint="restore it with mlflow, or name another as log.experiment")
    if not request.entries:
        return []
    number = experiment.experiment_id if experiment is not None else _create(client, request)
    sweep, *runs = request.entries
    parent = _found(client, number, f"tags.`{KEY}` = '{sweep.key}'").get(sweep.key)
    if parent is None:
        parent = _begin(client, number, sweep, {})
    known = _found(client, number, f"tags.`{PARENT}` = '{parent.info.run_id}'")
    logged = []
    for run in runs:
        nested = known.get(run.key) or _begin(client, number, run, {PARENT: parent.info.run_id})
        logged += _complete(client, nested, run)
    return [*_complete(client, parent, sweep), *logged]  # the sweep last: it is logged once its runs are


def _create(client: Any, request: Request) -> str:
    number: str = client.create_experiment(request.experiment, artifact_location=request.artifacts)
    return number


def _found(client: Any, experiment: str, condition: str) -> "dict[str, TrackedRun]":
    """Key → the oldest run that has it, of those that meet a condition."""
    runs: dict[str, TrackedRun] = {}
    token = None
    while True:
        page = client.search_runs([experiment], condition, order_by=["attributes.start_time ASC"], page_token=token)
        for run in page:
            runs.setdefault(run.data.tags.get(KEY, ""), run)
        token = page.token
        if not token:
            return runs


def _begin(client: Any, experiment: str, entry: Entry, tags: dict[str, str]) -> Any:
    known = {**tags, KEY: entry.key, "mlflow.source.name": "seedband", **entry.tags}
    return client.create_run(experiment, start_time=entry.started, tags=known, run_name=entry.name)


def _complete(client: Any, run: Any, entry: Entry) -> list[str]:
    """Log an entry, unless that was done to its end; done over after it broke off, it comes to the same."""
    if run.data.tags.get(LOGGED) == entry.digest:
        return []
    from mlflow.entities import Metric, Param, RunTag

    number = run.info.run_id
    points = [Metric(name, value, entry.traced, step) for name, step, value in entry.series]
    points += [Metric(name, value, entry.ended, 0) for name, value in entry.metrics.items()]
    for part in _parts(points, MAX_METRICS):
        client.log_batch(number, metrics=part)
    for params in _parts([Param(name, text) for name, text in entry.params.items()], MAX_PARAMS):
        client.log_batch(number, params=params)
    client.log_batch(number, tags=[RunTag(name, text) for name, text in entry.tags.items()])
    for name in run.data.tags:
        if name.startswith("seedband.") and name not in {KEY, LOGGED, *entry.tags}:
            client.delete_tag(number, name)
    for path, folder in entry.artifacts.items():
        client.log_artifact(number, path, folder or None)
    client.set_terminated(number, entry.status, end_time=entry.ended)
    client.set_tag(number, LOGGED, entry.digest)
    print(f"logged {entry.name} as {number}", flush=True)  # noqa: T201  its log, and a sign of life
    return [entry.name]


def _parts(entries: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(entries)
    while part := list(islice(rest, size)):
        yield part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
