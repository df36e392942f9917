"""Every key of seedband.toml has its documentation, and it is read from where it stands."""

from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

from seedband.recipe.key_docs import sections
from seedband.recipe.sections import LoraSection, Recipe


def section_classes():
    for name, hint in get_type_hints(Recipe).items():
        yield name, next(kind for kind in (hint, *get_args(hint)) if is_dataclass(kind))


def test_every_key_of_every_section_is_documented_in_order():
    described = sections()
    assert list(described) == [name for name, _ in section_classes()]
    for name, section in section_classes():
        assert list(described[name].keys) == [f.name for f in fields(section)]
        assert all(described[name].keys.values())
        assert described[name].text.endswith(".")


def test_texts_are_those_below_the_keys():
    assert sections()["lora"].keys["alpha"] == "Scale: the update is multiplied by alpha / r."
    assert LoraSection.__doc__ is not None
    assert LoraSection.__doc__.endswith(sections()["lora"].text[1:])
