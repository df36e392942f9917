"""One task of lm-evaluation-harness in a process of its own, on a checkpoint that is opened as everywhere else.

python -m seedband.evaluators.external.lm_eval_child REQUEST.json ANSWER.json PARENT_PID
"""

import json
import os
import random
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seedband import tasks
from seedband.determinism import pins
from seedband.determinism.subprocesses import answer
from seedband.errors import UsageError
from seedband.evaluators import Checkpoint
from seedband.evaluators.external.lm_eval import HarnessAnswer, HarnessTask
from seedband.models.checkpoints import open_checkpoint
from seedband.models.loading import load_tokenizer
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe.scoring import Base
from seedband.storage import file_hashes, json_files
from seedband.storage.json_files import JsonObject

#: Resamples for the standard error of what is no mean; the score does not depend on it.
BOOTSTRAPS = 1000
#: What of a task says where its data lie: what was asked is compared by the hash of the questions.
PLACES = ("dataset_path", "dataset_name", "dataset_kwargs", "metadata")
#: Where a function lies in memory, in texts that stand for functions without a source.
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def reply(request: JsonObject) -> Mapping[str, object]:
    """The answer of the harness about a task, or about a checkpoint by it.

    Raises:
        UsageError: There is no such task, or not as the arguments say.
    """
    task = HarnessTask(**request["task"])
    checkpoint = None if request["checkpoint"] is None else placed(request["checkpoint"])
    manager = find(task)
    check_arguments(task, manager._index[task.task].cfg or {})  # noqa: SLF001  no door to a task without its data
    return {} if checkpoint is None else asdict(ask(task, manager, checkpoint))


def placed(request: JsonObject) -> Checkpoint:
    """A checkpoint of a request, its paths absolute: a task's own start elsewhere."""
    files, base = ({**request[part], "path": str(Path(request[part]["path"]).absolute())} for part in ("files", "base"))
    return Checkpoint(**{**request, "files": CheckpointFiles(**files), "base": Base(**base)})


def find(task: HarnessTask) -> Any:
    """A manager of tasks that has this one; the harness's own thousands are read only where they are needed.

    Raises:
        UsageError: There is no such task, or it is several.
    """
    from lm_eval.tasks import TaskManager

    if task.include_path is not None:
        os.chdir(task.include_path)
        manager = TaskManager(include_path=task.include_path, include_defaults=False)
        if task.task in manager.all_subtasks:
            return manager
    manager = TaskManager(include_path=task.include_path)
    if task.task in manager.all_subtasks:
        return manager
    if task.task in manager.all_tasks:
        raise UsageError(f"{task.task} is a group of tasks", hint="name one of its tasks")
    where = "the harness" if task.include_path is None else f"{task.include_path} or the harness"
    raise UsageError(
        f"no such task in {where}", hint="YAML that cannot be read is no task; lm_eval ls tasks lists them"
    )


def check_arguments(task: HarnessTask, config: JsonObject) -> None:
    """Hold the arguments against a task's YAML, before its data are looked at; a task in Python is left for later.

    Raises:
        UsageError: No such metric or filter, another direction, or examples where the task forbids them.
    """
    import lm_eval.api.metrics  # noqa: F401  registers the directions
    from lm_eval.api.registry import DEFAULT_METRIC_REGISTRY, is_higher_better

    if "class" in config:
        return
    listed = config.get("metric_list")
    if listed is None:
        listed = [{"metric": name} for name in DEFAULT_METRIC_REGISTRY[config.get("output_type", "generate_until")]]
    entries = {str(entry["metric"]).rpartition(".")[2]: entry for entry in listed}
    filters = [entry["name"] for entry in config.get("filter_list") or [{"name": "none"}]]
    wanted, _, chosen = (task.metric or next(iter(entries))).partition(",")
    if wanted not in entries:
        raise UsageError(f"metric: found {task.metric!r}, expected one of {', '.join(entries)}")
    if chosen not in filters if chosen else len(filters) > 1:
        expected = ", ".join(f"{wanted},{name}" for name in filters)
        raise UsageError(f"metric: found {task.metric!r}, expected a filter with it: {expected}")
    own = entries[wanted].get("higher_is_better")
    check_direction(task, wanted, is_higher_better(wanted) if own is None else own)
    if task.num_fewshot and config.get("num_fewshot") == 0:
        raise UsageError(f"num_fewshot: found {task.num_fewshot}, expected 0: the task's own YAML allows no other")


def check_direction(task: HarnessTask, metric: str, own: bool | None) -> None:  # noqa: FBT001  as the harness has it
    """Hold the direction against the harness's.

    Raises:
        UsageError: They differ.
    """
    if own is not None and own != task.higher_is_better:
        raise UsageError(
            f"higher_is_better: found {str(task.higher_is_better).lower()}, and the harness has {str(own).lower()} for "
            f"{metric}",
            hint=f"args = {{ higher_is_better = {str(own).lower()} }}",
        )


