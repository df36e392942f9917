"""JUnit, read back by junitparser: a case for every metric, and what each outcome is shown as."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from seedband import fit_band, reports
from seedband.errors import Problem, Refused, UsageError, WorkFailed
from seedband.reports import junit
from seedband.reports.wording import clean

TABLE = {"accuracy": [0.871, 0.884, 0.879, 0.892], "log_loss": [0.50, 0.51, 0.53, 0.52]}
BAND = fit_band(TABLE, primary="accuracy", lower_is_better=["log_loss"])
BOTH = fit_band(TABLE, primary="accuracy", lower_is_better=["log_loss"], gates=["accuracy", "log_loss"])
CALL = {"band_path": "bands/band.json", "candidates": ("new.csv",), "command": "seedband check --scores new.csv"}


def suite_of(report):
    [suite] = JUnitXml.fromstring(junit.render(report).encode())
    assert suite.name == "seedband"
    cases = {case.name: case for case in suite}
    assert all(case.classname == clean(report.band_path) for case in cases.values())
    assert suite.tests == len(cases)
    for kind, count in ((Failure, suite.failures), (Error, suite.errors), (Skipped, suite.skipped)):
        assert count == sum(isinstance(entry, kind) for case in cases.values() for entry in case.result)
    return cases


def told(scores, exit_code, band=BAND, **changes):
    verdict = replace(band.judge(scores), **changes)
    return reports.of_verdict(verdict, band, exit_code, "train one more", **CALL)


def test_a_pass_is_a_passed_case_for_every_metric():
    cases = suite_of(told({"accuracy": 0.88, "log_loss": 0.51}, 0))
    assert list(cases) == ["accuracy", "log_loss"]
    assert all(case.is_passed for case in cases.values())
    assert "accuracy: PASS score=0.8800" in cases["accuracy"].system_out


def test_a_fail_is_a_failure_and_metrics_that_advise_pass():
    cases = suite_of(told({"accuracy": 0.8, "log_loss": 0.9}, 1))
    [failure] = cases["accuracy"].result
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == ("fail", "candidate 1 of 1 collapsed")
    assert "smallest drop caught with 80 % power" in failure.text
    assert "next: train one more" in failure.text
    assert cases["log_loss"].is_passed
    assert "log_loss: FAIL" in cases["log_loss"].system_out


def test_a_suspect_is_a_failure_of_its_own_type_or_skipped():
    [failure] = suite_of(told({"accuracy": 0.869, "log_loss": 0.51}, 4))["accuracy"].result
    assert isinstance(failure, Failure)
    assert failure.type == "suspect"
    [skipped] = suite_of(told({"accuracy": 0.869, "log_loss": 0.51}, 0))["accuracy"].result
    assert isinstance(skipped, Skipped)
    assert skipped.type == "suspect"


def test_of_several_gates_each_has_its_own_outcome():
    cases = suite_of(told({"accuracy": 0.88, "log_loss": 0.9}, 1, BOTH))
    assert cases["accuracy"].is_passed
    assert cases["log_loss"].result[0].type == "fail"
    cases = suite_of(told({"accuracy": 0.869, "log_loss": 0.9}, 1, BOTH))
    assert [case.result[0].type for case in cases.values()] == ["suspect", "fail"]
    assert [case.result[0].message for case in cases.values()] == ["below the band", "candidate 1 of 1 collapsed"]
    assert "collapsed" not in cases["accuracy"].result[0].text


def test_the_verdict_holds_where_metrics_say_otherwise():
    ledger = told({"accuracy": 0.88, "log_loss": 0.51}, 1, status="fail", reason="failed at an earlier call")
    [failure] = suite_of(ledger)["accuracy"].result
    assert (failure.type, failure.message) == ("fail", "failed at an earlier call")
    baseline = told({"accuracy": 0.8, "log_loss": 0.51}, 0, status="pass", reason="this is seed 2 of the band itself")
    assert all(case.is_passed for case in suite_of(baseline).values())
    untrained = told(
        {"accuracy": 0.88, "log_loss": 0.51}, 1, status="fail", reason="seed 9 failed to train", metrics={}
    )
    [failure] = suite_of(untrained)["accuracy"].result
    assert (failure.type, failure.message) == ("fail", "seed 9 failed to train")


@pytest.mark.parametrize(
    ("error", "kind"), [(Refused("r"), "refused"), (UsageError("u"), "error"), (WorkFailed("w"), "error")]
)
def test_without_a_verdict_there_is_an_error(error, kind):
    report = replace(reports.of_error(error, **CALL), problems=(Problem("row 2", "x", "y"),))
    cases = suite_of(report)
    [shown] = cases["check"].result
    assert isinstance(shown, Error)
    assert (shown.type, shown.message) == (kind, error.message)
    assert "row 2: found x, expected y" in shown.text


def test_an_error_beside_a_verdict_is_one():
    report = replace(told({"accuracy": 0.88, "log_loss": 0.51}, 0), status="error", exit_code=5, message="disk full")
    cases = suite_of(report)
    assert cases["accuracy"].is_passed
    assert cases["check"].result[0].message == "disk full"


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_read_back(message, path):
    error = Refused(message, [Problem(message, "x", "")])
    report = reports.of_error(error, **{**CALL, "band_path": path, "command": message})
    [shown] = suite_of(report)["check"].result
    assert shown.message == clean(message)
    assert not set(shown.text) & {"\u202e", "\x1b", "\x00"}
