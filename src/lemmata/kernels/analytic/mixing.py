r"""Rectifier networks that are not homogeneous: the recursion on deficits, with all that is a sample's own precomputed.

Biases, residual branches and the tangent kernel add kernels. For deficits a sum is (`pairs`)

    D = p_i p_j D_a + q_i q_j D_b + ((p_i - p_j)^2 + (q_i - q_j)^2) / 2

with unit vectors (p, q) that come from the two diagonals, one for each sample, layer and sum. They are found once, in
float64; what is left to do for a pair is a few multiplications a layer beside the series of the activation's dual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Deficit, shares
from lemmata.kernels.analytic.series import Series, fitted

BIAS, TANGENT, SKIP, SKIP_TANGENT = range(4)  # the sums of a layer, in the order in which they are made


@dataclass(frozen=True, eq=False)
class Mixing:
    """`shares` (depth, 4, 2, n) are (p, q) of every layer's sums, `size` (2, n) the diagonals of NNGP and NTK."""

    shares: Tensor
    size: Tensor

    @classmethod
    def of(cls, variance: Tensor, network: FullyConnected) -> Mixing:
        """Of samples with |x|^2 / d = `variance` (n,)."""
        w2, b2 = network.weight_variance, torch.full_like(variance, network.bias_variance)
        gain = w2 * float(dual_of_one(network)[0].left)
        one, nothing = torch.ones_like(variance), torch.zeros_like(variance)
        second = (nothing, one)  # the sum in which only the second kernel counts
        nngp = w2 * variance
        table = [[shares(nngp, b2), second, second, second]]
        nngp = nngp + b2
        ntk = nothing if network.fixed_layers else nngp
        for layer in range(2, network.depth + 1):
            scale = torch.where(nngp > 0, nngp, 1.0) if network.layer_norm else 1.0
            branch, moved = gain * nngp / scale, gain * ntk / scale
            sums = [shares(branch, b2), second, second, second]
            branch = branch + b2
            if layer > network.fixed_layers:
                sums[TANGENT] = shares(branch, moved)
                moved = branch + moved
            if network.residual and layer < network.depth:
                sums[SKIP], sums[SKIP_TANGENT] = shares(nngp, branch), shares(ntk, moved)
                branch, moved = nngp + branch, ntk + moved
            table.append(sums)
            nngp, ntk = branch, moved
        found = torch.stack([torch.stack([torch.stack(pair) for pair in sums]) for sums in table])
        return cls(found, torch.stack([nngp, ntk]))


def dual_series(network: FullyConnected, dtype: torch.dtype) -> tuple[Series, Series]:
    """The activation's dual, K and K', as series in the angle of the pre-activations."""

    def sampled(deficit: np.ndarray) -> np.ndarray:
        one = torch.ones(1, 1, dtype=torch.float64)
        values, slopes = network.dual.dual(Deficit(one, one, torch.from_numpy(deficit)[:, None]))
        return torch.cat([values.entries, slopes.entries], 1).T.numpy()

    first, second = fitted(sampled, max(torch.finfo(dtype).eps / 16, 2.0**-47))
    return first, second


def dual_of_one(network: FullyConnected) -> tuple[Deficit, Deficit]:
    """(K, K') at variance 1 and angle 0."""
    one = torch.ones(1, 1, dtype=torch.float64)
    values, slopes = network.dual.dual(Deficit(one, one, 0 * one))
    return values, slopes  # type: ignore[return-value]
