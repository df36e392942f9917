"""What a line that a command prints says of a metric, by the expression for it."""

import pytest

from seedband.recipe.printed_scores import read

DIGITS = "eval_accuracy=([0-9.]+)"
WHOLE = r"eval_accuracy=(\S+)"


@pytest.mark.parametrize(
    ("pattern", "line", "score"),
    [
        (DIGITS, "eval_accuracy=0.9", "0.9"),
        (DIGITS, "eval_accuracy=0.9 eval_loss=1e3", "0.9"),
        (DIGITS, "eval_accuracy=0.9, done", "0.9"),
        (DIGITS, "It has eval_accuracy=0.9.", "0.9"),
        (r"acc=(\d\.\d+)", "It has acc=0.9. Done", "0.9"),
        (WHOLE, "eval_accuracy=1.234e+03", "1.234e+03"),
        (WHOLE, "eval_accuracy=nan", "nan"),
        (r"acc@1-(\S+)", "acc@1-0.9", "0.9"),
        ("(?:dev|test)-acc ([0-9.]+)", "test-acc 0.9", "0.9"),
    ],
)
def test_a_whole_number_is_read(pattern, line, score):
    assert read(pattern, line) == (score, "")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (DIGITS, "eval_accuracy=1.234e+03"),
        (DIGITS, "eval_accuracy=0.9-0.1"),
        (DIGITS, "eval_accuracy=1_000"),
        (r"acc=(\d+)", "acc=0.9"),
        (r"acc=([0-9.]+).*", "acc=1.2e3"),
        (r"acc.*([0-9.]+)", "acc 0.93"),
        (r"mcc=.*?([0-9.]+)", "mcc=-0.3"),
    ],
)
def test_a_part_of_a_number_is_none(pattern, line):
    assert "which is a part of what stands there" in read(pattern, line).problem


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (DIGITS, "eval_accuracy=nan"),
        (DIGITS, "now eval_accuracy=-0.9"),
        (r"^eval\.accuracy: *([0-9.]+)", "eval.accuracy:  nan"),
        (r"accuracy:\s*(?P<score>[0-9.]+)", "accuracy: inf"),
    ],
)
def test_the_text_of_an_expression_without_a_number_is_told(pattern, line):
    assert "finds no number where its text stands last" in read(pattern, line).problem


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (DIGITS, "loss=0.9"),
        ("^acc=([0-9.]+)", "eval acc=nan"),
        (r"acc.*step=5 ([0-9.]+)", "acc at step=4 0.9"),
        ("([0-9.]+)", "nothing"),
        (" = ([0-9.]+)", "name = tiny"),
    ],
)
def test_other_lines_say_nothing(pattern, line):
    assert read(pattern, line) is None
