"""The documentation: what its commands print, that its reference is the code's, that the site builds."""

import importlib.util
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from tiny import ROOT

from seedband import recipe
from seedband.cli import app

DOCS = ROOT / "docs"
#: Pages whose every console block prints what it shows.
VERBATIM = ["tutorial.md"]


def script(name: str):
    """One of the repository's scripts, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run_pages():
    return script("run_pages")


@pytest.mark.slow
@pytest.mark.minilm
@pytest.mark.parametrize("page", VERBATIM)
def test_a_page_shows_what_its_commands_print(page, run_pages, tmp_path):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert run_pages.reprinted(text, tmp_path) == text


def test_a_page_that_shows_something_else_is_found(run_pages, tmp_path):
    page = '```text title="a.txt"\none\n```\n```console\n$ cat a.txt\ntwo\n$ false\n```\n'
    shown = '```text title="a.txt"\none\n```\n```console\n$ cat a.txt\none\n$ false\nexit 1\n```\n'
    assert run_pages.reprinted(page, tmp_path) == shown
    assert run_pages.reprinted("```bash\n$ cat a.txt\n```\n", tmp_path) == "```bash\n$ cat a.txt\n```\n"


def test_the_first_part_of_the_tutorial_shows_what_its_commands_print(run_pages, tmp_path):
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    first, real, _ = text.partition("## The same from a real fine-tune")
    assert real
    assert first.count("\n$ seedband ") == 5
    assert run_pages.reprinted(first, tmp_path) == first


def test_the_reference_is_what_the_code_says():
    reference = script("write_reference")
    stale = [
        name for name, text in reference.pages().items() if not reference.is_same(reference.REFERENCE / name, text)
    ]
    assert not stale, "python scripts/write_reference.py"


def test_every_command_and_option_stands_in_the_reference():
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands
    assert len(commands) >= 10
    for name, command in commands.items():
        assert f"\n## `seedband {name}`\n" in page
        section = page.partition(f"\n## `seedband {name}`\n")[2].partition("\n## ")[0]
        for option in (flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")):
            assert option in section, f"{name} {option}"


def test_every_key_of_a_recipe_stands_in_the_reference_with_what_it_does():
    page = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    keys = [(section, key.name) for section in recipe.sections()[1:] for key in fields(section)]
    assert len(keys) > 50
    rows = {
        line.split("`")[1]: line.split(" | ")[-1].strip(" |") for line in page.splitlines() if line.startswith("| `")
    }
    assert not [key for _, key in keys if not rows.get(key)]


def test_every_page_is_in_the_sites_navigation():
    import yaml

    def leaves(entry):
        inner = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else []
        return [entry] if isinstance(entry, str) else [leaf for part in inner for leaf in leaves(part)]

    listed = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    tracked = subprocess.run(["git", "ls-files", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pages = [Path(line).relative_to("docs") for line in tracked.split() if line.endswith(".md")]
    assert len(pages) > 30
    assert not [page for page in pages if page.parts[0] != "decisions" and str(page) not in listed]
    assert not [name for name in listed if not (DOCS / name).exists()]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "tutorial" / "index.html").is_file()
