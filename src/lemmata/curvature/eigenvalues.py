"""Extreme eigenvalues of the Hessian of the loss, each with the residual that certifies it.

    H v = lambda v,     H = d^2 L / d theta^2

The largest eigenvalue is the *sharpness*: gradient descent with step size eta is locally stable where it is below
2 / eta. The few next ones stand out from the bulk as often as there are classes; negative ones tell of a saddle.
Within |H v - lambda v| of each value lies an eigenvalue of H, whatever happened on the way; that none was missed among
the first k holds with a stated probability. See `lemmata.linalg.lanczos`.

Cost: some 20 to 30 products with H for the first five to 1e-3, of about two gradients each, with the graph of one
gradient kept. Fails (raises `NotConverged`) where the wanted eigenvalues lie inside the bulk, a tail without gaps, and
where the noise of float32 products is above the tolerance.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lemmata.curvature.hessian import hessian
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.linalg.lanczos import eigenpairs
from lemmata.objective import Objective, Subject, Tree


@dataclass(frozen=True, kw_only=True)
class Eigenvalues(Estimate):
    """Eigenvalues of a Hessian, in the order asked for.

        value      (k,) eigenvalues; `stderr` is 0: their error is bounded by the residuals
        residuals  (k,) |H v - lambda v|, v of unit length
        vectors    (size, k) unit eigenvectors, flat; `direction(i)` gives one as a parameter tree
        products   with the Hessian, of which `cost` counts each with its gradients, and the gradient it starts from
        missed     bound of the probability that an eigenvalue before the last was missed (NaN after a warm start)

    >>> x = torch.eye(3)
    >>> found = top_eigenvalues((torch.nn.Linear(3, 1, bias=False), "mse", (x, x[:, :1])))
    >>> round(float(found.value[0]), 5)
    0.66667
    """

    residuals: Tensor
    vectors: Tensor = field(repr=False)
    products: int
    missed: float
    objective: Objective = field(repr=False)

    def direction(self, i: int) -> Tree:
        """Eigenvector i as a parameter tree of unit norm."""
        return self.objective.tree(self.vectors[:, i])

    def plot(self, label: str = "eigenvalue of the Hessian") -> Figure:
        """Draw the eigenvalues in their order, with their residuals as error bars."""
        value, residuals = self.value.detach().cpu().double().numpy(), self.residuals.detach().cpu().double().numpy()
        index = np.arange(1, len(value) + 1)
        found = Series(
            label="eigenvalue ± residual", x=index, y=value, low=value - residuals, high=value + residuals,
            style="points",
        )  # fmt: skip
        zero = [Reference(label="0", value=0.0, role="theory")] if value.min() < 0 < value.max() else []
        panel = Panel(x=Axis(label="index"), y=Axis(label=label), series=[found], references=zero)
        caption = (
            f"{self.products} products with the Hessian; largest residual "
            f"{residuals.max() / np.abs(value).max():.1g} of the largest eigenvalue shown."
        )
        return Figure(name="eigenvalues", title="Extreme eigenvalues", caption=caption, panels=[panel])


def top_eigenvalues(
    subject: Subject,
    k: int = 1,
    *,
    which: str = "largest",
    tolerance: float = 1e-3,
    start: Tensor | Eigenvalues | None = None,
    max_products: int | None = None,
    memory: int = 2**30,
    risk: float = 0.01,
    verify: bool = False,
    seed: int | torch.Generator = 0,
) -> Eigenvalues:
    """Find the k ``"largest"`` or ``"smallest"`` eigenvalues of the Hessian by sign, or the largest in ``"magnitude"``.

    `tolerance` bounds each residual relative to the largest |eigenvalue| met. `start` is an earlier answer or vectors
    (size,) or (size, s), from a point nearby, say; without it the search begins at a random vector. `max_products`
    defaults to max(20 k, 300). `memory` bounds the basis and the graph, in bytes each. `risk` is the probability with
    which an eigenvalue may be missed over random starts; `verify` searches once more outside of what was found, which
    finds further copies of multiple eigenvalues.

    Random is the start alone, drawn by `seed`. Raises `NotConverged`, with the best pairs there are, and `InvalidInput`
    for k that the objective does not have. Cost: 1 + 2 products, in gradients; float32 serves for tolerances to 1e-5.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    >>> found = top_eigenvalues((torch.nn.Linear(2, 1, bias=False), "mse", (x, x[:, :1])), 2)
    >>> [round(float(value), 4) for value in found.value]
    [9.0, 1.0]
    """
    objective = Objective.of(subject)
    H = hessian(objective, products=20 + 2 * k, memory=memory)
    pairs = eigenpairs(
        H,
        k,
        which=which,
        tolerance=tolerance,
        start=start.vectors if isinstance(start, Eigenvalues) else start,
        max_products=max_products,
        memory=memory,
        risk=risk,
        verify=verify,
        seed=seed,
    )
    return Eigenvalues(
        pairs.values,
        residuals=pairs.residuals,
        vectors=pairs.vectors,
        products=pairs.products,
        missed=pairs.missed,
        cost=1 + H.cost * pairs.products,
        objective=objective,
    )
