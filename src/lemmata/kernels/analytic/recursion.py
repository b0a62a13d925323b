"""The recursion over layers, for the NNGP kernel S and the tangent kernel T of a block of pairs.

    S_1 = w^2 x.z / d + b^2,                T_1 = S_1
    S_l = w^2 K(S_(l-1)) + b^2,             T_l = S_l + w^2 K'(S_(l-1)) T_(l-1)

with (K, K') the activation's dual. Layers l <= fixed_layers add nothing to T. Residual layers add S_(l-1) and T_(l-1);
layer normalisation divides S and T by the square roots of S's diagonals before the dual is taken.

Sources: Neal (1996); Lee, Bahri, Novak, Schoenholz, Pennington, Sohl-Dickstein (2018), equation 5 (NNGP); Jacot,
Gabriel, Hongler (2018), theorem 1 (NTK).
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch

from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Pairs

P = TypeVar("P", bound=Pairs)


class Kernels(NamedTuple):
    """What the recursion carries."""

    nngp: Pairs
    ntk: Pairs


def through_layers(inputs: Pairs, network: FullyConnected) -> Kernels:
    """The kernels of the outputs, of that of the inputs x.z / d."""
    dual, w2, b2 = network.dual, network.weight_variance, network.bias_variance
    nngp = inputs.scaled(w2).plus_constant(b2)
    ntk = _zero_like(nngp) if network.fixed_layers else nngp
    for layer in range(2, network.depth + 1):
        hidden, tangent = nngp, ntk
        if network.layer_norm:
            hidden, tangent = nngp.over_diagonals_of(nngp), ntk.over_diagonals_of(nngp)
        values, slopes = dual.dual(hidden)
        branch = values.scaled(w2).plus_constant(b2)
        moved = (slopes * tangent).scaled(w2)
        if layer > network.fixed_layers:
            moved = branch + moved
        if network.residual and layer < network.depth:
            nngp, ntk = nngp + branch, ntk + moved
        else:
            nngp, ntk = branch, moved
    return Kernels(nngp, ntk)


def _zero_like(kernel: P) -> P:
    return type(kernel)(torch.zeros_like(kernel.left), torch.zeros_like(kernel.right), torch.zeros_like(kernel.entries))
