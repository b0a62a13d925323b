"""Closed forms of teacher and student against autograd of the plain formula, mpmath, quadrature and random inputs."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape.teacher_student import TeacherStudent, hessian_lipschitz, orthonormal
from lemmata.landscape.teacher_student.pairs import Activation
from lemmata.landscape.teacher_student.problem import ACTIVATIONS

BOTH = pytest.mark.parametrize("activation", ["relu", "erf"])


def plain(activation: str, theta: torch.Tensor, shape: tuple[int, int], V: torch.Tensor, b: torch.Tensor):
    """The loss as the papers print it, for autograd: no care for parallel neurons."""
    n, d = shape
    W = theta[: n * d].view(n, d)
    a = theta[n * d :] if len(theta) > n * d else torch.ones(n).double()
    U, c = torch.cat([W, V]), torch.cat([a, -b])
    q, r = U @ U.T, U.square().sum(1)
    other = ~torch.eye(len(U), dtype=torch.bool)
    if activation == "erf":
        F = torch.asin(q / torch.sqrt((1 + r)[:, None] * (1 + r))) * 2 / math.pi
    else:
        size = torch.sqrt(r[:, None] * r)
        t = torch.acos((q / size).where(other, torch.zeros(())))
        F = (size * (t.sin() + (math.pi - t) * t.cos()) / (2 * math.pi)).where(other, torch.diag(r / 2))
    return c @ F @ c / 2


def draw(seed: int, *, n=4, k=3, d=5, trained=False, activation="relu"):
    random = torch.Generator().manual_seed(seed)
    V, b, W, a = (torch.randn(s, generator=random).double() for s in ((k, d), (k,), (n, d), (n,)))
    return TeacherStudent(V, activation, b, trained), W, a if trained else torch.ones(n).double()


@BOTH
@pytest.mark.parametrize("trained", [False, True])
def test_loss_gradient_and_hessian_are_autograds(activation: str, trained: bool):
    """Random neurons: all to 1e-13, some hundred roundings of numbers below 10. Also as one of a batch."""
    problem, W, a = draw(0, trained=trained, activation=activation)
    theta = torch.cat([W.flatten(), a]) if trained else W.flatten()

    def loss(x):
        return plain(activation, x, (4, 5), problem.teacher, problem.b)

    assert problem.loss(W, a).item() == pytest.approx(loss(theta).item(), abs=1e-13)
    moving = torch.cat([W.flatten(), a]).requires_grad_()
    (g,) = torch.autograd.grad(loss(moving), moving)
    found = problem.gradient(W, a)
    torch.testing.assert_close(torch.cat([found.W.flatten(), found.a]), g, rtol=0, atol=1e-13)
    H = torch.autograd.functional.hessian(loss, theta)
    torch.testing.assert_close(problem.hessian(W, a), H, rtol=0, atol=1e-13)
    batch, outputs = torch.stack([2 * W, W]), torch.stack([a, a])
    torch.testing.assert_close(problem.hessian(batch, outputs)[1], H, rtol=0, atol=1e-13)
    torch.testing.assert_close(problem.gradient(batch, outputs).W[1], found.W)
    torch.testing.assert_close(problem.loss(batch, outputs)[1], problem.loss(W, a))


@BOTH
def test_loss_is_that_of_random_inputs(activation: str):
    """A million inputs: within five standard errors, which fails once in two million such tests."""
    problem, W, a = draw(1, trained=True, activation=activation)
    x = torch.randn(1_000_000, 5, generator=torch.Generator().manual_seed(2)).double()
    phi = torch.relu if activation == "relu" else lambda u: torch.erf(u / math.sqrt(2))
    losses = (phi(x @ W.T) @ a - phi(x @ problem.teacher.T) @ problem.b).square() / 2
    stderr = losses.std().item() / 1000
    assert abs(problem.loss(W, a).item() - losses.mean().item()) < 5 * stderr
    assert stderr < 0.01 * losses.mean().item()


@BOTH
@pytest.mark.parametrize("angle", [0.3, 1e-5, 1e-9, math.pi - 1e-6, math.pi / 2])
def test_pairs_are_exact_at_any_angle(activation: str, angle: float):
    """Against 50 digits at the binary values given: value, gradient to 2e-15, curvature to 2e-8 (its cut)."""
    w = torch.tensor([[1.5, 0.0]], dtype=torch.float64)
    v = 0.7 * torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    phi = ACTIVATIONS[activation]
    with mpmath.workdps(50):
        f, gradient, H = _by_mpmath(activation, w[0].tolist(), v[0].tolist())
    found = phi.second(w, v)
    assert found.first.value.item() == pytest.approx(f, abs=2e-15)
    derivative = found.first.alpha * w + found.first.beta * v
    np.testing.assert_allclose(derivative[0].numpy(), gradient, rtol=0, atol=2e-15)
    if activation == "relu":
        with mpmath.workdps(50):
            cross = abs(mpmath.mpf(w[0, 0].item()) * mpmath.mpf(v[0, 1].item()))
            t = mpmath.atan2(cross, mpmath.mpf(w[0, 0].item()) * mpmath.mpf(v[0, 0].item()))
            assert found.first.beta.item() == pytest.approx(float((mpmath.pi - t) / (2 * mpmath.pi)), abs=1e-15)
    own = found.own
    curvature = found.first.alpha * torch.eye(2) + own.ww * w.T @ w + own.wv * (w.T @ v + v.T @ w) + own.vv * v.T @ v
    np.testing.assert_allclose(curvature.numpy(), H, rtol=0, atol=2e-8)


def _by_mpmath(activation: str, w: list[float], v: list[float]):
    """F, dF/dw and d2F/dw2 in two dimensions, by central differences of the plain formula in 50 digits."""
    mp = mpmath.mp

    def f(x, y):
        r, s, q = x * x + y * y, mp.mpf(v[0]) ** 2 + mp.mpf(v[1]) ** 2, x * v[0] + y * v[1]
        if activation == "erf":
            return 2 / mp.pi * mp.asin(q / mp.sqrt((1 + r) * (1 + s)))
        t = mp.atan2(abs(x * mp.mpf(v[1]) - y * mp.mpf(v[0])), q)
        return mp.sqrt(r * s) * (mp.sin(t) + (mp.pi - t) * mp.cos(t)) / (2 * mp.pi)

    x, y, h = mp.mpf(w[0]), mp.mpf(w[1]), mp.mpf(10) ** -15
    gradient = [(f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)]
    xx = (f(x + h, y) - 2 * f(x, y) + f(x - h, y)) / h**2
    yy = (f(x, y + h) - 2 * f(x, y) + f(x, y - h)) / h**2
    xy = (f(x + h, y + h) - f(x + h, y - h) - f(x - h, y + h) + f(x - h, y - h)) / (4 * h**2)
    return float(f(x, y)), [float(g) for g in gradient], [[float(xx), float(xy)], [float(xy), float(yy)]]


@BOTH
def test_a_student_that_is_its_teacher_has_no_loss_and_no_gradient(activation: str):
    """In any order, some of it split in two (ReLU): to 1e-14."""
    problem, _, _ = draw(3, activation=activation)
    problem = TeacherStudent(problem.teacher, activation)
    W = problem.teacher[[2, 0, 1]]
    assert abs(problem.loss(W).item()) < 1e-14
    assert problem.gradient(W).abs().max() < 1e-14
    assert torch.linalg.eigvalsh(problem.hessian(W))[0] > 0
    if activation == "relu":
        W = torch.cat([0.3 * W[:1], 0.7 * W[:1], W[1:]])
        assert abs(problem.loss(W).item()) < 1e-14
        assert problem.gradient(W).abs().max() < 1e-14


@BOTH
@given(seed=st.integers(0, 10_000), n=st.integers(1, 4), k=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_loss_is_not_negative_and_knows_no_coordinates(activation: str, seed: int, n: int, k: int):
    """Rotations of inputs and permutations of neurons change nothing, to rounding."""
    problem, W, a = draw(seed, n=n, k=k, trained=True, activation=activation)
    loss = problem.loss(W, a)
    assert loss > -1e-13
    random = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(5, 5, generator=random).double())[0]
    order = torch.randperm(n, generator=random)
    turned = TeacherStudent(problem.teacher @ Q, activation, problem.b, True)  # type: ignore[arg-type]
    assert turned.loss((W @ Q)[order], a[order]).item() == pytest.approx(loss.item(), rel=1e-12, abs=1e-13)
    expected = (problem.gradient(W, a).W @ Q)[order]
    torch.testing.assert_close(turned.gradient((W @ Q)[order], a[order]).W, expected, rtol=1e-10, atol=1e-12)


def test_a_zero_neuron_has_a_gradient_and_no_hessian():
    """The gradient is the mean of those at small neurons in opposite directions, to the size of the neuron."""
    problem, W, _ = draw(4)
    W[1] = 0
    assert problem.gradient(W).isfinite().all()
    assert problem.loss(W).item() == pytest.approx(problem.loss(torch.cat([W[:1], W[2:]])).item(), abs=1e-13)
    around = []
    for direction in torch.eye(5).double():
        for sign in (1, -1):
            near = W.clone()
            near[1] = 1e-9 * sign * direction
            around.append(problem.gradient(near)[1])
    mean = torch.stack(around).mean(0)
    # opposite directions average the angle's term to pi/2; what is along the direction itself cancels
    torch.testing.assert_close(mean, problem.gradient(W)[1], rtol=0, atol=1e-7)
    with pytest.raises(InvalidInput, match="zero"):
        problem.hessian(W)
    assert hessian_lipschitz(problem, W).item() == math.inf


@BOTH
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_hessian_is_as_lipschitz_as_promised(activation: str, seed: int):
    """Spectral norm of the change of the Hessian between random points of the ball, over their distance."""
    random = torch.Generator().manual_seed(seed)
    W = torch.randn(3, 4, generator=random).double()
    problem = TeacherStudent(torch.randn(2, 4, generator=random).double(), activation)  # type: ignore[arg-type]
    radius = 0.5 * W.norm(dim=1).min()
    ends = W + torch.stack([_in_ball(W, radius, random) for _ in range(6)])
    ends[0] = W
    L = hessian_lipschitz(problem, W, radius)
    H = problem.hessian(ends)
    for i in range(6):
        for j in range(i):
            change = torch.linalg.matrix_norm(H[i] - H[j], 2)
            assert change <= L * (ends[i] - ends[j]).norm() + 1e-6


def _in_ball(W: torch.Tensor, radius: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    move = torch.randn(W.shape, generator=random).double()
    return move / move.norm() * radius * torch.rand(1, generator=random).double()


@BOTH
def test_third_derivatives_of_pairs_are_below_their_bounds(activation: str):
    """Central differences of the Hessian of one pair, 60 random pairs and directions."""
    phi: Activation = ACTIVATIONS[activation]
    random = torch.Generator().manual_seed(0)
    for _ in range(60):
        w, v = (torch.randn(1, 3, generator=random).double() for _ in range(2))
        x = torch.randn(1, 3, generator=random).double()
        x, h = x / x.norm(), 1e-5
        www, wwv, wvv, vvv = (t.item() for t in phi.third(w, v, torch.tensor(0.0)))
        by_w = (_own(phi, w + h * x, v) - _own(phi, w - h * x, v)) / (2 * h)
        by_v = (_own(phi, w, v + h * x) - _own(phi, w, v - h * x)) / (2 * h)
        size = [torch.linalg.matrix_norm(m, 2).item() for m in (by_w, by_v)]
        assert size[0] <= www * (1 + 1e-6)
        assert size[1] <= wwv * (1 + 1e-6)
        assert (wvv, vvv) == tuple(t.item() for t in phi.third(v, w, torch.tensor(0.0))[1::-1])


def _own(phi: Activation, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    s = phi.second(w, v)
    own = s.own
    return s.first.alpha * torch.eye(3) + own.ww * w.T @ w + own.wv * (w.T @ v + v.T @ w) + own.vv * v.T @ v


def test_the_lipschitz_constant_is_put_together_as_derived():
    """Three neurons against two, by a plain double loop; to rounding."""
    random = torch.Generator().manual_seed(2)
    W, V = torch.randn(3, 4, generator=random).double(), torch.randn(2, 4, generator=random).double()
    problem, radius = TeacherStudent(V, teacher_outputs=torch.tensor([1.0, -2.0])), 0.1
    w, v = W.norm(dim=1).tolist(), V.norm(dim=1).tolist()
    www, wwv = math.sqrt(31 / 3) / (2 * math.pi), math.sqrt(5) / (2 * math.pi)
    diagonal, rest = [], 0.0
    for i in range(3):
        own = sum(w[j] + radius for j in range(3) if j != i) + sum(c * (v[j] + radius) for j, c in enumerate((1, 2)))
        diagonal.append(www * own / (w[i] - radius) ** 2)
        rest += 3 * 2 * (wwv / (w[i] - radius)) ** 2
    expected = max(diagonal) + math.sqrt(rest)
    assert hessian_lipschitz(problem, W, radius).item() == pytest.approx(expected, rel=1e-12)


def test_what_does_not_fit_is_refused_with_its_remedy():
    with pytest.raises(InvalidInput, match="zero or not finite"):
        TeacherStudent(torch.zeros(1, 2))
    with pytest.raises(InvalidInput, match="row a neuron"):
        TeacherStudent(torch.ones(2))
    with pytest.raises(UnknownName, match="relu"):
        TeacherStudent(torch.eye(2), "rely")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="give 2 finite"):
        TeacherStudent(torch.eye(2), teacher_outputs=torch.ones(3))
    with pytest.raises(InvalidInput, match="at least as many dimensions"):
        orthonormal(3, dimension=2)
    problem = orthonormal(2)
    with pytest.raises(InvalidInput, match="a row a neuron"):
        problem.loss(torch.ones(2, 3))
    with pytest.raises(InvalidInput, match="one for each neuron"):
        problem.loss(torch.ones(2, 2), torch.ones(3))
    with pytest.raises(InvalidInput, match="fixed outputs"):
        hessian_lipschitz(orthonormal(2, trained_outputs=True), torch.ones(2, 2))
