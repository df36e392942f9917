"""Forward: levers are decided alike for every seed, and leave what is trained as it was drawn."""

import pytest
import torch
from training import built, context_of, network_of, silent

from seedband.trainers.loop import forward
from seedband.trainers.loop.forward import Forward


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_levers_do_not_depend_on_what_the_head_was_drawn_as(tiny_recipe, monkeypatch, value):
    context, decided = context_of(tiny_recipe), []
    model, lesson = built(context)
    heads = [parameter for name, parameter in model.named_parameters() if "classifier.modules_to_save" in name]
    for head in heads:
        torch.nn.init.constant_(head, value)
    for name in ("keep_first_token", "pack_rows"):
        lever = getattr(forward, name)
        monkeypatch.setattr(forward, name, lambda *given, lever=lever: decided.append(lever(*given)))
    Forward(network_of(model), heads, lesson, context, silent, drop_out=True)
    assert decided == ["base_model.model.bert.encoder.layer.1.attention.output", True]
    assert all(bool((head == value).all()) for head in heads)
