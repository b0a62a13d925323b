"""Exact diagonals against dense float64 Hessians, entry by entry, and estimates against exact diagonals.

Tolerance 1e-10 of the largest entry: sums of some thousand float64 terms of order one.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lemmata import curvature, nets
from lemmata.errors import InvalidInput
from lemmata.objective import Objective


def assert_equal(found, wanted):
    size = max(float(entries.abs().max()) for entries in wanted.values())
    assert found.value.keys() == wanted.keys()
    for name, entries in wanted.items():
        torch.testing.assert_close(found.value[name], entries, rtol=0, atol=1e-10 * max(size, 1e-3), msg=name)


def test_every_entry_equals_that_of_the_dense_hessian(piecewise_linear):
    p = piecewise_linear
    found = curvature.diagonal((p.model, p.loss, (p.x, p.y)), method="exact")
    assert_equal(found, p.diagonal())
    assert (found.stderr, found.method) == (0.0, "exact")


@pytest.mark.parametrize("loss", ["mse", lambda z, y: torch.cos(2 * z - y).sum(1).mean() + z[:, 0].square().mean()])
@pytest.mark.parametrize("name", ["ReLU perceptron", "convolutions with BN", "used twice in parallel", "sequences"])
def test_every_loss(problem, name, loss):
    p = problem(name, loss)
    assert_equal(curvature.diagonal((p.model, loss, (p.x, p.y)), method="exact"), p.diagonal())


def test_diagonal_adds_up_to_the_trace(piecewise_linear):
    """Two ways through the code, by norms and by entries: the same sums."""
    p = piecewise_linear
    objective = Objective(p.model, data=(p.x, p.y))
    entries = curvature.diagonal(objective, method="exact", memory=2**13)
    blocks = curvature.trace(objective, method="exact").by_parameter
    for name, value in entries.value.items():
        assert float(value.sum()) == pytest.approx(blocks[name], rel=1e-10, abs=1e-14)


def test_sequences_as_long_as_wide_take_the_products_of_positions():
    """A kernel of 3 x 20 inputs and 4 places: the norms come from products of positions, the entries do not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(20, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double()
    objective = Objective(model, data=(torch.randn(6, 20, 4, dtype=torch.float64), torch.arange(6) % 3))
    dense = objective.hessian().dense().diagonal()
    found = curvature.diagonal(objective, method="exact")
    torch.testing.assert_close(objective.vector(found.value), dense, rtol=0, atol=1e-12)
    assert curvature.trace(objective, method="exact").value == pytest.approx(float(dense.sum()), rel=1e-10)


def test_whole_blocks_of_the_two_matrices_agree(piecewise_linear):
    """The theorem's stronger form, not used in computing: outputs are piecewise linear in each tensor as a whole."""
    p = piecewise_linear
    if p.x.dtype == torch.long:  # embeddings have no rule for the oracle's mapped products
        return
    objective = Objective(p.model, data=(p.x, p.y))
    for name in objective.names:
        block = objective.restricted([name])
        hessian, ggn = block.hessian().dense(), block.ggn().dense()
        torch.testing.assert_close(hessian, ggn, rtol=0, atol=1e-10 * max(float(ggn.abs().max()), 1e-3))


def test_a_block_has_its_part_of_the_diagonal(problem):
    p = problem("residual network")
    whole = curvature.diagonal((p.model, p.loss, (p.x, p.y)))
    block = curvature.diagonal(Objective(p.model, data=(p.x, p.y), parameters=["layer2", "linear.bias"]))
    assert set(block.value) == {n for n in whole.value if n.startswith("layer2") or n == "linear.bias"}
    for name, value in block.value.items():
        torch.testing.assert_close(value, whole.value[name], rtol=1e-10, atol=0)


def test_a_parameter_without_influence_has_zeros(problem):
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    found = curvature.diagonal((Idle(), "mse", (torch.ones(2, 3), torch.zeros(2, 2))), method="exact")
    assert not found.value["idle.weight"].any()
    assert found.value["used.weight"].all()


def test_two_parameters_that_share_one_tensor(problem):
    """Tied in depth: refused, and the estimate is of the true Hessian, not of the Gauss-Newton matrix."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(torch.relu(self.layer(x)))

    torch.manual_seed(0)
    objective = Objective(Tied().double(), data=(torch.randn(8, 3, dtype=torch.float64), torch.arange(8) % 3))
    with pytest.raises(curvature.NotExact, match=r"both depend on layer\.weight"):
        curvature.diagonal(objective, method="exact")
    hessian, ggn = objective.hessian().dense().diagonal(), objective.ggn().dense().diagonal()
    assert (hessian - ggn).norm() > 0.05 * ggn.norm()
    exact = curvature.diagonal(objective, method="exact", operator="ggn")
    torch.testing.assert_close(objective.vector(exact.value), ggn, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["hutchinson", "xdiag"])
def test_intervals_of_the_estimators_cover(problem, method):
    """Of some hundred entries 12 % may lie outside: 95 % intervals of dependent draws, seen over 10 seeds."""
    p = problem("leaky ReLU perceptron")
    subject = (p.model, p.loss, (p.x, p.y))
    exact = curvature.diagonal(subject).value
    inside = []
    for seed in range(10):
        low, high = curvature.diagonal(subject, method=method, products=60, seed=seed).interval()
        inside += [((low[n] - 1e-9 <= v) & (v <= high[n] + 1e-9)).double().mean() for n, v in exact.items()]
    assert float(np.mean(inside)) > 0.88


def test_auto_estimates_a_smooth_network():
    torch.manual_seed(0)
    x, y = torch.randn(6, 4), torch.randint(3, (6,))
    subject = (nets.mlp(4, [5], 3, activation="tanh", seed=0), "cross_entropy", (x, y))
    found = curvature.diagonal(subject, products=10)
    assert found.method == "hutchinson"
    assert found.stderr.keys() == found.value.keys()
    with pytest.raises(InvalidInput, match="confidence level 2"):
        found.interval(2)


def test_plot_shows_every_parameter(problem, tmp_path):
    p = problem("ReLU perceptron")
    found = curvature.diagonal((p.model, p.loss, (p.x, p.y)))
    (panel,) = found.plot().panels
    assert panel.x.ticks == tuple(found.value)
    assert panel.series[0].y[0] == pytest.approx(float(found.value[panel.x.ticks[0]].mean()))
    assert found.plot().save(tmp_path / "diagonal.png").stat().st_size > 1000


def test_optimal_brain_damage_is_exact_for_one_weight():
    """theta_i^2 H_ii / 2 is the rise of a quadratic loss at its minimum when a weight is removed."""
    torch.manual_seed(0)
    x = torch.randn(30, 3, dtype=torch.float64)
    y = torch.randn(30, 1, dtype=torch.float64)
    model = nn.Linear(3, 1, bias=False).double()
    model.weight.data = torch.linalg.lstsq(x, y).solution.mT
    rise = model.weight.detach() ** 2 * curvature.diagonal((model, "mse", (x, y))).value["weight"] / 2
    for i in range(3):
        removed = model.weight.detach().clone()
        removed[0, i] = 0
        before, after = (functional.mse_loss(x @ w.mT, y) for w in (model.weight.detach(), removed))
        assert float(after - before) == pytest.approx(float(rise[0, i]), rel=1e-10)
