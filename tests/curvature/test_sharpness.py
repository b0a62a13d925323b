"""Sharpness against closed forms on quadratics, against a box maximum by enumeration, and under rescalings.

Closed forms hold to 1e-9 relative: the ascent stops at 1e-4 of the rise, but on these bowls it ends at the vertex or
within that. Random measures are held within five standard errors (chance 6e-7 each, with fixed seeds none).
"""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from lemmata import curvature, nets, phantoms
from lemmata.curvature.sharpness.climb import Chart, climb, vertex
from lemmata.curvature.sharpness.points import at_once
from lemmata.curvature.sharpness.scale import scale
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective

F64 = torch.float64
POINT = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.1]).to(F64)
SPECTRUM = [8.0, 4.0, 2.0, 1.0, 0.5]


def relu_net(seed=0, **options):
    """A trained-looking ReLU net with biases on 40 samples: loss about one, gradient not zero."""
    net = nets.mlp(5, [7, 6], 3, seed=seed, dtype=F64, **options)
    draw = torch.Generator().manual_seed(seed + 1)
    x = torch.randn(40, 5, generator=draw, dtype=F64)
    return net, x, torch.randint(3, (40,), generator=draw)


# ---- the largest rise in a Euclidean ball ----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    spectrum=st.lists(st.floats(0.1, 20), min_size=2, max_size=7), rho=st.floats(1e-3, 2), seed=st.integers(0, 10**6)
)
def test_at_a_minimum_sam_sharpness_is_half_rho_squared_times_the_largest_eigenvalue(spectrum, rho, seed):
    bowl = phantoms.quadratic(spectrum, seed=seed)
    found = curvature.sam_sharpness(bowl.objective, rho=rho, steps=200, starts=3, seed=seed)
    most = rho**2 * max(spectrum) / 2
    assert found.value <= most * (1 + 1e-12)  # a lower bound of it
    assert found.value >= most * (1 - 1e-2)  # two nearly equal eigenvalues: power iteration stops between them
    assert found.converged


def test_sam_sharpness_of_well_separated_eigenvalues_is_exact():
    bowl = phantoms.quadratic([16.0, 1.0, 0.5], seed=1)
    found = curvature.sam_sharpness(bowl.objective, rho=0.1, steps=50)
    assert found.value == pytest.approx(0.08, rel=1e-4)
    delta = bowl.objective.vector(found.displacement)
    assert float(delta.norm()) == pytest.approx(0.1, rel=1e-12)
    assert float(delta @ bowl.hessian @ delta) / 2 == pytest.approx(found.value, rel=1e-12)


def test_away_from_a_minimum_it_is_the_trust_region_maximum():
    """Maximising g'd + d'Hd/2 on the sphere by its secular equation (H - mu) d = -g, |d| = rho, mu > lambda_max."""
    bowl = phantoms.quadratic(SPECTRUM, point=POINT, seed=2)
    values, Q = torch.linalg.eigh(bowl.hessian)
    g, rho = Q.T @ bowl.gradient, 0.7
    low, high = float(values[-1]) * (1 + 1e-12), float(values[-1]) + float(g.norm()) / rho + 1
    for _ in range(200):
        mu = (low + high) / 2
        low, high = (mu, high) if float((g / (mu - values)).norm()) > rho else (low, mu)
    d = g / (mu - values)
    exact = float(g @ d + (values * d * d).sum() / 2)
    found = curvature.sam_sharpness(bowl.objective, rho=rho, steps=100)
    assert found.value == pytest.approx(exact, rel=1e-4)
    assert found.value <= exact * (1 + 1e-12)


def test_one_step_is_the_point_of_sam():
    net, x, y = relu_net()
    objective = Objective(net, data=(x, y))
    g = objective.vector(objective.gradient())
    there = objective.value(objective.tree(objective.vector(objective.parameters) + 0.3 * g / g.norm()))
    found = curvature.sam_sharpness(objective, rho=0.3)
    assert found.value == pytest.approx(float(there - objective.value()), rel=1e-12)
    assert found.cost == 2
    assert found.history.shape == (1, 1)


