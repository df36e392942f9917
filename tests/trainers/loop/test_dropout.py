"""KeyedDropout: masks as a function of seed, epoch, item, module and call."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint, noop_context_fn

from seedband.models.speedups.packing import Layout
from seedband.trainers.loop.dropout import KeyedDropout


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Dropout(0.5)
        self.second = nn.Dropout(0.5)

    def forward(self, x):
        return torch.stack([self.first(x), self.second(x), functional.dropout(x, 0.5, self.training)])


X = torch.ones(40, 50)
ITEMS = [f"item-{number}" for number in range(40)]


def masks(seed=1, step=0, accumulated=0, epoch=0, items=ITEMS, x=X, model=None, times=1):
    model = model or Block()
    keyed = KeyedDropout(model, seed)
    with keyed:
        keyed.start_pass(step, accumulated, epoch, items)
        out = [model(x) for _ in range(times)]
    return out if times > 1 else out[0]


def test_masks_do_not_depend_on_the_global_generator():
    torch.manual_seed(0)
    first = masks()
    torch.manual_seed(1)
    assert torch.equal(first, masks())


@pytest.mark.parametrize("other", [{"seed": 2}, {"epoch": 1}, {"items": [f"other-{item}" for item in ITEMS]}])
def test_seed_epoch_and_item_each_change_every_mask(other):
    for here, there in zip(masks(), masks(**other), strict=True):
        assert not torch.equal(here, there)


@pytest.mark.parametrize("other", [{"step": 5}, {"accumulated": 1}])
def test_a_mask_does_not_depend_on_when_its_item_comes(other):
    assert torch.equal(masks(), masks(**other))


@pytest.mark.parametrize("left_padded", [False, True])
def test_an_item_keeps_its_mask_whichever_side_its_batch_is_padded_on(left_padded):
    drawn = []
    for tokens in (5, 9):
        model = nn.Dropout(0.5)
        keyed = KeyedDropout(model, 1, left_padded=left_padded)
        with keyed:
            keyed.start_pass(0, 0, 0, ITEMS[:4])
            drawn.append(model(torch.ones(4, tokens, 16)))
    short, long = drawn
    assert torch.equal(short, long[:, -5:] if left_padded else long[:, :5])
    assert not torch.equal(short, long[:, :5] if left_padded else long[:, -5:])


@pytest.mark.parametrize("width", [16, 15])
@pytest.mark.parametrize("left_padded", [False, True])
def test_an_item_keeps_its_mask_when_its_batch_is_packed(left_padded, width):
    lengths = [5, 9, 2, 7]
    padding = torch.arange(9) >= torch.tensor(lengths)[:, None]
    mask = (~padding.flip(1) if left_padded else ~padding).long()
    layout, model = Layout(), nn.Dropout(0.5)
    keyed = KeyedDropout(model, 1, left_padded=left_padded, layout=layout)
    with keyed:
        keyed.start_pass(0, 0, 0, ITEMS[:4])
        padded = model(torch.ones(4, 9, width))
        keyed.start_pass(0, 0, 0, ITEMS[:4])
        layout.take(mask)
        packed = model(torch.ones(1, sum(lengths), width))
    assert torch.equal(layout.unpack(packed), padded * mask[..., None])


def test_an_item_keeps_its_mask_in_a_smaller_batch_in_another_place():
    every_third = masks(items=ITEMS[::-3], x=X[::3][:14])
    assert torch.equal(every_third, masks()[:, torch.arange(39, -1, -3)])


def test_an_item_keeps_its_mask_when_its_batch_is_padded_further():
    short, long = (masks(x=torch.ones(40, tokens, 8)) for tokens in (5, 9))
    assert torch.equal(short, long[:, :, :5])


def test_what_has_no_row_per_item_is_keyed_by_the_pass():
    x = torch.ones(3, 50)
    assert torch.equal(masks(x=x), masks(x=x, items=ITEMS[:20]))
    assert not torch.equal(masks(x=x), masks(x=x, step=1))


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
        keyed.start_pass(0, 0, 0, ITEMS)
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
        keyed.start_pass(0, 0, 0, ITEMS)
        out = model(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach().sum(0))


def test_eval_mode_draws_nothing():
    model = Block().eval()
    keyed = KeyedDropout(model, 1)
    with keyed:
        keyed.start_pass(0, 0, 0, ITEMS)
        out = model(X)
    assert torch.equal(out, torch.stack([X, X, X]))
    assert keyed.witness() is None


@pytest.mark.parametrize(
    ("mask_and_rate", "rate"), [((), {"dropout_p": 0.5}), ((None,), {"dropout_p": 0.5}), ((None, 0.5), {})]
)
def test_attention_dropout_is_keyed_too(mask_and_rate, rate):
    class Attention(nn.Module):
        def forward(self, q):
            return functional.scaled_dot_product_attention(q, q, q, *mask_and_rate, **rate)

    q = torch.randn(1, 2, 16, 8)
    outs = []
    for noise in (3, 4):
        model = Attention()
        keyed = KeyedDropout(model, 1)
        with keyed:
            keyed.start_pass(0, 0, 0, ITEMS)
            torch.rand(noise)  # whatever else was drawn since the pass began
            outs.append(model(q))
    assert torch.equal(*outs)
    assert not torch.equal(outs[0], functional.scaled_dot_product_attention(q, q, q))


def test_witness_covers_the_first_step_only():
    def witness(seed, steps):
        model = Block()
        keyed = KeyedDropout(model, seed)
        with keyed:
            for step in range(steps):
                keyed.start_pass(step, 0, 0, ITEMS)
                model(X)
        return keyed.witness()

    assert witness(1, 1) == witness(1, 3)
    assert witness(1, 1) != witness(2, 1)


def test_hooks_are_gone_afterwards():
    model = Block()
    masks(model=model)
    assert not model._forward_pre_hooks
    assert not model.first._forward_hooks


class Counted(Block):
    """Dropout of both kinds between weights, and how often it was computed."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 2500).sin().reshape(50, 50) / 50)
        self.times = 0

    def forward(self, x):
        self.times += 1
        heads = super().forward(x @ self.weight)
        mixed = functional.scaled_dot_product_attention(heads, heads, heads, dropout_p=0.5)
        return (mixed.sum(0) @ self.weight).tanh()


