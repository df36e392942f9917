"""A task of the harness, a metric of ai-evaluation and a function of one's own in one sweep, with no network."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import NO_NETWORK, ROOT, run_cli
from tiny_decoder import make_tiny_decoder

from seedband.runs.run_file import read_run
from seedband.storage import json_files

pytestmark = pytest.mark.slow

RECIPE = """
[model]
base = "base"
task = "causal-lm"
max_length = 64
[data]
name = "kinds"
train = "train.jsonl"
eval = "eval.jsonl"
[train]
method = "lora"
epochs = 40
batch_size = 8
learning_rate = 1e-2
[generation]
max_new_tokens = 10
[[evaluate]]
evaluator = "reference_nll"
primary = true
[[evaluate]]
evaluator = "lm_eval:kinds"
args = { include_path = "tasks", num_fewshot = 1, limit = 12 }
[[evaluate]]
evaluator = "fi:factual_consistency"
args = { by = "overlap" }
[[evaluate]]
evaluator = "python:own_metrics:words"
args = { higher_is_better = false, unit = "words", at_most = 20 }
"""
FUNCTION = """
def words(items, predictions, at_most):
    return [min(len(text.split()), at_most) for text in predictions.texts]
"""
TASK = """
task: kinds
dataset_path: json
dataset_kwargs:
  data_files: {test: kinds.jsonl}
