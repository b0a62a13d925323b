"""Bounds by auto_LiRPA (Xu et al., 2020), where it is installed: for networks with steps that have none here.

auto_LiRPA bounds general computational graphs. Its bounds are computed in the model's own precision and hold but for
rounding, which it does not bound. The release on PyPI (0.3) asks for torch below 1.13, so that it is no optional
dependency here: what is imported is what the user has installed, such as a current version from its repository,
github.com/Verified-Intelligence/auto_LiRPA.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.bounds import Clip, LogitBounds

METHODS = ("IBP", "CROWN", "CROWN-IBP", "CROWN-Optimized", "alpha-CROWN", "backward", "forward")
ORDERS = {"linf": math.inf, "l2": 2.0, "l1": 1.0}


def through_auto_lirpa(
    model: nn.Module,
    x: Tensor,
    eps: float | Tensor,
    *,
    norm: str = "linf",
    method: str = "CROWN",
    clip: Clip = (0.0, 1.0),
    **options: Any,
) -> LogitBounds:
    """Bound the logits (N, C) on balls around x (N, ...) by auto_LiRPA's `method`, in the dtype of x.

    `eps` and `clip` as in `interval_bounds`; one radius an image is possible in linf only, and for l2 and l1 the range
    is left out, which auto_LiRPA cannot cut a ball by. `options` go to its ``BoundedModule``. Raises `InvalidInput`
    where auto_LiRPA cannot be imported, saying how to get it, and `UnknownName` for a norm or method.
    """
    if method not in METHODS:
        raise UnknownName("method of auto_LiRPA", method, METHODS)
    ball = Ball.of(x, eps, norm, clip, x.dtype)
    library = _imported()
    if norm == "linf":
        box = ball.box
        perturbation = library.PerturbationLpNorm(norm=math.inf, x_L=box.low, x_U=box.high)
    else:
        if ball.eps.unique().numel() > 1:
            raise InvalidInput(f"auto_LiRPA takes one radius for all images in {norm}; give eps as one number")
        perturbation = library.PerturbationLpNorm(norm=ORDERS[norm], eps=float(ball.eps[0]))
    bounded = library.BoundedModule(model.eval(), torch.zeros_like(x), **options)
    low, high = bounded.compute_bounds(x=(library.BoundedTensor(x, perturbation),), method=method)
    return LogitBounds(low.detach(), high.detach(), ball.eps, norm, f"auto_LiRPA {method}")


def _imported() -> Any:
    try:
        return import_module("auto_LiRPA")
    except Exception as failed:  # an old release fails on import in many ways
        raise InvalidInput(
            f"auto_LiRPA cannot be imported ({type(failed).__name__}: {failed}); install one that fits this torch "
            "from its repository, github.com/Verified-Intelligence/auto_LiRPA (the release 0.3 on PyPI is for torch "
            'below 1.13), or use lemmata\'s own bounds, such as method="crown"'
        ) from failed
