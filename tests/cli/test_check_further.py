"""`seedband check` that goes on: further seeds, pairs, the ledger, and what its hints say to do next."""

import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import LABELS, Tiny, recipe_text, run_cli

from seedband import check, fit_band, load_band
from seedband.jobs.executors import local, processes
from seedband.storage import json_files

HEADS = {"train_method": '"head"', "train_epochs": "10"}
WORKED = {"accuracy": [0.871, 0.884, 0.879, 0.892]}


def hinted(done):
    """The command that the hint of a suspect gives, as its arguments."""
    [command] = re.findall(r"seedband (check .*)", done.err)
    return shlex.split(command)


def stamps(folder):
    """When each run of a sweep was finished, by seed."""
    return {int(path.parent.name[5:]): path.stat().st_mtime_ns for path in folder.glob("seed-*/run.json")}


def shown(done, metric="accuracy"):
    """The scores that a verdict was made of."""
    [line] = [line for line in done.out.splitlines() if line.startswith(f"{metric}: ")]
    return re.search(r"score=(\S+)", line)[1].split(",")


def without_record(run, to):
    return Path(shutil.copytree(run, to, ignore=shutil.ignore_patterns("run.json")))


def looks(path):
    """Status and seeds of every entry of a ledger."""
    entries = json.loads(path.read_text())["entries"].values()
    return sorted((entry["status"], [look["seed"] for look in entry["looks"]]) for entry in entries)


