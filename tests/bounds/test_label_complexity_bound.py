"""The label-complexity bound: its terms by dense algebra, its complexity by enumeration of signs, its coverage."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lemmata import phantoms
from lemmata.bounds import coverage, label_complexity_bound
from lemmata.bounds.label_complexity_bound import ball_terms
from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels import label_complexity, two_layer_gram


def drawn(n: int, d: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(n, d, generator=g, dtype=torch.float64))
    return x, (x[:, 0] + 0.3 * torch.randn(n, generator=g, dtype=torch.float64)).sign()


def test_interpolant_by_dense_algebra():
    """The leading term is Arora's, sqrt(2 y^T H^-1 y / n), rounded up by at most 1 / J; loss 0. To 1e-9 of a solve."""
    x, y = drawn(60)
    H = two_layer_gram(x)
    found = label_complexity_bound(H, y, delta=0.1, balls=50)
    C = math.sqrt(2 * float(y @ torch.linalg.solve(H.values, y)) / 60)
    assert found.terms["complexity"] == pytest.approx(C, rel=1e-9)
    assert found.terms["complexity"] >= C * (1 - 1e-12)
    assert found.empirical == 0
    assert found.terms["confidence"] == pytest.approx(math.sqrt(math.log(50 / 0.1) / 120), rel=1e-12)
    assert found.yardstick.train_error == 0


@pytest.mark.parametrize("loss", ["absolute", "ramp"])
def test_ridge_by_dense_algebra(loss: str):
    """Norm, loss and value from a dense solve, to 1e-9."""
    x, y = drawn(80)
    K = two_layer_gram(x).values.numpy()
    alpha = np.linalg.solve(K + 2 * np.eye(80), y.numpy())
    f = K @ alpha
    lost = np.minimum(np.abs(f - y.numpy()), 1) if loss == "absolute" else np.clip(1 - y.numpy() * f, 0, 1)
    C = math.sqrt(2 * alpha @ K @ alpha / 80)
    J = math.ceil(4 * math.sqrt(80))
    value = lost.mean() + math.ceil(C * J) / J + math.sqrt(math.log(J / 0.05) / 160)
    found = label_complexity_bound(torch.from_numpy(K), y, ridge=2.0, loss=loss)
    assert found.value == pytest.approx(value, rel=1e-9)
    assert found.yardstick.train_error == ((f > 0) != (y.numpy() > 0)).mean()


def test_complexity_is_above_the_ball_s_rademacher_complexity():
    """Twice the mean over all 2^10 signs s of sup_f (1/n) sum s_i f(x_i) = B sqrt(s^T K s) / n is below C, and near."""
    x, _ = drawn(10)
    K, B = two_layer_gram(x).values.numpy(), 0.8
    signs = np.array(list(itertools.product((-1, 1), repeat=10)))
    exact = B * np.sqrt(np.einsum("si,ij,sj->s", signs, K, signs)).mean() / 10
    C = ball_terms(B, 10, diagonal=0.5, delta=0.1)["complexity"]
    assert 0.8 * C < 2 * exact <= C


def test_balls_share_delta_and_round_up():
    """What is added never falls as the norm grows, and is at least C; the confidence is that of delta / J."""
    norms = np.linspace(0, 20, 400)
    terms = [ball_terms(float(B), 100, diagonal=0.5, delta=0.1, balls=10) for B in norms]
    up, C = (np.array([t[name] for t in terms]) for name in ("complexity, rounded up", "complexity"))
    assert (np.diff(up) >= 0).all()
    assert (up >= C * (1 - 1e-12)).all()
    assert (up[C <= 1] <= C[C <= 1] + 0.1 + 1e-12).all()
    assert up[0] == 0.1
    assert math.exp(-200 * terms[0]["confidence"] ** 2) == pytest.approx(0.1 / 10)


def trial(generator: torch.Generator, *, noise: float, ridge: float, delta: float):
    """A finite problem on the sphere; the exact risk, by the ramp loss, of the kernel regressor."""
    problem = phantoms.finite_problem(50, dimensions=3, noise=noise, seed=3)
    points = torch.nn.functional.normalize(problem.points)
    rows = torch.multinomial(problem.probability, 30, replacement=True, generator=generator)
    y = 2.0 * torch.multinomial(problem.conditional[rows], 1, generator=generator)[:, 0] - 1
    found = label_complexity_bound(two_layer_gram(points[rows]), y, ridge=ridge, loss="ramp", delta=delta)
    f = two_layer_gram(points, points[rows]).values @ found.details
    both = torch.stack([1 + f, 1 - f], 1).clamp(0, 1)
    return found, float(problem.probability @ (problem.conditional * both).sum(1))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_coverage(noise: float):
    """150 problems at delta 0.3; the loss on the sample alone is refuted."""

    def at(generator: torch.Generator):
        return trial(generator, noise=noise, ridge=0.3, delta=0.3)

    assert coverage(at, problems=150).holds

    def without_complexity(generator: torch.Generator):
        found, risk = at(generator)
        return found.value - found.terms["complexity, rounded up"] - found.terms["confidence"], risk

    assert not coverage(without_complexity, problems=150, delta=0.3).holds


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5])
def test_coverage_of_1000(noise: float):
    """1,000 problems at delta 0.5."""
    found = coverage(lambda g: trial(g, noise=noise, ridge=0.3, delta=0.5), problems=1000)
    assert found.holds


