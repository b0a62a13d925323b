"""The loss over a plane through the parameters: L(theta + x d_1 + y d_2) (Li et al., 2018, section 4).

With filter-normalised Gaussian directions the surface is the same for every rescaled copy of a network of rectifiers,
so that sharpness can be compared between networks; with other directions it cannot.

Cost: 1/3 gradient a point. A random plane is two of P dimensions: what looks convex in it need not be (`convexity`
measures that), and the minimum seen is the one the plane was laid through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.landscape.adaptive import Refinement, measure
from lemmata.landscape.axes import Span, axis
from lemmata.landscape.directions import (
    Direction,
    Normalization,
    checked_directions,
    orthogonalised,
    random_directions,
)
from lemmata.landscape.export import save_npz, save_vtk
from lemmata.landscape.line import Marks
from lemmata.landscape.samples import Interrupted, Progress, Samples
from lemmata.landscape.slice import BatchNorm, Slice
from lemmata.objective import Objective, Subject, Tree

LOG_FROM = 30.0  # a loss that spans more than this factor is drawn on a logarithmic scale


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss (ny, nx) at the coordinates `x` (nx,) and `y` (ny,), in units of the two directions.

    `loss` is raw: NaN and infinity are kept. `misclassified` is the share of samples whose largest output is not at
    their label, NaN where there are no labels. `error` and `misclassified_error` estimate how far a value is off: 0
    where it was `evaluated`, infinite where nothing is known. All are (ny, nx). `evaluations` counts those of this
    call and `cost` them in gradients. `marks` names points of the plane: the checkpoints it was laid through.
    """

    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    misclassified: np.ndarray
    misclassified_error: np.ndarray
    evaluated: np.ndarray
    directions: tuple[Tree, ...]
    evaluations: int
    cost: float
    marks: Marks = ()

    def plot(
        self,
        kind: Literal["contour", "heatmap", "surface"] = "contour",
        of: Literal["loss", "misclassified", "error"] = "loss",
        log: bool | None = None,
    ) -> Figure:
        """Draw the loss (or the misclassified share, or the error estimate); holes are where it is not finite.

        The scale is logarithmic if `log`, by default if the loss is positive and spans more than a factor of 30.
        """
        panel = Panel(
            x=Axis(label="direction 1"),
            y=Axis(label="direction 2"),
            fields=[self.field(kind, of, log)],
            series=[Series(label=name, x=[at[0]], y=[at[1]], style="points") for name, at in self.marks],
            equal=True,
        )
        share = f"{int(self.evaluated.sum())} of {self.loss.size} points evaluated, {self.cost:.3g} gradients"
        known = self.error[~self.evaluated & np.isfinite(self.error)]
        if len(known):
            share += f"; the others interpolated, with a median estimated error of {np.median(known):.2g}"
        holes = int((self.evaluated & ~np.isfinite(self.loss)).sum())
        if holes:
            share += f"; at {holes} of them the loss is not finite"
        return Figure(name="loss_surface", title="Loss over a plane", caption=f"{share}.", panels=[panel])

    def save_npz(self, path: Path | str) -> Path:
        """Write everything to an .npz file, which `load_npz` reads."""
        return save_npz(self, path)

    def save_vtk(self, path: Path | str) -> Path:
        """Write the grid to a .vtk file for ParaView."""
        return save_vtk(self, path)

    def field(
        self,
        kind: Literal["contour", "heatmap", "surface"] = "contour",
        of: Literal["loss", "misclassified", "error"] = "loss",
        log: bool | None = None,
    ) -> Field:
        """What `plot` draws, to be set into a figure of one's own."""
        values = {"loss": self.loss, "misclassified": self.misclassified, "error": self.error}[of]
        finite = values[np.isfinite(values)]
        if log is None:
            log = of == "loss" and bool(len(finite)) and bool(0 < LOG_FROM * finite.min() < finite.max())
        label = {"loss": "loss", "misclassified": "misclassified share", "error": "estimated error of the loss"}[of]
        return Field(label=label, x=self.x, y=self.y, z=values, kind=kind, log=log)


