"""Hyper-parameters that a recipe begins with."""

import pytest

from seedband.commands.init.hyperparameters import sections_of
from seedband.errors import UsageError

TASK = "text-classification"


def of(method=None, command=None, task=TASK, n_train=1000, n_parameters=22_000_000):
    return sections_of(method, command, task=task, n_train=n_train, n_parameters=n_parameters)


@pytest.mark.parametrize(("n_train", "epochs"), [(20, 20), (1000, 3), (100_000, 2)])
def test_few_rows_are_passed_over_more_often(n_train, epochs):
    assert of(n_train=n_train)["train"]["epochs"] == epochs


def test_larger_models_learn_in_smaller_steps_and_a_head_alone_in_the_largest():
    rates = [of(n_parameters=n)["train"]["learning_rate"] for n in (22e6, 110e6, 270e6, 7e9)]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 4
    head = of("head")
    assert head["train"]["learning_rate"] > rates[0]
    assert "lora" not in head


def test_a_command_knows_its_own():
    command = "python train.py --seed {seed} --out {out}"
    assert of(command=command) == {"train": {"method": "command", "command": command}}


def test_a_method_that_cannot_train_the_task_is_a_mistake():
    with pytest.raises(UsageError, match="--method head: cannot train causal-lm"):
        of("head", task="causal-lm")
