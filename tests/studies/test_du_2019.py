"""The study of Du et al.: descent by hand, what is measured, and its verdicts at smoke scale."""

import math

import numpy as np
import pytest
import torch

from lemmata.plan import make
from lemmata.studies import _two_layer_first_layer
from lemmata.studies import du_2019 as du
from lemmata.studies._du_2019_descent import Descent, measure, problem
from lemmata.studies._two_layer_first_layer import FirstLayers, descend
from lemmata.verdicts import Outcome

TINY = {"n": 12, "d": 10, "width": 30, "steps": 15}


def tiny(**values) -> Descent:
    return Descent.build({**TINY, **values})


def drawn(config: Descent):
    draw = torch.Generator().manual_seed(config.seed)
    x, y = problem(config, draw)
    return x, y, FirstLayers.drawn(config.width, config.d, [draw], scaling=config.scaling)


def test_points_lie_on_the_sphere_and_parallel_ones_have_other_labels():
    x, y, _ = drawn(tiny())
    torch.testing.assert_close(x.norm(dim=1), torch.ones(12))
    x, y, _ = drawn(tiny(parallel=True))
    assert x[0].equal(x[1])
    assert (y[0] - y[1]).abs() >= 2


@pytest.mark.parametrize("scaling", ["ntk", "mean field"])
def test_descent_is_that_of_autograd(scaling):
    config = tiny(scaling=scaling)
    x, y, networks = drawn(config)
    ran = descend(networks, x[None], y[None], step_sizes=torch.tensor([0.5]), steps=15)
    W, a = networks.W[0].clone().requires_grad_(), networks.a[0]
    c = 1 / 30 if scaling == "mean field" else 30**-0.5
    norms = []
    for _ in range(16):
        left = c * torch.relu(x @ W.T) @ a - y
        norms.append(left.norm().item())
        (slope,) = torch.autograd.grad(0.5 * left.square().sum(), W)
        with torch.no_grad():
            W -= (0.5 if scaling == "ntk" else 0.5 * 30) * slope
    np.testing.assert_allclose(ran.residual[0], norms, rtol=1e-4)  # float32, 15 steps
    torch.testing.assert_close(networks.outputs(x[None])[0] - y, c * torch.relu(x @ networks.W[0].T) @ a - y)


@pytest.mark.parametrize("scaling", ["ntk", "mean field"])
@pytest.mark.parametrize("d", [3, 10])
def test_residuals_are_those_of_descent_in_either_space(scaling, d, monkeypatch):
    """12 points: of 10 dimensions by the units' inputs, two networks at a time, of 3 by the weights; float32."""
    monkeypatch.setattr(_two_layer_first_layer, "CACHE", 2 * 30 * 12 * 4)
    x, y, W, a = (
        torch.cat(parts) for parts in zip(*(_one(tiny(scaling=scaling, d=d, seed=s)) for s in range(3)), strict=True)
    )
    given = {"step_sizes": torch.tensor([0.5, 0.1, 0.3]), "steps": 15}
    networks = FirstLayers(W, a, scaling)
    expected = descend(networks, x, y, **given).residual
    torch.testing.assert_close(_two_layer_first_layer.residuals(networks, x, y, **given), expected, rtol=1e-4, atol=0)


def _one(config: Descent):
    x, y, networks = drawn(config)
    return x[None], y[None], networks.W, networks.a


def test_members_do_not_see_each_other():
    configs = [tiny(seed=seed) for seed in range(3)]
    for config, found in zip(configs, measure(configs), strict=True):
        (alone,) = measure([config])
        assert found.scalars == pytest.approx(alone.scalars, rel=1e-3, abs=1e-6)


def test_distance_and_flips_are_their_definitions():
    config = tiny()
    x, y, networks = drawn(config)
    (found,) = measure([config])
    step = 1 / float(torch.linalg.eigvalsh(_gram(x))[-1])
    ran = descend(networks, x[None], y[None], step_sizes=torch.tensor([step]), steps=15).networks
    assert found.scalars["distance"] == pytest.approx(float((ran.W - networks.W).norm(dim=2).max()), rel=1e-4)
    flipped = ((x @ ran.W[0].T > 0) != (x @ networks.W[0].T > 0)).double().mean()
    assert found.scalars["flips"] == pytest.approx(float(flipped), abs=1.5 / (12 * 30))


def _gram(x):
    x = x.double() / x.double().norm(dim=1, keepdim=True)
    c = (x @ x.T).clamp(-1, 1)
    return c * (math.pi - c.arccos()) / (2 * math.pi)


def test_the_bound_is_that_of_the_eigenvalue_asked_for():
    slow, fast = (measure([tiny(eigenvalue=which)])[0] for which in ("smallest", "largest"))
    x, _, _ = drawn(tiny())
    spectrum = torch.linalg.eigvalsh(_gram(x))
    k = slow.curves["bound"].x
    np.testing.assert_allclose(
        slow.curves["bound"].y, (1 - float(spectrum[0] / spectrum[-1]) / 2) ** (k / 2), rtol=1e-5
    )
    np.testing.assert_allclose(fast.curves["bound"].y, 0.5 ** (k / 2), rtol=1e-12)
    assert slow.scalars["over_bound"] < 1 < fast.scalars["over_bound"]


def test_equal_points_make_the_gram_singular():
    assert measure([tiny(parallel=True)])[0].scalars["over_rounding"] < 1
    assert measure([tiny()])[0].scalars["over_rounding"] > 1e6


@pytest.mark.parametrize("name", ["gram-is-definite", "reaches-zero", "linear-rate", "distance-falls"])
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("du-2019").assert_outcome(name)


def test_nothing_is_contradicted(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("du-2019").verdicts.values()}


def test_exponents_are_those_of_the_paper():
    claims = {claim.name: claim for claim in du.study.claims}
    for name in ("distance-falls", "flips-fall"):
        assert claims[name].paper == -0.5
        assert claims[name].region == pytest.approx((-0.6, -0.4))


def test_paper_scale_is_that_of_the_paper():
    plan = make(du.study, scale="paper")
    sizes = {(member.config.n, member.config.d) for member in plan.members_of("descent")}
    assert sizes == {(1000, 1000)}
