"""Matching against planted permutations, against brute force over all of them, and its own promises."""

from itertools import permutations as orders
from itertools import product

import numpy as np
import pytest
import torch
from tests.landscape.permutation import architectures as net
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.landscape import permutation

PLANTED = {
    "3 x 512": (lambda: nets.mlp(784, [512] * 3, 10, seed=0), torch.zeros(2, 784)),
    "resnet-20": (lambda: nets.resnet(20, seed=0), torch.zeros(2, 3, 32, 32)),
    "transformer block": (lambda: nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), torch.zeros(2, 5, 64)),
    "language": (net.Language, torch.zeros(2, 5, dtype=torch.long)),
    "blocks of channels": (net.blocks_of_channels, torch.zeros(2, 3, 8, 8)),
    "one matrix a head": (net.Stacked, torch.zeros(2, 6, 5)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_permutation_is_recovered_exactly(name):
    torch.manual_seed(0)
    build, x = PLANTED[name]
    model = build()
    spec = permutation.specification(model, x)
    planted = permutation.random(spec, seed=3)
    other = permutation.permuted(spec, model, planted)
    found = permutation.weight_matching(model, other, spec, seed=1)
    assert found.converged
    assert found.cosine == pytest.approx(1, abs=1e-6)  # sums of float32 products, added up in float64
    assert all(torch.equal(found.state[key], tensor) for key, tensor in model.state_dict().items())
    undone = permutation.inverse(spec, planted)
    assert all(torch.equal(found.permutations[key], p) for key, p in undone.items())


def test_blocks_are_assigned_with_what_is_inside_them():
    """One head group alone: the nested assignment is the exact maximum, here over all 2! (3!)^2 (3!)^2 permutations."""
    torch.manual_seed(1)
    a, b = (nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64) for _ in range(2))
    for model in (a, b):
        nn.init.normal_(model.in_proj_bias)
    attention = _Self(a)
    spec = permutation.specification(attention, torch.zeros(2, 3, 6, dtype=torch.float64))
    own, other = attention.state_dict(), _Self(b).state_dict()
    found = permutation.weight_matching(own, other, spec, seed=0)
    heads, *inner = (g.name for g in spec.free)
    three = [torch.tensor(p) for p in orders(range(3))]
    best = -np.inf
    for order in ([0, 1], [1, 0]):
        for one, two, three_, four in product(three, repeat=4):
            tried = {
                heads: torch.tensor(order),
                inner[0]: torch.stack([one, two]),
                inner[1]: torch.stack([three_, four]),
            }
            moved = permutation.permuted(spec, other, tried)
            best = max(best, sum(float((own[key] * moved[key]).sum()) for key in own))
    assert found.objective[-1] == pytest.approx(best, rel=1e-12)  # the same sum in another order


def test_heads_are_told_apart_by_the_best_arrangement_inside_them():
    """Every dimension inside the heads is moved, so that no head looks like its own as it lies."""
    torch.manual_seed(2)
    attention = _Self(nn.MultiheadAttention(32, 8, batch_first=True))
    spec = permutation.specification(attention, torch.zeros(2, 3, 32))
    shifted = {g.name: torch.arange(g.size).roll(1).expand(*spec.copies(g.name), -1).clone() for g in spec.free}
    for seed in range(3):
        found = permutation.weight_matching(attention, permutation.permuted(spec, attention, shifted), spec, seed=seed)
        assert all(torch.equal(found.permutations[k], p) for k, p in permutation.inverse(spec, shifted).items())


class Squares(nn.Module):
    """Square matrices from a residual stream to itself, so that the product is quadratic in its permutation."""

    def __init__(self, seed: int):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.w = nn.ParameterList([torch.randn(8, 8, generator=draw, dtype=torch.float64) for _ in range(2)])
        self.first = nn.Parameter(torch.randn(8, 3, generator=draw, dtype=torch.float64))

    def forward(self, x):
        x = x @ self.first.T
        for w in self.w:
            x = x + torch.tanh(x @ w.T)
        return x.sum(-1)


def test_a_quadratic_product_never_falls():
    spec = permutation.specification(Squares(0), torch.zeros(2, 3, dtype=torch.float64))
    for seed in range(1, 9):
        found = permutation.weight_matching(Squares(0), Squares(seed), spec, seed=seed)
        assert (np.diff(found.objective) >= 0).all()
        assert found.converged