@pytest.fixture(scope="module")
def wrong(tiny_heads, tmp_path_factory):
    """Three seeds of a recipe one third of whose labels are wrong: each is below the band, none has collapsed."""
    tiny = Tiny(Path(shutil.copytree(tiny_heads.folder, tmp_path_factory.mktemp("wrong") / "tiny")))
    rows = [json.loads(line) for line in (tiny.folder / "train.jsonl").read_text().splitlines()]
    for row in rows[::3]:
        row["label"] = LABELS[(LABELS.index(row["label"]) + 1) % 3]
    (tiny.folder / "wrong.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tiny.folder / "wrong.toml").write_text(recipe_text(**HEADS, data_train='"wrong.jsonl"'))
    flags = ["--config", "wrong.toml", "--seeds", "3,9,7", "--no-band", "--out", "wrong", "-q"]
    done = run_cli("sweep", *flags, cwd=tiny.folder)
    assert done.code == 0, done.err
    return tiny


@pytest.fixture
def suspect(wrong, tmp_path):
    """A copy of that, to be changed; where its runs were trained, the data still lie."""
    return Tiny(Path(shutil.copytree(wrong.folder, tmp_path / "tiny")))


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux only")
def test_what_jobs_import_is_imported_once_for_all_seeds_that_a_check_asks_for(suspect, monkeypatch):
    started, events = [], []

    class Counted(local.Launcher):
        def __init__(self, *args):
            started.append(self)
            super().__init__(*args)

    monkeypatch.setattr(local, "Launcher", Counted)
    monkeypatch.setattr(processes, "GPUS", ())
    verdict = check([suspect.folder / "wrong" / "seed-3"], suspect.band, more_seeds=1, on_event=events.append)
    assert len(verdict.candidates) == 2
    forked = [event.content["forked"] for event in events if event.kind == "job"]
    assert forked == [True, True, True]  # scored, trained, scored
    assert len(started) == 1
    assert not Path(f"/proc/{started[0]._process.pid}").exists()


@pytest.mark.slow
def test_hint_of_a_suspect_settles_it_and_nothing_is_trained_twice(suspect):
    band = load_band(suspect.band)
    failed = {name: replace(metric, failed_seeds=(4,)) for name, metric in band.metrics.items()}
    replace(band, metrics=failed).save(suspect.band)
    folder = suspect.folder / "wrong"
    before = stamps(folder)

    first = run_cli("check", "wrong/seed-3", cwd=suspect.folder)
    assert first.code == 4, first.out + first.err
    assert "1 more seed, 2 at most" in first.err
    settling = hinted(first)
    assert settling == ["check", "wrong/seed-3", "--more-seeds", "2"]
    assert stamps(folder) == before

    second = run_cli("check", "wrong/seed-3", "--more-seeds", "1", cwd=suspect.folder)
    assert second.code == 4, second.out + second.err
    assert len(shown(second)) == 2
    one_more = stamps(folder)
    assert one_more.keys() - before.keys() == {5}  # 0 to 2 are the band's, 4 failed in it, 3 is the candidate's
    assert "1 more seed, 1 at most" in second.err
    assert hinted(second) == settling

    third = run_cli(*settling, cwd=suspect.folder)
    assert third.code == 1, third.out + third.err
    assert shown(third)[:2] == shown(second)
    assert len(shown(third)) == 3
    all_of_them = stamps(folder)
    assert all_of_them.keys() - one_more.keys() == {6}
    assert all_of_them.items() > one_more.items()

    again = run_cli("check", "wrong/seed-3", "--more-seeds", "5", cwd=suspect.folder)
    assert (again.code, again.out) == (third.code, third.out)
    assert stamps(folder) == all_of_them
    assert sorted(path.name for path in suspect.folder.iterdir() if (path / "sweep.json").is_file()) == [
        "runs",
        "wrong",
    ]


@pytest.mark.slow
@pytest.mark.slow
def test_candidate_that_passes_trains_nothing(suspect):
    before = stamps(suspect.runs)
    flags = ["--more-seeds", "2", "--recipe", "seedband.toml"]
    done = run_cli("check", "runs/seed-1", *flags, cwd=suspect.folder)
    assert done.code == 0, done.err
    assert stamps(suspect.runs) == before
    assert sorted(path.name for path in suspect.runs.glob("seed-*")) == ["seed-0", "seed-1", "seed-2"]


@pytest.mark.slow
def test_plain_checkpoint_needs_its_recipe_to_be_trained_further(suspect):
    without_record(suspect.folder / "wrong" / "seed-9", suspect.folder / "plain")
    for flags in (["--more-seeds", "1"], ["--ledger", "ledger.json"]):
        unknown = run_cli("check", "plain", *flags, cwd=suspect.folder)
        assert unknown.code == 2, unknown.out
        assert "no run record" in unknown.err
        assert "--recipe candidate.toml" in unknown.err
    assert not (suspect.folder / "ledger.json").exists()

    plain = run_cli("check", "plain", cwd=suspect.folder)
    assert plain.code == 4, plain.out + plain.err
    assert hinted(plain) == ["check", "plain", "--more-seeds", "2", "--recipe", "CANDIDATE.toml"]

    named = ["--more-seeds", "1", "--recipe", "wrong.toml"]
    done = run_cli("check", "plain", *named, cwd=suspect.folder)
    assert done.code == 4, done.out + done.err
    assert hinted(done) == ["check", "plain", "--recipe", "wrong.toml", "--more-seeds", "2"]
    [folder] = [path for path in suspect.runs.iterdir() if (path / "sweep.json").is_file()]
    assert re.fullmatch(r"tiny-head-[0-9a-f]{8}", folder.name)
    assert stamps(folder).keys() == {3}

    # Its own seed is the very one that comes next: its weights say so, and that run is no second candidate.
    without_record(folder / "seed-3", suspect.folder / "seed-3-in-disguise")
    own = run_cli("check", "seed-3-in-disguise", *named, cwd=suspect.folder)
    assert own.code == 4, own.out + own.err
    assert len(shown(own)) == 2
    assert stamps(folder).keys() == {3, 4}


@pytest.mark.slow
def test_candidate_whose_training_data_changed_since_is_refused(wrong, tmp_path):
    path = wrong.folder / "wrong.jsonl"
    kept = path.read_text()
    before = stamps(wrong.folder / "wrong")
    try:
        path.write_text(kept.replace("apple", "quince"))
        done = run_cli("check", wrong.folder / "wrong" / "seed-3", "--band", wrong.band, "--more-seeds", "1")
    finally:
        path.write_text(kept)
    assert done.code == 3, done.out + done.err
    assert "data.train (other rows)" in done.err
    other = [wrong.folder / "wrong" / "seed-3", "--band", wrong.band, "--recipe", wrong.config]
    for flags in (["--more-seeds", "1"], ["--ledger", tmp_path / "ledger.json"]):
        done = run_cli("check", *other, *flags)
        assert done.code == 3, done.out + done.err
        assert "trained by another recipe than the one at hand: data.train (other rows) changed" in done.err
    assert stamps(wrong.folder / "wrong") == before


@pytest.mark.slow
@pytest.mark.slow
def test_ledger_carries_the_looks_of_a_recipe_from_call_to_call(suspect):
    ledger = suspect.folder / "ledger.json"

    def check(*arguments):
        return run_cli("check", *arguments, "--ledger", "ledger.json", cwd=suspect.folder)

    first = check("wrong/seed-3")
    assert first.code == 4, first.out + first.err
    assert looks(ledger) == [("suspect", [3])]
    assert "seedband check wrong/seed-3 --ledger ledger.json --more-seeds 2" in first.err
    assert "another seed with the same --ledger" in first.err

    second = check("wrong/seed-9")
    assert second.code == 4, second.out + second.err
    assert shown(second)[:1] == shown(first)
    assert len(shown(second)) == 2
    assert "1 more seed, 1 at most" in second.err
    assert looks(ledger) == [("suspect", [3, 9])]

    third = check("wrong/seed-3", "--more-seeds", "2", "--out", "further")
    assert third.code == 1, third.out + third.err
    assert shown(third)[:2] == shown(second)
    assert looks(ledger) == [("fail", [3, 9, 4])]
    assert stamps(suspect.folder / "further").keys() == {4}

    sealed = ledger.read_bytes()
    late = check("wrong/seed-7")
    assert late.code == 1, late.out + late.err
    assert shown(late) == shown(third)
    assert "failed at an earlier call" in late.out
    assert ledger.read_bytes() == sealed

    good = check("runs/seed-1", "--recipe", "seedband.toml")
    assert good.code == 0, good.out + good.err
    assert looks(ledger) == [("fail", [3, 9, 4]), ("pass", [1])]

    other_level = check("wrong/seed-7", "--alpha", "0.01")
    assert "failed at an earlier call" not in other_level.out
    assert len(shown(other_level)) == 1
    assert [entry for entry in looks(ledger) if entry[1] == [7]]

    ledger.write_text(ledger.read_text().replace('"fail"', '"pass"'))
    tampered = ledger.read_bytes()
    refused = check("wrong/seed-9")
    assert refused.code == 3, refused.out
    assert "does not fit its sha256" in refused.err
    assert ledger.read_bytes() == tampered


@pytest.mark.slow
@pytest.mark.slow
def test_identical_recipe_gives_pairs_that_differ_by_exactly_nothing(tiny_heads, tmp_path):
    tiny = Tiny(Path(shutil.copytree(tiny_heads.folder, tmp_path / "tiny")))
    band = load_band(tiny.band)
    healthy = {
        name: replace(metric, scores=metric.scores[1:], seeds=(1, 2), failed_seeds=(0,))
        for name, metric in band.metrics.items()
    }
    replace(band, metrics=healthy).save(tiny.band)
    done = run_cli("check", "--pairs", "2", "--recipe", "seedband.toml", "--json", cwd=tiny.folder)
    assert done.code == 0, done.err
    verdict = json.loads(done.out)
    assert {name: m["differences"] for name, m in verdict["metrics"].items()} == {name: [0, 0] for name in healthy}
    assert {m["rule"] for m in verdict["metrics"].values()} == {"paired"}
    assert "exactly 0" in verdict["reason"]
    assert "these are seeds 1, 2 of the band itself, weight for weight" in verdict["reason"]
    [folder] = [path for path in tiny.runs.iterdir() if (path / "sweep.json").is_file()]
    assert re.fullmatch(r"tiny-head-[0-9a-f]{8}", folder.name)
    assert stamps(folder).keys() == {1, 2}


@pytest.mark.slow
@pytest.mark.slow
def test_pairs_are_compared_seed_by_seed_wherever_they_were_trained(tiny_heads, tmp_path):
    tiny = Tiny(Path(shutil.copytree(tiny_heads.folder, tmp_path / "tiny")))
    (tiny.folder / "slow.toml").write_text(recipe_text(**HEADS, train_learning_rate="7e-3"))
    band = load_band(tiny.band)

    first = run_cli(
        "check", "--pairs", "2", "--recipe", "slow.toml", "--out", "slow", "--tolerance", "0.002", cwd=tiny.folder
    )
    assert first.code == 4, first.out + first.err
    assert "1 more seed, 1 left in the band" in first.err
    settling = hinted(first)
    assert settling == [
        *("check", "--recipe", "slow.toml", "--out", "slow", "--tolerance", "0.002", "--pairs", "3"),
    ]
    before = stamps(tiny.folder / "slow")
    assert before.keys() == {0, 1}

    second = run_cli(*settling, "--json", cwd=tiny.folder)
    verdict = json.loads(second.out)
    assert second.code == {"pass": 0, "fail": 1, "suspect": 4}[verdict["status"]]
    assert ("no seed of the band is left" in second.err) == (second.code == 4)
    after = stamps(tiny.folder / "slow")
    assert after.keys() == {0, 1, 2}
    assert after.items() > before.items()
    scores = {}
    for seed in (0, 1, 2):
        record = json.loads((tiny.folder / "slow" / f"seed-{seed}" / "run.json").read_text())
        scores[seed] = {entry["metric"]: entry["score"] for entry in record["evaluations"]}
    expected = {
        name: [scores[seed][name] - metric.scores[seed] for seed in (0, 1, 2)] for name, metric in band.metrics.items()
    }
    assert {name: m["differences"] for name, m in verdict["metrics"].items()} == expected
    assert all(any(differences) for differences in expected.values())
    primary, other = verdict["metrics"]["accuracy"], verdict["metrics"]["log_loss"]
    assert (primary["tolerance"], other["tolerance"]) == (0.002, band.metrics["log_loss"].noise_sd)

    assert "at every look from 2 to 3 pairs, 0.05 in all" in verdict["reason"]
    paired = ["--rule", "paired", "--tolerance", "0.002", "--json"]
    named = ["check", *(f"slow/seed-{seed}" for seed in (1, 0, 2)), *paired, "--ledger", "ledger.json"]
    for kept in (tiny.folder / "slow" / "looks.json", tiny.folder / "ledger.json"):
        again = run_cli(*named, cwd=tiny.folder)
        told = json.loads(again.out)
        assert (again.code, told["status"]) == (second.code, verdict["status"])
        assert verdict["reason"] in told["reason"]
        assert {name: m["differences"] for name, m in told["metrics"].items()} == {
            name: [differences[seed] for seed in (1, 0, 2)] for name, differences in expected.items()
        }
        kept.unlink()
    (tiny.folder / "slow" / "looks.json").unlink()
    only = run_cli("check", "slow/seed-1", "slow/seed-0", *paired, "--final", cwd=tiny.folder)
    assert "every look" not in json.loads(only.out)["reason"]
    later = run_cli("check", "slow/seed-1", "slow/seed-0", "slow/seed-2", *paired, cwd=tiny.folder)
    assert later.code == (3 if only.code == 4 else only.code)
    assert ("was announced as the last one" in later.err) == (only.code == 4)

    without_record(tiny.folder / "slow" / "seed-0", tiny.folder / "plain")
    for candidates, told in (
        (["plain", "slow/seed-1"], "no run record says under which seed it was trained"),
        (["slow/seed-1"], "1 pair has no spread, it needs at least 2"),
    ):
        refused = run_cli("check", *candidates, "--rule", "paired", cwd=tiny.folder)
        assert refused.code == 3, refused.out + refused.err
        assert told in refused.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"), [({"vary": ["init"]}, "streams that vary"), ({"seeding_version": 99}, "seeding version")]
)
def test_candidates_whose_draws_are_keyed_otherwise_have_no_pairs(tiny_heads, tmp_path, change, told):
    tiny = Tiny(Path(shutil.copytree(tiny_heads.folder, tmp_path / "tiny")))
    for seed in (0, 1):
        path = tiny.runs / f"seed-{seed}" / "run.json"
        record = json_files.read_json(path, "run")
        json_files.write_json(path, "run", {**record, "signature": {**record["signature"], **change}})
    done = run_cli("check", "runs/seed-0", "runs/seed-1", "--rule", "paired", cwd=tiny.folder)
    assert done.code == 3, done.out + done.err
    assert told in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--pairs", "1", "--recipe", "new.toml"], "a spread takes 2 pairs"),
        (["--pairs", "5", "--recipe", "new.toml"], "the band has 4 healthy seeds"),
        (["new/seed-0", "--pairs", "2", "--recipe", "new.toml"], "--pairs trains its own candidates"),
        (["--pairs", "2"], "--recipe candidate.toml"),
        (["--pairs", "2", "--recipe", "new.toml", "--rule", "t"], "--pairs is for rule paired, this is t"),
        (["--pairs", "2", "--recipe", "new.toml", "--tolerance", "-0.01"], "no score difference of 0 or more"),
        (["--pairs", "2", "--recipe", "new.toml", "--tolerance", "nan"], "no score difference of 0 or more"),
        (["new/seed-0", "--tolerance", "0.01"], "a tolerance belongs to rule paired, this is retest"),
        (["new/seed-0", "--final"], "--final announces the last look at pairs, this is rule retest"),
        (["new/seed-0", "--rule", "paired", "--more-seeds", "1"], "a larger --pairs trains more pairs"),
        (["--more-seeds", "1"], "no candidate"),
    ],
)
def test_options_that_contradict_each_other_are_usage_errors_before_anything_is_done(tmp_path, arguments, told):
    fit_band(WORKED).save(tmp_path / "band.json")  # of bare scores: to score anything would be refused
    done = run_cli("check", *arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, ""), done.err
    assert told in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["band.json"]


def test_hint_of_a_suspect_score_file_settles_it(tmp_path):
    fit_band(WORKED).save(tmp_path / "band.json")
    scores = tmp_path / "new scores.csv"
    scores.write_text("seed,accuracy\n9,.869\n")
    first = run_cli("check", "--scores", "new scores.csv", cwd=tmp_path)
    assert first.code == 4, first.out + first.err
    assert "1 more seed, 2 at most: train and score it as the others, add it to new scores.csv" in first.err
    assert hinted(first)[-2:] == ["--looks", "1"]
    scores.write_text(scores.read_text() + "10,.868\n")
    second = run_cli(*hinted(first), cwd=tmp_path)
    assert second.code == 4
    assert "1 more seed, 1 at most" in second.err
    scores.write_text(scores.read_text() + "11,.867\n")
    assert run_cli(*hinted(second), cwd=tmp_path).code == 1
