"""Descents of many students against plain gradient descent, and proofs against what they must not prove."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import beta

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.landscape.teacher_student import TeacherStudent, certify, descend, orthonormal
from lemmata.landscape.teacher_student.advance import by_compiled_steps, by_torch
from lemmata.landscape.teacher_student.lipschitz import hessian_lipschitz
from lemmata.landscape.teacher_student.newton import judged, polish


def starts(count: int, n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(count, n, d, generator=torch.Generator().manual_seed(seed)).double() / math.sqrt(d)


@pytest.mark.parametrize(("count", "n", "d", "k"), [(1, 3, 4, 2), (5, 4, 6, 3), (17, 5, 3, 7)])
def test_compiled_steps_are_those_of_torch(count: int, n: int, d: int, k: int):
    """Any teacher, any number of lanes, a zero entry, and outputs; 20 steps of a rounding of 1e-14 each."""
    random = torch.Generator().manual_seed(0)
    V = torch.randn(k, d, generator=random)
    V[0, 1] = 0
    problem = TeacherStudent(V, teacher_outputs=torch.randn(k, generator=random))
    theta = starts(count, n, d, 1).flatten(1)
    found, norms = by_compiled_steps(problem, n, 0.05)(theta, 20)
    expected, sizes = by_torch(problem, n, 0.05)(theta, 20)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(norms, sizes, rtol=1e-10, atol=1e-12)


def test_threads_change_nothing():
    problem, theta = orthonormal(3), starts(40, 3, 3, 2).flatten(1)
    alone = by_compiled_steps(problem, 3, 0.5)(theta, 7)
    torch.set_num_threads(2)
    try:
        both = by_compiled_steps(problem, 3, 0.5)(theta, 7)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(alone, both, strict=True))


def test_newton_ends_where_gradient_descent_does():
    """Sixty starts at k = n = 8, some spurious: the same minima, as far as 1e-10 of the gradient tells."""
    problem = orthonormal(8)
    found = descend(problem, starts=60, seed=3)
    plain = descend(problem, starts=60, seed=3, newton=False, tolerance=1e-11)
    assert found.spurious.sum() > 3
    assert found.proved.all()
    assert plain.converged.all()
    assert torch.equal(found.spurious, plain.spurious)
    torch.testing.assert_close(found.W, plain.W, rtol=0, atol=1e-8)  # 1e-11 over a lowest eigenvalue of 0.02
    assert found.gradient_norm.max() < 1e-12
    assert found.lowest_eigenvalue.min() > 0
    # the loss of the known spurious minima at this width
    assert found.loss[found.spurious].min().item() == pytest.approx(0.0209, abs=0.002)
    low, high = found.interval()
    hits = int(found.spurious.sum())
    assert (low, high) == pytest.approx((beta.ppf(0.025, hits, 61 - hits), beta.ppf(0.975, hits + 1, 60 - hits)))
    assert found.share == hits / 60
    assert "<svg" in str(static.render(found.plot()))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_every_kind_of_student_converges_to_a_minimum(activation, trained: bool):
    """From around the teacher, to 1e-12 of gradient and loss; proved only where outputs are fixed."""
    problem = orthonormal(3, activation=activation, trained_outputs=trained)
    W = problem.teacher + 0.1 * starts(6, 3, 3, 1)
    theta = torch.cat([W.flatten(1), torch.ones(6, 3)], dim=1) if trained else W
    found = descend(problem, starts=theta, steps=3000)
    assert found.converged.all()
    assert found.gradient_norm.max() < 1e-12
    assert found.loss.max() < 1e-12
    assert found.lowest_eigenvalue.min() > 1e-3
    if trained:
        assert found.a is not None
        assert not found.proved.any()
    else:
        assert found.proved.all()


def test_more_neurons_than_the_teacher_leave_at_zero_loss():
    found = descend(orthonormal(4), neurons=6, starts=10, seed=0)
    assert found.converged.all()
    assert found.loss.max() < 1e-7
    assert (found.highest_eigenvalue * found.step).max() < 2


def test_what_is_not_finished_is_said_to_be():
    found = descend(orthonormal(6), starts=3, steps=100)
    assert not found.converged.any()
    assert found.share == 0
    assert found.lowest_eigenvalue.isnan().all()


def test_given_starts_and_refusals():
    problem, W = orthonormal(3), starts(4, 3, 3, 5)
    torch.testing.assert_close(descend(problem, starts=W).W, descend(problem, starts=W.flatten(1)).W)
    for bad in (W[:, :, :2], W * math.nan, torch.ones(2, 5)):
        with pytest.raises(InvalidInput, match="starts of shape"):
            descend(problem, starts=bad)
    with pytest.raises(InvalidInput, match="leave one out"):
        descend(problem, neurons=2, starts=W)
    with pytest.raises(InvalidInput, match="step = -1"):
        descend(problem, step=-1.0)
    with pytest.raises(InvalidInput, match="positive numbers"):
        descend(problem, tolerance=0.0)


def test_spurious_minima_are_proved_and_others_are_not():
    """At k = 8: the minimum, with eigenvalues below the computed ones; not a point a tenth off, nor the global one."""
    problem = orthonormal(8)
    found = descend(problem, starts=30, seed=3)
    W = found.W[found.spurious][0]
    proof = certify(problem, W)
    assert proof.holds
    assert proof.spurious
    assert proof.radius < 1e-10
    assert 0.8 < proof.lowest_eigenvalue / found.lowest_eigenvalue[found.spurious][0].item() < 1
    assert proof.loss == pytest.approx(problem.loss(W).item(), abs=1e-13)
    assert not certify(problem, W + 0.1 / 8 * torch.ones(8, 8)).holds
    assert not certify(problem, found.W[~found.spurious][0]).spurious
    saddle = torch.ones(2, 2) / 10  # two equal neurons of a symmetric student
    assert not certify(orthonormal(2, activation="erf"), saddle).holds
    with pytest.raises(InvalidInput, match="one student"):
        certify(problem, found.W[:2])


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_enclosures_contain_the_computed_numbers(activation):
    """Loss, gradient and Hessian in balls against float64: within 1e-14, and radii below 1e-30."""
    from flint import ctx

    from lemmata.landscape.teacher_student.enclosure import Enclosure

    W = starts(1, 3, 4, 7)[0]
    problem = TeacherStudent(starts(1, 2, 4, 8)[0], activation, torch.tensor([1.0, -0.5]))
    before, ctx.prec = ctx.prec, 128
    try:
        balls = Enclosure(problem, W.numpy())
        assert float(balls.loss().mid()) == pytest.approx(problem.loss(W).item(), abs=1e-14)
        gradient = [float(ball.mid()) for ball in balls.gradient()]
        np.testing.assert_allclose(gradient, problem.gradient(W).flatten().numpy(), rtol=0, atol=1e-14)
        lower, H = balls.hessian(), problem.hessian(W).numpy()
        assert max(abs(float(lower[i][j].mid()) - H[i, j]) for i in range(12) for j in range(i + 1)) < 1e-14
        assert max(float(lower[i][j].rad()) for i in range(12) for j in range(i + 1)) < 1e-30
    finally:
        ctx.prec = before


def test_newton_is_believed_only_where_the_ball_is_small_and_the_step_stable():
    """At k = 6, from the teacher moved by 1e-4 or 0.1, where Newton converges too; and with a step of 10."""
    problem = orthonormal(6)
    move = starts(1, 6, 6, 9)[0]
    move = move / move.norm()
    near, far = problem.teacher + 1e-4 * move, problem.teacher + 0.1 * move
    theta = torch.stack([near, far]).flatten(1)
    found = polish(problem, theta, 6, step=0.7, tolerance=1e-12)
    assert (found.theta - problem.teacher.flatten()).abs().max() < 1e-10
    assert found.accepted.tolist() == [True, False]
    assert not polish(problem, theta, 6, step=10.0, tolerance=1e-12).accepted.any()


def taken_as_they_are(problem: TeacherStudent, W: torch.Tensor) -> torch.Tensor:
    """Which students are believed next to their minimum, Newton's method having taken no step, for any tolerance."""
    theta, norms = W.flatten(1), problem.gradient(W).flatten(1).norm(dim=1)
    return judged(problem, theta, theta, norms, neurons=W.shape[1], step=1e-3, tolerance=math.inf).accepted


