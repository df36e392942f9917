"""A base that is replaced while it is in use: refused, and nothing of it is kept."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny import Tiny, recipe_text, run_cli

from seedband.commands.sweep import plan
from seedband.commands.sweep.prepare import prepare
from seedband.commands.sweep.sweep import sweep
from seedband.determinism.pins import inherited, pinned_environment
from seedband.errors import Refused
from seedband.jobs import spec
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.score import ScoreTarget
from seedband.models.base_watch import BaseWatch
from seedband.models.bases import locate_base
from seedband.models.recognise import recognise
from seedband.recipe.parse import load_recipe
from seedband.runs import layout
from seedband.runs.run_file import read_run
from seedband.storage import file_hashes

#: A worker whose base is replaced by the folder beside it once it was hashed, before anything of it is loaded.
SWAPPING = """
import pathlib, sys
from seedband.jobs import worker
from seedband.models import loading as networks

load = networks._from_folder

def swap_and_load(auto, path, *rest, **given):
    own = pathlib.Path({base!r})
    if own.with_name("other").is_dir():
        own.rename(own.with_name("first"))
        own.with_name("other").rename(own)
    return load(auto, path, *rest, **given)

networks._from_folder = swap_and_load
sys.exit(worker.main(sys.argv[1:]))
"""
METHODS = {"lora": {}, "head": {"train_method": '"head"', "train_epochs": "10"}}


def make_other(base: Path) -> Path:
    """The base with other weights, in the folder beside it."""
    other = Path(shutil.copytree(base, base.with_name("other")))
    tensors = load_file(other / "model.safetensors")
    changed = {name: tensor + 0.05 if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(changed, other / "model.safetensors", {"format": "pt"})
    return other


def swap(base: Path) -> None:
    base.rename(base.with_name("first"))
    base.with_name("other").rename(base)


def put_back(base: Path) -> None:
    base.rename(base.with_name("other"))
    base.with_name("first").rename(base)


def run_swapping(tiny: Tiny, job) -> tuple[list, int]:
    """What a job tells, and its exit code, whose base is replaced before it loads it."""
    spec.write_job(tiny.folder / "job.json", job)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SWAPPING.format(base=str(tiny.folder / "base")),
            str(tiny.folder / "job.json"),
            str(os.getpid()),
        ],
        env={**os.environ, **pinned_environment(inherited(os.environ), offline=True)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tiny.folder / "other").exists(), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBAND_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("method", METHODS)
def test_a_base_that_is_replaced_before_it_is_loaded_leaves_nothing(tiny, method, cache, request):
    tiny.config.write_text(recipe_text(**METHODS[method]))
    base = tiny.folder / "base"
    make_other(base)
    prepared = prepare(load_recipe(tiny.config), offline=True)
    old, new = prepared.scoring.base.sha256, locate_base("other", None, tiny.folder, offline=True).sha256
    (job,) = plan.train_jobs(prepared, tiny.runs, [0])
    Path(job.runs[0].folder).mkdir(parents=True)
    told, code = run_swapping(tiny, job)
    assert (code, told[-1]["kind"]) == (3, "error")
    assert all(part in told[-1]["content"]["message"] for part in ("base", old[:12], new[:12]))
    assert not list(cache.rglob("*.safetensors"))
    assert not {path.name for path in Path(job.runs[0].folder).iterdir()} & {"run.json", "trained.json"}
    put_back(base)
    again = run_cli("sweep", "--seeds", "0,", "--no-band", "--out", "runs", "-q", cwd=tiny.folder)
    assert again.code == 0, again.err
    clean: Tiny = request.getfixturevalue({"lora": "tiny_swept", "head": "tiny_heads"}[method])
    weights = [read_run(folder / "seed-0").record["checkpoint_sha256"] for folder in (tiny.runs, clean.runs)]
    assert weights[0] == weights[1]


def test_a_sweep_whose_base_is_replaced_is_refused_and_goes_on_once_it_is_back(tiny, cache):
    tiny.config.write_text(recipe_text(**METHODS["head"]))
    base = tiny.folder / "base"
    make_other(base)

    def replaced_at_the_start(event):
        if event.kind == "plan":
            swap(base)

    with pytest.raises(Refused, match="was replaced while it was in use") as refused:
        sweep(tiny.config, 2, out=tiny.runs, band=tiny.band, offline=True, on_event=replaced_at_the_start)
    assert refused.value.hint.startswith("put the base back")
    assert list(tiny.runs.glob("seed-*"))
    assert not list(tiny.runs.glob("seed-*/run.json"))
    assert not tiny.band.exists()
    assert not list(cache.rglob("*.safetensors"))
    put_back(base)
    sweep(tiny.config, 2, out=tiny.runs, band=tiny.band, offline=True)
    assert tiny.band.is_file()


@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_candidate_whose_base_is_replaced_before_it_is_loaded_has_no_scores(tmp_path, method, cache, request):
    clean: Tiny = request.getfixturevalue({"lora": "tiny_swept", "head": "tiny_heads"}[method])
    tiny = Tiny(Path(shutil.copytree(clean.folder, tmp_path / "tiny")))
    make_other(tiny.folder / "base")
    prepared = prepare(load_recipe(tiny.config), offline=True)
    target = ScoreTarget(recognise(tiny.runs / "seed-0", "seed 0"), str(tmp_path / "scored"))
    told, code = run_swapping(tiny, ScoreJob(prepared.scoring, (target,), prepared.recipe.determinism))
    assert code == 3
    assert "was replaced while it was in use" in told[-1]["content"]["message"]
    assert not list(cache.rglob("*.safetensors"))
    assert not (tmp_path / "scored" / layout.SCORES).exists()


def test_an_untouched_base_is_hashed_once_and_a_touched_one_again(tiny, monkeypatch):
    hashed = []
    whole = file_hashes.file_sha256
    monkeypatch.setattr(file_hashes, "file_sha256", lambda path: hashed.append(path.name) or whole(path))
    monkeypatch.setattr(file_hashes, "_known", {})
    monkeypatch.setattr(file_hashes, "_file_system", lambda _: "ext4")
    weights = tiny.folder / "base" / "model.safetensors"
    monkeypatch.setattr(file_hashes.time, "time_ns", lambda: weights.stat().st_ctime_ns + 10**12)
    base = locate_base("base", None, tiny.folder, offline=True)
    guard = BaseWatch(base)
    guard.check()
    guard.check()
    assert hashed.count("model.safetensors") == 1
    content = weights.read_bytes()
    weights.write_bytes(content)
    with pytest.raises(Refused, match="written again"):
        guard.glance()
    assert hashed.count("model.safetensors") == 2
    BaseWatch(base).check()


@pytest.mark.parametrize(("system", "age_s"), [("nfs4", 1000), ("", 1000), ("ext4", 1)])
def test_a_hash_is_not_remembered_where_a_stamp_does_not_tell(tmp_path, monkeypatch, system, age_s):
    path = tmp_path / "file"
    path.write_bytes(b"first")
    monkeypatch.setattr(file_hashes, "_file_system", lambda _: system)
    monkeypatch.setattr(file_hashes.time, "time_ns", lambda: path.stat().st_ctime_ns + age_s * 10**9)
    first = file_hashes.sha256_of(path)
    stamp = file_hashes.stamp_of(path)
    monkeypatch.setattr(file_hashes, "stamp_of", lambda _: stamp)
    path.write_bytes(b"other")
    assert file_hashes.sha256_of(path) != first


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "bpe.codes"])
def test_files_beside_the_weights_count_as_the_base(tiny, name):
    (tiny.folder / "base" / "bpe.codes").write_text("a b")
    guard = BaseWatch(locate_base("base", None, tiny.folder, offline=True))
    guard.check()
    with (tiny.folder / "base" / name).open("a") as file:
        file.write(" ")
    with pytest.raises(Refused, match="sha256"):
        guard.check()


def test_notes_beside_a_base_and_links_to_its_files_change_nothing(tiny):
    base = tiny.folder / "base"
    guard = BaseWatch(locate_base("base", None, tiny.folder, offline=True))
    guard.check()
    (base / "README.md").write_text("a note")
    os.link(base / "model.safetensors", tiny.folder / "link")
    guard.check()
