"""A perceptron of two hidden layers of one width, the first of which skips the second.

    h = relu(W_1 x + b_1);   f(x) = W_3 (h + relu(W_2 h + b_2)) + b_3

It is the perceptron of MNIST-1D (Greydanus and Kobak, 2024), as its published code has it. Cost: that of `mlp` with the
same layers.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from lemmata.nets.initialisations import Law, generator_from, initialise
from lemmata.nets.mlp import check_sizes


class ResidualMLP(nn.Module):
    """Layers ``hidden1``, ``hidden2`` and ``output``."""

    def __init__(self, inputs: int, width: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.hidden1 = skip_init(nn.Linear, inputs, width, dtype=dtype)
        self.hidden2 = skip_init(nn.Linear, width, width, dtype=dtype)
        self.output = skip_init(nn.Linear, width, outputs, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map samples (n, ...), which are flattened, to (n, outputs)."""
        h = self.hidden1(x.flatten(1)).relu()
        return self.output(h + self.hidden2(h).relu())


def residual_mlp(
    inputs: int,
    width: int = 100,
    outputs: int = 10,
    *,
    initialisation: str | Law = "standard",
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> ResidualMLP:
    """Build inputs -> width -> width (plus its input) -> outputs; the weights are drawn from `seed` alone.

    With 40 inputs and width 100 it has the 15,210 parameters of MNIST-1D's own. Raises `InvalidInput` for a size
    below 1.

    >>> net = residual_mlp(40, seed=0)
    >>> net(torch.zeros(2, 40)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 15210)
    """
    check_sizes([inputs, width, outputs])
    net = ResidualMLP(inputs, width, outputs, dtype)
    return initialise(net, initialisation, generator_from(seed))  # type: ignore[return-value]
