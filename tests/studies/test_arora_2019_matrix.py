"""The study of Arora et al. on matrix factorisation: solvers against others, the theorem, and its verdicts."""

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.studies import _arora_2019_matrix_completion as completion
from lemmata.studies import _arora_2019_matrix_runs as runs
from lemmata.studies import arora_2019_matrix as arora
from lemmata.studies._arora_2019_matrix_completion import Problem
from lemmata.studies._arora_2019_matrix_rank import over_truth
from lemmata.studies._arora_2019_matrix_runs import Completion, Motion
from lemmata.studies._deep_linear import layer_gradients, prefixes
from lemmata.verdicts import Outcome


def _problem(n: int, rank: int, share: float, seeds) -> Problem:
    drawn = [Problem.drawn(n, rank, share, torch.Generator().manual_seed(seed)) for seed in seeds]
    return Problem(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))


# ---- the least nuclear norm ------------------------------------------------------------------------------------------


def _by_semidefinite_program(M: np.ndarray, observed: np.ndarray) -> float:
    """Min (tr A + tr B) / 2 with [[A, X], [X', B]] >= 0 and X = M where observed, by clarabel."""
    from scipy import sparse

    clarabel: Any = import_module("clarabel")

    n = len(M)
    N = 2 * n
    at = {}  # the upper triangle by columns, entries off the diagonal times 2^(1/2)
    for j in range(N):
        for i in range(j + 1):
            at[i, j] = len(at)
    size = len(at)
    cost = np.zeros(size)
    for i in range(N):
        cost[at[i, i]] = 0.5
    seen = np.argwhere(observed)
    equalities = sparse.lil_matrix((len(seen), size))
    for row, (i, j) in enumerate(seen):
        equalities[row, at[i, n + j]] = 2**-0.5
    A = sparse.vstack([equalities, -sparse.eye(size)]).tocsc()
    b = np.concatenate([M[observed], np.zeros(size)])
    options = clarabel.DefaultSettings()
    options.verbose = False
    cones = [clarabel.ZeroConeT(len(seen)), clarabel.PSDTriangleConeT(N)]
    solved = clarabel.DefaultSolver(sparse.csc_matrix((size, size)), cost, A, b, cones, options).solve()
    return float(solved.obj_val)


def test_the_least_nuclear_norm_is_that_of_a_semidefinite_program():
    """Two problems 8 x 8: the program's value (clarabel, good to 1e-8) lies between the bound and the value found."""
    problem = _problem(8, 2, 0.5, (0, 1))
    X, gap = completion.least_nuclear_norm(problem, steps=4000, gap=1e-5)
    assert float(gap.max()) <= 1e-5
    for i in range(2):
        expected = _by_semidefinite_program(problem.matrix[i].numpy(), problem.observed[i].numpy())
        found = float(torch.linalg.matrix_norm(X[i], "nuc"))
        assert found * (1 - float(gap[i])) - 1e-7 <= expected <= found + 1e-7
        assert torch.equal(X[i][problem.observed[i]], problem.matrix[i][problem.observed[i]])


@given(seed=st.integers(0, 1000), share=st.floats(0.2, 0.9))
@settings(max_examples=15, deadline=None)
def test_the_gap_is_an_upper_bound(seed: int, share: float):
    """No matrix that agrees with the observed entries has a smaller nuclear norm than the bound says."""
    problem = _problem(6, 2, share, (seed,))
    if not problem.observed.any():
        return
    X, gap = completion.least_nuclear_norm(problem, steps=60)
    least = float(torch.linalg.matrix_norm(X, "nuc") * (1 - gap))
    random = torch.Generator().manual_seed(seed)
    other = X + 0.3 * ~problem.observed * torch.randn(200, 6, 6, generator=random, dtype=torch.float64)
    better = completion.least_nuclear_norm(problem, steps=2000)[0]
    for candidates in (other, better, problem.matrix):
        assert float(torch.linalg.matrix_norm(candidates, "nuc").min()) >= least - 1e-9


def test_a_certificate_of_zero_is_no_certificate():
    problem = _problem(5, 1, 0.6, (3,))
    X = torch.where(problem.observed, problem.matrix, 0.0)
    gap = completion.relative_gap(X, torch.zeros_like(X), problem.matrix)
    assert gap.tolist() == [1.0]


# ---- factorisations --------------------------------------------------------------------------------------------------


def test_slope_is_the_gradient_of_the_loss():
    problem = _problem(5, 2, 0.5, (0, 1))
    W = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64, requires_grad=True)
    seen = problem.observed.sum((1, 2))
    loss = ((problem.observed * (W - problem.matrix)).square().sum((1, 2)) * 5 / (2 * seen)).sum()
    loss.backward()
    torch.testing.assert_close(problem.slope(W.detach()), W.grad)


def test_errors_are_those_of_numpy():
    problem = _problem(6, 2, 0.4, (5,))
    W = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    M, seen, V = problem.matrix[0].numpy(), problem.observed[0].numpy(), W[0].numpy()
    assert float(problem.train_error(W)) == pytest.approx(np.mean((V - M)[seen] ** 2))
    assert float(problem.test_error(W)) == pytest.approx(
        np.linalg.norm((V - M)[~seen]) / np.linalg.norm(M[~seen]), rel=1e-12
    )
    assert float(problem.matrix.norm()) == pytest.approx(6.0)
    assert np.linalg.matrix_rank(M) == 2


