"""Scores are made anew where the recipe asks for others; weights are not."""

import json
import os
import shutil
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
from tiny import Tiny, recipe_text, run_cli

from seedband import load_band, sweep
from seedband.commands.sweep import carry_out
from seedband.commands.sweep.plan import make_plan
from seedband.commands.sweep.prepare import prepare
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.events import Event
from seedband.jobs import executors
from seedband.jobs.spec import Outcome
from seedband.recipe.parse import load_recipe
from seedband.runs.folders import finished_runs
from seedband.runs.layout import ANEW, SCORES, TRAINED
from seedband.runs.run_file import read_run
from seedband.runs.sweep_file import read_sweep
from seedband.storage import file_hashes, json_files
from seedband.trainers import SeedRun
from seedband.trainers.loop.unscored import Unscored, hashes_of_files, take_over

HEADS = {"train_method": '"head"', "train_epochs": "10"}
OWN = '\n[[evaluate]]\nevaluator = "python:own_metric:hits"\nargs = { higher_is_better = true }\n'
HITS = "    return predictions.predicted == predictions.labels\n"
#: Crashes when it is asked a second time.
CRASHES_ONCE = f"""
from pathlib import Path

def hits(items, predictions):
    calls = Path(__file__).with_name("calls")
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if calls.read_text() == "xx":
        raise ConnectionError("nobody answers")
{HITS}"""
MENDED = f"def hits(items, predictions):\n{HITS}"
ENDS = f"import os, signal\n\ndef hits(items, predictions):\n    END\n{HITS}"


class KilledError(BaseException):
    pass


@pytest.fixture
def heads(tiny_heads, tmp_path):
    return Tiny(shutil.copytree(tiny_heads.folder, tmp_path / "tiny"))


def weights(folder: Path) -> dict[str, tuple[object, ...]]:
    """What no scoring may touch."""
    kept = {
        run.folder.name: (run.record["checkpoint_sha256"], run.record["train_seconds"], run.witnesses)
        for run in finished_runs(folder)
    }
    for path in folder.glob("seed-*/*"):
        if path.name in ("head.safetensors", "head.json", "trace.jsonl"):
            kept[str(path)] = (path.stat().st_mtime_ns, file_hashes.file_sha256(path))
    return kept


def sweep_heads(heads, seeds=3, **options):
    events = []
    done = sweep(heads.config, seeds, out=heads.runs, band=heads.band, offline=True, on_event=events.append, **options)
    assert "step" not in {event.kind for event in events}
    return done


class Scribe:
    """An executor that scores by copying what stands on record, with the evaluators that were asked for."""

    def __init__(self, **_):
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, jobs, logs, on_event):
        for target in jobs[0].targets:
            run, place = read_run(Path(target.checkpoint.path)), Path(target.out)
            place.mkdir(exist_ok=True)
            names = [section.metric for section in jobs[0].scoring.evaluators]
            entries = [entry for entry in run.record["evaluations"] if entry["metric"] in names]
            keys = ("checkpoint_sha256", "failure", "signature")
            shutil.copyfile(run.folder / "items.parquet", place / "items.parquet")
            with (place / "items.parquet").open("r+b") as file:  # other bytes, as other scores give
                file.seek(0, os.SEEK_END)
                file.write(b"anew")
            content = {key: run.record[key] for key in keys} | {"evaluations": entries, "truncated": None}
            content["items_sha256"] = file_hashes.file_sha256(place / "items.parquet")
            json_files.write_json(place / SCORES, "scores", {"checkpoint": target.checkpoint.name, **content})
            self.asked.append(run.seed)
            on_event(Event("scored", content={"checkpoint": target.checkpoint.name}))
        return [Outcome(jobs[0], 0, "", place)]


@pytest.fixture
def scribe(monkeypatch):
    made = Scribe()
    monkeypatch.setattr(executors, "make", lambda *_, **__: made)
    monkeypatch.setattr(carry_out.score_table, "scores_table", lambda _: pd.DataFrame())
    return made


