"""Score files of other trainers: what is read, and everything that is refused, with its rows."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import run_cli

from seedband import Refused, UsageError, fit_band, load_band
from seedband.bands.admission import MAX_SCORE
from seedband.commands.scores.from_file import band_from_scores, check_scores, check_target
from seedband.scorefiles import read_scores
from seedband.storage import file_hashes, json_files

WORKED = [0.871, 0.884, 0.879, 0.892]
LONG = "metric,seed,score\naccuracy,0,.871\naccuracy,1,.884\naccuracy,2,.879\naccuracy,3,.892\n"
WIDE = "seed,accuracy\n0,.871\n1,.884\n2,.879\n3,.892\n"
JSON = '{"accuracy": [0.871, 0.884, 0.879, 0.892]}'
ITEMS = """metric,seed,score,item
accuracy,0,1,a
accuracy,0,0,b
accuracy,0,1,c
accuracy,1,1,c
accuracy,1,1,a
accuracy,1,1,b
bleu,0,31.5,
bleu,1,32.5,
"""
scores = st.floats(-MAX_SCORE, MAX_SCORE)
tables = st.integers(1, 5).flatmap(
    lambda n: st.dictionaries(
        st.sampled_from(["accuracy", "my metric", "größe", 'a "b", c']),
        st.lists(scores, min_size=n, max_size=n),
        min_size=1,
    )
)


@pytest.fixture
def write(tmp_path):
    def to(content, name="scores.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


@pytest.fixture
def complaints(write):
    """What is wrong with a file, as (where, found) pairs."""

    def of(kind, content, name="scores.csv", **options):
        with pytest.raises(kind) as caught:
            read_scores(write(content, name), **options)
        return [(problem.where, problem.found) for problem in caught.value.problems]

    return of


def csv_text(rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def as_files(table):
    """The same scores in every format: (file name, text)."""
    n = len(next(iter(table.values())))
    long = [[name, seed, repr(score)] for name, row in table.items() for seed, score in enumerate(row)]
    wide = [[seed, *(repr(row[seed]) for row in table.values())] for seed in range(n)]
    return {
        "long.csv": csv_text([["metric", "seed", "score"], *long]),
        "wide.csv": csv_text([["seed", *table], *wide]),
        "scores.json": json.dumps(table),
    }


def read_or_refused(path):
    """What a file holds, or None where it is refused by name; any other exception is a bug."""
    try:
        return read_scores(path)
    except (UsageError, Refused):
        return None


@pytest.mark.parametrize(("name", "text"), [("long.csv", LONG), ("wide.csv", WIDE), ("scores.json", JSON)])
def test_reads_the_worked_example(write, name, text):
    path = write(text, name)
    file = read_scores(path)
    assert (file.path, file.seeds, file.scores) == (path, (0, 1, 2, 3), {"accuracy": tuple(WORKED)})
    assert (file.items, file.item_ids, file.items_sha256, file.failed_seeds) == ({}, (), None, ())
    assert file.sha256 == file_hashes.file_sha256(path)


@given(tables)
def test_finite_scores_are_read_back_equal_from_every_format(tmp_path_factory, table):
    for name, text in as_files(table).items():
        path = tmp_path_factory.getbasetemp() / name
        path.write_text(text, encoding="utf-8", newline="")
        assert read_scores(path).scores == {metric: tuple(row) for metric, row in table.items()}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(["f.csv", "f.json", "f.txt"]))
@example(b"\x00", "f.csv")
@example(b"\xff\xfe1\x00", "f.csv")
@example(b'seed,"m\n0,1', "f.csv")
@example(b"seed,m\n0," + b"1" * 200_000, "f.csv")
@example(b"seed,m\n" + b"9" * 5000 + b",1", "f.csv")
@example(b"[" * 100_000, "f.json")
@example(b'{"m": [' + b"1" * 5000 + b"]}", "f.json")
@example(b'{"\\ud800": [1, 2]}', "f.json")
@example(b'{"m": [1, 2]}', "f.txt")
def test_any_bytes_are_read_or_refused_by_name(tmp_path_factory, content, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    file = read_or_refused(path)
    assert file is None or file.seeds


@given(
    st.lists(st.sampled_from(["metric", "seed", "score", "item", "accuracy", ""]), max_size=5),
    st.lists(st.lists(st.sampled_from(["0", "1", "", ".5", "nan", "-1", "a", '"', "1e999"]), max_size=5), max_size=6),
)
@settings(max_examples=300)
def test_any_table_is_read_or_refused_by_name(tmp_path_factory, columns, rows):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    path.write_text("\n".join(",".join(row) for row in [columns, *rows]))
    file = read_or_refused(path)
    assert file is None or {len(row) for row in file.scores.values()} == {len(file.seeds)}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_json_is_read_or_refused_by_name(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    path.write_text(json.dumps(value))
    file = read_or_refused(path)
    assert file is None or {len(row) for row in file.scores.values()} == {len(file.seeds)}


def test_item_rows_are_averaged_unless_the_seed_has_a_score_of_its_own(write):
    file = read_scores(write(ITEMS))
    assert file.scores == {"accuracy": (2 / 3, 1.0), "bleu": (31.5, 32.5)}
    assert file.items == {"accuracy": ((1, 0, 1), (1, 1, 1))}
    assert file.item_ids == ("a", "b", "c")


def test_own_score_goes_before_the_mean_of_items(write):
    rows = "metric,seed,score,item\nf1,0,.5,\nf1,0,1,a\nf1,1,.25,\nf1,1,0,a\n"
    file = read_scores(write(rows))
    assert file.scores == {"f1": (0.5, 0.25)}
    assert file.items == {"f1": ((1,), (0,))}


def test_items_are_one_set_whatever_their_order(write):
    head, *rows = ITEMS.splitlines()
    other = read_scores(write("\n".join([head, *rows[::-1]])))
    assert other.items_sha256 == read_scores(write(ITEMS)).items_sha256
    assert other.items_sha256 != read_scores(write(ITEMS.replace(",c\n", ",d\n"))).items_sha256


def test_seeds_stand_in_the_order_of_the_file(write):
    rows = "metric,seed,score\na,7,1\nb,0,2\na,3,3\nb,3,4\na,0,5\nb,7,6\n"
    file = read_scores(write(rows))
    assert file.seeds == (7, 0, 3)
    assert file.scores == {"a": (1, 5, 3), "b": (6, 2, 4)}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + WIDE,
        WIDE.replace("\n", "\r\n"),
        WIDE.replace("\n", "\r"),
        WIDE + "\n\r\n  \n,\n",
        WIDE.rstrip("\n"),
        WIDE.replace(",", " , "),
        WIDE.replace("accuracy", '"accuracy"').replace(".871", '".871"'),
        WIDE.replace(".871", "8.71E-1"),
    ],
)
def test_what_spreadsheets_and_editors_add_changes_nothing(write, text):
    assert read_scores(write(text)).scores == {"accuracy": tuple(WORKED)}


def test_extension_may_be_in_capitals(write):
    assert read_scores(write(JSON, "SCORES.JSON")).seeds == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("metric,seed\nm,0\n", "no column 'score'"),
        ("score,item\n1,a\n", "no column 'metric', 'seed'"),
        ("accuracy,f1\n1,2\n", "no column 'seed'"),
        ("metric,seed,score,note\nm,0,1,x\n", "unknown column 'note'"),
        ("seed,accuracy,accuracy\n0,1,1\n", "column 'accuracy' twice"),
        ("seed\n0\n", "no metric"),
        (",,\n", "no column 'seed'"),
    ],
)
def test_wrong_columns_are_a_mistake_of_the_header(complaints, text, found):
    assert complaints(UsageError, text) == [("row 1", found)]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("3", "1 fields"),
        ("3,.892,", "3 fields"),
        ("3,abc", "'abc' for accuracy"),
        ("3,", "nothing for accuracy"),
        ('3,"0,892"', "'0,892' for accuracy"),
        ("3,89%", "'89%' for accuracy"),
        ("3,1_0", "'1_0' for accuracy"),
        ("3,٣", "'٣' for accuracy"),
        ("-3,.892", "seed '-3'"),
        (",.892", "seed ''"),
        ("²,.892", "seed '²'"),
        (f"{2**63},.892", f"seed '{2**63}'"),
        ('"3,.892', "unexpected end of data"),
        ('3,".892"x', "',' expected after '\"'"),
    ],
)
def test_malformed_row_is_named(complaints, row, found):
    assert complaints(UsageError, f"{WIDE}\n{row}") == [("row 7", found)]


def test_metric_without_a_name_is_named(complaints):
    assert complaints(UsageError, LONG + ",4,.9\n") == [("row 6", "metric ''")]
    assert complaints(UsageError, LONG + '"a\nb",4,.9\n') == [("row 6", r"metric 'a\nb'")]


def test_rows_are_counted_as_an_editor_does(complaints):
    text = 'seed,"two\nlines"\n0,1\n\n"1\n",2\nx,3\n'
    assert complaints(UsageError, text)[0] == ("row 1", r"unknown column 'two\nlines'")
    text = 'metric,seed,score,item\nm,0,1,"two\nlines"\n\nm,x,1,a\n'
    assert complaints(UsageError, text) == [("row 5", "seed 'x'")]


def test_every_mistake_is_told_at_once(complaints):
    assert complaints(UsageError, "metric,seed,score\n,-1,abc\nm,0\nm,1,nan\n") == [
        ("row 2", "seed '-1'"),
        ("row 2", "metric ''"),
        ("row 2", "'abc' for a score"),
        ("row 3", "2 fields"),
    ]


@pytest.mark.parametrize(("kind", "score", "word"), [(UsageError, "x", "mistakes"), (Refused, "nan", "reasons")])
def test_twenty_mistakes_are_shown_and_the_rest_is_counted(write, kind, score, word):
    rows = "".join(f"{seed},{score}\n" for seed in range(27))
    with pytest.raises(kind, match=f"27 {word}, these 20 and 7 more") as caught:
        read_scores(write(f"seed,accuracy\n{rows}"))
    assert [problem.where for problem in caught.value.problems] == [f"row {row}" for row in range(2, 22)]


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("{", "the file", "no JSON"),
        ('{"accuracy": [0.8],}', "the file", "no JSON"),
        ("[0.8, 0.9]", "the file", "a list"),
        ("0.8", "the file", "a number"),
        ("true", "the file", "true or false"),
        ('{"accuracy": 0.8}', "the file", "no column 'seed'"),
        ('{"accuracy": null}', "key 'accuracy'", "null"),
        ('{"accuracy": [0.8, true]}', "key 'accuracy', seed 1", "true or false for accuracy"),
        ('{"accuracy": [0.8, "0.9"]}', "key 'accuracy', seed 1", "'0.9' for accuracy"),
        ('{"accuracy": [0.8, [0.9]]}', "key 'accuracy', seed 1", "a list for accuracy"),
        ('{"accuracy": [0.8, null]}', "key 'accuracy', seed 1", "null for accuracy"),
        ('{" ": [0.8]}', "key ''", "no metric"),
        (r'{"\u001b[31m": [0.8]}', r"key '\x1b[31m'", "no metric"),
    ],
)
def test_json_of_another_shape_is_malformed(complaints, text, where, found):
    assert complaints(UsageError, text, "scores.json") == [(where, found)]


def test_json_key_twice_is_malformed(complaints):
    text = '{"m": [0.8], "m": []}'
    assert complaints(UsageError, text, "scores.json") == [("key 'm'", "it twice")] * 2


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (WIDE, "scores.txt", "unknown extension '.txt'"),
        (WIDE, "scores", "unknown extension ''"),
        (b"\xff\xfe1", "scores.csv", "not UTF-16 at byte 2"),
        ("größe,seed\n".encode("latin-1"), "scores.csv", "not UTF-8 at byte 2"),
    ],
)
def test_file_of_another_kind_is_a_mistake(write, content, name, told):
    with pytest.raises(UsageError, match=told):
        read_scores(write(content, name))


def test_file_that_cannot_be_read_is_a_mistake(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_scores(tmp_path / "scores.csv")
    with pytest.raises(UsageError, match="no such file"):
        read_scores(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_scores(tmp_path / f"{'a' * 999}.csv")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "scores.csv"),
        ("\ufeff \n", "scores.csv"),
        ("", "scores.json"),
        ("seed,accuracy\n", "scores.csv"),
        ("metric,seed,score\n\n,,\n", "scores.csv"),
        ("{}", "scores.json"),
        ('{"accuracy": []}', "scores.json"),
    ],
)
def test_file_without_scores_is_refused(write, content, name):
    with pytest.raises(Refused, match=r"is empty|holds no score"):
        read_scores(write(content, name))


def test_file_that_is_too_large_is_refused_unread(write, monkeypatch):
    monkeypatch.setattr(json_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(Refused, match="more than the 10 that are read"):
        read_scores(write(WIDE))


@pytest.mark.parametrize("score", ["nan", "NaN", "inf", "-Infinity", "1e999", "-1e999", "1e101"])
def test_score_that_is_not_finite_is_refused_by_its_row(complaints, score):
    found = f"accuracy of seed 4 is {float(score)}"
    assert complaints(Refused, f"{WIDE}4,{score}\n") == [("row 6", found)]
    assert complaints(Refused, f"{LONG}accuracy,4,{score}\n") == [("row 6", found)]


@pytest.mark.parametrize("score", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_json_score_that_is_not_finite_is_refused_by_its_key(complaints, score):
    [(where, found)] = complaints(Refused, f'{{"accuracy": [0.8, {score}]}}', "scores.json")
    assert where == "key 'accuracy', seed 1"
    assert found == f"accuracy of seed 1 is {float(score)}"


def test_item_that_is_not_finite_is_refused_by_its_row(complaints):
    text = ITEMS.replace("accuracy,1,1,a", "accuracy,1,nan,a")
    assert complaints(Refused, text) == [("row 6", "accuracy of seed 1, item a is nan")]


def test_score_given_twice_is_refused_with_both_rows(complaints):
    assert complaints(Refused, f"{WIDE}1,.9\n") == [("row 6", "accuracy of seed 1 again, after row 3")]
    assert complaints(Refused, f"{LONG}accuracy,1,.884\n") == [("row 6", "accuracy of seed 1 again, after row 3")]
    assert complaints(Refused, f"{ITEMS}accuracy,1,0,b\n") == [
        ("row 10", "accuracy of seed 1, item b again, after row 7")
    ]
    assert complaints(Refused, f"{ITEMS}bleu,1,0,\n") == [("row 10", "bleu of seed 1 again, after row 9")]


def test_seed_without_a_metric_that_others_have_is_refused(complaints):
    text = LONG + "f1,1,.8\nf1,2,.7\nloss,9,.1\n"
    assert complaints(Refused, text) == [
        ("accuracy", "no score of seed 9"),
        ("f1", "no score of seed 0, 3, 9"),
        ("loss", "no score of seed 0, 1, 2, 3"),
    ]


def test_json_lists_of_different_length_are_refused(complaints):
    text = '{"accuracy": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], "f1": [0.1, 0.2], "loss": []}'
    assert complaints(Refused, text, "scores.json") == [
        ("f1", "no score of seed 2, 3, 4, 5, 6 and 1 more"),
        ("loss", "no score of seed 0, 1, 2, 3, 4 and 3 more"),
    ]


def test_item_sets_that_differ_are_refused(complaints):
    text = ITEMS.replace("accuracy,1,1,a\naccuracy,1,1,b\n", "accuracy,1,1,d\n") + "f1,0,1,a\nf1,1,1,a\n"
    assert complaints(Refused, text) == [
        ("accuracy of seed 0", "no score of item d"),
        ("accuracy of seed 1", "no score of item a, b"),
        ("f1 of seed 0", "no score of item b, c, d"),
        ("f1 of seed 1", "no score of item b, c, d"),
    ]


def test_own_scores_of_some_seeds_only_are_refused(complaints):
    text = ITEMS + "accuracy,1,.9,\n"
    found = "only items of seed 0, where other seeds have a score of their own"
    assert complaints(Refused, text) == [("accuracy", found)]


def test_scores_of_a_failed_seed_are_not_read(write):
    text = "seed,accuracy,log_loss\n0,.8,.3\n7,nan,\n1,.81,.31\n"
    file = read_scores(write(text), failed=[7])
    assert (file.seeds, file.failed_seeds) == ((0, 1), (7,))
    assert file.scores == {"accuracy": (0.8, 0.81), "log_loss": (0.3, 0.31)}
    file = read_scores(write('{"accuracy": [0.8, NaN, 0.81], "f1": [0.7, null, 0.71]}', "scores.json"), failed=[1])
    assert file.scores == {"accuracy": (0.8, 0.81), "f1": (0.7, 0.71)}


def test_seeds_that_failed_leave_no_band(write):
    with pytest.raises(Refused, match="holds no score but those of failed seeds"):
        read_scores(write(WIDE), failed=range(4))


def test_refused_seed_without_a_score_says_how_to_leave_it_out(write):
    for score, kind in (("", UsageError), ("nan", Refused)):
        with pytest.raises(kind) as caught:
            read_scores(write(f"{WIDE}4,{score}\n"))
        assert "--failed 4" in caught.value.problems[0].hint


def test_every_format_gives_the_same_band(write, tmp_path):
    table = {"accuracy": WORKED, "perplexity": [9.1, 9.4, 8.8, 9.0]}
    loaded = []
    for name, text in as_files(table).items():
        band, notes = band_from_scores(
            write(text, name),
            band_path=tmp_path / "band.json",
            primary="accuracy",
            lower_is_better=["perplexity"],
        )
        band.save(tmp_path / "band.json")
        loaded.append(load_band(tmp_path / "band.json"))
        assert notes == ()
        assert loaded[-1].provenance["scores"]["path"] == name
    own = fit_band(table, primary="accuracy", lower_is_better=["perplexity"])
    assert [band.metrics for band in loaded] == [own.metrics] * 3


def test_built_in_evaluators_have_their_own_direction(write):
    table = dict.fromkeys(("accuracy", "f1_macro", "log_loss", "mcc"), WORKED)
    band, _ = band_from_scores(write(json.dumps(table), "scores.json"), primary="log_loss")
    directions = {name: metric.higher_is_better for name, metric in band.metrics.items()}
    assert directions == {"accuracy": True, "f1_macro": True, "log_loss": False, "mcc": True}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, ["meteor", "ter"]),
        ({"higher_is_better": ["meteor"]}, ["ter"]),
        ({"higher_is_better": ["meteor", "ter"], "lower_is_better": ["ter"]}, ["ter"]),
        ({"higher_is_better": ["meteor"], "lower_is_better": ["ter", "accuracy"]}, ["--lower-is-better accuracy"]),
        ({"higher_is_better": ["meteor", "log_loss"], "lower_is_better": ["ter"]}, ["--higher-is-better log_loss"]),
        ({"higher_is_better": ["meteor", "comet"], "lower_is_better": ["ter"]}, ["--higher-is-better comet"]),
        ({"higher_is_better": ["meteor"], "lower_is_better": ["ter"], "failed_seeds": [9, 1]}, ["--failed 9"]),
        ({"primary": None, "failed_seeds": [9]}, ["meteor", "ter", "--failed 9"]),
    ],
)
def test_flags_that_do_not_fit_the_file_are_all_named(write, options, where):
    table = {name: [0.1, 0.2, 0.3] for name in ("accuracy", "log_loss", "meteor", "ter")}
    with pytest.raises(UsageError) as caught:
        band_from_scores(write(json.dumps(table), "scores.json"), **{"primary": "accuracy", **options})
    assert [problem.where for problem in caught.value.problems] == where


@pytest.mark.parametrize(
    ("metric", "score", "bounds"),
    [
        ("accuracy", 86, "0 to 1"),
        ("accuracy", -0.01, "0 to 1"),
        ("f1_macro", 1.001, "0 to 1"),
        ("mcc", -1.5, "-1 to 1"),
        ("log_loss", -0.1, "0 to inf"),
    ],
)
def test_scores_that_a_built_in_metric_cannot_give_are_refused(write, metric, score, bounds):
    path = write(f"seed,{metric}\n4,.5\n7,{score}\n")
    with pytest.raises(Refused, match=f"{metric} of seed 7 is {score:g}, expected {bounds}"):
        band_from_scores(path)
    band = fit_band({metric: [0.5, 0.6]}, lower_is_better=[metric] if metric == "log_loss" else [])
    with pytest.raises(
        Refused, match=f"{path.name}: {metric}: a candidate scores {score:g}, the band's seeds 0.5 to 0.6"
    ):
        check_scores(path, band)
    own = path.with_name("own.csv")
    own.write_text(path.read_text().replace(metric, "own"))
    if score != 86:
        assert band_from_scores(own, higher_is_better=["own"])[0].metrics["own"].scores == (0.5, score)


def test_ends_of_the_bounds_are_scores(write):
    text = "seed,accuracy,f1_macro,mcc,log_loss\n0,0,0,-1,0\n1,1,1,1,1e9\n"
    assert band_from_scores(write(text), primary="accuracy")[0].metrics["mcc"].scores == (-1, 1)


def test_json_names_no_seeds_so_it_is_refused_for_pairs(write):
    band = fit_band({"accuracy": WORKED})
    with pytest.raises(Refused, match="JSON names no seeds"):
        check_scores(write(JSON, "scores.json"), band, rule="paired")
    assert check_scores(write(WIDE), band, rule="paired").status == "pass"
    assert check_scores(write(JSON, "scores.json"), band, rule="t").status == "pass"


def test_gates_are_those_of_the_band(write, tmp_path):
    path = write(json.dumps({"accuracy": WORKED, "mcc": WORKED, "f1_macro": WORKED}), "scores.json")
    band, _ = band_from_scores(path, primary="accuracy", gates=["mcc", "accuracy"])
    assert band.gates == ("mcc", "accuracy")
    assert {name: metric.alpha for name, metric in band.metrics.items()} == {
        "accuracy": 0.025,
        "mcc": 0.025,
        "f1_macro": 0.05,
    }
    with pytest.raises(UsageError, match="'accuracy' is not among those that gate: mcc"):
        band_from_scores(path, primary="accuracy", gates=["mcc"])
    flags = ("--primary", "accuracy", "--gate", "mcc", "--gate", "accuracy")
    done = run_cli("band", path, "--band", tmp_path / "band.json", *flags)
    assert done.code == 0, done.err
    saved = load_band(tmp_path / "band.json")
    assert (saved.gates, saved.metrics) == (band.gates, band.metrics)


def test_flag_that_says_what_a_built_in_says_is_fine(write):
    band, _ = band_from_scores(write(WIDE), higher_is_better=["accuracy"])
    assert band.metrics["accuracy"].higher_is_better


def test_failed_seeds_are_counted_and_kept_out_of_the_band(write):
    text = ITEMS + "accuracy,7,0,a\naccuracy,7,nan,b\n"
    band, _ = band_from_scores(write(text), primary="accuracy", higher_is_better=["bleu"], failed_seeds=[7, 7])
    assert {metric.failed_seeds for metric in band.metrics.values()} == {(7,)}
    assert band.metrics["accuracy"].seeds == (0, 1)


def test_one_healthy_seed_is_refused(write):
    with pytest.raises(Refused, match="1 healthy seed;"):
        band_from_scores(write(WIDE), failed_seeds=[0, 1, 2])


def test_items_set_the_floor_of_means_only(write):
    same = [(m, seed, score, item) for m in ("accuracy", "rouge") for seed, row in enumerate(["10", "01"])
            for item, score in zip("ab", row, strict=True)]  # fmt: skip
    own = [("rouge", seed, 55.0, "") for seed in range(2)]
    text = csv_text([("metric", "seed", "score", "item"), *same, *own])
    band, notes = band_from_scores(write(text), primary="accuracy", higher_is_better=["rouge"])
    assert (
        band.metrics["accuracy"].floor == fit_band({"m": [0.5, 0.5]}, items={"m": [[1, 0], [0, 1]]}).metrics["m"].floor
    )
    assert band.metrics["accuracy"].floor > 0
    assert band.metrics["rouge"].floor == 0
    assert notes == ("rouge: its scores are not the means of its items, so these set no floor under its noise",)


def test_own_score_that_is_the_rounded_mean_keeps_its_floor(write):
    text = ITEMS + "accuracy,0,.667,\naccuracy,1,1.0,\n"
    band, notes = band_from_scores(write(text), primary="accuracy", higher_is_better=["bleu"])
    assert band.metrics["accuracy"].floor > 0
    assert notes == ()


@pytest.mark.parametrize(("metric", "outlier", "side"), [("accuracy", 0.51, "below"), ("log_loss", 1.9, "above")])
def test_probable_failed_seed_is_noted_and_stays(write, metric, outlier, side):
    table = {metric: [0.92, 0.93, 0.91, outlier, 0.925, 0.935, 0.94, 0.92]}
    path = write(json.dumps(table), "scores.json")
    band, notes = band_from_scores(path)
    told = f"seed 3 ({metric} {outlier}) is more than 6 MADs {side} the median: probably failed to train; "
    assert notes == (told + "exclude it with --failed 3",)
    assert band.metrics[metric].n == 8
    healthy, notes = band_from_scores(path, failed_seeds=[3])
    assert (healthy.metrics[metric].n, notes) == (7, ())


def test_seven_seeds_are_too_few_to_suspect_one(write):
    table = {"accuracy": [0.92, 0.93, 0.91, 0.51, 0.925, 0.935, 0.94]}
    assert band_from_scores(write(json.dumps(table), "scores.json"))[1] == ()


def test_provenance_names_the_file_from_the_bands_folder(write, tmp_path):
    path = write(ITEMS)
    options = {"primary": "accuracy", "higher_is_better": ["bleu"]}
    band, _ = band_from_scores(path, band_path=tmp_path / "gate" / "band.json", **options)
    assert band.provenance["scores"] == {"path": "../scores.csv", "sha256": file_hashes.file_sha256(path)}
    assert band.provenance["items_sha256"] == json_files.digest(["a", "b", "c"])
    assert band.provenance["made_by"].startswith("seedband ")
    assert band_from_scores(write(WIDE))[0].provenance["items_sha256"] is None


def test_history_is_handed_to_the_band(write):
    past = [fit_band({"accuracy": row}) for row in ([0.8, 0.81, 0.83], [0.7, 0.74, 0.75], [0.9, 0.91, 0.905])]
    band, _ = band_from_scores(write(WIDE), history=past)
    assert band.provenance["history"]["bands"] == 3
    assert band.metrics["accuracy"] == fit_band({"accuracy": WORKED}, history=past).metrics["accuracy"]


def test_rule_and_alpha_are_those_of_the_band(write):
    band, _ = band_from_scores(write(WIDE), rule="t", alpha=0.1)
    assert (band.rule, band.alpha) == ("t", 0.1)
    with pytest.raises(UsageError):
        band_from_scores(write(WIDE), rule="paired")


def test_only_a_band_of_the_same_scores_is_replaced(write, tmp_path):
    path, other = write(WIDE), write(LONG, "other.csv")
    target = tmp_path / "gate" / "band.json"
    check_target(target, path)
    band_from_scores(path, band_path=target)[0].save(target)
    path.write_text(WIDE + "4,.88\n")
    check_target(target, path)
    with pytest.raises(UsageError, match="not a band of") as caught:
        check_target(target, other)
    assert "--band" in caught.value.hint


def test_what_is_no_band_of_scores_is_never_replaced(write, tmp_path):
    scores_path = write(JSON, "scores.json")
    fit_band({"accuracy": WORKED}).save(tmp_path / "bare.json")
    band_from_scores(scores_path, band_path=tmp_path / "edited.json")[0].save(tmp_path / "edited.json")
    text = (tmp_path / "edited.json").read_text()
    (tmp_path / "edited.json").write_text(text.replace("0.871", "0.971"))
    for target in (scores_path, tmp_path / "bare.json", tmp_path / "edited.json", tmp_path):
        with pytest.raises(UsageError):
            check_target(target, scores_path)


def test_band_and_scores_may_move_together(write, tmp_path):
    (tmp_path / "a").mkdir()
    path = write(WIDE, "a/scores.csv")
    band_from_scores(path, band_path=tmp_path / "a/band.json")[0].save(tmp_path / "a/band.json")
    (tmp_path / "a").rename(tmp_path / "b")
    check_target(tmp_path / "b/band.json", tmp_path / "b/scores.csv")


def test_no_heavy_library_is_loaded(write):
    script = (
        "import sys, pathlib, seedband.commands.scores.from_file as s; "
        "s.band_from_scores(pathlib.Path(sys.argv[1])); "
        "print([m for m in ('torch', 'pandas', 'sklearn', 'peft', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, write(WIDE)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "[]\n"