def test_problems_that_are_done_leave_the_others_alone():
    """Each problem by itself ends at the same product after the same steps; 1e-9 for batched products."""
    problem = _problem(8, 1, 0.6, range(4))
    random = torch.Generator().manual_seed(1)
    layers = [0.3 * torch.randn(4, 8, 8, generator=random, dtype=torch.float64) for _ in range(2)]
    W, taken = completion.factorised(problem, layers, rate=0.1, steps=1500, tolerance=1e-4)
    assert len(set(taken.tolist())) > 1
    for i in range(4):
        one = Problem(problem.matrix[i : i + 1], problem.observed[i : i + 1])
        alone, steps = completion.factorised(one, [w[i : i + 1] for w in layers], rate=0.1, steps=1500, tolerance=1e-4)
        assert steps.tolist() == taken[i : i + 1].tolist()
        torch.testing.assert_close(alone[0], W[i], rtol=1e-9, atol=1e-9)
    assert float(problem.train_error(W).max()) < 1e-4


def test_a_run_that_diverges_is_left_where_it_is():
    problem = _problem(6, 1, 0.5, (0,))
    layers = [torch.ones(1, 6, 6, dtype=torch.float64) for _ in range(3)]
    _, taken = completion.factorised(problem, layers, rate=10.0, steps=200, tolerance=1e-6)
    assert taken.tolist() == [float("inf")]


def test_effective_rank_is_exp_of_entropy():
    from scipy.stats import entropy

    W = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [np.exp(entropy(np.linalg.svd(w.numpy(), compute_uv=False))) for w in W]
    assert completion.effective_rank(W).tolist() == pytest.approx(expected)


def test_a_rank_is_held_against_that_of_the_same_seeds_matrix():
    table = pd.DataFrame({"seed": [1, 0], "erank": [2.2, 5.0], "true_erank": [2.0, 4.0]})
    (found,) = over_truth(of="erank", truth="true_erank").components(table, 1.0, (0.9, 1.1))
    assert found.samples.tolist() == pytest.approx([1.25, 1.1])
    assert (found.seeds, found.low, found.high) == ((0, 1), 0.9, 1.1)


def test_members_do_not_see_each_other():
    """Depths and sizes in one batch or apart; 1e-8."""
    common = {"n": 10, "share": 0.5, "draws": 2, "steps": 300}
    configs = [
        Completion(depth=d, alpha=a, seed=s, **common) for d, a in ((0, 1e-3), (2, 1e-2), (2, 1.0)) for s in (0, 4)
    ]
    for config, member in zip(configs, runs.complete(configs), strict=True):
        alone = runs.complete([config])[0]
        for name in ("log_error", "erank", "excess", "worst_gap"):
            assert alone.scalars[name] == pytest.approx(member.scalars[name], rel=1e-6, abs=1e-9)


# ---- the motion of singular values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_speeds_are_differences_over_a_tiny_step(depth: int):
    """Singular values before and after one step of 1e-6, balanced or not; 1e-4 relative to the largest speed."""
    for balance in ("balanced", "one large layer"):
        problem, layers = runs._balanced(Motion(depth=depth, balance=balance, n=6, seed=3))
        parts = prefixes(layers)
        slope = problem.slope(parts[-1])
        sigma, speed, force = runs._speeds(layers, parts, slope)
        moved = [w - 1e-6 * g for w, g in zip(layers, layer_gradients(layers, parts, slope), strict=True)]
        after = torch.linalg.svdvals(prefixes(moved)[-1])
        differences = (after - sigma) / 1e-6
        torch.testing.assert_close(speed, differences, rtol=0, atol=1e-4 * float(speed.abs().max()))
        if balance == "balanced":
            theorem = depth * sigma ** (2 - 2 / depth) * force
            torch.testing.assert_close(speed, theorem, rtol=1e-9, atol=1e-12)


def test_initial_layers_are_balanced():
    _, layers = runs._balanced(Motion(depth=3, n=5, seed=1))
    for below, above in ((layers[0], layers[1]), (layers[1], layers[2])):
        torch.testing.assert_close(above.mT @ above, below @ below.mT)


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_the_theorem_holds_at_smoke_scale(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("arora-2019-matrix", "motion").verdicts.items()}
    assert outcomes["factor"] is outcomes["motion"] is outcomes["step"] is Outcome.REPRODUCED
    assert Outcome.CONTRADICTED not in set(outcomes.values())


@pytest.mark.slow
def test_smoke_scale_of_all_experiments(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("arora-2019-matrix").verdicts.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [claim.name for claim in arora.study.claims])
def test_reproduced_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    found = laptop("arora-2019-matrix")
    completed = found.tables["completion"]
    assert completed[completed.share > 0.2].worst_gap.max() <= 1e-4  # the least nuclear norm is certified
    found.assert_outcome(name)
