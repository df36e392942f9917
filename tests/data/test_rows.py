"""What each task reads of a row."""

from dataclasses import fields

from seedband.commands.init.survey import NAMES
from seedband.recipe.sections import DataSection
from seedband.storage.registry import TASKS
from seedband.tasks import find


def test_every_column_that_is_read_can_be_named_in_a_recipe():
    keys = {entry.name for entry in fields(DataSection)}
    for task in TASKS.names():
        assert keys >= set(find(task).reading.columns), task
        assert NAMES.keys() >= set(find(task).reading.roles), task


def test_what_a_task_predicts_may_be_scored():
    for task in TASKS.names():
        assert find(task).outputs in find(task).scored_by, task
