"""Bounds hold: against exact ranges by linear programs, against samples, and against exact rational arithmetic."""

from fractions import Fraction
from itertools import pairwise, product

import pytest
import torch
from exact_bounds import least
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_nets import NETS
from torch import nn

from lemmata.robustness.linear_bounds import crown, interval_bounds, margin_bounds

METHODS = ("interval", "crown-ibp", "crown", "alpha-crown")


def perceptron(seed, widths=(3, 4, 3, 2)):
    torch.manual_seed(seed)
    layers = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double().eval().requires_grad_(False)


def of_margin(model, x, eps, method, clip=(0.0, 1.0)):
    return margin_bounds(model, x, torch.zeros(len(x), dtype=torch.long), eps, method=method, clip=clip)[:, 1]


@pytest.mark.parametrize("seed", range(6))
def test_against_the_exact_margin_of_all_linear_pieces(seed):
    model = perceptron(seed)
    x = torch.rand(1, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = [m.weight.numpy() for m in model if isinstance(m, nn.Linear)]
    biases = [m.bias.numpy() for m in model if isinstance(m, nn.Linear)]
    for eps in (0.02, 0.3):
        low, high = (x[0] - eps).clamp(0, 1).numpy(), (x[0] + eps).clamp(0, 1).numpy()
        exact = least(weights, biases, torch.tensor([1.0, -1.0]).double().numpy(), low, high)
        bounds = [float(of_margin(model, x, eps, method)) for method in METHODS]
        assert all(bound <= exact + 1e-6 for bound in bounds)  # the solver's own tolerance
        assert bounds[3] >= bounds[2]
        assert bounds[2] >= exact - (0.05 if eps < 0.1 else 1.0)  # and they are bounds worth having


def test_exact_where_no_unit_changes_sides():
    # far from every kink the network is linear on the ball, and CROWN's bound is its exact minimum
    model = perceptron(0)
    for module in model:
        if isinstance(module, nn.Linear):
            module.bias += 5
    x = torch.full((1, 3), 0.5).double()
    corners = torch.tensor(list(product((0.4, 0.6), repeat=3))).double()
    margins = model(corners)[:, 0] - model(corners)[:, 1]
    torch.testing.assert_close(of_margin(model, x, 0.1, "crown")[0], margins.min(), rtol=0, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(NETS)), norm=st.sampled_from(["linf", "l2", "l1"]), seed=st.integers(0, 10**6),
    eps=st.floats(0.001, 1.0), method=st.sampled_from(METHODS[:3]), clipped=st.booleans(),
)  # fmt: skip
def test_no_sample_leaves_the_bounds(*, name, norm, seed, eps, method, clipped):
    torch.manual_seed(seed)
    model = NETS[name]().double().eval().requires_grad_(False)
    x = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    clip = (0.0, 1.0) if clipped else None
    if method == "interval":
        found = interval_bounds(model, x, eps, norm=norm, clip=clip)
    else:
        found = crown(model, x, eps, norm=norm, intermediate="crown" if method == "crown" else "interval", clip=clip)
    for direction in (torch.randn(200, 2, 1, 6, 6).double(), torch.randn(200, 2, 1, 6, 6).double().sign()):
        sparse = direction * (torch.rand_like(direction) < 0.1)
        for d in (direction, sparse):
            length = {"linf": lambda d: d.abs().amax(1), "l2": lambda d: d.norm(dim=1), "l1": lambda d: d.abs().sum(1)}
            size = length[norm](d.flatten(0, 1).flatten(1)).clamp(min=1e-9).reshape(200, 2, 1, 1, 1)
            points = x + eps * d / size
            points = points.clamp(0, 1) if clipped else points
            logits = model(points.flatten(0, 1)).unflatten(0, (200, 2))
            assert (logits >= found.low - 1e-12).all()  # 1e-12: the samples' own rounding
            assert (logits <= found.high + 1e-12).all()


