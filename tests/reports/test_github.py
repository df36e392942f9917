"""GitHub: an annotation that its runner reads back, a summary within its limit, a comment that can be found again."""

import pytest

from seedband import fit_band, reports
from seedband.errors import Problem, Refused, UsageError
from seedband.reports import github, markdown

BAND = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]})
CALL = {"band_path": "band.json", "candidates": ("new.csv",), "command": "seedband check --scores new.csv"}


def told(score, exit_code=0, hint=""):
    return reports.of_verdict(BAND.judge({"accuracy": score}), BAND, exit_code, hint, **CALL)


def read_back(line):
    """Level, title and message, as the runner takes a workflow command apart (ActionCommand.cs)."""
    head, _, data = line.removeprefix("::").partition("::")
    level, _, properties = head.partition(" ")
    [(key, value)] = [part.split("=", 1) for part in properties.split(",")]
    for sign, code in (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25")):
        value = value.replace(code, sign)
        data = data if sign in ":," else data.replace(code, sign)
    assert key == "title"
    return level, value, data


@pytest.mark.parametrize(
    ("report", "level", "title"),
    [
        (told(0.88), "notice", "seedband: PASS"),
        (told(0.8, 1), "error", "seedband: FAIL"),
        (told(0.869, 4), "warning", "seedband: SUSPECT"),
        (reports.of_error(Refused("other data"), **CALL), "error", "seedband: REFUSED"),
        (reports.of_error(UsageError("no such file"), **CALL), "error", "seedband: ERROR"),
    ],
)
def test_an_annotation_says_status_and_why(report, level, title):
    assert read_back(github.annotation(report)) == (level, title, report.message)


def test_an_annotation_is_one_line_whatever_it_says():
    error = Refused("100 % of\r\n::error::rows, all: of them", [Problem("a%0Ab", "x", "y")], hint="n" * 9000)
    line = github.annotation(reports.of_error(error, **CALL))
    assert len(line.splitlines()) == 1
    assert len(line) < 5000
    _, _, message = read_back(line)
    assert message.splitlines()[:2] == [r"100 % of\r\n::error::rows, all: of them", "a%0Ab: found x, expected y"]
    assert message.splitlines()[2].startswith("next: nnn")
    assert message.endswith("…")


def test_the_comment_can_be_found_again():
    report = told(0.869, 4)
    assert github.render(report) == f"<!-- seedband -->\n{markdown.render(report)}"


def test_the_comment_fits_into_one_however_much_there_is_to_say():
    problems = [Problem(f"row {number}", "|" * 990, "a number") for number in range(80)]
    body = github.render(reports.of_error(Refused("mistakes", problems), **CALL))
    assert len(body.encode()) <= 65_536
    assert body.startswith("<!-- seedband -->\n### seedband: REFUSED\n\nmistakes\n")
    assert markdown.CUT in body


def test_the_summary_is_appended_to(tmp_path, monkeypatch):
    place = tmp_path / "summary.md"
    place.write_text("of an earlier command")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    report = told(0.8, 1)
    assert github.tell(report) == [github.annotation(report)]
    assert place.read_text() == f"of an earlier command\n{markdown.render(report)}"


@pytest.mark.parametrize(("left", "says"), [(2000, "Command:"), (400, markdown.CUT), (20, ""), (0, "")])
def test_the_summary_stays_within_what_github_takes(tmp_path, monkeypatch, left, says):
    place = tmp_path / "summary.md"
    place.write_bytes(b"x" * (1024 * 1024 - left))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    assert github.tell(told(0.8, 1)) == [github.annotation(told(0.8, 1))]
    text = place.read_text()
    assert len(text.encode()) <= 1024 * 1024
    assert says in text
    assert ("### seedband: FAIL" in text) == (left > 20)


def test_a_summary_that_cannot_be_written_is_a_note(monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/proc/none/summary.md")
    note, line = github.tell(told(0.88))
    assert note.startswith("no job summary: cannot write /proc/none/summary.md")
    assert line.startswith("::notice ")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert len(github.tell(told(0.88))) == 1
