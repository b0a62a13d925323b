"""Robust accuracy between a bound and an attack: what is proven below, what is not yet broken above.

    share certified at eps  <=  robust accuracy at eps  <=  share that projected gradient descent did not break

The gap says how much a method leaves open; no image may be both certified and broken, which is checked.
Cost: one margin bound an image, radius and method, as long as it is certified; one attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_model, require_number
from lemmata.robustness.attacks import Attack, pgd
from lemmata.robustness.certificates.certified_accuracy_figure import UNITS
from lemmata.robustness.linear_bounds.bounds import METHODS, Clip, margin_bounds, prepared
from lemmata.short_repr import short_repr

NAMES = {"interval": "intervals", "crown-ibp": "CROWN-IBP", "crown": "CROWN", "alpha-crown": "alpha-CROWN"}


@dataclass(frozen=True, eq=False)
class Enclosure:
    """`certified` {method: (E, N) bool} and `attack` at radii `eps` (E,); (N,) images count where they are right.

    `right` (N,) says which images are classified as labelled.
    """

    eps: Tensor
    certified: dict[str, Tensor]
    attack: Attack
    right: Tensor
    norm: str

    __repr__ = short_repr

    @property
    def accuracy(self) -> dict[str, Tensor]:
        """The share of images certified by each method, {method: (E,)}, at most the robust accuracy."""
        return {method: found.double().mean(1) for method, found in self.certified.items()}

    @property
    def contradictions(self) -> Tensor:
        """Which images at which radii were both certified and broken (E, N): none, or something is wrong."""
        proven = torch.stack(list(self.certified.values())).any(0)
        return proven & self.attack.success.cpu()

    def plot(self) -> Figure:
        """Draw the share certified by each method at each radius, and what the attack left, beside one another."""
        x = np.arange(len(self.eps))
        series = [
            Series(label=f"certified: {NAMES.get(method, method)}", x=x, y=share.numpy(), style="points")
            for method, share in self.accuracy.items()
        ]
        left = self.attack.robust_accuracy.cpu().numpy()
        series.append(Series(label=f"not broken: {self.attack.name}", x=x, y=left, style="points", role="control"))
        panel = Panel(
            x=Axis(
                label="radius", unit=UNITS.get(self.norm, self.norm), ticks=tuple(f"{r:.3g}" for r in self.eps.tolist())
            ),
            y=Axis(label="share of images right and robust", limits=(-0.03, 1.03)),
            series=series,
        )
        caption = f"{len(self.right)} images; at each radius the robust accuracy lies between any bound and the attack."
        return Figure(name="enclosure", title="Bounds and attack", caption=caption, panels=[panel])


def enclosure(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: Sequence[float],
    *,
    methods: Sequence[str] = ("interval", "crown-ibp", "crown"),
    norm: str = "linf",
    steps: int = 40,
    clip: Clip = (0.0, 1.0),
    seed: int = 0,
) -> Enclosure:
    """Enclose the robust accuracy of `model` on images x (N, ...) of classes y (N,) at the radii `eps` (E,).

    `methods` are those of `margin_bounds`; `norm` is ``"linf"`` or ``"l2"``, `steps` those of the attack, whose starts
    `seed` draws. Raises as `margin_bounds` and `pgd`, and `InvalidInput` for radii that are not positive and rising.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).requires_grad_(False).eval()
    >>> model[1].weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> found = enclosure(model, torch.tensor([[0.8, 0.4]]), torch.tensor([0]), [0.1, 0.3], methods=["interval"])
    >>> found.accuracy["interval"], found.attack.robust_accuracy
    (tensor([1., 0.], dtype=torch.float64), tensor([1., 0.], dtype=torch.float64))
    """
    radii, methods = _radii(eps), _methods(methods)
    attack = pgd(require_model(model), x, y, eps=radii.tolist(), norm=norm, steps=steps, clip=clip, seed=seed)
    with torch.no_grad():
        right = (model(x).argmax(1) == y).cpu()
    graph, _ = prepared(model, x, 0.0, norm=norm, clip=clip, dtype=torch.float64, method="interval")
    certified = {}
    for method in methods:
        found = torch.zeros(len(radii), len(x), dtype=torch.bool)
        live = right.nonzero()[:, 0]
        for row, radius in zip(found, radii, strict=True):
            if len(live):
                at = live.to(x.device)
                margins = margin_bounds(graph, x[at], y[at], float(radius), method=method, norm=norm, clip=clip)
                live = live[(margins.scatter(1, y[at, None], 1.0) > 0).all(1).cpu()]
                row[live] = True
        certified[method] = found
    return Enclosure(radii, certified, attack, right, norm)


def _radii(eps: object) -> Tensor:
    """Positive radii in rising order, (E,)."""
    if isinstance(eps, str) or not isinstance(eps, Iterable) or (isinstance(eps, Tensor) and eps.ndim != 1):
        raise InvalidInput(f"eps = {eps!r}; give a list of positive radii in rising order, such as [0.01, 0.02]")
    radii = torch.tensor([require_number(radius, "a radius") for radius in eps], dtype=torch.float64)
    if not len(radii) or not bool((radii > 0).all() and radii.isfinite().all() and (radii.diff() > 0).all()):
        raise InvalidInput(f"eps = {radii.tolist()}; give positive radii in rising order")
    return radii


def _methods(methods: object) -> list[str]:
    """Methods of bounding, one at least, each once."""
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise InvalidInput(f"methods = {methods!r}; give a list of methods, such as ['interval', 'crown']")
    found = list(methods)
    for method in found:
        if method not in METHODS:
            raise UnknownName("method", method, METHODS)
    if not found or len(set(found)) < len(found):
        raise InvalidInput(f"methods = {found}; give one at least, and each once")
    return found
