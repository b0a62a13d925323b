"""One network with a single hidden layer, trained in several ways: the runs of the study `ruthotto-varpro`.

Peaks: n points of [-3, 3]^2, the peaks function standardised, tanh units with normal weights, J = mse / 2 + ridge.
Digits: n of mnist-5k, pixels centred, Glorot's weights, J = cross-entropy + ridge. Every method begins at the same
inner weights; the last layer begins at its best for least squares, and at 0 under cross-entropy. Adam and SGD (momentum
0.9) see all data at each step, take every learning rate of `RATES`, and count with the one that is fastest.
"""

import time
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets
from lemmata.data import synthetic
from lemmata.regression.single_layer import reduced_objective, varpro
from lemmata.regression.single_layer.history import History, Recorder
from lemmata.regression.single_layer.levenberg_marquardt import levenberg_marquardt
from lemmata.regression.single_layer.reduced import with_ones
from lemmata.studies._ruthotto_varpro_models import Everything, Unprojected, Whole
from lemmata.study import Config, Curve, Measurements

RATES = {"adam": (1e-3, 3e-3, 1e-2, 3e-2), "sgd": (3e-4, 1e-3, 3e-3, 1e-2)}

Method = Literal["gauss-newton", "golub-pereyra", "lbfgs", "gauss-newton on all", "lbfgs on all", "adam", "sgd"]


class Training(Config):
    """One way of training one network."""

    problem: Literal["peaks", "digits"] = "peaks"
    method: Method = "gauss-newton"
    projection: bool = Field(default=True, description="off: methods on the reduced objective take the whole one")
    activation: Literal["tanh", "identity"] = "tanh"
    projector: bool = Field(default=True, description="off: Kaufman's matrix J'PJ without its projector P")
    n: int = Field(default=500, ge=20)
    units: int = Field(default=32, ge=1)
    ridge: float = Field(default=1e-8, gt=0)
    target: float = Field(default=1e-2, gt=0, description="of J, where a run may end")
    budget: int = Field(default=2000, ge=1, description="iterations at most; a tenth of them for Gauss-Newton")


def run(configs: Sequence[Training]) -> list[Measurements]:
    """Run the members; those of Adam and SGD side by side."""
    if configs[0].method in RATES:
        return [_measured(history) for history in _descended(configs)]
    return [_measured(_minimised(config)) for config in configs]


def examples(config: Training) -> tuple[Tensor, Tensor]:
    """Inputs and targets in float64; a seed draws them."""
    draw = torch.Generator().manual_seed(1000 + config.seed)
    if config.problem == "peaks":
        x, t = synthetic.peaks(config.n, generator=draw)
        return x, ((t - t.mean()) / t.std())[:, None]
    digits = data.load("mnist-5k").split(train=config.n, test=1, seed=config.seed)
    x = digits.x.flatten(1).double()
    return x - x.mean(0), digits.y


def body(config: Training, inputs: int) -> nn.Sequential:
    """The hidden layer; a seed draws it."""
    net = nets.mlp(
        inputs, [config.units], 1, activation=config.activation, initialisation="xavier", seed=config.seed,
        dtype=torch.float64,
    )  # fmt: skip
    if config.problem == "peaks":
        draw = torch.Generator().manual_seed(2000 + config.seed)
        drawn = torch.randn(config.units, inputs + 1, generator=draw, dtype=torch.float64)
        net.get_submodule("hidden1").load_state_dict({"weight": drawn[:, :-1], "bias": drawn[:, -1]})
    return nn.Sequential(*list(net)[1:-1])


