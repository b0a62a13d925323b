"""Variable projection: a network is trained over its inner parameters only, its last layer being always the best one.

    min_theta j(theta),   j(theta) = min_W J(theta, W)
    J(theta, W) = loss([H(theta) 1] W) + ridge_w/2 |W|^2 + ridge_theta/2 |theta|^2

with H(theta) (n, m) the features that any module gives, and W (m + 1, k) the weights and biases of an affine last
layer. The loss is half the squared distance, averaged over samples (``"mse"``), or the mean cross-entropy. Three
methods, and a choice between them:

    gauss-newton   Levenberg-Marquardt with the Gauss-Newton matrix of j (Kaufman, 1975; Golub and Pereyra, 1973)
    lbfgs          L-BFGS on j, whose gradient is the partial gradient of J
    lbfgs-full     L-BFGS on J over all parameters together: no projection

Least squares profit most: the inner problem is solved in one go, and what made J so badly conditioned is gone. Under
cross-entropy projection saves iterations but not always time; with many inner parameters and a cheap last layer L-BFGS
on J is faster, and ``method="auto"`` takes it there (`choice.py` counts). All is deterministic and in float64.
Cost: counted in `choice.py`. Fails as every descent on a non-convex function does: it ends at a stationary point.

References: Golub, Pereyra (1973), SIAM J. Numer. Anal. 10; Kaufman (1975), BIT 15; O'Leary, Rust (2013), Comput. Optim.
Appl. 54; Newman, Ruthotto, Hart, van Bloemen Waanders (2021), arXiv:2007.13171 (cross-entropy).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.regression.single_layer.choice import Choice, Size, choose
from lemmata.regression.single_layer.features import Features
from lemmata.regression.single_layer.gauss_newton import Matrix, Products
from lemmata.regression.single_layer.history import History, Recorder
from lemmata.regression.single_layer.levenberg_marquardt import levenberg_marquardt
from lemmata.regression.single_layer.quasi_newton import lbfgs_full, lbfgs_reduced
from lemmata.regression.single_layer.reduced import At, Reduced, with_ones
from lemmata.regression.single_layer.reduced_problem import Loss, reduced_objective
from lemmata.regression.single_layer.softmax_weights import CrossEntropy

Method = Literal["auto", "gauss-newton", "lbfgs", "lbfgs-full"]
METHODS = ("auto", "gauss-newton", "lbfgs", "lbfgs-full")


@dataclass(frozen=True, eq=False)
class VarPro:
    """A fitted network and how it was found.

    `model` is a new module, the features and then an affine layer, in x's type; `value` is J in float64 and
    `gradient_norm` that of the gradient of what was minimised; `stopped` is "target", "tolerance", "iterations" or
    "rounding"; `choice` has the method and why it was taken. `cost` is in gradients of the whole network, by counted
    operations.
    """

    model: nn.Sequential
    value: float
    gradient_norm: float
    converged: bool
    stopped: str
    iterations: int
    evaluations: int
    choice: Choice
    history: History
    cost: float

    @property
    def method(self) -> str:
        """The method that was used."""
        return self.choice.method

    def plot(self) -> Figure:
        """Draw the objective, and the norm of its gradient, against iterations and against seconds.

        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> [panel.x.text for panel in varpro(3, x, x.sin(), iterations=2).plot().panels]
        ['iteration', 'time [s]']
        """
        h = self.history
        steps = np.arange(len(h.value))
        y = Axis(label="objective J, and the norm of its gradient", log=True)
        panels = []
        for x, points in ((Axis(label="iteration"), steps), (Axis(label="time", unit="s"), h.seconds)):
            series = [
                Series(label="J", x=points, y=h.value),
                Series(label="gradient", x=points, y=np.maximum(h.gradient_norm, 1e-300), role="control"),
            ]
            panels.append(Panel(x=x, y=y, series=series))
        caption = f"{self.choice.why}. Ended by: {self.stopped}."
        return Figure(name="varpro", title=f"Variable projection, {self.method}", caption=caption, panels=panels)


def varpro(
    features: nn.Module | int,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss = "mse",
    method: Method = "auto",
    kaufman: bool = True,
    ridge: float | tuple[float, float] = 1e-8,
    tolerance: float = 1e-8,
    iterations: int = 200,
    target: float | None = None,
    matrix: bool | None = None,
    inner_tolerance: float = 1e-10,
    clock: Callable[[], float] = time.perf_counter,
    seed: int | torch.Generator = 0,
) -> VarPro:
    """Train `features` followed by an affine layer on x (n, ...) and y: (n,) or (n, k) values, or (n,) labels.

    `features` is a module that gives (n, m), whose parameters are the start, or a number of tanh units, whose weights
    and biases are drawn standard normal from `seed` (nothing else is random). `ridge` is that of the inner parameters
    and of the last layer, biases included, or one for both. Ends where the gradient's norm is at most `tolerance`, J at
    most `target`, or after `iterations`; `kaufman=False` takes the whole Jacobian of the projection. `matrix` says
    whether the Gauss-Newton matrix is written down, which is else decided by count. `clock` is what `history.seconds`
    is read from. Cost: see `choice.py`.

    Raises `InvalidInput` for shapes that disagree, NaN, labels that are not, a negative ridge, a ridge of 0 on the
    weights under cross-entropy, features in training mode that mix samples, and what each method cannot do.

    >>> from lemmata.data import synthetic
    >>> x, t = synthetic.peaks(500, generator=torch.Generator().manual_seed(0))
    >>> fit = varpro(32, x, t, target=1e-2)
    >>> fit.method, fit.stopped, fit.model(x).shape
    ('gauss-newton', 'target', torch.Size([500, 1]))
    """
    if method not in METHODS:
        raise UnknownName("method", str(method), METHODS)
    reduced = reduced_objective(features, x, y, loss=loss, ridge=ridge, inner_tolerance=inner_tolerance, seed=seed)
    chosen = choose(_size(reduced), loss, method)
    if not kaufman and (loss != "mse" or chosen.method != "gauss-newton"):
        raise InvalidInput("kaufman=False is for method='gauss-newton' with loss='mse'")
    record = _recorder(tolerance, iterations, target, clock)
    theta, weights = _minimise(reduced, chosen, record, kaufman, chosen.matrix if matrix is None else matrix)
    history = record.history
    return VarPro(
        model=_assembled(reduced.features, theta, weights, x.dtype),
        value=float(history.value[-1]),
        gradient_norm=float(history.gradient_norm[-1]),
        converged=record.why == "tolerance",
        stopped=record.why,
        iterations=len(history.value) - 1,
        evaluations=reduced.evaluations,
        choice=chosen,
        history=history,
        cost=(reduced.evaluations * chosen.evaluation + (len(history.value) - 1) * chosen.model) / chosen.gradient,
    )


def _minimise(reduced: Reduced, chosen: Choice, record: Recorder, kaufman: bool, matrix: bool) -> tuple[Tensor, Tensor]:
    """Run the method; the inner parameters and the weights that it ends with."""
    start = reduced.start
    if chosen.method == "lbfgs-full":
        weights = _first_weights(reduced, start)
        return lbfgs_full(reduced, start, weights, reduced.problem.ridge, record)
    if chosen.method == "lbfgs":
        at = lbfgs_reduced(reduced, start, record)
    else:
        model: Callable[[At], Matrix | Products] = partial(Matrix if matrix else Products, kaufman=kaufman)
        at = levenberg_marquardt(reduced, start, model, record)
    return at.theta, at.inner.weights


def _size(reduced: Reduced) -> Size:
    H = reduced.features.at(reduced.start).H
    return Size(len(H), H.shape[1] + 1, reduced.outputs, len(reduced.start), reduced.features.forward_flops)


def _first_weights(reduced: Reduced, start: Tensor) -> Tensor:
    """The best ones for least squares, which cost little; 0 under cross-entropy."""
    Z = with_ones(reduced.features.at(start).H)
    if isinstance(reduced.problem, CrossEntropy):
        return Z.new_zeros(Z.shape[1], reduced.outputs)
    return reduced.problem.best(Z).weights


def _recorder(tolerance: float, iterations: int, target: float | None, clock: Callable[[], float]) -> Recorder:
    if not tolerance >= 0 or iterations < 1:
        raise InvalidInput(f"tolerance = {tolerance}, iterations = {iterations}: take 0 or more, and 1 or more")
    return Recorder(tolerance, iterations, target, clock)


def _assembled(features: Features, theta: Tensor, weights: Tensor, dtype: torch.dtype) -> nn.Sequential:
    """The features and the last layer as one module."""
    body = features.module(theta)
    inputs, outputs = len(weights) - 1, weights.shape[1]
    output = cast(nn.Linear, skip_init(nn.Linear, inputs, outputs, dtype=torch.float64, device=weights.device))
    with torch.no_grad():
        output.weight.copy_(weights[:-1].T)
        output.bias.copy_(weights[-1])
    model = nn.Sequential()
    model.add_module("features", body)
    model.add_module("output", output)
    return model.to(dtype)
