"""Sampled Tikhonov against dense solutions, against its published definition, and on an inverse problem."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.conformance import SolverConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.regression.stochastic.sampled_tikhonov import RecursiveTikhonov, sampled_tikhonov


def system(n=60, m=7, k=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(n, m, generator=draw, dtype=torch.float64) * torch.logspace(0, -2, m, dtype=torch.float64)
    return A, A @ torch.randn(m, k, generator=draw).double() + 0.1 * torch.randn(n, k, generator=draw).double()


def tikhonov(A, B, penalty):
    """By the augmented system, whose condition is not squared."""
    root = penalty**0.5 * torch.eye(A.shape[1], dtype=A.dtype)
    zeros = torch.zeros(A.shape[1], B.shape[1], dtype=A.dtype)
    return torch.linalg.lstsq(torch.cat([A, root]), torch.cat([B, zeros]), driver="gelsd").solution


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 40),
    m=st.integers(1, 12),
    batch=st.integers(1, 9),
    penalties=st.lists(st.floats(1e-3, 10.0), min_size=40, max_size=40),
)
def test_with_full_memory_it_is_the_tikhonov_solution_of_all_rows_seen(n, m, batch, penalties):
    """After every block, whatever was added to the penalty before; 1e-8, as the condition is at most 1e5."""
    A, B = system(n, m)
    state = RecursiveTikhonov(torch.zeros(m, 2).double(), memory=None, ridge=1.0)
    seen = 0
    for rows, added in zip(torch.arange(n).split(batch), penalties, strict=False):
        state.ridge = added
        state.step(A[rows], B[rows])
        seen += len(rows)
        torch.testing.assert_close(state.X, tikhonov(A[:seen], B[:seen], state.total), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("choice", ["sgcv", "next"])
def test_so_it_is_where_the_penalty_is_chosen_and_may_fall(choice):
    A, B = system()
    state = RecursiveTikhonov(torch.zeros(7, 2).double(), ridge=choice, pooled=1)
    totals = []
    for done in range(0, 60, 5):
        state.step(A[done : done + 5], B[done : done + 5])
        totals.append(state.total)
        dense = tikhonov(A[: done + 5], B[: done + 5], state.total)
        # penalties down to 1e-12 of the largest squared singular value: a condition of 1e6
        torch.testing.assert_close(state.X, dense, rtol=1e-7, atol=1e-8)
    assert (np.diff(totals) < 0).any()


@pytest.mark.parametrize("memory", [0, 1, 3])
@pytest.mark.parametrize("batch", [2, 10])
def test_a_step_is_the_published_least_squares_problem(memory, batch):
    """With s = argmin |[M; A; sqrt(total) I] s - [0; A x - b; (added / sqrt(total)) x]|, x <- x - s, by numpy."""
    A, B = system(m=5)
    state = RecursiveTikhonov(torch.ones(5, 2).double(), memory=memory, ridge=0.2)
    X, total = np.ones((5, 2)), 0.0
    for step, done in enumerate(range(0, 60, batch)):
        a, b = A[done : done + batch].numpy(), B[done : done + batch].numpy()
        total += 0.2
        first = max(0, step - memory) * batch
        earlier = A[first:done].numpy()
        left = np.vstack([earlier, a, np.sqrt(total) * np.eye(5)])
        right = np.vstack([np.zeros((len(earlier), 2)), a @ X - b, 0.2 / np.sqrt(total) * X])
        X = X - np.linalg.lstsq(left, right, rcond=None)[0]
        state.step(A[done : done + batch], B[done : done + batch])
        np.testing.assert_allclose(state.X, X, rtol=1e-9, atol=1e-11)


def test_sampled_gcv_is_its_definition():
    """The criterion at the chosen penalty by dense formulas, and no penalty of 500 is better by more than 1 %.

    The grid has 5 penalties a decade, across which the criterion hardly changes at its minimum.
    """
    A, B = system()
    state = RecursiveTikhonov(torch.zeros(7, 2).double(), memory=2, ridge="sgcv", pooled=1)
    for done in range(0, 60, 10):
        before, total = state.X.clone(), state.total
        state.step(A[done : done + 10], B[done : done + 10])
        a, b = A[done : done + 10], B[done : done + 10]
        M = A[max(0, done - 20) : done + 10]

        def gcv(penalty, *, a=a, b=b, M=M, before=before, total=total):
            inverse = torch.linalg.inv(M.T @ M + penalty * torch.eye(7).double())
            X = before - inverse @ (a.T @ (a @ before - b) + (penalty - total) * before)
            left = len(a) - torch.trace(a @ inverse @ a.T)
            return float(len(a) * (a @ X - b).square().sum() / left**2)

        assert state.criterion == pytest.approx(gcv(state.total), rel=1e-6)
        best = min(gcv(float(penalty)) for penalty in np.geomspace(1e-8, 1e2, 500))
        assert state.criterion <= 1.01 * best


def test_next_predicts_each_block_before_it_is_seen():
    A, B = system()
    state = RecursiveTikhonov(torch.zeros(7, 2).double(), memory=2, ridge="next", pooled=1)
    for done in range(0, 60, 10):
        tried = state.tried
        state.step(A[done : done + 10], B[done : done + 10])
        misfits = (A[done : done + 10] @ tried - B[done : done + 10]).square().sum((1, 2))
        assert state.criterion == pytest.approx(float(misfits.min()) / 10)


def gravity(noise, seed, n=1000, m=64):
    """Gravity surveying (Hansen, 1992): a severely ill-posed integral equation, its solution and noisy data."""
    s, t = (torch.arange(n).double() + 0.5) / n, (torch.arange(m).double() + 0.5) / m
    A = 0.25 / (0.0625 + (s[:, None] - t) ** 2) ** 1.5 / m
    x = torch.sin(torch.pi * t) + 0.5 * torch.sin(2 * torch.pi * t)
    clean = A @ x
    draw = torch.Generator().manual_seed(seed)
    return A, clean + noise * clean.abs().mean() * torch.randn(n, generator=draw, dtype=torch.float64), x


@pytest.mark.parametrize("noise", [1e-3, 1e-2, 1e-1])
def test_the_penalty_of_sampled_gcv_is_near_the_best_there_is(noise):
    """Median error over 10 draws of the noise, one pass, full memory: within 4 times the least error of any penalty.

    GCV on all the data at once is between 1.5 and 10 times the least on this problem, whose error curve is steep.
    """
    ratios = []
    for seed in range(10):
        A, b, x = gravity(noise, seed)
        U, s, Vt = torch.linalg.svd(A, full_matrices=False)
        errors = [
            float((Vt.T @ (s / (s**2 + penalty) * (U.T @ b)) - x).norm() / x.norm())
            for penalty in torch.logspace(-10, 3, 60, dtype=torch.float64)
        ]
        found = sampled_tikhonov(A, b, batch=20, truth=x, seed=seed)
        ratios.append(float(found.errors[-1]) / min(errors))
    assert np.median(ratios) < 4


def test_pooling_avoids_the_disasters_of_a_single_block():
    """Single blocks put the penalty at rounding now and then: the worst of 6 orders is at least 10 times worse."""
    A, b, x = gravity(1e-1, 0)
    worst = [
        max(float(sampled_tikhonov(A, b, batch=20, truth=x, pooled=pooled, seed=seed).errors[-1]) for seed in range(6))
        for pooled in (1, 20)
    ]
    assert worst[1] < 0.2
    assert worst[0] > 2


def test_same_seed_same_answer_and_inputs_are_left_alone():
    A, B = system()
    before = A.clone(), B.clone()
    one, two = (sampled_tikhonov(A, B, batch=8, memory=2, seed=5) for _ in range(2))
    assert torch.equal(one.X, two.X)
    assert torch.equal(A, before[0])
    assert torch.equal(B, before[1])
    single = sampled_tikhonov(A.float(), B.float(), batch=8, ridge=0.1)
    double = sampled_tikhonov(A, B, batch=8, ridge=0.1)
    torch.testing.assert_close(single.X.double(), double.X, rtol=1e-2, atol=1e-3)


def test_figure_has_both_panels():
    A, B = system()
    figure = sampled_tikhonov(A, B[:, 0], batch=8, truth=torch.ones(7)).plot()
    assert [panel.y.label for panel in figure.panels] == ["relative size", "penalty Lambda"]


def test_what_cannot_be_solved_is_refused():
    A, B = system()
    for arguments, message in (
        ((A, B[:5]), "A of shape"),
        ((A[:0], B[:0]), "A of shape"),
        ((A * torch.nan, B), "NaN or infinity"),
        ((A.numpy(), B), "A is a ndarray; give a torch tensor"),
        ((A, B.float()), "give both one floating dtype"),
        ((A.long(), B.long()), "give both one floating dtype"),
    ):
        with pytest.raises(InvalidInput, match=message):
            sampled_tikhonov(*arguments, batch=5)
    for options, message in (
        ({"batch": 0}, "blocks of 0 rows"),
        ({"batch": 61}, "blocks of 61 rows"),
        ({"batch": 5, "memory": -1}, "memory = -1"),
        ({"batch": 5, "memory": 1.5}, "memory = 1.5; it must be an integer"),
        ({"batch": 5.0}, "batch = 5.0; it must be an integer"),
        ({"batch": 5, "epochs": 0}, "epochs = 0"),
        ({"batch": 5, "start": torch.zeros(3)}, "start of shape"),
        ({"batch": 5, "truth": torch.zeros(3)}, "truth of shape"),
        ({"batch": 5, "ridge": 0.0}, "finite and positive"),
        ({"batch": 5, "pooled": 0.5}, "pooled = 0.5"),
    ):
        with pytest.raises(InvalidInput, match=message):
            sampled_tikhonov(A, B, **options)
    with pytest.raises(UnknownName, match="did you mean 'sgcv'"):
        sampled_tikhonov(A, B, batch=5, ridge="gcv")


@pytest.mark.gpu
def test_on_a_gpu_the_same():
    A, B = system()
    there = sampled_tikhonov(A.cuda(), B.cuda(), batch=10, ridge=0.1)
    torch.testing.assert_close(there.X.cpu(), sampled_tikhonov(A, B, batch=10, ridge=0.1).X)


class TestConformance(SolverConformance):
    """With full memory and the ridge shared out among the blocks it solves the whole problem."""

    def solve(self, x, y, ridge):
        return sampled_tikhonov(x, y, batch=6, ridge=ridge / 4)

    def values(self, result):
        return result.X.reshape(-1)

    def certificate(self, result):
        return float(result.residuals[-1])

    def truth(self, x, y, ridge):
        return tikhonov(x, y, ridge)

    needs_history = False  # its history is by name: penalties, criteria, residuals
