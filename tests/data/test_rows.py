"""What each task reads of a row."""

from dataclasses import fields
from typing import get_args, get_type_hints

from seedband.commands.init.survey import NAMES
from seedband.data.rows import READINGS
from seedband.recipe.sections import DataSection, ModelSection
from seedband.tasks import BUILT_IN


def test_every_task_of_a_recipe_is_read_and_carried_out():
    asked = get_args(get_type_hints(ModelSection)["task"])
    assert set(asked) == READINGS.keys() == BUILT_IN.keys()


def test_every_column_that_is_read_can_be_named_in_a_recipe():
    keys = {entry.name for entry in fields(DataSection)}
    for task, reading in READINGS.items():
        assert keys >= set(reading.columns), task
        assert NAMES.keys() >= set(reading.roles), task


def test_what_a_task_predicts_may_be_scored():
    for task, kind in BUILT_IN.items():
        assert kind.outputs in kind.scored_by, task
