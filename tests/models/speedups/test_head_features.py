"""Kept features: those of another model are dropped, told of, and computed anew; of texts and of images."""

import pytest
import torch
from digits import make_digits, write_recipe
from tiny import Tiny
from training import context_of

from seedband import tasks
from seedband.models import encoded
from seedband.models.speedups.feature_cache import DROPPED, FeatureCache
from seedband.models.speedups.head_features import compute_features
from seedband.models.speedups.linear_heads import linear_head


@pytest.fixture(params=["texts", "images"])
def built(request, tmp_path):
    """A network that ends in a linear head, and rows for it."""
    if request.param == "texts":
        context = context_of(request.getfixturevalue("tiny_recipe"), method="head")
    else:
        make_digits(tmp_path)
        write_recipe(tmp_path, train={"method": "head"})
        context = context_of(Tiny(tmp_path), method="head")
    task = tasks.find(context.scoring.task)
    torch.manual_seed(0)
    network = task.load(context.scoring.base.path, context.scoring.labels)
    for name, parameter in network.module.named_parameters():
        parameter.requires_grad_(name in network.new)
    return network, task.encode(context.items, context.scoring)


def features_of(built, cache, told=None):
    network, lesson = built
    head = linear_head(network, lesson.batch(encoded.probe_rows(lesson), torch.device("cpu")), network.module.eval)

    def emit(kind, _, content):
        assert kind == "warning"
        told.append(content["text"])

    return compute_features(head, lesson, 16, "cpu", cache, ["key"], emit)


def change(network, by):
    with torch.no_grad():
        for name, parameter in network.module.named_parameters():
            if name not in network.new:
                parameter.mul_(by)


def test_features_that_another_base_left_are_dropped_and_that_is_told_once(built, tmp_path):
    cache, plain = FeatureCache(tmp_path / "features", "here"), FeatureCache()
    own, told = features_of(built, plain), []
    change(built[0], 1.01)
    other = features_of(built, cache, told)
    change(built[0], 1 / 1.01)
    assert told == []
    assert not torch.allclose(own, other, atol=1e-4)
    again = features_of(built, cache, told)
    assert told == [DROPPED]
    torch.testing.assert_close(again, own, atol=1e-4, rtol=1e-4)
    files = list((tmp_path / "features").rglob("*.safetensors"))
    before = {file: file.stat().st_mtime_ns for file in files}
    assert torch.equal(features_of(built, cache, told), again)
    assert told == [DROPPED]
    assert files
    assert {file: file.stat().st_mtime_ns for file in files} == before
