"""Options by keyword: type checkers and the program know the same ones."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from seedband import fit_band
from seedband.bands.band import Band
from seedband.bands.options import Fitting, FittingKeys, Judging, JudgingKeys


@pytest.mark.parametrize(("record", "keys"), [(Judging, JudgingKeys), (Fitting, FittingKeys)])
def test_every_option_is_typed_and_explained(record, keys):
    names = {"Band": Band}
    assert {entry.name for entry in fields(record)} == {*keys.__annotations__}
    assert get_type_hints(record, localns=names) == get_type_hints(keys, localns=names)
    assert all(f"    {entry.name}: " in record.__doc__ for entry in fields(record))


def test_an_option_that_is_none_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'alhpa'"):
        fit_band({"accuracy": [0.8, 0.9]}, alhpa=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rul'"):
        fit_band({"accuracy": [0.8, 0.9]}).judge({"accuracy": 0.8}, rul="t")
