"""Full-batch descent and gradient flow with their sharpness: the runs of the study of Cohen et al. (2021)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from lemmata import curvature, data, nets, training
from lemmata.study import Config, Curve, Measurements, Section

LATE = 0.75  # the share of the time after which the sharpness counts as late
WINDOW = 0.2  # the share of the steps at the edge that is averaged at either end, for the loss in the long run
ROUNDING = 1e-5  # a relative rise of the loss that float32 could make
DRAWN = 300  # points of a loss curve that are kept


class Network(Section):
    """A perceptron with tanh units; `depth` 0 is a linear model, whose Hessian is constant."""

    width: int = Field(default=64, ge=1)
    depth: int = Field(default=2, ge=0, description="hidden layers")


class Descent(Config):
    """One network trained on the squared error by full-batch descent, or by gradient flow for as long."""

    data: Literal["digits", "cifar10"] = "digits"
    n: int = Field(default=500, ge=10, description="training examples: the first ones of the data set")
    network: Network = Network()
    dynamics: Literal["descent", "flow"] = "descent"
    step_size: float = Field(default=0.25, gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False
    time: float = Field(default=400.0, gt=0, description="step size times number of steps")
    measurements: int = Field(default=60, ge=8, description="of the sharpness")


def run(configs: Sequence[Descent]) -> list[Measurements]:
    """Run all seeds of a step size at once; of the flow, which knows none, all seeds once."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, y = (part.to(device) for part in examples(first))
    if first.dynamics == "flow":
        return _flow(configs, x, y)
    found: dict[Descent, Measurements] = {}
    for step in {config.step_size: None for config in configs}:
        own = [config for config in configs if config.step_size == step]
        found.update(zip(own, _descent(own, x, y), strict=True))
    return [found[config] for config in configs]


def examples(config: Descent) -> tuple[Tensor, Tensor]:
    """Inputs with every pixel standardised (with 0.1 added to its deviation), and one-hot targets."""
    whole = data.load(config.data)
    x = whole.x[: config.n].flatten(1)
    x = (x - x.mean(0)) / (x.std(0) + 0.1)
    return x, one_hot(whole.y[: config.n], whole.classes).to(x.dtype)


def network(config: Descent, x: Tensor, y: Tensor) -> torch.nn.Module:
    """An untrained network with PyTorch's own initialisation, as in the authors' code."""
    return nets.mlp(
        x.shape[1], [config.network.width] * config.network.depth, y.shape[1], activation="tanh",
        initialisation="standard", seed=config.seed,
    )  # fmt: skip


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance, averaged over the examples: the paper's square loss."""
    return 0.5 * (outputs - targets).square().sum(1).mean()


def _descent(configs: Sequence[Descent], x: Tensor, y: Tensor) -> list[Measurements]:
    """Train on the mean over examples and outputs, which is what `lemmata.training` is fastest at, in longer steps."""
    first, half = configs[0], y.shape[1] / 2  # the paper's loss in units of that mean
    models = [network(config, x, y).to(x.device) for config in configs]
    steps = max(1, round(first.time / first.step_size))
    at = training.epochs_at(round(float(step)) for step in np.linspace(0, steps, first.measurements + 1))
    probe = curvature.sharpness_probe((models[0], loss, (x, y)), at=at)
    rule = training.SGD(lr=half * first.step_size, momentum=first.momentum, nesterov=first.nesterov)
    result = training.train(
        models, x, y, loss="mse", optimiser=rule, epochs=steps, probes={"sharpness": probe}, train_at=at
    )
    moments, sharpness = (part.numpy() for part in result.curves["sharpness"])
    losses = half * result.curves["running_loss"][1].numpy()  # before each step, since an epoch is one step
    times = first.step_size * np.arange(steps)
    products = float(np.mean([float(found.products.double().mean()) for found in probe.tracker.history]))
    return [
        _measured(config, first.step_size * moments, sharpness[i], times, losses[i], products=products)
        for i, config in enumerate(configs)
    ]


def _flow(configs: Sequence[Descent], x: Tensor, y: Tensor) -> list[Measurements]:
    first = configs[0]
    times = np.linspace(0, first.time, first.measurements + 1)
    of_seed = {config.seed: config for config in configs}
    models = [network(config, x, y).to(x.device) for config in of_seed.values()]
    named = [dict(model.named_parameters()) for model in models]
    start = {name: torch.stack([own[name].detach() for own in named]) for name in named[0]}
    flow = curvature.gradient_flow((models[0], loss, (x, y)), list(times), start=start, tolerance=1e-4)
    place = {seed: i for i, seed in enumerate(of_seed)}
    return [
        _measured(config, times, flow.sharpness[i].numpy(), times, flow.loss[i].numpy())
        for config, i in ((config, place[config.seed]) for config in configs)
    ]


def _measured(
    config: Descent, moments: np.ndarray, sharpness: np.ndarray, times: np.ndarray, losses: np.ndarray, **more: Any
) -> Measurements:
    """What the claims are about; a run whose sharpness or loss is not finite has diverged."""
    if not (np.isfinite(sharpness).all() and np.isfinite(losses).all()):
        return Measurements.of(status="diverged")
    threshold = curvature.stability_threshold(config.step_size, config.momentum, nesterov=config.nesterov)
    half = np.interp(config.time / 2, moments, sharpness)
    kept = np.unique(np.linspace(0, len(times) - 1, DRAWN).round().astype(int))
    return Measurements.of(
        threshold=threshold,
        first_sharpness=sharpness[0],
        largest_ratio=sharpness.max() / threshold,
        late_sharpness=sharpness[moments >= LATE * config.time].mean(),
        late_rise=sharpness[-1] / half,
        rises=int((np.diff(losses) > ROUNDING * losses[:-1]).sum()),
        **_long_run(moments, sharpness / threshold, times, losses),
        sharpness=Curve(moments, sharpness),
        loss=Curve(times[kept], losses[kept]),
        **more,
    )


def _long_run(moments: np.ndarray, ratio: np.ndarray, times: np.ndarray, losses: np.ndarray) -> dict[str, float]:
    """log10 of the mean loss at the end over the mean loss when the edge was first reached; nothing if it never was."""
    beyond = np.flatnonzero(ratio >= 1)
    at_edge = losses[times >= moments[beyond[0]]] if len(beyond) else losses[:0]
    window = round(WINDOW * len(at_edge))
    if not window:
        return {}
    return {"loss_change": float(np.log10(at_edge[-window:].mean() / at_edge[:window].mean()))}
