"""What is gathered for a page: from runs where they are the band's own, else from what the band keeps."""

import json
import shutil

import pytest

from seedband import load_band
from seedband.bands.verdict import Candidate, Verdict
from seedband.commands.sweep import sweep_record
from seedband.reports import html
from seedband.reports.page_data import of_band, overview
from seedband.runs import run_file
from seedband.runs.cohorts import split
from seedband.runs.slices import judge
from seedband.storage import json_files


def test_everything_is_at_hand_beside_its_runs(tiny_swept):
    for path in (tiny_swept.band, tiny_swept.runs):
        found = overview(path)
        assert set(found.lacking) == set()
        assert found.path.endswith("band.json")
        assert [curve.name for curve in found.curves] == [f"seed {seed}" for seed in range(4)]
        assert [part.metric for part in found.splits] == ["accuracy", "log_loss"]
        assert sum(found.initializers.values()) > 0


def test_losses_are_those_of_the_trace(tiny_swept):
    curve = overview(tiny_swept.runs).curves[2]
    lines = (tiny_swept.runs / "seed-2" / "trace.jsonl").read_text().splitlines()
    assert curve.losses == tuple(json.loads(line)["loss"] for line in lines)
    assert curve.steps == tuple(range(len(lines)))


def test_slices_are_those_of_the_cohort_split(tiny_swept):
    found = overview(tiny_swept.runs).tables[0]
    part = split(tiny_swept.runs, "channel")[0]
    assert (found.metric, found.column, found.fails) == ("accuracy", "channel", True)
    assert found.overall.rates == part.cohorts[0].rates
    assert [(row.value, row.rates, row.p_seeds) for row in found.rows] == [
        (cohort.name, cohort.rates, cohort.p_adjusted) for cohort in part.cohorts[1:]
    ]


def test_candidates_stand_beside_the_slices_as_rates_of_failure(tiny_swept):
    band = load_band(tiny_swept.band)
    candidate = Candidate("x", {}, None, slices={"channel": {"chat": {"accuracy": 0.25}, "email": {"accuracy": 0.5}}})
    verdict = Verdict("pass", {}, "accuracy", "", 0.0, (candidate,), judge(band, [candidate]))
    table = of_band(band, verdict).tables[0]
    assert [row.candidates for row in table.rows] == [(0.75,), (0.5,)]
    assert all(row.p_candidates is not None for row in table.rows)
    assert table.overall.candidates == ()


def test_a_band_without_its_runs_has_its_slices_and_says_what_it_lacks(swept):
    shutil.rmtree(swept.runs)
    found = overview(swept.band)
    kept = load_band(swept.band).provenance["slices"]
    assert found.curves == found.splits == ()
    assert "not at hand" in found.lacking["runs"]
    table = next(table for table in found.tables if table.metric == "accuracy")
    assert not table.fails
    assert [row.rates for row in table.rows] == [tuple(entry["metrics"]["accuracy"]["scores"]) for entry in kept]
    assert all(row.edges[0] <= min(row.rates) and row.p_seeds is None for row in table.rows)


def test_runs_that_were_trained_anew_are_not_the_bands(swept):
    path = swept.runs / "seed-1" / "run.json"
    record = json_files.read_json(path, "run")
    kept = {key: value for key, value in record.items() if key not in ("format", "version")}
    json_files.write_json(path, "run", {**kept, "checkpoint_sha256": "0" * 64})
    found = overview(swept.band)
    assert found.curves == ()
    assert "seed-1 is not the run that this band was made of" in found.lacking["runs"]


def proof(run, **changes):
    noise = [{"metric": "accuracy", "same_seed": 0.0125, "scoring": 0.0, "seeds": 0.05}]
    return {"status": "different", "final": run.witnesses["final"], "noise": noise, **changes}


def test_same_seed_noise_is_what_reproduce_put_on_record(swept):
    run = run_file.read_seed(swept.runs, 0)
    assert overview(swept.band).same_seed == ()
    sweep_record.stamp(swept.runs, 0, proof(run))
    (found,) = overview(swept.band).same_seed
    assert (found.metric, found.seed, found.status, found.distance) == ("accuracy", 0, "different", 0.0125)
    page = html.render_overview(overview(swept.band))
    assert "same seed again: 0.0125" in page
    assert "Seed 0 was trained again: it came out otherwise" in page
    assert "not measured" not in page


def test_a_sweep_that_was_never_reproduced_says_what_to_run(tiny_swept):
    assert f"not measured: run seedband reproduce {tiny_swept.runs}" in html.render_overview(overview(tiny_swept.runs))


@pytest.mark.parametrize(
    ("changes", "lacks"), [({"final": "of another run"}, False), ({"noise": [{"metric": 3}]}, True)]
)
def test_a_proof_of_other_weights_or_of_another_form_counts_for_nothing(swept, changes, lacks):
    sweep_record.stamp(swept.runs, 0, proof(run_file.read_seed(swept.runs, 0), **changes))
    found = overview(swept.band)
    assert found.same_seed == ()
    assert ("same_seed" in found.lacking) == lacks


def test_a_damaged_trace_or_items_cost_their_part_of_the_page_alone(swept):
    (swept.runs / "seed-3" / "trace.jsonl").write_text('{"loss": 1}\n{"lo')
    (swept.runs / "seed-3" / "items.parquet").write_bytes(b"no")
    found = overview(swept.band)
    assert "trace.jsonl: line 2" in found.lacking["curves"]
    assert "items.parquet" in found.lacking["noise"]
    assert "items.parquet" in found.lacking["slices"]
    assert found.band.seeds == (0, 1, 2, 3)


def test_losses_that_are_not_finite_are_left_out(swept):
    path = swept.runs / "seed-3" / "trace.jsonl"
    path.write_text('{"step": 0, "loss": 1.5}\n{"step": 1, "loss": "nan"}\n{"step": 2, "loss": 2}\n')
    assert overview(swept.band).curves[3].losses == (1.5, 2.0)
    assert overview(swept.band).curves[3].steps == (0, 2)


def test_a_candidates_losses_are_drawn_where_its_run_is_the_one_that_was_scored(tiny_swept):
    band = load_band(tiny_swept.band)
    run = run_file.read_seed(tiny_swept.runs, 1)
    for sha256, names in ((run.record["checkpoint_sha256"], ["candidate 1"]), ("0" * 64, [])):
        candidate = Candidate(str(run.folder), {}, sha256)
        found = of_band(band, Verdict("pass", {}, "accuracy", "", 0.0, (candidate,)))
        assert [curve.name for curve in found.curves if curve.is_candidate] == names
