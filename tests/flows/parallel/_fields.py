"""Fields whose solutions are known, for the tests of layers in parallel."""

import torch
from torch import Tensor, nn

from lemmata import flows
from lemmata.flows import VectorField

F64 = torch.float64


class Linear(VectorField):
    """y' = A y, the same A at all times: rows of the states are samples."""

    T = 1.0

    def __init__(self, A: Tensor):
        super().__init__()
        self.A = nn.Parameter(A)

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        return (self.A.expand(len(times), *self.A.shape),)

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        return y @ weights[0].mT


def rotation(a: complex) -> Tensor:
    """The real 2 x 2 matrix that multiplies x + i y by a."""
    return torch.tensor([[a.real, -a.imag], [a.imag, a.real]], dtype=F64)


def rough(width: int = 4, layers: int = 32, scale: float = 1.0, seed: int = 0) -> VectorField:
    """A plain network whose layers' weights are independent draws, so that no layer is like its neighbour."""
    field = flows.Plain(width, flows.PiecewiseConstant(layers), seed=seed).double()
    with torch.no_grad():
        for p in field.parameters():
            p.mul_(scale)
    return field


def start(width: int = 4, samples: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(seed), dtype=F64)
