"""The networks of Glorot and Bengio (2010): units, and laws of the weights with biases zero.

standard     W uniform on +- 1 / sqrt(n_in):                n_in Var W = 1/3
normalised   W uniform on +- sqrt(6 / (n_in + n_out)):      (n_in + n_out) Var W / 2 = 1
orthogonal   W orthogonal (Saxe and others, 2014), a control: the variance of 'normalised', all singular values 1
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lemmata import nets


def standard(weight: Tensor, generator: torch.Generator) -> None:
    """Fill a weight with the law of the heuristic that was common in 2010."""
    bound = 1 / math.sqrt(weight[0].numel())
    nn.init.uniform_(weight, -bound, bound, generator=generator)


LAWS = {"standard": standard, "normalised": "xavier", "orthogonal": "orthogonal"}


def network(
    inputs: int,
    widths: Sequence[int],
    classes: int,
    *,
    activation: str,
    initialisation: str,
    seed: int,
    gain: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """A perceptron with these hidden widths, all its weights times `gain`, all its biases zero.

    >>> net = network(4, [3, 3], 2, activation="tanh", initialisation="standard", seed=0)
    >>> float(net.hidden1.weight.detach().abs().max()) <= 0.5, float(net.output.bias.detach().abs().max())
    (True, 0.0)
    """
    law, activation = LAWS[initialisation], {"linear": "identity"}.get(activation, activation)
    return nets.mlp(
        inputs, widths, classes, activation=activation, initialisation=law, gain=gain, seed=seed, dtype=dtype
    )


def weight_variances(widths: Sequence[int], initialisation: str, gain: float = 1.0) -> list[float]:
    """Var W of each layer, for layer sizes from the inputs to the outputs.

    >>> [round(3 * n * v, 12) for n, v in zip([4, 2], weight_variances([4, 2, 2], "standard"), strict=True)]
    [1.0, 1.0]
    """
    pairs = list(pairwise(widths))
    if initialisation == "standard":
        return [gain**2 / (3 * fan_in) for fan_in, _ in pairs]
    if initialisation == "normalised":
        return [2 * gain**2 / (fan_in + fan_out) for fan_in, fan_out in pairs]
    return [gain**2 / max(pair) for pair in pairs]
