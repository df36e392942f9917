"""Recipes: every mistake at once, each with its key path; nothing but a UsageError for whatever stands in a file."""

import re
import tomllib
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import recipe_text

from seedband.errors import UsageError
from seedband.recipe.parse import differing_keys, dump_recipe, find_config, load_recipe, parse_recipe

times = st.dates() | st.datetimes().map(lambda time: time.replace(fold=0))
floats = st.floats(allow_nan=False, allow_infinity=False)


def nested(scalars):
    text = st.text(max_size=8)
    return st.recursive(
        scalars | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=6,
    )


values = nested(st.booleans() | st.integers() | st.floats() | times)
args = st.dictionaries(st.text(max_size=8), nested(st.booleans() | st.integers() | floats | times), max_size=3)
SECTIONS = tomllib.loads(
    recipe_text(seeds_vary='["init"]', gate_alpha="0.1", gate_metrics="[]", gate_history="[]", head_dropout="0.1")
)
KEYS = [(name, key) for name, keys in SECTIONS.items() for key in [*keys, "x", "str"] if name != "evaluate"]


def table(**changes):
    return tomllib.loads(recipe_text(**changes))


def problems(content):
    with pytest.raises(UsageError) as caught:
        parse_recipe(content, "there")
    assert caught.value.message.startswith("there: ")
    return {problem.where: problem for problem in caught.value.problems}


def test_reads_a_recipe_with_its_defaults():
    recipe = parse_recipe(table(), "there")
    assert (recipe.train.epochs, recipe.train.learning_rate, recipe.data.slices) == (8, 0.01, ("channel",))
    assert (recipe.head.pooling, recipe.gate.alpha, recipe.determinism.threads) == ("auto", 0.05, 1)
    assert (recipe.primary, recipe.seeds.vary) == ("accuracy", ("init", "order", "dropout"))
    with pytest.raises(FrozenInstanceError):
        recipe.train = recipe.train


def test_names_every_mistake_at_once():
    found = problems(
        table(
            train_epochs="0", train_lerning_rate="1", lora_dropout="1.0", modle_x="1", gate_rule='"z"', data_name='" "'
        )
    )
    assert set(found) == {"train.epochs", "train.lerning_rate", "lora.dropout", "modle", "gate.rule", "data.name"}
    assert (found["train.epochs"].found, found["train.epochs"].expected) == ("0", "greater than or equal to 1")
    assert found["train.lerning_rate"].hint == "did you mean learning_rate?"
    assert found["modle"].hint == "did you mean model?"
    assert found["gate.rule"].expected == "'retest', 't' or 'range'"


@pytest.mark.parametrize(
    ("change", "where", "hint"),
    [
        ({"lora_rr": "8"}, "lora.rr", "did you mean r?"),
        ({"train_r": "8"}, "train.r", "did you mean r in [lora]?"),
        ({"model_batch_size": "8"}, "model.batch_size", "did you mean batch_size in [train]?"),
        ({"data_zzzz": "8"}, "data.zzzz", ""),
        ({"zzzz_x": "8"}, "zzzz", ""),
    ],
)
def test_suggests_the_nearest_key(change, where, hint):
    [problem] = problems(table(**change)).values()
    assert (problem.where, problem.found, problem.hint) == (where, "an unknown key", hint)


def test_suggests_keys_of_an_evaluator_by_its_position():
    content = table()
    content["evaluate"][1]["primry"] = True
    assert problems(content)["evaluate[2].primry"].hint == "did you mean primary?"


def test_names_missing_sections_and_keys():
    assert set(problems({})) == {"model", "data", "train", "evaluate"}
    content = table()
    del content["data"]["eval"], content["train"]["method"], content["evaluate"][2]["evaluator"]
    found = problems(content)
    assert set(found) == {"data.eval", "train.method", "evaluate[3].evaluator"}
    assert found["data.eval"].found == "nothing"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"train_learning_rate": "nan"}, "nan"),
        ({"train_learning_rate": "inf"}, "inf"),
        ({"train_warmup_ratio": "1.01"}, "1.01"),
        ({"train_max_steps": "0"}, "0"),
        ({"train_epochs": "1.5"}, "1.5"),
        ({"lora_alpha": "nan"}, "nan"),
        ({"gate_alpha": "0.3"}, "0.3"),
        ({"determinism_threads": "1025"}, "1025"),
        ({"model_base": '""'}, "''"),
        ({"model_sha256": '"abc"'}, "'abc'"),
        ({"data_slices": '"channel"'}, "'channel'"),
        ({"seeds_vary": "[]"}, "[]"),
        ({"lora_target_modules": "[]"}, "no module"),
        ({"lora_target_modules": "3"}, "3"),
    ],
)
def test_refuses_values_out_of_range_once_a_key(change, found):
    [problem] = problems(table(**change)).values()
    assert (problem.where, problem.found) == (next(iter(change)).replace("_", ".", 1), found)


