"""Small convolutional networks: one for images, one for signals.

`convnet` is a two-convolution network for small grey or colour images (strides in place of pooling);
`convnet1d` is the three-convolution network of MNIST-1D (Greydanus and Kobak, 2024), with or without batch
normalisation. Cost: dominated by the convolutions, about 2 * channels^2 * 9 * positions flops a sample.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils import skip_init

from lemmata.nets.fused_convnet1d import FusedConvNet1d
from lemmata.nets.initialisations import Law, generator_from, initialise
from lemmata.nets.mlp import check_sizes


def convnet(
    channels: int = 16,
    *,
    image: tuple[int, int, int] = (1, 14, 14),
    hidden: int = 128,
    outputs: int = 10,
    initialisation: str | Law = "standard",
    gain: float = 1.0,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Build conv 5x5/2 (c) - ReLU - conv 3x3/2 (2c) - ReLU - linear (hidden) - ReLU - linear (outputs).

    `image` is (input channels, height, width); inputs are (n, *image). All weights are drawn from `seed`.

    >>> convnet(4, seed=0)(torch.zeros(2, 1, 14, 14)).shape
    torch.Size([2, 10])
    """
    depth, height, width = image
    check_sizes([depth, height, width, channels, hidden, outputs])
    positions = -(-height // 4) * -(-width // 4)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=skip_init(nn.Conv2d, depth, channels, 5, stride=2, padding=2, dtype=dtype),
        relu1=nn.ReLU(),
        conv2=skip_init(nn.Conv2d, channels, 2 * channels, 3, stride=2, padding=1, dtype=dtype),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        hidden=skip_init(nn.Linear, 2 * channels * positions, hidden, dtype=dtype),
        relu3=nn.ReLU(),
        output=skip_init(nn.Linear, hidden, outputs, dtype=dtype),
    )
    return initialise(nn.Sequential(layers), initialisation, generator_from(seed), gain=gain)  # type: ignore[return-value]


def convnet1d(
    channels: int = 25,
    *,
    length: int = 40,
    outputs: int = 10,
    batch_norm: bool = False,
    fused: bool = False,
    initialisation: str | Law = "standard",
    gain: float = 1.0,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Build three convolutions of stride 2 (kernels 5, 3, 3), each with ReLU, then a linear read-out.

    Inputs are (n, 1, length). With 25 channels and length 40 it has the 5,210 parameters of MNIST-1D's own
    network. A `fused` network is the same with both passes written out (`FusedConvNet1d`): several of them train three
    times as fast together, but it gives first derivatives only.

    >>> net = convnet1d(25, seed=0)
    >>> net(torch.zeros(2, 1, 40)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 5210)
    """
    check_sizes([channels, length, outputs])
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    fan_in = 1
    for depth, kernel in enumerate((5, 3, 3), start=1):
        layers[f"conv{depth}"] = skip_init(nn.Conv1d, fan_in, channels, kernel, stride=2, padding=1, dtype=dtype)
        if batch_norm:
            layers[f"norm{depth}"] = nn.BatchNorm1d(channels, dtype=dtype)
        layers[f"relu{depth}"] = nn.ReLU()
        length = (length + 2 - kernel) // 2 + 1
        fan_in = channels
    layers["flatten"] = nn.Flatten()
    layers["output"] = skip_init(nn.Linear, channels * length, outputs, dtype=dtype)
    net = FusedConvNet1d(layers) if fused else nn.Sequential(layers)
    return initialise(net, initialisation, generator_from(seed), gain=gain)  # type: ignore[return-value]