def plan_of(heads, seeds=range(3)):
    return make_plan(prepare(load_recipe(heads.config), offline=True), seeds, heads.runs)


def carry(heads, seeds=range(3), **options):
    with executors.make("local", slots=1, offline=True) as executor:
        return carry_out.carry_out(plan_of(heads, seeds), executor, on_event=lambda _: None, **options)


def without_log_loss():
    return recipe_text(**HEADS).rpartition("[[evaluate]]")[0]


def test_an_evaluator_mended_after_it_crashed_under_one_seed_gives_a_band_without_training(heads):
    before, old = weights(heads.runs), heads.band.read_bytes()
    (heads.folder / "own_metric.py").write_text(CRASHES_ONCE)
    heads.config.write_text(recipe_text(**HEADS) + OWN)
    with pytest.raises(WorkFailed, match=r"seed 1 has no python:own_metric:hits: .*nobody answers"):
        sweep_heads(heads)
    assert heads.band.read_bytes() == old
    assert [run.evaluations[-1].crashed for run in finished_runs(heads.runs)] == [False, True, False]
    (heads.folder / "own_metric.py").write_text(MENDED)
    sweep_heads(heads)
    metrics = load_band(heads.band).metrics
    assert metrics["python:own_metric:hits"].scores == metrics["accuracy"].scores
    assert weights(heads.runs) == before
    assert not list(heads.runs.rglob(ANEW))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        (without_log_loss(), ["accuracy", "f1_macro"]),
        (recipe_text(**HEADS) + '[[evaluate]]\nevaluator = "mcc"\n', ["accuracy", "f1_macro", "log_loss", "mcc"]),
        (
            without_log_loss() + '[[evaluate]]\nevaluator = "calibration_error"\nargs = { bins = 5 }\n',
            ["accuracy", "f1_macro", "calibration_error"],
        ),
        (recipe_text(**HEADS, score_batch_size="7"), ["accuracy", "f1_macro", "log_loss"]),
    ],
)
def test_other_evaluators_and_scoring_settings_score_anew_and_train_nothing(heads, text, metrics):
    before = weights(heads.runs)
    heads.config.write_text(text)
    sweep_heads(heads)
    assert list(load_band(heads.band).metrics) == metrics
    assert weights(heads.runs) == before
    asked = load_recipe(heads.config).recipe.as_dict()
    for run in finished_runs(heads.runs):
        assert [entry.metric for entry in run.evaluations] == metrics
        assert run.record["recipe"] == json.loads(json_files.canonical(asked))
        assert list(run.record["signature"]["evaluators"]) == metrics
        assert run.record["signature"]["vary"] == ["dropout", "init", "order"]
    assert not plan_of(heads).stale


def test_a_dry_run_says_which_runs_are_scored_anew_and_writes_nothing(heads):
    assert plan_of(heads).as_dict()["seeds_to_score"] == []
    files = sorted(heads.folder.rglob("*"))
    heads.config.write_text(without_log_loss())
    told = plan_of(heads, range(4)).as_dict()
    assert (told["seeds_to_score"], told["seeds_to_train"]) == ([0, 1, 2], [3])
    done = run_cli("sweep", "--seeds", "3", "--out", "runs", "--dry-run", cwd=heads.folder)
    assert "to score, not to train: seeds 0, 1, 2" in done.out
    assert sorted(heads.folder.rglob("*")) == files


def test_what_gives_other_weights_is_another_recipe_as_before(heads):
    heads.config.write_text(recipe_text(**{**HEADS, "train_epochs": "11"}).replace("log_loss", "mcc"))
    with pytest.raises(UsageError, match=r"another recipe: train\.epochs changed"):
        plan_of(heads)


