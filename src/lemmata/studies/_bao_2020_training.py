"""The autoencoders of `bao_2020` and what is measured of them: settings, initial weights, one batch for all members."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import data
from lemmata.studies import _bao_2020_optimum as closed
from lemmata.studies._bao_2020_descent import Method, Terms, descend, measures
from lemmata.study import Config, Curve, Measurements

PUBLISHED_RATES = {"plain": 1e-3, "uniform": 1e-3, "non-uniform": 3e-4, "dropout": 0.03, "rotation": 3e-3}
VARYING = ("seed", "method", "rate", "r_min", "r_max", "backwards", "size")  # between members of one batch
Source = Literal["mnist-5k", "mnist", "linear", "isotropic"]


class Autoencoder(Config):
    """One autoencoder in the eigenbasis of its data, and its descent."""

    source: Source = Field(default="mnist-5k", description="whose eigenvalues: digits, 10 to 1 evenly spaced, or all 1")
    dimensions: int = Field(default=64, ge=2, description="leading eigenvalues kept, m")
    k: int = Field(default=20, ge=1, description="latent units")
    method: Method = Field(default="non-uniform", description="what is done about rotations")
    rate: float | None = Field(
        default=None, gt=0, description="step size; the published one of the method if not given"
    )
    r_min: float = Field(default=0.1, ge=0, description="root of the least penalty")
    r_max: float = Field(default=0.9, gt=0, description="root of the largest penalty")
    backwards: bool = Field(default=False, description="the penalties in the reversed order")
    steps: int = Field(default=30_000, ge=1, description="steps of descent")
    size: float = Field(default=1e-4, gt=0, description="standard deviation of the initial weights")

    @property
    def r(self) -> np.ndarray:
        """Roots of the penalties, (k,)."""
        r = np.linspace(self.r_min, self.r_max, self.k)
        return r[::-1].copy() if self.backwards else r

    @property
    def spectrum(self) -> np.ndarray:
        """Eigenvalues of the data's second moment, falling, (m,)."""
        if self.source == "linear":
            return np.linspace(10.0, 1.0, self.dimensions)
        if self.source == "isotropic":
            return np.ones(self.dimensions)
        return digits(self.source)[: self.dimensions]

    @property
    def marks(self) -> list[int]:
        """The recorded steps, 60, evenly spaced in their logarithm, with 1,000, 3,000 and 10,000."""
        spaced = np.geomspace(10, self.steps, 60).round().astype(int).tolist()
        return sorted({*spaced, *(step for step in (1000, 3000, 10_000) if step <= self.steps)})


def dataset(config: Autoencoder) -> str | None:
    """The dataset that a configuration reads."""
    return config.source if config.source.startswith("mnist") else None


@cache
def digits(source: str) -> np.ndarray:
    """Eigenvalues of the covariance of images in [0, 1], falling; of the 5,000 digits 5.19, 3.82, ..., in all 52.8."""
    x = data.load(source, dtype=torch.float64).x.flatten(1)
    x = x - x.mean(0)
    return torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0).clamp(min=0).numpy()


def initial(config: Autoencoder) -> tuple[Tensor, Tensor]:
    """Encoder and transposed decoder (k, m), from the seed alone."""
    random = torch.Generator().manual_seed(config.seed)
    drawn = config.size * torch.randn(2, config.k, config.dimensions, generator=random, dtype=torch.float64)
    return drawn[0], drawn[1]


def paths(configs: Sequence[Autoencoder], rates: Sequence[float]) -> dict[str, np.ndarray]:
    """Train all members together at these rates; each measure at the marks, (members, marks), and the last decoders."""
    W, D = (torch.stack(part) for part in zip(*map(initial, configs), strict=True))
    e = torch.tensor(np.stack([config.spectrum for config in configs]))[:, None]
    r = torch.tensor(np.stack([config.r for config in configs]))
    terms = Terms.of([config.method for config in configs], r)
    decoders = descend(W, D, e, terms, rate=torch.tensor(rates, dtype=torch.float64), marks=configs[0].marks)
    found = [measures(decoder) for decoder in decoders]
    return {name: torch.stack([one[name] for one in found], 1).numpy() for name in found[0]} | {
        "last": decoders[-1].numpy()
    }


