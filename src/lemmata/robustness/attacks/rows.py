"""The rows of an attack, and the best point of each group of them.

A *row* is one path: one model, one radius, one image, one restart. Rows that want the same thing, the restarts of one
image at one radius, form a *group*. Groups are numbered model by model, radius by radius, image by image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.robustness.attacks.balls import distance, inward, projected, steepest, uniform_points
from lemmata.robustness.attacks.problem import Problem, blocks, generator_of

Rows = Tensor | slice


@dataclass
class Block:
    """The rows of some images: tables (rows,) of what each is about, and where it stands."""

    problem: Problem
    images: Tensor
    restarts: int
    x: Tensor = field(init=False)
    group: Tensor = field(init=False)

    def __post_init__(self) -> None:
        problem, n = self.problem, len(self.images)
        models, levels = len(problem.classifiers), len(problem.eps)
        self.shape = (models, levels, n)
        self.x, self.y = problem.x[self.images], problem.y[self.images]
        every = torch.arange(models * levels * n, device=self.x.device)
        self.of_image, self.of_model = every % n, every // (levels * n)
        self.eps = problem.eps[:, self.images].expand(self.shape).reshape(-1)
        self.group = every.repeat_interleave(self.restarts)
        self.noise = problem.noises(self.images)

    def starts(self, *, random: bool) -> Tensor:
        """Where the rows begin: uniform in their balls, the same directions for each radius; or at the images."""
        problem, shape = self.problem, (self.restarts, *self.x.shape[1:])
        image = self.of_image[self.group]
        first = 0 if random else 1
        if self.restarts == first:
            return self.x[image]
        units = torch.zeros(len(self.images), *shape, dtype=self.x.dtype)
        for i, number in enumerate(self.images.tolist()):
            generator = generator_of(problem.seed, number, stream=0)
            for restart in units[i]:  # one after the other, so that more of them begin with the same
                share = torch.rand(1, dtype=self.x.dtype, generator=generator)
                draw = (
                    restart.uniform_(-1, 1, generator=generator)
                    if problem.norm == "linf"
                    else restart.normal_(generator=generator)
                )
                restart.copy_(uniform_points(draw[None], share, problem.norm)[0])
        units[:, :first] = 0
        restart = torch.arange(len(self.group), device=self.x.device) % self.restarts
        moves = units.to(self.x.device)[image, restart]
        eps = self.eps[self.group]
        x = self.x[image]
        moved = x + eps.view(-1, *[1] * (x.ndim - 1)) * moves
        return projected(moved, x, eps, problem.norm, problem.clip)

    def batches(self, rows: Tensor, at_once: int) -> Sequence[Rows]:
        """These rows in batches, slices if they are all; of several models, as many of each a batch as can be."""
        if len(self.problem.classifiers) == 1 and len(rows) == len(self.group):
            return [slice(first, last) for first, last in blocks(len(rows), at_once)]
        if len(self.problem.classifiers) > 1:
            model = self.of_model[self.group[rows]]
            counts = torch.bincount(model, minlength=len(self.problem.classifiers))
            place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[model]
            rows = rows[place.argsort(stable=True)]
        return list(rows.split(at_once))

    def images_of(self, rows: Rows) -> Rows:
        """The place of each row's image in the block; a slice, which needs no gathering, where rows are images."""
        return rows if isinstance(rows, slice) and len(self.group) == len(self.x) else self.of_image[self.group[rows]]

    def moved(self, z: Tensor, gradient: Tensor, length: Tensor, rows: Rows) -> Tensor:
        """These rows, which are at z, after a step of this length, back in their balls and the box."""
        problem, x, group = self.problem, self.x[self.images_of(rows)], self.group[rows]
        free = inward(gradient, z, problem.clip) if problem.norm == "l2" else gradient
        step = steepest(free, problem.norm).mul_(length.view(-1, *[1] * (x.ndim - 1)))
        return projected(step.add_(z), x, self.eps[group], problem.norm, problem.clip)


@dataclass
class Best:
    """Of each group (G,) the best point so far: broken before unbroken, then by the climbed value."""

    point: Tensor
    value: Tensor
    broken: Tensor
    several: bool = True  # whether a group can have several rows

    def update(self, group: Tensor, z: Tensor, value: Tensor, broken: Tensor) -> None:
        """Take the points that are better than what their groups have."""
        known = self.broken[group]
        better = torch.where(broken == known, value > self.value[group], broken)
        rows = better.nonzero().flatten()
        if not len(rows):
            return
        if len(rows) > 1 and self.several:
            rows = self._best_of(rows, group, value, broken)
        at = group[rows]
        self.point[at], self.value[at], self.broken[at] = z[rows], value[rows], broken[rows]

    @staticmethod
    def _best_of(rows: Tensor, group: Tensor, value: Tensor, broken: Tensor) -> Tensor:
        """Of these rows the best of each group."""
        rows = rows[value[rows].argsort(stable=True)]
        rows = rows[broken[rows].to(torch.int8).argsort(stable=True)]
        rows = rows[group[rows].argsort(stable=True)]
        last = torch.cat([group[rows[1:]] != group[rows[:-1]], rows.new_ones(1, dtype=torch.bool)])
        return rows[last]

    def share(self, block: Block, fresh: Tensor) -> None:
        """What has just broken a group (`fresh`, indices) breaks its image for every radius that reaches so far."""
        _, levels, n = block.shape
        if levels == 1 or not len(fresh):
            return
        reach = torch.full_like(self.value, torch.inf)
        reach[fresh] = distance(self.point[fresh], block.x[block.of_image[fresh]], block.problem.norm)
        nearest, level = reach.view(block.shape).min(1, keepdim=True)
        takes = ~self.broken.view(block.shape) & (block.eps.view(block.shape) >= nearest)
        at = takes.flatten().nonzero().flatten()
        model, image = block.of_model[at], block.of_image[at]
        source = (model * levels + level[model, 0, image]) * n + image
        self.point[at], self.value[at], self.broken[at] = self.point[source], self.value[source], True