def rational(values):
    return [[Fraction(v) for v in row] for row in values.tolist()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_bounds_hold_in_exact_arithmetic(dtype, scale):
    # all corners of the box in rational arithmetic; cancellation makes what rounding loses as large as the margin
    torch.manual_seed(1)
    model = perceptron(1, (6, 5, 2)).to(dtype)
    first, last = model[0], model[2]
    first.weight *= scale
    last.weight[1] = last.weight[0] * (1 + 1e-7)  # logits that nearly agree
    last.bias.zero_()
    x = torch.rand(1, 6, dtype=dtype)
    eps = 2.0**-20
    W, b, V = rational(first.weight), [Fraction(v) for v in first.bias.tolist()], rational(last.weight)
    outcomes = []
    for signs in product((-1, 1), repeat=6):
        corner = [min(max(Fraction(v) + s * Fraction(eps), 0), 1) for v, s in zip(x[0].tolist(), signs, strict=True)]
        hidden = [
            max(sum(w * c for w, c in zip(row, corner, strict=True)) + bias, 0) for row, bias in zip(W, b, strict=True)
        ]
        outcomes.append([sum(v * h for v, h in zip(row, hidden, strict=True)) for row in V])
    for found in (interval_bounds(model, x, eps, dtype=dtype), crown(model, x, eps, dtype=dtype)):
        for c in range(2):
            assert all(
                Fraction(float(found.low[0, c])) <= values[c] <= Fraction(float(found.high[0, c]))
                for values in outcomes
            )
    for method in METHODS:
        margin = float(margin_bounds(model, x, torch.tensor([0]), eps, method=method, dtype=dtype)[0, 1])
        assert all(Fraction(margin) <= values[0] - values[1] for values in outcomes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_that_cancel_are_enclosed(dtype):
    # large biases of which little is left: what sums of 200 terms lose is far more than the inputs can do
    torch.manual_seed(0)
    model = perceptron(0, (2, 200, 40)).to(dtype)
    first, last = model[0], model[2]
    first.bias.copy_(1e4 * (1 + torch.rand(200)))
    x = torch.rand(1, 2, dtype=dtype)
    inputs = [Fraction(v) for v in x[0].tolist()]
    W, b = rational(first.weight), [Fraction(v) for v in first.bias.tolist()]
    hidden = [max(sum(w * v for w, v in zip(row, inputs, strict=True)) + t, 0) for row, t in zip(W, b, strict=True)]
    V, t = rational(last.weight), [Fraction(v) for v in last.bias.tolist()]
    exact = [sum(v * h for v, h in zip(row, hidden, strict=True)) + c for row, c in zip(V, t, strict=True)]
    for found in (interval_bounds(model, x, 0.0, dtype=dtype), crown(model, x, 0.0, dtype=dtype)):
        for c in range(40):
            assert Fraction(float(found.low[0, c])) <= exact[c] <= Fraction(float(found.high[0, c]))


def test_float32_bounds_hold_those_of_float64_and_cost_little_width():
    torch.manual_seed(0)
    model = NETS["convolutional"]().eval().requires_grad_(False)
    x = torch.rand(3, 1, 6, 6)
    single, double = (crown(model, x, 0.05, dtype=dtype) for dtype in (torch.float32, torch.float64))
    assert (single.low.double() <= double.low).all()
    assert (single.high.double() >= double.high).all()
    assert float((single.width.double() / double.width).max()) < 1.01


def test_images_are_bounded_alike_alone_and_together_and_in_chunks():
    torch.manual_seed(0)
    model = NETS["residual"]().double().eval().requires_grad_(False)
    x, eps = torch.rand(5, 1, 6, 6).double(), torch.tensor([0.01, 0.1, 0.0, 0.3, 0.05])
    together = crown(model, x, eps)
    chunked = crown(model, x, eps, budget=20_000)
    for i in range(5):
        alone = crown(model, x[i : i + 1], float(eps[i]))
        # the same sums in another order: some roundings of numbers of order 1
        torch.testing.assert_close(together.low[i], alone.low[0], rtol=0, atol=1e-10)
        torch.testing.assert_close(chunked.high[i], alone.high[0], rtol=0, atol=1e-10)
    assert float(together.width[2].max()) < 1e-12  # a ball of radius 0 is a point


@pytest.mark.gpu
@pytest.mark.parametrize("name", sorted(NETS))
def test_the_device_changes_nothing_but_rounding(name):
    torch.manual_seed(0)
    model = NETS[name]().double().eval().requires_grad_(False)
    x = torch.rand(3, 1, 6, 6).double()
    here = crown(model, x, 0.1, norm="l2")
    there = crown(model.cuda(), x.cuda(), 0.1, norm="l2")
    assert there.low.device.type == "cuda"
    # sums in another order, and tanh by another library: some roundings of numbers of order 1
    torch.testing.assert_close(there.low.cpu(), here.low, rtol=0, atol=1e-10)
    torch.testing.assert_close(there.high.cpu(), here.high, rtol=0, atol=1e-10)
