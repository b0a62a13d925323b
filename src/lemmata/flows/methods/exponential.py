"""The exponential Euler method of Rosenbrock's kind, exact where the field is linear and does not depend on time.

    y_{n+1} = y_n + h phi_1(h J) f(y_n),   J = df/dy at y_n,   phi_1(z) = (e^z - 1) / z,

with the field held at the middle of the step, which makes it of order 2 where weights depend on time too (Hochbruck and
Ostermann, 2010, Exponential integrators, section 2.4). phi_1 is read off one matrix exponential a sample:

    exp([[h J, h f], [0, 0]]) = [[e^{hJ}, h phi_1(h J) f], [0, 1]].

Cost of a step: `width` products of the field and an exponential of (width + 1)^2 numbers for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, Velocity
from lemmata.flows.methods.method import Method
from lemmata.flows.state import jacobian, moved, packed, require_solvable, unpacked

WIDEST = 1024


class ExponentialEuler(Method):
    """y + h phi_1(h J) f(y)."""

    name, order, stages, nodes = "exponential-euler", 2, 1, (0.5,)

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""
        rows = packed(f[0](y))
        require_solvable(rows, self.name)
        if rows.shape[1] > WIDEST:
            raise InvalidInput(
                f"exponential-euler takes the exponential of a matrix of {rows.shape[1]} rows a sample and stops "
                f"at {WIDEST}; take 'implicit-midpoint', whose systems are solved without their matrices"
            )
        augmented = functional.pad(torch.cat([h * jacobian(f[0], y), h * rows[..., None]], dim=2), (0, 0, 0, 1))
        step = torch.linalg.matrix_exp(augmented)[:, :-1, -1]
        return moved(y, [(1.0, unpacked(step, y))])

    def stability_function(self, z: Any) -> Any:
        """Give e^z."""
        return np.exp(z)


EXPONENTIAL_EULER = ExponentialEuler()
