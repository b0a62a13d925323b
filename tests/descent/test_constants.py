"""L and mu against dense Hessians; what is proven and what is only estimated; what is refused.

Proven constants hold to rounding against `numpy.linalg.eigvalsh` (1e-9: the margin of the proof). Estimates from a path
carry the tolerance of their eigenvalues, 1e-3.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import hessian

from lemmata import descent, nets
from lemmata.conformance import ScalarConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective

F64 = torch.float64


def linear(loss="cross_entropy", n=40, d=4, outputs=3, seed=0, **options) -> Objective:
    draw = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(d, outputs, dtype=F64, **options))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=draw, dtype=F64))
    x = torch.randn(n, 2, d // 2, generator=draw, dtype=F64)
    y = torch.randint(outputs, (n,), generator=draw)
    y = torch.randn(n, outputs, generator=draw, dtype=F64) if loss == "mse" else y
    return Objective(model, loss=loss, data=(x, y), chunk=16)


def spectrum(objective: Objective, x: torch.Tensor | None = None) -> np.ndarray:
    point = objective.vector(objective.parameters) if x is None else x
    return torch.linalg.eigvalsh(hessian(lambda x: objective.value(objective.tree(x)))(point)).numpy()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chosen", [None, ["1.weight"], ["1.bias"]])
def test_mean_squared_error_has_its_own_spectrum_exactly(bias, chosen):
    objective = linear("mse", bias=bias)
    if chosen == ["1.bias"] and not bias:
        return
    objective = objective if chosen is None else objective.restricted(chosen)
    values = spectrum(objective)
    smooth, strong = descent.smoothness(objective, ridge=0.1), descent.strong_convexity(objective, ridge=0.1)
    assert smooth.value == pytest.approx(values[-1] + 0.1, rel=2e-9)
    assert strong.value == pytest.approx(values[0] + 0.1, rel=1e-11)
    assert smooth.kind == strong.kind == "exact"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.floats(0.01, 100), outputs=st.integers(2, 5))
def test_no_hessian_of_the_cross_entropy_exceeds_the_bound(seed, size, outputs):
    objective = linear(seed=seed, outputs=outputs)
    bound = descent.smoothness(objective)
    x = size * torch.randn(objective.size, generator=torch.Generator().manual_seed(seed), dtype=F64)
    assert spectrum(objective, x)[-1] <= bound.value * (1 + 1e-12)
    assert bound.kind == "bound"
    assert descent.strong_convexity(objective, ridge=0.2).value == 0.2


def test_for_two_classes_the_bound_is_attained_at_zero():
    objective = linear(outputs=2)
    zero = torch.zeros(objective.size, dtype=F64)
    assert descent.smoothness(objective).value == pytest.approx(spectrum(objective, zero)[-1], rel=2e-9)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_path_sees_the_curvature_where_it_passes(loss):
    objective = linear(loss)
    proven, seen = (descent.smoothness(objective, way=way) for way in ("bound", "path"))
    assert seen.kind == "estimate"
    assert spectrum(objective)[-1] * (1 - 1e-3) <= seen.value <= proven.value * (1 + 1e-3)
    assert seen.largest.shape == seen.smallest.shape == seen.step.shape == (8,)
    assert seen.largest[0] == pytest.approx(spectrum(objective)[-1], rel=1e-3)
    assert seen.cost > 8
    if loss == "mse":
        assert seen.value == pytest.approx(proven.value, rel=1e-3)
        least = descent.strong_convexity(objective, way="path")
        assert least.value == pytest.approx(spectrum(objective)[0], abs=1e-3 * proven.value)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_secants_are_lower_bounds_of_l_and_upper_bounds_of_mu(loss):
    objective = linear(loss)
    largest = descent.smoothness(objective, way="secant", steps=20)
    smallest = descent.strong_convexity(objective, way="secant", steps=20, ridge=0.05)
    proven = descent.smoothness(objective, way="bound").value
    assert 0.05 * proven < largest.value <= proven
    assert smallest.value >= descent.strong_convexity(objective, ridge=0.05).value
    assert largest.cost == 21


def test_other_models_are_estimated_and_say_so():
    net = nets.mlp(4, [5], 3, activation="tanh", seed=0, dtype=F64)
    x, y = linear().batches[0]
    objective = Objective(net, loss="cross_entropy", data=(x.flatten(1), y))
    found = descent.smoothness(objective)
    assert found.kind == "estimate"
    assert found.value >= spectrum(objective)[-1] * (1 - 1e-3)
    assert "lower bound" in found.how
    with pytest.raises(InvalidInput, match="nothing is proven"):
        descent.smoothness(objective, way="bound")


def test_a_layer_that_only_looks_linear_is_not_taken_for_one():
    """Two linear layers are linear in the input and not in the parameters; a callable loss is anybody's guess."""
    x, y = linear().batches[0]
    deep = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, dtype=F64), nn.Linear(4, 3, dtype=F64))
    assert descent.smoothness((deep, "cross_entropy", (x, y))).kind == "estimate"
    own = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, dtype=F64))
    assert descent.smoothness((own, nn.functional.cross_entropy, (x, y))).kind == "estimate"


def test_non_convexity_is_refused_with_its_eigenvalue():
    net = nets.mlp(4, [5], 3, activation="tanh", seed=0, dtype=F64)
    x, y = linear().batches[0]
    objective = Objective(net, loss="cross_entropy", data=(x.flatten(1), y))
    least = spectrum(objective)[0]
    assert least < 0
    with pytest.raises(InvalidInput, match=r"not convex: its Hessian has the eigenvalue -0\.\d+"):
        descent.strong_convexity(objective)
    with pytest.raises(InvalidInput, match="not convex"):
        descent.problem(objective)


def test_refuses_what_has_no_constants():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, dtype=F64))

        def forward(self, x):
            return x * (self.weight * 0)

    x = torch.ones(3, 1, dtype=F64)
    for way in ("path", "secant"):
        with pytest.raises(InvalidInput, match=r"no Lipschitz constant|no curvature"):
            descent.smoothness((Flat(), "mse", (x, x)), way=way)
    with pytest.raises(UnknownName, match="path"):
        descent.smoothness(linear(), way="paths")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="ridge"):
        descent.smoothness(linear(), ridge=-1.0)
    with pytest.raises(InvalidInput, match="2 points"):
        descent.smoothness(linear(), way="path", steps=1)


def test_the_plot_shows_the_path_and_the_constant():
    figure = descent.smoothness(linear(), way="path").plot()
    assert [series.label for series in figure.panels[0].series] == ["largest curvature", "smallest curvature"]
    assert descent.smoothness(linear()).plot().panels[0].series == []


class TestSmoothness(ScalarConformance):
    """Of a network: the largest curvature on a path, whose eigenvalues have a tolerance of 1e-3."""

    repeats = 1e-6  # products with the Hessian are linearised in the way that is fastest on the day
    tolerance = 1e-2

    def instrument(self, subject):
        return descent.smoothness(subject)
