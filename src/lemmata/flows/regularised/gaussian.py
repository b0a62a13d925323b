"""The best transport from one Gaussian to another, in closed form: what transport costs are measured against.

    y -> m1 + A (y - m0),   A = S0^{-1/2} (S0^{1/2} S1 S0^{1/2})^{1/2} S0^{-1/2}
    W^2 = |m0 - m1|^2 + tr(S0 + S1 - 2 (S0^{1/2} S1 S0^{1/2})^{1/2})      (Bures and Wasserstein; Gelbrich, 1990)

Particles move straight at constant speed; the field is v(t, y) = m1 - m0 + (A - I) ((1 - t) I + t A)^{-1} (y - m_t) on
[0, 1], and int |v|^2 dt has expectation W^2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.flows.required import require_matrix, require_rows
from lemmata.given import require_number, require_tensor
from lemmata.linalg import LinearOperator


def root(S: Tensor) -> Tensor:
    """Give the symmetric square root of a positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(S)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.mT


class GaussianTransport(nn.Module):
    """The field of the best transport from N(m0, S0) to N(m1, S1) on [0, 1], means (d,), covariances (d, d).

    >>> one = torch.eye(2, dtype=torch.float64)
    >>> GaussianTransport(torch.zeros(2), one, torch.tensor([3.0, 0.0]), 4 * one).cost
    11.0
    """

    def __init__(self, m0: Tensor, S0: Tensor, m1: Tensor, S1: Tensor):
        super().__init__()
        for name, S in (("S0", require_matrix(S0, "S0")), ("S1", require_matrix(S1, "S1"))):
            if S.dtype not in (torch.float32, torch.float64):
                raise InvalidInput(f"{name} is in {S.dtype}, of which no root is taken; give float32 or float64")
            if (
                S.shape[0] != S.shape[1]
                or not S.numel()
                or not LinearOperator.of(S).symmetric
                or not bool((torch.linalg.eigvalsh(S) > 0).all())
            ):
                raise InvalidInput(f"{name} is not symmetric and positive definite; give a covariance (d, d)")
        for name, mean in (("m0", require_tensor(m0, "m0")), ("m1", require_tensor(m1, "m1"))):
            if mean.shape != S0.shape[:1] or S1.shape != S0.shape or not bool(mean.isfinite().all()):
                raise InvalidInput(
                    f"{name} {tuple(mean.shape)} with covariances {tuple(S0.shape)} and {tuple(S1.shape)}; give finite "
                    f"means (d,) and covariances (d, d)"
                )
        S1 = S1.to(S0)
        half = root(S0)
        middle = root(half @ S1 @ half)
        inverse = torch.linalg.inv(half)
        A = inverse @ middle @ inverse
        for name, value in {"m0": m0, "S0": S0, "m1": m1, "S1": S1, "A": (A + A.mT) / 2}.items():
            self.register_buffer(name, value.to(S0))
        self.cost = float((m0 - m1).square().sum() + (S0 + S1 - 2 * middle).trace())

    def map(self, y: Tensor) -> Tensor:
        """Give where particles y (n, d) end."""
        return self.m1 + (self._rows(y) - self.m0) @ self.A.mT  # type: ignore[operator]

    def _rows(self, y: Tensor) -> Tensor:
        d = len(self.get_buffer("m0"))
        if require_rows(y, "y").shape[1] != d or y.dtype != self.get_buffer("A").dtype:
            raise InvalidInput(
                f"y is {tuple(y.shape)} in {y.dtype}; the Gaussians are of {d} numbers in {self.get_buffer('A').dtype}"
            )
        return y

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Give v(t, y)."""
        m0, m1, A = self.get_buffer("m0"), self.get_buffer("m1"), self.get_buffer("A")
        self._rows(y)
        if not isinstance(t, Tensor) or t.numel() != 1:
            require_number(t, "t")
        one, t = torch.eye(len(A)).to(A), torch.as_tensor(t).to(A)
        slope = torch.linalg.solve((1 - t) * one + t * A, A - one)
        return m1 - m0 + (y - (1 - t) * m0 - t * m1) @ slope.mT
