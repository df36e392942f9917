"""Shapes of JSON: scalars, columns, records, by seed, nested; seeds from fields, keys and paths."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband import Refused, UsageError
from seedband.commands.scores.from_file import band_from_scores, check_target
from seedband.scorefiles import read_scores, said

TABLE = {42: {"accuracy": 0.871, "loss": 0.3}, 7: {"accuracy": 0.884, "loss": 0.2}}
RECORDS = [{"seed": seed, **scores} for seed, scores in TABLE.items()]
COLUMNS = {"seed": [*TABLE], **{name: [scores[name] for scores in TABLE.values()] for name in ("accuracy", "loss")}}


@pytest.fixture
def write(tmp_path):
    def to(value, name="scores.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return to


@pytest.mark.parametrize(
    "value",
    [
        RECORDS,
        COLUMNS,
        {**COLUMNS, "note": "by hand"},
        {"seeds" if key == "seed" else key: row for key, row in COLUMNS.items()},
        {str(seed): scores for seed, scores in TABLE.items()},
        {f"seed_{seed}": {**scores, "epoch": 3} for seed, scores in TABLE.items()} | {"mean": {"accuracy": 0.88}},
        {"model": "small", "results": {f"seed_{seed}": scores for seed, scores in TABLE.items()}},
        {"model": {"name": "small"}, "out": {"runs": RECORDS}},
        [{**record, "seed": str(record["seed"]), "path": f"ck/{record['seed']}"} for record in RECORDS],
        {name: {str(seed): scores[name] for seed, scores in TABLE.items()} for name in ("accuracy", "loss")},
        {name: {str(row): entry for row, entry in enumerate(column)} for name, column in COLUMNS.items()},
        {"columns": [*RECORDS[0]], "index": [0, 1], "data": [[*record.values()] for record in RECORDS]},
    ],
)
def test_one_table_in_many_shapes(write, value):
    file = read_scores(write(value))
    assert file.seeds == (42, 7)
    assert file.scores == {"accuracy": (0.871, 0.884), "loss": (0.3, 0.2)}


def test_lines_are_records(write):
    lines = "\n".join(map(json.dumps, RECORDS))
    assert read_scores(write(lines, "scores.jsonl")).seeds == (42, 7)


def test_a_line_that_is_no_object_is_named(write):
    lines = "\n".join(map(json.dumps, RECORDS)) + '\n{"seed": 3, "accuracy": .9'
    with pytest.raises(UsageError) as caught:
        read_scores(write(lines, "scores.jsonl"))
    assert [str(problem) for problem in caught.value.problems] == [
        "line 3: found no JSON object, expected an object on every line"
    ]


@given(
    st.dictionaries(st.integers(0, 2**32).map(str), st.floats(-1e9, 1e9), min_size=2),
    st.sampled_from(["records", "by seed"]),
)
def test_scores_by_seed_read_back(tmp_path_factory, scores, shape):
    path = tmp_path_factory.getbasetemp() / "written.json"
    by_seed = {seed: {"acc": score} for seed, score in scores.items()}
    records = [{"seed": seed, "acc": score} for seed, score in scores.items()]
    path.write_text(json.dumps(records if shape == "records" else by_seed))
    file = read_scores(path)
    assert dict(zip(map(str, file.seeds), file.scores["acc"], strict=True)) == scores


def test_scalars_are_one_run_and_the_path_says_its_seed(write, tmp_path):
    for place in ("runs/seed_{}/metrics.json", "s/s{}/metrics.json", "r/run-{}/out/metrics.json", "flat/seed{}_x.json"):
        paths = [write({"accuracy": seed / 8, "step": 9}, place.format(seed)) for seed in (3, 5)]
        assert read_scores(paths).seeds == (3, 5), place
        assert read_scores(tmp_path / place.split("/")[0]).scores == {"accuracy": (0.375, 0.625)}
    fields = [write({"seed": seed, "metrics": {"accuracy": 0.9}}, f"{seed}.json") for seed in (11, 12)]
    assert read_scores(fields).seeds == (11, 12)


def test_paths_that_say_several_seeds_or_none_are_refused(write):
    twice = write({"accuracy": 0.8}, "seed_1/seed_2.json")
    with pytest.raises(UsageError) as caught:
        read_scores(twice)
    assert caught.value.problems[0].found == "seed_1 and seed_2 in its path"
    with pytest.raises(UsageError):
        read_scores(write({"accuracy": 0.8}, "out.json"))
    with pytest.raises(UsageError) as caught:
        read_scores(write({"accuracy": 0.8, "seed": 4}, "seed_5/out.json"))
    assert caught.value.problems[0].found == "seed 4 in the file, seed_5 in its path"
    common = [write({"accuracy": 0.8}, f"seed_9_study/run-{seed}.json") for seed in (1, 2)]
    assert read_scores(common).seeds == (1, 2)
    same = [write({"accuracy": 0.8}, f"{part}/seed_1.json") for part in "ab"]
    with pytest.raises(Refused, match="refused for 1 reason"):
        read_scores(same)


def test_a_folder_of_several_kinds_is_asked_about(write, tmp_path):
    for seed in (1, 2):
        write({"accuracy": 0.8}, f"many/seed_{seed}/mine.json")
        write({"lr": 0.8}, f"many/seed_{seed}/config.json")
    with pytest.raises(UsageError, match=r"several kinds of files in it: config\.json, mine\.json"):
        read_scores(tmp_path / "many")
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no such file of scores"):
        read_scores(tmp_path / "none")


def test_keys_above_the_seeds_are_groups(write):
    path = write({size: {str(seed): scores for seed, scores in TABLE.items()} for size in ("small", "large")})
    with pytest.raises(UsageError) as caught:
        read_scores(path)
    assert caught.value.problems[0].expected == "one group: --where key=small"
    wanted = said(None, None, ["key=large"], percent=False)
    assert read_scores(path, wanted=wanted).seeds == (42, 7)


def test_numbers_by_seed_need_a_name(write):
    path = write({"0": 0.8, "1": 0.9})
    with pytest.raises(UsageError):
        band_from_scores(path)
    band, _ = band_from_scores(path, wanted=said(["accuracy"], None, None, percent=False))
    assert band.metrics["accuracy"].scores == (0.8, 0.9)


def test_a_band_is_replaced_where_seeds_came_to_its_files(write, tmp_path):
    paths = [write({"accuracy": 0.8 + seed / 100}, f"seed_{seed}/m.json") for seed in range(4)]
    band_path = tmp_path / "gate" / "band.json"
    band_from_scores(paths[:3], band_path=band_path)[0].save(band_path)
    check_target(band_path, paths)
    with pytest.raises(UsageError, match="not a band of"):
        check_target(band_path, paths[1:])
