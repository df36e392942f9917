"""Expressions of unknown origin."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband.storage.expressions import MAX_LENGTH, a_bounded_expression, matched

NAMES = [f"bert.encoder.layer.{layer}.attention.self.{name}" for layer in range(12) for name in ("query", "value")]


@pytest.mark.parametrize(
    "expression",
    [
        *(
            r".*\.query",
            "query",
            r"^bert\..*",
            r".*\.layer\.(0|1[01])\..*",
            r"layer\.[0-9]+\..*value$",
            r"(?:query|value)",
        ),
        *(r"(?!.*layer\.1\.).*query", r"layer\.\d{1,2}\.attention\.self\.(query)", r"a)|(.*value"),
    ],
)
def test_names_are_matched_as_peft_matches_them(expression):
    assert a_bounded_expression(expression) is (expression != r"a)|(.*value")
    expected = [name for name in NAMES if re.match(rf"(.*\.)?({expression})$", name)]
    assert matched(expression, NAMES) == expected


@given(st.text(alphabet=r"abq.*+?()[]|\d^${}12,:=!", max_size=12))
def test_an_expression_that_is_let_through_means_what_it_means_to_python(expression):
    if a_bounded_expression(expression):
        names = ["a.b", "q", "a.q.1", "b.1.q", "1.2"]
        assert matched(expression, names) == [n for n in names if re.match(rf"(.*\.)?({expression})$", n)]


def test_an_expression_that_takes_too_long_is_given_up():
    with pytest.raises(TimeoutError):
        matched("(.|.)*[56]", ["x" * 60])


@pytest.mark.parametrize("text", ["(", "(?R)", "(?P<a>b)", "a{1,99999}", "(a){e<=3}", "*", "é", "." * (MAX_LENGTH + 1)])
def test_other_signs_are_no_bounded_expression(text):
    assert not a_bounded_expression(text)
