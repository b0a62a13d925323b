"""Noise that smooths a classifier, and the radius that it certifies where the smoothed class has probability p.

Let g(x) be the class that f(x + noise) takes most often; p_A bounds the probability of that class from below and p_B
that of every other from above (p_B = 1 - p_A where nothing better is known). No input within R of x changes g:

    Gaussian(sigma)      l2   R = sigma / 2 (Phi^-1(p_A) - Phi^-1(p_B))                = sigma Phi^-1(p_A)
    Laplace(scale)       l1   R = -scale / 2 log(4 (1 - p_A) p_B)      if p_A >= 1/2   = -scale log(2 (1 - p_A))
                              R = scale / 2 log(p_A / p_B)             otherwise
    Uniform(half_width)  l1   R = half_width (p_A - p_B)                               = 2 half_width (p_A - 1/2)

All are tight: some f with these probabilities changes its class just beyond R, so that only a statement about f itself
could give more. At p near 1 a float64 holds 1 - p badly, and not at all beyond 8.2 sigma; `log_failure` gives
log(1 - p) for a radius, and `radius` takes it in place of p.

Where it fails: x + noise is rounded, so a certificate of an f that reads the last bits of its input holds in real
arithmetic only (Voracek and Hein, 2023).

Sources: Cohen, Rosenfeld, Kolter (2019), Theorem 1; Teng, Lee, Yuan (2020) and Yang et al. (2020), Table 1 and the
differential method of its Appendix; the form of Laplace noise with p_A and p_B apart follows from it, and is larger
than Teng's where p_B < 1 - p_A.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri, ndtri_exp
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_number

FloatArray = NDArray[np.float64]


class Noise(ABC):
    """What is added to an image, each entry independently: how to draw it, and what it certifies in which norm."""

    norm: ClassVar[str]

    @abstractmethod
    def _fill(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Overwrite `out`, and give it back."""

    @abstractmethod
    def _log_failure(self, radius: FloatArray) -> FloatArray:
        """Give log(1 - p) at which just `radius` is certified."""

    @abstractmethod
    def _radius(self, p: FloatArray, q: FloatArray) -> FloatArray:
        """Give the radius of p_A = p and p_B = q, negative where q > p."""

    @abstractmethod
    def _radius_of_failure(self, log_failure: FloatArray) -> FloatArray:
        """Give the radius of 1 - p_A = p_B = exp(log_failure)."""

    def fill(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Overwrite a contiguous floating-point tensor with draws, on the device of both, and give it back."""
        return self._fill(out, generator)

    def sample(
        self,
        shape: tuple[int, ...] | torch.Size,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw a tensor of noise on the generator's device, or on `device`, which must be that of the generator."""
        return self.fill(torch.empty(shape, dtype=dtype, device=device or generator.device), generator)

    def radius(
        self,
        p_lower: ArrayLike | None = None,
        p_upper: ArrayLike | None = None,
        *,
        log_failure: ArrayLike | None = None,
    ) -> FloatArray:
        """Give the certified radius, float64, of the shape that the arguments broadcast to; 0 where nothing holds.

        `p_lower` bounds the probability of the class from below, `p_upper` those of every other class from above (left
        out: 1 - p_lower). `log_failure`, in place of both, is log(1 - p_lower). Raises `InvalidInput` for
        probabilities outside [0, 1], and where p_lower + p_upper > 1: no two classes can have those.

        >>> round(float(Gaussian(0.5).radius(0.99)), 6)
        1.163174
        """
        if log_failure is not None:
            if p_lower is not None or p_upper is not None:
                raise InvalidInput("log_failure stands in place of p_lower and p_upper; give the one or the others")
            exponents = _floats(log_failure, "log_failure")
            if not (exponents <= 0).all():
                raise InvalidInput(f"log_failure = {exponents.max()} is no logarithm of a probability; give at most 0")
            return np.maximum(self._radius_of_failure(exponents), 0.0)
        if p_lower is None:
            raise InvalidInput("no probability was given; give p_lower, or log_failure = log(1 - p_lower)")
        p = _probabilities(p_lower, "p_lower")
        if p_upper is None:
            with np.errstate(divide="ignore"):
                return np.maximum(self._radius_of_failure(np.log1p(-p)), 0.0)
        q = _probabilities(p_upper, "p_upper")
        if not (p + q <= 1 + 1e-12).all():
            raise InvalidInput(
                f"p_lower + p_upper = {np.max(p + q):.6g} > 1; the classes' probabilities sum to 1, so take p_upper as "
                "min(p_upper, 1 - p_lower)"
            )
        return np.where(p > q, np.maximum(self._radius(p, q), 0.0), 0.0)

    def log_failure(self, radius: ArrayLike) -> FloatArray:
        """Give log(1 - p) for the probability p that certifies just `radius`, exact where p itself rounds to 1.

        Raises `InvalidInput` for a negative radius, and for one that this noise certifies for no p.

        >>> round(float(Gaussian(0.5).log_failure(10.0)), 2)
        -203.92
        """
        radii = _floats(radius, "radius")
        if not (radii >= 0).all():
            raise InvalidInput(f"radius = {radii.min()}; radii are distances, so give 0 or more")
        return self._log_failure(radii)

    def threshold(self, radius: ArrayLike) -> FloatArray:
        """Give the probability p that certifies just `radius`; a class more likely than it keeps it within `radius`.

        It rounds to 1 where 1 - p < 1.1e-16. Raises as `log_failure`, of which it is 1 - exp, does.

        >>> round(float(Gaussian(0.5).threshold(1.0)), 6)
        0.97725
        """
        return -np.expm1(self.log_failure(radius))


@dataclass(frozen=True)
class Gaussian(Noise):
    """Normal noise of standard deviation `sigma`, in the units of the image: certifies l2 balls.

    >>> noise = Gaussian(0.25)
    >>> round(float(noise.radius(0.9, 0.02)), 4), noise.norm
    (0.4169, 'l2')
    """

    sigma: float
    norm: ClassVar[str] = "l2"

    def __post_init__(self) -> None:
        _require_positive(self.sigma, "sigma")

    def _fill(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return out.normal_(0.0, self.sigma, generator=generator)

    def _log_failure(self, radius: FloatArray) -> FloatArray:
        return log_ndtr(-radius / self.sigma)

    def _radius(self, p: FloatArray, q: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore"):  # p = q = 0 or 1 is set to 0 by the caller
            return self.sigma / 2 * (ndtri(p) - ndtri(q))

    def _radius_of_failure(self, log_failure: FloatArray) -> FloatArray:
        return -self.sigma * ndtri_exp(log_failure)


@dataclass(frozen=True)
class Laplace(Noise):
    """Noise of density exp(-|t| / scale) / (2 scale), whose standard deviation is sqrt(2) scale: certifies l1 balls.

    >>> round(float(Laplace(0.5).radius(0.99)), 4)
    1.956
    """

    scale: float
    norm: ClassVar[str] = "l1"

    def __post_init__(self) -> None:
        _require_positive(self.scale, "scale")

    def _fill(self, out: Tensor, generator: torch.Generator) -> Tensor:
        out.uniform_(-1.0, 1.0, generator=generator)
        out.clamp_(min=torch.finfo(out.dtype).eps / 2 - 1.0)  # -1 itself, which can be drawn, would be infinite noise
        sign = out.sign()
        return out.abs_().neg_().log1p_().mul_(sign).mul_(-self.scale)

    def _log_failure(self, radius: FloatArray) -> FloatArray:
        return -np.log(2.0) - radius / self.scale

    def _radius(self, p: FloatArray, q: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            above = -np.log(4.0) - np.log1p(-p) - np.log(q)
            return self.scale / 2 * np.where(p >= 0.5, above, np.log(p) - np.log(q))

    def _radius_of_failure(self, log_failure: FloatArray) -> FloatArray:
        return -self.scale * (np.log(2.0) + log_failure)


@dataclass(frozen=True)
class Uniform(Noise):
    """Noise uniform on [-half_width, half_width], of standard deviation half_width / sqrt(3): certifies l1 balls.

    >>> round(float(Uniform(1.0).radius(0.99)), 4)
    0.98
    """

    half_width: float
    norm: ClassVar[str] = "l1"

    def __post_init__(self) -> None:
        _require_positive(self.half_width, "half_width")

    def _fill(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return out.uniform_(-self.half_width, self.half_width, generator=generator)

    def _log_failure(self, radius: FloatArray) -> FloatArray:
        ratio = radius / self.half_width
        if not (ratio <= 1).all():
            raise InvalidInput(
                f"radius = {np.max(ratio) * self.half_width:.6g}: uniform noise of half width {self.half_width:g} "
                "certifies no radius beyond its half width; take wider noise"
            )
        with np.errstate(divide="ignore"):
            return np.log1p(-ratio) - np.log(2.0)

    def _radius(self, p: FloatArray, q: FloatArray) -> FloatArray:
        return self.half_width * (p - q)

    def _radius_of_failure(self, log_failure: FloatArray) -> FloatArray:
        return self.half_width * (1.0 - 2.0 * np.exp(log_failure))


def require_noise(noise: object, sigma: object) -> Noise:
    """Give the noise that was asked for: `noise` itself, or Gaussian noise of `sigma`, just one of which is given.

    >>> require_noise(None, 0.5)
    Gaussian(sigma=0.5)
    """
    if (noise is None) == (sigma is None):
        raise InvalidInput("the noise is not clear; give either sigma=... (Gaussian noise) or noise=..., not both")
    if noise is None:
        return Gaussian(require_number(sigma, "sigma"))
    if not isinstance(noise, Noise):
        raise InvalidInput(f"noise = {noise!r}; give Gaussian(sigma), Laplace(scale) or Uniform(half_width)")
    return noise


def _require_positive(value: Any, name: str) -> None:
    if not 0 < require_number(value, name) < np.inf:
        raise InvalidInput(f"{name} = {value!r}; the width of the noise is a positive finite number, such as 0.5")


def _floats(values: ArrayLike, name: str) -> FloatArray:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput(f"{name} = {values!r}; give a number, or an array of numbers") from None
    if np.isnan(found).any():
        raise InvalidInput(f"{name} is NaN at {np.argwhere(np.isnan(found))[0].tolist()}; give numbers")
    return found


def _probabilities(values: ArrayLike, name: str) -> FloatArray:
    found = _floats(values, name)
    if not ((found >= 0) & (found <= 1)).all():
        raise InvalidInput(f"{name} reaches from {found.min():g} to {found.max():g}; probabilities lie in [0, 1]")
    return found
