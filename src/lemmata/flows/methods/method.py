"""What every one-step method promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.flows.field import Partitioned, State, VectorField, Velocity


class Method(ABC):
    """A one-step method: y_{n+1} = step(f, y_n, h), where f[i] is the field held at t_n + nodes[i] h.

    `order` is that of convergence, `stages` the velocities that a step asks for. A `reversible` method computes y_n
    from y_{n+1} by `back`, exactly but for rounding.
    """

    name: str
    order: int
    stages: int
    nodes: tuple[float, ...]
    reversible: bool = False
    partitioned: bool = False

    @abstractmethod
    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""

    def back(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step before."""
        raise InvalidInput(f"{self.name} cannot be run backwards; take 'verlet' or 'leapfrog', or another way back")

    @abstractmethod
    def stability_function(self, z: Any) -> Any:
        """Give R(z), by which a step multiplies y where y' = lambda y and z = h lambda; any complex number or array."""

    def growth(self, z: Any) -> Any:
        """Give the factor by which a step can let y grow where y' = lambda y and z = h lambda: stable where <= 1."""
        return np.abs(self.stability_function(z))

    def suit(self, field: VectorField) -> None:
        """Refuse a field that the method cannot take."""
        if self.partitioned and not isinstance(field, Partitioned):
            raise InvalidInput(
                f"{self.name} moves q by p and p by q in turn and wants a Partitioned field, as flows.Hamiltonian, "
                f"not {type(field).__name__}"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of order {self.order}>"
