"""What is no input at all is refused by name at the doors of flows, and never by torch further in."""

import math

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput, LemmataError
from lemmata.flows import control, parallel, regularised

WRONG = {"none": None, "text": "abc", "nan": math.nan, "list": [1, 2], "module": nn.Linear(2, 2)}
WRONG_NUMBERS = {"none": None, "text": "abc", "nan": math.nan, "below": -1.0, "list": [1], "complex": 1j}
WRONG_STATES = {
    "none": None, "text": "abc", "list": [[1.0, 2.0]], "whole": torch.ones(3, 2, dtype=torch.int64),
    "width": torch.ones(3, 7), "dtype": torch.ones(3, 2, dtype=torch.float64), "number": torch.tensor(1.0),
    "pair": (torch.ones(3, 2), None),
}  # fmt: skip


def made():
    return flows.Flow(flows.Plain(2, flows.PiecewiseConstant(8)), steps=8, method="forward-euler")


def problem():
    return control.Problem(made(), torch.ones(3, 2), torch.zeros(3, 2))


def square(y):
    return y.square().sum()


X = torch.ones(3, 2)
OF_A_FLOW = {
    "spectrum": lambda flow: flows.spectrum(flow, X),
    "perturbation_growth": lambda flow: flows.perturbation_growth(flow, X),
    "energy_drift": lambda flow: flows.energy_drift(flow, X),
    "gradient": lambda flow: parallel.gradient(flow, square, X, scheme=parallel.Multigrid(m=2)),
    "serial_gradient": lambda flow: parallel.serial_gradient(flow, square, X),
    "LayerParallel": parallel.LayerParallel,
    "Processes": parallel.Processes,
    "Problem": lambda flow: control.Problem(flow, X, X),
    "integrals": lambda flow: regularised.integrals(flow, X, [regularised.kinetic]),
    "transport": lambda flow: regularised.transport(flow, X),
    "density": regularised.density,
    "log_determinant": lambda flow: regularised.log_determinant(flow, X, how="jacobian"),
}
OF_A_STATE = {
    "flow": made(),
    "audit": lambda y: flows.gradient_audit(made().field, y, square, steps=(4, 8)),
    "problem": lambda y: control.pontryagin(control.Problem(made(), y, torch.zeros(3, 2))),
    "integrals": lambda y: regularised.integrals(made(), y, [regularised.kinetic]),
    "descent": lambda y: regularised.GaussianTransport(X[0], torch.eye(2), X[0], torch.eye(2)).map(y),
}
OF_A_NUMBER = {
    "latency": lambda v: parallel.forecast(64, latency=v),
    "h": lambda v: parallel.stable_coarsening([-1.0], v),
    "eigenvalues": lambda v: parallel.stable_coarsening([v] if v == 1j else v, -1.0),
    "jitter": lambda v: control.successive_approximations(problem(), iterations=1, rho=1.0, jitter=v),
    "tolerance": lambda v: control.batched_lbfgs(lambda x, k: (x[:, 0], x), X, iterations=1, tolerance=v),
    "tikhonov": lambda v: control.LinearQuadratic(torch.eye(2), torch.eye(2), X, X, tikhonov=v, steps=4),
    "T": lambda v: control.LinearQuadratic(torch.eye(2), torch.eye(2), X, X, tikhonov=1.0, steps=4, T=v),
    "limits": lambda v: regularised.density(made(), limits=(0.0, v)),
    "count": lambda v: regularised.Hutchinson.signs(v, 3, 2, seed=0),
    "hidden": lambda v: regularised.SmoothPotential(2, hidden=v),
    "dtype": lambda v: flows.Plain(2, flows.PiecewiseConstant(2), dtype=v),
    "seed": lambda v: regularised.SmoothPotential(2, seed=v),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("door", OF_A_FLOW)
def test_no_flow(door, wrong):
    with pytest.raises(InvalidInput, match="flow"):
        OF_A_FLOW[door](WRONG[wrong])


@pytest.mark.parametrize("wrong", WRONG_STATES)
@pytest.mark.parametrize("door", OF_A_STATE)
def test_no_state(door, wrong):
    with pytest.raises(LemmataError):
        OF_A_STATE[door](WRONG_STATES[wrong])


@pytest.mark.parametrize("wrong", WRONG_NUMBERS)
@pytest.mark.parametrize("door", OF_A_NUMBER)
def test_no_number(door, wrong):
    with pytest.raises(LemmataError):
        OF_A_NUMBER[door](WRONG_NUMBERS[wrong])


@pytest.mark.parametrize("module", [nn.Linear(2, 2), nn.Identity(), nn.Sequential()], ids=repr)
def test_a_module_that_is_no_field_is_told_how_to_become_one(module):
    with pytest.raises(InvalidInput, match=r"a field takes f\(t, y\): wrap it"):
        flows.integrate(module, X, steps=2, T=1.0)
