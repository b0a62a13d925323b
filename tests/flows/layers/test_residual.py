"""Weights in a basis: how they are drawn, carried over to another basis, and trained, many networks at once."""

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.training import SGD, train

F64 = torch.float64


def test_weights_are_drawn_from_the_seed_whatever_the_dtype():
    one, two = (flows.Plain(50, flows.PiecewiseConstant(40), seed=3, gain=2.0, dtype=dtype) for dtype in (F64, F64))
    assert torch.equal(one.coefficients["K"], two.coefficients["K"])
    single = flows.Plain(50, flows.PiecewiseConstant(40), seed=3, gain=2.0)
    assert torch.equal(single.coefficients["K"], one.coefficients["K"].float())
    assert one.coefficients["K"].std().item() == pytest.approx(2 / 50**0.5, rel=0.02)  # 100,000 draws: 8 errors
    assert not one.coefficients["b"].any()


@pytest.mark.parametrize("method", ["forward-euler", "rk4"])
def test_twice_the_layers_with_weights_carried_over_is_the_same_field(method):
    """A spline's refinement is the same function of time: the flow differs only by its steps, here none."""
    field = flows.Antisymmetric(4, flows.Spline(6, T=3.0, degree=2), seed=1, dtype=F64)
    finer = field.on(field.basis.refined())
    y = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
    ends = [flows.integrate(f, y, steps=16, method=method).final for f in (field, finer)]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-11)
    assert finer.coefficients["K"].shape == (10, 4, 4)
    assert field.coefficients["K"].shape == (6, 4, 4)
    assert finer.coefficients["K"].requires_grad


def test_layers_twice_as_many_each_half_as_long():
    """Piecewise constant weights prolong by standing twice, as in multilevel training."""
    field = flows.Plain(2, flows.PiecewiseConstant(3), seed=1)
    finer = field.on(flows.PiecewiseConstant(6))
    torch.testing.assert_close(finer.coefficients["K"], field.coefficients["K"].repeat_interleave(2, 0))


def test_what_weights_refuse():
    with pytest.raises(InvalidInput, match=r"basis = 5; give one in time, as flows.PiecewiseConstant\(8, T=1.0\)"):
        flows.Plain(2, 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="gain = nan"):
        flows.Plain(2, flows.PiecewiseConstant(2), gain=float("nan"))
    with pytest.raises(InvalidInput, match=r"one basis ends at T = 2.0, the other at T = 1.0"):
        flows.Plain(2, flows.PiecewiseConstant(2)).on(flows.PiecewiseConstant(4, T=2.0))


def classifier(seed: int) -> nn.Module:
    """An opening convolution, parabolic layers, a connection to more channels, hyperbolic ones, a head."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(),
        flows.Flow(
            flows.Parabolic(flows.Convolution(4), flows.PiecewiseConstant(3), activation="relu", seed=seed), steps=3,
            method="forward-euler",
        ),
        nn.AvgPool2d(2), nn.Conv2d(4, 6, 1),
        flows.Flow(
            flows.Hyperbolic(flows.Convolution(6), flows.PiecewiseLinear(3), seed=seed), steps=2, method="verlet"
        ),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    )  # fmt: skip


def bars(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images 8 x 8 with a horizontal or a vertical bar, in noise."""
    draw = torch.Generator().manual_seed(0)
    x, y = 0.3 * torch.randn(n, 1, 8, 8, generator=draw), torch.randint(2, (n,), generator=draw)
    place = torch.randint(8, (n,), generator=draw)
    for i in range(n):
        (x[i, 0, place[i]] if y[i] else x[i, 0, :, place[i]]).add_(2.0)
    return x, y


def test_convolutional_flows_train_many_at_once_as_each_alone():
    """Two members by vmap against each by itself, to float32 rounding of 15 steps; the loss falls to a quarter."""
    x, y = bars(60)
    options = {"optimiser": SGD(lr=0.3, momentum=0.9), "epochs": 15, "batch_size": 20}
    both = train([classifier(0), classifier(1)], x, y, seeds=[5, 6], **options)
    alone = train([classifier(1)], x, y, seeds=[6], **options)
    for name, stacked in both.states.items():
        torch.testing.assert_close(stacked[1], alone.states[name][0], rtol=1e-2, atol=1e-3)
    losses = both.curves["train_loss"]
    assert (both.final["train_error"] < 0.1).all(), losses
