"""The linear autoencoder x -> W_2 W_1 x: its minima span the principal subspace (Baldi and Hornik, 1989)."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils import skip_init

from lemmata.nets.initialisations import Law, generator_from, initialise
from lemmata.nets.mlp import check_sizes


def linear_autoencoder(
    inputs: int,
    latent: int,
    *,
    initialisation: str | Law = "lecun",
    gain: float = 1.0,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Build ``encoder`` (latent x inputs) and ``decoder`` (inputs x latent), both without bias.

    >>> linear_autoencoder(20, 3, seed=0)(torch.zeros(4, 20)).shape
    torch.Size([4, 20])
    """
    check_sizes([inputs, latent])
    net = nn.Sequential(
        OrderedDict(
            encoder=skip_init(nn.Linear, inputs, latent, bias=False, dtype=dtype),
            decoder=skip_init(nn.Linear, latent, inputs, bias=False, dtype=dtype),
        )
    )
    return initialise(net, initialisation, generator_from(seed), gain=gain)  # type: ignore[return-value]
