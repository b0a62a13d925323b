"""The loss between checkpoints: along the line through two (Goodfellow, Vinyals, Saxe, 2015), over the plane of three.

    line      theta(x) = (1 - x) a + x b
    plane     theta(x, y) = a + x (b - a) + y e

The second direction e of the plane is the part of c - a orthogonal to b - a, at the length of b - a: distances in the
picture are those in parameter space, in units of |b - a| (Garipov et al., 2018, section 5). Every checkpoint is a point
of the grid, at its coordinates, so that its loss is among the values.

Running statistics of batch normalisation are interpolated with the parameters unless they are estimated anew. Cost:
1/3 gradient a point. Networks with permuted units are the same function and yet far apart: a barrier between two
minima may be one of coordinates only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lemmata.errors import InvalidInput
from lemmata.landscape.adaptive import Refinement
from lemmata.landscape.axes import Span, axis
from lemmata.landscape.line import Line, along
from lemmata.landscape.samples import Progress
from lemmata.landscape.slice import BatchNorm, Slice
from lemmata.landscape.surface import Surface, over, plane_axes
from lemmata.objective import Objective, Subject, Tree


def between(
    subject: Subject,
    states: Sequence[Mapping[str, Tensor]],
    *,
    span: Span | tuple[tuple[float, float], tuple[float, float]] | None = None,
    points: int | tuple[int, int] | None = None,
    orthogonal: bool = True,
    batch_norm: BatchNorm = None,
    adaptive: bool | None = None,
    tolerance: float = 0.01,
    budget: int | None = None,
    known: Line | Surface | None = None,
    progress: Progress | None = None,
) -> Line | Surface:
    """Evaluate the loss on the line through two `states` (`Line`) or the plane through three (`Surface`).

    `states` are state dicts of the subject's model (what they leave out is the model's own). The coordinates of the
    first are 0, of the second 1 and (1, 0). `span` is by default (0, 1) on a line, and on a plane the box around the
    three with a quarter of the longer side around it. With ``orthogonal=False`` the third is at (0, 1). The rest is as
    for `line` (51 points) and `surface` (25 by 25), `adaptive` being the default on a plane only.

    Raises `InvalidInput` for states that do not fit the model, are equal, or three on one line.

    >>> import torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> states = [{"weight": torch.tensor([[w]])} for w in (0.0, 2.0)]
    >>> between((model, "mse", (torch.ones(1, 1), torch.ones(1, 1))), states, points=5).loss.tolist()
    [1.0, 0.25, 0.0, 0.25, 1.0]
    """
    objective = Objective.of(subject)
    if len(states) not in (2, 3):
        raise InvalidInput(f"{len(states)} states; a line goes through two, a plane through three")
    trees = [_moving(objective, state, batch_norm) for state in states]
    steps = [{name: tree[name] - start for name, start in trees[0].items()} for tree in trees[1:]]
    if not any(t.any() for t in steps[0].values()):
        raise InvalidInput("the first two states are equal; there is no line through them")
    refined = len(states) == 3 if adaptive is None else adaptive
    cut_options = {"origin": trees[0], "batch_norm": batch_norm}
    options = {"refinement": Refinement(tolerance, budget) if refined else None, "progress": progress}
    if len(states) == 2:
        return _line(Slice(objective, steps, **cut_options), span, points, known=known, **options)
    second, third = _second(objective, steps[0], steps[1]) if orthogonal else (steps[1], (0.0, 1.0))
    cut = Slice(objective, [steps[0], second], **cut_options)
    return _surface(cut, third, span, points, known=known, **options)


def _line(cut: Slice, span: Any, points: Any, *, known: Any, **options: Any) -> Line:
    if isinstance(points, tuple) or (isinstance(span, tuple) and isinstance(span[0], tuple)):
        raise InvalidInput(f"span {span} and points {points}: a line has one axis")
    x = axis((0.0, 1.0) if span is None else span, points or 51, (0.0, 1.0))
    return along(cut, x, known=known, marks=(("a", (0.0,)), ("b", (1.0,))), **options)


def _surface(cut: Slice, third: tuple[float, float], span: Any, points: Any, *, known: Any, **options: Any) -> Surface:
    at = ((0.0, 0.0), (1.0, 0.0), third)
    x, y = plane_axes(_around(at) if span is None else span, points or 25, at)
    return over(cut, x, y, known=known, marks=tuple(zip("abc", at, strict=True)), **options)


def _moving(objective: Objective, state: Mapping[str, Tensor], batch_norm: BatchNorm) -> Tree:
    """The parameters of the objective, and running statistics if they are used, at a state."""
    moved = objective.at(state)
    tree = moved.parameters
    if batch_norm == "running" or (batch_norm is None and objective.mode == "eval"):
        for prefix, module in moved.model.named_modules():
            if isinstance(module, _BatchNorm) and module.running_mean is not None:
                for name in ("running_mean", "running_var"):
                    tree[f"{prefix}.{name}".lstrip(".")] = module.get_buffer(name).clone()
    for name, tensor in tree.items():
        if not tensor.isfinite().all():
            raise InvalidInput(f"a state has NaN or infinity in {name!r}")
    return tree


def _second(objective: Objective, first: Tree, other: Tree) -> tuple[Tree, tuple[float, float]]:
    """The direction orthogonal to `first` of its length, in their plane, and the coordinates of `other`.

    Lengths are those of the parameters alone; running statistics go along.
    """
    u, v = (objective.vector({name: tree[name] for name in objective.names}).double() for tree in (first, other))
    along_first = float(u.dot(v) / u.dot(u))
    height = float((v - along_first * u).norm() / u.norm())
    if not height > 1e-6 * max(1.0, abs(along_first)):
        raise InvalidInput("the three states lie on one line; there is no plane through them")
    return {n: (other[n] - along_first * first[n]) / height for n in first}, (along_first, height)


def _around(at: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    sides = [(min(c), max(c)) for c in zip(*at, strict=True)]
    margin = max(high - low for low, high in sides) / 4
    (x0, x1), (y0, y1) = sides
    return (x0 - margin, x1 + margin), (y0 - margin, y1 + margin)