def test_names_the_entry_of_a_list_and_not_the_list():
    assert set(problems(table(seeds_vary='["ordr"]'))) == {"seeds.vary[1]"}
    assert set(problems(table(lora_target_modules='["query", 3]'))) == {"lora.target_modules[2]"}
    content = {**table(), "evaluate": [{"evaluator": ""}]}
    assert set(problems(content)) == {"evaluate[1].evaluator"}


@pytest.mark.parametrize("primaries", [[], [0, 1]])
def test_refuses_other_than_one_primary(primaries):
    content = table()
    for number, section in enumerate(content["evaluate"]):
        section["primary"] = number in primaries
    assert problems(content)["evaluate"].found == f"{len(primaries)} metrics with primary = true"


def test_refuses_an_evaluator_twice():
    content = table()
    content["evaluate"].append({"evaluator": "f1_macro"})
    assert problems(content)["evaluate"].found == "metric 'f1_macro' twice"


def test_reads_the_gates_and_the_history():
    gate = parse_recipe(table(), "there").gate
    assert (gate.metrics, gate.history) == ((), ())
    content = table(gate_metrics='["log_loss", "accuracy"]', gate_history='["a.json", "../b.json"]', gate_alpha="0.002")
    gate = parse_recipe(content, "there").gate
    assert (gate.metrics, gate.history, gate.alpha) == (("log_loss", "accuracy"), ("a.json", "../b.json"), 0.002)


@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        (
            {"gate_metrics": '["accuracy", "f1", "bleu"]'},
            [("gate.metrics", "'f1'"), ("gate.metrics", "'bleu'")],
            "of the metrics accuracy, f1_macro, log_loss",
        ),
        (
            {"gate_metrics": '["f1_macro", "log_loss"]'},
            [("gate.metrics", "f1_macro, log_loss")],
            "the primary metric 'accuracy' among them",
        ),
        (
            {"gate_metrics": '["accuracy", "f1_macro"]', "gate_alpha": "0.0015"},
            [("gate.alpha", "0.00075 for each of 2 metrics")],
            "at least 0.001 each",
        ),
        ({"gate_history": '["a.json"]'}, [("gate.history", "1 band")], "2 or more: how far variances differ takes two"),
        ({"gate_metrics": '"accuracy"'}, [("gate.metrics", "'accuracy'")], "a valid array"),
        ({"gate_history": "[3, 4]"}, [("gate.history[1]", "3"), ("gate.history[2]", "4")], "a valid string"),
        ({"gate_rule": '"paired"'}, [("gate.rule", "'paired'")], "'retest', 't' or 'range'"),
    ],
)
def test_names_the_mistakes_of_a_gate(change, found, expected):
    with pytest.raises(UsageError) as caught:
        parse_recipe(table(**change), "there")
    told = caught.value.problems
    assert [(problem.where, problem.found) for problem in told] == found
    assert {problem.expected for problem in told} == {expected}


def test_reads_the_table_of_a_pyproject(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text(re.sub(r"^(\[+)", r"\1tool.seedband.", recipe_text(), flags=re.MULTILINE), encoding="utf-8")
    assert find_config(tmp_path) == path
    assert load_recipe(path)[:2] == (parse_recipe(table(), "there"), tmp_path)


def test_names_the_table_of_a_pyproject_with_mistakes(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.seedband]\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"pyproject.toml \[tool.seedband\]: 4 mistakes"):
        load_recipe(path)


def test_prefers_seedband_toml(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.seedband]\n", encoding="utf-8")
    (tmp_path / "seedband.toml").write_text(recipe_text(), encoding="utf-8")
    assert find_config(tmp_path) == tmp_path / "seedband.toml"


