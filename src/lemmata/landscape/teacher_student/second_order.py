"""The Hessian of the loss of two-layer students, put together from pairs of neurons.

A diagonal block sums a neuron's curvature against all others, an off-diagonal one has one pair only:

    H_ii = a_i^2 S_i / 2 + a_i (sum_j a_j d2f/dw2(w_i, w_j) - sum_j b_j d2f/dw2(w_i, v_j))
    H_ij = a_i a_j d2f/dw dv(w_i, w_j)

With trained outputs: d2L/da da = F(W, W), d2L/da_i dw_i = sum_j a_j df/dw(w_i, w_j) - sum_j b_j df/dw(w_i, v_j) and
d2L/da_i dw_j = a_j df/dv(w_i, w_j) beside it. Cost: 5 n^2 d^2 + 2 n (n + k) d^2 multiplications and P^2 numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.landscape.teacher_student.pairs import Activation, Curvature


def hessian(phi: Activation, W: Tensor, a: Tensor, V: Tensor, b: Tensor, *, outputs: bool) -> Tensor:
    """(..., P, P) for W (..., n, d), a (..., n), V (k, d), b (k,); symmetric to the last bit."""
    n, d = W.shape[-2:]
    ours, theirs, own = phi.second(W, W), phi.second(W, V), phi.alone(W)
    other = (1 - torch.eye(n).to(W)) * a[..., None, :]  # a_j for the other neurons
    eye = torch.eye(d).to(W)

    along = (other * ours.first.alpha).sum(-1) - (theirs.first.alpha * b).sum(-1) + a * own.gain / 2
    blocks = along[..., None, None] * eye
    blocks = blocks + torch.einsum("...i,...ia,...ib->...iab", a * own.bend / 2, W, W)
    blocks = blocks + _against(ours.own, other, W, W) - _against(theirs.own, b.expand_as(theirs.own.ww), W, V)
    between = torch.einsum("...ij,ab->...iajb", ours.first.beta, eye) + _between(ours.cross, W)
    between = between * (a[..., :, None] * other)[..., :, None, :, None]
    diagonal = torch.arange(n, device=W.device)
    between[..., diagonal, :, diagonal, :] = (a[..., None, None] * blocks).movedim(-3, 0)

    by_neurons = between.reshape(*W.shape[:-2], n * d, n * d)
    if outputs:
        by_neurons = _with_outputs(phi, W, a, V, b, by_neurons=by_neurons)
    return (by_neurons + by_neurons.mT) / 2


def _against(c: Curvature, weights: Tensor, W: Tensor, V: Tensor) -> Tensor:
    """Sum over j of weight_ij (ww w w' + wv (w v' + v w') + vv v v'), (..., n, d, d)."""
    both = torch.einsum("...ia,...ib->...iab", W, (weights * c.wv) @ V)
    ww = torch.einsum("...i,...ia,...ib->...iab", (weights * c.ww).sum(-1), W, W)
    vv = torch.einsum("...ij,...jab->...iab", weights * c.vv, V[..., :, :, None] * V[..., :, None, :])
    return ww + both + both.mT + vv


def _between(c: Curvature, W: Tensor) -> Tensor:
    """The crossed terms of all pairs, (..., n, d, n, d): rows of the first neuron, columns of the second."""
    n = W.shape[-2]
    left = c.ww[..., None] * W[..., :, None, :] + c.vw[..., None] * W[..., None, :, :]  # what stands before w_i'
    right = c.wv[..., None] * W[..., :, None, :] + c.vv[..., None] * W[..., None, :, :]  # what stands before w_j'
    first = W[..., :, None, :].expand(*W.shape[:-2], n, n, W.shape[-1])
    second = W[..., None, :, :].expand_as(first)
    return torch.einsum("...ija,...ijb->...iajb", left, first) + torch.einsum("...ija,...ijb->...iajb", right, second)


def _with_outputs(phi: Activation, W: Tensor, a: Tensor, V: Tensor, b: Tensor, *, by_neurons: Tensor) -> Tensor:
    """The Hessian bordered by the outputs' rows."""
    n, d = W.shape[-2:]
    ours, theirs, own = phi.first(W, W), phi.first(W, V), phi.alone(W)
    eye = torch.eye(n).to(W)
    other = (1 - eye) * a[..., None, :]
    to_second = ours.alpha.mT[..., None] * W[..., None, :, :] + ours.beta[..., None] * W[..., :, None, :]  # df/dw_j
    border = other[..., None] * to_second
    along = (other * ours.alpha).sum(-1) - (theirs.alpha * b).sum(-1) + a * own.gain
    first = along[..., None] * W + (other * ours.beta) @ W - (theirs.beta * b) @ V
    border = border + eye[..., None] * first[..., :, None, :]
    border = border.reshape(*W.shape[:-2], n, n * d)
    values = ours.value * (1 - eye) + torch.diag_embed(own.value)
    top = torch.cat([by_neurons, border.mT], dim=-1)
    return torch.cat([top, torch.cat([border, values], dim=-1)], dim=-2)
