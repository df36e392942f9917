"""The report as JUnit XML, for Jenkins, GitLab and whatever else shows tests: a test case for every metric.

A fail is a failure, a suspect one of type "suspect", or skipped where suspects are let through. Without a verdict there
is one case, `check`, with an error of type "refused" or "error". Metrics that advise pass, and say what they saw.
What XML forbids in a text is shown by its number, as on a terminal.
"""

import re
from xml.etree import ElementTree as ET

from seedband.bands.band import Band
from seedband.bands.stats.decision import Status
from seedband.bands.verdict import MetricVerdict, Verdict
from seedband.reports import Kind, Report
from seedband.reports.wording import clean, slice_lines, verdict_line, verdict_sentences

SUITE = "seedband"


def render(report: Report) -> str:
    """One test suite."""
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", name=SUITE)
    _add_properties(suite, report)
    if report.verdict is not None and report.band is not None:
        _add_metrics(suite, report, report.verdict, report.band)
    if report.status in ("refused", "error"):
        lines = [report.message, *map(str, report.problems), *_next(report)]
        _add(_case(suite, report, "check"), "error", report.status, report.message, lines)
    for outcome, tag in {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        suite.set(outcome, str(sum(1 for _ in suite.iter(tag))))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _add_metrics(suite: ET.Element, report: Report, verdict: Verdict, band: Band) -> None:
    outcomes = _outcomes(verdict, band)
    for name in dict.fromkeys([*outcomes, *verdict.metrics]):
        case = _case(suite, report, name)
        status = outcomes.get(name, "pass")
        metric = verdict.metrics.get(name)
        lines = [] if metric is None else [verdict_line(name, metric, band.metrics[name])]
        if name == verdict.primary:
            lines += [*slice_lines(verdict, band), *(verdict_sentences(verdict, band) if verdict.metrics else [])]
        message = _message(report, status, metric)
        if status == "pass":
            ET.SubElement(case, "system-out").text = "\n".join(map(clean, lines))
        elif status == "suspect" and report.exit_code == 0:
            _add(case, "skipped", status, message, lines)
        else:
            _add(case, "failure", status, message, [message, *lines, *_next(report)])


def _outcomes(verdict: Verdict, band: Band) -> dict[str, Status]:
    """Outcomes of the gating metrics; the primary stands for a verdict that no metric gave."""
    if verdict.status == "pass":
        return dict.fromkeys(band.gates, "pass")
    found: dict[str, Status] = {name: m.status for name, m in verdict.gating.items()} or {
        verdict.primary: verdict.status
    }
    return found if verdict.status in found.values() else {**found, verdict.primary: verdict.status}


def _message(report: Report, status: Status, metric: MetricVerdict | None) -> str:
    """The metric's own reason; the verdict's where the metric did not come to the outcome of its case."""
    return report.message if metric is None or metric.status != status else metric.reason


def _next(report: Report) -> list[str]:
    return [f"next: {report.next_command}"] if report.next_command else []


def _add_properties(suite: ET.Element, report: Report) -> None:
    properties = ET.SubElement(suite, "properties")
    told = {"status": report.status, "exit_code": report.exit_code, "command": report.command}
    for name, value in told.items():
        ET.SubElement(properties, "property", name=name, value=clean(value))


def _case(suite: ET.Element, report: Report, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=clean(report.band_path), name=clean(name))


def _add(case: ET.Element, tag: str, kind: str, message: str, lines: list[str]) -> None:
    ET.SubElement(case, tag, type=kind, message=clean(message)).text = "\n".join(map(clean, lines))


KIND = Kind(render, re.compile(rb'<\?xml [^>]*>\s*<testsuites>\s*<testsuite name="seedband"'))
