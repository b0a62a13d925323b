"""The loss along a line through the parameters: L(theta + x d).

One dimension of the surface that `surface` draws two of; between two checkpoints it is the interpolation of Goodfellow,
Vinyals and Saxe (2015). Cost: 1/3 gradient a point. A line hides what is beside it: that the loss has no barrier along
one proves nothing about another.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.landscape.adaptive import Refinement, measure
from lemmata.landscape.axes import Span, axis
from lemmata.landscape.directions import Direction, Normalization, checked_directions, random_directions
from lemmata.landscape.export import save_npz, save_vtk
from lemmata.landscape.samples import Interrupted, Progress, Samples
from lemmata.landscape.slice import BatchNorm, Slice
from lemmata.objective import Objective, Subject, Tree

Marks = tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, eq=False)
class Line:
    """The loss at the coordinates `x` (n,), in units of the direction.

    `loss` (n,) is raw: NaN and infinity are kept. `misclassified` (n,) is the share of samples whose largest output is
    not at their label, NaN where there are no labels. `error` and `misclassified_error` (n,) estimate how far a value
    is off: 0 where it was `evaluated`, infinite where nothing is known. `evaluations` counts those of this call and
    `cost` them in gradients. `marks` names the points the line was laid through.
    """

    x: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    misclassified: np.ndarray
    misclassified_error: np.ndarray
    evaluated: np.ndarray
    directions: tuple[Tree, ...]
    evaluations: int
    cost: float
    marks: Marks = ()

    def plot(self) -> Figure:
        """Draw the loss, and where there are labels the misclassified share; gaps are where the loss is not finite."""
        panels = [_panel(self, "loss", self.loss, self.error)]
        if np.isfinite(self.misclassified).any():
            panels.append(_panel(self, "misclassified share", self.misclassified, self.misclassified_error))
        caption = f"{int(self.evaluated.sum())} of {len(self.x)} points evaluated, {self.cost:.3g} gradients."
        holes = int((self.evaluated & ~np.isfinite(self.loss)).sum())
        if holes:
            caption += f" At {holes} the loss is not finite."
        return Figure(name="loss_along_a_line", title="Loss along a line", caption=caption, panels=panels)

    def save_npz(self, path: Path | str) -> Path:
        """Write everything to an .npz file, which `load_npz` reads."""
        return save_npz(self, path)

    def save_vtk(self, path: Path | str) -> Path:
        """Write the line to a .vtk file for ParaView."""
        return save_vtk(self, path)


def line(
    subject: Subject,
    *,
    direction: Direction | None = None,
    normalization: Normalization = "filter",
    biases: bool = False,
    span: Span = 1.0,
    points: int = 51,
    batch_norm: BatchNorm = None,
    adaptive: bool = False,
    tolerance: float = 0.01,
    budget: int | None = None,
    seed: int | torch.Generator = 0,
    known: Line | None = None,
    progress: Progress | None = None,
) -> Line:
    """Evaluate the loss along `direction`, or along a random one normalised as `random_directions` says.

    `span` is the half-width, or (low, high), in units of the direction; theta itself (x = 0) is one of the `points`
    wherever it is inside. `batch_norm` is that of `Slice`; `adaptive`, `tolerance` and `budget` are those of
    `surface`. `known` is an earlier result whose points are not evaluated
    again. `progress(done, total)` is called after every point. Ctrl-C raises `Interrupted` (a `KeyboardInterrupt`)
    whose `partial` is the line so far. Costs points / 3 gradients.

    >>> x, model = torch.eye(2), torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.zero_()
    >>> found = line((model, "mse", (x, torch.zeros(2, 1))), direction=torch.tensor([2.0, 0.0]), points=5)
    >>> found.loss.tolist()
    [2.0, 0.5, 0.0, 0.5, 2.0]
    """
    objective = Objective.of(subject)
    if direction is None:
        directions = random_directions(objective, 1, normalization=normalization, biases=biases, seed=seed)
    else:
        directions = checked_directions(objective, [direction], 1)
    refinement = Refinement(tolerance, budget) if adaptive else None
    cut = Slice(objective, directions, batch_norm=batch_norm)
    return along(cut, axis(span, points), refinement=refinement, known=known, progress=progress)


def along(
    cut: Slice,
    x: np.ndarray,
    *,
    refinement: Refinement | None = None,
    known: Line | None = None,
    progress: Progress | None = None,
    marks: Marks = (),
) -> Line:
    """Evaluate a one-dimensional slice at the coordinates x (n,), all of them or as the refinement says."""
    samples = Samples.on(x)

    def result() -> Line:
        values = (samples.loss, samples.error, samples.misclassified, samples.misclassified_error, samples.evaluated)
        return Line(x, *values, cut.directions, samples.evaluations, samples.evaluations * cut.cost, marks)

    anchors = [(0.0,), *(at for _, at in marks)]
    try:
        if known is not None:
            samples.take(_samples(known), cut)
        measure(samples, cut, (len(x),), anchors=anchors, refinement=refinement, progress=progress)
    except KeyboardInterrupt as stop:
        raise Interrupted(result()) from stop
    return result()


def _samples(known: Line) -> Samples:
    if not isinstance(known, Line):
        raise InvalidInput(f"known is a {type(known).__name__}; give the Line of an earlier call")
    values = (known.loss, known.error, known.misclassified, known.misclassified_error, known.evaluated)
    return Samples(known.x[:, None], *values)


def _panel(found: Line, label: str, values: np.ndarray, error: np.ndarray) -> Panel:
    shown = np.where(np.isfinite(values), values, np.nan)
    finite = shown[np.isfinite(shown)]
    log = bool(len(finite)) and finite.min() > 0 and finite.max() > 30 * finite.min()
    references = [Reference(label=name, value=at[0], axis="x", role="theory") for name, at in found.marks]
    low = high = None
    if (error > 0).any() and np.isfinite(error).all():  # equal factors up and down on a logarithmic scale
        low, high = shown * shown / (shown + error) if log else shown - error, shown + error
    series = [Series(label=label, x=found.x, y=shown, low=low, high=high)]
    if not found.evaluated.all():
        at = found.evaluated & np.isfinite(values)
        series.append(Series(label="evaluated", x=found.x[at], y=values[at], style="points"))
    return Panel(
        x=Axis(label="coordinate along the line"), y=Axis(label=label, log=log), series=series, references=references
    )
