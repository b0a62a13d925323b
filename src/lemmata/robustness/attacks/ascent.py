"""Projected gradient ascent on many rows at once: the loop under every iterative attack.

    z <- P(z + a u(g)),   g = the gradient of the climbed function at z,  u the steepest unit step of the norm

A group (`rows`) that is broken is done, and with it the groups of the same image whose radius holds what was found.
Rows of all groups share batches, so that these stay full while groups come to their end.

Memory: four copies of the rows of a block of images (`STATE` bytes), and a batch's activations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_flag, require_number, require_whole
from lemmata.robustness.attacks.balls import distance, dual_norm
from lemmata.robustness.attacks.classifiers import require_finite
from lemmata.robustness.attacks.gradients import gradient_of, lost, require_gradient
from lemmata.robustness.attacks.problem import Problem, Radii, Schedule, blocks, broadcast
from lemmata.robustness.attacks.rows import Best, Block, Rows

STATE = 2**28  # bytes of the rows of one block of images
WAY = 8.0  # radii that all steps go together; docs/derivations/attacks.md has the figures


@dataclass(frozen=True)
class Climb:
    """How to climb; `step_size` is the length of a step, given like radii, or None for steps that fall to 0."""

    steps: int
    restarts: int
    step_size: Radii | None = None
    schedule: Schedule | None = None
    random_start: bool = True
    early_exit: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "restarts"):
            require_whole(getattr(self, name), name)
        for name in ("random_start", "early_exit"):
            require_flag(getattr(self, name), name)
        if self.schedule is not None:
            for k in range(self.steps):
                self._scheduled(k)

    def lengths(self, problem: Problem) -> Tensor:
        """The length of a step for each radius and image: (L, N)."""
        if self.step_size is None:
            return problem.eps * (WAY / self.steps)
        given = broadcast(self.step_size, problem.x, "step_size", "steps")
        try:
            return given.expand(*problem.lead, len(problem.x)).reshape(problem.eps.shape)
        except RuntimeError:
            raise InvalidInput(
                f"step_size of shape {tuple(given.shape[:-1])} does not go with radii of shape {problem.lead}; give "
                "one number, or one for each radius"
            ) from None

    def factor(self, k: int) -> float:
        """The factor of step k: the schedule's; else 1 for a given step, and one that falls from 2 to 0 by default."""
        if self.schedule is not None:
            return self._scheduled(k)
        return 1.0 if self.step_size is not None else 2 * (self.steps - k) / (self.steps + 1)

    def _scheduled(self, k: int) -> float:
        """The schedule's factor of step k, if it is one."""
        assert self.schedule is not None
        try:
            factor = require_number(self.schedule(k, self.steps), f"schedule({k}, {self.steps})")
        except TypeError as error:
            raise InvalidInput(f"schedule: {error}; give a function (k, steps) -> factor of step k") from error
        if not 0 <= factor < math.inf:
            raise InvalidInput(f"schedule({k}, {self.steps}) = {factor}; a factor is finite and not negative")
        return factor


@dataclass
class Trace:
    """What is recorded of each group on the way."""

    loss: Tensor  # (steps + 1, G)
    gradient: Tensor  # (steps, G)
    vanished: Tensor  # (G,)
    taken: Tensor  # (G,)
    evaluations: int = 0

    @classmethod
    def empty(cls, steps: int, groups: int, like: Tensor) -> Trace:
        """Nothing recorded yet: -inf stands for it."""
        nothing = like.new_full((steps + 1, groups), -torch.inf)
        return cls(nothing, nothing[1:].clone(), like.new_zeros(groups), like.new_zeros(groups))


