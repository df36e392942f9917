"""Training commands that report their own scores: swept, gated, and refused where nothing can be told from them."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import ROOT, Result, gone, run_cli

from seedband.bands.band import fit_band
from seedband.commands.check.check import check
from seedband.commands.sweep.sweep import make_plan, sweep
from seedband.determinism import environment
from seedband.determinism.seeds import streams
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.jobs.kinds import report
from seedband.jobs.kinds.report import ReportJob
from seedband.recipe.parse import load_recipe
from seedband.runs import reported_run
from seedband.trainers import SeedRun

SCRIPT = """
import json, pathlib, random, sys, time
seed, out = int(sys.argv[1]), pathlib.Path(sys.argv[2])
draw = random.Random(seed)
accuracy, loss = 0.8 + draw.random() / 10, draw.random()
print("{'loss': 0.7}")
print(f"eval_accuracy=0.1 eval_loss=1")
print(f"eval_accuracy={accuracy:.4f} eval_loss={loss:.3e}")
(out / "metrics.json").write_text(json.dumps({"accuracy": accuracy, "eval": {"loss": loss}, "nan": float("nan")}))
(out / "metrics.csv").write_text(f"metric,score\\naccuracy,{accuracy}\\neval.loss,{loss}\\n")
"""
FILE = 'scores = "{out}/metrics.json"'
PRINTED = r"metrics = { accuracy = 'eval_accuracy=([0-9.]+)', 'eval.loss' = 'eval_loss=(\S+)' }"
SWEEP = ("sweep", "--out", "runs", "--seeds")


def recipe(source=FILE, second="args = { higher_is_better = false }", more="", command="train.py {seed} {out}"):
    return f"""
[data]
name = "mine"

[train]
method = "command"
command = "{Path(sys.executable).as_posix()} {command}"
{source}
{more}

[[evaluate]]
evaluator = "reported:accuracy"
primary = true

