"""How convex the loss is where it looks so: the extreme eigenvalues of the Hessian over a surface (Li et al., 2018).

A surface shows two of P dimensions. Its curvature along a direction of the plane is a mean of the eigenvalues of the
Hessian, so that where the surface is not convex neither is the loss; the converse says nothing. The map of

    |lambda_min / lambda_max|

does (their Figure 7): near 0 the loss is convex but for directions that are nearly flat, near 1 it curves down as much
as up. By how much the eigenvalues may be wrong is known at each point: within the residual |H v - lambda v| of each
lies an eigenvalue of H.

Cost: at each point some 10 to 40 products with the Hessian, of two gradients each; each starts from the eigenvectors of
a point beside it, with a random part added so that no other direction is out of reach. Where the residual does not come
below the tolerance the point is marked and keeps the best values there are: lambda_max is then at least, lambda_min at
most what is given. Rectifiers have no Hessian at their kinks; the one of the smooth piece that theta lies in is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lemmata.curvature import top_eigenvalues
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.landscape.axes import Span
from lemmata.landscape.directions import Direction, Normalization, checked_directions, random_directions
from lemmata.landscape.samples import Interrupted, Progress
from lemmata.landscape.surface import Surface, plane_axes
from lemmata.nets.initialisations import generator_from
from lemmata.objective import Objective, Subject, Tree

STIR = 0.3  # how much of a warm start is random


@dataclass(frozen=True, eq=False)
class Convexity:
    """The smallest and largest eigenvalue of the Hessian at the points `x` (nx,), `y` (ny,) of a plane: (ny, nx) each.

    `residual` (ny, nx) bounds the error of both (see the module), `converged` says where it is below the tolerance, and
    `loss` is that of each point. Points whose loss is not finite have NaN. `products` counts those with the Hessian,
    `cost` is in gradients.
    """

    x: np.ndarray
    y: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    residual: np.ndarray
    converged: np.ndarray
    loss: np.ndarray
    directions: tuple[Tree, ...] = field(repr=False)
    products: int
    cost: float

    @property
    def ratio(self) -> np.ndarray:
        """|lambda_min / lambda_max|, (ny, nx)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(self.smallest / self.largest)

    def plot(self, surface: Surface | None = None) -> Figure:
        """Draw the map of the ratio, with the contours of a `surface` of the same plane over it if one is given."""
        ratio = Field(label="|λ_min / λ_max|", x=self.x, y=self.y, z=self.ratio, kind="heatmap", limits=(0.0, 1.0))
        doubtful = ~self.converged & np.isfinite(self.loss)
        rows, columns = np.nonzero(doubtful)
        marks = [Series(label="not converged", x=self.x[columns], y=self.y[rows], style="points", role="control")]
        panel = Panel(
            x=Axis(label="direction 1"),
            y=Axis(label="direction 2"),
            fields=[ratio] if surface is None else [ratio, surface.field()],
            series=marks if doubtful.any() else [],
            equal=True,
        )
        caption = (
            f"0 is convex, 1 curves down as much as up. {int(self.converged.sum())} of {self.loss.size} points "
            f"converged; {self.products} products with the Hessian, {self.cost:.3g} gradients."
        )
        return Figure(name="convexity", title="Convexity over a plane", caption=caption, panels=[panel])


