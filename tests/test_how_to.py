"""The how-to pages, run as they stand: their files are written, their commands are typed."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from how_to import blocks
from installed import declare
from tiny import ROOT


def typed(commands: str, folder: Path) -> str:
    """What commands print that are typed in a folder; pip installs into the folder, from what is installed."""
    site = folder / "site"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(folder), str(site), str(ROOT)]),
        "PIP_TARGET": str(site),
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's spelling of "without isolation"
        "COLUMNS": "160",
        "PYTEST_ADDOPTS": "",  # those of this very run are not the reader's
    }
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def support(tiny_generation, tmp_path):
    """A team's folder: a recipe, its data, a tiny decoder."""
    folder = shutil.copytree(tiny_generation.folder, tmp_path / "support")
    (folder / "pytest.ini").write_text(
        "[pytest]\n"
    )  # pytest looks for one in the folders above, where other tests write
    return folder


@pytest.mark.slow
def test_an_evaluator_is_added_in_five_steps_as_written(support):
    page = blocks("evaluators.md")
    for _, name, content in page:
        if name:
            with (support / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{content}")
    printed = [typed(content, support) for language, _, content in page if language == "bash"]
    assert len(printed) == 3
    assert "1 passed" in printed[0]
    band = json.loads((support / "band.json").read_text(encoding="utf-8"))
    described = band["provenance"]["signature"]["evaluators"]
    assert described["python:my_metrics:KeepsNumbers"]["args"] == {"digits": 2}
    assert described["python:lengths:words"]["version"].startswith("sha256:")
    assert not described["python:lengths:words"]["higher_is_better"]
    assert set(band["metrics"]) > {"reference_nll", "python:my_metrics:KeepsNumbers", "python:lengths:words"}
    assert "keeps_numbers" in printed[2]
    assert "Share of the reference's numbers that the text names" in printed[2]


def test_a_stopped_candidate_is_told_in_pytest_as_shown(tmp_path):
    declare(tmp_path / "site")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for _, name, content in blocks("pytest.md"):
        if name:
            (tmp_path / name).write_text(content, encoding="utf-8")
    [shown] = [content.splitlines() for language, _, content in blocks("pytest.md") if language == "console"]
    commands = [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
    printed = typed(f"export COLUMNS=80\n{commands[0]}\n{commands[1]} || true", tmp_path).splitlines()
    assert printed[: len(shown) - 2] == shown[2:]
    assert "short test summary info" in printed[len(shown) - 2]
    assert printed[-1].startswith("2 failed in ")


@pytest.mark.slow
@pytest.mark.minilm
def test_a_csv_is_begun_swept_accepted_and_gated_as_written(tmp_path):
    support = [ROOT / "fixtures" / "support" / f"{name}.jsonl" for name in ("train", "eval")]
    rows = [json.loads(line) for path in support for line in path.read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "tickets.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "intent", "channel"])
        writer.writerows([row["text"], row["label"], row["channel"]] for row in rows)
    declare(tmp_path / "site")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    pages = {name: blocks(f"{name}.md") for name in ("init", "accept", "pytest")}
    printed = {}
    for page, found in pages.items():
        for _, name, content in found if page == "pytest" else ():
            if name:
                (tmp_path / name).write_text(content, encoding="utf-8")
        printed[page] = [typed(content, tmp_path) for language, _, content in found if language == "bash"]
    shown = {page: next(content for language, _, content in pages[page] if language == "console") for page in pages}
    assert printed["init"][0].splitlines() == shown["init"].splitlines()[:-1]  # the hint goes to standard error
    assert "band accuracy: [" in printed["init"][1]
    told = printed["accept"][0].splitlines()
    changed = next(number for number, line in enumerate(told) if line.startswith("changed: "))
    assert told[changed] == shown["accept"].splitlines()[0]
    assert told[-1].startswith("accepted: band.json, 4 seeds; the band before it: band.")
    assert "accepted once, last: twice the epochs: log loss was still falling (" in printed["accept"][1]
    assert "2 passed" in printed["pytest"][0]


@pytest.mark.slow
def test_reports_are_made_and_print_what_the_page_says(tmp_path):
    page = blocks("reports.md")
    for _, name, content in page:
        if name:
            (tmp_path / name).write_text(content, encoding="utf-8")
    printed = [typed(content, tmp_path) for language, _, content in page if language == "bash"]
    shown = next(content for language, _, content in page if language == "text")
    assert printed == [shown, "", ""]
    for made in ("check.html", "band.html", "trend.html"):
        assert "<!DOCTYPE html>" in (tmp_path / made).read_text(encoding="utf-8")
