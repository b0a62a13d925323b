"""How far the tangent kernel of M networks moves while they are trained.

    change     |K_t - K_0|_F / |K_0|_F
    distance   1 - <K_t, K_0> / (|K_t|_F |K_0|_F)               of two kernels, whatever their sizes
    velocity   the distance from the kernel at the measurement before
    alignment  <K_t, y y^T> / (|K_t|_F |y|^2)                   with targets y

In the infinite-width limit K_t = K_0 (Jacot, Gabriel, Hongler, 2018); networks that learn features move it, most at
first (Fort et al., 2020, whose kernel distance this is). Cost of a measurement: the kernels of the members. Small
networks are taken together, mapped over members, by contraction of their Jacobians; larger ones one after another, by
the structure of their layers, where that takes fewer flops. Memory: two kernels a member.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.given import require_tensor
from lemmata.kernels.empirical.empirical_ntk import Outputs
from lemmata.kernels.empirical.member_kernels import MemberKernels
from lemmata.objective import Mode
from lemmata.short_repr import short_repr
from lemmata.training.epochs import Epochs, log_epochs
from lemmata.training.probes import WeightProbe

Quantity = Literal["change", "distance", "velocity", "alignment"]
QUANTITIES = ("change", "distance", "velocity", "alignment")


def start_and_log_epochs(epochs: int) -> list[int]:
    """Before training, and at about thirty epochs evenly spaced in their logarithm.

    >>> start_and_log_epochs(3)
    [0, 1, 2, 3]
    """
    return sorted({0, *log_epochs(30)(epochs)})


@dataclass(frozen=True, eq=False)
class KernelMovement:
    """One measurement of M members, each (M,) in float64: see the module. `norm` is |K_t|_F.

    `velocity` is 0 at the first measurement; `alignment` is None without targets.
    """

    change: Tensor
    distance: Tensor
    velocity: Tensor
    alignment: Tensor | None
    norm: Tensor

    __repr__ = short_repr


class NTKTracker:
    """Measures the tangent kernels of M members on the samples x against those of the first measurement.

    `outputs`, `parameters`, `mode` and `memory` as for `empirical_ntk`; y are targets: (n, C) for the full kernel, else
    (n,). `history` keeps every measurement. Members that leave are recognised by their parameters.

    >>> model = nn.Linear(1, 1, bias=False)                   # linear: its kernel never moves
    >>> tracker = NTKTracker(model, torch.tensor([[1.0], [2.0]]))
    >>> start = tracker.measure({"weight": torch.zeros(2, 1, 1)})
    >>> tracker.measure({"weight": torch.ones(2, 1, 1)}).change
    tensor([0., 0.], dtype=torch.float64)
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor | None = None,
        *,
        outputs: Outputs = "full",
        parameters: Sequence[str] | None = None,
        mode: Mode | None = None,
        memory: int = 2**31,
    ):
        self.kernels = MemberKernels(model, x, outputs=outputs, parameters=parameters, mode=mode, memory=memory)
        self.targets = None if y is None else _direction(y, self.kernels.size)
        self.memory = memory
        self.history: list[KernelMovement] = []
        self._points = self._first = self._last = torch.empty(0)

    def __repr__(self) -> str:
        return f"<NTKTracker of a kernel of size {self.kernels.size}: {len(self.history)} measurements>"

    def measure(self, states: Mapping[str, Tensor]) -> KernelMovement:
        """Measure M members given by states {name: (M, *shape)} of parameters and buffers."""
        names = self.kernels.names
        missing = [name for name in names if name not in states]
        if missing:
            raise InvalidInput(f"the states have no {missing[0]!r}, which the kernel is differentiated by")
        points = torch.cat([states[name].detach().flatten(1) for name in names], 1)
        needed = 3 * len(points) * self.kernels.size**2 * points.element_size()
        if needed > self.memory:
            raise InvalidInput(
                f"three kernels of each of {len(points)} members take {needed:.3g} bytes, and memory is "
                f"{self.memory:.3g}; give memory={needed}, fewer samples, or outputs='trace'"
            )
        K = self.kernels.of({name: tensor.detach() for name, tensor in states.items()})
        if not len(self._points):
            self._first = self._last = K
        elif len(points) != len(self._points):  # members have left: each goes on from the record it is nearest to
            nearest = torch.cdist(points, self._points).argmin(1)
            self._first, self._last = self._first[nearest], self._last[nearest]
        found = KernelMovement(
            change=_norm(K - self._first) / _norm(self._first),
            distance=_distance(K, self._first),
            velocity=_distance(K, self._last),
            alignment=None if self.targets is None else self._alignment(K),
            norm=_norm(K),
        )
        self._points, self._last = points.clone(), K
        self.history.append(found)
        return found

    def curve(self, quantity: Quantity) -> np.ndarray:
        """One quantity over all measurements, (M, T). Raises `InvalidInput` where members left in between."""
        values = [getattr(each, quantity) for each in self.history]
        if not values or any(value is None for value in values) or len({len(value) for value in values}) > 1:
            raise InvalidInput(f"no curve of {quantity!r}: nothing is measured, there are no targets, or members left")
        return torch.stack(values, 1).cpu().numpy()

    def plot(self, at: Sequence[float] | None = None) -> Figure:
        """Draw what was measured, against the epochs `at`, or the number of the measurement."""
        steps = np.arange(len(self.history), dtype=float) if at is None else np.asarray(at, dtype=float)
        if len(steps) != len(self.history):
            raise InvalidInput(f"{len(steps)} epochs for {len(self.history)} measurements")
        label = "measurement" if at is None else "epoch"
        panels = []
        for quantity in QUANTITIES[: 4 if self.targets is not None else 3]:
            values = self.curve(quantity)
            mean, low, high = mean_and_band(values)
            series = Series(label="mean, 95 % interval", x=steps, y=mean, low=low, high=high, seeds=values)
            panels.append(Panel(x=Axis(label=label), y=Axis(label=LABELS[quantity]), series=[series]))
        title = "The tangent kernel along training"
        caption = f"{len(values)} members, their mean and its 95 % interval; 0 is a kernel that stays."
        return Figure(name="kernel-movement", title=title, caption=caption, panels=panels)

    def _alignment(self, K: Tensor) -> Tensor:
        assert self.targets is not None
        y = self.targets.to(K)
        return torch.einsum("i,mij,j->m", y, K, y).double() / _norm(K)


