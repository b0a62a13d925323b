"""Neural collapse of features and classifier: NC1 to NC4 of any network and data (Papyan, Han, Donoho, 2020).

Of features h_i (n, p) with labels y_i in K classes: class means mu_k, their mean mu_G, centred means m_k = mu_k - mu_G,
S_W = mean_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T and S_B = mean_k m_k m_k^T. W (K, p) is the last layer's weight.

    NC1  variability collapses     tr(S_W S_B^+) / K                                            -> 0
    NC2  equal norms               std_k |m_k| / mean_k |m_k|                                   -> 0
         equal angles              std over pairs of cos(m_k, m_l)                              -> 0
         ... as far as can be      root mean square of cos(m_k, m_l)                            -> 1 / (K - 1)
    NC3  self-duality              | W / |W| - M / |M| |^2, M the rows m_k, Frobenius norms     -> 0
    NC4  nearest class centre      share of samples on which the network and the nearest mu_k differ -> 0

The m_k sum to 0, so their span has K - 1 dimensions and S_B^+ takes its K - 1 largest eigenvalues alone: the rest is
rounding, whose inverse would be the answer. For the same reason the *mean* cosine is -1 / (K - 1) for any vectors of
equal norm, collapsed or not, and says nothing about angles; their root mean square is at least 1 / (K - 1), and equal
to it for the simplex equiangular tight frame alone.

Cost: one forward pass and O(n p^2 + p^3) operations a network. It fails where classes are missing, or where two means
coincide (S_B is then of lower rank).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


@dataclass(frozen=True)
class Collapse:
    """The quantities of neural collapse, each (M,) for M networks (see the head of this file)."""

    nc1: Tensor
    norms: Tensor
    angles: Tensor
    rms_cosine: Tensor
    duality: Tensor
    nearest: Tensor


def collapse(features: Tensor, labels: Tensor, weight: Tensor, logits: Tensor) -> Collapse:
    """NC1 to NC4 of M networks: features (M, n, p), labels (M, n), weight (M, K, p), logits (M, n, K); in float64.

    Every class has to occur, and p must be at least K - 1. Raises `InvalidInput` otherwise.

    >>> means = torch.eye(3) - 1 / 3                  # a simplex, three samples on each vertex
    >>> labels = torch.arange(9)[None] % 3
    >>> found = collapse(means[labels], labels, means[None], means[labels])
    >>> round(float(found.rms_cosine), 6), round(float(found.nc1), 6), round(float(found.duality), 6)
    (0.5, 0.0, 0.0)
    """
    h, W = features.double(), weight.double()
    K = W.shape[1]
    mu, counts = class_means(h, labels, K)
    if not counts.all():
        raise InvalidInput(f"{K} classes, and one of them has no sample; give samples of each")
    if h.shape[2] < K - 1:
        raise InvalidInput(f"{h.shape[2]} features hold no {K} means in general position; K - 1 are needed")
    m = mu - mu.mean(1, keepdim=True)
    within = h - torch.gather(mu, 1, labels[..., None].expand(-1, -1, h.shape[2]))
    values, vectors = torch.linalg.eigh(m.mT @ m / K)
    values, vectors = values[:, 1 - K :], vectors[:, :, 1 - K :]
    along = (within @ vectors).square().mean(1)
    norm = m.norm(dim=2)
    pair = torch.triu_indices(K, K, 1)
    cosines = (m @ m.mT / (norm[:, :, None] * norm[:, None]))[:, pair[0], pair[1]]
    gap = W / W.flatten(1).norm(dim=1)[:, None, None] - m / m.flatten(1).norm(dim=1)[:, None, None]
    return Collapse(
        nc1=(along / values).sum(1) / K,
        norms=norm.std(1, correction=0) / norm.mean(1),
        angles=cosines.std(1, correction=0),
        rms_cosine=cosines.square().mean(1).sqrt(),
        duality=gap.square().sum((1, 2)),
        nearest=(torch.cdist(h, mu).argmin(2) != logits.argmax(2)).double().mean(1),
    )


def class_means(h: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The mean feature of each class (M, K, p), and how many samples it has (M, K)."""
    member = torch.nn.functional.one_hot(labels, classes).to(h.dtype)
    counts = member.sum(1)
    return member.mT @ h / counts.clamp(min=1)[..., None], counts
