"""Commands of users: what a recipe may say of one, told by key path before anything is run."""

import sys
from pathlib import Path

import pytest
from own_scripts import command_text
from tiny import recipe_text

from seedband.determinism.seeds import STREAMS, streams
from seedband.errors import UsageError
from seedband.recipe.parse import load_recipe
from seedband.recipe.train_command import arguments_of, filled, missing_files, named_files, program_of, stream_seed


def mistakes(tmp_path, text):
    path = tmp_path / "seedband.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as told:
        load_recipe(path)
    return [str(problem) for problem in told.value.problems]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train_command": '"python train.py --out {out}"'}, "train.command: found no placeholder for a seed"),
        ({"train_command": '"python train.py --seed {seed}"'}, "train.command: found no {out}"),
        ({"train_command": '"python t.py {seed} {out} {sead}"'}, "train.command: found {sead}, expected of {seed}"),
        ({"train_command": '"python t.py \'{seed} {out}"'}, "train.command: found no closing quotation"),
        ({"train_command": '" "'}, "train.command: found ' ', expected"),
        ({"train_command": "[]"}, "train.command: found []"),
        ({"train_command": '["python", 3]'}, "train.command[2]: found 3"),
        ({"train_timeout_s": "0"}, "train.timeout_s: found 0"),
        ({"train_retries": "-1"}, "train.retries: found -1"),
        ({"train_epochs": "7"}, 'train.epochs: found method "command", expected no such key'),
        ({"lora_r": "4"}, 'lora.r: found method "command"'),
        ({"init_head": '"zeros"'}, 'init.head: found method "command"'),
        ({"seeds_vary": '["init"]'}, "train.command: found {seed} with seeds.vary = init, expected {init_seed} in its"),
        (
            {"seeds_vary": '["init", "order"]', "train_command": '"python t.py {init_seed} {out}"'},
            "train.command: found no {order_seed}, expected a placeholder for each stream",
        ),
    ],
)
def test_a_mistake_in_a_command_is_told_by_its_key(tmp_path, changes, told):
    found = mistakes(tmp_path, command_text(**changes))
    assert any(mistake.startswith(told) for mistake in found), found


def test_every_mistake_of_a_command_is_told_at_once(tmp_path):
    text = command_text(train_command='"python train.py {sead}"', init_lora='"zeros"')
    assert len(mistakes(tmp_path, text)) == 4


def test_a_recipe_of_another_method_has_no_command(tmp_path):
    text = recipe_text(train_command='"python train.py {seed} {out}"', train_retries="2")
    assert mistakes(tmp_path, text) == [
        'train.command: found method "lora", expected method = "command", or no such key',
        'train.retries: found method "lora", expected method = "command", or no such key',
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train_command": '["python", "train.py", "{seed}", "{out}"]', "train_timeout_s": "60", "train_retries": "2"},
        {"train_command": '"python t.py {init_seed} {order_seed} {dropout_seed} {out}"'},
        {"train_command": '"python t.py {order_seed} {out} {base} {train} {eval}"', "seeds_vary": '["order"]'},
    ],
)
def test_sound_commands_are_taken(tmp_path, changes):
    path = tmp_path / "seedband.toml"
    path.write_text(command_text(**changes), encoding="utf-8")
    assert load_recipe(path).recipe.train.method == "command"


def test_placeholders_are_filled_in_after_splitting_and_once():
    arguments = arguments_of("python train.py '--out={out}' --note '{seed} of {train}'")
    values = {"out": "runs/my sweep/{seed}", "seed": "3", "train": "a 'b'"}
    assert [filled(argument, values) for argument in arguments] == [
        "python", "train.py", "--out=runs/my sweep/{seed}", "--note", "3 of a 'b'",
    ]  # fmt: skip
    assert arguments_of(["a b", "$HOME"]) == ("a b", "$HOME")


def test_an_environment_that_is_not_activated_has_its_own_python(tmp_path, monkeypatch):
    (tmp_path / "train.sh").write_text("#!/bin/sh\n")
    (tmp_path / "train.sh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_of("train.sh", Path("elsewhere")) == str(tmp_path / "train.sh")
    assert program_of("./train.sh", tmp_path) == str(tmp_path / "train.sh")
    assert program_of(Path(sys.executable).name, tmp_path) == sys.executable
    assert program_of("no-such-program", tmp_path) is None


def test_stream_seeds_fit_32_bits_and_differ():
    seeds = [stream_seed(seed) for root in range(50) for seed in streams(root, STREAMS).values()]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_scripts_and_settings_are_looked_for_where_the_command_starts(tmp_path):
    (tmp_path / "train.py").touch()
    (tmp_path / "data.txt").touch()
    command = "python train.py --config conf.yaml --data data.txt --to {out}.py --seed {seed}"
    assert missing_files(command, tmp_path) == ["conf.yaml"]
    assert sorted(named_files(command, tmp_path)) == ["data.txt", "train.py"]
    (tmp_path / "run.sh").touch()
    assert sorted(named_files("./run.sh {seed} {out}", tmp_path)) == ["./run.sh"]
