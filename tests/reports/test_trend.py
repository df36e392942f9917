"""Bands and verdicts over time: what is found below a folder, and in which order."""

import json
import os

import pytest

from seedband import fit_band, reports
from seedband.errors import UsageError
from seedband.reports.trend import timeline

SCORES = [0.871, 0.884, 0.879, 0.892]


def band(path, scores=SCORES, at=0):
    fit_band({"accuracy": scores}).save(path)
    os.utime(path, (at, at))


def verdict(path, score, time):
    fitted = fit_band({"accuracy": SCORES})
    told = reports.of_verdict(
        fitted.judge({"accuracy": score}), fitted, 0, band_path="b", candidates=(), command="c", time=time
    )
    reports.write(told, [("json", path)])


def test_everything_stands_in_the_order_in_which_it_was_made(tmp_path):
    band(tmp_path / "late" / "band.json", at=1_700_000_000)
    band(tmp_path / "band.json", at=1_600_000_000)
    verdict(tmp_path / "ci" / "verdict.json", 0.88, "2022-01-01T00:00:00+00:00")
    verdict(tmp_path / "z.json", 0.2, "2021-12-31T23:30:00-01:00")
    found = timeline(tmp_path).entries
    assert [entry.path.name for entry in found] == ["band.json", "verdict.json", "z.json", "band.json"]
    assert [entry.status for entry in found] == ["band", "pass", "fail", "band"]
    assert [entry.on_record for entry in found] == [False, True, True, False]


def test_a_report_without_a_time_has_that_of_its_file(tmp_path):
    verdict(tmp_path / "v.json", 0.88, "yesterday")
    os.utime(tmp_path / "v.json", (1_600_000_000, 1_600_000_000))
    (entry,) = timeline(tmp_path).entries
    assert not entry.on_record
    assert entry.time.timestamp() == 1_600_000_000


def test_points_hold_scores_edges_and_limits(tmp_path):
    band(tmp_path / "band.json")
    verdict(tmp_path / "v.json", 0.2, "2022-01-01T00:00:00+00:00")
    first, second = (entry.metrics["accuracy"] for entry in timeline(tmp_path).entries)
    assert first.scores == tuple(SCORES)
    assert first.band == (0.871, 0.892)
    assert (second.scores, second.status) == ((0.2,), "fail")
    assert set(second.values) > {0.2}


def test_a_refusal_is_an_entry_without_scores(tmp_path):
    told = reports.of_error(UsageError("no"), band_path="b", candidates=(), command="c")
    reports.write(told, [("json", tmp_path / "v.json")])
    (entry,) = timeline(tmp_path).entries
    assert (entry.status, entry.message, entry.metrics, entry.primary) == ("error", "no", {}, "")


def test_a_sweep_and_its_band_are_one(tiny_swept):
    (entry,) = timeline(tiny_swept.folder).entries
    assert entry.kind == "band"
    assert [e.metrics for e in timeline(tiny_swept.runs).entries] == [entry.metrics]


def test_what_cannot_be_read_is_told_and_other_files_are_none_of_ours(tmp_path):
    band(tmp_path / "band.json")
    (tmp_path / "broken.json").write_text('{"format": "seedband.band", "version": 1}')
    (tmp_path / "newer.json").write_text('{"format": "seedband.report", "version": 99}')
    (tmp_path / "odd.json").write_text('{"format": "seedband.report", "version": 1, "status": "maybe", "message": ""}')
    (tmp_path / "tokenizer.json").write_text("not even JSON")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = timeline(tmp_path)
    assert len(found.entries) == 1
    assert {path.name for path in found.unread} == {"broken.json", "newer.json", "odd.json"}
    assert "99" in next(why for path, why in found.unread.items() if path.name == "newer.json")


@pytest.mark.parametrize("content", [None, {}, {"format": "seedband.report", "version": 99}])
def test_nothing_to_show_is_refused(tmp_path, content):
    folder = tmp_path / "runs"
    if content is not None:
        folder.mkdir()
        (folder / "a.json").write_text(json.dumps(content))
    with pytest.raises(UsageError):
        timeline(folder)
