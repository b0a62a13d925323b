"""How well a network keeps the energy that its field keeps.

    H(q, p) = sum S(K p + b) + sum S(L q + c),  S' = sigma   (for tanh S = ln cosh),

stays along the flow of a Hamiltonian field while its weights stay. A symplectic method of order r is the exact flow of
a field nearby, so that its H stays within O(h^r) for times exponentially long in 1 / h (Benettin and Giorgilli, 1994;
Hairer, Lubich and Wanner, Geometric Numerical Integration, theorem IX.8.1); forward Euler's grows with every step,
at a rate of O(h). What does not drift neither explodes nor vanishes at any depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.flows.field import State, hold
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.integrate import march, require_finite
from lemmata.flows.state import require_samples


@dataclass(frozen=True, eq=False)
class EnergyDrift:
    """The energy (N + 1, samples) at `times` (N + 1,), with a method at a step h."""

    times: np.ndarray
    energy: np.ndarray
    method: str
    h: float

    @property
    def error(self) -> np.ndarray:
        """What the energy changed by since the start: (N + 1, samples)."""
        return self.energy - self.energy[0]

    @property
    def largest(self) -> float:
        """The largest change of any sample's energy."""
        return float(np.abs(self.error).max())

    @property
    def rate(self) -> np.ndarray:
        """The slope of the energy in time by least squares, (samples,): near 0 where the error is bounded."""
        t = self.times - self.times.mean()
        return t @ self.error / (t @ t)

    def plot(self) -> Figure:
        """Draw the change of the energy over time, each sample's and the mean of their sizes."""
        size = np.abs(self.error)
        series = [Series(label="|H(t) - H(0)|, mean", x=self.times, y=size.mean(1), seeds=size.T)]
        panel = Panel(x=Axis(label="time t"), y=Axis(label="change of the energy"), series=series)
        caption = (
            f"{self.method} with h = {self.h:.3g}, {size.shape[1]} samples: {self.largest:.3g} at most; slope of the "
            f"energy in time {np.abs(self.rate).max():.3g} at most."
        )
        return Figure(name="energy-drift", title="Energy through the layers", caption=caption, panels=[panel])


def energy_drift(flow: Flow, y: State) -> EnergyDrift:
    """Measure the field's energy after each layer.

    `flow` has a field with an energy (`flows.Hamiltonian`, `flows.Hyperbolic`, or your own with `energy(y, *weights)`),
    `y` is as it takes it. Raises `InvalidInput` for a field without one, for weights that change in time, which change
    the energy themselves, and for states that are not finite.

    >>> from lemmata import flows
    >>> layers = flows.Hamiltonian(4, flows.PiecewiseConstant(1, T=50.0), dtype=torch.float64)
    >>> y = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
    >>> drift = [energy_drift(flows.Flow(layers, steps=500, method=m), y).largest for m in ("verlet", "forward-euler")]
    >>> drift[0] < 0.02 < 0.2 < drift[1]
    True
    """
    state, grid = require_flow(flow).start(y), flow.grid
    require_samples(state, flow.field)
    middles = grid.times[:-1] + grid.h / 2
    with torch.no_grad():
        velocities = hold(flow.field, middles, middles)
        _require_constant(velocities)
        require_finite(state, 0, grid, flow.method)
        energies = [velocities[0].energy(state)]
        for moved in march(flow.field, state, grid, flow.method, check=True):
            energies.append(velocities[0].energy(moved))
    values = torch.stack(energies).double().cpu().numpy()
    return EnergyDrift(grid.times.numpy(), values, flow.method.name, grid.h)


def _require_constant(velocities: list) -> None:
    for name, (first, *others) in enumerate(zip(*(f.weights for f in velocities), strict=True)):
        scale = float(first.abs().max()) or 1.0
        change = max((float((other - first).abs().max()) for other in others), default=0.0)
        if change > 100 * torch.finfo(first.dtype).eps * scale:
            raise InvalidInput(
                f"the field's weight number {name} changes by {change:.3g} in time, and with it the energy; hold the "
                f"weights, as with flows.PiecewiseConstant(1, T=...)"
            )
