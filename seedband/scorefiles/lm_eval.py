"""Results of EleutherAI's lm-evaluation-harness: results_*.json, one file per run."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from seedband.errors import Refused
from seedband.scorefiles import names
from seedband.scorefiles.json_shapes import run_of
from seedband.scorefiles.reading import Document, Reading, Wanted
from seedband.scorefiles.tables import reading

#: What stands beside `results` in its files, in one release or another.
_BESIDE = ("configs", "versions", "n-shot", "config", "git_hash", "n-samples", "config_general")
#: The filter that changes nothing.
_PLAIN = "none"
_NO_METRICS = ("alias", "name", "sample_len", "sample_count")


class LmEval:
    """Results of one run of the harness."""

    endings = (".json",)
    files = ("results_*.json",)
    summary = (
        "`results_*.json` of lm-evaluation-harness: metrics are called `task.metric` (`arc_easy.acc`), with the filter "
        "where there is one (`gsm8k.exact_match,strict-match`); its own `higher_is_better` gives the directions."
    )
    seeds = "the path, else `model_name` (its `random_seed` draws the examples in the prompts)"

    def recognises(self, document: Document) -> bool:
        """An object with the results of tasks, and what the harness writes beside them."""
        value = document.value if document.ending in self.endings else None
        if not isinstance(value, Mapping) or not any(key in value for key in _BESIDE):
            return False
        tasks = value.get("results")
        return isinstance(tasks, Mapping) and bool(tasks) and all(isinstance(told, Mapping) for told in tasks.values())

    def read(self, document: Document, wanted: Wanted) -> Reading:
        """The scores of all tasks and groups."""
        value = document.value
        given = value.get("higher_is_better")
        ways = given if isinstance(given, Mapping) else {}
        scores: dict[str, object] = {}
        directions: dict[str, bool] = {}
        groups = value.get("groups") if isinstance(value.get("groups"), Mapping) else {}
        for task, entry in {**groups, **value["results"]}.items():
            for key, metric, score in _metrics(entry):
                name = f"{task}.{key}"
                scores[name] = score
                if isinstance(way := _way(ways, task, metric), bool):
                    directions[name] = way
        table = run_of(scores, "results of lm-evaluation-harness", directions=directions)
        found = reading(document, table, wanted)
        return replace(found, seed=_seed(document, value))


def _metrics(entry: Mapping[str, object]) -> Iterator[tuple[str, str, Any]]:
    """Name, metric and score of everything that a task has."""
    for key, score in entry.items():
        metric, _, chosen = key.partition(",")
        if metric not in _NO_METRICS and not isinstance(score, Mapping):
            yield (metric if chosen in ("", _PLAIN) else key), metric, score


def _way(ways: Mapping[str, object], task: str, metric: str) -> Any:
    told = ways.get(task)
    return told.get(metric) if isinstance(told, Mapping) else None


def _seed(document: Document, value: Mapping[str, object]) -> int | None:
    """The seed in the name of the model, where the path does not say it."""
    config = value.get("config")
    arguments = config.get("model_args") if isinstance(config, Mapping) else None
    texts = [text for text in (value.get("model_name"), arguments) if isinstance(text, str)]
    for text in texts:
        seeds = {seed for rank, seed, _ in names.seeds_in_path_part(text) if rank == 0}
        if len(seeds) > 1:
            raise Refused(f"{document.path}: {text} names several seeds", hint="name one seed in the path of the model")
        if seeds:
            return seeds.pop()
    return None