def ascend(problem: Problem, climb: Climb, *, batch: int | None = None) -> dict[str, object]:
    """Attack all images, and give the fields of an `Attack`."""
    at_once = problem.rows_at_once(batch)
    values, broken = problem.clean(at_once)
    length = climb.lengths(problem)
    rows_of_image = len(problem.classifiers) * len(problem.eps) * climb.restarts
    bytes_of_image = (4 * rows_of_image + problem.draws) * problem.x[0].numel() * problem.x.element_size()
    parts = []
    for first, last in blocks(len(problem.x), STATE // bytes_of_image):
        images = torch.arange(first, last, device=problem.x.device)
        block = Block(problem, images, climb.restarts)
        spread = [part[:, None, images].expand(block.shape).flatten().clone() for part in (values, broken)]
        ascent = _Ascent(block, climb, Best(block.x[block.of_image], *spread, several=climb.restarts > 1))
        ascent.run(length[:, images].expand(block.shape).reshape(-1), at_once)
        parts.append(ascent)
    return _joined(problem, parts)


class _Ascent:
    """The climb of one block's rows."""

    def __init__(self, block: Block, climb: Climb, best: Best):
        self.block, self.climb, self.best = block, climb, best
        self.trace = Trace.empty(climb.steps, len(best.value), block.x)

    def run(self, length: Tensor, at_once: int) -> None:
        """Move the rows until all groups are done or the steps are over; `length` (G,) is that of a step."""
        block, climb, best = self.block, self.climb, self.best
        z = block.starts(random=climb.random_start)
        done = (best.broken & climb.early_exit) | (block.eps == 0)
        for k in range(climb.steps + 1):
            rows = (~done)[block.group].nonzero().flatten()
            if not len(rows):
                return
            factor = climb.factor(k) if k < climb.steps else 0.0
            for some in block.batches(rows, at_once):
                gradient = self.visit(z[some], some, k)
                if gradient is not None:
                    z[some] = block.moved(z[some], gradient, factor * length[block.group[some]], some)
            if climb.early_exit:
                best.share(block, (best.broken & ~done).nonzero().flatten())
                done |= best.broken

    def visit(self, z: Tensor, rows: Rows, k: int) -> Tensor | None:
        """Evaluate rows at z and record them; give their gradients unless nobody needs them."""
        block, problem, trace, more = self.block, self.block.problem, self.trace, k < self.climb.steps
        group, image, z = block.group[rows], block.images_of(rows), z.detach().requires_grad_(more)
        y, noise = block.y[image], None if block.noise is None else block.noise[image]
        with torch.set_grad_enabled(more):
            logits = problem.logits(z, block.of_model[group], noise)
            require_finite(logits)
            if more:
                require_gradient(problem.classifiers.models[0], logits, z)
            values = problem.values(logits, y)
        broken = problem.broken(logits.detach(), y)
        self.best.update(group, z.detach(), values.detach(), broken)
        trace.evaluations += len(z)
        trace.loss[k].scatter_reduce_(0, group, problem.shown(values.detach()), "amax")
        if not more or (self.climb.early_exit and bool(broken.all())):
            return None
        gradient = gradient_of(values, z)
        slope = dual_norm(gradient, problem.norm)
        trace.vanished.index_add_(0, group, lost(slope, block.eps[group], logits.detach()).to(z.dtype))
        trace.taken.index_add_(0, group, torch.ones_like(slope))
        trace.gradient[k].scatter_reduce_(0, group, slope, "amax")
        return gradient


def _joined(problem: Problem, parts: list[_Ascent]) -> dict[str, object]:
    """The blocks' findings side by side along the images."""
    shape, image = problem.shape, tuple(problem.x.shape[1:])

    def along(pieces: list[Tensor], before: tuple[int, ...] = (), after: tuple[int, ...] = ()) -> Tensor:
        rows = [piece.view(*before, *part.block.shape, *after) for piece, part in zip(pieces, parts, strict=True)]
        return torch.cat(rows, len(before) + 2).reshape(*before, *shape, *after)

    steps = parts[0].climb.steps
    point = along([part.best.point for part in parts], after=image)
    away = distance(point.reshape(-1, *image), problem.x.expand(*shape, *image).reshape(-1, *image), problem.norm)
    taken = along([part.trace.taken for part in parts])
    loss = along([part.trace.loss for part in parts], before=(steps + 1,))
    gradient = along([part.trace.gradient for part in parts], before=(steps,))
    return {
        "adversarial": point,
        "success": along([part.best.broken for part in parts]),
        "distance": away.view(shape),
        "loss_at_end": problem.shown(along([part.best.value for part in parts])),
        "loss": loss.masked_fill(loss == -torch.inf, torch.nan),
        "gradient": gradient.masked_fill(gradient == -torch.inf, torch.nan),
        "vanished": along([part.trace.vanished for part in parts]) / taken.clamp(min=1),
        "gradients": int(taken.sum()),
        "evaluations": sum(part.trace.evaluations for part in parts) + len(problem.classifiers) * len(problem.x),
    }
