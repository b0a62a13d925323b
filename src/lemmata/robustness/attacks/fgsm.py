"""The fast gradient sign method (Goodfellow, Shlens, Szegedy 2015): one step, as far as the ball and the box allow.

    z = argmax { <g, z> : |z - x| <= eps, z in the box },   g = the gradient of the loss at x

which is clip(x + eps sign g) in the maximum norm, and in the Euclidean norm the point that `balls.farthest` finds. For
a linear classifier of two classes this is the exact worst case; for others it is what the linear approximation says.

Cost: one gradient an image, whatever the number of radii, and one evaluation an image and radius. Where it fails: where
the loss is not near to linear over the ball, as it becomes by training on FGSM examples (label leaking, masking).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.balls import Bounds, distance, dual_norm, farthest
from lemmata.robustness.attacks.classifiers import require_finite
from lemmata.robustness.attacks.gradients import differentiable, gradient_of, lost, require_gradient
from lemmata.robustness.attacks.losses import Values
from lemmata.robustness.attacks.problem import Problem, Radii, blocks, problem_of, require_labels
from lemmata.robustness.attacks.vanishing import warn_of_vanishing


def fgsm(
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    eps: Radii,
    norm: str = "linf",
    targeted: bool = False,
    loss: str | Values = "cross_entropy",
    clip: Bounds = (0.0, 1.0),
    batch: int | None = None,
) -> Attack:
    """Take one step from each image x (N, ...) of class y (N,) to the edge of its ball.

    Arguments, shapes, refusals and the warning are those of `pgd`. Every image takes the step, also one that is
    misclassified already, and `success` is judged at its end. Nothing is random.

    >>> model = nn.Linear(2, 2, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))
    >>> found = fgsm(model, torch.tensor([[0.5, 0.1]]), torch.tensor([0]), eps=0.125)
    >>> found.adversarial, found.success
    (tensor([[0.3750, 0.2250]]), tensor([True]))
    """
    with differentiable():
        problem = problem_of(model, x, y, eps=eps, norm=norm, clip=clip, targeted=targeted, loss=loss)
        at_once = problem.rows_at_once(batch)
        parts = [
            _step(problem, model, torch.arange(first, last, device=problem.x.device), first)
            for model in range(len(problem.classifiers))
            for first, last in blocks(len(problem.x), at_once)
        ]
    models, levels, n = len(problem.classifiers), len(problem.eps), len(problem.x)

    def whole(name: str) -> Tensor:
        """Join the parts (L, n_b, ...): along images within a model, and then models."""
        pieces = [part[name] for part in parts]
        rows = len(pieces) // models
        joined = torch.stack([torch.cat(pieces[m * rows : (m + 1) * rows], 1) for m in range(models)])
        return joined.reshape(*problem.shape, *joined.shape[3:])

    loss_at_end = whole("loss")
    return warn_of_vanishing(
        problem.result(
            name="FGSM", adversarial=whole("point"), success=whole("broken"), distance=whole("distance"),
            loss=torch.stack([whole("clean"), loss_at_end]), loss_at_end=loss_at_end, gradient=whole("slope")[None],
            vanished=whole("vanished"), gradients=models * n, evaluations=models * n * (1 + levels),
        )
    )  # fmt: skip


def _step(problem: Problem, model: int, images: Tensor, first: int) -> dict[str, Tensor]:
    """The step of some images by one model, at every radius: tensors (L, n, ...)."""
    x, y, which = problem.x[images], problem.y[images], torch.full_like(images, model)
    z = x.clone().requires_grad_()
    with torch.enable_grad():
        logits = problem.logits(z, which, None)
        require_finite(logits, first)
        require_labels(y, logits.shape[1])
        require_gradient(problem.classifiers.models[model], logits, z)
        clean = problem.values(logits, y)
    gradient, logits, clean = gradient_of(clean, z), logits.detach(), clean.detach()
    slope = dual_norm(gradient, problem.norm)
    levels: list[dict[str, Tensor]] = []
    for eps in problem.eps[:, images]:
        point = farthest(x, gradient, eps, problem.norm, problem.clip)
        with torch.no_grad():
            after = problem.logits(point, which, None)
        require_finite(after, first)
        levels.append({
            "point": point, "broken": problem.broken(after, y), "distance": distance(point, x, problem.norm),
            "loss": problem.shown(problem.values(after, y)), "clean": problem.shown(clean), "slope": slope,
            "vanished": lost(slope, eps, logits).to(x.dtype),
        })  # fmt: skip
    return {name: torch.stack([level[name] for level in levels]) for name in levels[0]}
