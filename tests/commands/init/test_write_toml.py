"""A recipe with its comments is that recipe."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from seedband.commands.init.write_toml import commented
from seedband.recipe.key_docs import sections

TABLE = {
    "data": {"name": "tickets", "slices": ["channel", 'day "x"'], "text": "utterance"},
    "train": {"epochs": 3, "learning_rate": 3e-3},
    "evaluate": [{"evaluator": "accuracy", "primary": True}, {"evaluator": "f1_macro"}],
}


def test_comments_say_what_keys_mean_and_values_stay():
    text = commented(TABLE, "Made by a test.")
    assert tomllib.loads(text) == TABLE
    assert text.startswith("# Made by a test.\n\n[data]\n")
    assert "epochs = 3                            # Passes over the training rows.\n" in text
    assert text.count(sections()["evaluate"].text) == 1
    assert max(map(len, text.splitlines())) <= 100


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_name_and_column_comes_back(name, column):
    table = {"data": {"name": name, "slices": [column]}}
    assert tomllib.loads(commented(table, "head")) == table
