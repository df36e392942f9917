"""Results of lm-evaluation-harness: names of metrics, its own directions, seeds from the path or the model's name."""

import json

import pytest
from tiny import run_cli

from seedband import UsageError, load_band
from seedband.commands.scores.from_file import band_from_scores
from seedband.scorefiles import read_scores

ACC = [0.871, 0.884, 0.879, 0.892]


def harness(acc, seed, tasks=None, ways=None):
    own = {"alias": "arc_easy", "acc,none": acc, "acc_norm,none": acc - 0.02, "acc_stderr,none": 0.0121}
    return {
        "results": {"arc_easy": own} if tasks is None else tasks,
        "configs": {},
        "higher_is_better": {"arc_easy": {"acc": True, "acc_norm": True}} if ways is None else ways,
        "config": {"model": "hf", "model_args": f"pretrained=base,peft=out/seed-{seed}", "random_seed": 0},
        "model_name": f"out/seed-{seed}",
    }


@pytest.fixture
def seeds(tmp_path):
    def write(make, place="seed-{0}/results_2026-01-0{0}.json"):
        for seed, acc in enumerate(ACC):
            path = tmp_path / place.format(seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(make(acc, seed)))
        return sorted(tmp_path.rglob("*.json"))

    return write


def test_a_band_through_the_command_line(seeds, tmp_path):
    files = [path.relative_to(tmp_path) for path in seeds(harness)]
    done = run_cli("band", *files, "--primary", "arc_easy.acc", "--band", "b.json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "4 seeds from the path (0, 1, 2, 3); left out: arc_easy.acc_stderr (no metric)" in done.err
    band = load_band(tmp_path / "b.json")
    assert (band.primary, band.seeds, band.metrics["arc_easy.acc"].scores) == ("arc_easy.acc", (0, 1, 2, 3), tuple(ACC))
    again = run_cli("check", "--scores", files[0], "--band", "b.json", cwd=tmp_path)
    assert again.code == 0, again.err


def test_its_own_directions_go_before_names(seeds, tmp_path):
    def make(acc, seed):
        tasks = {
            "squad": {"alias": "s", "exact,none": acc, "f1,none": acc, "f1_stderr,none": "N/A"},
            "wiki": {"alias": "w", "odd,none": 1 - acc, "word_perplexity,none": 9 + acc},
            "gsm8k": {"exact_match,strict-match": acc, "exact_match,flexible-extract": acc},
            "mmlu": {"acc,none": acc, "alias": "mmlu"},
        }
        return harness(acc, seed, tasks, {"squad": {"exact": True, "f1": False}, "wiki": {"odd": False}, "mmlu": None})

    seeds(make)
    band, _ = band_from_scores(tmp_path)
    assert {name: metric.higher_is_better for name, metric in band.metrics.items()} == {
        "squad.exact": True,
        "squad.f1": False,
        "wiki.odd": False,
        "wiki.word_perplexity": False,
        "gsm8k.exact_match,strict-match": True,
        "gsm8k.exact_match,flexible-extract": True,
        "mmlu.acc": True,
    }
    assert band.primary == "squad.exact"
    only, _ = band_from_scores(tmp_path, higher_is_better=["wiki.odd"], primary="wiki.odd")
    assert only.metrics["wiki.odd"].higher_is_better


def test_the_name_of_the_model_says_the_seed_where_the_path_does_not(seeds, tmp_path):
    files = seeds(harness, "results_{0}.json")
    assert read_scores(files).seeds == (0, 1, 2, 3)
    assert "from the file" in read_scores(files).notes[0]
    other = tmp_path / "seed-7" / "results_x.json"
    other.parent.mkdir()
    other.write_text(json.dumps(harness(0.9, 8)))
    with pytest.raises(UsageError) as caught:
        read_scores([*files, other])
    assert caught.value.problems[0].found == "seed 8 in the file, seed-7 in its path"
    anonymous = tmp_path / "results_anonymous.json"
    anonymous.write_text(json.dumps({**harness(0.9, 1), "model_name": "base", "config": {"random_seed": 3}}))
    with pytest.raises(UsageError, match="1 mistake"):
        read_scores(anonymous)
