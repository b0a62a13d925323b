import math

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput


class Turn(nn.Module):
    """y' = J y, which turns the plane: after time t the samples are rotated by t."""

    def forward(self, t, y):
        return torch.stack([-y[:, 1], y[:, 0]], 1)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, t, y):
        return -self.rate * y


def plain(width, steps=4):
    return flows.Flow(flows.Plain(width, flows.PiecewiseConstant(4)), steps=steps)


def test_a_turning_field_turns_its_samples():
    x = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Linear(2, 2).double(), flows.Flow(Turn(), steps=64, T=math.pi / 2))
    nn.init.eye_(net[0].weight)
    nn.init.zeros_(net[0].bias)
    seen = flows.features(net, x, frames=3)
    assert seen.layers.tolist() == [0, 32, 64]
    turned = torch.stack([-x[:, 1], x[:, 0]], 1)
    half = (x + turned) / math.sqrt(2)
    for points, expected in zip(seen.points, (x, half, turned), strict=True):
        torch.testing.assert_close(torch.as_tensor(points), expected, rtol=0, atol=1e-7)  # RK4 at h = 0.025: h^4 / 120
    assert seen.share == 1.0


def test_the_plane_is_that_of_most_variance():
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=generator))[0]
    scales = torch.tensor([3.0, 2.0, 0.1, 0.1, 0.1], dtype=torch.float64)
    x = torch.randn(400, 5, dtype=torch.float64, generator=generator) * scales @ basis.mT
    flow = flows.Flow(Scaled(), steps=8, T=1.0)
    seen = flows.features(flow, x, frames=2)
    within = torch.as_tensor(seen.axes) @ basis[:, :2]
    torch.testing.assert_close(within @ within.mT, torch.eye(2, dtype=torch.float64), rtol=0, atol=0.02)
    both = torch.cat([x, math.exp(-1) * x])
    both = both - both.mean(0)
    values = torch.linalg.svdvals(both) ** 2
    assert seen.share == pytest.approx(float(values[:2].sum() / values.sum()), rel=1e-5)


def test_of_a_pair_both_are_followed():
    field = flows.Hamiltonian(3, flows.PiecewiseConstant(4))
    seen = flows.features(flows.Flow(field, steps=4, method="verlet"), torch.randn(7, 3))
    assert seen.axes.shape == (2, 6)
    assert seen.points.shape == (5, 7, 2)


def test_the_figure_has_a_cloud_a_class_and_moves():
    x = torch.randn(9, 3)
    figure = flows.features(plain(3), x, torch.arange(9) % 2).plot()
    assert [series.label for series in figure.panels[0].series] == ["class 0", "class 1"]
    assert [len(series.x) for series in figure.panels[0].series] == [5, 4]
    assert figure.animation is not None
    assert list(figure.animation.values) == [0, 1, 2, 3, 4]


def test_the_model_is_left_as_it_was():
    net = nn.Sequential(nn.BatchNorm1d(3), plain(3)).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    flows.features(net, torch.randn(4, 3), mode="train")
    assert net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("model", "x", "options", "said"),
    [
        (nn.Linear(2, 2), torch.zeros(3, 2), {}, "0 flows"),
        (nn.Sequential(plain(2), plain(2)), torch.zeros(3, 2), {}, "2 flows"),
        (plain(1), torch.zeros(3, 1), {}, "no plane"),
        (plain(2), torch.full((3, 2), torch.inf), {}, "infinite number"),
        (plain(2), torch.zeros(3, 2), {"labels": torch.zeros(4, dtype=torch.long)}, "labels of shape"),
        (plain(2), torch.zeros(3, 2), {"labels": torch.zeros(3)}, "whole numbers"),
        (plain(2), torch.zeros(9, 2), {"labels": torch.arange(9)}, "told apart"),
        (plain(2), torch.zeros(3, 2), {"frames": 1}, "frames = 1"),
    ],
    ids=["none", "two", "width", "infinite", "labels", "floats", "classes", "frames"],
)
def test_what_cannot_be_followed_is_refused(model, x, options, said):
    with pytest.raises(InvalidInput, match=said):
        flows.features(model, x, **options)
