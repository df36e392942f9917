"""Tables: dialects, columns of seeds, groups, rows and columns that are left, what has to be asked."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import run_cli

from seedband import Refused, UsageError, load_band
from seedband.commands.scores.from_file import band_from_scores, check_scores, check_target
from seedband.scorefiles import read_scores, said

WORKED = (0.871, 0.884, 0.879, 0.892)
ROWS = "".join(f"{seed},{score}\n" for seed, score in enumerate(WORKED))
WIDE = f"seed,accuracy\n{ROWS}"
GROUPS = (
    "model,seed,test_f1\nsmall,42,0.871\nsmall,123,0.884\nsmall,456,0.879\nlarge,42,.9\nlarge,123,.91\nlarge,456,.92\n"
)


@pytest.fixture
def write(tmp_path):
    def to(content, name="scores.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


def flags(metrics=(), seed_column=None, where=(), percent=False):
    return said(list(metrics), seed_column, list(where), percent=percent)


@pytest.mark.parametrize(
    "text",
    [
        WIDE.encode("utf-16"),
        ("\ufeff" + WIDE).replace(",", "\t"),
        WIDE.replace(",", ";").replace("0.", "0,"),
        WIDE.replace(",", ";"),
        WIDE.replace(",", "\t").replace("0.", "0,"),
        WIDE + "# mean .88\n",
        "# made on Monday, by hand\n" + WIDE,
        WIDE.replace("seed", "Seed"),
        WIDE.replace("seed", "random_seed"),
        "seed,accuracy\n" + "".join(f"seed_{seed},{score}\n" for seed, score in enumerate(WORKED)),
        "seed,accuracy\n" + "".join(f'"{seed}.0",{score}\n' for seed, score in enumerate(WORKED)),
        ",accuracy\n" + "".join(f"seed_{seed},{score}\n" for seed, score in enumerate(WORKED)),
        ",seed,accuracy\n" + "".join(f"{seed + 7},{seed},{score}\n" for seed, score in enumerate(WORKED)),
        "seed,data_seed,accuracy\n" + "".join(f"{seed},1,{score}\n" for seed, score in enumerate(WORKED)),
        WIDE + "mean,.88\nstd,0.0088\n95% CI,.01\n",
        WIDE + "mean ± std,.88 ± .01\n",
        "seed,accuracy,epoch,ckpt_path,note\n" + "".join(f"{s},{x},3,ck/{s}.pt,\n" for s, x in enumerate(WORKED)),
        "metric,0,1,2,3,mean\naccuracy," + ",".join(map(str, WORKED)) + ",.88\n",
        ",seed_0,seed_1,seed_2,seed_3\naccuracy," + ",".join(map(str, WORKED)) + "\n",
        "Metric,Seed,Value\n" + "".join(f"accuracy,{seed},{score}\n" for seed, score in enumerate(WORKED)),
    ],
)
def test_one_table_in_many_hands(write, text):
    file = read_scores(write(text))
    assert (file.seeds, file.scores) == ((0, 1, 2, 3), {"accuracy": WORKED})


@given(
    st.dictionaries(
        st.sampled_from(["accuracy", "loss", "größe", "test f1"]),
        st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
        min_size=1,
    ),
    st.lists(st.integers(0, 2**32), min_size=3, max_size=3, unique=True),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_a_table_that_is_written_reads_back(tmp_path_factory, table, seeds, delimiter, encoding, named):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["", "seed", *table, "host"])
    for row, seed in enumerate(seeds):
        told = [repr(scores[row]) for scores in table.values()]
        if delimiter == ";":
            told = [number.replace(".", ",") for number in told]
        writer.writerow([row, f"seed_{seed}" if named else seed, *told, "node"])
    path = tmp_path_factory.getbasetemp() / "written.tsv"
    path.write_text(text.getvalue(), encoding=encoding, newline="")
    file = read_scores(path)
    assert file.seeds == tuple(seeds)
    assert file.scores == {metric: tuple(scores) for metric, scores in table.items()}


def test_scores_with_decimal_commas_that_recur_are_no_groups(write):
    assert read_scores(write("seed;acc\n0;0,5\n1;0,5\n2;0,6\n")).scores == {"acc": (0.5, 0.5, 0.6)}


def test_what_is_left_is_told(write):
    text = "seed,test_dice,epochs_ran,ckpt_path\n0,.871,30,ck/0.pt\n1,.884,31,ck/1.pt\nmean,.88,,\n"
    (note,) = read_scores(write(text)).notes
    assert "2 seeds from column 'seed' (0, 1)" in note
    assert note.endswith("left out: row 4 (mean) (sums others up); ckpt_path (text); epochs_ran (no metric)")


def test_directions_and_the_primary_metric_are_told(write):
    told = []
    text = WIDE.replace("accuracy", "eval_loss,eval_f1").replace("\n0,", "\n0,.1,").replace("\n1,", "\n1,.2,")
    text = text.replace("\n2,", "\n2,.3,").replace("\n3,", "\n3,.4,")
    band, notes = band_from_scores(write(text), on_read=told.append)
    assert (band.primary, notes) == ("eval_f1", ())
    assert told == [
        (
            "by their names, higher is better for eval_f1; lower is better for eval_loss: --lower-is-better and "
            "--higher-is-better say otherwise"
        ),
        "eval_f1 gates, of 2 metrics: --primary names another",
    ]
    other, _ = band_from_scores(write(text), lower_is_better=["all"])
    assert not any(metric.higher_is_better for metric in other.metrics.values())


def test_groups_are_asked_for_and_one_is_read(write, tmp_path):
    path = write(GROUPS)
    with pytest.raises(UsageError) as caught:
        band_from_scores(path)
    (problem,) = caught.value.problems
    assert (problem.where, problem.expected) == ("column 'model'", "one group: --where model=small")
    done = run_cli("band", path, "--where", "model=small", "--band", tmp_path / "b.json")
    assert done.code == 0, done.err
    band = load_band(tmp_path / "b.json")
    assert (band.seeds, band.metrics["test_f1"].scores) == ((42, 123, 456), (0.871, 0.884, 0.879))
    assert band.provenance["scores"]["where"] == {"model": "small"}
    check_target(tmp_path / "b.json", path, flags(where=["model=small"]))
    with pytest.raises(UsageError, match="of model=small alone"):
        check_target(tmp_path / "b.json", path, flags(where=["model=large"]))
    assert check_scores(path, band, wanted=flags(where=["model=large"])).status == "pass"
    judged = run_cli("check", "--scores", path, "--where", "model=small", "--band", tmp_path / "b.json")
    assert judged.code == 0, judged.err


def test_groups_of_other_seeds_are_asked_for_too(write):
    text = "model,seed,acc\nsmall,0,.8\nsmall,1,.81\nlarge,2,.9\nlarge,3,.91\n"
    with pytest.raises(UsageError, match="1 mistake"):
        read_scores(write(text))
    assert read_scores(write(text), wanted=flags(where=["model=*"])).seeds == (0, 1, 2, 3)
    settings = text.replace("model", "lr").replace("small", "1e-5").replace("large", "1e-4").replace("2,.9", "0,.9")
    with pytest.raises(UsageError) as caught:
        read_scores(write(settings.replace("3,.91", "1,.91")))
    assert caught.value.problems[0].expected == "one group: --where lr=1e-5"
    assert read_scores(write(settings), wanted=flags(where=["lr=0.00001"])).scores == {"acc": (0.8, 0.81)}


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (WIDE, {"where": ["model=small"]}, "--where model"),
        (WIDE, {"metrics": ["f1"]}, "--metric f1"),
        (WIDE, {"seed_column": "s"}, "--seed-column s"),
        (",accuracy\n0,.8\n1,.9\n", {}, "--seed-column NAME"),
        ("model_seed,data_seed,acc\n0,1,.8\n1,1,.9\n", {}, "--seed-column"),
        ("seed,acc\n0,87.1%\n1,88%\n", {}, "--percent"),
        ("seed,acc\n0,87.1%\n1,.88\n", {"percent": True}, "every score of the metric has the sign"),
        ("seed,acc\n0,.8\n1,N/A\n2,.9\n", {}, "--failed 1"),
        ("seed,acc,bleu\n0,.8,1\n1,.8,-\n", {}, "--metric NAME"),
        ("seed,epoch\n0,3\n1,3\n", {}, "--metric NAME"),
        ("seed,acc\n0,\n1,\n", {}, "no metric but acc (empty)"),
        ("metric,seed,score,run\nacc,0,.8,a\nacc,1,.9,b\n", {}, "--where 'run=*'"),
        (GROUPS, {"where": ["model=huge"]}, "model is small, large"),
    ],
)
def test_what_is_unclear_is_refused_with_the_flag_that_decides(write, text, options, told):
    with pytest.raises(UsageError) as caught:
        read_scores(write(text), wanted=flags(**options))
    assert told in f"{caught.value} {caught.value.hint} {[str(problem) for problem in caught.value.problems]}"


def test_flags_decide(write):
    path = write("seed,acc,bleu\n0,.8,1\n1,.8,-\n")
    assert read_scores(path, wanted=flags(metrics=["acc"])).scores == {"acc": (0.8, 0.8)}
    path = write("seed;acc\n0;87,1%\n1;88,4 %\n")
    band, _ = band_from_scores(path, wanted=flags(percent=True))
    assert band.metrics["acc"].scores == (0.871, 0.884)
    assert check_scores(write("seed;acc\n9;88,0%\n", "new.csv"), band).status == "pass"
    assert read_scores(write(",acc\n5,.8\n6,.9\n"), wanted=flags(seed_column="")).seeds == (5, 6)
    assert read_scores(write("seed,epoch\n0,3\n1,4\n"), wanted=flags(metrics=["epoch"])).scores == {"epoch": (3, 4)}


def test_a_seed_that_is_missing_is_left_out_when_said(write):
    file = read_scores(write("seed,acc\n0,.8\n1,N/A\n2,.9\n"), failed=[1])
    assert (file.seeds, file.failed_seeds) == ((0, 2), (1,))


def test_a_seed_twice_is_no_group(write):
    with pytest.raises(Refused, match="refused for 1 reason"):
        read_scores(write(WIDE + "3,.9\n"))


def test_flags_of_score_files_need_score_files(tmp_path):
    done = run_cli("band", "x.csv", "--where", "model", cwd=tmp_path)
    assert done.code == 2
    assert "expected COLUMN=VALUE" in done.err
