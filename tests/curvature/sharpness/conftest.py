"""A network that the tests of sharpness share."""

import pytest
import torch
from torch import Tensor, nn

from lemmata import nets


@pytest.fixture
def relu_net() -> tuple[nn.Module, Tensor, Tensor]:
    """A trained-looking ReLU net with biases on 40 samples: loss about one, gradient not zero."""
    net = nets.mlp(5, [7, 6], 3, seed=0, dtype=torch.float64)
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(40, 5, generator=draw, dtype=torch.float64)
    return net, x, torch.randint(3, (40,), generator=draw)
