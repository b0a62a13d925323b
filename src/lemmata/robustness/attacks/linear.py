"""The exact worst case of a linear classifier, to hold every attack and every bound against.

    f(z) = W z + b;   max over the ball and the box of  max_{j != y} (w_j - w_y) . z + b_j - b_y

is the largest of C - 1 linear functions, and each is largest at a point that `balls.farthest` gives. Without a box, the
margin of class j grows from its value at x by just eps |w_j - w_y|_1 in the maximum norm, eps |w_j - w_y|_2 in the
Euclidean one. For two classes this is also the worst case of cross-entropy, and FGSM finds it.

Cost: C - 1 points an image and radius, no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.balls import Bounds, distance, farthest, require_norm
from lemmata.robustness.attacks.problem import (
    Radii,
    broadcast,
    require_clip,
    require_images,
    require_labels,
)


def linear_worst_case(
    weight: Tensor,
    bias: Tensor | None,
    x: Tensor,
    y: Tensor,
    *,
    eps: Radii,
    norm: str = "linf",
    clip: Bounds = (0.0, 1.0),
) -> Attack:
    """The worst points for the classifier argmax W z + b, W (C, D), b (C,) or None, around images x (N, ...).

    `loss_at_end` (..., N) is the largest margin, `success` whether it is positive: the robust accuracy is exact, up to
    rounding. Shapes and arguments as for `pgd`; computed in the widest type given. Nothing is random. Raises
    `InvalidInput` for weights and biases that do not fit, are complex or not finite, and as `pgd`.

    >>> W, x = torch.tensor([[2.0, -1.0], [0.0, 0.0]]), torch.tensor([[0.6, 0.2]])
    >>> found = linear_worst_case(W, None, x, torch.tensor([0]), eps=[0.25, 0.5], clip=None)
    >>> found.loss_at_end.T, found.success.T
    (tensor([[-0.2500,  0.5000]]), tensor([[False,  True]]))
    """
    require_norm(norm)
    clip = require_clip(clip)
    x, y = require_images(x, y, clip)
    weight, offset = _affine(weight, bias, x)
    x = x.to(weight.dtype)
    flat = x.flatten(1)
    require_labels(y, len(weight))
    radii = broadcast(eps, x, "eps", "radii")
    points, margins = [], []
    for level in radii.reshape(-1, len(x)):
        extreme = partial(farthest, flat, eps=level, norm=norm, clip=clip)
        point, margin = _worst((weight, offset), flat, y, extreme)
        points.append(point)
        margins.append(margin)
    shape = tuple(radii.shape)
    point, margin = torch.stack(points), torch.stack(margins).view(shape)
    away = distance(point.flatten(0, 1), flat.repeat(len(point), 1), norm)
    return Attack(
        adversarial=point.view(*shape, *x.shape[1:]), success=margin > 0, distance=away.view(shape), x=x, y=y,
        eps=radii, norm=norm, loss_at_end=margin, clip=clip, name="exact worst case",
    )  # fmt: skip


def _affine(weight: Tensor, bias: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
    """W (C, D) and b (C,) for images x, checked, in the wider of their types."""
    inputs = x[0].numel()
    if require_tensor(weight, "weight").ndim != 2 or weight.shape[1] != inputs or weight.shape[0] < 2:
        raise InvalidInput(f"weight of shape {tuple(weight.shape)}; give (C, {inputs}), C >= 2 classes")
    offset = weight.new_zeros(len(weight)) if bias is None else require_tensor(bias, "bias")
    if offset.shape != weight.shape[:1]:
        raise InvalidInput(f"bias of shape {tuple(offset.shape)}; give ({len(weight)},), one a class, or None")
    for name, one in (("weight", weight), ("bias", offset)):
        if one.is_complex() or not bool(one.isfinite().all()):
            raise InvalidInput(f"the {name} is complex, or holds NaN or infinity; give finite real numbers")
    dtype = torch.promote_types(torch.promote_types(weight.dtype, offset.dtype), x.dtype)
    return weight.detach().to(x.device, dtype), offset.detach().to(x.device, dtype)


def _worst(
    affine: tuple[Tensor, Tensor], x: Tensor, y: Tensor, point: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The worst point (N, D) and margin (N,) over all other classes; `point` maximises linear functions of slopes g."""
    weight, bias = affine
    best, worst = x.clone(), x.new_full((len(x),), -torch.inf)
    for other in range(len(weight)):
        g = weight[other] - weight[y]
        z = point(g)
        margin = (g * z).sum(1) + bias[other] - bias[y]
        better = (margin > worst) & (y != other)
        best[better], worst[better] = z[better], margin[better]
    return best, worst