LABELS = {
    "change": "relative change of the kernel",
    "distance": "kernel distance from the start",
    "velocity": "kernel distance since last measured",
    "alignment": "alignment with targets",
}


@dataclass(frozen=True)
class NTKProbe(WeightProbe):
    """A probe of `lemmata.training.train`; `tracker.history` has all quantities of each measurement."""

    tracker: NTKTracker = field(kw_only=True, repr=False)


def ntk_probe(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    *,
    quantity: Quantity = "change",
    at: Epochs = start_and_log_epochs,
    outputs: Outputs = "full",
    parameters: Sequence[str] | None = None,
    mode: Mode | None = None,
    memory: int = 2**31,
) -> NTKProbe:
    """Measure how the tangent kernel of all members moves while `lemmata.training.train` trains them.

    `model` is any one of them, x (n, ...) the samples of the kernel, y targets for its alignment. The curve is of
    `quantity`; the others are in the `history` of the probe's tracker. Movement is counted from the first of the
    epochs `at`, by default 0, before training. Use a probe for one training only, since it remembers the members.

    >>> from lemmata import nets
    >>> from lemmata.training import GD, train
    >>> x = torch.linspace(-1, 1, 10)[:, None]
    >>> models = [nets.mlp(1, [8], 1, activation="tanh", seed=seed) for seed in range(3)]
    >>> probe = ntk_probe(models[0], x)
    >>> result = train(models, x, x**2, loss="mse", optimiser=GD(lr=0.1), epochs=10, probes={"change": probe})
    >>> epochs, change = result.curves["change"]
    >>> change.shape, change[:, 0].tolist(), bool((change[:, -1] > 0).all())
    (torch.Size([3, 11]), [0.0, 0.0, 0.0], True)
    """
    if quantity not in QUANTITIES:
        raise UnknownName("quantity", str(quantity), QUANTITIES)
    if quantity == "alignment" and y is None:
        raise InvalidInput("alignment is with targets; give y")
    tracker = NTKTracker(model, x, y, outputs=outputs, parameters=parameters, mode=mode, memory=memory)
    return NTKProbe(lambda states: getattr(tracker.measure(states), quantity), at, tracker=tracker)


def _norm(K: Tensor) -> Tensor:
    return torch.linalg.vector_norm(K.flatten(1), dim=1, dtype=torch.float64)


def _distance(K: Tensor, L: Tensor) -> Tensor:
    """1 - <K, L> / (|K| |L|) as half the squared distance of the unit matrices, which keeps small ones exact."""
    unit, other = (each.double() / _norm(each)[:, None, None] for each in (K, L))
    return (unit - other).flatten(1).square().sum(1) / 2


def _direction(y: Tensor, size: int) -> Tensor:
    require_tensor(y, "targets y")
    if y.numel() != size or not bool(y.isfinite().all()) or not bool(y.any()):
        raise InvalidInput(f"targets of shape {tuple(y.shape)}: give {size} finite numbers that are not all zero")
    flat = y.detach().reshape(-1).double()
    return flat / flat.norm()
