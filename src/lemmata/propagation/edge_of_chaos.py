"""The edge of chaos: where squared gradients neither grow nor vanish, chi_1 = 1.

For the variance q at its fixed point, on the edge

    sigma_w^2 = 1 / E phi'(sqrt(q) z)^2,    sigma_b^2 = q - sigma_w^2 E phi(sqrt(q) z)^2,

a curve with parameter q, on which the wanted sigma_b^2 is one root, so that no fixed point is iterated for. Source:
Schoenholz, Gilmer, Ganguli, Sohl-Dickstein (2017). Cost: some 10^5 evaluations of phi.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_number
from lemmata.propagation.activations import Elementwise, Nonlinearity, nonlinearity
from lemmata.propagation.duals import diagonal
from lemmata.propagation.mean_field import first_root

SMALLEST, LARGEST = 1e-10, 1e8  # of q


def edge_of_chaos(activation: str | Elementwise | Nonlinearity, bias_variance: float = 0.0) -> float:
    """The sigma_w^2 = n_in Var W at which chi_1 = 1, for sigma_b^2 = `bias_variance`.

    Where several are (sigmoid, GELU), the one of the smallest variance q, at which the variance map need not be stable:
    then `mean_field` from another start goes elsewhere. For an activation with constant E phi'^2 (ReLU, linear) it is
    1 / E phi'^2 for any bias, though the variance then has no fixed point but for sigma_b^2 = 0. Raises `InvalidInput`
    for a negative bias variance, and where there is no edge.

    >>> round(edge_of_chaos("tanh", 0.05), 4), edge_of_chaos("tanh"), edge_of_chaos("relu")
    (1.761, 1.0, 2.0)
    """
    phi, wanted = nonlinearity(activation), require_number(bias_variance, "bias_variance")
    if not (math.isfinite(wanted) and wanted >= 0):
        raise InvalidInput(f"bias_variance = {wanted}; a variance is finite and at least 0")
    if (
        wanted == 0
        and float(phi(torch.zeros(1, dtype=torch.float64))) == 0
        and _bias(phi, SMALLEST) >= -1e-9 * SMALLEST
    ):
        return 1 / _square_slope(phi, 0.0)
    grid = torch.logspace(math.log10(SMALLEST), math.log10(LARGEST), 401, dtype=torch.float64)
    if 0 < wanted < SMALLEST:  # the bias reached is less than q: it has yet to be reached there
        grid = torch.cat([torch.tensor([wanted], dtype=torch.float64), grid])
    reached: list[Tensor] = []
    slopes: list[Tensor] = []

    def above(q: Tensor) -> Tensor:
        at = diagonal(phi, q)
        if not bool((at.square_slope > 0).all()):
            raise InvalidInput(f"{phi.name} has no edge of chaos: its slope is 0, and with it chi_1")
        slopes.append(at.square_slope)
        reached.append(q - at.square / at.square_slope)
        return (reached[-1] - wanted) / q

    root = first_root(above, grid)
    if root is not None:
        return 1 / _square_slope(phi, root)
    low, high = float(torch.cat(reached).min()), float(torch.cat(reached).max())
    constants = torch.cat(slopes)
    if float(constants.max() - constants.min()) < 1e-9 * float(constants.max()):  # E phi'^2 does not depend on q
        return 1 / _square_slope(phi, 1.0)
    instead = (
        f"there is one from {max(low, 0.0):.3g} to {high:.3g}" if high > 0 else "there is none at any other either"
    )
    raise InvalidInput(f"{phi.name} has no edge of chaos at bias_variance = {wanted}; {instead}")


def _bias(phi: Nonlinearity, q: float) -> float:
    """The sigma_b^2 at which q is a fixed point on the edge."""
    at = diagonal(phi, torch.tensor([q], dtype=torch.float64))
    return q - float(at.square / at.square_slope)


def _square_slope(phi: Nonlinearity, q: float) -> float:
    return float(diagonal(phi, torch.tensor([q], dtype=torch.float64)).square_slope)
