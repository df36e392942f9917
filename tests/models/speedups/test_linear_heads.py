"""Which networks end in one linear layer, found out by running them."""

import pytest
import torch
from torch import nn

from seedband.models.loading import Network
from seedband.models.speedups.linear_heads import linear_head


class Model(nn.Module):
    def __init__(self, forward, dropout=0.5):
        super().__init__()
        self.backbone = nn.Linear(5, 4)
        self.early, self.dropout = nn.Dropout(dropout), nn.Dropout(dropout)
        self.dense, self.classifier = nn.Linear(4, 4), nn.Linear(4, 3)
        self._call = forward

    def forward(self, x):
        return self._call(self, x)


BATCH = {"x": torch.linspace(-1, 1, 10).reshape(2, 5)}
NEW = ("classifier.weight", "classifier.bias")


def found(forward, new=NEW, **given):
    model = Model(forward, **given)
    network = Network(model, lambda batch: model(batch["x"]), new, 0.02, "")
    head = linear_head(network, BATCH, model.train)
    assert not model.training
    return head, model


def test_dropout_and_a_linear_layer_are_a_linear_head():
    head, model = found(lambda m, x: m.classifier(m.dropout(m.backbone(x).tanh())))
    assert (head.name, head.layer, head.dropout, head.rate) == ("classifier", model.classifier, "dropout", 0.5)
    assert torch.equal(head.features(BATCH), model.backbone(BATCH["x"]).tanh())


def test_without_dropout_the_rate_is_zero():
    for forward, given in (
        (lambda m, x: m.classifier(m.backbone(x)), {}),
        (lambda m, x: m.classifier(m.dropout(m.backbone(x))), {"dropout": 0.0}),
    ):
        head, _ = found(forward, **given)
        assert (head.dropout, head.rate) == ("", 0.0)


@pytest.mark.parametrize(
    ("forward", "new"),
    [
        (lambda m, x: m.classifier(m.dense(m.backbone(x))), (*NEW, "dense.weight")),
        (lambda m, x: m.classifier(m.dropout(m.dense(m.early(m.backbone(x))))), NEW),
        (lambda m, x: m.classifier(torch.dropout(m.backbone(x), 0.5, m.training)), NEW),
        (lambda m, x: m.classifier(m.backbone(x)).tanh(), NEW),
        (lambda m, x: m.classifier(m.backbone(x)) + m.classifier(x[:, :4]), NEW),
        (lambda m, x: m.classifier(m.backbone(x).unsqueeze(1))[:, 0], NEW),
        (lambda m, x: m.backbone(x), NEW),
    ],
    ids=["two new layers", "dropout before", "dropout by function", "not the end", "called twice", "tokens", "unused"],
)
def test_any_other_end_is_none(forward, new):
    assert found(forward, new)[0] is None
