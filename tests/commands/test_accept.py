"""accept: a band is replaced on purpose by a whole sweep, and never by half of one."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import Tiny, recipe_text, run_cli

from seedband import Refused, UsageError, WorkFailed, load_band
from seedband.commands.accept import accept
from seedband.commands.sweep.sweep import sweep
from seedband.runs import sweep_file
from seedband.storage import atomic_files, file_hashes, json_files


def old_band(band, **changes):
    """The band of another recipe of the same data: every score lower, its runs elsewhere."""
    metrics = {
        name: replace(metric, scores=tuple(score - 0.02 for score in metric.scores))
        for name, metric in band.metrics.items()
    }
    facts = json.loads(json.dumps(band.provenance))
    facts["recipe"]["train"]["epochs"] = 3
    facts["runs"] = "runs-of-last-year"
    return replace(band, metrics=metrics, provenance=facts, **changes)


def edit_sweep(tiny, **changes):
    record = json_files.read_json(tiny.runs / "sweep.json", "sweep")
    content = {key: value for key, value in record.items() if key not in ("format", "version")}
    json_files.write_json(tiny.runs / "sweep.json", "sweep", {**content, **changes})


@pytest.fixture
def candidate(tiny_heads, tmp_path):
    """A sweep of 3 heads without a band, beside the band of another recipe."""
    tiny = Tiny(Path(shutil.copytree(tiny_heads.folder, tmp_path / "tiny")))
    old_band(load_band(tiny.band)).save(tiny.band)
    edit_sweep(tiny, band=None, band_sha256=None, median_seed=None, band_seeds=[])
    return tiny


def taken(tiny, **changes):
    return accept(tiny.runs, tiny.band, reason="larger learning rate", offline=True, **changes)


def test_the_new_band_says_what_it_replaced_and_why_and_the_old_one_stays_as_it_was(candidate, tiny_heads):
    before = candidate.band.read_bytes()
    done = taken(candidate)
    new, expected = load_band(candidate.band), load_band(tiny_heads.band)
    assert new.metrics == expected.metrics
    assert new.provenance["checkpoints"] == expected.provenance["checkpoints"]
    (entry,) = new.provenance["accepted"]
    assert entry["reason"] == "larger learning rate"
    assert entry["changed"] == ["train.epochs: 3, now 10"]
    assert entry["replaced"]["sha256"].startswith(done.kept.name.split(".")[1])
    assert done.kept.read_bytes() == before
    assert done.kept.parent == candidate.band.parent
    assert load_band(done.kept).metrics["accuracy"].scores[0] == pytest.approx(new.metrics["accuracy"].scores[0] - 0.02)
    assert sweep_file.band_path(candidate.runs).resolve() == candidate.band.resolve()


def test_a_second_acceptance_and_a_later_sweep_keep_the_first(candidate):
    taken(candidate)
    text = candidate.band.read_text()
    first = json.loads(text)["provenance"]["accepted"]
    old_band(load_band(candidate.band)).save(candidate.band)
    edit_sweep(candidate, band=None, band_sha256=None)
    accept(candidate.runs, candidate.band, reason="once more", offline=True)
    entries = load_band(candidate.band).provenance["accepted"]
    assert [entry["reason"] for entry in entries] == ["larger learning rate", "once more"]
    assert entries[0] == first[0]
    sweep(candidate.config, 3, out=candidate.runs, band=candidate.band, offline=True)  # nothing is missing
    assert load_band(candidate.band).provenance["accepted"] == entries
    told = run_cli("show", candidate.band).out
    assert told.count("accepted 2 times, last: once more (") == 1
    assert len(list(candidate.folder.glob("band.*.json"))) == 2


def test_a_sweeps_own_band_needs_no_acceptance(tiny_heads, tmp_path):
    tiny = Tiny(Path(shutil.copytree(tiny_heads.folder, tmp_path / "tiny")))
    before = tiny.band.read_bytes()
    with pytest.raises(UsageError, match="already: there is nothing to accept"):
        taken(tiny)
    assert tiny.band.read_bytes() == before
    assert not list(tiny.folder.glob("band.*.json"))


@pytest.mark.parametrize(
    ("reason", "allow", "told"), [(" \n", (), "--reason is empty"), ("why", ("base",), "--allow base: nothing of that")]
)
def test_what_is_typed_wrong_is_told(candidate, reason, allow, told):
    with pytest.raises(UsageError, match=told):
        accept(candidate.runs, candidate.band, reason=reason, allow=allow)


def more_seeds(tiny):
    band = load_band(tiny.band)
    seeds = (*band.seeds, 3)
    metrics = {
        name: replace(metric, seeds=seeds, scores=(*metric.scores, metric.scores[0]))
        for name, metric in band.metrics.items()
    }
    replace(band, metrics=metrics).save(tiny.band)


def unfinished(tiny):
    edit_sweep(tiny, seeds=[0, 1, 2, 3])


def crashed(tiny):
    edit_sweep(tiny, seeds=[0, 1, 2, 3], crashed={"3": {"message": "out of memory", "log": "logs/3.log"}})


def edit_run(tiny, **changes):
    path = tiny.runs / "seed-1" / "run.json"
    content = {
        key: value for key, value in json_files.read_json(path, "run").items() if key not in ("format", "version")
    }
    json_files.write_json(path, "run", {**content, **changes})


def failed(tiny):
    edit_run(tiny, status="failed", failure="accuracy 0.1 is no better than the trivial predictor's 0.4")


def other_recipe(tiny):
    recipe = json_files.read_json(tiny.runs / "seed-1" / "run.json", "run")["recipe"]
    edit_run(tiny, recipe={**recipe, "train": {**recipe["train"], "learning_rate": 0.5}})


def scored_otherwise(tiny):
    recipe = json_files.read_json(tiny.runs / "seed-1" / "run.json", "run")["recipe"]
    edit_run(tiny, recipe={**recipe, "score": {"batch_size": 7}})


def other_weights(tiny):
    shutil.copy(tiny.runs / "seed-0" / "head.safetensors", tiny.runs / "seed-1" / "head.safetensors")


def other_items(tiny):
    shutil.copy(tiny.runs / "seed-0" / "items.parquet", tiny.runs / "seed-1" / "items.parquet")


def edited_run(tiny):
    path = tiny.runs / "seed-1" / "run.json"
    path.write_text(path.read_text().replace('"score": 0.', '"score": 0.9', 1))


def other_data(tiny):
    (tiny.folder / "train.jsonl").write_text((tiny.folder / "train.jsonl").read_text().replace("apple", "pear", 1))


def bare_scores(tiny):
    replace(load_band(tiny.band), provenance={}).save(tiny.band)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (more_seeds, "has 3 healthy seeds, .* has 4"),
        (unfinished, "no full sweep: seed 3: its run is not finished"),
        (crashed, "no full sweep: seed 3: out of memory"),
        (failed, "no full sweep: seed 1 failed to train"),
        (other_recipe, "holds runs of another recipe: train.learning_rate changed"),
        (scored_otherwise, "seed 1 is not scored as its recipe asks"),
        (other_weights, "seed-1: its weights are not those that its run.json records"),
        (other_items, r"items.parquet is missing or not the one that run.json records"),
        (edited_run, "does not fit its sha256"),
        (other_data, "what it was trained on is no longer there"),
        (bare_scores, "made from scores alone"),
    ],
)
def test_what_is_no_whole_sweep_is_refused_and_the_band_stays(candidate, spoil, told):
    spoil(candidate)
    before = candidate.band.read_bytes()
    with pytest.raises(Refused, match=told):
        taken(candidate)
    assert candidate.band.read_bytes() == before
    assert not list(candidate.folder.glob("band.*.json"))


def test_a_sweep_of_reported_scores_is_refused_with_the_way_by_hand(tmp_path):
    (tmp_path / "reported-sweep.json").touch()
    with pytest.raises(Refused, match="its training command reported its own scores") as error:
        accept(tmp_path, "gate/band.json", reason="why")
    assert f"sweep --out {tmp_path} --band gate/band.new.json" in error.value.hint
    assert error.value.hint.endswith("mv gate/band.json gate/band.old.json && mv gate/band.new.json gate/band.json")


def test_crashed_and_failed_seeds_count_where_a_band_was_made_without_them(candidate, tiny_heads):
    crashed(candidate)
    shutil.copy(tiny_heads.band, candidate.folder / "new.json")
    sha256 = file_hashes.file_sha256(candidate.folder / "new.json")
    edit_sweep(candidate, band="../new.json", band_sha256=sha256, band_seeds=[0, 1, 2, 3])
    taken(candidate)
    assert load_band(candidate.band).provenance["crashed"] == {"3": "out of memory"}


def test_another_measure_is_accepted_only_where_that_is_said(candidate):
    band = load_band(candidate.band)
    facts = json.loads(json.dumps(band.provenance))
    facts["signature"]["eval_data"]["sha256"] = "0" * 64
    facts["signature"]["scoring"]["max_length"] = 16
    facts["signature"]["method"] = "lora"
    replace(band, provenance=facts).save(candidate.band)
    with pytest.raises(
        Refused, match=r"do not measure the same: eval data: band has 000000000000….*max_length = 16"
    ) as info:
        taken(candidate)
    assert info.value.hint.endswith("--allow eval_data --allow scoring")
    with pytest.raises(Refused, match="scoring settings"):
        taken(candidate, allow=["eval_data"])
    done = taken(candidate, allow=["eval_data", "scoring"])
    assert [line.partition(":")[0] for line in done.changed] == [
        "eval data",
        "scoring settings",
        "method",
        "train.epochs",
    ]
    assert "method: band has lora, the new one has head" in done.changed
    assert tuple(load_band(candidate.band).provenance["accepted"][0]["changed"]) == done.changed


@pytest.mark.parametrize("step", [0, 1, 2])
def test_killed_at_any_moment_a_whole_band_is_there_and_the_same_command_ends_it(candidate, monkeypatch, step):
    before, replacing, begun = candidate.band.read_bytes(), atomic_files.replacing, []

    def killed(path):
        if path.suffix == ".json" and ".lock" not in path.name:
            begun.append(path.name)
            if len(begun) == step + 1:
                raise KeyboardInterrupt
        return replacing(path)

    monkeypatch.setattr(atomic_files, "replacing", killed)
    with pytest.raises(KeyboardInterrupt):
        taken(candidate)
    monkeypatch.undo()
    assert begun[1:] == ["band.json", "sweep.json"][:step]
    replaced = candidate.band.read_bytes() != before
    assert replaced == (step == 2)
    assert "accepted" in load_band(candidate.band).provenance or not replaced
    with pytest.raises(UsageError):  # no sweep takes the half-accepted band for its own
        sweep(candidate.config, 3, out=candidate.runs, band=candidate.band, offline=True)
    if replaced:
        with pytest.raises(UsageError, match="already"):
            taken(candidate)
    else:
        taken(candidate)
    assert len(load_band(candidate.band).provenance["accepted"]) == 1
    assert sweep_file.band_path(candidate.runs).resolve() == candidate.band.resolve()


def test_a_band_that_is_replaced_meanwhile_stays(candidate, monkeypatch):
    other = replace(load_band(candidate.band), alpha=0.1)

    def meanwhile(*_):
        other.save(candidate.band)
        return iter(())

    monkeypatch.setattr("seedband.commands.accept._changes", meanwhile)
    with pytest.raises(Refused, match="was replaced while its sweep was looked at"):
        taken(candidate)
    assert load_band(candidate.band).alpha == 0.1


def test_where_the_old_band_cannot_be_kept_nothing_is_replaced(candidate):
    before = candidate.band.read_bytes()
    (candidate.folder / f"band.{hashlib.sha256(before).hexdigest()[:12]}.json").mkdir()
    with pytest.raises(WorkFailed, match="cannot write"):
        taken(candidate)
    assert candidate.band.read_bytes() == before
    assert sweep_file.read_sweep(candidate.runs).band is None


@pytest.mark.parametrize("entries", ["once", [{"reason": "no date"}], [{"when": 1, "reason": "x", "changed": []}]])
def test_a_band_whose_history_has_another_form_is_refused(candidate, entries):
    band = load_band(candidate.band)
    replace(band, provenance={**band.provenance, "accepted": entries}).save(candidate.band)
    with pytest.raises(Refused, match=r"provenance.accepted: .*expected a list of what was accepted"):
        load_band(candidate.band)


def test_the_command_tells_what_moved(candidate):
    done = run_cli("accept", "runs", "--reason", "larger learning rate", "--offline", cwd=candidate.folder)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "changed: train.epochs: 3, now 10"
    assert lines[1].startswith("band accuracy: [")
    assert ", now [" in lines[1]
    assert lines[-1].startswith("accepted: band.json, 3 seeds; the band before it: band.")


@pytest.mark.slow
def test_a_changed_recipe_is_swept_accepted_and_gates_from_then_on(swept):
    swept.config.write_text(recipe_text(train_learning_rate="8e-3"))
    done = run_cli("sweep", "--no-band", "--out", "new", "--seeds", "4", "--jobs", "2", "-q", cwd=swept.folder)
    assert done.code == 0, done.err
    assert run_cli("sweep", "--out", "new", "--seeds", "4", "-q", cwd=swept.folder).code == 2
    done = run_cli("accept", "new", "--reason", "a lower learning rate", "--json", cwd=swept.folder)
    assert done.code == 0, done.err
    assert json.loads(done.out)["changed"] == ["train.learning_rate: 0.01, now 0.008"]
    assert run_cli("check", "new/seed-1", cwd=swept.folder).out.splitlines()[-1].startswith("PASS")
    done = run_cli("sweep", "--out", "new", "--seeds", "5", cwd=swept.folder)
    assert done.code == 0, done.err
    assert "accepted once, last: a lower learning rate" in done.out
    assert run_cli("show", "runs", cwd=swept.folder).code == 3
