"""The study of Frye et al.: its list of critical points against dense computation, its paths, and its verdicts."""

import numpy as np
import pytest
import torch

from lemmata.landscape import critical
from lemmata.objective import Objective
from lemmata.studies import _frye_2021_search as searches
from lemmata.studies import frye_2021 as frye
from lemmata.studies._frye_2021_search import Search
from lemmata.verdicts import Outcome


def test_data_have_the_second_moment_asked_for():
    for scale in (1.0, 2.0):
        x = searches.data(Search(scale=scale))
        moment = x.T @ x / len(x)
        torch.testing.assert_close(moment, scale * torch.diag(torch.tensor(searches.STRENGTHS, dtype=torch.float64)))


@pytest.mark.parametrize("kept", [(), (0,), (3,), (0, 1), (1, 3), (2, 3)])
def test_the_list_is_what_dense_computation_says(kept):
    """Networks with the kept directions as weights: gradient 0, loss and number of negative eigenvalues by numpy."""
    config = Search(activation="identity")
    encoder = torch.zeros(2, 4, dtype=torch.float64)
    for unit, direction in enumerate(kept):
        encoder[unit, direction] = 1.0
    x = searches.data(config)

    def loss(theta: torch.Tensor) -> torch.Tensor:
        first, second = theta[:8].reshape(2, 4), theta[8:].reshape(4, 2)
        return 0.5 * (x @ first.T @ second.T - x).square().sum(1).mean()

    theta = torch.cat([encoder.flatten(), encoder.T.flatten()]).requires_grad_()
    (slope,) = torch.autograd.grad(loss(theta), theta)
    assert float(slope.norm()) < 1e-14
    values = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, theta.detach()).numpy())
    listed = {(round(value, 9), down) for value, down in searches.known(config)}
    assert (round(loss(theta).item(), 9), int((values < -1e-12).sum())) in listed
    assert len(searches.known(config)) == 11  # 1 + 4 + 6 sets


def test_paths_are_those_of_a_plain_loop():
    """Descent with momentum written out for one seed; 1e-12. Members do not see each other."""
    config = Search(training=7, starts=3, lr=0.05)
    objective = Objective(
        searches.network(config, 0), loss=searches.half_distance, data=(x := searches.data(config), x)
    )
    found = searches.paths(objective, config, [4, 5])
    model = searches.network(config, 5)
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    states = []
    for _ in range(7):
        loss = searches.half_distance(model(x), x)
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        velocity = [0.9 * v - 0.05 * g for v, g in zip(velocity, slopes, strict=True)]
        with torch.no_grad():
            for p, v in zip(model.parameters(), velocity, strict=True):
                p.add_(v)
        states.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert found.shape[:2] == (2, 3)
    for i, step in enumerate((1, 3, 7)):
        torch.testing.assert_close(found[1, i], states[step - 1], rtol=1e-12, atol=1e-12)


def test_stationarity_is_that_of_the_squared_gradient_norm():
    """x^3/3 + x + y^2/2: at the origin H g = 0 with g = (1, 0), at (1, 0) H g = (4, 0), |H| = 2, |g| = 2."""
    surface = critical.function(lambda v: v[0] ** 3 / 3 + v[0] + v[1] ** 2 / 2, 2)
    found = critical.polish(surface, torch.tensor([[0.0, 0.0], [1.0, 0.0]]), steps=0)
    assert searches.stationarity(found).tolist() == [0.0, 1.0]


def test_a_minimum_of_the_gradient_norm_is_told_from_a_plateau_and_a_top():
    """X^3/3 + c x: |grad|^2 = (x^2 + c)^2 has its minimum at 0 for c > 0, a top for c < 0; e^-x falls for ever."""
    for surface, point, expected in (
        (lambda x: x**3 / 3 + x, 0.0, True),
        (lambda x: x**3 / 3 - x, 0.0, False),
        (lambda x: (-x).exp(), 18.0, False),
    ):
        whole = critical.function(lambda v, f=surface: f(v[0]) + v[1] ** 2 / 2, 2)
        found = critical.polish(whole, torch.tensor([[point, 0.0]], dtype=torch.float64), steps=0)
        assert float(searches.stationarity(found)) < searches.STILL
        assert bool(searches.minima_of_the_gradient_norm(found)) is expected


CLAIMS = [claim.name for claim in frye.study.claims]
DIRECTION = {"mostly-flat"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_verdicts_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    """That most end points are gradient-flat holds in direction only: a fifth, not half (see the study's head)."""
    laptop("frye-2021").assert_outcome(name, Outcome.DIRECTION_ONLY if name in DIRECTION else Outcome.REPRODUCED)
