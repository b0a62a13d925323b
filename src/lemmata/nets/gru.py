"""A gated recurrent network read out at all times, in operations that `torch.vmap` can batch over networks.

With z the gates' inputs of Cho and others (2014) in PyTorch's form, for a signal x_1, ..., x_T of numbers and H units,

    r = sigma(W_r x_t + b_r + U_r h + c_r);   u = sigma(W_u x_t + b_u + U_u h + c_u)
    h' = (1 - u) tanh(W_n x_t + b_n + r * (U_n h + c_n)) + u h

runs over the signal from either end, and a linear layer reads the states of all times and both directions. PyTorch's
own `torch.nn.GRU` has no rule for vmap; parameters, their law and their number are the same.

Cost: about 12 H^2 T multiplications a sample, in T steps one after the other: on a CPU the steps' overhead dominates.

Reference: K. Cho and others (2014), Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from lemmata.nets.initialisations import generator_from, initialise
from lemmata.nets.mlp import check_sizes


class GRU(nn.Module):
    """Both directions are one batch of two: gate weights are (2, 3 H, 1) and (2, 3 H, H), in the order r, u, n."""

    def __init__(self, length: int, hidden: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.hidden = hidden
        self.input_weight = nn.Parameter(torch.empty(2, 3 * hidden, 1, dtype=dtype))
        self.state_weight = nn.Parameter(torch.empty(2, 3 * hidden, hidden, dtype=dtype))
        self.input_bias = nn.Parameter(torch.empty(2, 3 * hidden, dtype=dtype))
        self.state_bias = nn.Parameter(torch.empty(2, 3 * hidden, dtype=dtype))
        self.output = skip_init(nn.Linear, 2 * hidden * length, outputs, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map signals (n, T) to (n, outputs)."""
        both = torch.stack([x, x.flip(1)])[..., None]  # (2, n, T, 1)
        gates = both @ self.input_weight.mT[:, None] + self.input_bias[:, None, None]
        h = (0 * both[:, :, 0]).expand(-1, -1, self.hidden)
        states = []
        for at_t in gates.unbind(2):
            own = h @ self.state_weight.mT + self.state_bias[:, None]
            r, u = (at_t + own)[..., : 2 * self.hidden].sigmoid().chunk(2, -1)
            new = (at_t[..., 2 * self.hidden :] + r * own[..., 2 * self.hidden :]).tanh()
            h = new + u * (h - new)
            states.append(h)
        forward, backward = torch.stack(states, 2)  # (n, T, H) each
        return self.output(torch.cat([forward, backward.flip(1)], -1).flatten(1))


def gru(
    hidden: int = 6,
    *,
    length: int = 40,
    outputs: int = 10,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> GRU:
    """Build a bidirectional gated recurrent network of `hidden` units each way for signals (n, length).

    All weights are uniform on +-1/sqrt(fan-in), those of the gates on +-1/sqrt(hidden) as in PyTorch, and drawn from
    `seed` alone. Raises `InvalidInput` for sizes below 1.

    >>> net = gru(seed=0)
    >>> net(torch.zeros(2, 40)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 5134)
    """
    check_sizes([length, hidden, outputs])
    net, generator, bound = GRU(length, hidden, outputs, dtype), generator_from(seed), 1 / math.sqrt(hidden)
    with torch.no_grad():
        for gate in (net.input_weight, net.state_weight, net.input_bias, net.state_bias):
            gate.uniform_(-bound, bound, generator=generator)
    return initialise(net, "standard", generator)  # type: ignore[return-value]
