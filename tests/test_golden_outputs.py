"""What a sweep leaves on disk, what commands print as JSON and every report: the same whatever moves inside."""

import json
import shutil
from pathlib import Path

import golden_outputs
import pandas as pd
import pytest
from digits import make_digits, write_recipe
from golden_outputs import ENVIRONMENT, as_text, form, golden, masked, placeless, same_numerics
from own_scripts import make_command_recipe
from tiny import Tiny, run_cli

#: Reports what its seed draws.
REPORTING = """
import json, random, sys
draw = random.Random(int(sys.argv[1]))
with open(f"{sys.argv[2]}/metrics.json", "w") as file:
    json.dump({"accuracy": 0.8 + draw.random() / 10, "eval": {"loss": draw.random()}}, file)
"""
REPORTED = """
[data]
name = "mine"

[train]
method = "command"
command = "python train.py {seed} {out}"
scores = "{out}/metrics.json"

[[evaluate]]
evaluator = "reported:accuracy"
primary = true

[[evaluate]]
evaluator = "reported:eval.loss"
args = { higher_is_better = false }
"""
#: Stands for one file of scores from elsewhere; another candidate each passes, is suspect, fails.
BASELINE = "seed,accuracy,eval_loss\n0,.86,.41\n1,.89,.38\n2,.87,.40\n3,.88,.39\n"
CANDIDATES = {"pass": ".875", "suspect": ".845", "fail": ".70"}
KINDS = {"json": "json", "junit": "xml", "github": "md", "markdown": "md", "html": "html"}


def same(name: str, found: str, *, exact: bool = True) -> None:
    """Compare with the golden file of a name: to the last digit, or by its form."""
    expected = golden(name, found)
    if exact:
        assert found == expected
    elif name.endswith(".json"):
        assert form(json.loads(found)) == form(json.loads(expected))


def document(path: Path, folder: Path) -> dict:
    found = masked(json.loads(path.read_text(encoding="utf-8")), folder)
    return {**found, "sha256": "<masked>"} if "sha256" in found else found


def same_sweep(name: str, tiny: Tiny) -> None:
    """Compare all that a sweep left: band, sweep, one whole run, and what tells of every other."""
    runs = sorted(tiny.runs.glob("seed-*"))
    exact = same_numerics(runs[0])
    for path in (tiny.band, tiny.runs / "sweep.json", runs[0] / "run.json"):
        same(f"{name}/{path.name}", as_text(document(path, tiny.folder)), exact=exact)
    records = {run.name: json.loads((run / "run.json").read_text(encoding="utf-8")) for run in runs}
    told = {
        seed: {
            "witnesses": record["witnesses"],
            "scores": {entry["metric"]: entry["score"] for entry in record["evaluations"]},
        }
        for seed, record in records.items()
    }
    same(f"{name}/witnesses.json", as_text(told), exact=exact)
    files = sorted(str(path.relative_to(tiny.runs)) for path in tiny.runs.rglob("*") if path.is_file())
    same(f"{name}/files.txt", "\n".join(files) + "\n")
    traces = {run.name: (run / "trace.jsonl").read_text(encoding="utf-8").splitlines() for run in runs}
    last = {seed: {"lines": len(lines), "last": json.loads(lines[-1])} for seed, lines in traces.items() if lines}
    same(f"{name}/traces.json", as_text(last), exact=exact)


def same_reports(name: str, folder: Path, *, exact: bool = True) -> None:
    for kind, ending in KINDS.items():
        text = (folder / f"report.{ending}-{kind}").read_text(encoding="utf-8")
        found = as_text(masked(json.loads(text), folder)) if kind == "json" else placeless(text, folder)
        same(f"{name}/{kind}.{ending}", found, exact=exact)


def reports(folder: Path) -> list[str]:
    return [word for kind, ending in KINDS.items() for word in ("--report", f"{kind}={folder}/report.{ending}-{kind}")]


def same_call(name: str, folder: Path, *arguments: str | Path, code: int = 0, exact: bool = True) -> None:
    """Compare what a command says, and its JSON."""
    done = run_cli(*arguments, cwd=folder, env={"COLUMNS": "80"})
    assert done.code == code, done.err
    text = as_text(masked(json.loads(done.out), folder)) if "--json" in arguments else placeless(done.out, folder)
    ending = "json" if "--json" in arguments else "txt"
    same(f"{name}.{ending}", text, exact=exact)
    same(f"{name}.{ending}.err", placeless(done.err, folder), exact=exact)


@pytest.mark.parametrize(("changed", "equal"), [({}, True), ({"torch": "0"}, False), ({"scipy": "1"}, False)])
def test_texts_are_compared_wherever_all_that_a_run_has_on_record_is_equal(monkeypatch, tmp_path, changed, equal):
    monkeypatch.setattr(golden_outputs, "WRITES", False)
    known = json.loads(ENVIRONMENT.read_text(encoding="utf-8"))
    found = {name: value for name, value in known.items() if name != "pillow"} | changed
    (tmp_path / "run.json").write_text(json.dumps({"signature": {"environment": found}}), encoding="utf-8")
    assert same_numerics(tmp_path) == equal


@pytest.mark.parametrize("name", ["tiny_swept", "tiny_heads"])
def test_a_sweep_leaves_what_it_left(name, request):
    same_sweep(name, request.getfixturevalue(name))