def test_more_steps_and_starts_never_find_less():
    net, x, y = relu_net()
    subject = (net, "cross_entropy", (x, y))
    first, many, starts = (
        curvature.sam_sharpness(subject, rho=1.0, steps=steps, starts=s, seed=3)
        for steps, s in ((1, 1), (30, 1), (30, 4))
    )
    assert first.value < many.value <= starts.value
    assert (many.history.diff(dim=1) >= 0).all()
    assert many.gap < 0.05 * many.value
    assert many.converged
    assert not curvature.sam_sharpness(subject, rho=1.0, steps=2).converged


def test_of_several_starts_the_best_is_given_whole():
    """The slope points along the flat axis, and the climb from it never leaves that axis: random starts do."""
    bowl = phantoms.quadratic([1.0, 10.0], point=torch.tensor([1.0, 0.0]), minimum=torch.zeros(2), rotated=False)
    one, many = (curvature.sam_sharpness(bowl.objective, rho=1.0, steps=50, starts=s) for s in (1, 6))
    assert one.value == pytest.approx(1.5)
    assert many.value > 5
    assert many.history[0, -1] == pytest.approx(1.5)
    rise = bowl.surface(bowl.objective.vector(many.displacement)) - bowl.value
    assert float(rise) == pytest.approx(many.value, rel=1e-12)
    assert many.gap < 1e-2


def test_on_a_hill_the_maximum_inside_the_ball_is_found():
    """Of -|theta - c|^2 the top c lies inside the ball: full steps overshoot, halved ones do not."""
    hill = phantoms.quadratic([-1.0, -2.0, -3.0], point=torch.tensor([0.3, 0.2, -0.1]).to(F64), seed=5)
    found = curvature.sam_sharpness(hill.objective, rho=1.0, steps=200)
    assert found.value == pytest.approx(-hill.value, rel=1e-2)  # conditional gradients converge slowly inside
    assert curvature.sam_sharpness(hill.objective, rho=1.0, steps=1).value < 0


def test_m_sharpness_is_the_mean_over_parts_of_the_data():
    net, x, y = relu_net()
    found = curvature.sam_sharpness((net, "cross_entropy", (x, y)), rho=0.2, m=16)
    parts = [curvature.sam_sharpness((net, "cross_entropy", (x[i:j], y[i:j])), rho=0.2).value for i, j in SIXTEENS]
    assert found.samples.tolist() == pytest.approx(parts, rel=1e-12)
    assert found.value == pytest.approx((16 * parts[0] + 16 * parts[1] + 8 * parts[2]) / 40, rel=1e-12)
    assert found.stderr == pytest.approx(float(found.samples.std()) / math.sqrt(3))
    assert found.value > curvature.sam_sharpness((net, "cross_entropy", (x, y)), rho=0.2).value
    assert found.cost == pytest.approx(2)


SIXTEENS = [(0, 16), (16, 32), (32, 40)]


# ---- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["l-bfgs-b", "signs"])
@pytest.mark.parametrize("spectrum", [[3.0, 2.0, 1.0], [3.0, 2.0, -1.0, 0.0], [5.0]])
def test_epsilon_sharpness_of_a_diagonal_bowl_is_its_largest_corner(method, spectrum):
    bowl = phantoms.quadratic(spectrum, rotated=False)
    found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.1, method=method)
    assert found.value == pytest.approx(100 * 0.01 * sum(max(s, 0) for s in spectrum) / 2, rel=1e-9)
    assert found.gap == pytest.approx(0, abs=1e-9)
    assert found.converged


