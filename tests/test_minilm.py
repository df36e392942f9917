"""The demo's real model: the recipe finds the published weights, and a plain Trainer's adapter is judged.

Slow: `make test-full`.
"""

import json
import shutil
import subprocess
import sys

import pytest
from tiny import ROOT, run_cli

from seedband import load_band

pytestmark = [pytest.mark.minilm, pytest.mark.slow]
MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
STEPS = 24

TRAINER = """
import json, sys
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer,
                          TrainingArguments, set_seed)

base, rows, out, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
torch.set_num_threads(1)
set_seed(0)
rows = [json.loads(line) for line in open(rows)]
labels = sorted({row["label"] for row in rows})
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels))
model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16, lora_dropout=0.1,
                                         target_modules=["query", "value"]))
encoded = tokenizer([row["text"] for row in rows], truncation=True, max_length=64)
data = [{name: encoded[name][i] for name in encoded} | {"labels": labels.index(row["label"])}
        for i, row in enumerate(rows)]
arguments = TrainingArguments(output_dir=out + "-trainer", max_steps=steps, per_device_train_batch_size=8,
    learning_rate=3e-3, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True)
Trainer(model=model, args=arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer)).train()
model.save_pretrained(out)
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's recipe, cut to a few steps, swept under two seeds."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "fixtures" / "support", folder / "fixtures" / "support")
    text = (ROOT / "seedband.toml").read_text(encoding="utf-8")
    (folder / "seedband.toml").write_text(text.replace("epochs = 5", f"epochs = 5\nmax_steps = {STEPS}"))
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", cwd=folder)
    assert done.code == 0, done.err
    return folder


def test_base_is_the_published_minilm(demo):
    assert load_band(demo / "band.json").provenance["base"]["sha256"] == MINILM


def test_median_run_passes(demo):
    median = json.loads((demo / "runs" / "sweep.json").read_text())["median_seed"]
    assert run_cli("check", f"runs/seed-{median}", cwd=demo).code == 0


def test_adapter_of_a_plain_trainer_is_scored_without_any_file_of_ours(demo):
    base = load_band(demo / "band.json").provenance["recipe"]["model"]["base"]
    import importlib.util

    package, _, inner = base.removeprefix("package:").partition("/")
    path = f"{next(iter(importlib.util.find_spec(package).submodule_search_locations))}/{inner}"
    command = [sys.executable, "-c", TRAINER, path, "fixtures/support/train.jsonl", "plain", str(STEPS)]
    subprocess.run(command, cwd=demo, check=True, capture_output=True)
    assert not list((demo / "plain").glob("*seedband*"))
    done = run_cli("check", "plain", "--json", cwd=demo)
    assert done.code in (0, 1, 4), done.err
    verdict = json.loads(done.out)
    assert 0 < verdict["metrics"]["accuracy"]["scores"][0] < 1
    assert verdict["candidates"][0]["baseline_seed"] is None
