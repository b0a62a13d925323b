"""AutoAttack by way of the Adversarial Robustness Toolbox: attacks without a step size to tune, one without gradients.

Croce and Hein (2020) run APGD on cross-entropy, APGD on the difference of logits ratio, FAB and Square, each on what
the others left. The toolbox has APGD and Square (its AutoAttack puts DeepFool in FAB's place); they are run here as
they are, on a copy of the model, one after the other on the images that are left. What the toolbox's own assembly does
otherwise is put right: it imports a package that it does not depend on (multiprocess), accepts points up to 1.0001 eps
away, steps by 0.1 whatever eps is (Croce and Hein: 2 eps), and draws from the global generators without a seed. Here
each point is projected onto the ball, judged by the model itself at the user's precision, and the generators are seeded
and put back.

Cost: some 1,000 gradients an image and 5,000 evaluations by Square, in float32, through numpy: minutes for what `pgd`
does in seconds. For the last word on a table, or where gradients vanish. Needs the extra `attacks`.

Source: Croce, Hein (2020), Reliable evaluation of adversarial robustness with an ensemble of diverse attacks.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import DataMissing, InvalidInput, UnknownName
from lemmata.given import require_whole
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.balls import Bounds, distance, projected
from lemmata.robustness.attacks.gradients import differentiable
from lemmata.robustness.attacks.problem import Problem, problem_of

PARTS = ("apgd-ce", "apgd-dlr", "square")


class ToolboxMissing(DataMissing, ImportError):
    """The Adversarial Robustness Toolbox is not installed."""


def auto_attack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    parts: Sequence[str] | None = None,
    steps: int = 100,
    restarts: int = 5,
    queries: int = 5000,
    clip: Bounds = (0.0, 1.0),
    seed: int | torch.Generator = 0,
    batch: int = 256,
) -> Attack:
    """Attack images x (N, ...) of classes y (N,) by APGD on two losses and by Square, within one radius `eps` > 0.

    `parts` are some of `PARTS`, in order; by default all that apply: APGD on the difference of logits ratio wants three
    classes or more, Square wants images (N, C, H, W) in a range `clip`. `steps` and `restarts` are those of APGD,
    `queries` the evaluations of Square. The rest is as for `pgd`; the result has no history.
    Random: by the seed. Raises `ToolboxMissing`, naming the extra, where the toolbox is not installed.

    >>> model = nn.Linear(2, 2, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[4.0, -8.0], [0.0, 0.0]]))
    >>> found = auto_attack(model, torch.tensor([[0.5, 0.1]]), torch.tensor([0]), eps=0.2, steps=5, restarts=1)
    >>> found.success
    tensor([True])
    """
    for name, count in (("steps", steps), ("restarts", restarts), ("queries", queries), ("batch", batch)):
        require_whole(count, name)
    with differentiable():
        problem = problem_of(model, x, y, eps=eps, norm=norm, clip=clip, seed=seed)
        if problem.lead or bool((problem.eps != problem.eps[0, 0]).any()) or not float(problem.eps[0, 0]) > 0:
            raise InvalidInput(f"eps = {eps}; AutoAttack takes one positive radius for all images")
        kept = _Kept(problem, problem.rows_at_once(batch))
        with torch.no_grad():
            classes = problem.logits(problem.x[:1], problem.y.new_zeros(1), None).shape[1]
        names = _parts(parts, problem, classes)
        toolbox = _Toolbox(problem, model, classes, steps=steps, restarts=restarts, queries=queries, batch=batch)
        with _seeded(problem.seed):
            for name in names:
                left = (~kept.broken).nonzero().flatten()
                if len(left):
                    kept.judge(left, toolbox.attack(name, problem.x[left], problem.y[left]))
        return problem.result(
            name=f"AutoAttack ({', '.join(names)})", adversarial=kept.point, success=kept.broken,
            distance=distance(kept.point, problem.x, norm), loss_at_end=problem.shown(kept.value),
        )  # fmt: skip


class _Kept:
    """The best point of each image so far, whether it is broken, and the climbed value there."""

    def __init__(self, problem: Problem, at_once: int):
        self.problem, self.at_once, self.point = problem, at_once, problem.x.clone()
        self.value, self.broken = (part[0] for part in problem.clean(at_once))

    @torch.no_grad()
    def judge(self, left: Tensor, found: Tensor) -> None:
        """Enter what was found of the images `left`, where it is better."""
        problem = self.problem
        found = projected(found, problem.x[left], problem.eps[0, left], problem.norm, problem.clip)
        for part, rows in zip(found.split(self.at_once), left.split(self.at_once), strict=True):
            logits = problem.logits(part, torch.zeros_like(rows), None)
            values, hits = problem.values(logits, problem.y[rows]), problem.broken(logits, problem.y[rows])
            better = hits | (values > self.value[rows])
            at = rows[better]
            self.point[at], self.value[at], self.broken[at] = part[better], values[better], hits[better]


class _Toolbox:
    """The toolbox's attacks on a copy of the model."""

    def __init__(self, problem: Problem, model: nn.Module, classes: int, **options: int):
        try:
            from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack
            from art.estimators.classification import PyTorchClassifier
        except ImportError as missing:
            raise ToolboxMissing(
                f"AutoAttack needs the Adversarial Robustness Toolbox ({missing}); pip install 'lemmata[attacks]'"
            ) from missing
        self.apgd, self.square, self.options = AutoProjectedGradientDescent, SquareAttack, options
        self.like = problem.x
        self.eps, self.order = float(problem.eps[0, 0]), np.inf if problem.norm == "linf" else 2
        self.classifier: Any = PyTorchClassifier(
            model=_Single(copy.deepcopy(model), problem.x.dtype), loss=nn.CrossEntropyLoss(), nb_classes=classes,
            input_shape=tuple(problem.x.shape[1:]), clip_values=problem.clip,
            device_type="cpu" if problem.x.device.type == "cpu" else "gpu",
        )  # fmt: skip

    def attack(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """The points that one part finds, as it leaves them."""
        common = {"norm": self.order, "eps": self.eps, "batch_size": self.options["batch"], "verbose": False}
        if name == "square":
            part = self.square(self.classifier, max_iter=self.options["queries"], nb_restarts=1, **common)
        else:
            loss = "cross_entropy" if name == "apgd-ce" else "difference_logits_ratio"
            part = self.apgd(
                self.classifier, eps_step=2 * self.eps, max_iter=self.options["steps"],
                nb_random_init=self.options["restarts"], loss_type=loss, **common,
            )  # fmt: skip
        found = part.generate(x=x.float().cpu().numpy(), y=y.cpu().numpy())
        return torch.from_numpy(np.asarray(found)).to(self.like)


class _Single(nn.Module):
    """A model that takes the toolbox's float32 whatever its own precision is."""

    def __init__(self, model: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.model, self.dtype = model.eval(), dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.to(self.dtype)).float()


def _parts(parts: Sequence[str] | None, problem: Problem, classes: int) -> list[str]:
    if parts is not None and (isinstance(parts, str) or not isinstance(parts, Sequence) or not parts):
        raise InvalidInput(f"parts = {parts!r}; give a list of at least one of {', '.join(PARTS)}")
    for name in parts or ():
        if name not in PARTS:
            raise UnknownName("part of AutoAttack", name, PARTS)
    why = {}
    if classes < 3:
        why["apgd-dlr"] = f"the difference of logits ratio wants three classes or more, not {classes}"
    if problem.x.ndim != 4 or problem.clip is None:
        why["square"] = "Square wants images (N, C, H, W) in a range clip=(lowest, highest)"
    for name in parts or ():
        if name in why:
            raise InvalidInput(f"{why[name]}; leave {name!r} out")
    return [name for name in parts or PARTS if name not in why]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global generators, from which the toolbox draws, seeded for a while."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (the toolbox's own)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