def ask(task: HarnessTask, manager: Any, checkpoint: Checkpoint) -> HarnessAnswer:
    """Score a checkpoint.

    Raises:
        UsageError: The task turns out not to be as the arguments say.
    """
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    pins.pin(pins.inherited(os.environ))
    seed_as_the_harness()
    loaded = manager.load([task.task])
    prepare(task, loaded["tasks"][task.task])
    results: JsonObject = evaluate(
        lm=HFLM(
            pretrained=language_model(checkpoint),
            tokenizer=load_tokenizer(checkpoint.base.path),
            backend="causal",
            batch_size=task.batch_size,
        ),
        task_dict=loaded,
        limit=task.limit,
        bootstrap_iters=BOOTSTRAPS,
        log_samples=True,
        apply_chat_template=task.apply_chat_template,
        fewshot_as_multiturn=task.apply_chat_template,
    )
    scores, directions = results["results"][task.task], results["higher_is_better"][task.task]
    metric, key = chosen(task.metric or next(iter(directions)), scores)
    check_direction(task, metric, directions.get(metric))
    stderr = scores.get(key.replace(",", "_stderr,", 1))
    return HarnessAnswer(
        score=float(scores[key]),
        stderr=stderr if isinstance(stderr, float) else None,
        n_items=results["n-samples"][task.task]["effective"],
        backend=signed(task, key, results, manager._index[task.task].yaml_path),  # noqa: SLF001
    )


def language_model(checkpoint: Checkpoint) -> Any:
    """The checkpoint, opened as for every other evaluator: safetensors only, no code of its own."""
    from peft import PeftModel

    module: Any = open_checkpoint(checkpoint.files, checkpoint.base, (), tasks.find(checkpoint.task)).module
    # The harness wants a model of transformers: the one below PEFT's, with the adapter in its layers.
    return (module.get_base_model() if isinstance(module, PeftModel) else module).to(checkpoint.device)


def seed_as_the_harness() -> None:
    """Seed the generators as the harness's command line does: a task may draw when its questions are made."""
    import numpy as np
    import torch
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)  # noqa: NPY002  the generator that tasks of the harness use
    torch.manual_seed(DEFAULT_OTHER_SEED)


def prepare(task: HarnessTask, loaded: Any) -> None:
    """Set the number of examples and their seed, as the harness's command line does."""
    own = loaded.get_config("num_fewshot")
    if task.num_fewshot is not None and own == 0 != task.num_fewshot:
        raise UsageError(f"num_fewshot: found {task.num_fewshot}, expected 0: the task allows no other")
    loaded.set_config(key="num_fewshot", value=(own or 0) if task.num_fewshot is None else task.num_fewshot)
    loaded.set_fewshot_seed(seed=task.fewshot_seed)


def chosen(metric: str, scores: Mapping[str, object]) -> tuple[str, str]:
    """Name of a metric, and the key of its score: "acc" and "acc,none".

    Raises:
        UsageError: None or several are meant.
    """
    keys = [key for key in scores if "," in key and "_stderr," not in key]
    meant = [key for key in keys if metric in (key, key.partition(",")[0])]
    if len(meant) != 1:
        raise UsageError(f"metric: found {metric!r}, expected one of {', '.join(keys)}")
    return meant[0].partition(",")[0], meant[0]


def signed(task: HarnessTask, key: str, results: JsonObject, yaml: Path | None) -> str:
    """The backend that two scores of the harness must share: its version, the task and every question.

    `task_hash` is what the harness itself puts on record under that name: over documents, prompts and targets.
    """
    from lm_eval.utils import hash_string

    samples = results["samples"][task.task]
    parts = (sample["doc_hash"] + sample["prompt_hash"] + sample["target_hash"] for sample in samples)
    config = {name: value for name, value in results["configs"][task.task].items() if name not in PLACES}
    own = [] if task.include_path is None or yaml is None else sorted(yaml.parent.glob("*.py"))
    functions = {path.name: file_hashes.file_sha256(path) for path in own}
    definition = json_files.digest([ADDRESS.sub("", json.dumps(config, sort_keys=True, default=str)), functions])
    facts = {
        "task": task.task,
        "metric": key,
        "shots": results["n-shot"][task.task],
        "fewshot_seed": task.fewshot_seed,
        "task_version": results["versions"][task.task],
        "task_hash": hash_string("".join(parts))[:16],
        "definition": definition[:16],
    }
    return "|".join([f"lm_eval:{version('lm_eval')}", *(f"{name}:{value}" for name, value in facts.items())])


if __name__ == "__main__":
    sys.exit(answer(sys.argv[1:], reply))
