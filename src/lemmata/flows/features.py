"""Features of samples as they flow through the layers of a residual network: what the layers do to the data.

States of more than two numbers are seen in one plane for all layers, that of the two directions in which the states of
all layers together vary most (principal components), so that what moves in the picture is the samples and not the eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, LemmataError
from lemmata.figures import Animation, Axis, Figure, Panel, Series, film
from lemmata.flows.field import UNFITTING
from lemmata.flows.flow import Flow
from lemmata.flows.integrate import march
from lemmata.flows.state import packed
from lemmata.given import require_model, require_tensor, require_whole
from lemmata.modes import Mode, copied_in, mode_of

MOST_CLASSES = 8  # that colours and markers tell apart


@dataclass(frozen=True, eq=False)
class Features:
    """Samples at some layers, in a plane.

    `layers` (F,) are the numbers of steps done, `times` (F,) the times, `points` (F, n, 2) the samples in the plane,
    `labels` (n,) their classes or None. `share` is the part of the variance of all states that the plane holds, 1 for
    states of two numbers; `axes` (2, width) are the plane's directions and `centre` (width,) its origin.
    """

    layers: np.ndarray
    times: np.ndarray
    points: np.ndarray
    labels: np.ndarray | None
    share: float
    axes: np.ndarray
    centre: np.ndarray

    def plot(self) -> Figure:
        """Draw the samples at the layers: four of them on paper, all of them to be played on a page."""
        low, high = self.points.min((0, 1)), self.points.max((0, 1))
        room = 0.05 * np.maximum(high - low, 1e-12)
        plane = self.axes.shape[1] == 2
        names = ("first feature", "second feature") if plane else ("first component", "second component")
        x, y = (Axis(label=names[i], limits=(low[i] - room[i], high[i] + room[i])) for i in (0, 1))
        frames = [Panel(x=x, y=y, series=self._clouds(points), equal=True) for points in self.points]
        seen = "" if plane else f" Seen in the plane of {100 * self.share:.0f} % of the variance over all layers."
        return film(
            "features", "Features through the layers", f"{self.points.shape[1]} samples.{seen}",
            Animation(label="layer", values=[int(layer) for layer in self.layers], frames=frames),
        )  # fmt: skip

    def _clouds(self, points: np.ndarray) -> list[Series]:
        if self.labels is None:
            return [Series(label="samples", x=points[:, 0], y=points[:, 1], style="points")]
        clouds = ((c, points[self.labels == c]) for c in np.unique(self.labels))
        return [Series(label=f"class {c}", x=cloud[:, 0], y=cloud[:, 1], style="points") for c, cloud in clouds]


def features(
    model: nn.Module, x: Tensor, labels: Tensor | None = None, *, frames: int = 33, mode: Mode | None = None
) -> Features:
    """Follow the samples x (n, ...) through the `Flow` that the model is or holds, at most `frames` layers of it.

    `labels` (n,) are whole numbers, of at most 8 classes. What stands before the flow in the model is applied, what
    stands behind it is not looked at. Of a pair (q, p) both are followed. The model is not changed.
    Raises `InvalidInput` for a model without a flow or with several, states of one number, and labels that do not fit.
    Cost: one forward pass, and `frames` copies of the states.

    >>> from lemmata import flows
    >>> flow = flows.Flow(flows.Plain(3, flows.PiecewiseConstant(8, T=2.0)), steps=8)
    >>> net = nn.Sequential(nn.Linear(2, 3), flow, nn.Linear(3, 2))
    >>> seen = features(net, torch.zeros(5, 2), frames=5)
    >>> seen.layers.tolist(), seen.points.shape
    ([0, 2, 4, 6, 8], (5, 5, 2))
    """
    require_whole(frames, "frames", least=2)
    if not require_tensor(x, "samples x").ndim:
        raise InvalidInput(f"samples x is one number, {x.item()}; give samples (n, ...)")
    classes = _classes(labels, len(x))
    flow, start = _entered(model, x, mode)
    kept = np.unique(np.linspace(0, flow.grid.steps, min(frames, flow.grid.steps + 1)).round().astype(int))
    with torch.no_grad():
        states = [start, *march(flow.field, start, flow.grid, flow.method)]
        rows = torch.stack([packed(states[layer]) for layer in kept]).double()
    axes, centre, share = _plane(rows)
    points = (rows - centre) @ axes.mT
    times = flow.grid.times[torch.as_tensor(kept)]
    shown = (tensor.cpu().numpy() for tensor in (points, axes, centre))
    points, axes, centre = shown
    return Features(kept, times.numpy(), points, classes, share, axes, centre)


def _entered(model: nn.Module, x: Tensor, mode: Mode | None) -> tuple[Flow, object]:
    """The one flow of a copy of the model, and the state in which it starts."""
    if isinstance(require_model(model), torch.jit.ScriptModule):
        raise InvalidInput("the model is compiled by torch.jit and shows no flow; give the module it was made of")
    own = copied_in(model, mode_of(model, mode))
    flows = [module for module in own.modules() if isinstance(module, Flow)]
    if len(flows) != 1:
        raise InvalidInput(f"the model holds {len(flows)} flows; give a model that is a flows.Flow or holds one")
    met: list[object] = []
    watched = flows[0].register_forward_pre_hook(lambda _, inputs: met.append(inputs[0]))
    try:
        with torch.no_grad():
            own(x)
    except LemmataError:
        raise
    except UNFITTING as failed:
        raise InvalidInput(
            f"{type(model).__name__} does not take x {tuple(x.shape)} in {x.dtype}: {failed}; give samples that fit"
        ) from failed
    watched.remove()
    if len(met) != 1:
        raise InvalidInput(f"the model runs its flow {len(met)} times a pass; give one that runs it once")
    return flows[0], flows[0].start(met[0])


def _plane(rows: Tensor) -> tuple[Tensor, Tensor, float]:
    """Two orthonormal directions (2, width), the origin (width,) and the share of the variance in their plane."""
    width = rows.shape[-1]
    if width < 2:
        raise InvalidInput("states of one number have no plane to be drawn in; plot the trajectory")
    if not rows.isfinite().all():
        layer = int((~rows.isfinite()).flatten(1).any(1).nonzero()[0])
        raise InvalidInput(f"the states are not finite from frame {layer} on; shorten the step or look at the weights")
    centre = torch.zeros(width, dtype=rows.dtype, device=rows.device) if width == 2 else rows.mean((0, 1))
    if width == 2:
        return torch.eye(2, dtype=rows.dtype, device=rows.device), centre, 1.0
    spread = (rows - centre).flatten(0, 1)
    eigenvalues, directions = torch.linalg.eigh(spread.mT @ spread)
    axes = directions[:, -2:].flip(1).mT
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()  # the largest entry is positive: one picture
    return axes * signs, centre, float(eigenvalues[-2:].sum() / eigenvalues.sum().clamp_min(1e-300))


def _classes(labels: Tensor | None, n: int) -> np.ndarray | None:
    if labels is None:
        return None
    given = require_tensor(labels, "labels")
    if given.shape != (n,) or given.is_floating_point() or given.is_complex():
        raise InvalidInput(f"labels of shape {tuple(given.shape)} and {given.dtype}; give ({n},) whole numbers")
    if len(given.unique()) > MOST_CLASSES:
        raise InvalidInput(
            f"{len(given.unique())} classes cannot be told apart; give samples of at most {MOST_CLASSES}"
        )
    return given.cpu().numpy()