def gradients(context_fn):
    """Of two passes through a model whose parts are computed again, each part called twice; and its witness."""
    model = Counted()
    keyed = KeyedDropout(model, 1)
    with keyed:
        for accumulated in range(2):
            keyed.start_pass(0, accumulated, 0, ITEMS)
            out = X
            for _ in range(2):
                again = {"use_reentrant": False, "context_fn": context_fn(keyed)} if context_fn else {}
                out = checkpoint(model, out, **again) if again else model(out)
            torch.rand(3)  # a draw in between moves nothing
            out.square().sum().backward()
    return model.weight.grad, keyed.witness(), model.times


def test_what_is_computed_again_meets_its_own_masks():
    kept, witness, times = gradients(None)
    again, witness_again, times_again = gradients(lambda keyed: keyed.checkpointed)
    assert (times, times_again) == (4, 8)
    assert kept.abs().min() > 0
    assert torch.equal(kept, again)
    assert witness == witness_again


def test_without_its_place_a_recomputation_would_draw_other_masks():
    assert not torch.equal(gradients(None)[0], gradients(lambda _: noop_context_fn)[0])


def test_seeding_the_kernels_keeps_no_record_for_devices_that_are_not_there(monkeypatch):
    """torch.manual_seed formats the whole stack three times for each call where there is no GPU: a millisecond."""
    monkeypatch.setattr(torch, "manual_seed", lambda _: pytest.fail("seeds what is not there, too"))
    torch.random.default_generator.manual_seed(0)
    keyed = KeyedDropout(Block(), 1)
    drawn = []
    for _ in range(2):
        keyed.start_pass(0, 0, 0, ITEMS)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)


def test_a_single_number_is_keyed_by_the_pass():
    assert torch.equal(masks(x=torch.tensor(1.0)), masks(x=torch.tensor(1.0), items=ITEMS[:1]))


def test_what_drops_nothing_draws_nothing_and_seeds_nothing():
    class Still(nn.Module):
        def forward(self, x):
            x = functional.layer_norm(x, (8,), None, None, 0.5)
            return functional.scaled_dot_product_attention(x, x, x, None, 0.0)

    model = Still()
    keyed = KeyedDropout(model, 1)
    drawn = []
    with keyed:
        for times in (1, 0):
            keyed.start_pass(0, 0, 0, ITEMS)
            for _ in range(times):
                model(torch.randn(1, 2, 16, 8, generator=torch.Generator()))
            drawn.append(torch.rand(3))
    assert torch.equal(*drawn)
    assert keyed.witness() is None


def test_the_generators_of_gpus_in_use_are_seeded_too(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    keyed = KeyedDropout(Block(), 1)
    for step in (0, 1, 0):
        keyed.start_pass(step, 0, 0, ITEMS)
    assert len(seeds) == 3
    assert seeds[0] == seeds[2] != seeds[1]
