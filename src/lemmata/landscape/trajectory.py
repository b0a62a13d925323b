"""Where training went, on the plane that shows most of it, and what that plane leaves out (Li et al., 2018, section 7).

The displacements theta_i - theta_n of checkpoints from the last one are the rows of D (K, P). The plane through theta_n
is spanned by their first two principal components, which need only the Gram matrix G = D D^T (K, K): with C the
centring matrix and C G C a_j = lambda_j a_j,

    d_j = D^T C a_j / sqrt(lambda_j),      coordinates of theta_i = (G C a_j)_i / sqrt(lambda_j),

the d_j of unit length, so that coordinates are distances in parameter space. lambda_j / sum lambda is the share of the
variance that component j explains (the end is one of the rows, so that three checkpoints have a plane).

A path on a surface looks like a walk over it; it is not one. The checkpoints lie beside the plane, and the loss there
is not the one drawn. So each comes with its distance from the plane, its own loss, and the plane's at its projection.

Cost: K^2 P / 2 flops, the surface, and two evaluations a checkpoint. A random walk in many dimensions projects to
Lissajous curves (Antognini and Sohl-Dickstein, 2018): a smooth arc is no sign of a smooth path. Random directions,
which may be given, explain almost nothing and make the path a point.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.landscape.adaptive import Refinement
from lemmata.landscape.directions import Direction, checked_directions
from lemmata.landscape.projection import project
from lemmata.landscape.samples import Progress
from lemmata.landscape.slice import BatchNorm, Slice
from lemmata.landscape.surface import Surface, over, plane_axes
from lemmata.objective import Objective, Subject, Tree

MARGIN = 0.25


@dataclass(frozen=True, eq=False)
class Trajectory:
    """K checkpoints on a plane through the last one, and beside it.

    `path` (K, 2) are their coordinates on `surface`, `distance` (K,) their distance from the plane and `travelled`
    (K,) that from the last checkpoint, in parameter space. `loss` (K,) is theirs, `plane_loss` (K,) that of their
    projections. `explained` holds the share of the variance of each principal component, the plane's two first (of
    directions that were given: the share of each in the squared displacement). `cost` is in gradients.
    """

    surface: Surface
    path: np.ndarray
    distance: np.ndarray
    travelled: np.ndarray
    loss: np.ndarray
    plane_loss: np.ndarray
    explained: np.ndarray
    cost: float

    def plot(self) -> Figure:
        """Draw the path over the contours, what lies beside the plane, and both losses, checkpoint by checkpoint."""
        share = float(self.explained[:2].sum())
        labels = [f"direction {j + 1} ({100 * self.explained[j]:.0f} % of the variance)" for j in (0, 1)]
        path = Series(label="path of training", x=self.path[:, 0], y=self.path[:, 1])
        stops = Series(label="checkpoints", x=self.path[:, 0], y=self.path[:, 1], style="points")
        index = np.arange(len(self.path))
        beside = np.divide(self.distance, self.travelled, out=np.full(len(index), np.nan), where=self.travelled > 0)
        own = Series(label="at the checkpoint", x=index, y=self.loss)
        seen = Series(label="at its projection", x=index, y=self.plane_loss, role="theory")
        finite = np.r_[self.loss, self.plane_loss]
        log = bool((finite[np.isfinite(finite)] > 0).all())
        panels = [
            Panel(
                x=Axis(label=labels[0]), y=Axis(label=labels[1]), fields=[self.surface.field()], series=[path, stops]
            ),
            Panel(
                x=Axis(label="checkpoint"),
                y=Axis(label="distance from the plane / from the end", limits=(0.0, 1.0)),
                series=[Series(label="off the plane", x=index, y=beside)],
            ),
            Panel(x=Axis(label="checkpoint"), y=Axis(label="loss", log=log), series=[own, seen]),
        ]
        caption = (
            f"The plane explains {100 * share:.0f} % of the variance of the path; what is drawn below the path is the "
            f"loss of its projection, up to {self._worst()} that of the checkpoint."
        )
        return Figure(name="trajectory", title="Path of training on its plane", caption=caption, panels=panels)

    def _worst(self) -> str:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(np.log(self.plane_loss / self.loss))
        ratio = ratio[np.isfinite(ratio)]
        return f"{math.exp(ratio.max()):.2g} times (or a fraction of)" if len(ratio) else "very different from"


def trajectory(
    subject: Subject,
    checkpoints: Sequence[Mapping[str, Tensor]],
    *,
    directions: Sequence[Direction] | None = None,
    points: int | tuple[int, int] = 25,
    batch_norm: BatchNorm = None,
    adaptive: bool = True,
    tolerance: float = 0.01,
    budget: int | None = None,
    memory: int = 2**30,
    known: Surface | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Draw the path through `checkpoints` (state dicts, the end of training last) on the plane of its variance.

    `directions` gives another plane through the last checkpoint. The surface covers the path with a quarter of its
    size around it, and is evaluated as `surface` does, `known` being an earlier `Trajectory.surface`. Running
    statistics of batch normalisation are the last checkpoint's all over the plane; ``batch_norm="reestimate"`` is
    fairer to points far from it. `memory` bounds the bytes beside the checkpoints themselves.

    Raises `InvalidInput` for fewer than three checkpoints, ones that do not fit the model, or that all lie on a line.

    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> steps = [{"weight": torch.tensor([w])} for w in ([2.0, 1.0], [1.0, 0.0], [0.0, 0.0])]
    >>> found = trajectory((model, "mse", (torch.eye(2), torch.zeros(2, 1))), steps, points=5)
    >>> found.path.shape, bool(np.allclose(found.distance, 0, atol=1e-3))
    ((3, 2), True)
    """
    objective = Objective.of(subject)
    if len(checkpoints) < 3:
        raise InvalidInput(f"{len(checkpoints)} checkpoints; a plane of a path needs three at least")
    end = objective.at(checkpoints[-1])
    origin = end.parameters
    states = [_parameters(objective, state, place) for place, state in enumerate(checkpoints)]
    if directions is None:
        plane, explained = _principal_plane(states, origin, memory)
    else:
        plane, explained = checked_directions(end, directions, 2), np.zeros(0)
    projected = [project(state, origin, plane) for state in states]
    path = np.array([p.coordinates for p in projected])
    distance, travelled = np.array([p.distance for p in projected]), np.array([p.length for p in projected])
    if directions is not None:
        explained = _shares(path, plane, travelled)
    cut = Slice(end, plane, batch_norm=batch_norm)
    x, y = plane_axes(_around(path), points)
    drawn = over(
        cut, x, y, refinement=Refinement(tolerance, budget) if adaptive else None, known=known, progress=progress
    )
    own = np.array([Slice(objective.at(s), plane, batch_norm=batch_norm)(np.zeros((1, 2)))[0][0] for s in checkpoints])
    cost = drawn.cost + 2 * len(path) * cut.cost
    return Trajectory(drawn, path, distance, travelled, own, cut(path)[0], explained, cost)


