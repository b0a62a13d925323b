"""The loss along any path of states, sample by sample.

A path is a function t -> state on [0, 1]. At each point every sample's loss is kept, so that the barrier has an
interval and paths over the same samples can be compared in pairs. Cost: one forward pass over the data a point, 1/3
gradient, and as much again where the statistics of batch normalisation are recomputed. Memory: `chunk` samples'
activations, and points x samples numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from lemmata.batches import Data, read_batches
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_whole
from lemmata.landscape.batch_norm import normalisations, recomputed
from lemmata.landscape.paths.barrier import Barrier, barrier
from lemmata.landscape.samples import Interrupted, Progress
from lemmata.landscape.states import State, template_of
from lemmata.objective import LOSSES, Loss

BatchNorm = Literal["keep", "recompute"]
Points = int | Sequence[float] | np.ndarray


@dataclass(frozen=True, eq=False)
class Path:
    """The losses of n samples at the points `t` (T,) of a path.

    `samples` (T, n) are the samples' losses and `wrong` (T, n) whether their largest output misses the label (NaN where
    targets are no labels), in the order of the data; `test` is the same path on other data. `cost` counts gradients.
    """

    t: np.ndarray
    samples: np.ndarray
    wrong: np.ndarray
    cost: float
    test: Path | None = None

    @cached_property
    def loss(self) -> np.ndarray:
        """The mean loss (T,)."""
        return self.samples.mean(1)

    @cached_property
    def error(self) -> np.ndarray:
        """The misclassified share (T,), NaN without labels."""
        return self.wrong.mean(1)

    @cached_property
    def barrier(self) -> Barrier:
        """The height of the loss above the straight line between the ends' losses."""
        return barrier(self.t, self.samples, cost=self.cost)

    @cached_property
    def error_barrier(self) -> Barrier:
        """The same of the misclassified share."""
        return barrier(self.t, self.wrong, cost=self.cost)

    def plot(self) -> Figure:
        """Draw loss and misclassified share, with pointwise 95 % bands over the samples and the line of no barrier."""
        panels = [_panel("loss", self, lambda path: path.samples)]
        if np.isfinite(self.wrong).all():
            panels.append(_panel("misclassified share", self, lambda path: path.wrong))
        caption = f"{len(self.t)} points, {self.samples.shape[1]} samples, {self.cost:.3g} gradients."
        if self.t[0] == 0.0 and self.t[-1] == 1.0 and np.isfinite(self.barrier.errors).all():
            low, high = self.barrier.interval()
            caption += f" Barrier of the loss {self.barrier.value:.3g}, 95 % interval [{low:.3g}, {high:.3g}]."
        return Figure(name="path", title="Loss along a path", caption=caption, panels=panels)


def points_of(points: Points) -> np.ndarray:
    """The points of a path: evenly spaced ones, or those given, increasing from 0 to 1.

    >>> points_of(3).tolist()
    [0.0, 0.5, 1.0]
    """
    if isinstance(points, int):
        return np.linspace(0.0, 1.0, require_whole(points, "points", least=2))
    t = np.asarray(points, dtype=float)
    if t.ndim != 1 or len(t) < 2 or t[0] != 0.0 or t[-1] != 1.0 or not (np.diff(t) > 0).all():
        raise InvalidInput(f"points {points!r}; give how many, or increasing numbers from 0 to 1, both ends among them")
    return t


