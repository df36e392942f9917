"""What GitHub's runner does with a composite action: files, variables, shells and expressions, step after step.

Steps that use other people's actions are skipped, and named. What this does not know, it refuses: an expression of
another form, a shell of another name.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
COMMAND = re.compile(r"^::(?P<level>error|warning|notice) (?P<properties>[^:]*)::(?P<message>.*)$", re.MULTILINE)
#: docs.github.com: `shell: bash` is bash with these flags.
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]


@dataclass
class Job:
    """What a run of the action left.

    Attributes:
        green: Whether every step succeeded.
        outputs: Of the action.
        annotations: Level, title and message.
        summary: All that the steps wrote to it.
        log: Standard output and standard error.
        ran: Names of the steps that ran a script.
        used: Actions of other people, which were not run.
    """

    green: bool = True
    outputs: dict[str, str] = field(default_factory=dict)
    annotations: list[tuple[str, str, str]] = field(default_factory=list)
    summary: str = ""
    log: str = ""
    ran: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)


class Runner:
    """Runs the action of a folder in a workspace.

    Args:
        action: Folder of action.yml.
        workspace: Where the repository of the job is checked out.
        temporary: The runner's folder for temporary files.
        environment: Variables of the job.
    """

    def __init__(self, action: Path, workspace: Path, temporary: Path, environment: dict[str, str]) -> None:
        self._action, self._workspace, self._temporary = action, workspace, temporary
        self._environment = environment
        self._described = yaml.safe_load((action / "action.yml").read_text(encoding="utf-8"))

    def run(self, **given: str) -> Job:
        """Run the action with inputs, whose dashes are underscores here."""
        job = Job()
        inputs = {name: str(entry.get("default", "")) for name, entry in self._described["inputs"].items()}
        for name, value in given.items():
            assert name.replace("_", "-") in inputs, f"unexpected input {name}"
            inputs[name.replace("_", "-")] = value
        context: dict[str, Any] = {"inputs": inputs, "steps": {}, "github": {"action_path": str(self._action)}}
        environment = dict(self._environment)
        for number, step in enumerate(self._described["runs"]["steps"]):
            if not _value(step.get("if", "success()"), context, job.green):
                continue
            if "uses" in step:
                job.used.append(step["uses"])
                continue
            self._run_step(step, number, context, environment, job)
        job.outputs = {name: _filled(entry["value"], context) for name, entry in self._described["outputs"].items()}
        return job

    def _run_step(
        self, step: dict[str, Any], number: int, context: dict[str, Any], environment: dict[str, str], job: Job
    ) -> None:
        assert step["shell"] == "bash", step["shell"]
        folder = Path(tempfile.mkdtemp(dir=self._temporary))
        files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH")}
        for path in files.values():
            path.touch()
        script = folder / "script.sh"
        script.write_text(_filled(step["run"], context), encoding="utf-8")
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=self._workspace / _filled(step.get("working-directory", "."), context),
            env={
                **environment,
                **{name: _filled(str(value), context) for name, value in step.get("env", {}).items()},
                **{name: str(path) for name, path in files.items()},
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(self._action),
                "GITHUB_WORKSPACE": str(self._workspace),
                "RUNNER_TEMP": str(self._temporary),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        job.ran.append(step["name"])
        job.green = job.green and done.returncode == 0
        job.log += done.stdout + done.stderr
        job.annotations += [_annotation(match) for match in COMMAND.finditer(done.stdout + done.stderr)]
        job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        environment.update(_pairs(files["GITHUB_ENV"]))
        for line in files["GITHUB_PATH"].read_text(encoding="utf-8").splitlines():
            environment["PATH"] = f"{line}{os.pathsep}{environment['PATH']}"
        context["steps"][step.get("id", f"__{number}")] = {"outputs": _pairs(files["GITHUB_OUTPUT"])}


def _pairs(path: Path) -> dict[str, str]:
    """`name=value` lines; a value of several lines stands between two equal lines after `name<<LINE`."""
    found, lines = {}, iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        name, sign, value = line.partition("=")
        if "<<" in name:
            name, _, end = line.partition("<<")
            value = "\n".join(iter(lambda end=end: next(lines), end))
        else:
            assert sign, f"{path.name}: {line!r}"
        found[name] = value
    return found


def _annotation(match: re.Match[str]) -> tuple[str, str, str]:
    """As the runner takes a workflow command apart (ActionCommand.cs)."""
    properties = dict(part.split("=", 1) for part in match["properties"].split(","))
    title = properties.pop("title")
    assert not properties
    return match["level"], _unescaped(title, {"%3A": ":", "%2C": ","}), _unescaped(match["message"], {})


def _unescaped(text: str, more: dict[str, str]) -> str:
    for code, sign in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
        text = text.replace(code, sign)
    return text


def _filled(text: str, context: dict[str, Any]) -> str:
    return EXPRESSION.sub(lambda match: str(_value(match[1], context, green=True)), text)


def _value(expression: str, context: dict[str, Any], green: bool) -> Any:
    """An expression: a place in the context, a text, a status function, or two of them compared."""
    expression = expression.removeprefix("${{").removesuffix("}}").strip()
    for sign, holds in (("!=", lambda a, b: a != b), ("==", lambda a, b: a == b)):
        if sign in expression:
            left, right = (_value(part.strip(), context, green) for part in expression.split(sign))
            # Without a status function, a condition holds only after success.
            return green and holds(left, right)
    if expression in ("success()", "always()", "failure()"):
        return {"success()": green, "always()": True, "failure()": not green}[expression]
    if re.fullmatch(r"'[^']*'", expression):
        return expression[1:-1]
    assert re.fullmatch(r"[a-z_]+(\.[\w-]+)+", expression), f"unknown expression: {expression}"
    place, *parts = expression.split(".")
    value = context[place]
    for part in parts:
        assert place != "inputs" or part in value, f"unknown input: {expression}"
        value = value.get(part, {})
    return value or ""
