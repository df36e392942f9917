"""`seedband diff-data` through the real command line, and what a refusal of eval data names."""

import json
import shutil

import pandas as pd
import pytest
from tiny import ROOT, run_cli

from seedband import load_band
from seedband.cli.console import print_row_changes
from seedband.commands.diff_data import diff_data
from seedband.runs import eval_rows
from seedband.storage import json_files


def rows_of(tiny):
    return [json.loads(line) for line in (tiny.folder / "eval.jsonl").read_text().splitlines()]


@pytest.fixture
def changed(swept):
    """The swept recipe whose eval data lost a row, got one, and had others changed and moved."""
    rows = rows_of(swept)
    rows[3]["text"] += " more"
    rows[5]["label"] = "river" if rows[5]["label"] != "river" else "metal"
    rows[7]["channel"] = "fax"
    del rows[9]
    rows = [
        *rows[1:40],
        rows[0],
        *rows[40:],
        {"id": "new", "text": "the old oder", "label": "river", "channel": "chat"},
    ]
    (swept.folder / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return swept


def test_the_page_shows_what_is_printed(tmp_path, capsys):
    support = ROOT / "fixtures" / "support" / "eval.jsonl"
    rows = [json.loads(line) for line in support.read_text().splitlines()]
    rows[40]["label"] = rows[41]["label"]
    rows[99]["text"] += " Please help."
    added = {"id": "e-505", "text": "the parcel went to the wrong house", "label": rows[40]["label"], "channel": "chat"}
    rows = [*rows[1:200], *rows[201:], rows[0], added]
    (tmp_path / "eval-v2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_row_changes(diff_data(support, tmp_path / "eval-v2.jsonl", config=ROOT / "seedband.toml"))
    page = (ROOT / "docs" / "how-to" / "data.md").read_text(encoding="utf-8")
    assert f"eval-v2.jsonl\n{capsys.readouterr().out}```" in page


EXPECTED = {"removed": ["eval-9"], "added": ["new"], "changed": ["eval-3", "eval-5"], "moved": ["eval-0"]}


def test_rows_are_compared_by_id_whatever_stands_for_the_old_data(changed):
    for old in ("eval.jsonl", "band.json", "runs", "runs/seed-2"):
        done = run_cli("diff-data", old, "new.jsonl", "--json", cwd=changed.folder)
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert {kind: found[kind] for kind in EXPECTED} == EXPECTED
        assert (found["same"], found["n_old"], found["n_new"]) == (False, 150, 150)


def test_the_same_rows_are_the_same_in_whatever_format(changed):
    pd.DataFrame(rows_of(changed)).to_parquet(changed.folder / "eval.parquet", index=False)
    done = run_cli("diff-data", "band.json", "eval.parquet", cwd=changed.folder)
    assert done.code == 0, done.err
    assert done.out == "the same rows in the same order; 150 rows before, 150 now\n"


def test_a_line_a_row_says_what_became_of_it(changed):
    done = run_cli("diff-data", "eval.jsonl", "new.jsonl", cwd=changed.folder)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "- eval-9  removed",
        "+ new  added",
        "~ eval-3  changed",
        "~ eval-5  changed",
        "> eval-0  moved",
        "1 removed, 1 added, 2 changed, 1 moved; 150 rows before, 150 now",
    ]


def test_a_band_that_lies_alone_still_tells_rows_apart(changed, tmp_path):
    shutil.copyfile(changed.band, tmp_path / "band.json")
    done = run_cli("diff-data", "band.json", changed.folder / "new.jsonl", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert {kind: json.loads(done.out)[kind] for kind in EXPECTED} == {**EXPECTED, "removed": ["row-10"]}
    assert changed.band.stat().st_size < 20_000


def test_the_refusal_of_other_eval_data_names_the_rows(changed):
    done = run_cli("check", "runs/seed-0", "--data", "new.jsonl", cwd=changed.folder)
    assert done.code == 3, done.err
    told = "2 changed (eval-3, eval-5), 1 added (new), 1 removed (eval-9), 1 moved (eval-0)"
    assert told in done.err
    assert "`seedband diff-data BAND new.jsonl` names every row" in done.err


def test_the_refusal_of_data_that_cannot_be_read_says_so(swept):
    (swept.folder / "new.jsonl").write_text((swept.folder / "eval.jsonl").read_text() + '{"id": "new"}\n')
    done = run_cli("check", "runs/seed-0", "--data", "new.jsonl", cwd=swept.folder)
    assert done.code == 3, done.err
    assert "cannot be read: new.jsonl, row 151" in done.err


def test_a_change_of_slices_alone_is_told_as_one(swept):
    text = (swept.folder / "eval.jsonl").read_text().replace('"chat"', '"fax"')
    (swept.folder / "new.jsonl").write_text(text)
    done = run_cli("check", "runs/seed-0", "--data", "new.jsonl", cwd=swept.folder)
    assert done.code == 3, done.err
    assert "no row that scores depend on" in done.err


def test_bands_and_runs_of_the_first_releases_stay_readable(swept):
    content = json_files.read_json(swept.band, "band")
    del content["provenance"]["data"]["eval"]["rows"]
    json_files.write_json(swept.band, "band", content)
    for seed in range(4):
        path = swept.runs / f"seed-{seed}" / "items.parquet"
        pd.read_parquet(path).drop(columns="row_sha256").to_parquet(path, index=False)
    assert eval_rows.of_band(load_band(swept.band)) is None
    done = run_cli("diff-data", "band.json", "eval.jsonl", cwd=swept.folder)
    assert done.code == 3, done.err
    assert "has no fingerprints of rows" in done.err


def test_what_is_not_there_or_needs_a_recipe_is_a_usage_error(swept, tmp_path):
    for arguments in (("eval.jsonl", "nowhere.jsonl"), ("nowhere.json", "eval.jsonl")):
        done = run_cli("diff-data", *arguments, cwd=swept.folder)
        assert done.code == 2, done.err
        assert "no such file" in done.err
    path = swept.folder / "eval.jsonl"
    assert run_cli("diff-data", path, path, cwd=tmp_path).code == 2
    assert run_cli("diff-data", path, path, "--config", swept.config, cwd=tmp_path).code == 0


def test_duplicates_and_contradictions_are_told_before_training_and_counted(tiny):
    rows = rows_of(tiny)
    other = next(row for row in rows if row["label"] != rows[0]["label"])
    again = {**rows[0], "id": "again", "text": rows[0]["text"].upper() + " "}
    against = {**rows[0], "id": "against", "label": other["label"]}
    with (tiny.folder / "eval.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in (again, against))
    with (tiny.folder / "train.jsonl").open("a") as file:
        file.write(json.dumps({**rows[1], "id": "leak"}) + "\n")
    done = run_cli("sweep", "--seeds", "2", "--dry-run", "--json", cwd=tiny.folder)
    assert done.code == 0, done.err
    told = " ".join(json.loads(done.out)["warnings"])
    assert "1 of 152 eval items also stands in train (eval-1): its score is too good" in told
    assert "eval-1" in told
    assert "eval: 1 row says what an earlier one says (again): it counts twice" in told
    assert "eval: 1 pair of rows has one input and two answers (eval-0 and against)" in told
