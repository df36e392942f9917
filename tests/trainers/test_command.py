"""Scripts of users as a trainer: attempts, what is taken of what they leave, and what is known of their course."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seedband.determinism.seeds import STREAMS, streams
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.recipe.sections import TrainSection
from seedband.runs import layout
from seedband.runs.layout import ITEMS, trace_path
from seedband.trainers import SeedRun
from seedband.trainers.command import OURS, Command

#: Writes a whole model of one tensor.
MODEL = """
import json, pathlib, sys
import numpy as np
from safetensors.numpy import save_file
out, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
save_file({"w": np.random.default_rng(seed).normal(size=3).astype("float32")}, out / "model.safetensors")
(out / "config.json").write_text("{}")
"""


@pytest.fixture
def trainer(tmp_path):
    """Runs a script under a seed, as a job does."""

    def run(script, seed=0, labels=(), vary=STREAMS, **keys):
        (tmp_path / "script.py").write_text(script)
        command = (sys.executable, "script.py", "{out}", "{seed}", "{init_seed}", "{train}", "{base}")
        recipe = SimpleNamespace(train=TrainSection(method="command", command=command, **keys))
        scoring = SimpleNamespace(
            folder=str(tmp_path), labels=labels, eval_path="eval.jsonl", base=SimpleNamespace(path="a base")
        )
        context = SimpleNamespace(recipe=recipe, scoring=scoring, items=SimpleNamespace(path=Path("train.jsonl")))
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        told = []
        one = SeedRun(seed, streams(seed, vary), str(folder))
        (result,) = Command().train(context, [one], lambda *event: told.append(event))
        return result, folder, told

    return run


def test_what_a_script_leaves_moves_up_but_for_pickles_and_folders(trainer):
    script = MODEL + "(out / 'training_args.bin').touch(); (out / 'notes.txt').touch(); (out / 'checkpoint-3').mkdir()"
    _, folder, _ = trainer(script)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "notes.txt", "out", "trace.jsonl",
    ]  # fmt: skip
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["checkpoint-3", "training_args.bin"]


def test_a_link_within_what_it_leaves_becomes_a_file(trainer):
    script = MODEL + (
        "(out / 'best').mkdir(); (out / 'model.safetensors').rename(out / 'best' / 'w.safetensors'); "
        "(out / 'model.safetensors').symlink_to('best/w.safetensors')"
    )
    _, folder, _ = trainer(script)
    assert not (folder / "model.safetensors").is_symlink()
    assert (folder / "model.safetensors").read_bytes() == (folder / "out" / "best" / "w.safetensors").read_bytes()


def test_placeholders_reach_the_script(trainer):
    _, folder, _ = trainer(MODEL + "(out / 'told.json').write_text(json.dumps(sys.argv[1:]))", seed=3)
    told = json.loads((folder / "told.json").read_text())
    init_seed = streams(3, STREAMS)["init"] >> 32
    assert told == [str(folder / "out"), "3", str(init_seed), str(Path("train.jsonl").absolute()), "a base"]


def test_a_script_that_fails_is_tried_again_from_an_empty_folder(trainer, tmp_path):
    script = MODEL + (
        f"tries = pathlib.Path({str(tmp_path / 'tries')!r}); tries.touch(); text = tries.read_text()\n"
        "assert not (out / 'half').exists()\n(out / 'half').touch(); tries.write_text(text + 'x')\n"
        "sys.exit('not yet' if len(text) < 2 else 0)"
    )
    _, folder, told = trainer(script, retries=2)
    assert (folder / "half").is_file()
    warnings = [content["text"] for kind, _, content in told if kind == "warning"]
    assert warnings == [
        f"seed 0: attempt {attempt} of 3 failed: the command ended with exit code 1 / not yet" for attempt in (1, 2)
    ]
    (tmp_path / "tries").unlink()
    with pytest.raises(WorkFailed, match="exit code 1 / not yet"):
        trainer(script, retries=1)


def test_a_script_that_takes_too_long_has_failed(trainer):
    with pytest.raises(WorkFailed, match=r"still running after 0\.5 s"):
        trainer("import time; time.sleep(60)", timeout_s=0.5)


def test_every_line_is_told_and_written_to_the_log(trainer, capfd):
    _, _, told = trainer(MODEL + "print('one'); print('two', file=sys.stderr)")
    assert [content["text"] for kind, _, content in told if kind == "output"] == ["one", "two"]
    assert "one\ntwo\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("script", "kind", "told"),
    [
        ("pass", UsageError, "left no checkpoint: .*: no checkpoint in this folder"),
        (MODEL + "(out / 'run.json').touch()", UsageError, "wrote run.json to {out}, which is a name of seedband's"),
        (MODEL + "(out / 'model.safetensors').rename(out / 'pytorch_model.bin')", Refused, "weights are pickled"),
        (MODEL + "(out / 'x').symlink_to('/etc/hostname')", Refused, "a link that leads out"),
    ],
)
def test_what_cannot_be_taken_is_told(trainer, script, kind, told):
    with pytest.raises(kind, match=told):
        trainer(script)


def test_names_of_records_are_known():
    assert {layout.RUN, layout.TRAINED, ITEMS, trace_path(Path()).name} < {*OURS}


def test_a_model_that_numbers_its_labels_otherwise_is_refused(trainer):
    script = MODEL + "(out / 'config.json').write_text(json.dumps({'id2label': {'0': 'b', '1': 'a'}}))"
    with pytest.raises(Refused, match=r"labels are \['b', 'a'\], it would be scored by \['a', 'b'\]"):
        trainer(script, labels=("a", "b"))
    assert trainer(script, labels=("b", "a"))[0].failure == ""


@pytest.mark.parametrize("name", ["thesis.txt", "out/thesis.txt"])
def test_files_of_somebody_else_are_left_alone(trainer, tmp_path, name):
    (tmp_path / "seed-0" / "out").mkdir(parents=True)
    file = tmp_path / "seed-0" / name
    file.write_text("years of work")
    with pytest.raises(UsageError, match=r"holds out, and no run"):
        trainer(MODEL)
    assert file.read_text() == "years of work"


def test_what_a_killed_attempt_left_is_gone_before_the_next(trainer):
    _, folder, _ = trainer(MODEL + "(out / 'old.txt').touch()")
    assert (folder / "old.txt").is_file()
    trainer(MODEL)
    assert not (folder / "old.txt").exists()


def test_weights_that_are_not_finite_are_a_result(trainer):
    result, _, told = trainer(MODEL.replace('.astype("float32")', '.astype("float32") * np.nan'))
    assert result.failure.startswith("weights are not finite: w")
    assert not [kind for kind, *_ in told if kind == "witness"]


LOGGED = "\nfor loss in {losses}: print({line})"


@pytest.mark.parametrize("line", ["{'loss': loss, 'epoch': 1}", "json.dumps({'step': 1, 'loss': str(loss)})"])
def test_losses_are_heard_as_trainers_print_them(trainer, line):
    losses = [0.5, 0.25, 1e-05]
    result, folder, _ = trainer(MODEL + LOGGED.replace("{losses}", str(losses)).replace("{line}", line))
    trace = [json.loads(text) for text in trace_path(folder).read_text().splitlines()]
    assert trace == [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    assert result.steps == 3
    assert result.witnesses["losses"] is not None


@pytest.mark.parametrize("line", ["{'eval_loss': loss}", "{'train_loss': loss}", "'loss: ', loss", "{'loss': 'low'}"])
def test_other_numbers_are_no_losses(trainer, line):
    result, folder, _ = trainer(MODEL + LOGGED.replace("{losses}", "[1, 2, 3]").replace("{line}", line))
    assert trace_path(folder).read_text() == ""
    assert result.witnesses["losses"] is None


@pytest.mark.parametrize("where", ["trainer_state.json", "checkpoint-12/trainer_state.json"])
def test_the_state_of_a_trainer_is_read_of_its_last_checkpoint_if_need_be(trainer, where):
    state = {
        "global_step": 12,
        "log_history": [
            {"step": 4, "loss": 0.5, "grad_norm": 1.5, "learning_rate": 0.1, "epoch": 1.0},
            {"step": 4, "eval_loss": 9.0},
            {"step": 8, "loss": float("nan"), "epoch": 2.0},
            {"step": 12, "loss": "0.25"},
        ],
    }
    texts = {"checkpoint-2/trainer_state.json": '{"log_history": []}', where: json.dumps(state)}
    script = f"""{MODEL}
for name, text in {texts}.items():
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text(text)
"""
    result, folder, _ = trainer(script)
    assert [json.loads(text) for text in trace_path(folder).read_text().splitlines()] == [
        {"step": 4, "loss": 0.5, "learning_rate": 0.1, "gradient_norm": 1.5},
        {"step": 8, "loss": "nan"},
        {"step": 12, "loss": 0.25},
    ]
    assert result.steps == 12


def test_a_state_that_is_none_is_told(trainer):
    with pytest.raises(WorkFailed, match=r"trainer_state\.json: not what a trainer leaves"):
        trainer(MODEL + "(out / 'trainer_state.json').write_text('[]')")


def test_few_losses_tell_no_two_seeds_apart(trainer):
    few = LOGGED.replace("{line}", "{'loss': loss}")
    assert trainer(MODEL + few.replace("{losses}", "[0.7, 0.6, 0.7, 0.6]"))[0].witnesses["losses"] is None


def test_equal_seeds_leave_equal_witnesses_and_others_do_not(trainer):
    found = [trainer(MODEL, seed)[0].witnesses["final"] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
