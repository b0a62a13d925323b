"""Elastic bands: the saddles of Mueller and Brown, tangents, even spreading; spanning trees against brute force."""

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.landscape import Interrupted, paths
from lemmata.landscape.paths.ends import Ends
from lemmata.landscape.paths.pivots import Pivots, even, tangents
from lemmata.training import GD, SGD

MINIMA = [(-0.55822363, 1.44172584), (0.62349941, 0.02803776), (-0.05001083, 0.46669411)]
SADDLES = {(0, 2): -40.66484351, (1, 2): -72.24894011, (0, 1): -40.66484351}  # of the lowest route between each two


def mueller_brown(z, y):
    """The potential of Mueller and Brown (1979) at the outputs (n, 2)."""
    A, a, b, c = (
        torch.tensor(part, dtype=torch.float64)
        for part in ([-200, -100, -170, 15], [-1, -1, -6.5, 0.7], [0, 0, 11, 0.6], [-10, -10, -6.5, 0.7])
    )
    u = z[:, :1] - torch.tensor([1, 0, -0.5, -1], dtype=torch.float64)
    v = z[:, 1:] - torch.tensor([0, 0.5, 1.5, 1], dtype=torch.float64)
    return (A * torch.exp(a * u**2 + b * u * v + c * v**2)).sum(1).mean()


def plane():
    model, x = nn.Linear(1, 2, bias=False).double(), torch.ones(1, 1, dtype=torch.float64)
    return model, [{"weight": torch.tensor([[u], [v]], dtype=torch.float64)} for u, v in MINIMA], (x, x)


def test_climbing_bands_find_the_saddles_of_mueller_and_brown():
    model, places, data = plane()
    pairs = list(SADDLES)
    found = paths.elastic_bands(
        model, [places[i] for i, _ in pairs], [places[j] for _, j in pairs], loss=mueller_brown, data=data, pivots=9,
        rounds=2, insert=2, climb=True, epochs=500, batch_size=None, optimiser=GD(lr=1e-4, momentum=0.8),
    )  # fmt: skip
    for pair, band in zip(pairs, found, strict=True):
        assert band.path.loss[band.pivots].max() == pytest.approx(SADDLES[pair], abs=1e-4)
        # between pivots the chain cuts corners, but hardly
        assert SADDLES[pair] - 1e-4 <= band.saddle < SADDLES[pair] + 0.5
        assert len(band.pivots) == 13


def test_a_spring_and_an_even_spread_give_the_same_path():
    model, places, data = plane()
    options = {"loss": mueller_brown, "data": data, "pivots": 7, "epochs": 600, "batch_size": None}
    rule = GD(lr=1e-4, momentum=0.8)
    soft, hard = (
        paths.nudged_elastic_band(model, places[2], places[1], optimiser=rule, spring=k, **options)
        for k in (1000.0, float("inf"))
    )
    # both have even gaps and no force across; the length of the gaps decides nothing else
    np.testing.assert_allclose(soft.path.loss, hard.path.loss, atol=1e-2)


def test_the_force_has_no_part_along_the_band_but_the_springs():
    model, places, data = plane()
    ends = Ends.of(model, [places[0]], [places[1]])
    control = ends.straight(3)
    control["weight"][0, 2, 0] += 0.3
    moving = Pivots(ends.models, control, loss=mueller_brown, end_losses=torch.tensor([[-146.7, -108.2]]), spring=5.0)
    moving.accumulate(*(part.expand(1, 1, 1) for part in data), shared=False)
    points = control["weight"][0].reshape(5, 2)
    tau = tangents(torch.cat([torch.tensor([[-146.7]]), moving.losses, torch.tensor([[-108.2]])], 1).double())[0]
    for i in range(3):
        own = tau[i] @ points
        own = own / own.norm()
        place = points[i + 1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(mueller_brown(place[None], None), place)
        gap = (points[i + 2] - points[i + 1]).norm() - (points[i + 1] - points[i]).norm()
        expected = slope - (slope @ own) * own - 5.0 * gap * own
        torch.testing.assert_close(moving.layout.views(moving.gradient)["weight"][i].flatten(), expected)


def test_tangents_go_uphill_and_do_not_flip_at_extrema():
    up, down, level = ([0.0, 1.0, 2.0], [0.0, -1, 1]), ([2.0, 1.0, 0.0], [-1, 1, 0]), ([1.0, 1, 1], [-0.5, 0, 0.5])
    for losses, mixing in (up, down, level):
        assert tangents(torch.tensor([losses]))[0, 0].tolist() == mixing
    near = [tangents(torch.tensor([[0.0, 1.0, 0.0 + e]], dtype=torch.float64)) for e in (-1e-9, 1e-9)]
    torch.testing.assert_close(near[0], near[1], atol=1e-8, rtol=0)  # at a peak the two sides weigh alike


@given(st.lists(st.floats(0.01, 10), min_size=3, max_size=8), st.integers(1, 6))
def test_spread_pivots_have_even_gaps(sides, fixed):
    lengths = torch.tensor([sides], dtype=torch.float64)
    reached = torch.cat([torch.zeros(1, dtype=torch.float64), lengths[0].cumsum(0)])
    for where in (None, min(fixed, len(sides) - 1)):
        weights = even(lengths, None if where is None else torch.tensor([where]))
        assert (weights >= -1e-12).all()
        place = torch.cat([reached[:1], weights[0] @ reached, reached[-1:]])
        cuts = [0, len(sides)] if where is None else [0, where, len(sides)]
        for start, stop in pairwise(cuts):
            gaps = place[start : stop + 1].diff()
            torch.testing.assert_close(gaps, gaps.mean().expand_as(gaps))
        if where is not None:
            assert float(place[where]) == pytest.approx(float(reached[where]))


def networks():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 4, generator=draw), torch.randint(3, (30,), generator=draw)
    return [nets.mlp(4, [5], 3, seed=seed) for seed in range(4)], (x, y)


