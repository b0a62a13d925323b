"""Curves over the number of features, and over the number of samples, of least squares on random features.

Beside what is measured, the limit of infinitely many features, by one solve with its kernel, and a law of the norm.
If the features were Gaussian with the kernel as their covariance, Phi Phi^H / N would be K^(1/2) W K^(1/2) with W a
Wishart matrix, and the mean of its inverse gives, for N > n,

    E |h_N|^2 = |h_oo|^2 N / (N - n - 1)        real features;        |h_oo|^2 N / (N - n)        complex ones

which diverges at N = n. Random features of digits are not Gaussian; the study measures by how much that matters.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._belkin_2019_features import Digits, Images, feature_map, images, limiting_kernel
from lemmata.studies._belkin_2019_nested import Fit, nested_fits
from lemmata.study import Curve, Measurements
from lemmata.study.kinds.trend import spearman

SHARES = (
    0.025, 0.05, 0.075, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.475, 0.5, 0.525, 0.5625, 0.625, 0.75, 0.875,
    0.9375, 0.975, 1.0, 1.025, 1.0625, 1.125, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
FITTED = 1e-10  # a mean squared error that is rounding


class OverFeatures(Digits):
    """One curve over the number of features."""

    unit: int = Field(default=400, ge=40, description="the grid of N is dense around this number and its half")
    most: float = Field(default=10.0, ge=3, description="the largest N, in units")

    @property
    def counts(self) -> list[int]:
        """The numbers of features N; the grid does not depend on n, so that a peak may be where it wants."""
        return [round(share * self.unit) for share in SHARES if share <= self.most]


def run_over_features(configs: Sequence[OverFeatures]) -> list[Measurements]:
    """Fit all numbers of features; members of one seed share images, features and factorisations."""
    found: dict[int, Measurements] = {}
    for seed in {config.seed for config in configs}:
        places = [i for i, config in enumerate(configs) if config.seed == seed]
        found.update(zip(places, _of_seed([configs[i] for i in places]), strict=True))
    return [found[i] for i in range(len(configs))]


def _of_seed(configs: Sequence[OverFeatures]) -> list[Measurements]:
    first = configs[0]
    shown = images(first)
    y = torch.stack([shown.targets(config.label_noise, config.seed) for config in configs])
    ridges = torch.tensor([config.ridge for config in configs], dtype=torch.float64)
    fits = nested_fits(feature_map(first, shown), first.counts, y, ridges)
    rows = [_measures(fit, y, shown.y_test) for fit in fits]
    limit = _measures(limiting_fit(first, shown, y, ridges), y, shown.y_test)
    curves = {name: torch.stack([row[name] for row in rows], 1).numpy() for name in limit}
    return [
        _member(
            config, {name: values[i] for name, values in curves.items()}, {k: float(v[i]) for k, v in limit.items()}
        )
        for i, config in enumerate(configs)
    ]


def limiting_fit(config: Digits, shown: Images, y: Tensor, ridges: Tensor) -> Fit:
    """The fit with infinitely many features, by the kernel's Cholesky factor."""
    K, K_test = limiting_kernel(config, shown)
    systems = K + ridges[:, None, None] * torch.eye(len(K), dtype=K.dtype)
    b = torch.cholesky_solve(y, torch.linalg.cholesky(systems))
    return Fit(K @ b, K_test @ b, (b * (K @ b)).sum((1, 2)).sqrt())


def _measures(fit: Fit, y: Tensor, y_test: Tensor) -> dict[str, Tensor]:
    """Errors and squared losses (c,) on training and test set, and norms (c,)."""
    wanted = torch.nn.functional.one_hot(y_test, 10)
    return {
        "train_error": (_classes(fit.train) != y.argmax(2)).double().mean(1),
        "test_error": (_classes(fit.test) != y_test).double().mean(1),
        "train_loss": (fit.train - y).abs().square().sum(2).mean(1),
        "test_loss": (fit.test - wanted).abs().square().sum(2).mean(1),
        "norm": fit.norm,
    }


def _classes(outputs: Tensor) -> Tensor:
    return (outputs.real if outputs.is_complex() else outputs).argmax(2)


def norm_ratio(config: Digits, N: np.ndarray) -> np.ndarray:
    """Theory: (E |h_N|^2 / |h_oo|^2)^(1/2) of Gaussian features, for N > n + 1."""
    lost = config.n + (config.kind == "relu")
    return np.sqrt(N / (N - lost))


def _member(config: OverFeatures, curves: dict[str, np.ndarray], limit: dict[str, float]) -> Measurements:
    N = np.asarray(config.counts)
    below, beyond, far = config.n > N, config.n < N, 1.25 * config.n <= N
    error, loss, norm = curves["test_error"], curves["test_loss"], curves["norm"]
    fitted = np.flatnonzero(curves["train_loss"] <= FITTED)
    over_limit = norm / limit["norm"]
    return Measurements.of(
        status="ok",
        **{name: Curve(N, values) for name, values in curves.items()},
        log10_test_loss=Curve(N, np.log10(loss)),
        log10_norm=Curve(N, np.log10(norm)),
        second_descent=error[beyond].min() - error[below].min(),
        loss_second_descent=loss[beyond].min() - loss[below].min(),
        first_fitted=N[fitted[0]] if len(fitted) else np.inf,
        norm_trend=spearman(N[beyond], norm[beyond]),
        norm_loss_trend=spearman(norm[beyond], loss[beyond]),
        norm_at_three=over_limit[config.counts.index(3 * config.unit)],
        norm_off_theory=np.abs(over_limit[far] / norm_ratio(config, N[far]) - 1).max(),
        excess_over_limit=error[-1] - limit["test_error"],
        limit_error=limit["test_error"],
        limit_loss=limit["test_loss"],
        limit_norm=limit["norm"],
    )
