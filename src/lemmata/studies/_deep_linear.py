"""Deep linear networks W_N ... W_1, many at once: frames to build them of, their product and its gradients.

With G = d loss / d (W_N ... W_1), layer l has the gradient (W_N ... W_{l+1})^T G (W_{l-1} ... W_1)^T. From the products
from the right and a running product from the left this takes 4 (N - 1) matrix products for all layers together. Where
there are few outputs, `suffixes` and `step_down` take as many products, whose factors have few rows.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor


def orthonormal(n: int, random: torch.Generator) -> Tensor:
    """A random orthogonal matrix (n, n), float64.

    >>> Q = orthonormal(3, torch.Generator().manual_seed(0))
    >>> torch.allclose(Q @ Q.T, torch.eye(3, dtype=torch.float64))
    True
    """
    return torch.linalg.qr(torch.randn(n, n, generator=random, dtype=torch.float64))[0]


def prefixes(layers: Sequence[Tensor]) -> list[Tensor]:
    """W_1, W_2 W_1, ..., W_N ... W_1 for layers (..., n_l, n_{l-1}).

    >>> [float(part) for part in prefixes([torch.full((1, 1), 2.0), torch.full((1, 1), 3.0)])]
    [2.0, 6.0]
    """
    return list(accumulate(layers, lambda before, layer: layer @ before))


def layer_gradients(layers: Sequence[Tensor], parts: Sequence[Tensor], of_product: Tensor) -> list[Tensor]:
    """The gradient of each layer, given `prefixes(layers)` and the gradient G (..., n_N, n_0) of the product.

    >>> two = [torch.full((1, 1), 2.0), torch.full((1, 1), 3.0)]
    >>> [float(g) for g in layer_gradients(two, prefixes(two), torch.ones(1, 1))]
    [3.0, 2.0]
    """
    gradients: list[Tensor] = [of_product] * len(layers)
    left = of_product
    for i in range(len(layers) - 1, 0, -1):
        gradients[i] = left @ parts[i - 1].mT
        left = layers[i].mT @ left
    gradients[0] = left
    return gradients


def suffixes(layers: Sequence[Tensor]) -> list[Tensor]:
    """W_N, W_N W_(N-1), ..., W_N ... W_1 for layers (B, n_l, n_(l-1)): each has as many rows as there are outputs.

    >>> [float(part) for part in suffixes([torch.full((1, 1), 2.0), torch.full((1, 1), 3.0)])]
    [3.0, 6.0]
    """
    return list(accumulate(reversed(layers), lambda before, layer: before @ layer))


def step_down(layers: Sequence[Tensor], parts: Sequence[Tensor], of_product: Tensor) -> None:
    """Subtract from each layer (B, n_l, n_(l-1)), in place, its gradient, given `suffixes(layers)` and G (B, n_N, n_0).

    >>> two = [torch.full((1, 1, 1), 2.0), torch.full((1, 1, 1), 3.0)]
    >>> step_down(two, suffixes(two), torch.ones(1, 1, 1))
    >>> [float(layer) for layer in two]
    [-1.0, 1.0]
    """
    right = of_product  # G (W_(l-1) ... W_1)^T
    for layer, left in zip(layers, reversed(parts[:-1]), strict=False):
        after = right @ layer.mT
        layer.baddbmm_(left.mT, right, alpha=-1)
        right = after
    layers[-1].sub_(right)
