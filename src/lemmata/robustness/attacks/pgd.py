"""Projected gradient descent on the classifier's confidence (Madry et al. 2018): the standard attack.

    z_0 = x, or uniform in the ball;   z_{k+1} = P(z_k + a_k u(grad s(z_k))),   k = 0, ..., steps - 1

s is what cross-entropy grows with, the log-odds against the class (`losses`), u the steepest unit step (signs for linf,
the unit vector for l2), P the exact projection on ball and box (`balls`). What is kept is the best point of all steps
and restarts, the images themselves included, so that more steps or restarts never make it weaker.

Cost: steps gradients and one evaluation an image, restart and radius, less what is done early; a gradient is a forward
and a backward pass without the parameters' part. Where it fails: it finds a local maximum. Where gradients are hidden
it finds nothing, and warns; what it does not break need not be robust, and only a certificate says that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lemmata.given import require_whole
from lemmata.robustness.attacks.ascent import Climb, ascend
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.balls import Bounds
from lemmata.robustness.attacks.gradients import differentiable
from lemmata.robustness.attacks.losses import Values
from lemmata.robustness.attacks.problem import Radii, Schedule, problem_of
from lemmata.robustness.attacks.vanishing import warn_of_vanishing
from lemmata.robustness.certificates.certificates import ABSTAIN
from lemmata.robustness.smoothing.noise import Noise, require_noise
from lemmata.robustness.smoothing.predict import predict

JUDGED_AT = 0.001  # level at which the smoothed classifier is said to err
ROWS = 100  # copies evaluated at once in judging


def pgd(
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    eps: Radii,
    norm: str = "linf",
    steps: int = 40,
    restarts: int = 1,
    step_size: Radii | None = None,
    schedule: Schedule | None = None,
    random_start: bool = True,
    targeted: bool = False,
    loss: str | Values = "cross_entropy",
    clip: Bounds = (0.0, 1.0),
    early_exit: bool = True,
    seed: int | torch.Generator = 0,
    batch: int | None = None,
) -> Attack:
    """Attack images x (N, ...) of classes y (N,) within `eps` in the norm ``"linf"`` or ``"l2"``.

    `eps` is a number, a list (a grid of E radii: results are (E, N)) or a tensor that broadcasts with (N,), as (N,)
    with a radius for each image. `model` gives logits (n, C), C >= 2; a sequence of models of one architecture is
    attacked at once, with results (M, ..., N). The models are not changed, and their parameters get no gradients.

    `step_size` is the length of a step, given like eps. By default steps fall linearly to 0 and go 8 eps together: this
    found larger losses than equal steps of 2.5 eps / steps in every setting tried (see the derivation page).
    `schedule(k, steps)` gives a factor for step k. With `random_start` False the first restart begins at the image, the
    others at random. With `targeted`, y are the classes to reach. `loss` is ``"cross_entropy"``, ``"margin"`` or a
    callable (logits, y) -> (n,) to climb.
    `clip` are the lowest and highest values of a pixel, or None.

    With `early_exit` an image is done when it is broken, for all radii that reach the point found; without, each row
    takes all steps and the point of the largest loss is kept, as adversarial training wants it. `batch` rows are
    evaluated at once: by default as many as the processor's caches hold.

    Random: the starts, by the seed and the image's place alone, the same directions for each radius and model. Raises
    `InvalidInput` for images outside `clip`, labels, logits and values of a loss that do not fit, NaN, a model whose
    answer depends on the batch (batch normalisation in training mode) or is detached from the images. Gradients are
    taken also where the caller turned them off (`torch.no_grad`). Warns by `VanishingGradients`. Source: Madry et al.
    (2018), equation 2.2 and section 5.

    >>> model = nn.Linear(2, 2, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    >>> x, y = torch.tensor([[0.5, 0.5]]), torch.tensor([0])
    >>> found = pgd(model, x, y, eps=[0.4, 0.6], clip=None)
    >>> found.success.T, found.robust_accuracy
    (tensor([[False,  True]]), tensor([1., 0.], dtype=torch.float64))
    """
    climb = Climb(steps, restarts, step_size, schedule, random_start, early_exit)
    name = f"PGD, {steps} steps" + (f" x {restarts}" if restarts > 1 else "")
    with differentiable():
        problem = problem_of(model, x, y, eps=eps, norm=norm, clip=clip, targeted=targeted, loss=loss, seed=seed)
        found = problem.result(name=name, **ascend(problem, climb, batch=batch))
    return warn_of_vanishing(found)


def pgd_smoothed(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: Radii,
    sigma: float | None = None,
    noise: Noise | None = None,
    draws: int = 16,
    norm: str = "l2",
    steps: int = 20,
    restarts: int = 1,
    step_size: Radii | None = None,
    schedule: Schedule | None = None,
    random_start: bool = False,
    targeted: bool = False,
    clip: Bounds = (0.0, 1.0),
    early_exit: bool = False,
    votes: int = 1000,
    seed: int | torch.Generator = 0,
    batch: int | None = None,
) -> Attack:
    """Attack the classifier smoothed by noise: SmoothAdv, by the gradient of the averaged softmax.

    The loss is -log (1/m) sum_i softmax(f(z + noise_i))_y over m = `draws` copies, whose noise is drawn once for each
    image and kept over steps and restarts, so that one function is climbed (Salman et al. 2019, equations 6 and 8, and
    section 3.2). Give `sigma` for Gaussian noise, or `noise`.
    What is climbed is soft, and its few draws are fitted; what is smoothed counts votes. So `success` is judged anew,
    on `votes` fresh copies of each point found: the smoothed classifier takes another class than y there (y, if
    `targeted`), at level 0.001 of `predict`; and all steps are taken unless `early_exit` stops at the first error
    of the averaged softmax. With ``votes=0`` it says that the averaged softmax does, as training wants
    it, and tells nothing of the smoothed classifier. The other arguments are those of `pgd`.

    Cost: draws times that of `pgd`, and `votes` evaluations a point. Random: noise and starts, by the seed and the
    image's place alone.

    >>> x, y = torch.tensor([[0.7, 0.2]]), torch.tensor([0])
    >>> found = pgd_smoothed(nn.Identity(), x, y, sigma=0.1, eps=[0.2, 0.5])
    >>> found.success.T
    tensor([[False,  True]])
    """
    climb = Climb(steps, restarts, step_size, schedule, random_start, early_exit)
    require_whole(votes, "votes", least=0)
    name = f"SmoothAdv, {steps} steps, {draws} draws"
    with differentiable():
        problem = problem_of(
            model, x, y, eps=eps, norm=norm, clip=clip, targeted=targeted, noise=require_noise(noise, sigma),
            draws=draws, seed=seed,
        )  # fmt: skip
        found = problem.result(name=name, **ascend(problem, climb, batch=batch))
    return warn_of_vanishing(_by_votes(found, model, require_noise(noise, sigma), votes) if votes else found)


def _by_votes(found: Attack, model: nn.Module, noise: Noise, votes: int) -> Attack:
    """The same points, of which those count as broken where the smoothed classifier errs."""
    points = found.adversarial.reshape(-1, *found.x.shape[1:])
    prediction = predict(
        model,
        points,
        noise=noise,
        n=votes,
        alpha=JUDGED_AT,
        seed=(found.seed or 0) + 1,
        batch=ROWS,
        memory_format="plain",
    ).prediction.view(found.success.shape)
    y = found.y.to(prediction.device)
    success = prediction == y if found.targeted else (prediction != y) & (prediction != ABSTAIN)
    return replace(
        found,
        success=success.to(found.success.device),
        evaluations=found.evaluations + votes * len(points),
        name=f"{found.name}, {votes:,} votes",
    )
