"""What does not fit is refused by name where only the module behind the door knows it, and nothing wrong is taken."""

import math

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.flows import control, regularised

X, Y = torch.ones(3, 2), torch.zeros(3, 2)


def made():
    return flows.Flow(flows.Plain(2, flows.PiecewiseConstant(8)), steps=8, method="forward-euler")


def hamiltonian():
    return flows.Flow(flows.Hamiltonian(2, flows.PiecewiseConstant(1)), steps=8, method="verlet")


class Timed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, t, y):
        return self.layer(y)


class Free(flows.layers.Residual):
    def velocity(self, y, *weights):
        return y


STATES = {"width": torch.ones(3, 7), "dtype": torch.ones(3, 2, dtype=torch.float64), "list": [1.0, 2.0], "none": None}


@pytest.mark.parametrize("wrong", STATES)
def test_modules_asked_directly(wrong):
    y = STATES[wrong]
    with pytest.raises(InvalidInput, match=r"Timed gave no velocity of a state .*; give states that it takes"):
        flows.ModuleField(Timed())(0.5, y)
    with pytest.raises(InvalidInput, match=r"gave no velocity of a state|y is|y: a"):
        regularised.Descent(regularised.SmoothPotential(2))(0.5, y)


def test_what_is_no_fault_of_the_state_is_not_called_one():
    """A refusal of the module's own comes through, and the cause of others is told."""

    class Refusing(nn.Module):
        def forward(self, t, y):
            raise InvalidInput("not on a Sunday")

    with pytest.raises(InvalidInput, match=r"^not on a Sunday"):
        flows.ModuleField(Refusing())(0.5, X)
    with pytest.raises(InvalidInput) as met:
        flows.ModuleField(Timed())(0.5, torch.ones(3, 7))
    assert isinstance(met.value.__cause__, RuntimeError)


@pytest.mark.parametrize("x", [torch.ones(3, 7), torch.ones(3, 2, dtype=torch.float64)], ids=["width", "dtype"])
def test_layers_before_a_flow_that_refuse_x(x):
    net = nn.Sequential(nn.Linear(2, 2), made())
    with pytest.raises(InvalidInput, match=rf"Sequential does not take x \(3, {x.shape[1]}\)"):
        flows.features(net, x)


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        (None, "shapes: NoneType"),
        ([(2, 2)], "shapes: list"),
        ({}, "shapes is empty"),
        ({"K": (0, 2)}, r"shapes\['K'\] = 0"),
        ({"K": (-1,)}, r"shapes\['K'\] = -1"),
        ({"K": (2.5,)}, r"shapes\['K'\] = 2.5"),
        ({"K": "ab"}, r"shapes\['K'\] = 'ab'"),
        ({"K": 3}, r"shapes\['K'\] = 3"),
        ({3: (2,)}, "3 names no weight"),
        ({"a.b": (2,)}, "'a.b' names no weight"),
    ],
    ids=str,
)
def test_shapes_of_weights(shapes, named):
    with pytest.raises(InvalidInput, match=named):
        Free(shapes, flows.PiecewiseConstant(2))
    assert Free({"s": ()}, flows.PiecewiseConstant(2)).coefficients["s"].shape == (2,)


@pytest.mark.parametrize(
    "options",
    [
        {"head": nn.Linear(5, 1)},
        {"head": lambda y: "text"},
        {"head": lambda: 1},
        {"loss": "cross_entropy"},
        {"loss": lambda outputs, targets: outputs},
        {"loss": lambda outputs: outputs},
    ],
    ids=["head's width", "head's answer", "head's arguments", "loss of classes", "loss of many", "loss of one"],
)
def test_losses_and_heads_that_do_not_fit_a_problem(options):
    with pytest.raises(InvalidInput):
        control.Problem(made(), X, Y, **options)


def test_a_network_is_no_list_of_flows():
    with pytest.raises(InvalidInput, match=r"a Sequential, which is a network; give its flows\.Flow"):
        control.Problem(nn.Sequential(made()), X, Y)
    assert len(control.Problem(nn.ModuleList([made(), made()]), X, Y).flows) == 2


@pytest.mark.parametrize("jump", [math.nan, math.inf])
def test_jumps_are_finite(jump):
    with pytest.raises(InvalidInput, match=r"jumps = \[.*\]; give finite times"):
        flows.integrate_adaptive(Timed(), X, T=1.0, jumps=[0.5, jump])


def test_a_seed_is_looked_at_though_nothing_is_drawn():
    with pytest.raises(InvalidInput, match="seed = 'a'"):
        flows.perturbation_growth(made(), X, seed="a")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)], ids=["no samples", "no numbers"])
@pytest.mark.parametrize("measure", [flows.spectrum, flows.perturbation_growth, flows.energy_drift])
def test_nothing_to_measure(measure, shape):
    with pytest.raises(InvalidInput, match="at least one"):
        measure(hamiltonian(), torch.ones(shape))


def test_an_energy_is_of_samples():
    with pytest.raises(InvalidInput, match=r"an energy is of states \(samples, \.\.\.\)"):
        flows.energy_drift(hamiltonian(), torch.ones(2))
    with pytest.raises(InvalidInput, match="has no samples"):
        flows.energy_drift(flows.Flow(flows.Hyperbolic(2, flows.PiecewiseConstant(1)), steps=2), torch.ones(2))
