"""Residual networks for 32x32 images, of depth 6n + 2 (He, Zhang, Ren and Sun, 2016, section 4.2).

Three stages of n blocks with 16, 32 and 64 channels; each block is conv-BN-ReLU-conv-BN, plus its input,
then ReLU. Where the shape changes the shortcut is a 1x1 convolution with batch normalisation. Without
shortcuts (``shortcuts=False``) the same stack is the plain network whose loss surface Li, Xu, Taylor,
Studer and Goldstein (2018) drew; names and shapes of the parameters are those of their published weights.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils import skip_init

from lemmata.errors import InvalidInput
from lemmata.nets.initialisations import Law, generator_from, initialise
from lemmata.nets.mlp import check_sizes


class Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation, and the input added to them if there is a shortcut."""

    def __init__(self, fan_in: int, channels: int, stride: int, shortcut: bool, dtype: torch.dtype):
        super().__init__()
        self.conv1 = _conv3x3(fan_in, channels, stride, dtype)
        self.bn1 = nn.BatchNorm2d(channels, dtype=dtype)
        self.conv2 = _conv3x3(channels, channels, 1, dtype)
        self.bn2 = nn.BatchNorm2d(channels, dtype=dtype)
        self.residual = shortcut
        if shortcut:
            self.shortcut = nn.Sequential()
            if stride != 1 or fan_in != channels:
                self.shortcut.append(skip_init(nn.Conv2d, fan_in, channels, 1, stride=stride, bias=False, dtype=dtype))
                self.shortcut.append(nn.BatchNorm2d(channels, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, fan_in, h, w) to (n, channels, h / stride, w / stride)."""
        z = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(z + self.shortcut(x) if self.residual else z)


class ResNet(nn.Module):
    """Three stages of residual (or plain) blocks between a first convolution and a linear read-out."""

    def __init__(self, blocks: int, channels: int, outputs: int, shortcuts: bool, dtype: torch.dtype):
        super().__init__()
        self.conv1 = _conv3x3(3, channels, 1, dtype)
        self.bn1 = nn.BatchNorm2d(channels, dtype=dtype)
        widths = [channels, channels, 2 * channels, 4 * channels]
        for stage in (1, 2, 3):
            fan_in, width, stride = widths[stage - 1], widths[stage], 1 if stage == 1 else 2
            first = Block(fan_in, width, stride, shortcuts, dtype)
            rest = [Block(width, width, 1, shortcuts, dtype) for _ in range(blocks - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
        self.linear = skip_init(nn.Linear, 4 * channels, outputs, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 3, h, w) to logits (n, outputs)."""
        z = relu(self.bn1(self.conv1(x)))
        for stage in (1, 2, 3):
            z = self.get_submodule(f"layer{stage}")(z)
        return self.linear(z.mean(dim=(2, 3)))


def resnet(
    depth: int = 20,
    *,
    shortcuts: bool = True,
    channels: int = 16,
    outputs: int = 10,
    initialisation: str | Law = "he",
    gain: float = 1.0,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> ResNet:
    """Build the residual network of `depth` = 6n + 2 layers, with or without shortcuts.

    Inputs are (n, 3, h, w), usually 32 x 32. Raises `InvalidInput` for any other depth.

    >>> net = resnet(8, seed=0).eval()
    >>> net(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    blocks, remainder = divmod(depth - 2, 6)
    if remainder or blocks < 1:
        raise InvalidInput(f"depth {depth} is not 6n + 2 with n >= 1; take one of 8, 14, 20, 32, 44, 56, 110")
    check_sizes([channels, outputs])
    net = ResNet(blocks, channels, outputs, shortcuts, dtype)
    return initialise(net, initialisation, generator_from(seed), gain=gain)  # type: ignore[return-value]


def _conv3x3(fan_in: int, channels: int, stride: int, dtype: torch.dtype) -> nn.Module:
    return skip_init(nn.Conv2d, fan_in, channels, 3, stride=stride, padding=1, bias=False, dtype=dtype)
