"""Backpropagation that keeps no states: a reversible method runs backwards beside the gradient.

    y_n = back(y_{n+1}),     (g_n, g_theta_n) = (d step_n / d(y_n, theta_n))^T g_{n+1},     n = N - 1, ..., 0.

Memory is two states at any depth, the first and the last, and gradients as large as the weights. Rounding errors grow
backwards as a perturbation of the net does: where they have grown too much the y(0) that is arrived at is not the one
that was given, which is seen and refused. A dense Hamiltonian layer with tanh has a closed form (`hamiltonian.py`); all
other fields and methods are differentiated by `torch.func.vjp`, a step at a time.
"""

from __future__ import annotations

import torch

from lemmata.errors import InvalidInput, LemmataError
from lemmata.flows.adjoint import hamiltonian
from lemmata.flows.adjoint.chain import Chain, Gradients, Parts, norm
from lemmata.flows.adjoint.way import Passed, Recomputing
from lemmata.flows.field import VectorField
from lemmata.flows.methods import METHODS, Method
from lemmata.given import require_flag, require_number

TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}


class NotReversible(LemmataError):
    """The states could not be reconstructed from the last one; `error` is |y(0) found - y(0)| / |y(0)|.

    From y(0) = 0 it is relative to |y(T)|.
    """

    def __init__(self, error: float, tolerance: float, steps: int):
        super().__init__(
            f"running the {steps} steps backwards gave a y(0) that is off by {error:.1e} of its norm, more than "
            f"{tolerance:.1e}, so the gradient would be wrong: the net magnifies rounding errors; take "
            f"backward='checkpoint', states in float64, or smaller weights"
        )
        self.error, self.tolerance = error, tolerance


class Reversible(Recomputing):
    """Run the method backwards; `tolerance` bounds |y(0) found - y(0)| / |y(0)|: 1e-8 in float64, 1e-3 in less.

    With `closed_form` false every field is differentiated by `torch.func.vjp`.

    >>> Reversible(tolerance=1e-6)
    Reversible(tolerance=1e-06)
    """

    name = "reversible"

    def __init__(self, tolerance: float | None = None, *, closed_form: bool = True):
        if tolerance is not None and not require_number(tolerance, "tolerance") > 0:
            raise InvalidInput(f"tolerance = {tolerance}; give a number above 0, or None")
        self.tolerance, self.closed_form = tolerance, require_flag(closed_form, "closed_form")

    def __repr__(self) -> str:
        return f"Reversible(tolerance={self.tolerance})"

    def suit(self, field: VectorField, method: Method) -> None:
        """Refuse a method that cannot be run backwards."""
        if not method.reversible:
            able = ", ".join(repr(name) for name, one in METHODS.items() if one.reversible)
            raise InvalidInput(
                f"{method.name} cannot be run backwards, which backward='reversible' does; take one of {able}, or "
                f"backward='checkpoint'"
            )

    def forward(self, chain: Chain, state: Parts, stacks: Parts) -> tuple[Parts, Parts]:
        """Give the state at T; nothing is kept besides."""
        if self.closed_form and hamiltonian.suits(chain, state):
            return hamiltonian.forward(chain, state, stacks), ()
        return chain.run(0, chain.steps, state, stacks), ()

    def backward(self, chain: Chain, passed: Passed, gradient: Parts, into: Gradients) -> Parts:
        """Reconstruct and pull back, step by step from the last."""
        state, stacks = passed.final, passed.stacks
        if self.closed_form and hamiltonian.suits(chain, state):
            state, gradient = hamiltonian.backward(chain, state, stacks, gradient, into)
        else:
            for n in reversed(range(chain.steps)):
                state = chain.back(n, state, stacks)
                gradient = chain.pull(n, state, stacks, gradient, into)
        self._check(passed, state, chain.steps)
        return gradient

    def _check(self, passed: Passed, found: Parts, steps: int) -> None:
        start, size = passed.start, norm(passed.start)
        size = torch.where(size > 0, size, norm(passed.final))
        tolerance = self.tolerance or TOLERANCES.get(start[0].dtype, 1e-3)
        difference = norm(tuple(a.double() - b for a, b in zip(found, start, strict=True)))
        error = float(difference / size.clamp_min(torch.finfo(torch.float64).tiny))
        if not error <= tolerance:
            raise NotReversible(error, tolerance, steps)