def convexity(
    subject: Subject,
    *,
    directions: Sequence[Direction] | None = None,
    normalization: Normalization = "filter",
    biases: bool = False,
    span: Span | tuple[tuple[float, float], tuple[float, float]] = 1.0,
    points: int | tuple[int, int] = 11,
    tolerance: float = 0.02,
    max_products: int | None = None,
    memory: int = 2**30,
    seed: int | torch.Generator = 0,
    progress: Progress | None = None,
) -> Convexity:
    """Map the extreme eigenvalues of the Hessian over a plane, which is that of `surface` for equal options.

    `tolerance` bounds the residuals relative to the largest |eigenvalue|, `max_products` the products for each of the
    two eigenvalues, `memory` the bytes of the graph and of the basis. Random are the directions and the starts.
    Ctrl-C raises `Interrupted` whose `partial` has NaN where it did not come to. Cost: see the module; some
    points^2 times 50 gradients, so take few points.

    >>> x, model = torch.diag(torch.tensor([3.0, 1.0])), torch.nn.Linear(2, 1, bias=False)
    >>> found = convexity((model, "mse", (x, x[:, :1])), points=3)
    >>> bool(np.allclose(found.largest, 9.0, rtol=1e-3)), bool(np.allclose(found.ratio, 1 / 9, rtol=0.2))
    (True, True)
    """
    objective = Objective.of(subject)
    generator = generator_from(seed)
    if directions is None:
        trees = random_directions(objective, 2, normalization=normalization, biases=biases, seed=generator)
    else:
        trees = checked_directions(objective, directions, 2)
    x, y = plane_axes(span, points)
    survey = _Survey(objective, trees, (x, y), (tolerance, max_products, memory), generator)
    try:
        for done, (row, column) in enumerate(_snake(len(y), len(x)), 1):
            survey.visit(row, column)
            if progress is not None:
                progress(done, len(x) * len(y))
    except KeyboardInterrupt as stop:
        raise Interrupted(survey.result()) from stop
    return survey.result()


class _Survey:
    """The map as it grows, and the eigenvectors of the point visited last."""

    def __init__(
        self,
        objective: Objective,
        directions: list[Tree],
        axes: tuple[np.ndarray, np.ndarray],
        limits: tuple[float, int | None, int],
        generator: torch.Generator,
    ):
        self.objective, self.directions, (self.x, self.y) = objective, directions, axes
        self.limits, self.generator = limits, generator
        self.origin = objective.parameters
        self.maps = {
            n: np.full((len(self.y), len(self.x)), np.nan) for n in ("smallest", "largest", "residual", "loss")
        }
        self.converged = np.zeros((len(self.y), len(self.x)), bool)
        self.start: dict[str, Tensor | None] = {"smallest": None, "largest": None}
        self.products, self.cost = 0, 0.0

    def visit(self, row: int, column: int) -> None:
        """Measure one point."""
        a, b = float(self.x[column]), float(self.y[row])
        first, second = self.directions
        here = self.objective.at({name: p + a * first[name] + b * second[name] for name, p in self.origin.items()})
        loss = here.value().item()
        self.maps["loss"][row, column] = loss
        self.cost += 1 / 3
        if not np.isfinite(loss):
            return
        found = {which: self._eigenvalue(here, which) for which in ("largest", "smallest")}
        for which, (value, _, _) in found.items():
            self.maps[which][row, column] = value
        self.maps["residual"][row, column] = max(residual for _, residual, _ in found.values())
        self.converged[row, column] = all(certain for _, _, certain in found.values())

    def result(self) -> Convexity:
        """The map as far as it goes."""
        m, directions = self.maps, tuple(self.directions)
        return Convexity(
            self.x, self.y, m["smallest"], m["largest"], m["residual"], self.converged, m["loss"], directions,
            self.products, self.cost,
        )  # fmt: skip

    def _eigenvalue(self, here: Objective, which: str) -> tuple[float, float, bool]:
        """The eigenvalue, its residual, and whether that is below the tolerance."""
        tolerance, most, memory = self.limits
        options = {"tolerance": tolerance, "max_products": most, "memory": memory, "seed": self.generator}
        try:
            found = top_eigenvalues(here, which=which, start=self._stirred(which), **options)
            value, certain = found.value, True
            self.cost += found.cost
        except NotConverged as refused:
            found, certain = refused.best, False
            value = found.values
            self.cost += 1 + 2 * found.products
        self.products += found.products
        if len(value) == 0:
            return np.nan, np.inf, False
        self.start[which] = found.vectors[:, 0]
        return float(value[0]), float(found.residuals[0]), certain

    def _stirred(self, which: str) -> Tensor | None:
        near = self.start[which]
        if near is None:
            return None
        noise = torch.randn(near.shape, generator=self.generator, dtype=near.dtype).to(near.device)
        return near + STIR * noise / noise.norm()


def _snake(rows: int, columns: int) -> list[tuple[int, int]]:
    """Every point of the grid, each beside the one before it."""
    return [(row, column if row % 2 == 0 else columns - 1 - column) for row in range(rows) for column in range(columns)]