def along(
    model: nn.Module,
    at: Callable[[float], State],
    *,
    loss: Loss,
    data: Data,
    points: Points = 25,
    batch_norm: BatchNorm = "keep",
    test: Data | None = None,
    chunk: int = 1024,
    known: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Evaluate the path `at`: t -> state of the model, at its `points`.

    The model is evaluated in evaluation mode, at the states, and never changed. ``batch_norm="keep"`` takes the running
    statistics of the states, ``"recompute"`` those of `data` at each point (for `test` too). `known` is an earlier
    result, whose points are not evaluated again. `progress(done, total)` is called after every point. Ctrl-C raises
    `Interrupted` (a `KeyboardInterrupt`) whose `partial` is the path so far; the ends come first.
    """
    if not callable(loss) and loss not in LOSSES:
        raise UnknownName("loss", loss, LOSSES)
    if batch_norm not in ("keep", "recompute"):
        raise UnknownName("batch_norm", batch_norm, ("keep", "recompute"))
    t, model = points_of(points), template_of(model)
    batches = read_batches(data, chunk)
    others = [] if test is None else read_batches(test, chunk)
    again = batch_norm == "recompute" and bool(normalisations(model))
    done: dict[float, tuple[np.ndarray, np.ndarray]] = {}
    tested: dict[float, tuple[np.ndarray, np.ndarray]] = {}

    def measure(t: float) -> None:
        state = recomputed(model, at(t), batches) if again else at(t)
        if others:
            tested[t] = values_at(model, state, others, loss)
        done[t] = values_at(model, state, batches, loss)

    cost = (2 if again else 1) / 3
    if known is not None:
        _take(known, measure, done, tested, with_test=bool(others))
    wanted = [0.0, 1.0, *t[1:-1].tolist()]
    try:
        for place in wanted:
            if place not in done:
                measure(place)
            if progress is not None:
                progress(len(done), len(t))
    except KeyboardInterrupt as stop:
        raise Interrupted(_gathered(done, tested, cost)) from stop
    return _gathered({place: done[place] for place in t.tolist()}, tested, cost)


@torch.no_grad()
def values_at(
    model: nn.Module, state: Mapping[str, Tensor], batches: Sequence[tuple[Tensor, Tensor]], loss: Loss
) -> tuple[np.ndarray, np.ndarray]:
    """The samples' losses (n,) and whether they are misclassified (n,), float64, at one state."""
    names = {name for name, _ in [*model.named_parameters(), *model.named_buffers()]}  # tied ones once
    own = {name: tensor for name, tensor in state.items() if name in names}
    losses, wrong = [], []
    for x, y in batches:
        outputs = functional_call(model, own, (x,))
        losses.append(sample_losses(outputs, y, loss).double().cpu())
        wrong.append(_missed(outputs, y).double().cpu())
    return torch.cat(losses).numpy(), torch.cat(wrong).numpy()


def sample_losses(outputs: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """The loss of each sample: outputs (n, ...), targets (n, ...) -> (n,); a callable is a mean over samples.

    >>> sample_losses(torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1), "mse").tolist()
    [1.0, 9.0]
    """
    if callable(loss):
        return vmap(lambda output, target: loss(output[None], target[None]))(outputs, y)
    if loss == "mse":
        if outputs.shape != y.shape:
            raise InvalidInput(f"mse: outputs {tuple(outputs.shape)} but targets {tuple(y.shape)}; make them equal")
        return (outputs - y).square().flatten(1).mean(1)
    return functional.cross_entropy(outputs, y.long(), reduction="none").flatten(1).mean(1) if outputs.ndim > 2 else (
        functional.cross_entropy(outputs, y.long(), reduction="none")
    )  # fmt: skip


def _missed(outputs: Tensor, y: Tensor) -> Tensor:
    if y.is_floating_point() or y.ndim != 1 or outputs.ndim != 2:
        return torch.full((len(y),), torch.nan)
    return (outputs.argmax(1) != y) | outputs.isnan().any(1)  # the largest of NaN would be the first


def _take(
    known: Path,
    measure: Callable[[float], None],
    done: dict[float, tuple[np.ndarray, np.ndarray]],
    tested: dict[float, tuple[np.ndarray, np.ndarray]],
    *,
    with_test: bool,
) -> None:
    """Take over what an earlier result has, one point of it evaluated again to see that it is of the same path."""
    if not isinstance(known, Path):
        raise InvalidInput(f"known is a {type(known).__name__}; give the Path of an earlier call")
    if not len(known.t) or (with_test and known.test is None):
        return
    for place in sorted({0, len(known.t) // 2}):  # two points: paths of one start agree there, reversed ones halfway
        t = float(known.t[place])
        measure(t)
        for parts, path in ((done, known), (tested, known.test if with_test else None)):
            if path is not None and (
                len(parts[t][0]) != path.samples.shape[1]
                or not np.allclose(parts[t][0], path.samples[place], rtol=1e-4, atol=1e-6, equal_nan=True)
            ):
                raise InvalidInput(
                    f"known has other losses at t = {t:g} than now: it is of another path, or other data"
                )
    for parts, path in ((done, known), (tested, known.test if with_test else None)):
        if path is not None:
            parts.update(zip(path.t.tolist(), zip(path.samples, path.wrong, strict=True), strict=True))


def _gathered(
    done: dict[float, tuple[np.ndarray, np.ndarray]], tested: dict[float, tuple[np.ndarray, np.ndarray]], cost: float
) -> Path:
    t = np.array(sorted(done))
    samples, wrong = (np.array([done[place][part] for place in t.tolist()]) for part in (0, 1))
    own = {place: tested[place] for place in t.tolist() if place in tested}
    return Path(t, samples, wrong, cost * len(t), _gathered(own, {}, 1 / 3) if own else None)


def _panel(label: str, path: Path, values: Callable[[Path], np.ndarray]) -> Panel:
    series, ends = [], values(path).mean(1)[[0, -1]]
    for name, own in (("data", path), ("test data", path.test)):
        if own is None:
            continue
        mean, n = values(own).mean(1), values(own).shape[1]
        half = 1.96 * values(own).std(1, ddof=1) / n**0.5 if n > 1 else 0 * mean
        series.append(Series(label=name, x=own.t, y=mean, low=mean - half, high=mean + half))
    series.append(Series(label="no barrier", x=path.t[[0, -1]], y=ends, role="theory"))
    at = [Reference(label="highest", value=path.barrier.at, axis="x", role="theory")] if len(path.t) > 2 else []
    return Panel(x=Axis(label="t"), y=Axis(label=label), series=series, references=at if label == "loss" else [])
