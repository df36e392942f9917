"""Mutation testing of a toy: what is told in a child only is told, and what no test tells is told, too."""

import json
import subprocess
import sys

import pytest
from tiny import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import mutants
from mutations import mutations

TOY = '''"""Compares."""


def larger(a, b):
    """Return "a > b"."""
    return a > b
'''
#: Only a process that the test starts runs the toy.
TEST = """
import subprocess, sys

def test_larger():
    code = "import toy; print(toy.larger(2, 1), toy.larger(1, 2))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\\\\n"
""".replace("\\\\", "\\")
EQUAL = 'accepted = [{module = "toy.py", line = "return a > b", change = "a > b → (a >= b)", reason = "never equal"}]\n'
PLAN = '[tests]\n"toy.py" = ["test_toy.py"]\n'


@pytest.fixture
def toy(tmp_path):
    for name, text in {"toy.py": TOY, "test_toy.py": TEST, "plan.toml": PLAN, ".gitignore": "runs/\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def run(toy):
    return mutants.main(["--root", str(toy), "--plan", "plan.toml", "--package", "toy"])


def test_killed_and_surviving_changes_are_told_apart_and_not_tried_twice(toy, capsys, monkeypatch):
    assert run(toy) == 1
    told = capsys.readouterr().out
    assert "SURVIVED" in told
    assert "2 of 3 killed: 66.7%, 95 % interval 9.4% to 99.2% (Clopper–Pearson)" in told
    assert "survived: toy.py:6: a > b → (a >= b)\n    NO REASON GIVEN" in told
    entries = [json.loads(line) for line in (toy / "runs" / "mutants.jsonl").read_text().splitlines()]
    assert {entry["change"]: entry["outcome"] for entry in entries} == {
        "a > b → (a >= b)": "passed",
        "a > b → (a <= b)": "failed",
        "return a > b → return None": "failed",
    }
    assert (toy / "toy.py").read_text() == TOY

    monkeypatch.setattr(mutants.Copy, "test", lambda *_: pytest.fail("tried twice"))
    monkeypatch.setattr(mutants, "SHARE_KILLED", 0.6)
    (toy / "plan.toml").write_text(EQUAL + PLAN, encoding="utf-8")
    assert run(toy) == 0
    assert "    never equal" in capsys.readouterr().out
    (toy / "plan.toml").write_text(EQUAL.replace("return a", "return c") + PLAN, encoding="utf-8")
    assert run(toy) == 1
    assert "a reason that fits no line any more: toy.py: return c > b: a > b" in capsys.readouterr().out


def test_nothing_is_told_where_the_tests_fail_anyway_or_there_are_none(toy):
    (toy / "test_toy.py").write_text("def test(): assert False")
    with pytest.raises(SystemExit, match=r"the tests of toy\.py fail without any change"):
        run(toy)
    (toy / "test_toy.py").write_text("")
    with pytest.raises(SystemExit, match="no tests"):
        run(toy)


def test_nothing_is_told_where_another_copy_is_imported(toy, monkeypatch):
    monkeypatch.setattr(mutants.Copy, "_environment", lambda _: {"PYTHONPATH": str(toy)})
    with pytest.raises(SystemExit, match="toy is not imported from the copy"):
        run(toy)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("x = a < b", {"a < b → (a <= b)", "a < b → (a >= b)"}),
        ("x = a + b", {"a + b → (a - b)"}),
        ("x = a and b", {"a and b → (a or b)"}),
        ("x = not a", {"not a → (a)"}),
        ("x = 3", {"3 → (4)", "3 → (2)"}),
        ("x = True", {"True → False"}),
        ("x = y['key']", {"'key' → 'keyXX'"}),
        ("x = a if b else c", {"a if b else c → (c if b else a)"}),
        ("f(a, b=c)", {"f(a, b=c) → pass", "f(a, b=c) → f(a)"}),
        ("if a: b = c", {"a → (not a)"}),
        ("x = [a for a in b if c]", {"[a for a in b if c] → [a for a in b]"}),
        ("x = min(a)", {"min → max"}),
        ("def f(a=1): return a", {"1 → (2)", "1 → (0)", "return a → return None"}),
        ("if TYPE_CHECKING:\n    import a", set()),
        ("@lru_cache(maxsize=8)\ndef f(): pass", set()),
        ("@dataclass(frozen=True)\nclass A: x = a", set()),
        ('"""Text."""\nx: Literal["a"] = y\nraise Error("no " + z)', set()),
    ],
)
def test_every_kind_of_change_is_made(code, changes):
    assert {change.change.replace("(not (a))", "(not a)") for change in mutations("m.py", code)} == changes


def test_every_module_that_the_plan_must_hold_is_in_it():
    plan = mutants.Plan.read(ROOT / "benchmarks" / "mutants.toml", ROOT)
    stats = {f"seedband/bands/stats/{path.name}" for path in (ROOT / "seedband/bands/stats").glob("[!_]*.py")}
    assert len(stats) > 5
    others = {
        "bands/comparability", "bands/rules/retest", "determinism/seeds", "models/kinds/adapter",
        "models/speedups/feature_cache", "models/speedups/frozen_layers", "models/speedups/packing",
        "trainers/loop/dropout", "trainers/loop/stacked_heads",
    }  # fmt: skip
    assert set(plan.tests) == stats | {f"seedband/{name}.py" for name in others}
    assert all((ROOT / test.partition("::")[0]).is_file() for tests in plan.tests.values() for test in tests)
    drawn = plan.sample(420, 18)
    assert len(drawn) == len(set(drawn)) >= 400
    assert all(sum(change.module == module for change in drawn) >= 20 for module in plan.tests)


def test_a_module_alone_gets_the_changes_of_the_whole_sample(capsys):
    assert mutants.main(["--list"]) == 0
    whole = capsys.readouterr().out.splitlines()
    assert mutants.main(["--list", "--only", "seedband/bands/stats/*"]) == 0
    alone = capsys.readouterr().out.splitlines()
    assert alone == [line for line in whole if line.startswith("seedband/bands/stats/")]
    assert mutants.main(["--list", "--total", "600"]) == 0
    assert set(whole) < set(capsys.readouterr().out.splitlines())