[[evaluate]]
evaluator = "reported:eval.loss"
{second}
"""


class Own(NamedTuple):
    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def write(self, text: str) -> None:
        (self.folder / "seedband.toml").write_text(text, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        script = self.folder / "train.py"
        assert old in script.read_text()
        script.write_text(script.read_text().replace(old, new))

    def cli(self, *arguments: str | Path) -> Result:
        return run_cli(*arguments, cwd=self.folder)

    def job(self, seed: int = 0, out: str = "runs") -> ReportJob:
        """The job of a seed, as a sweep makes it."""
        loaded = load_recipe(self.folder / "seedband.toml")
        place = self.folder / out / f"seed-{seed}"
        place.mkdir(parents=True, exist_ok=True)
        section = loaded.recipe
        one = SeedRun(seed, streams(seed, section.seeds.vary), str(place))
        return ReportJob(section.train, section.evaluate, section.determinism, one, str(self.folder), {})

    def sweep(self, *seeds: int, out: str = "runs", band: str | None = "band.json") -> Path:
        """A sweep whose jobs run in this process."""
        loaded = load_recipe(self.folder / "seedband.toml")
        plan = make_plan(loaded, seeds, out=self.folder / out)
        plan.record.ask(seeds)
        for seed in plan.missing:
            report.report(self.job(seed, out), environment.versions(), lambda *_: None)
        path = None if band is None else self.folder / band
        sweep(loaded, seeds, out=plan.folder, band=path)
        return plan.folder

    def band(self) -> dict:
        return json.loads((self.folder / "band.json").read_text())


@pytest.fixture
def own(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    made = Own(tmp_path)
    made.write(recipe())
    return made


@pytest.mark.parametrize("source", [FILE, FILE.replace("json", "csv"), PRINTED])
def test_scores_come_from_a_file_or_from_the_last_line_that_matches(own, source):
    own.write(recipe(source))
    for seed in (0, 1):
        draw = random.Random(seed)
        expected = {"accuracy": 0.8 + draw.random() / 10, "eval.loss": draw.random()}
        assert report.report(own.job(seed), {}, lambda *_: None)["scores"] == pytest.approx(expected, abs=1e-3)
        assert dict(reported_run.read(own.runs / f"seed-{seed}").scores) == pytest.approx(expected, abs=1e-3)


def test_one_expression_serves_one_metric(own):
    text = recipe('metrics = "eval_accuracy=([0-9.]+)"', command="train.py {seed} /dev/null")
    own.write(text[: text.rindex("[[evaluate]]")])
    own.edit("(out /", "0 and (out /")
    assert list(report.report(own.job(), {}, lambda *_: None)["scores"]) == ["accuracy"]


def test_a_command_that_reports_its_scores_gets_a_band(own):
    done = own.cli(*SWEEP, "2")
    assert done.code == 0, done.err
    metrics = own.band()["metrics"]
    assert metrics["accuracy"]["higher_is_better"]
    assert not metrics["eval.loss"]["higher_is_better"]
    assert "seedband check NEW_SWEEP --band band.json" in done.err


@pytest.mark.slow
def test_a_sweep_goes_on_and_judges_another_by_its_band(own):
    assert own.cli(*SWEEP, "3").code == 0
    facts = own.band()["provenance"]
    assert facts["command"]["metrics"]["accuracy"] == {"read": {"written": "accuracy"}, "higher_is_better": True}
    assert facts["command"]["arguments"][1:] == ["train.py", "{seed}", "{out}"]
    assert list(facts["command"]["files"]) == ["train.py"]
    assert facts["environment"]["versions"]["python"]
    before = (own.runs / "seed-0" / "reported.json").stat().st_mtime_ns
    done = own.cli(*SWEEP, "4")
    assert done.code == 0, done.err
    assert own.band()["seeds"] == [0, 1, 2, 3]
    assert (own.runs / "seed-0" / "reported.json").stat().st_mtime_ns == before
    assert len((own.runs / "seed-0" / "trace.jsonl").read_text().splitlines()) == 1
    own.edit("0.8 +", "0.4 +")
    done = own.cli("sweep", "--seeds", "7,8", "--no-band", "--out", "new")
    assert done.code == 0, done.err
    folder, file = own.cli("check", "new"), own.cli("check", "--scores", "new/scores.csv")
    assert folder.code == file.code == 1, folder.err
    assert folder.out == file.out


def test_candidates_in_the_folder_of_a_sweep_do_not_join_its_band(own):
    own.sweep(7, band=None)
    own.sweep(0, 1, 2)
    assert own.band()["seeds"] == [0, 1, 2]
    own.sweep(3)
    assert own.band()["seeds"] == [0, 1, 2, 3]
    own.sweep(7)
    assert own.band()["seeds"] == [0, 1, 2, 3, 7]
    assert check(own.runs, own.folder / "band.json").status == "pass"


def test_seeds_that_ignore_their_seed_make_no_band_though_a_candidate_beside_them_differs(own):
    own.edit("random.Random(seed)", "random.Random(seed == 7)")
    own.sweep(7, band=None)
    with pytest.raises(Refused, match="seeds 0, 1 gave identical scores on every metric"):
        own.sweep(0, 1)


def test_a_candidate_in_the_folder_is_no_second_seed_of_a_band(own):
    own.sweep(7, band=None)
    loaded = load_recipe(own.folder / "seedband.toml")
    with pytest.raises(Refused, match="one seed has no spread"):
        make_plan(loaded, (0,), out=own.runs, band=own.folder / "band.json")


def test_crashes_of_candidates_are_no_part_of_a_band_and_those_of_its_seeds_stay_on_record(own):
    own.sweep(0, 1)
    loaded = load_recipe(own.folder / "seedband.toml")
    for seed, band in ((2, True), (9, False)):
        plan = make_plan(loaded, (seed,), out=own.runs)
        plan.record.ask((seed,), band=band)
        plan.record.crash({seed: "no room"})
    own.sweep(3)
    assert own.band()["seeds"] == [0, 1, 3]
    assert own.band()["provenance"]["crashed"] == {"2": "no room"}


def test_what_another_recipe_began_here_and_left_unfinished_is_no_part_of_this_one(own):
    loaded = load_recipe(own.folder / "seedband.toml")
    make_plan(loaded, (0, 1, 2), out=own.runs).record.ask((0, 1, 2), band=True)
    own.write(recipe().replace('"mine"', '"other"'))
    own.sweep(0, 1)
    assert check(own.runs, own.folder / "band.json").status == "pass"


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("metric,seed,score\n"), Path.unlink])
def test_a_score_file_that_is_not_what_the_seeds_have_on_record_is_refused(own, spoil):
    new, band = own.sweep(0, 1), own.folder / "band.json"
    assert check(new, band).status == "pass"
    assert json.loads((new / "reported-sweep.json").read_text())["format"] == "seedband.reported-sweep"
    spoil(new / "scores.csv")
    with pytest.raises(Refused, match=r"scores.csv is missing or not what the seeds beside it have on record"):
        check(new, band)


def test_scores_of_data_of_another_version_are_not_comparable(own):
    own.sweep(0, 1)
    own.write(recipe().replace('"mine"', '"mine"\nversion = "2"'))
    loaded = load_recipe(own.folder / "seedband.toml")
    with pytest.raises(UsageError, match=r"holds runs of another recipe: data\.version changed"):
        make_plan(loaded, (0, 1, 2), out=own.runs)
    new = own.sweep(7, 8, out="new", band=None)
    with pytest.raises(Refused, match=r"data\.version: the band has '', this sweep has '2'"):
        check(new, own.folder / "band.json")


def test_other_versions_than_the_bands_are_told_and_refused_where_that_is_asked_for(own, monkeypatch):
    own.sweep(0, 1)
    versions = environment.versions()
    monkeypatch.setattr(environment, "versions", lambda: {**versions, "seedband": "99"})
    new, told = own.sweep(7, 8, out="new", band=None), []
    check(new, own.folder / "band.json", strict=True, on_event=told.append)
    assert not told
    monkeypatch.setattr(environment, "versions", lambda: {**versions, "numpy": "99"})
    new = own.sweep(7, 8, out="newer", band=None)
    check(new, own.folder / "band.json", on_event=told.append)
    (text,) = [event.content["text"] for event in told]
    assert "seed-7: environment: band has versions = numpy = " in text
    assert "candidate has versions = numpy = 99" in text
    with pytest.raises(Refused, match="candidate has versions = numpy = 99"):
        check(new, own.folder / "band.json", strict=True)


def test_a_seed_alone_and_a_sweep_beside_others_are_told_what_to_check(own):
    (own.runs / "seed-7").mkdir(parents=True)
    (own.runs / "reported-sweep.json").touch()
    band = fit_band({"accuracy": [0.8, 0.9]})
    for candidates in ("runs/seed-7",), ("runs", "elsewhere"):
        with pytest.raises(Refused, match="whose command reported its own scores") as error:
            check([own.folder / path for path in candidates], band)
        assert f"seedband check {own.runs}" in error.value.hint


@pytest.mark.slow
def test_what_needs_a_checkpoint_is_refused(own):
    assert own.cli(*SWEEP, "2").code == 0
    for command in (
        ("ship", "runs", "--to", "shipped"),
        ("reproduce", "runs"),
        ("reproduce", "runs", "--seed", "1"),
        ("show", "runs", "--by", "seed"),
    ):
        done = own.cli(*command)
        assert done.code == 3, (command, done)
        assert "its training command reported its own scores, so there are no checkpoints" in done.err
    assert own.cli("check", "runs/seed-0").code == 3
    done = own.cli("check", "runs", "--more-seeds", "2")
    assert done.code == 2
    assert "of the options for checkpoints it takes --strict alone" in done.err


@pytest.mark.slow
def test_metrics_that_are_defined_otherwise_are_not_comparable(own):
    assert own.cli(*SWEEP, "2").code == 0
    own.write(recipe(PRINTED))
    assert own.cli("sweep", "--seeds", "2", "--no-band", "--out", "new").code == 0
    done = own.cli("check", "new")
    assert done.code == 3
    assert "defines metrics otherwise than the band's: accuracy.read" in done.err
    done = own.cli(*SWEEP, "3")
    assert done.code == 2
    assert "holds runs of another recipe: evaluate.accuracy.read" in done.err


@pytest.mark.slow
def test_identical_scores_of_every_seed_are_refused_and_one_that_differs_is_enough(own):
    own.edit("random.Random(seed)", "random.Random(1)")
    done = own.cli(*SWEEP, "3")
    assert done.code == 3
    assert "seeds 0, 1, 2 gave identical scores on every metric: your script seems to ignore --seed" in done.err
    assert not (own.folder / "band.json").exists()
    own.edit("draw.random()\n", "draw.random() + (seed == 2)\n")
    done = own.cli("sweep", "--seeds", "3", "--out", "other")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"accuracy": accuracy', '"accuracy": float("nan")', "accuracy: the command reported nan, expected a finite"),
        ('"accuracy": accuracy', '"accuracy": "high"', "accuracy: the command reported 'high', expected a finite"),
        ('"accuracy": accuracy', '"accuracy": True', "accuracy: the command reported True"),
        ('"accuracy": accuracy', '"accuracy": 10**400', "accuracy: the command reported 1000"),
        ('{"loss": loss}', "{}", "metrics.json has no eval.loss, it has ['accuracy', 'eval', 'nan']"),
        ('(out / "metrics.json")', '(out / "other.json")', "cannot be read: metrics.json"),
        ("json.dumps(", "'{' + json.dumps(", "cannot be read: metrics.json"),
        ("draw = ", "raise SystemExit(9)\ndraw = ", "the command ended with exit code 9"),
    ],
)
def test_what_is_no_score_is_a_crash_of_its_seed(own, old, new, told):
    own.edit(old, new)
    with pytest.raises(WorkFailed) as error:
        report.report(own.job(), {}, lambda *_: None)
    assert told in str(error.value)
    assert not (own.runs / "seed-0" / "reported.json").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("eval_accuracy=1.234e+03", "finds 1.234, which is a part of what stands there: eval_accuracy=1.234e+03"),
        ("eval_accuracy=nan", "finds no number where its text stands last: eval_accuracy=nan"),
    ],
)
def test_half_a_number_and_an_older_line_are_no_score(own, line, told):
    own.write(recipe(PRINTED))
    own.edit("(out /", f"print('{line}')\n(out /")
    with pytest.raises(WorkFailed) as error:
        report.report(own.job(), {}, lambda *_: None)
    assert told in str(error.value)
    assert r"as a group, (\S+) takes all of it" in str(error.value)


def test_no_line_that_matches_is_a_crash(own):
    own.write(recipe(PRINTED.replace("eval_accuracy=", "accurracy=")))
    told = r"^accuracy: no line that the command printed matches 'accurracy=\(\[0-9\.\]\+\)'$"
    with pytest.raises(WorkFailed, match=told):
        report.report(own.job(), {}, lambda *_: None)


@pytest.mark.slow
def test_a_seed_that_crashes_leaves_the_others_and_the_band_says_so_when_told_to_go_on(own):
    own.edit("draw = ", "if seed == 1: sys.exit('no room')\ndraw = ")
    done = own.cli(*SWEEP, "3")
    assert done.code == 5
    assert "seed 1 crashed: the command ended with exit code 1 / no room" in done.err
    assert (own.runs / "seed-2" / "reported.json").is_file()
    done = own.cli("check", "runs", "--band", "band.json")
    assert done.code == 2
    done = own.cli(*SWEEP, "3", "--keep-going")
    assert done.code == 0, done.err
    assert "seed 1 is no part of the band, for its run crashed: the command ended" in done.out
    assert own.band()["seeds"] == [0, 2]
    done = own.cli("check", "runs")
    assert done.code == 3
    assert "seed 1 of this sweep is not finished" in done.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (recipe(second=""), "evaluate[2].args.higher_is_better: found nothing, expected true or false"),
        (recipe(second="args = { direction = 1 }"), "evaluate[2].args.direction: found 1"),
        (
            recipe('scores = "metrics.json"'),
            "train.scores: found 'metrics.json', expected a .json or .csv file in {out}",
        ),
        (recipe('scores = "{out}/m.txt"'), "train.scores: found '{out}/m.txt'"),
        (recipe(f"{FILE}\nmetrics = '(x)'"), "train.metrics: found train.scores beside it, expected one of them"),
        (recipe("metrics = '(x)'"), "train.metrics: found one expression, expected one for each metric"),
        (recipe("metrics = { accuracy = '(x)' }"), "train.metrics.eval.loss: found nothing"),
        (
            recipe("metrics = { accuracy = 'x', 'eval.loss' = '(' }"),
            "train.metrics.accuracy: found 'x', which has 0 gr",
        ),
        (recipe("metrics = { accuracy = 'x', 'eval.loss' = '(' }"), "train.metrics.eval.loss: found '(': missing )"),
        (recipe(command="train.py {seed} {out} {train}"), "train.command: found {train}, expected of {seed}"),
        (
            recipe() + '[log]\nmlflow = "http://host:5000"',
            "log.mlflow: found an address, expected no [log]: a sweep of rep",
        ),
        (recipe(command="train.py {seed}"), "train.command: found no {out}, expected {out}, the folder for its scores"),
        (
            recipe().replace("reported:accuracy", "accuracy"),
            "evaluate[1].evaluator: found 'accuracy', expected \"reported",
        ),
        (recipe().replace('scores = "', 'score = "'), "model: found nothing, expected a value"),
        (
            recipe().replace('scores = "', 'score = "'),
            "train.score: found an unknown key, expected a key of this section",
        ),
        (recipe(command="trian.py {seed} {out}"), "train.command: found trian.py, which is no file"),
    ],
)
def test_mistakes_are_told_by_their_keys_before_any_work(own, text, told):
    own.write(text)
    with pytest.raises(UsageError) as error:
        make_plan(load_recipe(own.folder / "seedband.toml"), (0, 1), out=own.runs)
    assert told in str(error.value)


def test_folders_and_bands_of_others_are_left_alone(own):
    band = own.folder / "band.json"
    band.write_text("{}")
    with pytest.raises(UsageError, match=r"it is not a band of .*scores\.csv"):
        make_plan(load_recipe(own.folder / "seedband.toml"), (0, 1), out=own.runs, band=band)
    (own.runs / "seed-0" / "out").mkdir(parents=True)
    (own.runs / "seed-0" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds out, and no run"):
        report.report(own.job(), {}, lambda *_: None)
    (own.runs / "sweep.json").touch()
    with pytest.raises(UsageError, match="holds a sweep whose checkpoints seedband scored"):
        make_plan(load_recipe(own.folder / "seedband.toml"), (0, 1), out=own.runs)


def test_the_dry_run_writes_nothing(own):
    done = own.cli("sweep", "--dry-run")
    assert done.code == 0, done.err
    assert "to train: seeds 0, 1, 2, 3; 4 jobs" in done.out
    assert not own.runs.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_ended_leaves_nothing_that_counts_and_goes_on(own, number):
    lasting = "import os, subprocess\nif seed and not os.path.exists('go-on'):\n"
    lasting += "    left = subprocess.Popen(['sleep', '600'])\n"
    own.edit("draw = ", f"{lasting}    print('processes', os.getpid(), left.pid)\n    time.sleep(600)\ndraw = ")
    command = [sys.executable, "-m", "seedband", *SWEEP, "2", "-v"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(command, cwd=own.folder, env=environment, stderr=subprocess.PIPE, text=True)
    with parent:
        line = next(line for line in parent.stderr if "processes" in line)
        parent.send_signal(number)
    assert all(gone(int(pid)) for pid in line.split()[-2:])
    assert (own.runs / "seed-0" / "reported.json").is_file()
    assert not (own.runs / "seed-1" / "reported.json").exists()
    assert not (own.folder / "band.json").exists()
    (own.folder / "go-on").touch()
    done = own.cli(*SWEEP, "2")
    assert done.code == 0, done.err
    assert own.band()["seeds"] == [0, 1]