output_type: multiple_choice
test_split: test
fewshot_split: test
doc_to_text: "{{question}}"
doc_to_choice: ["fruit", "metal", "river"]
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata: {version: 1.0}
"""
KINDS = {"fruit": ["apple", "pear", "plum"], "metal": ["iron", "gold", "zinc"], "river": ["rhine", "nile", "oder"]}


def write_folder(folder: Path) -> None:
    """Recipe, data, tiny decoder, a task of the harness and a function."""
    make_tiny_decoder(folder / "base")
    pairs = [(word, kind) for kind, words in KINDS.items() for word in words]
    for part in ("train", "eval"):
        rows = [
            {"prompt": f"the {word} was {age} {part}", "completion": f" it was seen today near the old {kind}"}
            for word, kind in pairs
            for age in ("old", "new")
        ]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tasks").mkdir()
    (folder / "tasks" / "kinds.yaml").write_text(TASK)
    asked = [*pairs, *((kind, kind) for kind in KINDS)]
    docs = [{"question": f"the {word} was", "answer": [*KINDS].index(kind)} for word, kind in asked]
    (folder / "tasks" / "kinds.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    (folder / "own_metrics.py").write_text(FUNCTION)
    (folder / "seedband.toml").write_text(RECIPE)
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(NO_NETWORK)


def run(folder: Path, *arguments, cwd: Path | None = None):
    """The command line, where nothing answers beyond this machine."""
    environment = {
        "PYTHONPATH": f"{folder / 'site'}:{ROOT}",
        "NETWORK_ASKED": str(folder / "network.txt"),
        "HF_HOME": str(folder / "hub"),
    }
    return run_cli(*arguments, cwd=cwd or folder, env=environment)


@pytest.fixture(scope="module")
def once_swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harness")
    write_folder(folder)
    done = run(folder, "sweep", "--seeds", "2", "--out", "runs", "-q")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def swept(once_swept, tmp_path):
    """A copy, to be changed."""
    return Path(shutil.copytree(once_swept, tmp_path / "copy"))


def test_each_stands_in_the_band_with_version_arguments_and_backend_and_asks_no_network(once_swept):
    signed = json_files.read_json(once_swept / "band.json", "band")["provenance"]["signature"]["evaluators"]
    harness = signed["lm_eval:kinds"]
    assert harness["args"]["num_fewshot"] == 1
    assert harness["args"]["limit"] == 12
    assert harness["args"]["fewshot_seed"] == 1234
    assert harness["backend"].startswith("lm_eval:0.4.")
    assert "|task:kinds|metric:acc,none|shots:1|fewshot_seed:1234|task_version:1.0|task_hash:" in harness["backend"]
    assert signed["fi:factual_consistency"]["args"]["by"] == "overlap"
    assert signed["fi:factual_consistency"]["backend"].startswith("ai-evaluation 1.")
    assert signed["fi:factual_consistency"]["backend"].endswith(" factual_consistency: word overlap with the reference")
    own = signed["python:own_metrics:words"]
    assert own["version"].startswith("sha256:")
    assert own["args"] == {"at_most": 20}
    assert {entry["version"] for name, entry in signed.items() if not name.startswith("python:")} == {"1"}
    scores = {entry.metric: entry for entry in read_run(once_swept / "runs" / "seed-0").evaluations}
    assert scores["lm_eval:kinds"].n_items == 12
    assert scores["lm_eval:kinds"].details["stderr"] > 0
    assert scores["fi:factual_consistency"].n_items == 18
    assert not (once_swept / "network.txt").exists(), (once_swept / "network.txt").read_text()


def test_the_bands_own_run_passes_where_the_recipe_lies(once_swept):
    done = run(once_swept, "check", "runs/seed-1", "--band", "band.json")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("evaluator", "written", "other", "told"),
    [
        ("lm_eval:kinds", "limit = 12", "limit = 6", "limit is 12 on record, 6 here"),
        ("lm_eval:kinds", "num_fewshot = 1, ", "", "num_fewshot is 1 on record, not said here"),
        ("fi:factual_consistency", 'by = "overlap"', "", 'by is "overlap" on record, not said here'),
        ("python:own_metrics:words", "at_most = 20", "at_most = 9", "at_most is 20 on record, 9 here"),
    ],
)
def test_a_changed_argument_is_refused_by_its_name(swept, evaluator, written, other, told):
    (swept / "seedband.toml").write_text(RECIPE.replace(written, other))
    done = run(swept, "check", "runs/seed-1", "--band", "band.json")
    assert done.code == 3, done.err
    assert f"{evaluator} stands in no recipe of" in done.err
    assert told in " ".join(done.err.split())


def test_a_candidate_of_a_recipe_with_another_argument_is_judged_by_the_bands_arguments_alone(swept):
    (swept / "first.toml").write_text(RECIPE)
    (swept / "seedband.toml").write_text(RECIPE.replace("limit = 12", "limit = 6"))
    done = run(swept, "sweep", "--seeds", "1", "--no-band", "--out", "other", "-q")
    assert done.code == 0, done.err
    refused = run(swept, "check", "other/seed-0", "--band", "band.json")
    assert refused.code == 3, refused.err
    assert "limit is 12 on record, 6 here" in " ".join(refused.err.split())
    other = run(swept, "check", "other/seed-0", "--band", "band.json", "--recipe", "first.toml")
    assert other.code == 3, other.err
    assert "trained by another recipe than the one at hand: evaluate changed" in " ".join(other.err.split())
    (swept / "first.toml").rename(swept / "seedband.toml")
    judged = run(swept, "check", "other/seed-0", "--band", "band.json", "--json")
    assert judged.code == 0, judged.err  # the same weights
    assert json.loads(judged.out)["metrics"].keys() == {
        "reference_nll", "lm_eval:kinds", "fi:factual_consistency", "python:own_metrics:words"
    }  # fmt: skip


def test_another_question_in_the_task_is_another_task(swept):
    place = swept / "tasks" / "kinds.jsonl"
    place.write_text(place.read_text().replace("the plum was", "the plum is"))
    done = run(swept, "check", "runs/seed-1", "--band", "band.json")
    assert done.code == 3, done.err
    told = " ".join(done.err.split())
    assert "evaluators: band has lm_eval:kinds = backend = lm_eval:0.4." in told
    assert "limit" not in told


def test_they_do_not_run_where_no_recipe_names_them(swept, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    done = run(swept, "check", swept / "runs" / "seed-1", "--band", swept / "band.json", cwd=tmp_path / "elsewhere")
    assert done.code == 3, done.err
    assert "a record alone cannot make it run" in " ".join(done.err.split())
