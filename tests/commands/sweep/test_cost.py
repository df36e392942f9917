"""What a run will take."""

from dataclasses import replace

import pytest

from seedband.commands.sweep.cost import estimate
from seedband.commands.sweep.prepare import prepare
from seedband.recipe.parse import load_recipe


@pytest.fixture(scope="module")
def prepared(tiny_recipe):
    return prepare(load_recipe(tiny_recipe.config), offline=True)


def aiming_at(prepared, targets):
    lora = replace(prepared.recipe.lora, target_modules=targets)
    return replace(prepared, recipe=replace(prepared.recipe, lora=lora))


def test_what_is_adapted_decides_how_much_disk_a_run_takes(prepared):
    one, two = (estimate(aiming_at(prepared, targets)) for targets in (("query",), ("query", "value")))
    assert one.bytes_per_run < two.bytes_per_run
    assert one.steps == two.steps


def test_what_a_run_takes_is_known_from_those_before_it(prepared):
    assert estimate(prepared, [10.0, 20.0]).seconds_per_run == 15.0
    assert estimate(prepared).seconds_from == "a rough guess, for CPU"


def test_heads_share_what_takes_time(prepared):
    heads = replace(prepared, recipe=replace(prepared.recipe, train=replace(prepared.recipe.train, method="head")))
    head, adapter = estimate(heads), estimate(prepared)
    assert head.seconds(256, 2) < 10 * head.seconds(4, 2)
    assert adapter.seconds(0, 2) == 0.0
    assert adapter.seconds(4, 1) - adapter.seconds_once == pytest.approx(
        2 * (adapter.seconds(4, 2) - adapter.seconds_once), abs=0.2
    )