def test_value_is_above_what_theorem_5_1_names():
    """Constants and rounding are added to the complexity that `label_complexity` gives, never taken from it."""
    for seed in range(5):
        x, y = drawn(100, seed=seed)
        H = two_layer_gram(x)
        found = label_complexity_bound(H, y)
        assert found.value > float(label_complexity(H, y).value) + found.terms["confidence"] - 1e-12


def test_holdout_is_counted():
    """Mistakes on other points, by Clopper and Pearson."""
    x, y = drawn(60)
    new, truth = drawn(200, seed=1)
    H, K = two_layer_gram(x), two_layer_gram(new, x)
    found = label_complexity_bound(H, y, holdout=(K, truth))
    f = K.values @ torch.linalg.solve(H.values, y)
    assert found.yardstick.test_error == float(((f > 0) != (truth > 0)).double().mean())
    assert found.yardstick.holdout_bound > found.yardstick.test_error
    assert found.plot().name == "bound"


def test_rounding_of_a_coarse_kernel_only_raises_it():
    """In float32 the value is no lower than in float64, and within 1 % of it."""
    x, y = drawn(40)
    for ridge in (0.0, 0.5):
        fine = label_complexity_bound(two_layer_gram(x), y, ridge=ridge, balls=10**6)
        coarse = label_complexity_bound(two_layer_gram(x).values.float(), y.float(), ridge=ridge, balls=10**6)
        assert fine.value < coarse.value < 1.01 * fine.value


def test_rounding_is_counted_in_norm_and_loss():
    """Of the function that was found in float32: its norm and loss by the true kernel are below what is counted with.

    On some of 20 samples they are above what the rounded kernel says, so that the margin is needed.
    """
    above = 0
    for seed in range(20):
        x, y = drawn(40, seed=seed)
        true = two_layer_gram(x).values
        rounded = true.float()
        found = label_complexity_bound(rounded, y, ridge=1e-3)
        norm, f = math.sqrt(float(found.details @ true @ found.details)), true @ found.details
        assert norm <= found.terms["norm"]
        assert float((f - y).abs().clamp(max=1).mean()) <= found.empirical
        above += norm**2 > float(found.details @ rounded.double() @ found.details)
    assert above > 0


@pytest.mark.gpu
def test_on_a_gpu():
    """A kernel there and labels here: the same value, to 1e-6."""
    x, y = drawn(40)
    K = two_layer_gram(x).values
    for ridge in (0.0, 0.5):
        here, there = (label_complexity_bound(kernel, y, ridge=ridge) for kernel in (K, K.cuda()))
        assert there.value == pytest.approx(here.value, rel=1e-6)


X, Y = drawn(12)
K = two_layer_gram(X).values


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: label_complexity_bound(K, Y, ridge=-1.0), "ridge = -1.0"),
        (lambda: label_complexity_bound(K, Y, delta=0.0), "delta = 0.0"),
        (lambda: label_complexity_bound(K, 2 * Y, loss="ramp"), r"\+1 and -1"),
        (lambda: label_complexity_bound(K, Y[:, None]), "one number a sample"),
        (lambda: label_complexity_bound(K * torch.arange(1, 13)[:, None] * torch.arange(1, 13), Y), "give `diagonal`"),
        (lambda: label_complexity_bound(K, Y, diagonal=0.4), "a sample has"),
        (lambda: label_complexity_bound(K, Y, balls=0), "balls = 0"),
        (lambda: label_complexity_bound(K * torch.nan, Y), "."),
        (lambda: label_complexity_bound(K, Y, holdout=(K[:, :5], Y)), "holdout"),
        (lambda: label_complexity_bound(K, 2 * Y, holdout=(K, Y)), "leave `holdout` out"),
        (lambda: label_complexity_bound(torch.ones(12, 12), Y), "not determined"),
        (lambda: ball_terms(-1.0, 5, diagonal=1.0, delta=0.1), "norm"),
    ],
)
def test_bad_input_is_named(call, said: str):
    """Each is refused by what is wrong with it."""
    with pytest.raises(InvalidInput, match=said):
        call()


def test_an_unknown_loss_is_named():
    """The known ones are offered."""
    with pytest.raises(UnknownName, match="hinge"):
        label_complexity_bound(K, Y, loss="hinge")
