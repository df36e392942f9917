"""The registry: what is built in and what packages bring, by name; a name means one thing."""

import sys
from types import SimpleNamespace
from typing import Annotated

import pytest
from installed import loaded_by
from plugins import install
from pydantic import TypeAdapter

from seedband import trainers
from seedband.errors import UsageError
from seedband.storage import registry
from seedband.storage.registry import METHODS, Known, Registry

EVERY = [value for value in vars(registry).values() if isinstance(value, Registry)]
HOUSE = Registry("thing", "house.things", {"door": "seedband.errors:UsageError"})


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.group)
def test_everything_that_is_built_in_is_there(kind):
    assert all(kind.find(name) for name in kind.built_in)


def test_no_two_kinds_share_a_group():
    assert len({kind.group for kind in EVERY}) == len({kind.kind for kind in EVERY}) == len(EVERY)


def test_a_package_adds_a_name(monkeypatch):
    install(monkeypatch, HOUSE, ("window", "house_of_mine:Window"))
    monkeypatch.setitem(sys.modules, "house_of_mine", SimpleNamespace(Window=3))
    assert HOUSE.names() == ["door", "window"]
    assert HOUSE.find("window") == 3
    assert "window" in HOUSE


def test_an_entry_point_may_be_a_module(monkeypatch):
    install(monkeypatch, HOUSE, ("window", "house_of_mine"))
    monkeypatch.setitem(sys.modules, "house_of_mine", 3)
    assert HOUSE.find("window") == 3


@pytest.mark.parametrize("place", ["no_such_package:Window", "house_of_mine:Door"])
def test_what_a_package_brings_and_cannot_be_imported_is_told_with_its_place(monkeypatch, place):
    install(monkeypatch, HOUSE, ("window", place))
    monkeypatch.setitem(sys.modules, "house_of_mine", SimpleNamespace(Window=3))
    with pytest.raises(UsageError, match=f"thing 'window' is installed as {place}, which cannot be imported") as caught:
        HOUSE.find("window")
    assert "uninstall it" in caught.value.hint


def test_kinds_are_light():
    light = "TASKS, METHODS, RULES, CHECKPOINT_KINDS, JOB_KINDS, REPORTS, EXECUTORS, SCORE_FILES"
    code = f"from seedband.storage.registry import {light}; "
    code += f"[kind.find(name) for kind in ({light}) for name in kind.built_in]"
    assert not loaded_by("-c", code) & {"torch", "transformers", "peft", "sklearn"}


def test_a_method_of_a_package_may_be_a_module_that_trains(monkeypatch):
    install(monkeypatch, METHODS, ("mine", "trainer_of_mine"))
    module = SimpleNamespace(train=lambda context, runs, report: iter([(context, *runs)]))
    monkeypatch.setitem(sys.modules, "trainer_of_mine", module)
    method = trainers.find("mine")
    assert (method.name, method.max_group, method.adapts) == ("mine", 1, False)
    assert list(method.train("context", [7], None)) == [("context", 7)]


def test_a_name_that_is_not_known_names_those_that_are():
    with pytest.raises(UsageError, match="unknown thing 'roof'") as caught:
        HOUSE.find("roof")
    assert caught.value.hint == "there are door"


def test_a_name_that_two_packages_claim_is_refused(monkeypatch):
    install(monkeypatch, HOUSE, ("window", "one:Window"), ("window", "two:Window"))
    with pytest.raises(UsageError, match="thing 'window' is claimed by one:Window and two:Window"):
        HOUSE.names()


def test_a_built_in_name_that_a_package_claims_is_refused_and_no_other(monkeypatch):
    install(monkeypatch, HOUSE, ("door", "one:Door"), ("window", "house_of_mine:Window"))
    with pytest.raises(UsageError, match="thing 'door' is built in and also installed as one:Door"):
        HOUSE.find("door")
    assert HOUSE.place("window") == "house_of_mine:Window"


def test_a_record_may_hold_known_names_and_its_schema_lists_the_built_in_ones(monkeypatch):
    install(monkeypatch, HOUSE, ("window", "house_of_mine:Window"))
    adapter = TypeAdapter(Annotated[str, Known(HOUSE)])
    assert adapter.validate_python("window") == "window"
    assert adapter.json_schema() == {"type": "string", "enum": ["door"]}
    with pytest.raises(ValueError, match="should be 'door' or 'window'"):
        adapter.validate_python("roof")
    with pytest.raises(ValueError, match="should be 'window'"):
        TypeAdapter(Annotated[str, Known(HOUSE, without=("door",))]).validate_python("door")


def test_a_name_that_is_checked_later_is_listed_all_the_same():
    later = TypeAdapter(Annotated[str, Known(HOUSE, checked=False)])
    assert later.validate_python("cellar") == "cellar"
    assert later.json_schema()["enum"] == TypeAdapter(Annotated[str, Known(HOUSE)]).json_schema()["enum"]
