"""Bands of an earlier release: still judged by, wherever they, their base and their rows lie now."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import ROOT, run_cli

GOLDEN = ROOT / "tests" / "golden"
TASKS = ("text-classification", "causal-lm")


@pytest.fixture
def golden(request, tmp_path) -> Path:
    """A copy of a band with its base, its rows and a candidate; without its runs."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "golden"))


def check(folder: Path, *more: str | Path, cwd: Path | None = None):
    return run_cli("check", folder / "candidate", "--json", "--offline", *more, cwd=cwd or folder)


def with_crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("golden", TASKS, indirect=True)
def test_a_band_of_an_earlier_release_is_still_judged_by(golden):
    expected = {"text-classification": ("accuracy", 0.5), "causal-lm": ("reference_nll", 1.2222)}
    metric, score = expected[json.loads((golden / "band.json").read_text())["provenance"]["signature"]["task"]]
    with_crlf(golden / "eval.jsonl")
    done = check(golden)
    assert done.code == 0, done.err
    assert json.loads(done.out)["metrics"][metric]["scores"] == pytest.approx([score], abs=1e-3)


@pytest.mark.parametrize("golden", ["text-classification"], indirect=True)
def test_a_band_that_moved_finds_its_base_and_its_rows_where_the_flags_say(golden, tmp_path):
    away, own = tmp_path / "away", tmp_path / "own"
    for folder in (away, own):
        folder.mkdir()
    band = shutil.move(golden / "band.json", away / "band.json")
    base = shutil.move(golden / "base", own / "model")
    rows = shutil.move(golden / "eval.jsonl", own / "rows.jsonl")
    lost = check(golden, "--band", band, "--data", rows)
    assert lost.code == 2
    assert "--base" in lost.err
    lost = check(golden, "--band", band, "--base", base)
    assert lost.code == 2
    assert "--data" in lost.err
    found = check(golden, "--band", band, "--base", base, "--data", rows)
    assert found.code == 0, found.err


@pytest.mark.parametrize("golden", ["text-classification"], indirect=True)
def test_a_base_of_other_weights_is_refused_wherever_it_lies(golden):
    shutil.move(golden / "base", golden / "elsewhere")
    weights = golden / "elsewhere" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    done = check(golden, "--base", golden / "elsewhere")
    assert done.code in (2, 3)
    assert "another model" in done.err


@pytest.mark.parametrize("golden", ["text-classification"], indirect=True)
@pytest.mark.parametrize("rows", ["other", "another end of line"])
def test_other_rows_are_refused_and_other_ends_of_lines_are_none(golden, rows):
    path = golden / "eval.jsonl"
    with_crlf(path)
    if rows == "other":
        path.write_bytes(path.read_bytes().replace(b"the", b"a", 1))
    told = run_cli("diff-data", golden / "band.json", path)
    assert ("changed" in told.out) == (rows == "other"), told.err + told.out
    assert check(golden).code == (3 if rows == "other" else 0)
