"""A shallow network whose first weight matrix is a product of rank r: inputs -> r (linear) -> width -> outputs.

    f(x) = W relu(U V x + b) + c;   U (width, r), V (r, inputs)

It is the shallow network with W_1 = U V, with r (inputs + width) weights in the place of inputs * width, and as many
multiplications a sample: fewer if r < inputs * width / (inputs + width). The literature's linear bottleneck.

Fails where the function needs more than r directions of the inputs: nothing after V sees the others.

Reference: L. J. Ba and R. Caruana (2014), Do deep nets really need to be deep?, arXiv:1312.6184.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils import skip_init

from lemmata.nets.initialisations import Law, generator_from, initialise
from lemmata.nets.mlp import check_sizes


def bottleneck(
    inputs: int,
    rank: int,
    width: int,
    outputs: int,
    *,
    initialisation: str | Law = "standard",
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Build the layers ``bottleneck`` (rank x inputs, no bias), ``hidden1``, a ReLU, and ``output``.

    Samples of any shape are flattened. The weights are drawn from `seed` alone. Raises `InvalidInput` for a size
    below 1.

    >>> net = bottleneck(784, 50, 4000, 10, seed=0)
    >>> net(torch.zeros(2, 784)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 283210)
    """
    check_sizes([inputs, rank, width, outputs])
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        flatten=nn.Flatten(),
        bottleneck=skip_init(nn.Linear, inputs, rank, bias=False, dtype=dtype),
        hidden1=skip_init(nn.Linear, rank, width, dtype=dtype),
        relu1=nn.ReLU(),
        output=skip_init(nn.Linear, width, outputs, dtype=dtype),
    )
    return initialise(nn.Sequential(layers), initialisation, generator_from(seed))  # type: ignore[return-value]
