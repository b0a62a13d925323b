"""Linear classification of digits: convexity, overflow, the cost of two methods, least squares against softmax.

Parts of `ruthotto_linear`. Losses are means over examples; an intercept, where there is one, is fitted without a ridge.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from lemmata import data
from lemmata.data.preprocessing import mean_pool
from lemmata.estimate import NotConverged
from lemmata.regression import Minimum, minimise
from lemmata.regression.classification_loss import ClassificationLoss, Softmax
from lemmata.regression.regularisation import ridge_path
from lemmata.study import Config, Curve, Measurements


class Digits(Config):
    """Digits of mnist-5k, mean-pooled to 14 x 14 pixels in [0, 1], a draw of training and test sets."""

    n: int = Field(default=1000, ge=20, description="training examples")
    n_test: int = Field(default=2000, ge=20)
    labels: Literal["true", "random"] = "true"


def examples(config: Digits) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs (n, 196) and labels (n,), for training and for testing; float64."""
    part = data.load("mnist-5k").split(config.n, config.n_test, seed=config.seed)
    assert part.x_test is not None
    assert part.y_test is not None
    x, x_test = (mean_pool(images).flatten(1).double() for images in (part.x, part.x_test))
    y, y_test = part.y, part.y_test
    if config.labels == "random":
        draw = torch.Generator().manual_seed(config.seed)
        y, y_test = (torch.randint(10, labels.shape, generator=draw) for labels in (y, y_test))
    return x, y, x_test, y_test


# ---- the loss as a function ------------------------------------------------------------------------------------------


class Loss(Digits):
    """The loss along chords between random weights, and at scores of a size."""

    loss: Literal["cross-entropy", "squared probabilities"] = "cross-entropy"
    chords: int = Field(default=200, ge=1)
    spread: float = Field(default=1.0, gt=0, description="standard deviation of the random weights")
    shift: bool = Field(default=True, description="take the largest score off before the exponential")
    scores: float = Field(default=1000.0, gt=0, description="the largest score that the loss is evaluated at")


def shape_of_loss(configs: Sequence[Loss]) -> list[Measurements]:
    """How far the loss rises above its chords, and whether it overflows."""
    return [_shape_of_loss(config) for config in configs]


def cross_entropy(S: Tensor, y: Tensor, *, shift: bool) -> Tensor:
    """The mean of log sum_j exp(S_j) - S_y over examples, by the formula as it stands or with the largest score off."""
    top = S.max(-1, keepdim=True).values if shift else torch.zeros_like(S[..., :1])
    total = (S - top).exp().sum(-1).log() + top[..., 0]
    return (total - S.gather(-1, y.expand(S.shape[:-1])[..., None])[..., 0]).mean(-1)


def squared(S: Tensor, y: Tensor) -> Tensor:
    """Half the mean squared distance of the probabilities from the labels: smooth, and not convex in the weights."""
    return (S.softmax(-1) - one_hot(y, S.shape[-1])).square().sum(-1).mean(-1) / 2


def _shape_of_loss(config: Loss) -> Measurements:
    x, y, _, _ = examples(config)
    draw = torch.Generator().manual_seed(config.seed)
    ends = config.spread * torch.randn(2, config.chords, x.shape[1], 10, generator=draw, dtype=x.dtype)
    S = x @ ends
    value: Callable[[Tensor], Tensor] = (
        (lambda scores: cross_entropy(scores, y, shift=True)) if config.loss == "cross-entropy" else
        (lambda scores: squared(scores, y))
    )  # fmt: skip
    a, b = value(S[0]), value(S[1])
    above = torch.stack([value((1 - t) * S[0] + t * S[1]) - ((1 - t) * a + t * b) for t in (0.25, 0.5, 0.75)])
    large = S[0, 0] * (config.scores / S[0, 0].abs().max())
    computed = float(cross_entropy(large, y, shift=config.shift))
    return Measurements.of(
        above_chord=float((above / torch.maximum(a, b)).max()),
        finite=float(np.isfinite(computed)),
        off=abs(computed / float(torch.nn.functional.cross_entropy(large, y)) - 1) if np.isfinite(computed) else np.inf,
    )


# ---- fitting ---------------------------------------------------------------------------------------------------------


class Fit(Digits):
    """A classifier fitted to the training digits."""

    model: Literal["softmax", "least squares"] = "softmax"
    method: Literal["newton-cg", "steepest-descent"] = "newton-cg"
    ridge: float = Field(default=0.01, gt=0, description="of softmax; least squares takes it by GCV")
    intercept: bool = True
    tolerance: float = Field(default=1e-3, gt=0, description="norm of the gradient that ends the descent")
    budget: int = Field(default=4000, ge=10, description="gradients that may be spent")


def fit(configs: Sequence[Fit]) -> list[Measurements]:
    """One fit a seed: second-order methods go their own ways."""
    return [(_softmax if config.model == "softmax" else _least_squares)(config) for config in configs]


def _softmax(config: Fit) -> Measurements:
    x, y, x_test, y_test = examples(config)
    f = ClassificationLoss(x, Softmax(y, 10), ridge=config.ridge, intercept=config.intercept, mixed=False)
    plain: dict[str, Any] = {} if config.method == "newton-cg" else {"barzilai_borwein": False}
    start, reached = torch.zeros(f.p * 10, dtype=x.dtype), True
    try:
        found: Minimum = minimise(
            f.smooth(), start, method=config.method, tolerance=config.tolerance, iterations=10 * config.budget,
            budget=float(config.budget), **plain,
        )  # fmt: skip
    except NotConverged as stopped:
        found, reached = stopped.best, False
    assert isinstance(found.x, Tensor)
    W = torch.zeros(x.shape[1] + 1, 10, dtype=x.dtype)
    W[torch.cat([f.varies, f.varies.new_full((1,), config.intercept)])] = found.x.view(f.p, 10)
    history = found.history
    increasing = np.flatnonzero(np.diff(history.costs, prepend=-1.0) > 0)
    return Measurements.of(
        cost=found.cost if reached else np.inf,
        log_cost=float(np.log10(found.cost)) if reached else np.inf,
        test_error=_error(x_test @ W[:-1] + W[-1], y_test),
        train_error=_error(x @ W[:-1] + W[-1], y),
        gradient=Curve(history.costs[increasing], history.gradient_norms[increasing]),
    )


def _least_squares(config: Fit) -> Measurements:
    """One-hot targets, centred so that the intercept bears no ridge, and the ridge by GCV on one decomposition."""
    x, y, x_test, y_test = examples(config)
    targets = one_hot(y, 10).to(x)
    middle, mean = x.mean(0), targets.mean(0)
    choice = ridge_path(x - middle, targets - mean).gcv()
    return Measurements.of(
        test_error=_error((x_test - middle) @ choice.x + mean, y_test),
        train_error=_error((x - middle) @ choice.x + mean, y),
        ridge_taken=choice.value,
    )


def _error(scores: Tensor, y: Tensor) -> float:
    return float((scores.argmax(1) != y).double().mean())
