"""Metrics that a training command reports: how each is read, and which direction of it is better."""

from seedband.errors import Problem
from seedband.evaluators import built_in
from seedband.recipe import train_command
from seedband.recipe.sections import Recipe
from seedband.storage.json_files import JsonObject


def definitions(recipe: Recipe) -> JsonObject:
    """Metric → what it is: by which name or expression the command reports it, and which direction is better."""
    patterns = train_command.patterns_of(recipe.train, recipe.evaluate)
    return {
        entry.metric: {
            "read": {"printed": patterns[entry.metric]} if patterns else {"written": train_command.key_of(entry)},
            "higher_is_better": _higher_is_better(entry.args, train_command.key_of(entry)),
        }
        for entry in recipe.evaluate
    }


def direction_problems(recipe: Recipe) -> list[Problem]:
    """A metric must say which direction is better, unless a built-in evaluator of its name does."""
    problems = []
    for index, entry in enumerate(recipe.evaluate, 1):
        where, own = f"evaluate[{index}].args.higher_is_better", _built_in_direction(entry.metric)
        given = entry.args.get("higher_is_better")
        if given is None and _higher_is_better(entry.args, train_command.key_of(entry)) is None:
            problems.append(
                Problem(where, "nothing", f"true or false: which is better for {train_command.key_of(entry)}?")
            )
        if given is not None and own is not None and given != own:
            problems.append(
                Problem(where, str(given).lower(), f"{str(own).lower()}, as for the built-in {entry.metric}")
            )
    return problems


def _higher_is_better(args: JsonObject, key: str) -> bool | None:
    given = args.get("higher_is_better")
    return given if isinstance(given, bool) else _built_in_direction(key)


def _built_in_direction(name: str) -> bool | None:
    evaluator = built_in(name)
    return None if evaluator is None else evaluator.higher_is_better
