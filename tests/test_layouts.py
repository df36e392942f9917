"""Checkpoints as other tools leave them: each is scored as by plain transformers and PEFT, or refused with a reason."""

import json
import subprocess
import sys

import numpy as np
import pytest
from adapter_layouts import ADAPTERS
from layout_bases import BASES
from layouts import NEAR, make_swept, opened_by_hand, said_by_hand
from tiny import ROOT, once, run_cli
from whole_layouts import WHOLE

SCRIPT = ROOT / "scripts" / "write_checkpoints.py"

LAYOUTS = [
    pytest.param(layout, id=layout.name, marks=[] if layout.fast else pytest.mark.slow)
    for layout in (*ADAPTERS, *WHOLE)
]


@pytest.mark.filterwarnings("ignore")  # of PEFT and transformers, by hand
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_scored_as_by_hand_or_refused_with_a_reason(layout, shared_folder, tmp_path):
    base = BASES[layout.base]
    swept = once(shared_folder / f"layouts-{layout.base}", lambda folder: make_swept(base, folder))
    layout.make(tmp_path / "candidate", swept / "base")
    said = tmp_path / "said.json"
    done = run_cli(
        *("check", tmp_path / "candidate", "--band", swept / "band.json", "--base", swept / "base", "--offline", "-q"),
        cwd=swept,  # a recipe there allows its evaluator to run
        env={"SAID": str(said)},
    )
    if layout.refused:
        assert done.code == layout.code, done.err
        assert done.err.count(layout.refused) == 1, done.err
        return
    assert done.code in (0, 1, 4), done.err
    model = opened_by_hand(layout, base, tmp_path / "candidate", swept / "base")
    numbers, texts = said_by_hand(model, base, swept / "base", tmp_path / "candidate", swept / "eval.jsonl")
    found = json.loads(said.read_text())
    assert np.abs(np.array(found["numbers"]) - np.array(numbers)).max() < NEAR
    assert found["texts"] == texts


def test_page_of_the_reference_is_what_the_tables_say():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
