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

    Where none gets there, the rate that ends lowest. A member leaves when one of its rates is there.
    """
    first, rates = configs[0], RATES[configs[0].method]
    x, y, parameters = _stacked(configs, len(rates))
    scale = torch.tensor(rates, dtype=torch.float64).repeat(len(configs))
    rule = _Adam(parameters, scale) if first.method == "adam" else _Momentum(parameters, scale)
    objectives, live = _Objectives(x, y, first), np.arange(len(configs))
    values, shares, spent, begun = [], [], 0.0, time.process_time()
    for _ in range(first.budget + 1):
        J, gradients = objectives(rule.leaves)
        values.append(np.full((len(configs), len(rates)), np.inf))
        values[-1][live] = J.numpy().reshape(-1, len(rates))
        spent, begun = spent + (time.process_time() - begun) / len(J), time.process_time()
        shares.append(spent)
        there = (values[-1][live] <= first.target).any(1)
        rule.step(gradients)
        if there.any():
            live, rows = live[~there], torch.from_numpy(~there).repeat_interleave(len(rates))
            rule.select(rows)
            objectives.select(rows)
        if not len(live):
            break
    table = np.array(values)
    return [_best(table[:, i], np.array(shares), first.target) for i in range(len(configs))]


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


class _Objectives:
    """J of every member, and its gradient written out; with units H = phi(X T), X the inputs and a one, T = (K; b):

    outputs H W + c,   D = (outputs - y) / n,   dJ/dW = H'D,   dJ/dT_u = W_u X'(D phi'_u),   phi' = 1 - H^2 for tanh.
    """

    def __init__(self, x: Tensor, y: Tensor, config: Training):
        self.X, self.y = torch.cat([x.mT, torch.ones_like(y).mT], 1), y.mT.contiguous()
        self.ridge, self.tanh = config.ridge, config.activation == "tanh"
        self.H = x.new_empty(0)

    def select(self, rows: Tensor) -> None:
        """Keep some members."""
        self.X, self.y, self.H = self.X[rows], self.y[rows], self.X.new_empty(0)

    def __call__(self, parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """J (members,), and the gradient by each of K, b, W, c."""
        K, b, W, c = parameters
        H = self._units(torch.cat([K, b], 1))
        D = torch.baddbmm(c, W.mT, H).sub_(self.y)  # (members, 1, n)
        ridge = sum(p.square().sum((1, 2)) for p in parameters)
        J = 0.5 * D.square().mean((1, 2)) + self.ridge / 2 * ridge
        D /= D.shape[2]
        by_W, by_c = H @ D.mT, D.sum(2, keepdim=True)
        weighted = self.X * D
        by_T = weighted.sum(2, keepdim=True).expand(-1, -1, H.shape[1])
        if self.tanh:
            by_T = torch.baddbmm(by_T, weighted, H.square_().mT, alpha=-1)
        by_T = by_T * W.mT
        gradients = [by_T[:, :-1], by_T[:, -1:], by_W, by_c]
        return J, [torch.add(g, p, alpha=self.ridge) for g, p in zip(gradients, parameters, strict=True)]

    def _units(self, T: Tensor) -> Tensor:
        """H (members, units, n), in room that is allocated once."""
        if len(self.H) != len(T):
            self.H = T.new_empty(len(T), T.shape[2], self.X.shape[2])
        torch.bmm(T.mT, self.X, out=self.H)
        return self.H.tanh_() if self.tanh else self.H


class _Momentum:
    """Descent with momentum 0.9, a rate a member."""

    def __init__(self, leaves: Sequence[Tensor], rates: Tensor):
        self.leaves, self.rates = [p.clone() for p in leaves], rates[:, None, None]
        self.velocity = [torch.zeros_like(p) for p in leaves]

    def select(self, rows: Tensor) -> None:
        """Keep some members."""
        self.leaves, self.velocity = ([t[rows] for t in each] for each in (self.leaves, self.velocity))
        self.rates = self.rates[rows]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move all leaves."""
        for p, v, g in zip(self.leaves, self.velocity, gradients, strict=True):
            v.mul_(0.9).add_(g)
            p.sub_(self.rates * v)


class _Adam:
    """Adam with its usual constants (Kingma and Ba, 2015), a rate a member."""

    def __init__(self, leaves: Sequence[Tensor], rates: Tensor):
        self.leaves, self.rates, self.steps = [p.clone() for p in leaves], rates[:, None, None], 0
        self.first, self.second = ([torch.zeros_like(p) for p in leaves] for _ in range(2))

    def select(self, rows: Tensor) -> None:
        """Keep some members."""
        moments = (self.leaves, self.first, self.second)
        self.leaves, self.first, self.second = ([t[rows] for t in each] for each in moments)
        self.rates = self.rates[rows]

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
