"""The published JSON Schemas: what the code says, and what the command line really writes fits them."""

import copy
import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from tiny import ROOT, Result

from seedband import fit_band
from seedband.cli import app, errors

SCHEMAS = ROOT / "docs" / "reference" / "schemas"


def validator(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def with_changed(content, path, value):
    """A copy with the value at a key path replaced, or removed where it is None."""
    changed = copy.deepcopy(content)
    *parts, last = path.split(".")
    table = changed
    for part in parts:
        table = table[part]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return changed


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """The command line in this process, as if typed in a folder with a band of two metrics."""
    table = {"accuracy": [0.871, 0.884, 0.879, 0.892], "kappa": [0.5, 0.51, 0.53, 0.52]}
    fit_band(table, primary="accuracy").save(tmp_path / "band.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(errors, "ENDING", [])

    def run(*words):
        code = app(list(words), standalone_mode=False)
        return Result(code, *capsys.readouterr())

    return run


def test_every_schema_is_what_the_code_says():
    script = ROOT / "scripts" / "write_schemas.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, ""), "make docs writes them anew"


@pytest.mark.parametrize(
    ("scores", "flags", "status"),
    [
        ("9,.88,.51", [], "pass"),
        ("9,.80,.51", [], "fail"),
        ("9,.869,.51", [], "suspect"),
        ("9,.869,.51", ["--on-suspect", "pass"], "suspect"),
        ("9,nan,.51", [], "refused"),
        ("9,.88,.51", ["--alpha", ".9"], "error"),
        ("3,.887,.52\n0,.871,.5", ["--rule", "paired", "--tolerance", "0"], "suspect"),
        ("0,.871,.5\n1,.884,.51\n2,.880,.53", ["--rule", "paired"], "pass"),
    ],
)
def test_what_check_prints_fits_the_schema_of_reports(cli, tmp_path, scores, flags, status):
    (tmp_path / "new.csv").write_text(f"seed,accuracy,kappa\n{scores}\n")
    done = cli("check", "--scores", "new.csv", "--json", "--report", "json=r.json", *flags)
    told = json.loads(done.out)
    assert told["status"] == status, done.err
    assert told == json.loads((tmp_path / "r.json").read_text())
    schema = validator("report")
    schema.validate(told)
    named = set(schema.schema["properties"])
    assert set(told) == (named if "metrics" in told else set(schema.schema["required"]))
    for path, wrong in [("status", "passed"), ("exit_code", "0"), ("message", None), ("format", "seedband.band")]:
        with pytest.raises(ValidationError):
            schema.validate(with_changed(told, path, wrong))
    schema.validate({**told, "of_a_later_release": 1})
    if "metrics" in told:
        with pytest.raises(ValidationError):
            schema.validate(with_changed(told, "metrics.kappa.status", "refused"))


def test_a_band_of_bare_scores_fits(cli, tmp_path):
    (tmp_path / "s.csv").write_text("seed,accuracy,kappa\n0,.871,.5\n1,.884,.51\n2,.879,.53\n")
    flags = ["--primary", "accuracy", "--higher-is-better", "kappa", "--band", "new.json"]
    done = cli("band", "s.csv", "-q", *flags)
    assert done.code == 0, done.err
    content, schema = json.loads((tmp_path / "new.json").read_text()), validator("band")
    schema.validate(content)
    for path, wrong in [
        ("sha256", "0"),
        ("rule", "paired"),
        ("metrics.kappa.scores", ["0.5"]),
        ("metrics.kappa.prior", [0.0, 0.0]),
        ("seeds", [-1, 0, 1]),
        ("provenance.recipe", {}),
    ]:
        with pytest.raises(ValidationError):
            schema.validate(with_changed(content, path, wrong))


def test_what_a_sweep_leaves_fits(tiny_swept):
    for name, path in {
        "band": tiny_swept.band,
        "sweep": tiny_swept.runs / "sweep.json",
        "run": tiny_swept.runs / "seed-2" / "run.json",
    }.items():
        content, schema = json.loads(path.read_text()), validator(name)
        schema.validate(content)
        for key in schema.schema["required"]:
            with pytest.raises(ValidationError):
                schema.validate(with_changed(content, key, None))
    with pytest.raises(ValidationError):
        validator("band").validate(with_changed(json.loads(tiny_swept.band.read_text()), "provenance.base.sha256", 1))
