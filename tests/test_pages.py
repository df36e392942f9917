"""The documentation: what its commands print, that its reference is the code's, that the site builds."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from tiny import ROOT, recipe_text, run_cli

from seedband.cli import app
from seedband.recipe import parse

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
    assert on_any_processor(run_pages.reprinted(text, tmp_path)) == on_any_processor(text)


def on_any_processor(text):
    """Without the last digits, and the hashes of them, that hang on a processor's instructions."""
    text = re.sub(r"^(│ (?:losses|final|predictions) ).*", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


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


def test_the_tutorial_says_which_lines_are_added_to_a_file():
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    before = re.findall(r'([^\n]+(?:\n[^\n]+)*)\n\n```csv title="candidate\.csv"\n(.)', text)
    assert [row for _, row in before] == ["s", "8", "9"]  # the header, then seeds
    assert ["add this line" in prose for prose, _ in before] == [False, True, True]


def readme_commands(start: str) -> list[str]:
    """The commands of the README's block that starts with this one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [block for block in text.split("```")[1::2] if block.lstrip("\n").startswith(start)]
    return [line.partition("  # ")[0].strip() for line in block.strip().splitlines()]


def type_in(folder: Path, commands: list[str]) -> None:
    """Every command ends as the page says: 0, or for `check` with one of its verdicts."""
    for command in commands:
        program, verb, *rest = shlex.split(command.partition(" # ")[0])
        assert program == "seedband"
        done = run_cli(verb, *rest, cwd=folder)
        assert done.code in ((0, 1, 4) if verb == "check" else (0,)), f"{command}\n{done.out}{done.err}"


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tiny_recipe, tmp_path):
    folder = Path(shutil.copytree(tiny_recipe.folder, tmp_path / "team"))
    kept = {"train_method": '"head"', "train_epochs": "10"}
    (folder / "seedband.toml").write_text(recipe_text(data_name='"NAME"', **kept), encoding="utf-8")
    changed = recipe_text(data_name='"NAME"', **kept | {"train_learning_rate": "2e-2"})
    (folder / "candidate.toml").write_text(changed, encoding="utf-8")
    trained = "seedband sweep --config candidate.toml --seeds 7, --no-band --out runs/candidate"
    assert trained in (ROOT / "README.md").read_text(encoding="utf-8")
    type_in(folder, [trained])
    shutil.copytree(folder / "runs" / "candidate" / "seed-7", folder / "new_checkpoint")
    first, *others = readme_commands("seedband init")
    assert first == "seedband init"  # it asks; docs/how-to/init.md answers
    type_in(folder, others)
    (folder / "runs" / "NAME").symlink_to("NAME-head")
    more = readme_commands("seedband check runs/candidate/seed-7 --more-seeds 2")
    assert len(more) == 9
    # One candidate is no sweep that a band could be made of: tests/commands/test_accept.py blesses real ones.
    type_in(folder, [command for command in more if not command.startswith("seedband accept")])


def test_the_commands_of_the_readme_on_score_files_run(tmp_path):
    (tmp_path / "scores.csv").write_text("seed,accuracy,f1_macro\n0,.871,.8\n1,.884,.81\n2,.879,.8\n3,.892,.82\n")
    (tmp_path / "candidate.csv").write_text("seed,accuracy,f1_macro\n7,.869,.8\n")
    commands = readme_commands("seedband band scores.csv")
    assert len(commands) == 2
    type_in(tmp_path, commands)


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
    keys = [(section, key.name) for section in parse.sections()[1:] for key in fields(section)]
    assert len(keys) > 50
    rows = {
        line.split("`")[1]: line.split(" | ")[-1].strip(" |") for line in page.splitlines() if line.startswith("| `")
    }
    assert not [key for _, key in keys if not rows.get(key)]


@pytest.fixture
def site(tmp_path):
    """A copy of what the site is made of."""
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("gemma", "tiny"))
    (tmp_path / "scripts").mkdir()
    for name in ("mkdocs.yml", "scripts/docs_nav.py"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def built(folder: Path) -> subprocess.CompletedProcess[str]:
    """The last command of `make docs`, in this folder."""
    dry = ["make", "--dry-run", "--no-print-directory", "docs"]  # below `make test`, make says where it is
    steps = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    program, *words = shlex.split(steps.splitlines()[-1])
    assert Path(program).name == "mkdocs"
    command = [sys.executable, "-m", "mkdocs", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_site_builds_without_a_warning(site):
    done = built(site)
    assert done.returncode == 0, done.stderr
    pages = [page.relative_to(site / "docs").with_suffix("") for page in (site / "docs").rglob("*.md")]
    assert len(pages) > 50
    for page in pages:
        folder = page.parent if page.name == "index" else page
        assert (site / "site" / folder / "index.html").is_file(), page
    home = (site / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="decisions/0001-a-job-is-a-pinned-child-process/"' in home  # a folder in nav is its pages


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("docs/index.md", "](tutorial.md", "](no-such-page.md", "no-such-page.md"),
        ("docs/index.md", "](tutorial.md", "](tutorial.md#no-such-part", "no-such-part"),
        ("docs/index.md", "](tutorial.md", "](/tutorial/", "/tutorial/"),
        ("docs/index.md", "](tutorial.md", "](tutorial", "tutorial"),
        ("mkdocs.yml", "Tutorial: tutorial.md", "Tutorial: no-such-page.md", "no-such-page.md"),
        ("mkdocs.yml", "  - Tutorial: tutorial.md\n", "", "tutorial.md"),
        ("mkdocs.yml", "Decisions: decisions/", "Decisions: no-such-folder/", "no-such-folder/"),
    ],
)
def test_the_site_does_not_build_with_a_link_or_an_entry_that_leads_nowhere(site, file, old, new, told):
    text = (site / file).read_text(encoding="utf-8")
    assert old in text
    (site / file).write_text(text.replace(old, new), encoding="utf-8")
    done = built(site)
    assert done.returncode == 1, done.stderr
    assert told in done.stderr


def test_the_rows_that_differ_are_told_as_the_page_about_data_says(run_pages, tmp_path):
    lines = (ROOT / "fixtures" / "support" / "eval.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    rows["e-041"]["label"] = next(row["label"] for row in rows.values() if row["label"] != rows["e-041"]["label"])
    rows["e-100"]["text"] += " Thanks!"
    del rows["e-201"]
    rows["e-505"] = {**rows["e-002"], "id": "e-505", "text": "Where do I find my invoice of last month?"}
    rows["e-001"] = rows.pop("e-001")
    (tmp_path / "eval-v2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")
    shutil.copy(ROOT / "seedband.toml", tmp_path)  # it says which columns are read
    text = (DOCS / "how-to" / "data.md").read_text(encoding="utf-8")
    assert "$ seedband diff-data" in text
    assert run_pages.reprinted(text, tmp_path) == text


#: Page with commands → what runs them.
RUN_BY = {
    "README.md": "test_pages.py::test_the_commands_of_the_readme_run",
    "docs/index.md": "test_pages.py::test_the_commands_of_the_readme_run",
    "docs/tutorial.md": "test_pages.py::test_a_page_shows_what_its_commands_print",
    "docs/how-to/accept.md": "test_how_to.py::test_a_csv_is_begun_swept_accepted_and_gated_as_written",
    "docs/how-to/ci.md": "test_ci.py",
    "docs/how-to/data.md": "test_pages.py::test_the_rows_that_differ_are_told_as_the_page_about_data_says",
    "docs/how-to/evaluators.md": "test_how_to.py::test_an_evaluator_is_added_in_five_steps_as_written",
    "docs/how-to/generation.md": "test_gemma.py",  # its sweep takes a quarter of an hour: printed by hand
    "docs/how-to/init.md": "test_how_to.py::test_a_csv_is_begun_swept_accepted_and_gated_as_written",
    "docs/how-to/nli.md": "test_nli_minilm.py",
    "docs/how-to/own-trainer.md": "test_own_trainers.py",
    "docs/how-to/pytest.md": "test_how_to.py::test_a_csv_is_begun_swept_accepted_and_gated_as_written",
    "docs/how-to/reports.md": "test_how_to.py::test_reports_are_made_and_print_what_the_page_says",
}


def test_every_page_with_commands_names_what_runs_them():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    generated = DOCS / "reference" / "cli.md"
    typed = re.compile(r"^(\$ )?(seedband|python fixtures/\S+) ", re.MULTILINE)
    with_commands = {
        page.relative_to(ROOT).as_posix()
        for page in pages
        if page != generated and any(typed.search(part) for part in page.read_text(encoding="utf-8").split("```")[1::2])
    }
    assert with_commands == set(RUN_BY)
    for named in RUN_BY.values():
        file, _, test = named.partition("::")
        (path,) = (ROOT / "tests").rglob(file)
        assert not test or f"def {test}(" in path.read_text(encoding="utf-8"), named


def test_the_front_page_of_the_site_is_the_readme():
    page = script("write_front_page")
    assert page.INDEX.read_text(encoding="utf-8") == page.front_page(), "python scripts/write_front_page.py"


def test_the_readme_is_short_and_begins_with_what_to_type():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    blocks = text.split("```")
    assert blocks[1].strip() == "pip install seedband"
    assert [line.split()[1] for line in blocks[3].strip().splitlines()] == ["init", "sweep", "check"]


def test_the_picture_of_the_readme_is_what_the_report_draws():
    picture = script("write_picture")
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture(), "python scripts/write_picture.py"
    for status in ("pass", "suspect", "fail"):
        assert f">{status} 0.8" in picture.picture()
