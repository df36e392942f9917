"""What is public, what it costs to import, and that the documents name what there is."""

import re
from importlib.metadata import version

from installed import loaded_by
from tiny import ROOT, run_cli

import seedband

HEAVY = ("torch", "transformers", "peft", "pandas", "scipy", "sklearn")


def test_help_loads_no_heavy_library():
    assert not loaded_by("-m", "seedband", "--help") & set(HEAVY)


def test_importing_the_package_loads_next_to_nothing():
    assert not loaded_by("-c", "import seedband") & {*HEAVY, "numpy", "typer", "rich", "pydantic"}


def test_judging_bare_scores_loads_no_torch_and_no_pandas():
    code = "import seedband; seedband.fit_band({'m': [0.1, 0.2]}).judge({'m': 0.1})"
    assert not loaded_by("-c", code) & {"torch", "transformers", "peft", "pandas", "sklearn", "typer", "rich"}


def test_version_is_the_packages():
    assert seedband.__version__ == version("seedband")
    assert run_cli("--version").out.strip() == f"seedband {version('seedband')}"


def test_every_public_name_is_there():
    assert all(getattr(seedband, name) is not None for name in seedband.__all__)


def test_public_names_stay_functions_after_their_modules_are_imported():
    import seedband.commands.check.check
    import seedband.commands.sweep.sweep

    assert callable(seedband.sweep)
    assert callable(seedband.check)


def test_every_command_has_help_and_stands_in_the_readme():
    listed = run_cli("--help").out
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = ("init", "sweep", "check", "band", "accept", "show", "plan", "ship", "reproduce", "diff-data", "doctor")
    commands = (*commands, "report", "evaluators")
    for command in commands:
        assert command in listed
        assert f"seedband {command}" in readme
        assert run_cli(command, "--help").code == 0


def test_every_decision_names_a_test_that_exists_or_a_contract():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    notes = list((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert len(notes) > 25
    for note in notes:
        guard = note.read_text(encoding="utf-8").partition("**Guarded by**")[2]
        named = re.findall(r"(?:`|::)(test_\w+)`", guard)
        files = re.findall(r"`(tests/[\w/]+\.py)", guard)
        assert all(f"def {name}(" in tests for name in named), note
        assert all((ROOT / file).is_file() for file in files), note
        assert named or files or "contract" in guard, note


def test_every_test_that_a_page_names_exists():
    named = [
        match
        for page in (ROOT / "docs").rglob("*.md")
        for match in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 50
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), (file, name)


def test_every_bad_input_stands_beside_its_test():
    page = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in page.splitlines()
        if line.startswith("| ") and not line.startswith(("| input", "| where", "| event"))
    ]
    assert len(rows) > 50
    assert all("`tests/" in row.split("|")[3] for row in rows)
