"""Binary weights: the maximum of each layer's Hamiltonian among all signs, by trying them."""

from itertools import product

import pytest
import torch

from lemmata import flows
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.flows import control
from lemmata.flows.control.successive import Layers

F64 = torch.float64


class Mixed(flows.Residual):
    """y' = K tanh(y): linear in its weights."""

    def __init__(self, width, basis, seed):
        super().__init__({"K": (width, width)}, basis, seed=seed, dtype=F64)

    def velocity(self, y, *weights):
        return torch.tanh(y) @ weights[0].mT


def _problem(width=2, steps=3, members=2, seed=0, tikhonov=0.0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(30, width, generator=draw, dtype=F64)
    own = [Mixed(width, flows.PiecewiseConstant(steps), seed=s) for s in range(members + 1)]
    nets = [flows.Flow(field, steps=steps, method="forward-euler") for field in own]
    with torch.no_grad():
        nets[-1].field.coefficients["K"].sign_()
        y = nets[-1](x)
    return control.Problem(nets[:-1], x, y, penalty=control.TimePenalty(tikhonov=tikhonov))


@pytest.mark.parametrize("tikhonov", [0.0, 3.0])
@pytest.mark.parametrize("rho", [0.0, 0.05])
def test_each_layer_takes_the_best_of_all_signs(rho, tikhonov):
    problem = _problem(tikhonov=tikhonov)
    found = control.binary_approximations(problem, names=["K"], iterations=1, rho=rho)
    layers = Layers(problem)
    theta = layers.flat(problem.coefficients).sign()
    rows, p, _ = layers.sweep(theta)
    signs = torch.tensor(list(product([-1.0, 1.0], repeat=4)), dtype=F64)
    moved = []
    for m in range(2):
        for n in range(3):
            H = torch.stack([layers.hamiltonian(s, rows[m, n], p[m, n]) for s in signs])
            H = H - rho * (signs - theta[m, n]).square().sum(1)
            moved.append(signs[H.argmax()])
    expected = torch.stack(moved).reshape(2, 3, 4)
    share = (expected != theta).double().mean((1, 2))
    torch.testing.assert_close(found.flipped[:, 0].double(), share)
    J = layers.sweep(expected)[2]
    torch.testing.assert_close(found.objective[:, 1], J)


def test_a_teacher_of_binary_weights_is_learnt():
    problem = _problem(width=3, steps=4, members=6)
    found = control.binary_approximations(problem, names=["K"], iterations=60, rho=0.02, momentum=0.5)
    best = found.objective.min(1).values
    assert (best < 0.5 * found.objective[:, 0]).all()
    assert found.coefficients["K"].abs().eq(1).all()
    with torch.no_grad():
        again = torch.stack([(flow(problem.x[0]) - problem.y[0]).square().mean() for flow in found.flows])
    torch.testing.assert_close(again, best)
    assert "<svg" in str(static.render(found.plot()))


def test_a_large_rho_keeps_every_sign():
    found = control.binary_approximations(_problem(), names=["K"], iterations=3, rho=1e6)
    assert found.flipped.eq(0).all()


def test_bad_input():
    with pytest.raises(UnknownName, match="weight 'k'"):
        control.binary_approximations(_problem(), names=["k"], iterations=1, rho=0.0)
    with pytest.raises(InvalidInput, match="momentum = 1"):
        control.binary_approximations(_problem(), names=["K"], iterations=1, rho=0.0, momentum=1.0)
