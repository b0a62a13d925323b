"""The spectral density of a curvature matrix, with error bars: how many eigenvalues lie where.

    phi(t) = (1/P) sum_i delta(t - lambda_i),      shown smoothed by a Gaussian of a stated width

by stochastic Lanczos quadrature (`lemmata.linalg.lanczos_quadrature`): K random probes, m steps each, no eigenvalue
found by a probe more than once. Every number derived from it is a mean over the probes, and its standard error is
theirs: densities on a linear scale and of log |lambda| (Papyan, 2019), moments, the counting function, and the number
of eigenvalues beyond the edge of the bulk.

The probes' spread is the whole error for moments up to degree 2 m - 1. Of a density it is the error at the resolution
of the quadrature: m nodes place mass to about range / m in the middle of the spectrum and much finer at its ends,
and the counting function has bounds of its own (`Counts`).

Cost: K m products (two gradients each with the Hessian by flops), and K m P numbers of memory, in which as many probes
advance together as fit. Fails to see one small eigenvalue among many: a probe gives it the weight 1 / P.
References: Ghorbani, Krishnan and Xiao (2019), arXiv:1901.10159; Papyan (2019), arXiv:1811.07062;
Ubaru, Chen and Saad (2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lemmata.curvature.density_counts import Counts, Outliers, counts, edge, outliers
from lemmata.curvature.density_figure import density_figure
from lemmata.curvature.density_log import LogDensity, log_density
from lemmata.curvature.fisher import empirical_fisher, fisher
from lemmata.curvature.gauss_newton import ggn
from lemmata.curvature.hessian import hessian
from lemmata.curvature.over_probes import over_probes
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import Estimate
from lemmata.figures import Figure
from lemmata.linalg import LinearOperator, Quadrature, lanczos_quadrature
from lemmata.linalg.probes import generator_of
from lemmata.objective import Objective, Subject

OPERATORS: dict[str, Callable[..., LinearOperator]] = {
    "hessian": hessian,
    "ggn": ggn,
    "fisher": fisher,
    "empirical_fisher": empirical_fisher,
}
RESOLUTION = 200  # the default width is the range of the nodes by this
ISOLATION = 50  # eigenvalues further apart than the range by this are isolated


@dataclass(frozen=True)
class Density:
    """A spectral density of a matrix of size P: the `nodes` (K, m) and `weights` (K, m) of K probes, in float64.

    `weights` sum to 1 for each probe. `eps` is the precision of the products, `cost` what they took in gradients;
    `layers` holds the densities of the diagonal blocks by module, where they were asked for. What the methods return
    are `Estimate`s over the probes (or made of them); their standard errors need two probes.

    >>> density = Density(torch.tensor([[0.0, 2.0]] * 2), torch.tensor([[0.875, 0.125], [0.625, 0.375]]), size=8)
    >>> density.above(1.0).value, density.above(1.0).stderr
    (tensor(2.), tensor(1.))
    """

    nodes: Tensor
    weights: Tensor
    size: int
    name: str = "matrix"
    eps: float = torch.finfo(torch.float64).eps
    cost: float = 0.0
    layers: Mapping[str, Density] = field(default_factory=dict)

    @classmethod
    def of(cls, quadrature: Quadrature, A: LinearOperator, name: str = "matrix") -> Density:
        """The density of a matrix-free operator from its quadrature."""
        eps, cost = torch.finfo(A.dtype).eps, quadrature.products * A.cost
        return cls(quadrature.nodes, quadrature.weights, size=quadrature.n, name=name, eps=eps, cost=cost)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and largest node: within the spectrum, and close to its ends after some steps."""
        held = self.nodes[self.weights > 0]
        return float(held.min()), float(held.max())

    @property
    def width(self) -> float:
        """The default width of smoothing, in units of the eigenvalues: the range by 200."""
        low, high = self.range
        return max((high - low) / RESOLUTION, self.eps * max(abs(low), abs(high)), torch.finfo(torch.float32).tiny)

    def integral(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """The mean of f over the spectrum, (1/P) tr f(A); `f` maps a tensor of eigenvalues entry by entry.

        >>> density = Density(torch.tensor([[1.0, 3.0]] * 2), torch.full((2, 2), 0.5), size=2)
        >>> density.integral(torch.square).value
        tensor(5.)
        """
        return over_probes((self.weights * f(self.nodes)).sum(1), cost=self.cost)

    def moment(self, k: int) -> Estimate:
        """The mean k-th power of the eigenvalues, (1/P) tr A^k: unbiased for k <= 2 m - 1."""
        return self.integral(lambda nodes: nodes**k)

    def grid(self, points: int = 400) -> Tensor:
        """Points (points,) from below the smallest node to above the largest, six widths beyond."""
        (low, high), margin = self.range, 6 * self.width
        return torch.linspace(low - margin, high + margin, points, dtype=torch.float64)

    def at(self, grid: Tensor, *, width: float | None = None) -> Estimate:
        """The density (G,) at `grid` (G,), per unit of the eigenvalues, smoothed by a Gaussian of `width`."""
        width = self.width if width is None else width
        if not width > 0:
            raise InvalidInput(f"width = {width}: the Gaussian needs a positive width, such as {self.width:.2g}")
        distance = (torch.as_tensor(grid, dtype=torch.float64)[:, None, None] - self.nodes) / width
        bumps = torch.exp(-0.5 * distance.square()) / (width * math.sqrt(2 * math.pi))
        return over_probes((bumps * self.weights).sum(-1).T, cost=self.cost)

    def log(self, grid: Tensor | None = None, *, width: float = 0.1) -> LogDensity:
        """The density of log10 |lambda|, of positive and negative eigenvalues apart, at the exponents `grid` (G,).

        `width` is in decades. By default the grid reaches from the smallest to the largest |node| above rounding.
        """
        return log_density(self, grid, width=width)

    def cumulative(self, grid: Tensor) -> Estimate:
        """The share (G,) of eigenvalues at or below each point of `grid` (G,)."""
        above = self.above(grid)
        return Estimate(1 - above.value / self.size, above.stderr / self.size, n=above.n, cost=self.cost)

    def above(self, threshold: Tensor | float) -> Counts:
        """The number of eigenvalues above each threshold, with its standard error and the quadrature's bounds."""
        return counts(self, torch.as_tensor(threshold, dtype=torch.float64))

    def edge(self, *, spacing: float | None = None) -> float:
        """The upper edge of the bulk: where, from the median up, eigenvalues begin to be isolated.

        The first point from which less than one eigenvalue is left within the next `spacing`, by default a fiftieth
        of the range.
        """
        low, high = self.range
        return edge(self, (high - low) / ISOLATION if spacing is None else spacing)

    def outliers(self, beyond: float | None = None) -> Outliers:
        """The eigenvalues above the edge of the bulk, or beyond a threshold of your own."""
        return outliers(self, self.edge() if beyond is None else beyond)

    def plot(self) -> Figure:
        """Draw the density and that of log10 |lambda|, with 95 % bands over the probes, and the edge of the bulk."""
        return density_figure(self)


def spectral_density(
    subject: Subject,
    *,
    operator: str = "hessian",
    steps: int = 50,
    probes: int = 8,
    by_layer: bool = False,
    memory: int = 2**30,
    seed: int | torch.Generator = 0,
) -> Density:
    """The spectral density of the ``"hessian"``, ``"ggn"``, ``"fisher"`` or ``"empirical_fisher"`` of a loss.

    `subject` is an `Objective` or (model, loss, data); random are the probes. `by_layer` adds the densities of the
    diagonal blocks of the modules that own parameters, at the cost of as many products for each. The Lanczos vectors
    lie in `memory` bytes, as many probes at a time as fit, and what the products keep in as much again. Raises
    `InvalidInput` for fewer than two probes, and where the vectors of one probe do not fit.

    >>> from lemmata import curvature, nets
    >>> x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    >>> subject = nets.mlp(4, (8,), 3, seed=0), "cross_entropy", (x, (x[:, 0] > 0).long())
    >>> density = curvature.spectral_density(subject, steps=20)
    >>> density.nodes.shape, density.size
    (torch.Size([8, 20]), 67)
    """
    objective, generator = Objective.of(subject), generator_of(seed)
    if operator not in OPERATORS:
        raise UnknownName("operator", operator, OPERATORS)
    if probes < 2:
        raise InvalidInput(f"probes = {probes}: the error over probes needs at least two")

    options = {"operator": operator, "steps": steps, "probes": probes, "memory": memory, "generator": generator}
    whole = _of_block(objective, operator, **options)
    blocks = _modules(objective).items() if by_layer else ()
    layers = {name: _of_block(objective.restricted(own), f"{operator} of {name}", **options) for name, own in blocks}
    return replace(whole, layers=layers, cost=whole.cost + sum(layer.cost for layer in layers.values()))


def _of_block(
    objective: Objective, name: str, *, operator: str, steps: int, probes: int, memory: int, generator: torch.Generator
) -> Density:
    A = OPERATORS[operator](objective, products=steps * probes, memory=memory)
    return Density.of(lanczos_quadrature(A, steps=steps, probes=probes, memory=memory, seed=generator), A, name)


def _modules(objective: Objective) -> dict[str, list[str]]:
    """The names of the parameters that each module owns, by the module's name."""
    blocks: dict[str, list[str]] = {}
    for name in objective.names:
        blocks.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return blocks
