"""Hessian products of perceptrons, written out: against dense Hessians of torch.func, and against the general path."""

import pytest
import torch
from torch import nn

from lemmata.curvature.member_hessians import MemberHessians
from lemmata.curvature.perceptron_hessians import PerceptronHessians, hessians_at
from lemmata.objective import Objective

ACTIVATIONS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "identity": nn.Identity}


def perceptron(activation: str = "tanh", *, bias: bool = True, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    kind = ACTIVATIONS[activation]
    layers = [nn.Linear(4, 5, bias=bias), kind(), nn.Linear(5, 3), kind(), nn.Linear(3, 2, bias=bias)]
    return nn.Sequential(nn.Flatten(), *layers).double()


def state_of(models) -> dict[str, torch.Tensor]:
    named = [dict(model.named_parameters()) for model in models]
    return {name: torch.stack([own[name].detach() for own in named]) for name in named[0]}


def samples(loss: str) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(7, 2, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(7, 2, generator=generator, dtype=torch.float64)
    return x, y.argmax(1) if loss == "cross_entropy" else y


def quartic(z, y):
    return (z - y).pow(4).sum(1).mean() + z.prod(1).square().mean()


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", quartic], ids=["mse", "cross_entropy", "quartic"])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_of_the_dense_hessians(activation, loss, bias):
    models = [perceptron(activation, bias=bias, seed=seed) for seed in range(4)]
    data = samples(loss)
    hessians = hessians_at(Objective(models[0], loss=loss, data=data), state_of(models))
    assert isinstance(hessians, PerceptronHessians)
    dense = torch.stack([Objective(model, loss=loss, data=data).hessian().dense() for model in models])
    V = torch.randn(4, dense.shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for members in ([0, 1, 2, 3], [1, 3], [2], [0, 1, 2, 3]):
        chosen = torch.tensor(members)
        expected = (dense[chosen] @ V[chosen][:, :, None])[..., 0]
        torch.testing.assert_close(hessians.product(V[chosen], chosen), expected, rtol=1e-10, atol=1e-12)


def test_a_loss_that_is_linear_in_the_outputs_has_the_curvature_of_the_network():
    model, data = perceptron(), samples("mse")
    objective = Objective(model, loss=lambda z, y: (z * y).sum(1).mean(), data=data)
    size = sum(p.numel() for p in model.parameters())
    V = torch.randn(1, size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = hessians_at(objective, state_of([model])).product(V, torch.tensor([0]))
    torch.testing.assert_close(found[0], objective.hessian().dense() @ V[0], rtol=1e-10, atol=1e-12)


def test_what_is_no_perceptron_goes_the_general_way():
    data, model = samples("mse"), perceptron()
    objective, state = Objective(model, loss="mse", data=data), state_of([model])
    assert isinstance(hessians_at(objective, state, memory=100), MemberHessians)
    assert isinstance(hessians_at(objective.restricted(["1.weight"]), state), MemberHessians)
    assert isinstance(hessians_at(Objective(model, loss="mse", data=[data, data]), state), MemberHessians)
    for other in (
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Tanh()),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).eval(),
    ):
        own = Objective(other.double(), loss="mse", data=data)
        assert isinstance(hessians_at(own, {**state_of([other]), **_buffers(other)}), MemberHessians)


def _buffers(model) -> dict[str, torch.Tensor]:
    return {name: tensor[None] for name, tensor in model.named_buffers()}
