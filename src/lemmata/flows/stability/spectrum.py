"""Eigenvalues of a field's Jacobian along the trajectories of a network, and whether its method is stable there.

    J(t, y) = df/dy,   lambda in its spectrum,   z = h lambda.

A perturbation along an eigenvector grows in the flow where Re lambda > 0, and in the network where growth(z) > 1. Where
the second holds without the first, layers amplify what the field does not: too long a step for this method. Frozen
coefficients are a guide, not a theorem, where J turns quickly or is far from normal; `perturbation_growth` measures.

Cost of a layer: `width` products of the field and the eigenvalues of a matrix of width^2 numbers for each sample, with
twice the width for pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Animation, Figure, Panel, Series, film
from lemmata.flows.field import State, hold
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.integrate import march, require_finite
from lemmata.flows.methods import Method
from lemmata.flows.stability.region import Region, imaginary_axis, real_axis, stability_region
from lemmata.flows.state import jacobian, packed, require_samples
from lemmata.given import require_whole

WIDEST = 2048
MARKED = 2000  # points drawn a frame
FRAMES = 24


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues at some layers: `values` (L, samples, width) complex, at `times` (L,), the middles of `layers` (L,).

    `tolerance` is what a growth or a real part may exceed 1 or 0 by rounding.
    """

    layers: np.ndarray
    times: np.ndarray
    values: np.ndarray
    h: float
    method: Method
    tolerance: float

    @property
    def z(self) -> np.ndarray:
        """The values of h lambda."""
        return self.h * self.values

    @property
    def growth(self) -> np.ndarray:
        """What a step multiplies the perturbation along each eigenvector by, at most."""
        return np.asarray(self.method.growth(self.z))

    @property
    def outside(self) -> float:
        """The share of z outside the stability region: what grows in the network."""
        return float((self.growth > 1 + self.tolerance).mean())

    @property
    def unstable(self) -> float:
        """The share that grows in the network and not in the flow: what the length of the step is to blame for."""
        real = np.real(self.values)
        if self.method.partitioned:  # whose eigenvalues come as lambda and -lambda: one of them grows unless Re = 0
            real = np.abs(real)
        return float(((self.growth > 1 + self.tolerance) & (real <= self.tolerance)).mean())

    @property
    def rightmost(self) -> float:
        """The largest real part."""
        return float(np.real(self.values).max())

    def plot(self) -> Figure:
        """Draw h lambda over the stability region, layer by layer: a figure that moves."""
        region = self._region()
        shown = np.unique(np.linspace(0, len(self.layers) - 1, min(FRAMES, len(self.layers))).astype(int))
        frames = [self._frame(region, at) for at in shown]
        name, title = "spectrum", "Eigenvalues of the layers in the stability region"
        caption = (
            f"{self.method.name}, h = {self.h:.3g}, {self.values.shape[1]} samples: {100 * self.outside:.3g} % "
            f"outside, {100 * self.unstable:.3g} % by the step's length alone; largest Re lambda {self.rightmost:.3g}."
        )
        if len(frames) == 1:
            return Figure(name=name, title=title, caption=caption, panels=frames)
        moving = Animation(label="layer", values=[int(self.layers[at]) for at in shown], frames=frames)
        return film(name, title, caption, moving)

    def _region(self) -> Region:
        real, imag = np.real(self.z), np.imag(self.z)
        left, right = min(-2.5, 1.1 * real.min()), max(0.8, 1.1 * real.max())
        up = max(2.2, 1.1 * np.abs(imag).max())
        return stability_region(self.method, x=(left, right), y=(-up, up), points=161)

    def _frame(self, region: Region, at: int) -> Panel:
        z, out = self.z[at].ravel(), (self.growth[at] > 1 + self.tolerance).ravel()
        keep = np.unique(np.linspace(0, z.size - 1, min(MARKED, z.size)).astype(int))
        real, imag, out = np.real(z)[keep], np.imag(z)[keep], out[keep]
        marks = [
            Series(label="stable", x=_marked(real, ~out), y=_marked(imag, ~out), style="points"),
            Series(label="outside", x=_marked(real, out), y=_marked(imag, out), style="points", role="control"),
        ]
        return Panel(
            x=real_axis(region.x), y=imaginary_axis(region.y), fields=[region.field], series=[*region.edge(), *marks],
            title=f"layer {int(self.layers[at])}", equal=True,
        )  # fmt: skip


def spectrum(flow: Flow, y: State, *, every: int = 1) -> Spectrum:
    """Compute the eigenvalues of the field's Jacobian at y_n and the middle of step n, for every `every`-th layer.

    `flow` is a `Flow`, `y` (samples, ...) or a pair, as it takes them; the field's answer for a sample depends on that
    sample alone. Raises `InvalidInput` for states that are not finite and for more than WIDEST numbers a sample.

    >>> from lemmata import flows
    >>> net = flows.Flow(flows.Antisymmetric(2, flows.PiecewiseConstant(1)), steps=10, method="rk4")
    >>> found = spectrum(net, torch.ones(3, 2))
    >>> found.values.shape, found.unstable
    ((10, 3, 2), 0.0)
    """
    every, state = require_whole(every, "every"), require_flow(flow).start(y)
    require_samples(state, flow.field)
    width = packed(state).shape[1]
    if width > WIDEST:
        raise InvalidInput(
            f"{width} numbers a sample: eigenvalues of such matrices are not computed beyond {WIDEST}; measure "
            f"perturbation_growth in some directions instead"
        )
    grid, found = flow.grid, []
    layers = np.arange(1, grid.steps + 1, every)
    middles = grid.times[:-1] + grid.h / 2
    with torch.no_grad():
        velocities = hold(flow.field, middles, middles)
        states = march(flow.field, state, grid, flow.method, check=True)
        require_finite(state, 0, grid, flow.method)
        for n, f in enumerate(velocities):
            if n % every == 0:
                J = require_jacobian(jacobian(f, state), n + 1)
                found.append(torch.linalg.eigvals(J).cpu().numpy())
            state = next(states)
    tolerance = float(torch.finfo(packed(state).dtype).eps ** 0.5)
    return Spectrum(layers, middles[::every].numpy(), np.stack(found), grid.h, flow.method, tolerance)


def require_jacobian(J: Tensor, layer: int) -> Tensor:
    """Give back a Jacobian that is finite; LAPACK need not come back from any other."""
    if not torch.isfinite(J).all():
        raise InvalidInput(f"the Jacobian in layer {layer} is not finite, though the state is; take a smoother field")
    return J


def _marked(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where, values, np.nan)
