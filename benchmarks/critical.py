"""Critical points of a linear autoencoder from many starts, beside a loop over starts, in gradients a start.

    python benchmarks/critical.py

writes ``benchmarks/results/critical.json``. One process, one thread, processor time; the unit is one gradient at one of
64 starts, taken for all of them at once. Every critical point is known (Baldi and Hornik, 1989): each side's facts are
the share of starts that ended at one (gradient norm at most 1e-8) and how many of the 11 known losses were met. The
peer is scipy's `least_squares` on the gradient, with the dense Hessian as Jacobian, for one start after the other; it
does not judge what it finds, the others do (spectrum, flatness, certificate).
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

import machine
from lemmata import nets
from lemmata.landscape import critical
from lemmata.objective import Objective
from turns import RESULTS, Row, Side, merge, show

STARTS, STRENGTHS, LATENT = 64, (2.0, 1.45, 1.0, 0.5), 2


def rows() -> list[Row]:
    n = len(STRENGTHS)
    x = torch.diag((n * torch.tensor(STRENGTHS, dtype=torch.float64)).sqrt())
    model = nets.linear_autoencoder(n, LATENT, seed=0, dtype=torch.float64)
    objective = Objective(model, loss=lambda z, y: 0.5 * (z - y).square().sum(1).mean(), data=(x, x))
    random = torch.Generator().manual_seed(0)
    starts = 0.6 * torch.randn(STARTS, objective.size, generator=random, dtype=torch.float64)
    sides = [
        Side(f"lemmata, {name}", partial(_search, objective, starts, name), _facts)
        for name in ("gradient_norm", "newton_mr")
    ]
    sides.append(Side("scipy least_squares, a loop", partial(_loop, objective, starts), _facts))
    return [
        Row(
            f"critical points of a linear autoencoder, {objective.size} parameters, {STARTS} starts",
            partial(objective.gradient, objective.tree(starts)), "gradients a start, 64 at once", sides, turns=1,
        )
    ]  # fmt: skip


def _search(objective: Objective, starts: Tensor, method: str) -> tuple[Tensor, Tensor]:
    found = critical.search(objective, starts, method=method, steps=150, tolerance=1e-8)  # type: ignore[arg-type]
    return found.loss, found.gradient_norm


def _loop(objective: Objective, starts: Tensor) -> tuple[Tensor, Tensor]:
    def slope(theta: np.ndarray) -> np.ndarray:
        return objective.vector(objective.gradient(objective.tree(torch.as_tensor(theta)))).numpy()

    def jacobian(theta: np.ndarray) -> np.ndarray:
        everything = torch.eye(objective.size, dtype=torch.float64)
        return objective.vector(
            objective.hvp(objective.tree(everything), objective.tree(torch.as_tensor(theta)))
        ).numpy()

    ends = [least_squares(slope, start.numpy(), jac=jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=150).x
            for start in starts]  # fmt: skip
    theta = torch.as_tensor(np.stack(ends))
    tree = objective.tree(theta)
    return objective.value(tree), objective.vector(objective.gradient(tree)).norm(dim=1)


def _facts(found: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """The share of starts that arrived, and the number of different losses among them."""
    loss, norm = found
    at = norm <= 1e-8
    return {"share critical": float(at.double().mean()), "losses met, of 11": len(loss[at].round(decimals=6).unique())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    measured = [row.measure(print) for row in rows()]
    for row in measured:
        merge(RESULTS / "critical.json", row, machine.facts())
    show(measured)
