"""The reduced objective of a user's features and data: arguments checked, everything in float64."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from lemmata.errors import InvalidInput, UnknownName
from lemmata.nets.initialisations import generator_from
from lemmata.regression.single_layer.features import features_of
from lemmata.regression.single_layer.projection import LeastSquares
from lemmata.regression.single_layer.reduced import Reduced
from lemmata.regression.single_layer.softmax_weights import CrossEntropy

Loss = Literal["mse", "cross_entropy"]
LOSSES = ("mse", "cross_entropy")


def reduced_objective(
    features: nn.Module | int,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss = "mse",
    ridge: float | tuple[float, float] = 1e-8,
    inner_tolerance: float = 1e-10,
    seed: int | torch.Generator = 0,
) -> Reduced:
    """The function that `varpro` minimises, with its gradient; the arguments are those of `varpro`.

    Under cross-entropy the inner problem is solved to the relative gradient `inner_tolerance`, and the gradient is
    right to an error of that order.

    >>> x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    >>> reduced = reduced_objective(nn.Sequential(nn.Linear(1, 2), nn.Tanh()), x, x.sin())
    >>> value, gradient = reduced.value_and_gradient(reduced.start)
    >>> gradient.shape
    torch.Size([4])
    """
    if loss not in LOSSES:
        raise UnknownName("loss", str(loss), LOSSES)
    of_theta, of_weights = _ridges(ridge, loss)
    if not inner_tolerance > 0:
        raise InvalidInput(f"inner_tolerance = {inner_tolerance}; it must be positive")
    inputs, targets = _checked(x, y, loss)
    body = features_of(_tanh_layer(inputs, features, seed) if isinstance(features, int) else features, inputs)
    H = body.at(body.start).H
    if H.ndim != 2 or len(H) != len(inputs) or not H.isfinite().all():
        raise InvalidInput(f"the features of {len(inputs)} samples are {tuple(H.shape)}, or not finite; give (n, m)")
    if loss == "mse":
        return Reduced(body, LeastSquares(targets, of_weights), of_theta)
    return Reduced(body, CrossEntropy(targets, int(targets.max()) + 1, of_weights, inner_tolerance), of_theta)


def _ridges(ridge: float | tuple[float, float], loss: str) -> tuple[float, float]:
    of_theta, of_weights = ridge if isinstance(ridge, tuple) else (ridge, ridge)
    if not (0 <= of_theta < np.inf and 0 <= of_weights < np.inf):
        raise InvalidInput(f"ridge = {ridge}; both must be finite and 0 or more")
    if loss == "cross_entropy" and of_weights == 0:
        raise InvalidInput(
            "cross-entropy with ridge 0 on the weights has no unique minimum, and none where the classes can be "
            "separated; take ridge=(theta, 1e-6), say"
        )
    return of_theta, of_weights


def _checked(x: Tensor, y: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets in float64 (labels as they are)."""
    for name, part in (("x", x), ("y", y)):
        if not isinstance(part, Tensor):
            raise InvalidInput(f"{name} is a {type(part).__name__}; give a torch tensor")
    if x.ndim < 2 or not y.ndim or len(x) != len(y) or len(x) == 0:
        raise InvalidInput(f"x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}; give (n, ...) and n targets")
    if not x.is_floating_point():
        raise InvalidInput(f"x holds {x.dtype}; give floating-point inputs")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise InvalidInput("the data hold NaN or infinity; remove or replace those samples")
    if loss == "mse":
        if y.ndim > 2:
            raise InvalidInput(f"targets of shape {tuple(y.shape)}; give (n,) or (n, k)")
        return x.detach().double(), (y[:, None] if y.ndim == 1 else y).detach().double()
    if y.ndim != 1 or y.is_floating_point() or int(y.min()) < 0:
        raise InvalidInput(f"cross_entropy needs labels (n,) 0, 1, ...; these are {tuple(y.shape)} of {y.dtype}")
    if int(y.max()) == 0:
        raise InvalidInput("all labels are 0; cross_entropy needs two classes or more")
    return x.detach().double(), y


def _tanh_layer(x: Tensor, width: int, seed: int | torch.Generator) -> nn.Sequential:
    """A layer of tanh units, weights and biases standard normal."""
    if width < 1 or x.ndim != 2 or x.shape[1] == 0:
        raise InvalidInput(f"{width} tanh units on inputs {tuple(x.shape[1:])}; give 1 or more, and vectors (n, d)")
    layer = cast(nn.Linear, skip_init(nn.Linear, x.shape[1], width, dtype=torch.float64, device=x.device))
    drawn = torch.randn(width, x.shape[1] + 1, generator=generator_from(seed), dtype=torch.float64).to(x.device)
    with torch.no_grad():
        layer.weight.copy_(drawn[:, :-1])
        layer.bias.copy_(drawn[:, -1])
    return nn.Sequential(layer, nn.Tanh())
