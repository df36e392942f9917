"""Every kind of report: written whole, also where another one cannot be, and none that passes left lying about."""

import json
import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from seedband import fit_band, reports
from seedband.bands.verdict import SliceVerdict
from seedband.errors import Problem, Refused, UsageError
from seedband.reports.wording import after_fail
from seedband.storage.registry import REPORTS

BAND = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]})
CALL = {"band_path": "band.json", "candidates": ("new.csv",), "command": "seedband check --scores new.csv"}


def told(score, exit_code):
    return reports.of_verdict(BAND.judge({"accuracy": score}), BAND, exit_code, "", **CALL)


def every_kind(folder):
    return [(kind, folder / f"report.{kind}") for kind in reports.names()]


def test_every_kind_tells_every_outcome(tmp_path):
    refused = reports.of_error(Refused("other eval data", [Problem("row 3", "x", "y")], hint="look"), **CALL)
    for report in (told(0.88, 0), told(0.8, 1), told(0.869, 4), refused, replace(refused, status="error")):
        final, failures = reports.write(report, every_kind(tmp_path))
        assert (final, failures) == (report, [])
        for kind, path in every_kind(tmp_path):
            text = path.read_text(encoding="utf-8")
            assert report.status in text.lower(), kind
            assert "band.json" in text, kind


@pytest.mark.parametrize(("score", "exit_code", "ends"), [(0.88, 0, 5), (0.869, 4, 5), (0.869, 0, 5), (0.8, 1, 1)])
def test_a_report_that_cannot_be_written_never_ends_green(tmp_path, score, exit_code, ends):
    (tmp_path / "file").write_text("")
    asked = [("junit", tmp_path / "file" / "r.xml"), *every_kind(tmp_path)]
    final, failures = reports.write(told(score, exit_code), asked)
    assert final.exit_code == ends
    assert [error.exit_code for error in failures] == [5]
    assert str(tmp_path / "file" / "r.xml") in failures[0].message
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["exit_code"] == ends
    assert written["status"] == ("fail" if ends == 1 else "error")
    assert written["metrics"]["accuracy"]["scores"] == [score]
    assert all(path.is_file() for _, path in every_kind(tmp_path))


def test_no_report_takes_the_place_of_what_the_call_reads(tmp_path):
    asked = [f"json={tmp_path}/a.json", f"junit={tmp_path}/x/../a.json"]
    with pytest.raises(UsageError, match="asked for twice"):
        reports.parse(asked)
    with pytest.raises(UsageError, match="is what this call reads"):
        reports.parse([f"json={tmp_path}/band.json"], [tmp_path / "x" / ".." / "band.json"])
    for place in (str(tmp_path), "/dev/stdout", "/dev/null"):
        with pytest.raises(UsageError, match="no place for a file"):
            reports.parse([f"json={place}"])
    for request in ("html5=x", "json", "json=", "=x"):
        with pytest.raises(UsageError, match="expected KIND=FILE"):
            reports.parse([request])


def test_a_report_replaces_a_report_of_its_kind_and_nothing_else(tmp_path):
    report = told(0.88, 0)
    assert reports.write(report, every_kind(tmp_path)) == (report, [])
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for kind, path in every_kind(tmp_path):
        others = [other for _, other in every_kind(tmp_path) if other != path]
        assert reports.parse([f"{kind}={path}"]) == [(kind, path)]
        assert reports.parse([f"{kind}={tmp_path}/empty"])
        for other in [*others, Path(__file__)]:
            with pytest.raises(UsageError, match=f"is no {kind} report of seedband; expected a new file"):
                reports.parse([f"{kind}={other}"])
        with pytest.raises(UsageError, match="no place for a file"):
            reports.parse([f"{kind}={tmp_path}/pipe"])
        with pytest.raises(UsageError, match="no place for a file: File name too long"):
            reports.parse([f"{kind}={tmp_path}/{'x' * 300}"])


def test_no_report_lies_in_a_folder_that_is_read(tmp_path):
    with pytest.raises(UsageError, match=r"cand/sub/r\.json lies in .*cand, which this call reads"):
        reports.parse([f"json={tmp_path}/cand/sub/r.json"], [tmp_path / "cand"])
    assert reports.parse([f"json={tmp_path}/candidate.json"], [tmp_path / "cand"])


def test_reports_of_an_earlier_call_are_removed(tmp_path):
    (tmp_path / "old.json").write_text("{}")
    reports.clear([("json", tmp_path / "old.json"), ("junit", Path("/proc/none/r.xml"))])
    assert not (tmp_path / "old.json").exists()


def test_every_kind_is_a_module_of_its_name():
    for kind, place in REPORTS.built_in.items():
        module = place.partition(":")[0]
        assert module.rpartition(".")[2] == kind
        assert import_module(module).__doc__


def test_what_follows_a_fail_is_what_can_be_run():
    failed = BAND.judge({"accuracy": 0.8})
    worse = SliceVerdict("accuracy", "the intent", "card", 9, (0.1,), 0.8, 0.7, 0.9, 1e-6, 1e-5)
    swept = {"recipe": {}, "runs": "runs/a", "checkpoints": {"0": "sha256"}}
    reported = {**swept, "checkpoints": {"0": None}}
    for provenance, slices, shown, meant in (
        ({}, (worse,), "b.json", "score its seeds, and make a new band with seedband band"),
        (
            swept,
            (worse,),
            "b.json --by 'the intent'",
            "sweep --config NEW.toml, then seedband accept runs/NAME --band b",
        ),
        (swept, (), "b.json", "sweep --config NEW.toml, then seedband accept runs/NAME --band b.json --reason TEXT"),
        (reported, (), "b.json", "make a new band with seedband sweep --config NEW.toml"),
    ):
        told = after_fail(replace(failed, slices=slices), replace(BAND, provenance=provenance), "b.json")
        assert f"seedband show {shown}, or if the change is meant: " in told
        assert meant in told
        assert ("accept" in told) == (provenance is swept)
