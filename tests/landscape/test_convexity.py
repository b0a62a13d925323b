"""The map of extreme eigenvalues against dense Hessians, with the points that did not converge marked."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian

from lemmata import landscape, nets
from lemmata.objective import Objective


def problem() -> Objective:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 4, generator=draw), torch.randint(0, 3, (40,), generator=draw)
    net = nets.mlp(4, [7], 3, activation="tanh", seed=0, dtype=torch.float64)
    return Objective(net, data=(x.double(), y))


def dense(objective: Objective, theta) -> torch.Tensor:
    """The Hessian by two derivatives of the whole loss, as one matrix."""
    x, y = objective.batches[0]

    def loss(vector):
        return nn.functional.cross_entropy(functional_call(objective.model, objective.tree(vector), (x,)), y)

    return hessian(loss)(objective.vector(theta))


def test_against_dense_hessians():
    """Within the residual of every value lies an eigenvalue; at this tolerance it is the extreme one, to 1e-3."""
    objective = problem()
    found = landscape.convexity(objective, points=(5, 4), span=2.0, tolerance=1e-4, seed=1)
    assert found.converged.all()
    assert found.ratio.shape == (4, 5)
    plane = landscape.surface(objective, points=(5, 4), span=2.0, seed=1, adaptive=False)
    np.testing.assert_allclose(found.loss, plane.loss, rtol=1e-12)
    for i, b in enumerate(found.y):
        for j, a in enumerate(found.x):
            d1, d2 = found.directions
            eigenvalues = torch.linalg.eigvalsh(
                dense(objective, {n: p + a * d1[n] + b * d2[n] for n, p in objective.parameters.items()})
            )
            scale = eigenvalues.abs().max().item()
            assert found.largest[i, j] == pytest.approx(eigenvalues[-1].item(), abs=1e-3 * scale)
            assert found.smallest[i, j] == pytest.approx(eigenvalues[0].item(), abs=1e-3 * scale)
            assert found.residual[i, j] <= 1.01e-4 * scale
    np.testing.assert_allclose(found.ratio, np.abs(found.smallest / found.largest))
    assert found.ratio.max() > 0.05


def test_a_convex_loss_is_convex_everywhere():
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = nn.Linear(5, 1, bias=False).double()
    found = landscape.convexity((model, "mse", (x, x[:, :1])), points=3, tolerance=1e-6)
    values = torch.linalg.eigvalsh(2 * x.T @ x / 30)
    np.testing.assert_allclose(found.largest, values[-1].item(), rtol=1e-5)
    np.testing.assert_allclose(found.smallest, values[0].item(), rtol=1e-4)


def test_warm_starts_save_products():
    objective = problem()
    near = landscape.convexity(objective, points=5, span=0.01, tolerance=1e-3)
    single = landscape.convexity(objective, points=(2, 2), span=((0.0, 0.01), (0.0, 0.01)), tolerance=1e-3)
    assert near.products / 25 < single.products / 4


def test_points_that_do_not_converge_are_marked():
    objective = problem()
    found = landscape.convexity(objective, points=3, tolerance=1e-9, max_products=3)
    assert not found.converged.all()
    assert np.isfinite(found.largest).all()
    H = dense(objective, objective.parameters)
    assert found.largest[1, 1] <= torch.linalg.eigvalsh(H)[-1].item() + 1e-9  # a Rayleigh quotient is never beyond
    marks = found.plot().panels[0].series
    assert len(marks) == 1
    assert len(marks[0].x) == (~found.converged).sum()


def test_holes_and_progress_and_interruption():
    model = nn.Linear(2, 1, bias=False).double()
    model.weight.data = torch.tensor([[0.1, 0.2]]).double()

    def barrier(outputs, _):
        return -torch.log(1 - outputs.square().sum())

    objective, told = Objective(model, loss=barrier, data=(torch.eye(2).double(), torch.zeros(2))), []
    directions = list(torch.eye(2).double())
    found = landscape.convexity(
        objective, directions=directions, points=3, span=2.0, progress=lambda *done: told.append(done)
    )
    assert told == [(i, 9) for i in range(1, 10)]
    assert np.isnan(found.largest[0, 0])
    assert not found.converged[0, 0]
    assert np.isfinite(found.largest[1, 1])
    assert len(found.plot(landscape.surface(objective, directions=directions, span=2.0)).panels[0].fields) == 2

    def stop(done, _):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(landscape.Interrupted) as caught:
        landscape.convexity(objective, directions=directions, points=3, span=0.5, progress=stop)
    partial = caught.value.partial
    assert isinstance(partial, landscape.Convexity)
    assert np.isfinite(partial.largest).sum() == 5
