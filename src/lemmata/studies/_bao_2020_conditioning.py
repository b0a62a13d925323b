"""How fast autoencoders turn to the axes near the optimum, by the number k of latent units: exact, in `bao_2020`.

Non-uniform L2: the Hessian at the optimum, whose spectrum `_bao_2020_optimum` has in closed form. Of the other methods
the derivative of their field at the principal components, W_1 = W_2^T = (I 0). For deterministic nested dropout that is
the Hessian, with k eigenvalues 0, the scales of units; a rotation of units a and a + 1 by t costs t^2 (e_a - e_{a+1})
times the chance 0.1 0.9^(a-1) that the first is kept without the second, so that the last one is the flatter the more
units. For the rotation-augmented gradient it is no symmetric matrix; its eigenvalues are real, k + k(k-1)/2 of them 0
(what else has W_2 W_1 the same and W_1 diag(e) W_1^T diagonal). The condition number is the largest rate over the least
that is not 0.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lemmata.studies import _bao_2020_optimum as closed
from lemmata.studies._bao_2020_descent import Terms, gradients
from lemmata.study import Config, Measurements

NOTHING = 1e-9  # a rate below this, relative to the largest, is 0


class Local(Config):
    """An autoencoder at its optimum; eigenvalues evenly spaced between ends that the seed draws."""

    k: int = Field(default=4, ge=2, description="latent units")
    dimensions: int = Field(default=12, ge=3, description="eigenvalues, m")
    method: Literal["non-uniform", "dropout", "rotation", "plain"] = Field(
        default="non-uniform", description="whose derivative"
    )
    r_max: float = Field(default=0.9, gt=0, description="root of the largest penalty; the least is 0.1")
    tie: bool = Field(default=False, description="eigenvalue k + 1 all but equal to eigenvalue k, 1e-9 below it")
    spacing: float | None = Field(default=None, description="neighbouring penalties this far apart, from 0.01 on")

    @property
    def spectrum(self) -> np.ndarray:
        """Eigenvalues falling from about 5 to about 1.25, (m,)."""
        low, high = np.random.default_rng(self.seed).uniform([1.0, 4.0], [1.5, 6.0])
        e = np.linspace(high, low, self.dimensions)
        if self.tie:
            e[self.k] = e[self.k - 1] * (1 - 1e-9)
        return e

    @property
    def penalty(self) -> np.ndarray:
        """The penalties lambda, (k,)."""
        if self.spacing is not None:
            return 0.01 + self.spacing * np.arange(self.k)
        return np.linspace(0.1, self.r_max, self.k) ** 2


def conditioning(configs: Sequence[Local]) -> list[Measurements]:
    """Least and largest rate of each member, beside what theory has for the least."""
    results = []
    for config in configs:
        e = config.spectrum
        if config.method == "non-uniform":
            rates = closed.hessian_eigenvalues(e, config.penalty)
        else:
            rates = field_rates(e, config.k, config.method)
        rates = rates[rates > NOTHING * rates.max()]
        gap = (e[:-1] - e[1:])[: config.k - 1].min() / 2
        results.append(
            Measurements.of(
                condition=rates.max() / rates.min(), least=rates.min(), off_half_gap=abs(rates.min() / gap - 1),
                rotation_share=closed.share_of_rotation(e, config.penalty),
            )
        )  # fmt: skip
    return results


def field_rates(e: np.ndarray, k: int, method: Literal["dropout", "rotation", "plain"]) -> np.ndarray:
    """Real parts of the eigenvalues of the derivative of a field of descent at the principal components, rising."""
    m, terms = len(e), Terms.of([method], torch.zeros(1, k, dtype=torch.float64))
    spectrum = torch.tensor(e)[None, None]

    def field(v: torch.Tensor) -> torch.Tensor:
        W, D = v.view(2, 1, k, m)
        return torch.cat([part.flatten() for part in gradients(W, D, spectrum, terms)])

    at = torch.eye(k, m, dtype=torch.float64).flatten().repeat(2)
    derivative = torch.func.jacrev(field)(at)
    return np.sort(torch.linalg.eigvals(derivative).real.numpy())  # type: ignore[arg-type]
