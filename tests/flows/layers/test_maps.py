"""Linear maps: adjoints by dot products, convolutions as matrices, sizes that do not fit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import flows
from lemmata.errors import InvalidInput

F64 = torch.float64


def draw(*shape: int, seed: int = 0, dtype=F64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_the_adjoint_of_a_convolution(data):
    """<K y, z> = <y, K^T z>, images smaller than the kernel too, to rounding of some thousand terms."""
    channels, hidden, size, seed = (data.draw(st.integers(1, 6), name) for name in ("in", "out", "size", "seed"))
    kernel, dimension = data.draw(st.sampled_from([1, 3, 5])), data.draw(st.integers(1, 3))
    linear = flows.Convolution(channels, kernel, hidden=hidden, dimension=dimension)
    K, places = draw(*linear.shape, seed=seed), (size, size + 1, 2)[:dimension]
    y, z = draw(2, channels, *places, seed=seed + 1), draw(2, hidden, *places, seed=seed + 2)
    left, right = (linear.apply(K, y) * z).sum(), (y * linear.adjoint(K, z)).sum()
    torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_the_adjoint_of_a_matrix(width, hidden, seed):
    linear = flows.Dense(width, hidden)
    K, y, z = draw(*linear.shape, seed=seed), draw(3, width, seed=seed + 1), draw(3, hidden, seed=seed + 2)
    torch.testing.assert_close((linear.apply(K, y) * z).sum(), (y * linear.adjoint(K, z)).sum())


def test_the_bias_is_added_at_every_place():
    linear, b = flows.Convolution(1, hidden=2), torch.tensor([1.0, -2.0])
    out = linear.apply(torch.zeros(linear.shape), torch.ones(1, 1, 4, 5), b)
    assert torch.equal(out, b[None, :, None, None].expand(1, 2, 4, 5))


@pytest.mark.parametrize("linear", [flows.Dense(400), flows.Convolution(9), flows.Convolution(50, dimension=1)])
def test_initial_weights_keep_the_size_of_a_state(linear):
    """The mean square of K y is that of y, 1, to 5 standard errors of 400 or more rows (0.15); zeros outside aside."""
    K = linear.gauss() * draw(*linear.shape)
    places = (60,) * (0 if isinstance(linear, flows.Dense) else linear.dimension)
    assert linear.apply(K, draw(20, linear.width, *places, seed=1)).square().mean().item() == pytest.approx(
        1.0, abs=0.25
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flows.Dense(0), "width = 0"),
        (lambda: flows.Dense(3, -1), "hidden = -1"),
        (lambda: flows.Convolution(2, 4), "kernel = 4, dimension = 2; a kernel is odd"),
        (lambda: flows.Convolution(2, dimension=4), "a dimension 1, 2 or 3"),
        (lambda: flows.Plain(flows.Dense(2, 3), flows.PiecewiseConstant(1)), "Plain adds K y to the state and wants"),
    ],
    ids=["width", "hidden", "even", "dimension", "square"],
)
def test_maps_that_cannot_be(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


@pytest.mark.parametrize(
    ("linear", "state", "message"),
    [
        (4, (3, 5), r"Parabolic of width 4 takes states \(\.\.\., 4\), not \(3, 5\)"),
        (flows.Convolution(4), (3, 4), r"states \(samples, 4, height, width\), not \(3, 4\)"),
        (flows.Convolution(4), (3, 2, 8, 8), r"states \(samples, 4, height, width\), not \(3, 2, 8, 8\)"),
        (flows.Convolution(4, dimension=1), (3, 4, 8, 8), r"states \(samples, 4, length\), not \(3, 4, 8, 8\)"),
    ],
    ids=["dense", "flat", "channels", "signal"],
)
def test_states_of_another_width(linear, state, message):
    with pytest.raises(InvalidInput, match=message):
        flows.Flow(flows.Parabolic(linear, flows.PiecewiseConstant(2)), steps=2)(torch.zeros(state))


def test_states_of_another_dtype():
    field = flows.Plain(3, flows.PiecewiseConstant(1))
    with pytest.raises(InvalidInput, match=r"Plain has weights in torch.float32 and a state in torch.float64"):
        field(0.0, torch.zeros(2, 3, dtype=F64))
