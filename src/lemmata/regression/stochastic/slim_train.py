"""slimTrain: train a network whose last layer is affine, with that layer always solved for, from mini-batches.

    min over theta, W of  mean_i |W' phi(x_i; theta) - y_i|^2 / 2 + (weight_decay / 2) |theta|^2

At each step, with a batch (x, y): the features Z = [phi(x; theta), 1] are taken in by one step of sampled Tikhonov with
a memory of r batches (`RecursiveTikhonov`), its penalty chosen anew; then theta moves by Adam or SGD along the
gradient of the batch's loss with W held at that optimum, which is the gradient of the projected problem wherever W is
optimal for it (variable projection). (Newman, Chung, Chung and Ruthotto, 2022, SIAM Journal on Scientific Computing 44,
A2322-A2348.) There is no step size and no penalty to tune for the last layer. The paper chooses the penalty by sampled
GCV, ``ridge="sgcv"``. That judges on the rows it has fitted, and where they are free of noise allows weights so large
that the next move of the features ruins the fit; the default ``"next"`` judges on the batch to come.

Cost a step: that of a gradient of the batch, and one singular value decomposition of min(r b + b, m) by m, for batches
of b and m features. Where it fails: with memory shorter than about m rows W forgets what it has learned; features that
move fast make the rows in memory stale (r small, or smaller steps, then help). The loss is the squared error: for
cross-entropy there is no linear problem.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.regression.stochastic.checks import check_counts, check_tensors
from lemmata.regression.stochastic.sampled_tikhonov import Choice, RecursiveTikhonov

Rule = Literal["adam", "sgd"] | Callable[[list[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True, eq=False, kw_only=True)
class SlimFit:
    """A trained network: `features` with its own weights, and the affine layer `weights` (m, k), `intercept` (k,).

    `epochs` (E + 1,) counts epochs from 0, before the first step; `train_loss` and `test_loss` (E + 1,) are mean
    squared errors over samples and outputs after each, `seconds` the processor time of training so far. `penalties` has
    the total penalty and `criteria` sGCV after each step.
    """

    features: nn.Module
    weights: Tensor
    intercept: Tensor
    epochs: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray | None
    seconds: np.ndarray
    penalties: np.ndarray
    criteria: np.ndarray

    def predict(self, x: Tensor) -> Tensor:
        """Give the outputs (n, k) at x. Raises `InvalidInput` for an x that the features do not take."""
        check_tensors(x=x)
        with torch.no_grad():
            return _features(self.features, x) @ self.weights + self.intercept

    def plot(self) -> Figure:
        """Draw the losses epoch by epoch, and the penalty step by step."""
        losses = [Series(label="training", x=self.epochs, y=self.train_loss)]
        if self.test_loss is not None:
            losses.append(Series(label="test", x=self.epochs, y=self.test_loss))
        steps = np.arange(1, len(self.penalties) + 1)
        panels = [
            Panel(x=Axis(label="epoch"), y=Axis(label="mean squared error", log=True), series=losses),
            Panel(
                x=Axis(label="step", log=True),
                y=Axis(label="penalty Lambda", log=True),
                series=[Series(label="total penalty", x=steps, y=self.penalties)],
            ),
        ]
        caption = f"Last layer by sampled Tikhonov, {len(steps)} steps."
        return Figure(name="slim-train", title="slimTrain", caption=caption, panels=panels)


def slim_train(
    features: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    memory: int | None = 10,
    batch: int = 32,
    epochs: int = 10,
    ridge: Choice = "next",
    pooled: float = 20,
    optimiser: Rule | None = "adam",
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    test: tuple[Tensor, Tensor] | None = None,
    seed: int | Generator = 0,
) -> SlimFit:
    """Fit y (n, k) or (n,) by an affine layer on `features`, a module from x (n, ...) to (n, m), which is not changed.

    `memory`, `ridge` and `pooled` are those of `RecursiveTikhonov`. `optimiser` moves the features' weights: "adam",
    "sgd" (with 0.9 momentum), a function from parameters to a torch optimiser, or None to leave them as they are.
    `seed` determines the order of the samples; the module's own initial weights are its own. The intercept is penalised
    with the weights. Raises `InvalidInput` for shapes that do not fit, NaN, and training that overflows.

    >>> x, _ = torch.linspace(-1, 1, 200).double()[:, None], torch.manual_seed(0)
    >>> features = nn.Sequential(nn.Linear(1, 8, dtype=torch.float64), nn.Tanh())
    >>> fit = slim_train(features, x, torch.sin(4 * x), epochs=20, lr=0.01)
    >>> bool(fit.train_loss[-1] < 0.1 * fit.train_loss[0])
    True
    """
    if not isinstance(features, nn.Module):
        raise InvalidInput(f"features are a {type(features).__name__}; give a torch module from (n, ...) to (n, m)")
    check_tensors(x=x, y=y)
    check_counts(batch=batch, epochs=epochs)
    for name, value, fits in (("lr", lr, lr > 0), ("weight_decay", weight_decay, weight_decay >= 0)):
        if not (fits and math.isfinite(value)):
            raise InvalidInput(f"{name} = {value}; it must be finite and {'positive' if name == 'lr' else '0 or more'}")
    targets = y[:, None] if y.ndim == 1 else y
    network = copy.deepcopy(features)
    _check(network, x, targets, batch)
    if test is not None:
        test = _checked_test(test, x, targets)
    generator = seed if isinstance(seed, Generator) else torch.Generator().manual_seed(seed)
    mover = _optimiser(network, optimiser, lr)
    with torch.no_grad():
        m = network(x[:1]).shape[1]
    last = RecursiveTikhonov(targets.new_zeros(m + 1, targets.shape[1]), memory=memory, ridge=ridge, pooled=pooled)
    losses, seconds, steps = [_losses(network, last.X, x, targets, test)], [0.0], []
    for _ in range(epochs):
        begun = time.process_time()
        order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
        for rows in order.split(batch):
            _step(network, last, mover, (x[rows], targets[rows]), weight_decay)
            steps.append((last.total, last.criterion))
        seconds.append(seconds[-1] + time.process_time() - begun)
        losses.append(_losses(network, last.X, x, targets, test))
    train, tested = np.array(losses).T
    penalties, criteria = np.array(steps).T
    return SlimFit(
        features=network,
        weights=last.X[:-1],
        intercept=last.X[-1],
        epochs=np.arange(epochs + 1),
        train_loss=train,
        test_loss=None if test is None else tested,
        seconds=np.array(seconds),
        penalties=penalties,
        criteria=criteria,
    )


def _step(
    network: nn.Module,
    last: RecursiveTikhonov,
    mover: torch.optim.Optimizer | None,
    data: tuple[Tensor, Tensor],
    weight_decay: float,
) -> None:
    """Take in one batch by the last layer, and move the features along the gradient with that layer held."""
    x, y = data
    with torch.enable_grad():
        Z = network(x)
        last.step(_with_ones(Z.detach()), y)
        if mover is None:
            return
        loss = (Z @ last.X[:-1] + last.X[-1] - y).square().sum(1).mean() / 2
        loss = loss + weight_decay / 2 * sum(p.square().sum() for p in network.parameters() if p.requires_grad)
    mover.zero_grad()
    loss.backward()
    mover.step()


def _with_ones(Z: Tensor) -> Tensor:
    return torch.cat([Z, torch.ones_like(Z[:, :1])], 1)


def _losses(
    network: nn.Module, X: Tensor, x: Tensor, y: Tensor, test: tuple[Tensor, Tensor] | None
) -> tuple[float, float]:
    """Mean squared errors on training and test data; NaN without the latter."""

    def loss(x: Tensor, y: Tensor) -> float:
        parts = [
            (_with_ones(network(a)) @ X - b).square().sum() for a, b in zip(x.split(4096), y.split(4096), strict=True)
        ]
        return float(torch.stack(parts).sum()) / y.numel()

    with torch.no_grad():
        return loss(x, y), math.nan if test is None else loss(*test)


def _optimiser(network: nn.Module, rule: Rule | None, lr: float) -> torch.optim.Optimizer | None:
    moved = [p for p in network.parameters() if p.requires_grad]
    if rule is None or not moved:
        return None
    if callable(rule):
        return rule(moved)
    if rule not in ("adam", "sgd"):
        raise UnknownName("optimiser", rule, ("adam", "sgd"))
    return torch.optim.Adam(moved, lr=lr) if rule == "adam" else torch.optim.SGD(moved, lr=lr, momentum=0.9)


def _features(network: nn.Module, x: Tensor, rows: int | None = None) -> Tensor:
    """The features of the first samples, or all."""
    try:
        return network(x[:rows])
    except RuntimeError as error:
        raise InvalidInput(f"the features cannot be computed of x of shape {tuple(x.shape)}: {error}") from error


def _checked_test(test: tuple[Tensor, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The test data, with targets (n, k)."""
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise InvalidInput(f"test is a {type(test).__name__}; give a pair of tensors (x, y)")
    check_tensors(**{"test x": test[0], "test y": test[1]})
    a, b = test[0], test[1][:, None] if test[1].ndim == 1 else test[1]
    if not a.numel() or a.shape[1:] != x.shape[1:] or b.shape != (len(a), y.shape[1]) or a.dtype != x.dtype:
        shapes = f"x {a.dtype} of shape {tuple(a.shape)}, y of shape {tuple(b.shape)}"
        wanted = f"x {x.dtype} (n, {', '.join(map(str, x.shape[1:]))}) and y (n, {y.shape[1]})"
        raise InvalidInput(f"test data with {shapes}; expected those of the training data, {wanted}")
    return a, b


def _check(network: nn.Module, x: Tensor, y: Tensor, batch: int) -> None:
    if not x.ndim or not y.ndim or not len(x) or len(x) != len(y) or y.ndim != 2 or not y.is_floating_point():
        shapes = f"x of shape {tuple(x.shape)}, y {y.dtype} of shape {tuple(y.shape)}"
        raise InvalidInput(f"{shapes}; expected n samples and floating targets (n, k) or (n,)")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise InvalidInput("the data hold NaN or infinity; remove or replace those samples")
    if batch > len(x):
        raise InvalidInput(f"batch = {batch} of {len(x)} samples; take at most all of them")
    with torch.no_grad():
        Z = _features(network, x, 1)
    if Z.ndim != 2 or len(Z) != 1:
        raise InvalidInput(f"the features of one sample have shape {tuple(Z.shape)}; expected (1, m)")
    if Z.dtype != y.dtype:
        raise InvalidInput(f"features are {Z.dtype} and targets {y.dtype}; make them one dtype")
