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
from torch import Tensor, nn

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
    """Train each network of a block once, however many of its members look at it, and measure it along its training."""
    members = {config: _network_of(config) for config in configs}
    found: dict[Spectrum, Measurements] = {}
    for statistics in ("batch", "fixed"):  # two architectures
        networks = list(dict.fromkeys(network for network in members.values() if network.statistics == statistics))
        if not networks:
            continue
        snapshots, result = train(networks)
        for i, network in enumerate(networks):
            own = [config for config, its in members.items() if its == network]
            if bool(result.diverged[i]):
                found |= dict.fromkeys(own, Measurements.of(status="diverged"))
            else:
                found |= _measured(own, snapshots[i], float(result.final["train_loss"][i]))
    return [found[config] for config in configs]


def _network_of(config: Spectrum) -> Spectrum:
    """The network that a member looks at: without normalisation there are no statistics."""
    statistics = "batch" if config.normalisation == "none" else config.statistics
    return config.model_copy(update={"first": 1, "statistics": statistics})


def objective_of(config: Spectrum, model: nn.Module, *, mode: str | None = None) -> Objective:
    """The training loss of a network, normalised as in training unless `mode` says otherwise."""
    x, y = examples(config)
    device = next(model.parameters()).device
    by_batch = config.normalisation == "batch" and config.statistics == "batch"
    chosen = mode or ("train" if by_batch else "eval")
    size = config.training.batch if chosen == "train" else len(x)
    data = list(zip(x.to(device).split(size), y.to(device).split(size), strict=True))
    return Objective(model, loss="cross_entropy", data=data, mode="train" if chosen == "train" else "eval")


def top(objective: Objective, seed: int, firsts: Sequence[int] = (1,)) -> dict[str, float]:
    """Loss, largest eigenvalue, outlier ratio and the share of the gradient, from each of the ranks, at one point."""
    k = max(firsts) + CLASSES - 1
    pairs = eigenpairs(hessian(objective, way="double backward"), k, tolerance=TOLERANCE, seed=seed)
    value, tree = objective.value_and_gradient()
    gradient = objective.vector(tree)
    seen = (pairs.vectors.T @ gradient).square() / gradient.square().sum()
    return {
        "loss": float(value),
        "largest": float(pairs.values[0]),
        "outlier_ratio": float(pairs.values[0] / pairs.values[CLASSES - 1]),
        "unit": float(pairs.values[CLASSES - 1]),
        **{f"share from {first}": float(seen[first - 1 : first - 1 + CLASSES].sum()) for first in firsts},
    }


def _measured(
    configs: Sequence[Spectrum], snapshots: dict[int, nn.Module], final_loss: float
) -> dict[Spectrum, Measurements]:
    """What the members that look at one network see, which differ in the rank of the first eigenvector."""
    config, times = configs[0], checkpoints(configs[0].training.epochs)
    firsts = sorted({1, *(one.first for one in configs)})
    found = [top(objective_of(config, snapshots[time]), config.seed, firsts) for time in times]
    series = {name: np.array([one[name] for one in found]) for name in found[0]}
    growth = series["largest"] / series["largest"][0]
    grown = np.nonzero(growth > LARGE)[0]
    middle = times[len(times) // 2]
    held = top(objective_of(config, snapshots[middle], mode="eval"), config.seed, firsts)["outlier_ratio"]
    density = spectral_density(objective_of(config, snapshots[middle]), steps=40, probes=2, seed=config.seed)
    unit, epochs = series["unit"][times.index(middle)], np.array(times, dtype=float)

    def seen(first: int) -> Measurements:
        share = series[f"share from {first}"]
        return Measurements.of(
            growth=float(growth[1:].max()),
            appearance_share=times[grown[0]] / times[-1] if len(grown) else float("inf"),
            outlier_ratio=float(np.exp(np.log(series["outlier_ratio"][1:]).mean())),
            gradient_share=float(share[1:].mean()),
            gained_by_holding=held / series["outlier_ratio"][times.index(middle)],
            train_loss=final_loss,
            loss=Curve(epochs, series["loss"]),
            largest=Curve(epochs, series["largest"]),
            ratio_curve=Curve(epochs, series["outlier_ratio"]),
            share_curve=Curve(epochs, share),
            density=Curve(GRID, unit * density.at(torch.tensor(GRID * unit), width=0.05 * unit).value.numpy()),
        )

    return {config: seen(config.first) for config in configs}


# ---- how exact the density is ----------------------------------------------------------------------------------------


class Accuracy(Config):
    """A small trained perceptron whose whole spectrum is known, and its density by quadrature."""

    width: int = Field(default=16, ge=1)
    n: int = Field(default=1000, ge=10)
    epochs: int = Field(default=4, ge=1)
    steps: int = Field(default=80, ge=1, description="of Lanczos")
    probes: int = Field(default=10, ge=2)


def compare(configs: Sequence[Accuracy]) -> list[Measurements]:
    """Hold the estimated density of each network against that of its eigenvalues, which are found once a network."""
    known: dict[Accuracy, tuple[Objective, Tensor]] = {}
    found = []
    for config in configs:
        network = config.model_copy(update={"steps": Accuracy().steps})
        if network not in known:
            known[network] = _whole_spectrum(config)
        found.append(_compared(config, *known[network]))
    return found


def _whole_spectrum(config: Accuracy) -> tuple[Objective, Tensor]:
    """The training loss of a trained network, in float64, and all eigenvalues of its Hessian."""
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
    return double, torch.linalg.eigvalsh((H + H.T) / 2)


def _compared(config: Accuracy, double: Objective, exact: Tensor) -> Measurements:
    density = spectral_density(double, steps=config.steps, probes=config.probes, seed=config.seed)
    width = float(exact[-1] - exact[0]) / 100
    grid = torch.linspace(float(exact[0]) - 4 * width, float(exact[-1]) + 4 * width, 432, dtype=torch.float64)
    truth = Density(exact[None], torch.full((1, len(exact)), 1 / len(exact), dtype=torch.float64), size=len(exact))
    estimate, true = density.at(grid, width=width), truth.at(grid, width=width).value
    step = float(grid[1] - grid[0])
    return Measurements.of(
        misplaced=float((estimate.value - true).abs().sum() * step) / 2,
        largest_off=float((density.nodes[:, -1] / exact[-1] - 1).abs().max()),
        parameters=double.size,
        exact_density=Curve(grid.numpy(), true.numpy()),
        estimated_density=Curve(grid.numpy(), estimate.value.numpy()),
    )