class _Self(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def test_models_of_two_types_are_matched_in_the_larger():
    single, x = nets.mlp(6, [9], 3, seed=0), torch.zeros(2, 6)
    spec = permutation.specification(single, x)
    planted = permutation.permuted(spec, single, permutation.random(spec, seed=1))
    double = {name: tensor.double() for name, tensor in planted.items()}
    mixed = planted | {"hidden1.bias": double["hidden1.bias"]}
    for a, b in ((single, double), (double, single), (single.state_dict(), mixed)):
        found = permutation.weight_matching(a, b, spec, seed=0)
        assert found.cosine == pytest.approx(1, abs=1e-6)  # products of float32, added up in float64
        given = b.state_dict() if isinstance(b, nn.Module) else b
        assert all(found.state[name].dtype == given[name].dtype for name in given)
        both = permutation.match_many([a, b], spec)
        assert both.spread[-1] < 1e-12
    data = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    undone = permutation.inverse(spec, permutation.random(spec, seed=1))
    active = permutation.activation_matching(single, double, data, spec)
    through = permutation.straight_through(single, double, spec, loss="mse", data=(data, data[:, :3]), steps=2)
    for found in (active, through):
        assert all(torch.equal(found.permutations[name], p) for name, p in undone.items())
    half = {name: tensor.half() for name, tensor in planted.items()}
    brain = {name: tensor.bfloat16() for name, tensor in single.state_dict().items()}
    assert permutation.weight_matching(half, brain, spec, seed=0).cosine == pytest.approx(1, abs=1e-4)


class Phases(nn.Module):
    """Two complex linear maps with the modulus between them; only phases tell the first map's rows apart."""

    def __init__(self, seed: int):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        angles = torch.rand(7, 5, generator=draw, dtype=torch.float64)
        self.first = nn.Parameter(torch.polar(torch.ones_like(angles), 2 * torch.pi * angles))
        self.last = nn.Parameter(torch.ones(2, 7, dtype=torch.complex128))

    def forward(self, x):
        return (x @ self.first.T).tanh() @ self.last.T


def test_complex_weights_are_matched_by_the_real_part_of_their_inner_product():
    model, x = Phases(0), torch.zeros(2, 5, dtype=torch.complex128)
    spec = permutation.specification(model, x)
    planted = permutation.random(spec, seed=1)
    found = permutation.weight_matching(model, permutation.permuted(spec, model, planted), spec, seed=0)
    assert torch.equal(found.state["first"], model.first)
    assert found.cosine == pytest.approx(1, abs=1e-12)
    turned = {name: 1j * tensor for name, tensor in model.state_dict().items()}  # at right angles: Re <a, i a> = 0
    assert permutation.weight_matching(model, turned, spec, max_passes=1).objective[0] == pytest.approx(0, abs=1e-12)
    assert permutation.match_many([model, permutation.permuted(spec, model, planted)], spec).spread[-1] < 1e-12
    near = permutation.weight_matching(model, Phases(1), spec, seed=0)
    pairs = zip(model.state_dict().values(), near.state.values(), strict=True)
    wanted = sum(float((a.conj() * b).real.sum()) for a, b in pairs)
    assert near.objective[-1] == pytest.approx(wanted, rel=1e-12)


def test_the_objective_is_the_inner_product_and_never_falls():
    a, b = (nets.mlp(6, [9, 8], 3, seed=seed, dtype=torch.float64) for seed in (0, 1))
    found = permutation.weight_matching(a, b, x=torch.zeros(2, 6, dtype=torch.float64), seed=0)
    own, state = a.state_dict(), found.state
    assert found.objective[-1] == pytest.approx(sum(float((own[k] * state[k]).sum()) for k in own), rel=1e-12)
    assert (np.diff(found.objective) >= 0).all()
    assert found.objective[-1] > found.objective[0]
    again = permutation.weight_matching(a, b, found.spec, start=found.permutations, seed=5)
    assert again.objective[-1] == found.objective[-1]
    assert found.plot().panels[0].series[0].y[-1] == pytest.approx(found.cosine)


def test_running_statistics_go_along_and_do_not_count():
    model, x = nets.resnet(8, channels=4, seed=0), torch.randn(16, 3, 8, 8)
    model(x)
    spec = permutation.specification(model, x)
    other = permutation.permuted(spec, model, permutation.random(spec, seed=0))
    other["bn1.running_mean"] = other["bn1.running_mean"] + 1e3
    found = permutation.weight_matching(model, other, spec, seed=0)
    assert torch.equal(found.state["conv1.weight"], model.conv1.weight)
    assert torch.allclose(found.state["bn1.running_mean"], model.bn1.running_mean + 1e3)


def test_activations_recover_planted_permutations():
    torch.manual_seed(0)
    for model, x in (
        (nets.mlp(8, [12, 9], 3, seed=0), torch.randn(70, 8)),
        (net.Attention("split"), torch.randn(70, 6, 5)),
    ):
        spec = permutation.specification(model, x)
        planted = permutation.random(spec, seed=2)
        other = permutation.permuted(spec, model, planted)
        for similarity in ("inner", "correlation"):
            found = permutation.activation_matching(model, other, x, spec, similarity=similarity, chunk=32)
            undone = permutation.inverse(spec, planted)
            assert all(torch.equal(found.permutations[key], p) for key, p in undone.items())


def test_correlations_do_not_depend_on_the_scale_of_units():
    a, b = (nets.mlp(8, [12], 3, seed=seed) for seed in (0, 1))
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    plain = permutation.activation_matching(a, b, x, similarity="correlation")
    name = next(iter(plain.permutations))
    scaled = {**b.state_dict()}
    factor = torch.linspace(0.1, 10, 12)
    scaled["hidden1.weight"], scaled["hidden1.bias"] = (
        scaled["hidden1.weight"] * factor[:, None],
        scaled["hidden1.bias"] * factor,
    )
    other = permutation.activation_matching(a, scaled, x, similarity="correlation")
    assert torch.equal(plain.permutations[name], other.permutations[name])


def test_what_is_wrong_is_refused():
    a = nets.mlp(6, [9], 3, seed=0)
    with pytest.raises(InvalidInput, match="give spec"):
        permutation.weight_matching(a.state_dict(), a)
    spec = permutation.specification(a, torch.zeros(2, 6))
    with pytest.raises(InvalidInput, match="lacks"):
        permutation.weight_matching(a, {}, spec)
    broken = {**a.state_dict(), "hidden1.bias": torch.full((9,), torch.nan)}
    with pytest.raises(InvalidInput, match="NaN"):
        permutation.weight_matching(a, broken, spec)