def test_a_further_seed_leaves_the_scores_of_other_runs_as_they_are(heads, scribe):
    heads.config.write_text(without_log_loss())
    before = {run.seed: run.record for run in finished_runs(heads.runs)}
    carry(heads, [1], announce=False)
    assert scribe.asked == [1]
    assert [run.seed for run in finished_runs(heads.runs) if run.record != before[run.seed]] == [1]
    carry(heads)
    assert scribe.asked == [1, 0, 2]


def kill_in(moment, monkeypatch):
    """Raise at a moment of the first taking over, with what a kill there leaves."""
    write_json, rmtree, copyfile = json_files.write_json, shutil.rmtree, shutil.copyfile

    def write(path, kind, content):
        if path.name == "run.json" and moment == "before the record":
            raise KilledError
        write_json(path, kind, content)
        if (path.name, moment) in (("run.json", "after the record"), (SCORES, "before the items")):
            raise KilledError

    def remove(place, **options):
        if Path(place).name == ANEW and moment == "in the middle of tidying" and Path(place).is_dir():
            (Path(place) / "items.parquet").unlink()
            raise KilledError
        rmtree(place, **options)

    def copy(first, second):
        copyfile(first, second)
        if Path(first).parent.name == ANEW and moment == "in the middle of the items":
            raise KilledError

    monkeypatch.setattr(json_files, "write_json", write)
    monkeypatch.setattr(shutil, "rmtree", remove)
    monkeypatch.setattr(shutil, "copyfile", copy)


MOMENTS = [
    "before the items", "in the middle of the items", "before the record", "after the record",
    "in the middle of tidying",
]  # fmt: skip


@pytest.mark.parametrize("returned", [False, True])
@pytest.mark.parametrize("moment", MOMENTS)
def test_new_scores_that_were_on_their_way_when_it_was_killed_are_made_once_more(
    heads, scribe, monkeypatch, moment, returned
):
    heads.config.write_text(without_log_loss())
    with monkeypatch.context() as patched:
        kill_in(moment, patched)
        with pytest.raises(KilledError):
            carry(heads)
    assert (heads.runs / "seed-0" / ANEW).is_dir()
    if returned:  # to the recipe of before
        heads.config.write_text(recipe_text(**HEADS))
    carry(heads)
    asked = load_recipe(heads.config).recipe
    for run in finished_runs(heads.runs):
        assert file_hashes.file_sha256(run.folder / "items.parquet") == run.record["items_sha256"]
        assert run.record["recipe"]["evaluate"] == json.loads(json_files.canonical(asked.as_dict()["evaluate"]))
    assert not list(heads.runs.rglob(ANEW))
    assert not plan_of(heads).stale


def test_new_scores_of_weights_that_were_changed_are_refused(heads, scribe, monkeypatch):
    heads.config.write_text(without_log_loss())
    read = json_files.read_json

    def other(path, kind):
        content = read(path, kind)
        return {**content, "checkpoint_sha256": "0" * 64} if kind == "scores" else content

    monkeypatch.setattr(json_files, "read_json", other)
    with pytest.raises(Refused, match="its weights are not those"):
        carry(heads)


def test_new_scores_of_another_machine_are_refused_and_made_again_at_home(heads, scribe, monkeypatch):
    heads.config.write_text(without_log_loss())
    read = json_files.read_json

    def elsewhere(path, kind):
        content = read(path, kind)
        if kind == "scores":
            content["signature"]["environment"]["fingerprint"] = "0" * 64
        return content

    with monkeypatch.context() as patched:
        patched.setattr(json_files, "read_json", elsewhere)
        with pytest.raises(Refused, match="in another environment: fingerprint changed"):
            carry(heads)
    carry(heads)
    assert scribe.asked == [0, 0, 1, 2]


