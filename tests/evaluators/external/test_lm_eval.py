"""lm_eval:<task>: what the harness says of a checkpoint, against transformers itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import NO_NETWORK, ROOT
from tiny_decoder import make_tiny_decoder

from seedband.errors import UsageError, WorkFailed
from seedband.evaluators import Checkpoint, build, describe
from seedband.evaluators.external.lm_eval_child import check_arguments, chosen
from seedband.models.bases import locate_base
from seedband.models.model_folders import CheckpointFiles

WORDS = ["apple", "pear", "plum", "iron", "gold", "zinc", "rhine", "nile", "oder", "fruit", "metal", "river"]
CHOICES = ["fruit", "metal", "river"]
CHOICE = """
task: kinds
dataset_path: json
dataset_kwargs:
  data_files: {test: words.jsonl}
output_type: multiple_choice
test_split: test
fewshot_split: test
doc_to_text: "the {{word}} was"
doc_to_choice: ["fruit", "metal", "river"]
doc_to_target: answer
metric_list:
  - metric: acc
  - metric: acc_norm
    higher_is_better: true
metadata: {version: 2.5}
"""
SAID = """
task: said
dataset_path: json
dataset_kwargs:
  data_files: {test: words.jsonl}
output_type: generate_until
test_split: test
doc_to_text: "the old {{word}} was"
doc_to_target: "{{said}}"
generation_kwargs: {until: ["</s>"], max_gen_toks: 4, do_sample: false}
filter_list:
  - name: whole
    filter: [{function: take_first}]
  - name: lower
    filter: [{function: lowercase}, {function: take_first}]
