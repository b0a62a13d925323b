"""What is measured on the networks of the study of Ghorbani et al. (2019), and how well a density is estimated.

At each checkpoint the Hessian of the training loss is taken as the network is trained: in training mode, where there is
batch normalisation by batches, on batches of the size trained with. With lambda_1 >= lambda_2 >= ... its eigenvalues,
u_i its eigenvectors, g the gradient of the training loss, and K the number of classes,

    outlier ratio    lambda_1 / lambda_K
    gradient share   sum_{i = 1}^{K} (u_i . g)^2 / |g|^2      (or over K eigenvectors from another rank on)
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import nn

from lemmata.curvature import Density, hessian, spectral_density
from lemmata.linalg import eigenpairs
from lemmata.objective import Objective
from lemmata.studies._ghorbani_2019_networks import Network, Spectrum, Training, checkpoints, examples, train
from lemmata.study import Config, Curve, Measurements

CLASSES = 10
LARGE = 2.0  # growth of the largest eigenvalue that counts as an outlier's appearance
TOLERANCE = 1e-2  # of the eigenpairs, relative to the largest eigenvalue
GRID = np.linspace(-2, 16, 361)  # of eigenvalues in units of lambda_K


def follow(configs: Sequence[Spectrum]) -> list[Measurements]:
    """Train a block of networks and measure each along its training."""
    snapshots, result = train(configs)
    return [
        Measurements.of(status="diverged")
        if bool(result.diverged[i])
        else _measured(config, snapshots[i], float(result.final["train_loss"][i]))
        for i, config in enumerate(configs)
    ]


def objective_of(config: Spectrum, model: nn.Module, *, mode: str | None = None) -> Objective:
    """The training loss of a network, normalised as in training unless `mode` says otherwise."""
    x, y = examples(config)
    device = next(model.parameters()).device
    by_batch = config.normalisation == "batch" and config.statistics == "batch"
    chosen = mode or ("train" if by_batch else "eval")
    size = config.training.batch if chosen == "train" else len(x)
    data = list(zip(x.to(device).split(size), y.to(device).split(size), strict=True))
    return Objective(model, loss="cross_entropy", data=data, mode="train" if chosen == "train" else "eval")


def top(objective: Objective, config: Spectrum) -> dict[str, float]:
    """Loss, largest eigenvalue, outlier ratio and gradient share at one point."""
    k = max(CLASSES, config.first + CLASSES - 1)
    pairs = eigenpairs(hessian(objective, way="double backward"), k, tolerance=TOLERANCE, seed=config.seed)
    value, tree = objective.value_and_gradient()
    gradient = objective.vector(tree)
    seen = pairs.vectors[:, config.first - 1 : config.first - 1 + CLASSES].T @ gradient
    return {
        "loss": float(value),
        "largest": float(pairs.values[0]),
        "outlier_ratio": float(pairs.values[0] / pairs.values[CLASSES - 1]),
        "gradient_share": float(seen.square().sum() / gradient.square().sum()),
        "unit": float(pairs.values[CLASSES - 1]),
    }


def _measured(config: Spectrum, snapshots: dict[int, nn.Module], final_loss: float) -> Measurements:
    times = checkpoints(config.training.epochs)
    found = [top(objective_of(config, snapshots[time]), config) for time in times]
    series = {name: np.array([one[name] for one in found]) for name in found[0]}
    growth = series["largest"] / series["largest"][0]
    grown = np.nonzero(growth > LARGE)[0]
    middle = times[len(times) // 2]
    held = top(objective_of(config, snapshots[middle], mode="eval"), config)["outlier_ratio"]
    density = spectral_density(objective_of(config, snapshots[middle]), steps=40, probes=4, seed=config.seed)
    unit, epochs = series["unit"][times.index(middle)], np.array(times, dtype=float)
    return Measurements.of(
        growth=float(growth[1:].max()),
        appearance_share=times[grown[0]] / times[-1] if len(grown) else float("inf"),
        outlier_ratio=float(np.exp(np.log(series["outlier_ratio"][1:]).mean())),
        gradient_share=float(series["gradient_share"][1:].mean()),
        gained_by_holding=held / series["outlier_ratio"][times.index(middle)],
        train_loss=final_loss,
        loss=Curve(epochs, series["loss"]),
        largest=Curve(epochs, series["largest"]),
        ratio_curve=Curve(epochs, series["outlier_ratio"]),
        share_curve=Curve(epochs, series["gradient_share"]),
        density=Curve(GRID, unit * density.at(torch.tensor(GRID * unit), width=0.05 * unit).value.numpy()),
    )


# ---- how exact the density is ----------------------------------------------------------------------------------------


class Accuracy(Config):
    """A small trained perceptron whose whole spectrum is known, and its density by quadrature."""

    width: int = Field(default=32, ge=1)
    n: int = Field(default=1000, ge=10)
    epochs: int = Field(default=4, ge=1)
    steps: int = Field(default=80, ge=1, description="of Lanczos")
    probes: int = Field(default=10, ge=2)


def compare(configs: Sequence[Accuracy]) -> list[Measurements]:
    """Hold the estimated density of each network against that of its eigenvalues, smoothed alike."""
    return [_compared(config) for config in configs]


def _compared(config: Accuracy) -> Measurements:
    spectrum = Spectrum(
        seed=config.seed,
        n=config.n,
        network=Network(depth=1, width=config.width),
        training=Training(epochs=config.epochs),
    )
    (snapshots,), _ = train([spectrum])
    objective = objective_of(spectrum, snapshots[config.epochs])
    double = Objective(
        objective.model.double(), loss="cross_entropy", data=[(x.double(), y) for x, y in objective.batches]
    )
    H = hessian(double).dense()
    exact = torch.linalg.eigvalsh((H + H.T) / 2)
    density = spectral_density(double, steps=config.steps, probes=config.probes, seed=config.seed)
    width = float(exact[-1] - exact[0]) / 100
    grid = torch.linspace(float(exact[0]) - 4 * width, float(exact[-1]) + 4 * width, 432, dtype=torch.float64)
    truth = Density(exact[None], torch.full((1, len(exact)), 1 / len(exact), dtype=torch.float64), size=len(exact))
    estimate, true = density.at(grid, width=width), truth.at(grid, width=width).value
    step = float(grid[1] - grid[0])
    return Measurements.of(
        misplaced=float((estimate.value - true).abs().sum() * step) / 2,
        largest_off=float((density.nodes[:, -1] / exact[-1] - 1).abs().max()),
        parameters=objective.size,
        exact_density=Curve(grid.numpy(), true.numpy()),
        estimated_density=Curve(grid.numpy(), estimate.value.numpy()),
    )