@pytest.mark.parametrize("name", ["tiny_swept", "tiny_heads"])
def test_tables_of_items_and_scores_hold_what_they_held(name, request):
    tiny = request.getfixturevalue(name)
    exact = same_numerics(tiny.runs / "seed-0")
    for path in (tiny.runs / "scores.parquet", tiny.runs / "seed-0" / "items.parquet"):
        table = pd.read_parquet(path)
        told = {"columns": {column: str(kind) for column, kind in table.dtypes.items()}, "rows": len(table)}
        same(
            f"{name}/{path.stem}.table.json", as_text({**told, "head": table.head(20).to_csv(index=False)}), exact=exact
        )


def test_a_check_of_a_checkpoint_tells_what_it_told(swept):
    exact = same_numerics(swept.runs / "seed-0")
    shutil.copytree(swept.runs / "seed-1", swept.folder / "candidate")
    same_call("check/call", swept.folder, "check", "candidate", "--json", *reports(swept.folder), exact=exact)
    same_reports("check", swept.folder, exact=exact)


@pytest.mark.parametrize("arguments", [
    ("show", "band.json"), ("show", "runs", "--by", "channel"), ("show", "runs", "--by", "seed"),
    ("plan", "--drop", ".05", "--band", "band.json"), ("diff-data", "band.json", "train.jsonl"),
    ("sweep", "--dry-run", "--out", "runs", "--seeds", "6"), ("sweep", "--out", "runs", "--seeds", "4"),
], ids=lambda arguments: "-".join(arguments[:4]).replace(".json", "").replace("--", ""))  # fmt: skip
@pytest.mark.parametrize("as_json", [True, False])
def test_commands_on_a_sweep_tell_what_they_told(swept, arguments, as_json, request):
    name = request.node.callspec.id.partition("-")[2]
    more = ["--json"] if as_json else []
    same_call(f"commands/{name}", swept.folder, *arguments, *more, exact=same_numerics(swept.runs / "seed-0"))


def test_a_shipped_checkpoint_is_what_it_was(swept):
    exact = same_numerics(swept.runs / "seed-0")
    same_call("ship/call", swept.folder, "ship", "runs", "--to", "shipped", exact=exact)
    folder = swept.folder / "shipped"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    same("ship/files.txt", "\n".join(files) + "\n")
    same("ship/README.md", placeless((folder / "README.md").read_text(encoding="utf-8"), swept.folder), exact=exact)


def test_a_band_as_a_page_is_what_it_was(swept):
    assert run_cli("report", "runs", "--out", "page.html", cwd=swept.folder).code == 0
    page = placeless((swept.folder / "page.html").read_text(encoding="utf-8"), swept.folder)
    same("report/page.html", page, exact=same_numerics(swept.runs / "seed-0"))


@pytest.mark.parametrize("status", CANDIDATES)
def test_a_check_of_scores_tells_what_it_told(tmp_path, status):
    (tmp_path / "baseline.csv").write_text(BASELINE, encoding="utf-8")
    (tmp_path / "new.csv").write_text(f"seed,accuracy,eval_loss\n9,{CANDIDATES[status]},.40\n", encoding="utf-8")
    same_call("scores/band", tmp_path, "band", "baseline.csv", "--json")
    same("scores/band.file.json", as_text(document(tmp_path / "band.json", tmp_path)))
    code = {"pass": 0, "suspect": 4, "fail": 1}[status]
    same_call(
        f"scores/{status}/call", tmp_path, "check", "--scores", "new.csv", "--json", *reports(tmp_path), code=code
    )
    same_call(f"scores/{status}/console", tmp_path, "check", "--scores", "new.csv", code=code)
    same_reports(f"scores/{status}", tmp_path)


def test_evaluators_are_listed_as_they_were(tmp_path):
    same_call("evaluators/call", tmp_path, "evaluators", "--json")


@pytest.mark.slow
def test_a_sweep_of_a_language_model_leaves_what_it_left(tiny_generation, tmp_path):
    tiny = Tiny(Path(shutil.copytree(tiny_generation.folder, tmp_path / "tiny")))
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", "-q", cwd=tiny.folder)
    assert done.code == 0, done.err
    same_sweep("tiny_generation", tiny)


@pytest.mark.slow
def test_a_sweep_of_a_command_leaves_what_it_left(tiny_heads, tmp_path):
    tiny = make_command_recipe(tiny_heads, tmp_path)
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", "-q", cwd=tiny.folder)
    assert done.code == 0, done.err
    same_sweep("command", tiny)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_sweep_of_images_leaves_what_it_left(tmp_path, method):
    tiny = Tiny(tmp_path)
    make_digits(tmp_path)
    write_recipe(tmp_path, train={"method": method})
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", "-q", cwd=tmp_path)
    assert done.code == 0, done.err
    same_sweep(f"images-{method}", tiny)


def test_a_sweep_of_reported_scores_leaves_what_it_left(tmp_path):
    (tmp_path / "train.py").write_text(REPORTING, encoding="utf-8")
    (tmp_path / "seedband.toml").write_text(REPORTED, encoding="utf-8")
    same_call("reported/sweep", tmp_path, "sweep", "--out", "runs", "--seeds", "3", "--json")
    for path in ("band.json", "runs/reported-sweep.json", "runs/seed-0/reported.json"):
        same(f"reported/{Path(path).name}", as_text(document(tmp_path / path, tmp_path)))
    candidate = ["sweep", "--out", "new", "--seeds", "7", "--no-band", "-q"]
    assert run_cli(*candidate, cwd=tmp_path).code == 0
    same_call("reported/check", tmp_path, "check", "new", "--json")
