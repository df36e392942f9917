"""What must hold of all the code, so that an untrusted file cannot make it do more than read."""

import ast
import json
from pathlib import Path

import pytest
from tiny import ROOT, recipe_text, run_cli

from seedband.cli.console import print_reproduction
from seedband.commands.reproduce import Comparison, Reproduction

SOURCES = sorted((ROOT / "seedband").rglob("*.py"))


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", None) == name or getattr(node.func, "id", None) == name)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_pickled_is_opened_and_no_code_of_a_checkpoint_is_run(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert not imported & {"pickle", "shelve", "marshal", "joblib", "dill", "cloudpickle"}
    run = [call for name in ("eval", "exec", "read_pickle") for call in calls(tree, name)]
    assert not [call for call in run if ast.unparse(call.func) in ("eval", "exec", "pd.read_pickle")]
    for call in calls(tree, "load"):
        assert "torch" not in ast.unparse(call.func), f"line {call.lineno}: torch.load opens pickles"
    for call in calls(tree, "from_pretrained"):
        text = ast.unparse(call)
        if "Peft" not in text:  # an adapter holds no code, and seedband.models.adapter_check reads its config first
            assert "loading()" in text or ("trust_remote_code=False" in text and "local_files_only=True" in text)
    for call in calls(tree, "snapshot_download"):
        assert "allow_patterns" in ast.unparse(call)
        assert "revision" in ast.unparse(call)


def test_loading_names_what_it_trusts():
    from seedband.models.loading import loading

    safe = loading()
    assert safe["use_safetensors"] is True
    assert safe["trust_remote_code"] is False
    assert safe["local_files_only"] is True


#: When something was accepted or judged is a date for people; no duration is taken from it.
DATED = [ROOT / "seedband" / "commands" / "accept.py", ROOT / "seedband" / "reports" / "__init__.py"]


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path not in DATED], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_clock_that_can_go_backwards_is_read(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wall = {"time.time", "datetime.now", "datetime.datetime.now", "datetime.utcnow", "date.today", "time.localtime"}
    found = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not found & wall


SECRETS = {
    "HF_TOKEN": "hf_SECRETOFHUB",
    "OPENAI_API_KEY": "sk-SECRETOFJUDGE",
    "AWS_SECRET_ACCESS_KEY": "SECRETOFSTORE",
    "TORCH_SECRET": "SECRETOFTORCH",
    "MLFLOW_TRACKING_PASSWORD": "SECRETOFTRACKER",
}


def test_no_secret_of_the_environment_is_written_to_any_file(tiny):
    tiny.config.write_text(recipe_text(train_method='"head"', train_epochs="10"), encoding="utf-8")
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", "-v", cwd=tiny.folder, env=SECRETS)
    assert done.code == 0, done.err
    done = run_cli("check", "runs/seed-0", "-v", cwd=tiny.folder, env=SECRETS)
    assert done.code == 0, done.err
    files = [path for path in tiny.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not [name for name, value in SECRETS.items() if value.encode() in content], path


def test_an_evaluator_that_only_band_json_names_is_not_loaded(swept, tmp_path):
    from seedband.storage import json_files

    (tmp_path / "planted.py").write_text("raise SystemExit('imported')")
    band = json_files.read_json(swept.band, "band")
    recipe = json.loads(json.dumps(band["provenance"]["recipe"]).replace('"accuracy"', '"python:planted:score"'))
    json_files.write_json(swept.band, "band", {**band, "provenance": {**band["provenance"], "recipe": recipe}})
    done = run_cli("check", "runs/seed-0", cwd=swept.folder, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"})
    assert done.code in (2, 3), done.err
    assert "python:planted:score" in done.err
    assert "imported" not in done.err


ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202egnp"


@pytest.mark.slow
def test_escapes_in_labels_ids_and_paths_do_not_reach_the_terminal(tiny):
    for name in ("train.jsonl", "eval.jsonl"):
        path = tiny.folder / name
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [{**row, "label": row["label"] + ESCAPE, "id": row["id"] + ESCAPE, "channel": ESCAPE} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tiny.config.write_text(recipe_text(train_method='"head"', train_epochs="10"), encoding="utf-8")
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 0, done.err
    shown = [done, *(run_cli("show", "runs", "--by", by, cwd=tiny.folder) for by in ("seed", "channel"))]
    odd = Path(tiny.folder / f"no{ESCAPE}where")
    shown.append(run_cli("check", odd, cwd=tiny.folder))
    (tiny.folder / "labels.txt").write_text("fruit\nmetal\nriver\n")
    shown.append(run_cli("check", "runs/seed-0", "--labels", "labels.txt", cwd=tiny.folder))
    for result in shown:
        for text in (result.out, result.err):
            assert not set(text) & set("\x1b\x07\u202e")
    assert any("\\x1b" in result.out + result.err for result in shown)


def test_escapes_and_markup_in_a_reproduction_do_not_reach_the_terminal(capsys):
    entries = (
        Comparison("final", "\x1b]0;pwned\x07abc", "b" * 64),
        Comparison("score \x1b[2Jaccuracy", "1", "2"),
        Comparison("[/red]", "[/red]abcdef", "[red]x"),
    )
    print_reproduction(Reproduction(Path("run"), 0, "different", (), entries, None, "\x1b[31mcause", ()))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[/red]" in out
