"""Directions: normalised as Li et al. (2018) say, Gaussian, checked."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import landscape
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape.directions import checked_directions, orthogonalised
from lemmata.objective import Objective


def network() -> Objective:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.ConvTranspose2d(3, 4, 2), nn.Flatten(),
        nn.Linear(4 * 25, 5),
    ).eval()  # fmt: skip
    return Objective(model, data=(torch.randn(6, 2, 4, 4), torch.arange(6) % 5))


def wide() -> Objective:
    model = nn.Linear(400, 250)
    return Objective(model, loss="mse", data=(torch.zeros(1, 400), torch.zeros(1, 250)))


def test_each_filter_gets_the_length_of_its_own():
    objective = network()
    own = objective.parameters
    for direction in landscape.random_directions(objective, 2, seed=0):
        for name, unit in (("0.weight", 0), ("3.weight", 1), ("5.weight", 0)):  # transposed convolutions: (in, out, ..)
            d, weight = (t[name].movedim(unit, 0).flatten(1).norm(dim=1) for t in (direction, own))
            torch.testing.assert_close(d, weight, rtol=1e-5, atol=0)  # float32 sums of 100 squares
        for name in ("0.bias", "1.weight", "1.bias", "3.bias", "5.bias"):
            assert not direction[name].any()


def test_filter_normalisation_is_the_one_of_the_paper():
    """d_ij |theta_ij| / |d_ij| of the very noise that is drawn, written as loops over filters."""
    objective = network()
    raw = landscape.random_directions(objective, 1, normalization=None, seed=7)[0]
    found = landscape.random_directions(objective, 1, seed=7)[0]
    for name in ("0.weight", "5.weight"):
        for d, theta, got in zip(raw[name], objective.parameters[name], found[name], strict=True):
            torch.testing.assert_close(got, d * (theta.norm() / d.norm()), rtol=1e-5, atol=1e-8)


def test_layers_get_the_length_of_their_own():
    objective = network()
    direction = landscape.random_directions(objective, 1, normalization="layer", seed=0)[0]
    for name in ("0.weight", "3.weight", "5.weight"):
        torch.testing.assert_close(direction[name].norm(), objective.parameters[name].norm(), rtol=1e-5, atol=0)
        filters = direction[name].flatten(1).norm(dim=1) / objective.parameters[name].flatten(1).norm(dim=1)
        assert filters.std() > 0.01


def test_biases_move_if_asked_entry_by_entry():
    direction = landscape.random_directions(network(), 1, biases=True, seed=0)[0]
    own = network().parameters
    for name in ("0.bias", "1.weight", "5.bias"):
        torch.testing.assert_close(direction[name].abs(), own[name].abs())
    signs = torch.cat([direction[n].sign() * own[n].sign() for n in ("0.bias", "3.bias", "5.bias")])
    assert signs.min() < 0 < signs.max()


def test_raw_directions_are_gaussian_and_independent():
    """100,000 entries: mean and cosine are normal with deviation 1/sqrt(P); 4.5 deviations fail with chance 2e-5."""
    a, b = (d["weight"].flatten() for d in landscape.random_directions(wide(), 2, normalization=None, seed=1))
    limit = 4.5 / math.sqrt(len(a))
    assert abs(a.mean()) < limit
    assert abs(a.var() - 1) < limit * math.sqrt(2)
    assert abs(torch.cosine_similarity(a, b, dim=0)) < limit
    assert abs((a < 0).float().mean() - 0.5) < limit / 2
    assert abs(a.pow(4).mean() - 3) < limit * math.sqrt(96)


def test_normalised_directions_are_nearly_orthogonal():
    """|cos| of independent directions of P entries in 250 equal filters: as above, 4.5 / sqrt(P)."""
    a, b = (d["weight"].flatten() for d in landscape.random_directions(wide(), 2, seed=1))
    assert abs(torch.cosine_similarity(a, b, dim=0)) < 4.5 / math.sqrt(len(a))


def test_orthogonal_ones_are_and_keep_their_length():
    objective = network()
    plain = landscape.random_directions(objective, 3, seed=0)
    straight = landscape.random_directions(objective, 3, orthogonal=True, seed=0)
    vectors = torch.stack([objective.vector(d).double() for d in straight])
    gram = vectors @ vectors.T
    lengths = [objective.vector(d).double().norm() for d in plain]
    np.testing.assert_allclose(gram.diagonal().sqrt(), lengths, rtol=1e-5)
    off = gram - gram.diagonal().diag()
    assert off.abs().max() < 1e-5 * gram.max()  # float32 entries
    assert torch.equal(vectors[0], objective.vector(plain[0]).double()) or torch.allclose(
        vectors[0], objective.vector(plain[0]).double(), rtol=1e-5
    )


def test_a_seed_means_one_direction_and_touches_no_global_generator():
    objective = network()
    before = torch.get_rng_state()
    a, b, c = (objective.vector(landscape.random_directions(objective, 1, seed=s)[0]) for s in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(a, objective.vector(landscape.random_directions(objective, 1, seed=generator)[0]))
    further = objective.vector(landscape.random_directions(objective, 1, seed=generator)[0])
    assert not torch.equal(a, further)


def test_hessian_directions_are_eigenvectors():
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.tensor([4, 3, 2, 1])
    model = nn.Linear(4, 1, bias=False).double()
    subject = (model, "mse", (x, torch.zeros(50, 1).double()))
    values, vectors = torch.linalg.eigh(2 * x.T @ x / 50)
    found = landscape.hessian_directions(subject, 2, tolerance=1e-8)
    for place, direction in enumerate(found):
        assert abs(direction["weight"][0] @ vectors[:, -1 - place]) == pytest.approx(1, abs=1e-8)
    low = landscape.hessian_directions(subject, 1, which="smallest", tolerance=1e-8)[0]
    assert abs(low["weight"][0] @ vectors[:, 0]) == pytest.approx(1, abs=1e-8)
    assert values[0] > 0


def test_own_directions_as_trees_or_flat():
    objective = network()
    tree = landscape.random_directions(objective, 1, seed=0)[0]
    (again,) = checked_directions(objective, [objective.vector(tree).double()], 1)
    (same,) = checked_directions(objective, [dict(reversed(tree.items()))], 1)
    for name, tensor in tree.items():
        assert torch.equal(again[name], tensor)
        assert again[name].dtype == tensor.dtype
        assert torch.equal(same[name], tensor)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda d: [d], "list of 2 directions, got 1"),
        (lambda d: d, "list of 2 directions"),
        (lambda d: [d, torch.ones(7)], r"direction 1 has shape \(7,\)"),
        (lambda d: [d, {k: v for k, v in d.items() if k != "0.bias"}], "0.bias"),
        (lambda d: [d | {"0.weight": torch.ones(2)}, d], "'0.weight' of shape"),
        (lambda d: [d | {"0.weight": d["0.weight"] * math.nan}, d], "NaN or infinity in '0.weight'"),
        (lambda d: [d, {k: 0 * v for k, v in d.items()}], "direction 1 is zero"),
    ],
)
def test_directions_that_cannot_be_used(spoil, says):
    objective = network()
    direction = landscape.random_directions(objective, 1, seed=0)[0]
    with pytest.raises(InvalidInput, match=says):
        landscape.surface(objective, directions=spoil(direction), points=3)


def test_what_would_not_move():
    model = nn.Linear(2, 1)
    data = (torch.zeros(1, 2), torch.zeros(1, 1))
    with pytest.raises(InvalidInput, match="no parameter would move"):
        landscape.random_directions(Objective(model, loss="mse", data=data, parameters=["bias"]), 1, seed=0)
    assert landscape.random_directions(
        Objective(model, loss="mse", data=data, parameters=["bias"]), 1, biases=True, seed=0
    )[0]["bias"].any()
    with pytest.raises(UnknownName, match="filter"):
        landscape.random_directions((model, "mse", data), 1, normalization="filters", seed=0)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="count = 0"):
        landscape.random_directions((model, "mse", data), 0, seed=0)


def test_dependent_directions_have_no_plane():
    objective = network()
    d = landscape.random_directions(objective, 1, seed=0)[0]
    with pytest.raises(InvalidInput, match="direction 1 lies in the span"):
        orthogonalised(objective, [d, {name: -2 * t for name, t in d.items()}])


def test_zero_filters_stay_where_they_are():
    model = nn.Linear(3, 2, bias=False)
    model.weight.data[0] = 0
    d = landscape.random_directions((model, "mse", (torch.zeros(1, 3), torch.zeros(1, 2))), 1, seed=0)[0]["weight"]
    assert not d[0].any()
    assert d[1].norm() == pytest.approx(model.weight[1].norm().item(), rel=1e-5)
