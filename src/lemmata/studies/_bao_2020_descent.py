"""Gradient descent on linear autoencoders in the eigenbasis of the data, many at once: the training of `bao_2020`.

The loss of x -> W_2 W_1 x with the second moment diag(e), e_1 >= ... >= e_m, and what is done about rotations of the k
latent units, which the loss alone does not see:

    plain          sum_a e_a |(I - W_2 W_1)_a|^2
    uniform        + lambda |W_1|^2 + lambda |W_2|^2, lambda the squared mean of r
    non-uniform    + sum_i lambda_i (|row i of W_1|^2 + |column i of W_2|^2), lambda_i = r_i^2, r evenly spaced
    dropout        deterministic nested dropout: the mean over b of the loss of the first b units, b geometric
    rotation       plain, and the gradients less gamma W_1, W_2 gamma^T: gamma = (up(S) - up(S)^T) / 2,
                   S = W_1 diag(e) W_1^T

Everything commutes with a rotation of the input space (steps with one momentum for all entries do, Adam's do not), so
that the eigenbasis is no loss of generality: a step costs five products of k x k and k x m matrices and none of the
size of the images. Decoders are kept transposed. Measured of the decoder D:

    alignment      mean over axes a <= k of 1 - max_j cos^2(axis a, column j)      the authors'; does not see the order
    ordered        mean over i <= k of 1 - cos^2(axis i, column i)                 ours
    subspace       1 - tr(U U^T P) / k, P the projection on the range of D         the authors', but for the range

The range is taken to 8 digits, which is ours: the authors' code projects on all k left singular vectors, so that the
direction of a column counts in full however short it is. `_bao_2020_uncut` measures that too.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Method = Literal["plain", "uniform", "non-uniform", "dropout", "rotation"]
RANGE = 1e-8  # singular values below this, relative to the largest, belong to no range


class Terms(NamedTuple):
    """What a method adds, for B members: penalties (B, k), masks of products (B, k, k), of crossed terms (B, k, 1)."""

    penalty: Tensor
    mask: Tensor
    kept: Tensor
    rotates: Tensor

    @classmethod
    def of(cls, methods: Sequence[Method], r: Tensor, decay: float = 0.9) -> "Terms":
        """From r (B, k) and the methods of B members; `decay` is that of the dropout's geometric law."""
        B, k = r.shape
        kind = {name: torch.tensor([method == name for method in methods])[:, None] for name in Method.__args__}
        flat = r.mean(1, keepdim=True).square().expand(B, k)
        zero = torch.zeros_like(r)
        penalty = torch.where(kind["non-uniform"], r.square(), torch.where(kind["uniform"], flat, zero))
        survival = decay ** torch.arange(k, dtype=r.dtype)  # the last unit takes the rest of the geometric law
        kept = torch.where(kind["dropout"], survival, torch.ones_like(r))
        return cls(
            penalty, torch.minimum(kept[:, :, None], kept[:, None, :]), kept[..., None], kind["rotation"][..., None]
        )


def gradients(W: Tensor, D: Tensor, e: Tensor, terms: Terms) -> tuple[Tensor, Tensor]:
    """The directions of descent for encoders W (B, k, m) and transposed decoders D (B, k, m); e (B, 1, m)."""
    We = W * e
    S, G = We @ W.mT, D @ D.mT
    turn = torch.triu(S, 1)
    turn = torch.where(terms.rotates, 0.5 * (turn - turn.mT), 0.0)
    shrink = 2 * torch.diag_embed(terms.penalty) - turn
    of_decoder = (2 * terms.mask * S + shrink) @ D - 2 * terms.kept * We
    of_encoder = 2 * (terms.mask * G) @ We + shrink @ W - 2 * terms.kept * (D * e)
    return of_encoder, of_decoder


def descend(
    W: Tensor, D: Tensor, e: Tensor, terms: Terms, *, rate: Tensor, marks: Sequence[int], momentum: float = 0.9
) -> list[Tensor]:
    """Nesterov's momentum as torch.optim.SGD has it, at rates (B,); the decoders (B, k, m) at each of the marks."""
    rate, found = rate[:, None, None], []
    speeds = torch.zeros_like(W), torch.zeros_like(D)
    for step in range(marks[-1] + 1):
        if step == marks[len(found)]:
            found.append(D.clone())
        of_W, of_D = gradients(W, D, e, terms)
        speeds = speeds[0].mul_(momentum).add_(of_W), speeds[1].mul_(momentum).add_(of_D)
        W = W - rate * of_W.add_(speeds[0], alpha=momentum)
        D = D - rate * of_D.add_(speeds[1], alpha=momentum)
    return found


def measures(D: Tensor) -> dict[str, Tensor]:
    """Alignment, ordered alignment and subspace distance (B,) of transposed decoders (B, k, m), NaN if diverged."""
    k = D.shape[1]
    fine = D.isfinite().all((1, 2))
    D = torch.where(fine[:, None, None], D, 0.0)
    cos2 = (D / (D.norm(dim=2, keepdim=True) + RANGE)).square()[:, :, :k]  # unit, axis
    singular, right = torch.linalg.svd(D, full_matrices=False)[1:]
    inside = right[:, :, :k].square().sum(2) * (singular > RANGE * singular[:, :1])
    found = {
        "alignment": 1 - cos2.amax(1).mean(1),
        "ordered": 1 - cos2.diagonal(dim1=1, dim2=2).mean(1),
        "subspace": 1 - inside.sum(1) / k,
    }
    return {name: torch.where(fine, values, torch.nan) for name, values in found.items()}
