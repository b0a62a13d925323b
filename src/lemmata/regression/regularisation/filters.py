"""Filters: how much of each singular component a linear regularisation lets through, f(s) from 0 to 1.

| filter | parameter | f(s) | 1 - f | f / s |
|---|---|---|---|---|
| `Ridge` | lam > 0 | s^2 / (s^2 + lam) | lam / (s^2 + lam) | s / (s^2 + lam) |
| `Truncation` | k components kept | 1 for the k largest s | | 1/s for them |
| `Landweber` | k steps of length step | 1 - (1 - step s^2)^k | (1 - step s^2)^k | |

Each gives the three columns for all parameters at once, (T, q) in float64, each computed for itself, so that none is a
difference of nearly equal numbers. Cost: T q operations.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


class Factors(NamedTuple):
    """f, 1 - f and f / s, each (T, q)."""

    kept: Tensor
    left: Tensor
    inverse: Tensor


class Filter(Protocol):
    """A family of filters with one parameter, continuous or a count."""

    @property
    def name(self) -> str:
        """What the family is called."""
        ...

    @property
    def parameter(self) -> str:
        """What an axis of its parameter is labelled."""
        ...

    @property
    def continuous(self) -> bool:
        """Whether the parameter takes all positive values."""
        ...

    def __call__(self, s: Tensor, values: Tensor) -> Factors:
        """The factors for the singular values s (q,), falling, at the parameters (T,)."""
        ...


@dataclass(frozen=True)
class Ridge:
    """Tikhonov's filter; s are the generalised singular values where there is an L.

    >>> Ridge()(torch.tensor([2.0]), torch.tensor([4.0])).kept.item()
    0.5
    """

    name: str = "Tikhonov"
    parameter: str = "λ"
    continuous: bool = True

    def __call__(self, s: Tensor, values: Tensor) -> Factors:  # noqa: D102 - as in `Filter`
        s, lam = s.double(), values.double()[:, None]
        scale = 1 / (s.square() + lam)
        return Factors(s.square() * scale, lam * scale, s * scale)


@dataclass(frozen=True)
class Truncation:
    """The k largest components whole, the others not at all.

    >>> Truncation()(torch.tensor([2.0, 1.0]), torch.tensor([1])).inverse
    tensor([[0.5000, 0.0000]], dtype=torch.float64)
    """

    name: str = "truncated SVD"
    parameter: str = "components kept, k"
    continuous: bool = False

    def __call__(self, s: Tensor, values: Tensor) -> Factors:  # noqa: D102 - as in `Filter`
        s, k = s.double(), values[:, None]
        kept = (torch.arange(len(s), device=s.device) < k).double()
        if (kept.bool() & (s == 0)).any():
            raise InvalidInput(
                f"{int(k.max())} components kept, {int((s > 0).sum())} singular values are not 0; keep fewer"
            )
        return Factors(kept, 1 - kept, kept / s.clamp(min=torch.finfo(s.dtype).tiny))


@dataclass(frozen=True)
class Landweber:
    """k steps x <- x + step A'(b - A x) from zero; step < 2 / s_1^2, or the large components grow.

    >>> Landweber(0.5)(torch.tensor([1.0]), torch.tensor([2])).kept.item()
    0.75
    """

    step: float
    name: str = "Landweber"
    parameter: str = "iterations, k"
    continuous: bool = False

    def __call__(self, s: Tensor, values: Tensor) -> Factors:  # noqa: D102 - as in `Filter`
        s, k = s.double(), values.double()[:, None]
        rate = self.step * s.square()
        if not (rate < 2).all():
            raise InvalidInput(
                f"step = {self.step:.3g} is not below 2 / s_1^2 = {float(2 / s[0] ** 2):.3g}; shorten it"
            )
        left = (1 - rate) ** k
        slow = torch.log1p(-rate.clamp(max=0.5))
        kept = torch.where(rate < 0.5, -torch.expm1(k * slow), 1 - left)
        limit = k * self.step * s
        return Factors(kept, left, torch.where(rate > 1e-300, kept / s.clamp(min=1e-160), limit))