def surface(
    subject: Subject,
    *,
    directions: Sequence[Direction] | None = None,
    normalization: Normalization = "filter",
    biases: bool = False,
    orthogonal: bool = False,
    span: Span | tuple[tuple[float, float], tuple[float, float]] = 1.0,
    points: int | tuple[int, int] = 25,
    batch_norm: BatchNorm = None,
    adaptive: bool = True,
    tolerance: float = 0.01,
    budget: int | None = None,
    seed: int | torch.Generator = 0,
    known: Surface | None = None,
    progress: Progress | None = None,
) -> Surface:
    """Evaluate the loss over the plane of two `directions`, or of random ones drawn as `random_directions` says.

    `span` is the half-width of both axes, (low, high) of both, or a pair for each; `points` the number of both or
    (nx, ny). theta itself, (0, 0), is one of the points wherever it is inside. `orthogonal` makes the second direction
    orthogonal to the first. `batch_norm` is that of `Slice`.

    With `adaptive` as many points are evaluated as it takes for the estimated error to be at most `tolerance` of the
    range of the log-loss at 95 of 100 points, but at most `budget` (by default 0.24 of the points, though at least 60
    and at most 500), and the others interpolated (see `lemmata.landscape.adaptive`); without, every point is evaluated.

    `known` is an earlier result whose points are not
    evaluated again. `progress(done, total)` is called after every point. Ctrl-C raises `Interrupted` (a
    `KeyboardInterrupt`) whose `partial` is the surface so far.

    >>> x, model = torch.eye(2), torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.zero_()
    >>> bowl = surface((model, "mse", (x, torch.zeros(2, 1))), directions=list(2 * torch.eye(2)), points=3)
    >>> bowl.loss.round(6).tolist()
    [[4.0, 2.0, 4.0], [2.0, 0.0, 2.0], [4.0, 2.0, 4.0]]
    """
    objective = Objective.of(subject)
    if directions is None:
        trees = random_directions(objective, 2, normalization=normalization, biases=biases, seed=seed)
    else:
        trees = checked_directions(objective, directions, 2)
    if orthogonal:
        trees = orthogonalised(objective, trees)
    x, y = plane_axes(span, points)
    refinement = Refinement(tolerance, budget) if adaptive else None
    cut = Slice(objective, trees, batch_norm=batch_norm)
    return over(cut, x, y, refinement=refinement, known=known, progress=progress)


def plane_axes(
    span: Span | tuple[tuple[float, float], tuple[float, float]],
    points: int | tuple[int, int],
    anchors: Sequence[tuple[float, ...]] = ((0.0, 0.0),),
) -> tuple[np.ndarray, np.ndarray]:
    """The axes of a plane: one span and number of points for both, or a pair; each anchor is a point of the grid."""
    spans = span if isinstance(span, tuple) and isinstance(span[0], tuple) else (span, span)
    numbers = (points, points) if isinstance(points, int) else points
    if len(spans) != 2 or len(numbers) != 2:
        raise InvalidInput(f"span {span} and points {points}: give one for both axes, or a pair")
    x, y = (axis(spans[i], numbers[i], [anchor[i] for anchor in anchors]) for i in (0, 1))  # type: ignore[arg-type]
    return x, y


def over(
    cut: Slice,
    x: np.ndarray,
    y: np.ndarray,
    *,
    refinement: Refinement | None = None,
    known: Surface | None = None,
    progress: Progress | None = None,
    marks: Marks = (),
) -> Surface:
    """Evaluate a two-dimensional slice at the grid of x (nx,) and y (ny,), all of it or as the refinement says."""
    samples = Samples.on(x, y)

    def result() -> Surface:
        values = (samples.loss, samples.error, samples.misclassified, samples.misclassified_error, samples.evaluated)
        loss, error, wrong, wrong_error, evaluated = (value.reshape(len(y), len(x)).copy() for value in values)
        cost = samples.evaluations * cut.cost
        return Surface(
            x, y, loss, error, wrong, wrong_error, evaluated, cut.directions, samples.evaluations, cost, marks
        )

    anchors = [(0.0, 0.0), *(at for _, at in marks)]
    try:
        if known is not None:
            samples.take(_samples(known), cut)
        measure(samples, cut, (len(y), len(x)), anchors=anchors, refinement=refinement, progress=progress)
    except KeyboardInterrupt as stop:
        raise Interrupted(result()) from stop
    return result()


def _samples(known: Surface) -> Samples:
    if not isinstance(known, Surface):
        raise InvalidInput(f"known is a {type(known).__name__}; give the Surface of an earlier call")
    samples = Samples.on(known.x, known.y)
    for name in ("loss", "error", "misclassified", "misclassified_error", "evaluated"):
        setattr(samples, name, getattr(known, name).ravel())
    return samples
