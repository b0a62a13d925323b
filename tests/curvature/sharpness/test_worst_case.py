"""What worst cases promise together: their displacement, the model left alone, and what they refuse."""

import math

import pytest
import torch
from torch.func import functional_call

from lemmata import curvature, phantoms
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective


def test_the_rise_is_that_of_the_displacement_returned(relu_net):
    net, x, y = relu_net
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


def test_a_callable_with_forward_hooks_left_alone_and_models_of_one_tensor(relu_net):
    net, x, y = relu_net
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    curvature.average_sharpness((net, "cross_entropy", (x, y)), pairs=2)
    assert len(net._forward_hooks) == 1
    functional_call(net, dict(net.named_parameters()), (x,))


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
def test_what_makes_no_sense_is_refused(relu_net, call, match):
    net, x, y = relu_net
    with pytest.raises(InvalidInput, match=match):
        call((net, "cross_entropy", (x, y)))


def test_other_refusals(relu_net):
    net, x, y = relu_net
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