def train(configs: Sequence[Autoencoder]) -> list[Measurements]:
    """Each member at its own or its method's published rate."""
    found = paths(configs, [config.rate or PUBLISHED_RATES[config.method] for config in configs])
    return [measured(config, {name: values[i] for name, values in found.items()}) for i, config in enumerate(configs)]


def measured(config: Autoencoder, found: dict[str, np.ndarray]) -> Measurements:
    """Curves of the three measures, their last values, and for non-uniform L2 the distance from the closed form."""
    if not np.isfinite(found["alignment"]).all():
        return Measurements(status="diverged")
    names = ("alignment", "ordered", "subspace")
    at = {step: config.marks.index(step) for step in (1000, 3000, 10_000) if step in config.marks}
    early: dict[str, Any] = {f"alignment_{step}": found["alignment"][i] for step, i in at.items()}
    curves: dict[str, Any] = {f"{name}_curve": Curve(np.array(config.marks), found[name]) for name in names}
    last: dict[str, Any] = {name: found[name][-1] for name in names}
    return Measurements.of(**curves, **last, **early, **direction(found["last"]), **ended(config, found["last"]))


def direction(decoder: np.ndarray) -> dict[str, Any]:
    """Spearman's rho between the units of a transposed decoder (k, m) and the axes that they lie along most."""
    from scipy.stats import spearmanr

    if len(decoder) < 2:
        return {}
    axes = np.abs(decoder[:, : len(decoder)]).argmax(1)
    return {"order": float(spearmanr(np.arange(len(axes)), axes).statistic) if len(set(axes)) > 1 else 0.0}


def ended(config: Autoencoder, decoder: np.ndarray) -> dict[str, Any]:
    """Rank of the decoder, and what the closed form says of it: rank, subspace distance, penalties out of bounds."""
    singular = np.linalg.svd(decoder, compute_uv=False)
    e, penalty = config.spectrum, np.sort(config.r) ** 2
    best = closed.optimum(e, penalty)
    return {
        "rank": float((singular > 1e-8 * singular[0]).sum()), "violated": float((penalty >= e[: config.k]).sum()),
        "predicted_subspace": best.subspace, "length": float(np.linalg.norm(decoder)),
        "singular_off": float(np.abs(singular - np.sort(best.w)[::-1]).max()),
    }  # fmt: skip


class Speed(Autoencoder):
    """An autoencoder on evenly spaced eigenvalues, trained at three step sizes of which the best counts."""

    source: Source = Field(default="linear", description="whose eigenvalues: digits, 10 to 1 evenly spaced, or all 1")
    dimensions: int = Field(default=60, ge=2, description="eigenvalues, m")
    steps: int = Field(default=6000, ge=1, description="steps of descent")
    threshold: float = Field(default=0.3, gt=0, lt=1, description="alignment that counts as reached")
    filled: float = Field(default=0.7, gt=0, description="largest penalty, as a share of the eigenvalue e_k")
    r_min: float = Field(default=0.3, ge=0, description="root of the least penalty")

    @property
    def r(self) -> np.ndarray:
        """Roots of the penalties, within the theorem's condition."""
        return np.linspace(self.r_min, np.sqrt(self.filled * self.spectrum[self.k - 1]), self.k)


RATES = (0.003, 0.01, 0.03)


def speeds(configs: Sequence[Speed]) -> list[Measurements]:
    """Steps until the alignment is below the threshold, at the best of three step sizes; infinite if at none."""
    all_rates = [rate for _ in configs for rate in RATES]
    found = paths([config for config in configs for _ in RATES], all_rates)["alignment"]
    found = np.where(np.isfinite(found), found, 1.0).reshape(len(configs), len(RATES), -1)
    marks, results = np.array(configs[0].marks, dtype=float), []
    for config, curves in zip(configs, found, strict=True):
        hits = curves < config.threshold
        steps = np.where(hits.any(1), marks[hits.argmax(1)], np.inf)
        best = int(steps.argmin()) if np.isfinite(steps).any() else int(curves[:, -1].argmin())
        results.append(
            Measurements.of(arrival=steps[best], best_rate=RATES[best], alignment_curve=Curve(marks, curves[best]))
        )
    return results
