"""Random networks of linear layers, as theory has them."""

import math
from itertools import pairwise

import torch
from torch import nn

MODULES = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "softsign": nn.Softsign, "hard-tanh": nn.Hardtanh}


def network(widths, weight_variance, activation, seed, *, bias_variance=0.0, orthogonal=False, last=False):
    """Linear layers of Gaussian (or orthogonal) weights, the activation between them (and after the last one)."""
    draw, layers = torch.Generator().manual_seed(seed), []
    for place, (n_in, n_out) in enumerate(pairwise(widths)):
        layer = nn.Linear(n_in, n_out).double()
        with torch.no_grad():
            if orthogonal:
                nn.init.orthogonal_(layer.weight, gain=math.sqrt(weight_variance), generator=draw)
            else:
                layer.weight.normal_(std=math.sqrt(weight_variance / n_in), generator=draw)
            layer.bias.normal_(std=math.sqrt(bias_variance), generator=draw)
        layers += [layer, MODULES[activation]()] if last or place < len(widths) - 2 else [layer]
    return nn.Sequential(*layers)
