"""The descents of `safran_shamir_2018`: many starts of one teacher, the share that ends in spurious minima.

The teacher has k orthonormal neurons in k dimensions. A seed is a batch of starts of its own. Of the spurious minima
one of each loss (permuted students have the same) is proved to be a strict minimum in ball arithmetic, a few a batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field

from lemmata.landscape.teacher_student import Minima, TeacherStudent, certify, descend, orthonormal
from lemmata.study import Config, Curve, Measurements


class Students(Config):
    """One batch of starts."""

    k: int = Field(default=10, ge=1, description="neurons of the teacher, and dimensions")
    extra: int = Field(default=0, ge=0, description="neurons that the student has more, n - k")
    starts: int = Field(default=100, ge=1, description="descents a batch")
    wide: float = Field(default=1.0, gt=0, le=1, description="share of them that is run from k = 20 on")
    proofs: int = Field(default=1, ge=0, description="spurious minima of different loss to prove, at most")
    widest_proof: int = Field(default=12, ge=1, description="the largest k at which they are proved")
    displaced: float = Field(default=0.0, ge=0, description="how far a minimum is moved before it is to be proved one")

    most: int = Field(default=100_000, ge=1, description="gradient steps at most")

    @property
    def count(self) -> int:
        """The descents of this batch."""
        return self.starts if self.k < 20 else max(1, round(self.wide * self.starts))


class Onset(Config):
    """One batch of starts at every k of a list."""

    ks: list[int] = Field(default=[2, 4, 6, 8, 10, 12, 15], description="neurons of the teacher, one after the other")
    extra: int = Field(default=0, ge=0, description="neurons that the student has more, n - k")
    starts: int = Field(default=100, ge=1, description="descents a batch, for each k")

    @property
    def count(self) -> int:
        """The descents of this batch, for each k."""
        return self.starts


def measure(configs: Sequence[Students]) -> list[Measurements]:
    """All descents of all seeds in one batch."""
    first = configs[0]
    problem = orthonormal(first.k)
    starts = _starts(configs, first.k, first.extra)
    minima = descend(problem, neurons=first.k + first.extra, starts=starts, steps=first.most, eigenvalues=False)
    return [_measured(problem, minima, part, config) for part, config in _parts(configs)]


def shares(configs: Sequence[Onset]) -> list[Measurements]:
    """The share of spurious minima as a curve over k, all seeds in one batch for each k."""
    extra, ks = configs[0].extra, configs[0].ks
    minima = [
        descend(orthonormal(k), neurons=k + extra, starts=_starts(configs, k, extra), eigenvalues=False) for k in ks
    ]
    return [
        Measurements.of(
            share=Curve(np.array(ks), np.array([float(one.spurious[part].double().mean()) for one in minima])),
            unfinished=sum(int((~one.converged[part]).sum()) for one in minima),
        )
        for part, _ in _parts(configs)
    ]


def _starts(configs: Sequence[Students] | Sequence[Onset], k: int, extra: int) -> torch.Tensor:
    """Each seed's own starts (all, n, k), entries N(0, 1/k)."""
    drawn = []
    for config in configs:
        random = torch.Generator().manual_seed(config.seed * 10_000 + 100 * k + extra)
        drawn.append(torch.randn(config.count, k + extra, k, generator=random, dtype=torch.float64) / k**0.5)
    return torch.cat(drawn)


def _parts(configs: Sequence[Any]) -> list[tuple[slice, Any]]:
    """The rows of each seed."""
    return [(slice(i * one.count, (i + 1) * one.count), one) for i, one in enumerate(configs)]


def _measured(problem: TeacherStudent, minima: Minima, part: slice, config: Students) -> Measurements:
    spurious, loss = minima.spurious[part], minima.loss[part]
    quantities: dict[str, Any] = {
        "share": float(spurious.double().mean()),
        "spurious": int(spurious.sum()),
        "started": len(loss),
        "unfinished": int((~minima.converged[part]).sum()),
        "steps": float(minima.steps[part].double().mean()),
        "losses": loss,
    }
    if spurious.any():
        quantities["objective"] = float(loss[spurious].mean())
        known = minima.lowest_eigenvalue[part][spurious & minima.proved[part]]
        if len(known):
            quantities["lowest_eigenvalue"] = float(known.min())
        if config.proofs and config.k <= config.widest_proof:
            quantities["proved"] = proved(problem, minima.W[part][spurious], loss[spurious], config)
    return Measurements.of(**quantities)


def proved(problem: TeacherStudent, W: torch.Tensor, losses: torch.Tensor, config: Students) -> float:
    """The share of the spurious minima tried, one of each loss in increasing order, that are proved to be ones."""
    order = losses.argsort()
    first = torch.ones(len(order), dtype=torch.bool)
    first[1:] = losses[order].diff() > 1e-9
    random = torch.Generator().manual_seed(config.seed)
    held = []
    for one in W[order[first][: config.proofs]]:
        move = torch.randn(one.shape, generator=random, dtype=torch.float64)
        held.append(certify(problem, one + config.displaced * move / move.norm()).spurious)
    return sum(held) / len(held)