def test_what_is_left_of_the_gradient_says_how_far_the_minimum_may_be():
    """One erf student on a line, whose loss falls and bends upwards far from its minimum: it is proved only near it.

    A distance of 1e-9, whatever the gradient, would have kept every other condition wherever the loss bends upwards.
    """
    problem = TeacherStudent(torch.tensor([[1.0]]), "erf")
    W = torch.linspace(0.02, 3.0, 300, dtype=torch.float64).reshape(-1, 1, 1)
    gradient, curvature = problem.gradient(W).flatten().abs(), problem.hessian(W).flatten()
    distance = (W.flatten() - 1).abs()
    taken = taken_as_they_are(problem, W)
    assert ((curvature > 0) & ~taken).sum() > 50
    lipschitz = hessian_lipschitz(problem, W, 1e-9)
    assert (1e-9 * lipschitz < curvature)[(curvature > 1e-6)].all()
    assert taken[distance < 0.01].all()
    assert (distance <= 2 * gradient / curvature)[taken].all()  # the minimum is where it is said to be


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_the_bound_on_the_distance_holds_and_does_not_refuse_what_is_near(activation):
    problem = orthonormal(3, activation=activation)
    move = starts(40, 3, 3, 5)
    move = move / move.flatten(1).norm(dim=1)[:, None, None]
    for size in (1e-10, 1e-7, 1e-5):
        assert taken_as_they_are(problem, problem.teacher + size * move).all()
    assert not taken_as_they_are(problem, problem.teacher + 0.5 * move).any()


@pytest.mark.parametrize("factor", [1.0, 3.0, -0.7, -1.0])
def test_the_loss_is_enclosed_where_teacher_neurons_are_parallel(factor):
    from flint import ctx

    from lemmata.landscape.teacher_student.enclosure import Enclosure

    draw = torch.Generator().manual_seed(0)
    v, W = torch.randn(2, 3, generator=draw, dtype=torch.float64), torch.randn(3, 3, generator=draw).double()
    problem = TeacherStudent(torch.stack([v[0], factor * v[0], v[1]]))
    before, ctx.prec = ctx.prec, 128
    try:
        found = Enclosure(problem, W.numpy()).loss()
    finally:
        ctx.prec = before
    assert float(found.mid()) == pytest.approx(float(problem.loss(W)), rel=1e-12)
    assert float(found.rad()) < 1e-12
