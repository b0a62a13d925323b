"""The 1/n term that Theorem 1 on early stopping leaves out: expected risk of gradient descent for Gaussian designs.

Theorem 1 (`early_stopping.approximate_risk`) puts the population covariance T in the place of the sample's
M = T + Delta. To second order in Delta, whose covariance under Gaussian features is E[Delta_ij Delta_kl] =
t_i t_j (delta_ik delta_jl + delta_il delta_jk) / n, the expectation over designs is, with t_i = eta_i s_i^2,
f(t) = (1 - t)^k, h(t) = (1 - f(t))^2 / t, and f[., .] their divided differences,

    E R(k) = sum_i s_i^2 theta_i^2 f(t_i)^2 + (noise^2 / n) sum_i t_i h(t_i)
             + (1/n) sum_ij s_i^2 theta_i^2 t_j (1 + delta_ij) (t_j f[t_i, t_j]^2 + 2 t_i f(t_i) f[t_i, t_i, t_j])
             + (noise^2 / n^2) sum_ij t_i^2 t_j (1 + delta_ij) h[t_i, t_i, t_j]                            + O(1/n^2)

where noise^2 / n counts as of order one. After many steps it says noise^2 d/n (1 + (d + 1)/n), the first terms of
the exact noise^2 d / (n - d - 1). Divided differences are entries of f and h at a 3 x 3 Jordan-like block (Opitz),
raised to the power k by squaring: sums of terms of one sign for rates below 1, so nothing cancels when rates coincide.

Reference: ours, by the delta method; it extends Heckel, Yilmaz (2021), arXiv:2007.10099, Theorem 1.
Cost: O(T g^2 log k) for g distinct rates. Fails: when (d / n)^2 is not small; at d / n = 0.2 it is 4 % to 10 % low.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.regression.early_stopping import RiskCurve, approximate_risk


def finite_n_risk(
    steps: Tensor, theta: Tensor, scales: Tensor, *, step_size: float | Tensor, noise: float, n: int
) -> RiskCurve:
    """Expected excess risk over Gaussian designs after each number of `steps` (T,), to order 1/n: parts of shape (T,).

    Options and errors are those of `early_stopping.approximate_risk`. Nothing is random; float64.

    >>> theta, scales = torch.tensor([0.45, 3.0]), torch.tensor([1.0, 0.15])
    >>> risk = finite_n_risk(torch.tensor([12, 30, 491]), theta, scales, step_size=0.1, noise=1.0, n=10).total
    >>> [round(float(r), 3) for r in risk]
    [0.277, 0.294, 0.205]
    """
    first = approximate_risk(steps, theta, scales, step_size=step_size, noise=noise, n=n)
    theta, scales = theta.double(), scales.double()
    rates, group = torch.unique(step_size * scales**2, return_inverse=True)
    count = torch.bincount(group, minlength=len(rates)).double()
    signal = torch.zeros_like(rates).index_add(0, group, (scales * theta) ** 2)
    # pairs (i, j) of features, summed by their rates: all pairs, and each feature with itself once more
    pairs = signal[:, None] * count + torch.diag(signal)
    twins = count[:, None] * count + torch.diag(count)
    left, gained, t = _at_jordan_blocks(rates, steps)
    t_i, t_j = rates[:, None], rates[None, :]
    bend = t_j * left[..., 1, 2] ** 2 + 2 * t_i * left[..., 0, 0] * left[..., 0, 2]
    h = (t @ gained @ gained)[..., 0, 2]
    bias = (pairs * t_j * bend).sum((-2, -1)) / n
    variance = (noise / n) ** 2 * (twins * t_i**2 * t_j * h).sum((-2, -1))
    return RiskCurve(first.bias.sum(0) + bias, first.variance.sum(0) + variance)


def _at_jordan_blocks(rates: Tensor, steps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(1 - J)^k, sum_{m<k} (1 - J)^m, (T, g, g, 3, 3), and J, for J_ij = [[t_i, 1, 0], [0, t_i, 1], [0, 0, t_j]].

    Entry (0, 2) of a function at J_ij is its divided difference at t_i, t_i, t_j; entry (1, 2) that at t_i, t_j.
    """
    g, eye = len(rates), torch.eye(3, dtype=rates.dtype, device=rates.device)
    J = torch.diag_embed(torch.stack([rates[:, None].expand(g, g)] * 2 + [rates.expand(g, g)], dim=-1))
    J = J + torch.diag(torch.ones(2, dtype=rates.dtype, device=rates.device), 1)
    one_less = eye - J
    power = eye.expand(len(steps), g, g, 3, 3).clone()
    total = torch.zeros_like(power)
    for bit in reversed(range(int(steps.max()).bit_length())):
        total, power = total + total @ power, power @ power
        odd = ((steps.long() >> bit) & 1).bool()[:, None, None, None, None]
        total, power = torch.where(odd, total + power, total), torch.where(odd, power @ one_less, power)
    return power, total, J