@pytest.mark.parametrize("pyproject", [None, "", "[tool.other]\nx = 1\n"])
def test_says_where_it_looked_for_a_recipe(tmp_path, pyproject):
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    with pytest.raises(UsageError, match="no recipe: found neither") as caught:
        find_config(tmp_path)
    assert "--config" in caught.value.hint


@pytest.mark.parametrize("content", [b"[model", b"a = 1\na = 2\n", b"a = '\xff'"])
def test_refuses_malformed_toml(tmp_path, content):
    with pytest.raises(UsageError, match="no such file"):
        load_recipe(tmp_path / "seedband.toml")
    (tmp_path / "seedband.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"not valid TOML|not UTF-8"):
        load_recipe(tmp_path / "seedband.toml")


@given(args, st.text())
@settings(deadline=None, max_examples=50)
def test_dumped_recipe_reads_the_same(arguments, version):
    content = table(train_max_steps="7", lora_target_modules='["query", "value"]')
    content["data"]["version"] = version
    content["evaluate"][0]["args"] = arguments
    recipe = parse_recipe(content, "there")
    assert parse_recipe(tomllib.loads(dump_recipe(recipe)), "again") == recipe


def test_differing_keys_are_paths():
    first = {"a": {"x": 1, "y": {"z": 2}}, "b": 3, "c": {"d": 1}}
    second = {"a": {"x": 1, "y": {"z": 5}}, "c": 4, "e": None}
    assert differing_keys(first, second) == differing_keys(second, first) == ["a.y.z", "b", "c", "e"]
    assert differing_keys(first, first) == []


@given(st.dictionaries(st.sampled_from([*table(), "x"]) | st.text(max_size=8), values, max_size=6))
@settings(deadline=None)
def test_whatever_stands_in_a_file_validates_or_is_a_usage_error(content):
    assert problems(content)


@given(st.lists(st.tuples(st.sampled_from(KEYS), values), min_size=1, max_size=3))
@settings(deadline=None, max_examples=200)
def test_a_changed_recipe_validates_or_is_a_usage_error(changes):
    content = table()
    for (section, key), value in changes:
        content.setdefault(section, {})[key] = value
    try:
        recipe = parse_recipe(content, "there")
    except UsageError:
        return
    assert parse_recipe(tomllib.loads(dump_recipe(recipe)), "again") == recipe


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("train", "epochs", True), ("train", "epochs", "3"), ("train", "learning_rate", "1e-2"), ("lora", "alpha", True)],
)
def test_values_of_another_type_are_mistakes(section, key, value):
    table = tomllib.loads(recipe_text())
    table[section][key] = value
    with pytest.raises(UsageError, match=f"{section}.{key}"):
        parse_recipe(table, "seedband.toml")


@pytest.mark.parametrize("text", ["tool = 5", "[tool]\nseedband = 5", 'tool = "seedband"', "a = " + "[" * 20000])
def test_odd_pyproject_is_a_usage_error(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        find_config(tmp_path)
    with pytest.raises(UsageError):
        load_recipe(tmp_path / "pyproject.toml")


def test_arguments_of_evaluators_are_finite():
    table = tomllib.loads(recipe_text())
    table["evaluate"][0]["args"] = {"x": [1.0, float("inf")]}
    with pytest.raises(UsageError, match="finite numbers"):
        parse_recipe(table, "seedband.toml")


def test_one_evaluator_can_stand_twice_under_two_names():
    sections = [
        {"evaluator": "f1_macro", "primary": True},
        {"evaluator": "f1_macro", "name": "f1_lenient", "args": {"zero_division": 1.0}},
    ]
    recipe = parse_recipe({**tomllib.loads(recipe_text()), "evaluate": sections}, "there")
    assert [section.metric for section in recipe.evaluate] == ["f1_macro", "f1_lenient"]
    assert recipe.primary == "f1_macro"
    assert parse_recipe(tomllib.loads(dump_recipe(recipe)), "again") == recipe


def test_the_label_is_a_slice_where_it_is_a_class():
    table = tomllib.loads(recipe_text(data_slices='["label"]'))
    assert parse_recipe(table, "there").data.slices == ("label",)
    table["model"]["task"] = "causal-lm"
    with pytest.raises(UsageError) as caught:
        parse_recipe(table, "there")
    assert caught.value.problems[0].where == "data.slices"