def test_epsilon_sharpness_away_from_zero_has_wider_boxes_and_divides_by_one_plus_the_loss():
    bowl = phantoms.quadratic(SPECTRUM, minimum=torch.zeros(5), point=POINT, rotated=False)
    half = 0.01 * (POINT.abs() + 1)
    rise = (torch.tensor(SPECTRUM) * ((POINT.abs() + half) ** 2 - POINT**2) / 2).sum()
    for method in ("l-bfgs-b", "signs"):
        found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.01, method=method)
        assert found.value == pytest.approx(100 * float(rise) / (1 + bowl.value), rel=1e-9)
        assert found.loss == pytest.approx(bowl.value)


def corners(bowl, basis, half):
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=len(half)))).to(F64)
    return bowl.surface((signs * half) @ basis.T)


@pytest.mark.parametrize("method", ["l-bfgs-b", "signs"])
def test_in_a_subspace_it_is_a_maximum_over_the_corners_of_the_image_of_a_box(method):
    """Of a convex function the maximum over a polytope is at a corner: 2^4 of them, enumerated."""
    bowl = phantoms.quadratic([9.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.2], point=torch.ones(7), minimum=torch.zeros(7), seed=4)
    A = torch.randn(7, 4, generator=torch.Generator().manual_seed(9), dtype=F64)
    half = 0.05 * ((torch.linalg.pinv(A) @ torch.ones(7, dtype=F64)).abs() + 1)
    exact = 100 * (float(corners(bowl, A, half).max()) - bowl.value) / (1 + bowl.value)
    found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.05, subspace=A, method=method, starts=6)
    assert found.value == pytest.approx(exact, rel=1e-9)
    z = torch.linalg.lstsq(A, bowl.objective.vector(found.displacement)[:, None]).solution[:, 0]
    torch.testing.assert_close(z.abs(), half, rtol=1e-8, atol=0)


def test_a_random_subspace_depends_on_the_seed_and_lies_below_the_whole_of_it():
    net, x, y = relu_net()
    subject = (net, "cross_entropy", (x, y))
    one, same, other = (curvature.epsilon_sharpness(subject, subspace=20, seed=seed).value for seed in (0, 0, 1))
    assert one == same != other
    assert one > 0
    full = curvature.epsilon_sharpness(subject, subspace=torch.eye(Objective.of(subject).size, dtype=F64))
    assert full.value == pytest.approx(curvature.epsilon_sharpness(subject).value, rel=1e-6)


@pytest.mark.parametrize("method", ["l-bfgs-b", "signs"])
def test_a_rotated_box_has_many_local_maxima_and_more_starts_find_higher_ones(method):
    bowl = phantoms.quadratic(torch.linspace(0.01, 1, 10), seed=1)
    half = torch.full((10,), 1e-3, dtype=F64)
    exact = 100 * float(corners(bowl, torch.eye(10, dtype=F64), half).max())
    one, many = (
        curvature.epsilon_sharpness(bowl.objective, method=method, iterations=20, starts=s).value for s in (1, 100)
    )
    assert one < many * (1 - 1e-3)
    assert many == pytest.approx(exact, rel=1e-9)


def test_a_norm_infinity_ball_around_adaptive_scales_is_a_box():
    bowl = phantoms.quadratic(SPECTRUM, minimum=torch.zeros(5), point=POINT, rotated=False)
    rise = (torch.tensor(SPECTRUM).to(F64) * (1.1**2 - 1) * POINT**2 / 2).sum()
    found = curvature.adaptive_sharpness(bowl.objective, rho=0.1, norm="inf")
    assert found.value == pytest.approx(float(rise), rel=1e-9)