def end_while_scoring(tiny, seeds, end):
    (tiny.folder / "own_metric.py").write_text(ENDS.replace("END", end))
    tiny.config.write_text(recipe_text(**HEADS) + OWN)
    with pytest.raises(WorkFailed) as caught:
        sweep(tiny.config, seeds, out=tiny.runs, band=None, offline=True)
    assert not list(tiny.runs.rglob("run.json"))
    assert len(list(tiny.runs.rglob(TRAINED))) == len(seeds)
    plan = plan_of(tiny, seeds).as_dict()
    assert (plan["seeds_to_train"], plan["seeds_to_score"]) == ([], list(seeds))
    (tiny.folder / "own_metric.py").write_text(MENDED)
    return caught.value.message


def assert_as_undisturbed(tiny, undisturbed, seeds):
    for seed in seeds:
        found, expected = (read_run(folder / f"seed-{seed}") for folder in (tiny.runs, undisturbed.runs))
        assert found.witnesses == expected.witnesses
        assert found.record["checkpoint_sha256"] == expected.record["checkpoint_sha256"]
        assert found.evaluations[:3] == expected.evaluations
        assert not list(found.folder.glob("train*"))
        for key in ("initializers", "steps", "truncated", "pins_flipped"):
            assert found.record[key] == expected.record[key]


def test_a_metric_that_ends_its_process_loses_no_training(tiny, tiny_heads):
    assert "ended before its work was done" in end_while_scoring(tiny, [0], "os._exit(0)")
    times = {path: path.stat().st_mtime_ns for path in tiny.runs.glob("seed-0/[ht]*")}
    events = []
    sweep(tiny.config, [0], out=tiny.runs, band=None, offline=True, on_event=events.append)
    assert "step" not in {event.kind for event in events}
    kept = [path for path in times if not path.name.startswith("train")]
    assert len(kept) == 3
    assert [path.stat().st_mtime_ns for path in kept] == [times[path] for path in kept]
    assert_as_undisturbed(tiny, tiny_heads, [0])


@pytest.mark.slow
def test_a_metric_that_is_killed_under_every_seed_loses_no_training(tiny, tiny_heads):
    assert "killed by SIGKILL" in end_while_scoring(tiny, [0, 1, 2], "os.kill(os.getpid(), signal.SIGKILL)")
    sweep_heads(tiny)
    assert_as_undisturbed(tiny, tiny_heads, range(3))


@pytest.mark.parametrize(
    "why", ["is of another recipe", "is damaged: its files do not fit", "not valid JSON", "this key is required"]
)
def test_a_checkpoint_that_waits_to_be_scored_is_used_for_its_own_run_alone(heads, why):
    run, told = heads.runs / "seed-1", []
    record = read_run(run).record
    (run / "run.json").unlink()
    target, files = SeedRun(1, record["streams"], str(run)), hashes_of_files(run)
    if "damaged" in why:
        (run / "head.safetensors").write_bytes(b"other")
    lacking = "witnesses" if "key" in why else ""
    known = {field.name: record[field.name] for field in fields(Unscored) if field.name != lacking}
    content = {"seed": 1, "streams": record["streams"], "files": files, "record": known}
    json_files.write_json(run / TRAINED, "trained", {"identity": "own", **content})
    if "JSON" in why:
        (run / TRAINED).write_text("{")
    identity = "other" if "recipe" in why else "own"
    assert take_over(target, identity, lambda *event: told.append(event)) is None
    assert why in told[0][2]["text"]
    assert not list(run.glob("head*"))
    assert not (run / TRAINED).exists()


def test_a_checkpoint_that_waits_to_be_scored_is_not_lost_to_another_recipe(heads):
    for run in heads.runs.glob("seed-*"):
        (run / "run.json").unlink()
        (run / TRAINED).write_text("{}")
    heads.config.write_text(recipe_text(**{**HEADS, "train_epochs": "11"}))
    with pytest.raises(UsageError, match=r"another recipe: train\.epochs changed"):
        plan_of(heads)
    assert read_sweep(heads.runs).seeds == (0, 1, 2)
