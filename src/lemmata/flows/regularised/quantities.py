"""What can be summed up along trajectories: functions of a field held at one time, and the states there.

    kinetic      |f|^2 / 2: its integral is least, among flows between the same ends, where paths are straight and of
                 constant speed (Benamou and Brenier, 2000; Onken, Fung, Li and Ruthotto, 2021)
    divergence   tr df/dy: its integral is the logarithm of the flow's volume change
    roughness    |df/dy|_F^2: keeps the field easy to integrate (Finlay, Jacobsen, Nurbekyan and Oberman, 2020)

Exact Jacobians cost `width` forward products, by `vmap`, for all samples at once; `Hutchinson` takes a few random ones
instead, without bias. A quantity is any callable (velocity, rows (n, width)) -> (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jacfwd, vjp, vmap

from lemmata.errors import InvalidInput
from lemmata.flows.field import refusing
from lemmata.flows.required import generator_of, require_dtype, require_rows
from lemmata.given import require_callable, require_tensor, require_whole

Rule = Callable[[Tensor], Tensor]  # rows (n, width) -> velocities (n, width)
Quantity = Callable[[Rule, Tensor], Tensor]


def kinetic(velocity: Rule, rows: Tensor) -> Tensor:
    """Give |f|^2 / 2 of each sample: (n,)."""
    return _moved(velocity, require_rows(rows, "rows")).square().sum(1) / 2


def jacobians(velocity: Rule, rows: Tensor) -> Tensor:
    """Give df/dy of each sample: (n, width, width)."""
    return vmap(jacfwd(lambda row: _moved(velocity, row[None])[0]))(require_rows(rows, "rows"))


def divergence(velocity: Rule, rows: Tensor) -> Tensor:
    """Give tr df/dy of each sample: (n,)."""
    return jacobians(velocity, rows).diagonal(dim1=1, dim2=2).sum(1)


def roughness(velocity: Rule, rows: Tensor) -> Tensor:
    """Give |df/dy|_F^2 of each sample: (n,)."""
    return jacobians(velocity, rows).square().sum((1, 2))


def _moved(velocity: Rule, rows: Tensor) -> Tensor:
    """The velocities of the rows, of their shape."""
    with refusing(f"velocity gave nothing of states {tuple(rows.shape)}", "give a function of states (samples, width)"):
        found = require_callable(velocity, "velocity")(rows)
    if isinstance(found, Tensor) and not found.is_floating_point():
        raise InvalidInput(f"velocity gave {found.dtype}; it must give real floating-point numbers")
    if not isinstance(found, Tensor) or found.shape != rows.shape:
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InvalidInput(f"velocity gave {given} for states {tuple(rows.shape)}; it must give as many numbers")
    return found


@dataclass(frozen=True, eq=False)
class Hutchinson:
    """An estimate of `divergence` or `roughness` from probes e with E e e^T = I: e^T J e, or |e^T J|^2.

    `probes` (R, n, width) are the samples' own, held along the whole way, so that what is integrated is smooth; their
    mean is taken. Unbiased; with signs the variance of the trace is 2 (|J_s|_F^2 - sum_i J_ii^2) / R, J_s the
    symmetric part. Cost: R products.

    >>> rows, probes = torch.ones(3, 2), Hutchinson.signs(1, 3, 2, seed=0)
    >>> Hutchinson("divergence", probes)(lambda y: 2 * y, rows)
    tensor([4., 4., 4.])
    """

    of: str
    probes: Tensor

    def __post_init__(self):
        if self.of not in ("divergence", "roughness"):
            raise InvalidInput(f"of = {self.of!r}; probes estimate 'divergence' or 'roughness'")
        probes = require_tensor(self.probes, "probes")
        if probes.ndim != 3 or not len(probes) or not probes.is_floating_point():
            raise InvalidInput(f"probes {tuple(probes.shape)} in {probes.dtype}; give floating (R, samples, width)")

    @staticmethod
    def signs(count: int, samples: int, width: int, *, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw probes of random signs: (count, samples, width)."""
        for name, value in (("count", count), ("samples", samples), ("width", width)):
            require_whole(value, name)
        draw = generator_of(seed)
        return torch.randint(2, (count, samples, width), generator=draw).to(require_dtype(dtype)).mul_(2).sub_(1)

    def __call__(self, velocity: Rule, rows: Tensor) -> Tensor:
        """Give the mean over probes: (n,)."""
        if self.probes.shape[1:] != rows.shape:
            raise InvalidInput(f"probes {tuple(self.probes.shape)} for states {tuple(rows.shape)}; give (R, n, width)")
        pull = vjp(velocity, rows)[1]
        products = vmap(lambda e: pull(e)[0])(self.probes)
        other = self.probes if self.of == "divergence" else products
        return (products * other).sum(2).mean(0)