def _parameters(objective: Objective, state: Mapping[str, Tensor], place: int) -> Mapping[str, Tensor]:
    own = objective.parameters
    for name, tensor in own.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InvalidInput(f"checkpoint {place} lacks {name!r} of shape {tuple(tensor.shape)}")
        if not state[name].isfinite().all():
            raise InvalidInput(f"checkpoint {place} has NaN or infinity in {name!r}; leave it out")
    return {name: state[name].to(tensor) for name, tensor in own.items()}


def _principal_plane(
    states: Sequence[Mapping[str, Tensor]], origin: Tree, memory: int
) -> tuple[list[Tree], np.ndarray]:
    """The first two principal components as unit directions, and the shares of variance of all: (K,)."""
    count = len(states)
    gram = torch.zeros(count, count, dtype=torch.float64, device=next(iter(origin.values())).device)
    for rows in _displacements(states, origin, memory):
        gram += rows @ rows.T
    centring = torch.eye(count, dtype=gram.dtype, device=gram.device) - 1 / count
    values, vectors = torch.linalg.eigh(centring @ gram @ centring)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    if not values[1] > 1e-10 * values[0]:
        raise InvalidInput("the checkpoints lie on a line; there is no plane of theirs (draw `between` two of them)")
    combine = (centring @ vectors[:, :2]) / values[:2].sqrt()
    flat = torch.cat([combine.T @ rows for rows in _displacements(states, origin, memory)], 1)
    parts = flat.split([t.numel() for t in origin.values()], 1)
    trees = [
        {name: part[j].reshape(t.shape).to(t.dtype) for (name, t), part in zip(origin.items(), parts, strict=True)}
        for j in (0, 1)
    ]
    return trees, (values / values.sum()).cpu().numpy()


def _displacements(states: Sequence[Mapping[str, Tensor]], origin: Tree, memory: int) -> Iterator[Tensor]:
    """The rows theta_i - theta_n (K, p) in float64, a block of columns after the other, in the order of the tree."""
    columns = max(1, memory // (8 * 4 * len(states)))
    for name, end in origin.items():
        whole = end.reshape(-1)
        for start in range(0, len(whole), columns):
            block = slice(start, start + columns)
            rows = [state[name].reshape(-1)[block].double() - whole[block].double() for state in states]
            yield torch.stack(rows)


def _shares(path: np.ndarray, plane: Sequence[Tree], travelled: np.ndarray) -> np.ndarray:
    """The share of the squared displacements that lies along each direction."""
    lengths = np.array([sum(float(t.double().square().sum()) for t in d.values()) for d in plane])
    return (np.square(path) * lengths).sum(0) / np.square(travelled).sum()


def _around(path: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    low, high = np.minimum(path.min(0), 0), np.maximum(path.max(0), 0)
    margin = MARGIN * np.maximum(high - low, 1e-3 * (high - low).max())
    (x0, y0), (x1, y1) = (low - margin).tolist(), (high + margin).tolist()
    return (x0, x1), (y0, y1)