def test_bands_of_networks_are_lower_than_lines_and_members_come_out_as_alone():
    models, data = networks()
    options = {"pivots": 3, "rounds": 2, "insert": 1, "epochs": 5, "batch_size": 10, "optimiser": SGD(lr=0.1)}
    both = paths.elastic_bands(models[0], models[:2], models[2:], data=data, seeds=[3, 4], **options)
    for i in range(2):
        alone = paths.nudged_elastic_band(models[0], models[i], models[i + 2], data=data, seed=3 + i, **options)
        np.testing.assert_allclose(both[i].path.loss, alone.path.loss, rtol=1e-4)
        assert both[i].saddle <= paths.linear(models[0], models[i], models[i + 2], data=data).loss.max()
        assert both[i].at(0.0)["output.weight"].equal(models[i].state_dict()["output.weight"])
        assert both[i].path.loss[both[i].pivots].shape == (6,)
    assert "Saddle" in both[0].plot().caption


def test_interrupted_bands_keep_what_they_have():
    models, data = networks()

    def stop(epoch, epochs):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        paths.elastic_bands(models[0], models[:2], models[2:], data=data, epochs=5, progress=stop)
    assert [len(band.history) for band in caught.value.partial] == [2, 2]


@given(st.integers(2, 5), st.integers(0, 10_000))
def test_the_tree_has_the_lowest_routes_of_all(n, seed):
    heights = np.random.default_rng(seed).integers(1, 20, (n, n)).astype(float)
    heights = heights + heights.T
    tree = paths.minimum_spanning_tree(heights)
    assert len(tree.edges) == n - 1
    for i, j in combinations(range(n), 2):
        others = [k for k in range(n) if k not in (i, j)]
        routes = ((i, *mid, j) for size in range(n - 1) for mid in permutations(others, size))
        best = min(max(heights[a, b] for a, b in pairwise(route)) for route in routes)
        assert tree.lowest[i, j] == tree.lowest[j, i] == best


def test_a_tree_of_networks_by_every_kind_of_path():
    models, data = networks()
    for by, options in (("line", {}), ("curve", {"epochs": 2}), ("band", {"epochs": 1, "pivots": 1})):
        tree = paths.spanning_tree(models[0], models[:3], by=by, data=data, **options)
        assert tree.edges.shape == (2, 2)
        assert (tree.lowest[~np.isnan(tree.lowest)] <= tree.direct[~np.isnan(tree.direct)]).all()
        assert len(tree.paths) == 3
    assert len(tree.plot().panels) == 2


def test_what_does_not_fit_is_refused():
    models, data = networks()
    with pytest.raises(InvalidInput, match="insert"):
        paths.nudged_elastic_band(models[0], models[0], models[1], data=data, pivots=1, insert=5)
    with pytest.raises(InvalidInput, match="spring"):
        paths.nudged_elastic_band(models[0], models[0], models[1], data=data, spring=-1.0)
    with pytest.raises(InvalidInput, match="not symmetric"):
        paths.minimum_spanning_tree(np.array([[0, 1.0], [2.0, 0]]))