@pytest.mark.parametrize("norm", [2, "inf"])
@given(slope=st.lists(st.floats(-5, 5), min_size=3, max_size=3), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_vertex_is_where_a_linear_function_is_largest(norm, slope, seed):
    g = torch.tensor([slope], dtype=F64)
    others = torch.randn(200, 3, generator=torch.Generator().manual_seed(seed), dtype=F64)
    others /= others.norm(dim=1, keepdim=True) if norm == 2 else others.abs().amax(1, keepdim=True)
    best = vertex(g, 1.0, norm)
    assert float((best * g).sum()) >= float((others @ g[0]).max()) - 1e-12
    assert float(best.norm() if norm == 2 else best.abs().max()) <= 1 + 1e-12


# ---- averages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [None, POINT])
def test_average_sharpness_of_a_quadratic_is_half_sigma_squared_times_the_trace(point):
    bowl = phantoms.quadratic([*SPECTRUM[:4], -1.0], point=point, seed=1)
    found = curvature.average_sharpness(bowl.objective, sigma=0.3, pairs=4000)
    assert abs(found.value - 0.09 * bowl.trace / 2) < 5 * found.stderr
    # the pairs are quadratic forms in the noise, whatever the gradient: Var z'Hz / 2 = |H|_F^2 / 2
    exact = 0.09 * math.sqrt(float(bowl.hessian.square().sum()) / 2 / 4000)
    assert found.stderr == pytest.approx(exact, rel=0.1)  # a standard deviation from 4,000 draws: 0.02 at kurtosis 6
    assert found.n == 4000
    assert found.cost == pytest.approx(8001 / 3)


@pytest.mark.parametrize("normalization", ["element", "filter"])
def test_average_sharpness_with_scales_weighs_the_diagonal(normalization):
    bowl = phantoms.quadratic(SPECTRUM, point=POINT, shapes=[(1, 4), (1,)], seed=1)
    T = POINT.abs() if normalization == "element" else torch.tensor([*[float(POINT[:4].norm())] * 4, 0.1])
    found = curvature.average_sharpness(bowl.objective, sigma=0.1, normalization=normalization, pairs=4000)
    assert abs(found.value - 0.01 * float((T**2 * bowl.diagonal).sum()) / 2) < 5 * found.stderr


def test_filter_normalised_sharpness_of_a_quadratic_by_its_filters():
    point = torch.arange(1.0, 9.0).to(F64)
    bowl = phantoms.quadratic(range(1, 9), point=point, shapes=[(2, 3), (2,)], seed=3)
    found = curvature.filter_normalised_sharpness(bowl.objective, radius=0.1, pairs=6000)
    exact = 0.01 * sum(float(point[f].square().sum() * bowl.diagonal[f].sum()) for f in (slice(0, 3), slice(3, 6))) / 6
    assert abs(found.value - exact) < 5 * found.stderr


def test_draws_do_not_depend_on_how_many_are_held_at_once():
    net, x, y = relu_net()
    objective = Objective(net, data=(x, y))
    whole, single = (curvature.average_sharpness(objective, pairs=9, memory=m) for m in (2**28, 1))
    torch.testing.assert_close(whole.samples, single.samples, rtol=0, atol=1e-13)
    assert at_once(objective, 1) == 1
    one = 8 * (3 * 111 + 40 * (5 + 5 + 7 + 7 + 6 + 6 + 3))  # parameters thrice; inputs and what each layer gives
    assert [at_once(objective, memory) for memory in (3 * one - 1, 3 * one)] == [2, 3]


# ---- invariance ------------------------------------------------------------------------------------------------------

MEASURES = {
    "epsilon": lambda s: curvature.epsilon_sharpness(s, epsilon=0.02, method="signs"),
    "epsilon, l-bfgs-b": lambda s: curvature.epsilon_sharpness(s, epsilon=0.02),
    "sam": lambda s: curvature.sam_sharpness(s, rho=0.1, steps=5),
    "average": lambda s: curvature.average_sharpness(s, sigma=0.05),
    "adaptive, element": lambda s: curvature.adaptive_sharpness(s, rho=0.2, steps=5),
    "adaptive, element, inf": lambda s: curvature.adaptive_sharpness(s, rho=0.02, norm="inf", steps=5),
    "adaptive, filter": lambda s: curvature.adaptive_sharpness(s, rho=0.1, normalization="filter", steps=5),
    "average, element": lambda s: curvature.average_sharpness(s, sigma=0.1, normalization="element"),
    "average, filter": lambda s: curvature.average_sharpness(s, sigma=0.1, normalization="filter"),
    "filter-normalised": lambda s: curvature.filter_normalised_sharpness(s, radius=0.2),
}
PLAIN = {"epsilon", "epsilon, l-bfgs-b", "sam", "average"}
UNITWISE = {"adaptive, element", "adaptive, element, inf", "average, element"}


@pytest.mark.parametrize("name", MEASURES)
def test_rescaling_a_layer_moves_plain_sharpness_and_no_other(name):
    net, x, y = relu_net()
    objective = Objective(net, data=(x, y))
    moved = objective.at(phantoms.rescaled(net.state_dict(), "hidden1", "hidden2", 20.0))
    assert float(moved.value()) == pytest.approx(float(objective.value()), rel=1e-12)
    before, after = (MEASURES[name](o).value for o in (objective, moved))
    if name in PLAIN:
        assert after > 1.5 * before
    else:
        assert after == pytest.approx(before, rel=1e-8)


@pytest.mark.parametrize("name", MEASURES)
def test_rescaling_single_units_moves_all_but_the_element_wise(name):
    net, x, y = relu_net()
    objective = Objective(net, data=(x, y))
    factor = torch.tensor([0.05, 1.0, 3.0, 20.0, 0.5, 8.0, 1.0])
    moved = objective.at(phantoms.rescaled(net.state_dict(), "hidden1", "hidden2", factor))
    before, after = (MEASURES[name](o).value for o in (objective, moved))
    if name in UNITWISE:
        assert after == pytest.approx(before, rel=1e-8)
    else:
        assert abs(after / before - 1) > 0.05


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", MEASURES)
def test_filters_before_a_normalisation_may_be_of_any_length_for_all_but_plain_sharpness(name, mode):
    model, data = phantoms.scale_invariant()
    objective = Objective(model, data=data, mode=mode)
    factor = torch.tensor([0.02, 0.1, 0.3, 0.1, 0.05, 0.5])
    moved = objective.at(phantoms.rescaled_before_norm(model.state_dict(), "linear", "norm", factor))
    before, after = (MEASURES[name](o).value for o in (objective, moved))
    if name in PLAIN:
        assert after > 1.5 * before
    else:
        assert after == pytest.approx(before, rel=1e-6)


# ---- scales, options, refusals ---------------------------------------------------------------------------------------


def test_filters_of_a_convolution_and_of_its_transpose():
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ConvTranspose2d(3, 4, 2), nn.Flatten()).double()
    x = torch.randn(2, 2, 3, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    objective = Objective(model, loss="mse", data=(x, torch.zeros(2, 36, dtype=F64)))
    T = objective.tree(scale(objective, "filter"))
    own = objective.parameters
    torch.testing.assert_close(T["0.weight"][:, 0, 0, 0], own["0.weight"].flatten(1).norm(dim=1))
    torch.testing.assert_close(T["1.weight"][0, :, 0, 0], own["1.weight"].transpose(0, 1).flatten(1).norm(dim=1))
    torch.testing.assert_close(T["0.bias"], own["0.bias"].abs())


def test_the_rise_is_that_of_the_displacement_returned():
    net, x, y = relu_net()
    objective = Objective(net, data=(x, y))
    for found in (
        curvature.sam_sharpness(objective, steps=4, starts=3),
        curvature.adaptive_sharpness(objective, normalization="filter"),
        curvature.epsilon_sharpness(objective, subspace=5),
        curvature.epsilon_sharpness(objective, method="signs"),
    ):
        moved = {name: tensor + found.displacement[name] for name, tensor in objective.parameters.items()}
        rise = float(objective.value(moved) - objective.value())
        factor = 1.0 if found.value < 2 * rise else 100 / (1 + found.loss)
        assert found.value == pytest.approx(factor * rise, rel=1e-9)


def test_a_callable_with_forward_hooks_left_alone_and_models_of_one_tensor():
    net, x, y = relu_net()
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    curvature.average_sharpness((net, "cross_entropy", (x, y)), pairs=2)
    assert len(net._forward_hooks) == 1
    functional_call(net, dict(net.named_parameters()), (x,))


@pytest.mark.parametrize("name", MEASURES)
def test_results_draw_themselves(name):
    net, x, y = relu_net()
    figure = MEASURES[name]((net, "cross_entropy", (x, y))).plot()
    assert figure.panels[0].series[0].y.size > 1
    assert figure._repr_svg_().startswith("<svg")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s: curvature.sam_sharpness(s, rho=0.0), "rho = 0.0"),
        (lambda s: curvature.sam_sharpness(s, rho=math.inf), "rho = inf"),
        (lambda s: curvature.sam_sharpness(s, steps=0), "steps = 0"),
        (lambda s: curvature.sam_sharpness(s, m=0), "m = 0"),
        (lambda s: curvature.sam_sharpness(s, m=41), "m = 41"),
        (lambda s: curvature.adaptive_sharpness(s, norm=1), "norm = 1"),
        (lambda s: curvature.epsilon_sharpness(s, epsilon=-1.0), "epsilon = -1.0"),
        (lambda s: curvature.epsilon_sharpness(s, iterations=0), "iterations = 0"),
        (lambda s: curvature.epsilon_sharpness(s, subspace=0), "subspace = 0"),
        (lambda s: curvature.epsilon_sharpness(s, subspace=10**6), "subspace = 1000000"),
        (lambda s: curvature.epsilon_sharpness(s, subspace=torch.ones(3, 2)), r"subspace of shape \(3, 2\)"),
        (lambda s: curvature.average_sharpness(s, sigma=0.0), "size 0.0"),
        (lambda s: curvature.average_sharpness(s, pairs=1), "pairs = 1"),
        (lambda s: curvature.average_sharpness(s, memory=0), "memory = 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, match):
    net, x, y = relu_net()
    with pytest.raises(InvalidInput, match=match):
        call((net, "cross_entropy", (x, y)))


def test_other_refusals():
    net, x, y = relu_net()
    objective = Objective(net, data=(x, y))
    with pytest.raises(UnknownName, match="normalization"):
        curvature.adaptive_sharpness(objective, normalization="layer")
    with pytest.raises(UnknownName, match="method"):
        curvature.epsilon_sharpness(objective, method="adam")
    with pytest.raises(InvalidInput, match="depend on one another"):
        curvature.epsilon_sharpness(objective, subspace=torch.ones(objective.size, 2))
    with pytest.raises(InvalidInput, match="no parameter has filters"):
        curvature.filter_normalised_sharpness(objective.restricted(["output.bias"]))
    zero = objective.at({name: torch.zeros_like(p) for name, p in objective.parameters.items()})
    with pytest.raises(InvalidInput, match="all parameters are zero"):
        curvature.adaptive_sharpness(zero)
    pit = phantoms.quadratic([1.0, -2.0], minimum=torch.zeros(2), point=torch.ones(2) * 3, rotated=False)
    with pytest.raises(InvalidInput, match=r"1 \+ loss"):
        curvature.epsilon_sharpness(pit.objective)


def test_flat_directions_do_not_move_a_climb_that_has_no_slope():
    """On a plane (zero Hessian, zero slope) every point is as high: no rise, no gap, no error."""
    plane = phantoms.quadratic([0.0, 0.0, 0.0])
    for found in (curvature.sam_sharpness(plane.objective, steps=3), curvature.epsilon_sharpness(plane.objective)):
        assert found.value == 0
        assert found.gap == 0
    chart = Chart(torch.ones(3, dtype=F64))
    assert climb(plane.objective, chart, rho=1.0, steps=3, seed=0).cost == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", MEASURES)
def test_on_a_gpu_the_same(name):
    net, x, y = relu_net()
    here = MEASURES[name]((net, "cross_entropy", (x, y))).value
    there = MEASURES[name]((net.cuda(), "cross_entropy", (x.cuda(), y.cuda()))).value
    assert there == pytest.approx(here, rel=1e-6)