num_fewshot: 0
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""
BROKEN = CHOICE.replace("task: kinds", "task: broken") + "process_docs: !function own_functions.boom\n"
FUNCTIONS = "def boom(docs):\n    raise RuntimeError('the harness met boom')\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny decoder, and three tasks over what it says: every other text that is expected is what it does say."""
    root = tmp_path_factory.mktemp("lm")
    make_tiny_decoder(root / "base")
    model, tokenizer = opened(root)
    rows = []
    for number, word in enumerate(WORDS):
        tokens = tokenizer(f"the old {word} was", return_tensors="pt")
        said = model.generate(**tokens, max_new_tokens=4, do_sample=False)[0, tokens["input_ids"].shape[1] :]
        text = tokenizer.decode(said, skip_special_tokens=True)
        rows.append({"word": word, "answer": number % 3, "said": text if number % 2 else f"{text} not"})
    (root / "tasks").mkdir()
    (root / "tasks" / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name, text in (("kinds.yaml", CHOICE), ("said.yaml", SAID), ("broken.yaml", BROKEN)):
        (root / "tasks" / name).write_text(text, encoding="utf-8")
    (root / "tasks" / "own_functions.py").write_text(FUNCTIONS, encoding="utf-8")
    return root


def opened(root: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(root / "base").eval(), AutoTokenizer.from_pretrained(root / "base")


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Children that ask the network are told so, and it is written down."""
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setenv("NETWORK_ASKED", str(tmp_path / "asked.txt"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "asked.txt"


def checkpoint(root: Path, files: CheckpointFiles | None = None) -> Checkpoint:
    base = locate_base(str(root / "base"), None, root, offline=True)
    whole = CheckpointFiles("model", str(root / "base"), "base")
    return Checkpoint(files or whole, base, 4, 64, "cpu", "causal-lm")


def task(root: Path, name: str, **args):
    return build(f"lm_eval:{name}", {"include_path": "tasks", **args}, root)


def likeliest(model, tokenizer, prompt: str) -> int:
    """The choice with the largest likelihood after a prompt."""
    sums = []
    for choice in CHOICES:
        given, whole = tokenizer(prompt)["input_ids"], tokenizer(f"{prompt} {choice}")["input_ids"]
        with torch.no_grad():
            shares = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        sums.append(sum(float(shares[place - 1, whole[place]]) for place in range(len(given), len(whole))))
    return int(np.argmax(sums))


@pytest.mark.slow
def test_a_choice_is_the_likeliest_and_the_task_is_on_record(folder, no_network):
    scored = task(folder, "kinds").score(None, checkpoint(folder))
    model, tokenizer = opened(folder)
    right = [likeliest(model, tokenizer, f"the {word} was") == number % 3 for number, word in enumerate(WORDS)]
    assert scored.score == np.mean(right)
    assert scored.details["stderr"] == pytest.approx(np.std(right, ddof=1) / np.sqrt(12))
    assert (scored.n_items, scored.per_item) == (12, None)
    assert scored.backend.startswith("lm_eval:0.4.")
    assert "|task:kinds|metric:acc,none|shots:0|fewshot_seed:1234|task_version:2.5|task_hash:" in scored.backend
    assert not no_network.exists(), no_network.read_text()


@pytest.mark.slow
def test_generated_texts_are_matched_and_of_several_filters_one_is_named(folder, no_network):
    scored = task(folder, "said", metric="exact_match,whole", limit=6).score(None, checkpoint(folder))
    assert scored.score == 0.5
    assert scored.n_items == 6
    assert "|metric:exact_match,whole|shots:0|" in scored.backend
    assert not no_network.exists(), no_network.read_text()


@pytest.mark.slow
def test_an_adapter_is_scored_on_its_base_and_the_examples_are_seeded(folder, no_network, tmp_path):
    from peft import LoraConfig, get_peft_model

    from seedband.models.loading import loading  # as the child opens it

    model, tokenizer = opened(folder)
    assert loading()["dtype"] == torch.float32
    torch.manual_seed(3)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    files = CheckpointFiles("adapter", str(tmp_path / "adapter"), "adapter")
    scored = task(folder, "kinds").score(None, checkpoint(folder, files))
    right = [likeliest(adapted.eval(), tokenizer, f"the {word} was") == number % 3 for number, word in enumerate(WORDS)]
    assert scored.score == np.mean(right)
    seeded = [
        task(folder, "kinds", num_fewshot=2, fewshot_seed=seed).score(None, checkpoint(folder)) for seed in (1, 1, 2)
    ]
    assert seeded[0] == seeded[1]
    hashes = [entry.backend.partition("task_hash:")[2].partition("|")[0] for entry in (scored, *seeded)]
    assert len(set(hashes)) == 3
    assert "|shots:2|fewshot_seed:2|" in seeded[2].backend


@pytest.mark.slow
def test_a_crash_in_a_task_is_told_by_its_last_lines_and_its_whole_output_goes_to_the_log(folder, no_network, capsys):
    with pytest.raises(
        WorkFailed, match=r"lm_eval:broken crashed \(exit code 1\): .*RuntimeError: the harness met boom"
    ):
        task(folder, "broken").score(None, checkpoint(folder))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_a_task_is_not_is_told_before_anything_is_trained(folder, no_network):
    task(folder, "kinds").check_ready()
    with pytest.raises(UsageError) as caught:
        task(folder, "kinds", higher_is_better=False).check_ready()
    assert "lm_eval:kinds: higher_is_better: found false, and the harness has true for acc" in caught.value.message
    assert caught.value.hint == "args = { higher_is_better = true }"
    assert not no_network.exists()


def test_a_folder_of_tasks_that_is_not_there_is_named(folder):
    with pytest.raises(UsageError, match="include_path: no folder nowhere"):
        build("lm_eval:kinds", {"include_path": "nowhere"}, folder).check_ready()


CONFIG = {"output_type": "multiple_choice", "metric_list": [{"metric": "acc"}, {"metric": "brier_score"}]}
FILTERED = {**CONFIG, "filter_list": [{"name": "strict"}, {"name": "loose"}], "num_fewshot": 0}


@pytest.mark.parametrize(
    ("config", "args", "told"),
    [
        (CONFIG, {}, None),
        (CONFIG, {"metric": "acc,none"}, None),
        ({"output_type": "multiple_choice"}, {"metric": "acc_norm"}, None),
        ({"metric_list": [{"metric": "own.share", "higher_is_better": False}]}, {"higher_is_better": False}, None),
        ({"class": "own.Task"}, {"metric": "whatever"}, None),
        (FILTERED, {"metric": "acc,loose", "num_fewshot": 0}, None),
        (CONFIG, {"metric": "f1"}, "metric: found 'f1', expected one of acc, brier_score"),
        (CONFIG, {"metric": "acc,strict"}, "expected a filter with it: acc,none"),
        (CONFIG, {"metric": "brier_score"}, "higher_is_better: found true, and the harness has false for brier_score"),
        (CONFIG, {"higher_is_better": False}, "found false, and the harness has true for acc"),
        (FILTERED, {}, "expected a filter with it: acc,strict, acc,loose"),
        (FILTERED, {"metric": "acc,loose", "num_fewshot": 3}, "num_fewshot: found 3, expected 0"),
    ],
)
def test_arguments_are_held_against_the_yaml_of_the_task(config, args, told):
    evaluator = build("lm_eval:own", args)
    if told is None:
        check_arguments(evaluator, config)
        return
    with pytest.raises(UsageError) as caught:
        check_arguments(evaluator, config)
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"limit": 0}, "limit: found 0"),
        ({"num_fewshot": -1}, "num_fewshot: found -1"),
        ({"batch_size": "auto"}, "batch_size: found 'auto'"),
        ({"higher_is_better": "yes"}, "higher_is_better: found 'yes'"),
        ({"include_path": 3}, "include_path: found 3"),
        ({"task": "other"}, "unexpected keyword argument 'task'"),
        ({"seed": 1}, "unexpected keyword argument 'seed'"),
    ],
)
def test_arguments_that_it_does_not_take_are_mistakes(args, told):
    with pytest.raises(UsageError) as caught:
        build("lm_eval:own", args)
    assert told in str(caught.value)


def test_the_score_meant_is_one():
    scores = {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.1, "em,a": 0.1, "em,b": 0.2}
    assert chosen("acc", scores) == ("acc", "acc,none")
    assert chosen("em,b", scores) == ("em", "em,b")
    for metric in ("em", "acc_stderr", "f1"):
        with pytest.raises(UsageError, match="expected one of acc,none, em,a, em,b"):
            chosen(metric, scores)


def test_every_argument_but_the_place_of_the_tasks_is_on_record(folder):
    described = describe(task(folder, "kinds", limit=3))
    assert described["args"] == {
        "task": "kinds",
        "metric": None,
        "higher_is_better": True,
        "num_fewshot": None,
        "fewshot_seed": 1234,
        "limit": 3,
        "batch_size": 8,
        "apply_chat_template": False,
    }
