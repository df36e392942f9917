"""KeyedDropout: masks as a function of seed, step, pass, module and call."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from seedband.trainers.dropout import KeyedDropout


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Dropout(0.5)
        self.second = nn.Dropout(0.5)

    def forward(self, x):
        return torch.stack([self.first(x), self.second(x), functional.dropout(x, 0.5, self.training)])


X = torch.ones(40, 50)


def masks(seed=1, step=0, accumulated=0, model=None, times=1):
    model = model or Block()
    keyed = KeyedDropout(model, seed)
    with keyed:
        keyed.start_pass(step, accumulated)
        out = [model(X) for _ in range(times)]
    return out if times > 1 else out[0]


def test_masks_do_not_depend_on_the_global_generator():
    torch.manual_seed(0)
    first = masks()
    torch.manual_seed(1)
    assert torch.equal(first, masks())


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 1}, {"accumulated": 1}])
def test_seed_step_and_pass_each_change_every_mask(other):
    for here, there in zip(masks(), masks(**other), strict=True):
        assert not torch.equal(here, there)


def test_modules_and_calls_have_masks_of_their_own():
    first, second, own = masks()
    assert not torch.equal(first, second)
    assert not torch.equal(second, own)
    once, again = masks(times=2)
    assert not torch.equal(once, again)


def test_a_module_more_leaves_the_other_masks_alone():
    wider = Block()
    wider.extra = nn.Dropout(0.5)
    keyed = KeyedDropout(wider, 1)
    with keyed:
        keyed.start_pass(0, 0)
        wider.extra(X)
        out = wider(X)
    assert torch.equal(out, masks())


def test_share_and_scale_are_dropouts():
    out = masks()
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert abs(float((out == 0).float().mean()) - 0.5) < 0.03


def test_gradient_flows_through_what_is_kept():
    model, x = Block(), X.clone().requires_grad_()
    keyed = KeyedDropout(model, 1)
    with keyed:
        keyed.start_pass(0, 0)
        out = model(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach().sum(0))


def test_eval_mode_draws_nothing():
    model = Block().eval()
    keyed = KeyedDropout(model, 1)
    with keyed:
        keyed.start_pass(0, 0)
        out = model(X)
    assert torch.equal(out, torch.stack([X, X, X]))
    assert keyed.witness() is None


def test_attention_dropout_is_keyed_too():
    class Attention(nn.Module):
        def forward(self, q):
            return functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5)

    q = torch.randn(1, 2, 16, 8)
    outs = []
    for noise in (3, 4):
        torch.manual_seed(noise)
        model = Attention()
        keyed = KeyedDropout(model, 1)
        with keyed:
            keyed.start_pass(0, 0)
            outs.append(model(q))
    assert torch.equal(*outs)
    assert not torch.equal(outs[0], functional.scaled_dot_product_attention(q, q, q))


def test_witness_covers_the_first_step_only():
    def witness(seed, steps):
        model = Block()
        keyed = KeyedDropout(model, seed)
        with keyed:
            for step in range(steps):
                keyed.start_pass(step, 0)
                model(X)
        return keyed.witness()

    assert witness(1, 1) == witness(1, 3)
    assert witness(1, 1) != witness(2, 1)


def test_hooks_are_gone_afterwards():
    model = Block()
    masks(model=model)
    assert not model._forward_pre_hooks
    assert not model.first._forward_hooks
