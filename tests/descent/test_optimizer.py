"""Methods as optimisers of torch: against the plain recursion to 1e-12, on any groups, with checkpoints."""

import copy

import numpy as np
import pytest
import torch

from lemmata import descent
from lemmata.descent import optimizer
from lemmata.errors import InvalidInput

METHODS = {
    "dominant": lambda: descent.dominant(9),
    "grimmer": lambda: descent.grimmer(3),
    "nesterov": descent.nesterov,
    "nesterov, mu": lambda: descent.nesterov(mu=0.05),
    "ogm": descent.ogm,
    "heavy ball": lambda: descent.heavy_ball(0.7, output="last"),
    "heavy ball, average": lambda: descent.heavy_ball(0.7),
    "heavy ball, increasing": lambda: descent.heavy_ball("increasing"),
    "heavy ball, quadratics": lambda: descent.heavy_ball(mu=0.05),
}
N, L = 9, 2.0
SHAPES = [(3,), (2, 2), (1,), (2, 1, 3)]
DRAW = torch.Generator().manual_seed(0)
CURVES = [2 * torch.rand(shape, generator=DRAW, dtype=torch.float64) for shape in SHAPES]
STARTS = [torch.randn(shape, generator=DRAW, dtype=torch.float64) for shape in SHAPES]


def loss(parameters):
    """A sum of log cosh (c x) / c: convex, curvature at most c <= 2 = L."""
    return sum(((c * p).cosh().log() / c).sum() for c, p in zip(CURVES, parameters, strict=True))


def parameters():
    return [torch.nn.Parameter(start.clone()) for start in STARTS]


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors]).numpy()


def by_recursion(method, n):
    curve, states = flat(CURVES), method.start(flat(STARTS), L=L)
    for _ in range(n):
        states = method.advance(states, np.tanh(curve * states.x))
    return states


def groups(parameters, how):
    if how == "one":
        return parameters
    return [{"params": parameters[:1]}, {"params": parameters[1:3]}, {"params": parameters[3:]}]


@pytest.mark.parametrize("how", ["one", "three"])
@pytest.mark.parametrize("name", METHODS)
def test_equals_the_plain_recursion(name, how):
    """Points between steps and the output after n, to 1e-12."""
    method, p = METHODS[name](), parameters()
    steps = optimizer(groups(p, how), method, L=L, n=N)
    for k in range(N):
        steps.zero_grad()
        loss(p).backward()
        steps.step()
        if k < N - 1:
            np.testing.assert_allclose(flat(p), by_recursion(method, k + 1).x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(flat(p), by_recursion(method, N).output, rtol=0, atol=1e-12)
    with pytest.raises(InvalidInput, match="ended after 9"):
        steps.step()


def test_without_an_end_it_stays_at_the_next_gradients_point():
    method, p = descent.nesterov(), parameters()
    steps = optimizer(p, method, L=L)
    for _ in range(20):
        steps.zero_grad()
        loss(p).backward()
        steps.step()
    np.testing.assert_allclose(flat(p), by_recursion(method, 20).x, rtol=0, atol=1e-12)


def test_a_group_may_have_its_own_constant():
    """Two functions of separate variables are two runs, each with its own L."""
    method = descent.ogm(5)
    a, b = (torch.nn.Parameter(torch.tensor([1.0, 3.0], dtype=torch.float64)) for _ in range(2))
    steps = optimizer([{"params": [a], "L": 4.0}, {"params": [b]}], method, L=1.0, n=5)
    for _ in range(5):
        a.grad, b.grad = 4 * a.detach() * 0.3, b.detach() * 0.3
        steps.step()
    torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-13, atol=0)


def test_a_checkpoint_goes_on_where_it_was():
    """State saved after 4 of 9 steps and loaded into a new optimiser: the same run, to the bit."""
    for name in ("ogm", "heavy ball, average"):
        ends = []
        for stop in (None, 4):
            p = parameters()
            steps = optimizer(p, METHODS[name](), L=L, n=N)
            for k in range(N):
                if k == stop:
                    state = copy.deepcopy(steps.state_dict())
                    steps = optimizer(p, METHODS[name](), L=L, n=N)
                    steps.load_state_dict(state)
                steps.zero_grad()
                loss(p).backward()
                steps.step()
            ends.append(flat(p))
        assert np.array_equal(*ends), name


def test_polyak_by_its_closure():
    """The step over all groups together, from the value that the closure gives: against the recursion to 1e-12."""
    method, p = descent.polyak(0.0), parameters()
    steps = optimizer(groups(p, "three"), method)

    def closure():
        steps.zero_grad()
        value = loss(p)
        value.backward()
        return value

    curve, state = flat(CURVES), method.start(flat(STARTS))
    for _ in range(6):
        value = float((np.log(np.cosh(curve * state.x)) / curve).sum())
        assert float(steps.step(closure).detach()) == pytest.approx(value, rel=1e-12)
        state = method.advance(state, np.tanh(curve * state.x), value)
        np.testing.assert_allclose(flat(p), state.x, rtol=0, atol=1e-12)
    with pytest.raises(InvalidInput, match="closure"):
        steps.step()


def test_parameters_without_gradient_stay():
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    steps = optimizer([a, b], descent.nesterov())
    a.grad = torch.ones(2)
    steps.step()
    assert a.tolist() == [0.0, 0.0]
    assert b.tolist() == [1.0, 1.0]


def test_what_cannot_be_is_refused():
    p = [torch.nn.Parameter(torch.ones(1))]
    for arguments, told in (
        ({"method": descent.nesterov(), "L": 0.0}, "smoothness"),
        ({"method": descent.nesterov(), "L": float("inf")}, "smoothness"),
        ({"method": descent.nesterov(), "n": 0}, "n = 0"),
        ({"method": "nesterov"}, "'nesterov'; make one"),
        ({"method": descent.nesterov(), "L": None}, "L = None"),
        ({"method": descent.dominant(3), "n": 4}, "which has 3"),
        ({"method": descent.heavy_ball(0.5)}, "average"),
    ):
        with pytest.raises(InvalidInput, match=told):
            optimizer(p, **arguments)
    p[0].grad = torch.ones(1)
    steps = optimizer(p, descent.dominant(1))
    steps.step()
    with pytest.raises(InvalidInput, match="ended after 1"):
        steps.step()


@pytest.mark.gpu
def test_runs_on_a_gpu():
    p = [torch.nn.Parameter(torch.ones(3, device="cuda"))]
    steps = optimizer(p, descent.ogm(), n=2)
    for _ in range(2):
        p[0].grad = p[0].detach() * 0.5
        steps.step()
    wanted = 1 - descent.ogm().matrix(2)[-1] @ [0.5, 0.5 * (1 - descent.ogm().coefficients(0).intake * 0.5 - 0.5)]
    assert p[0].tolist() == pytest.approx([wanted] * 3, rel=1e-5)
