"""Straight-through matching: planted permutations, the best of all orders, and what it promises against weight
matching.

Oracles: for one hidden layer of five units the best midpoint of all 5! orders, by enumeration; copies in planted
orders; the loss at the midpoint computed here. float64, 1e-10 unless said otherwise.
"""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape import permutation
from lemmata.landscape.permutation import straight_through


def _data(n: int = 40, seed: int = 0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=draw, dtype=torch.float64), torch.randint(2, (n,), generator=draw)


def _pair(widths=(5,), seed: int = 0):
    models = [nets.mlp(3, list(widths), 2, seed=seed + k, initialisation="he", dtype=torch.float64) for k in (0, 1)]
    return (*models, permutation.specification(models[0], torch.zeros(2, 3, dtype=torch.float64)))


def _midpoint_loss(a, b, data) -> float:
    middle = {name: (t + b[name]) / 2 for name, t in a.state_dict().items()}
    with torch.no_grad():
        return float(nn.functional.cross_entropy(torch.func.functional_call(a, middle, (data[0],)), data[1]))


@pytest.mark.parametrize("seed", range(5))
def test_against_all_orders(seed: int):
    """Never better than the best of the 120 orders, never worse than weight matching, and its loss is what it says."""
    a, b, spec = _pair(seed=10 * seed)
    data, name = _data(), spec.free[0].name
    every = [
        _midpoint_loss(a, permutation.permuted(spec, b, {name: torch.tensor(p)}), data) for p in permutations(range(5))
    ]
    found = straight_through(a, b, spec, data=data, steps=60, lr=0.05, seed=0)
    matched = _midpoint_loss(a, permutation.weight_matching(a, b, spec).state, data)
    assert min(every) - 1e-10 <= found.best[-1] <= matched + 1e-10
    assert found.best[0] == pytest.approx(matched, abs=1e-10)
    assert found.best[-1] == pytest.approx(_midpoint_loss(a, found.state, data), abs=1e-10)
    again = permutation.permuted(spec, b, found.permutations)
    assert all(torch.equal(t, again[key]) for key, t in found.state.items())


def test_it_finds_the_best_order_where_weight_matching_does_not():
    """Over ten pairs it is strictly better than weight matching for most, and finds the best of 120 orders for some."""
    better = best = 0
    for seed in range(10):
        a, b, spec = _pair(seed=100 + 10 * seed)
        data, name = _data(seed=seed), spec.free[0].name
        every = [
            _midpoint_loss(a, permutation.permuted(spec, b, {name: torch.tensor(p)}), data)
            for p in permutations(range(5))
        ]
        found = straight_through(a, b, spec, data=data, steps=60, lr=0.05, seed=0)
        better += found.best[-1] < found.best[0] - 1e-9
        best += found.best[-1] <= min(every) + 1e-10
    assert better >= 5
    assert best >= 3


def test_a_planted_order_is_found_at_once():
    """Wide enough that weight matching finds it: rows of 20 inputs tell 12 units apart."""
    a = nets.mlp(20, [12, 10], 2, seed=0, dtype=torch.float64)
    spec = permutation.specification(a, torch.zeros(2, 20, dtype=torch.float64))
    planted = permutation.random(spec, seed=3)
    x = torch.randn(40, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = (x, torch.zeros(40, dtype=torch.long))
    found = straight_through(a, permutation.permuted(spec, a, planted), spec, data=data, steps=4)
    assert permutation.cycle(spec, planted, found.permutations) == 1.0
    assert found.cosine == pytest.approx(1.0, rel=1e-12)
    assert found.converged


@pytest.mark.parametrize("batch_size", [None, 10])
def test_the_best_never_rises_and_is_on_all_the_data(batch_size):
    a, b, spec = _pair(widths=(8, 7), seed=2)
    data = _data()
    found = straight_through(a, b, spec, data=data, steps=30, lr=0.05, batch_size=batch_size, seed=1)
    assert np.all(np.diff(found.best) <= 0)
    assert found.best[-1] == pytest.approx(_midpoint_loss(a, found.state, data), abs=1e-10)
    assert len(found.loss) == len(found.best) == len(found.objective) == 30
    if batch_size is None:
        assert np.all(found.loss >= found.best - 1e-12)
    twice = straight_through(a, b, spec, data=data, steps=30, lr=0.05, batch_size=batch_size, seed=1)
    assert np.array_equal(twice.loss, found.loss)


def test_the_gradient_passes_through_the_projection():
    """One step: the dense copy moves against the gradient at the midpoint, as written out here by Adam's rule."""
    a, b, spec = _pair(seed=4)
    data, lr = _data(), 0.3
    matched = permutation.weight_matching(a, b, spec).state
    middle = {n: ((t + matched[n]) / 2).clone().requires_grad_() for n, t in a.state_dict().items()}
    value = nn.functional.cross_entropy(torch.func.functional_call(a, middle, (data[0],)), data[1])
    slopes = torch.autograd.grad(value, list(middle.values()))
    dense = {
        n: t - lr * g / (g.abs() + 1e-8) for (n, t), g in zip(a.state_dict().items(), slopes, strict=True)
    }  # the first step of Adam
    second = permutation.weight_matching(dense, b, spec).state
    found = straight_through(a, b, spec, data=data, steps=2, lr=lr)
    assert found.loss[1] == pytest.approx(_midpoint_loss(a, second, data), abs=1e-10)
    assert found.loss[0] != found.loss[1]
    assert not found.converged  # the last step of two changed the order


def test_batch_normalisation_uses_the_midpoints_own_statistics():
    """With stale running statistics the loss at the midpoint is another; the network is left as it was."""
    model = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)).double().eval()
    other = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)).double().eval()
    draw = torch.Generator().manual_seed(0)
    for net in (model, other):
        for p in net.parameters():
            p.data = torch.randn(p.shape, generator=draw, dtype=torch.float64)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    data = _data()
    found = straight_through(model, other, data=data, steps=3)
    middle = {n: (p + found.state[n]) / 2 for n, p in model.named_parameters()}
    reference = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)).double().train()
    wanted = nn.functional.cross_entropy(torch.func.functional_call(reference, middle, (data[0],)), data[1])
    assert found.best[-1] == pytest.approx(float(wanted.detach()), abs=1e-10)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_a_drawing_and_refusals():
    a, b, spec = _pair()
    data = _data()
    found = straight_through(a.state_dict(), b, spec, model=a, data=data, steps=5)
    losses, alignment = found.plot().panels
    assert np.array_equal(losses.series[0].y, found.loss)
    assert np.array_equal(alignment.series[0].y, found.objective / found.largest)
    with pytest.raises(InvalidInput, match="model="):
        straight_through(a.state_dict(), b, spec, data=data)
    with pytest.raises(UnknownName, match="cross_entropy"):
        straight_through(a, b, spec, loss="cross_entrpy", data=data)
    with pytest.raises(InvalidInput, match="positive"):
        straight_through(a, b, spec, data=data, lr=0.0)
    with pytest.raises(InvalidInput, match="steps"):
        straight_through(a, b, spec, data=data, steps=0)
    with pytest.raises(InvalidInput, match="empty"):
        straight_through(a, b, spec, data=(data[0][:0], data[1][:0]))
