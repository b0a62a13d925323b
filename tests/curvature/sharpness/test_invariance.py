"""Every measure under rescalings that leave the function, drawn, and on a GPU."""

import pytest
import torch

from lemmata import curvature, phantoms
from lemmata.objective import Objective

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
def test_rescaling_a_layer_moves_plain_sharpness_and_no_other(relu_net, name):
    net, x, y = relu_net
    objective = Objective(net, data=(x, y))
    moved = objective.at(phantoms.rescaled(net.state_dict(), "hidden1", "hidden2", 20.0))
    assert float(moved.value()) == pytest.approx(float(objective.value()), rel=1e-12)
    before, after = (MEASURES[name](o).value for o in (objective, moved))
    if name in PLAIN:
        assert after > 1.5 * before
    else:
        assert after == pytest.approx(before, rel=1e-8)


@pytest.mark.parametrize("name", MEASURES)
def test_rescaling_single_units_moves_all_but_the_element_wise(relu_net, name):
    net, x, y = relu_net
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


@pytest.mark.parametrize("name", MEASURES)
def test_results_draw_themselves(relu_net, name):
    net, x, y = relu_net
    figure = MEASURES[name]((net, "cross_entropy", (x, y))).plot()
    assert figure.panels[0].series[0].y.size > 1
    assert figure._repr_svg_().startswith("<svg")


@pytest.mark.gpu
@pytest.mark.parametrize("name", MEASURES)
def test_on_a_gpu_the_same(relu_net, name):
    net, x, y = relu_net
    here = MEASURES[name]((net, "cross_entropy", (x, y))).value
    there = MEASURES[name]((net.cuda(), "cross_entropy", (x.cuda(), y.cuda()))).value
    assert there == pytest.approx(here, rel=1e-6)
