"""The 2n + d network against exact rational arithmetic, its own error bound, and what fewer units leave."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.regression import interpolating_net, misfit_by_units


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(n: int, d: int, seed: int = 0):
    draw = seeded(seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64)
    return x, torch.randn(n, generator=draw, dtype=torch.float64)


def exact_output(net, x, y) -> tuple[list[Fraction], list[Fraction]]:
    """Output weights and values at the points, solved and summed without rounding from the net's own numbers."""
    points = [[Fraction(v) for v in row] for row in x.tolist()]
    a, b = ([Fraction(v) for v in t.tolist()] for t in (net.direction, net.thresholds))
    z = [sum((p * q for p, q in zip(point, a, strict=True)), Fraction(0)) for point in points]
    order = sorted(range(len(z)), key=z.__getitem__)
    w: list[Fraction] = []
    for i in order:  # forward substitution
        rest = sum((wj * max(z[i] - bj, Fraction(0)) for wj, bj in zip(w, b, strict=False)), Fraction(0))
        w.append((Fraction(y[i].item()) - rest) / (z[i] - b[len(w)]))
    own = [Fraction(v) for v in net.weights.tolist()]
    return w, [sum((wj * max(zi - bj, Fraction(0)) for wj, bj in zip(own, b, strict=True)), Fraction(0)) for zi in z]


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_rational_arithmetic(seed):
    x, y = problem(12, 3, seed)
    net = interpolating_net(x, y, generator=seeded(seed))
    weights, values = exact_output(net, x, y)
    z = x @ net.direction
    assert (net.thresholds[1:] > z.sort().values[:-1]).all()
    assert (net.thresholds < z.sort().values).all()
    # the computed weights belong to a nearby system: forward error <= cond * u, and cond < 1e6 for 12 points
    np.testing.assert_allclose(net.weights.numpy(), [float(w) for w in weights], rtol=1e-9)
    error = max(abs(float(v) - float(target)) for v, target in zip(values, y, strict=True))
    assert error <= net.tolerance


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), d=st.integers(1, 20), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 2**31))
def test_any_values_are_taken_within_the_bound(n, d, scale, seed):
    x, y = problem(n, d, seed)
    net = interpolating_net(scale * x, y / scale, generator=seeded(seed))
    assert (net(scale * x) - y / scale).abs().max() <= net.tolerance
    assert net.weight_count == 2 * n + d


def test_bound_follows_the_condition_number_at_full_size():
    x, y = problem(1000, 50)
    net = interpolating_net(x, y.sign(), generator=seeded(1))
    z = (x @ net.direction).sort().values
    condition = torch.linalg.cond((z[:, None] - net.thresholds).clamp(min=0)).item()
    assert 1e6 < condition < 1e12
    assert (net(x) - y.sign()).abs().max() <= net.tolerance
    assert net.tolerance <= 4 * 1000 * 2**-53 * condition * 1000  # |A| |w| <= sqrt(n) |A| |w|_2, generously


def test_evaluating_a_few_points_at_a_time_keeps_the_bound():
    x, y = problem(300, 40)
    net = interpolating_net(x, y, generator=seeded(3))
    piecewise = torch.cat([net(row[None]) for row in x])
    assert (piecewise - y).abs().max() <= net.tolerance


def test_one_point():
    net = interpolating_net(torch.tensor([[2.0]]), torch.tensor([7.0]), generator=seeded(0))
    assert net(torch.tensor([[2.0]])).item() == pytest.approx(7.0, rel=1e-12)


def test_misfit_by_units_is_least_squares():
    x, y = problem(30, 4)
    net = interpolating_net(x, y, generator=seeded(0))
    misfit = misfit_by_units(net, x, y, generator=seeded(9))
    kept = torch.randperm(30, generator=seeded(9))
    hidden = net.hidden(x).numpy()
    for k in (0, 1, 7, 29):
        columns = hidden[:, kept[:k].numpy()]
        best = columns @ np.linalg.lstsq(columns, y.numpy(), rcond=None)[0] if k else np.zeros(30)
        rms = np.sqrt(np.mean((best - y.numpy()) ** 2))
        assert misfit[k].item() == pytest.approx(rms, rel=1e-7)


@pytest.mark.parametrize("n", [500, 1000])
def test_one_unit_fewer_fails(n):
    x, y = problem(n, 50)
    net = interpolating_net(x, y, generator=seeded(0))
    misfit = misfit_by_units(net, x, y, generator=seeded(1))
    assert misfit[n] <= net.tolerance < 1e-3 * misfit[n - 1]
    assert misfit[int(0.9 * n)] > 0.1
    assert (misfit[:-1].diff() <= 1e-12).all()


def test_equal_points_are_named():
    x = torch.tensor([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]])
    with pytest.raises(InvalidInput, match="examples 0 and 2 have the same projection"):
        interpolating_net(x, torch.zeros(3), generator=seeded(0))


def test_shapes_that_do_not_go_together():
    with pytest.raises(InvalidInput, match=r"\(3, 2\) and y of shape \(2,\)"):
        interpolating_net(torch.zeros(3, 2), torch.zeros(2), generator=seeded(0))