def _minimised(config: Training) -> History:
    """Gauss-Newton or L-BFGS, on the reduced objective or on the whole one."""
    x, y = examples(config)
    loss = "mse" if config.problem == "peaks" else "cross_entropy"
    features, few = body(config, x.shape[1]), max(1, config.budget // 10)
    if config.method.startswith("lbfgs"):
        reduces = config.method == "lbfgs" and config.projection
        return varpro(
            features, x, y, loss=loss, ridge=config.ridge, method="lbfgs" if reduces else "lbfgs-full",
            iterations=config.budget, target=config.target, tolerance=0.0, clock=time.process_time,
        ).history  # fmt: skip
    whole = config.method == "gauss-newton on all" or not config.projection
    kaufman = config.method == "gauss-newton"
    if not whole and (config.projector or not kaufman):
        return varpro(
            features, x, y, loss=loss, ridge=config.ridge, method="gauss-newton", kaufman=kaufman, iterations=few,
            target=config.target, tolerance=0.0, clock=time.process_time,
        ).history  # fmt: skip
    reduced = reduced_objective(features, x, y, loss=loss, ridge=config.ridge)
    record = Recorder(0.0, few, config.target, time.process_time)
    if whole:
        everything = Everything(reduced, config.ridge)
        levenberg_marquardt(cast(Any, everything), everything.start, cast(Any, Whole), record)
    else:
        levenberg_marquardt(reduced, reduced.start, Unprojected, record)
    return record.history


def _descended(configs: Sequence[Training]) -> list[History]:
    """Adam or SGD for all members and learning rates at once; for each member the rate that is first at the target.

    Where none gets there, the rate that ends lowest.
    """
    first, rates = configs[0], RATES[configs[0].method]
    x, y, parameters = _stacked(configs, len(rates))
    leaves = [p.clone().requires_grad_() for p in parameters]
    scale = torch.tensor(rates, dtype=torch.float64).repeat(len(configs))
    rule = _Adam(leaves, scale) if first.method == "adam" else _Momentum(leaves, scale)
    values, begun, seconds, arrived = [], time.process_time(), [], np.zeros(len(scale), dtype=bool)
    for _ in range(first.budget + 1):
        J = _objectives(x, y, leaves, first)
        values.append(J.detach().numpy().copy())
        seconds.append(time.process_time() - begun)
        arrived |= np.nan_to_num(values[-1], nan=np.inf) <= first.target
        if arrived.reshape(len(configs), len(rates)).any(1).all():
            break
        rule.step(torch.autograd.grad(J.sum(), leaves))
    table = np.array(values).reshape(len(values), len(configs), len(rates))
    shares = np.array(seconds) / (len(configs) * len(rates))
    return [_best(table[:, i], shares, first.target) for i in range(len(configs))]


def _best(values: np.ndarray, seconds: np.ndarray, target: float) -> History:
    """The history of the learning rate that is first at the target, or ends lowest; (T, rates) to (T,)."""
    finite = np.where(np.isfinite(values), values, np.inf)
    reached = np.where((finite <= target).any(0), (finite <= target).argmax(0), len(values))
    best = int(np.lexsort((finite[-1], reached))[0])
    end = min(int(reached[best]) + 1, len(values))
    kept = values[:end, best]
    return History(kept, np.full(end, np.nan), seconds[:end])


def _stacked(configs: Sequence[Training], copies: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Data and parameters with a leading axis (members x copies)."""
    xs, ys, states = [], [], []
    for config in configs:
        x, y = examples(config)
        layer = body(config, x.shape[1])
        reduced = reduced_objective(layer, x, y, ridge=config.ridge)
        W = reduced.problem.best(with_ones(reduced.features.at(reduced.start).H)).weights
        xs.append(x)
        ys.append(y)
        weight, bias = (p.detach() for p in layer.parameters())
        states.append([weight.T, bias[None], W[:-1], W[-1:]])
    stacked = [torch.stack(parts).repeat_interleave(copies, 0) for parts in zip(*states, strict=True)]
    return torch.stack(xs).repeat_interleave(copies, 0), torch.stack(ys).repeat_interleave(copies, 0), stacked


def _objectives(x: Tensor, y: Tensor, parameters: list[Tensor], config: Training) -> Tensor:
    """J of every member, (members,)."""
    K, b, W, c = parameters
    z = torch.baddbmm(b, x, K)
    outputs = torch.baddbmm(c, z.tanh() if config.activation == "tanh" else z, W)
    ridge = sum(p.square().sum((1, 2)) for p in parameters)
    return 0.5 * (outputs - y).square().sum(2).mean(1) + config.ridge / 2 * ridge


class _Momentum:
    """Descent with momentum 0.9, a rate a member."""

    def __init__(self, leaves: list[Tensor], rates: Tensor):
        self.leaves, self.rates = leaves, rates[:, None, None]
        self.velocity = [torch.zeros_like(p) for p in leaves]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move all leaves."""
        for p, v, g in zip(self.leaves, self.velocity, gradients, strict=True):
            v.mul_(0.9).add_(g)
            p.sub_(self.rates * v)


class _Adam:
    """Adam with its usual constants (Kingma and Ba, 2015), a rate a member."""

    def __init__(self, leaves: list[Tensor], rates: Tensor):
        self.leaves, self.rates, self.steps = leaves, rates[:, None, None], 0
        self.first, self.second = ([torch.zeros_like(p) for p in leaves] for _ in range(2))

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move all leaves."""
        self.steps += 1
        for p, m, v, g in zip(self.leaves, self.first, self.second, gradients, strict=True):
            m.lerp_(g, 0.1)
            v.lerp_(g * g, 0.001)
            size = (v / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
            p.sub_(self.rates * m / (1 - 0.9**self.steps) / size)


def _measured(history: History) -> Measurements:
    """J along iterations, and along the seconds of processor time."""
    seconds = history.seconds + 1e-9 * np.arange(len(history.seconds))  # increasing even where a clock is coarse
    steps = np.arange(float(len(history.value)))
    finite = np.isfinite(history.value)
    if not finite.all():
        return Measurements.of(status="diverged")
    return Measurements.of(
        objective=Curve(steps, history.value),
        by_time=Curve(seconds, history.value),
        last=history.value[-1],
        iterations=len(steps) - 1,
        seconds=seconds[-1],
    )
