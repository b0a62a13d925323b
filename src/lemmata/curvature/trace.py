"""The trace of the Hessian or Gauss-Newton matrix of a loss: exactly where that can be had, else estimated.

    tr H = sum_i d^2 L / d theta_i^2

The mean curvature times the number of parameters, and the rate at which the loss rises when the parameters are
jittered: E L(theta + s z) = L(theta) + s^2 tr H / 2 + ... It is exact, without variance, for the Gauss-Newton matrix
of any network and for the Hessian of piecewise linear ones (ReLU, max-pooling, convolutions, residual connections,
batch normalisation by running statistics), since these matrices then have one diagonal
(`lemmata.curvature.piecewise_linear`, `lemmata.curvature.ggn_diagonal`, and the page *the exact trace*).

Cost: exactly, by flops at most (1 + 2 R) / 3 gradients with R = C - 1 for cross-entropy of C classes and R = C for mse
(in time more where networks are small, and calls and memory govern); estimated, twice the number of Hessian products.
Estimates: Hutchinson (1990), Hutch++ (Meyer, Musco, Musco and Woodruff, 2021), XTrace (Epperly, Tropp and Webber,
2024). Fails: the Hessian of a network with a smooth nonlinearity or a parameter used twice in depth has no exact answer
here, and says which operation is in the way.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lemmata.curvature.exactness import Matrix, check_choice, check_exact, exact_cost, operator_of
from lemmata.curvature.ggn_diagonal import ggn_trace
from lemmata.curvature.layer_axis import layer_axis
from lemmata.curvature.not_exact import NotExact
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg import LinearOperator, hutch_plus_plus, hutchinson, xtrace
from lemmata.objective import Objective, Subject

Method = Literal["auto", "exact", "hutchinson", "hutch++", "xtrace"]
Seed: TypeAlias = int | torch.Generator
METHODS = ("auto", "exact", "hutchinson", "hutch++", "xtrace")


@dataclass(frozen=True)
class Trace(Estimate):
    """A trace with its standard error (0 if exact) and cost in gradients, and how it was found.

    `by_parameter` has the trace of each parameter's diagonal block, by name, and `stderr_by_parameter` their standard
    errors; both are empty for Hutch++ and XTrace, which know the whole only.
    """

    method: str = "exact"
    operator: str = "hessian"
    by_parameter: dict[str, float] = field(default_factory=dict)
    stderr_by_parameter: dict[str, float] = field(default_factory=dict)

    @property
    def by_layer(self) -> dict[str, float]:
        """The traces of the modules' blocks: parameters of one module added up."""
        layers: dict[str, float] = {}
        for name, value in self.by_parameter.items():
            layer = name.rpartition(".")[0] or name
            layers[layer] = layers.get(layer, 0.0) + value
        return layers

    def plot(self, label: str = "trace") -> Figure:
        """Draw the trace by layer, or the whole where it is not known by layer."""
        layers = self.by_layer
        if not layers:
            return super().plot(label)
        error = self._stderr_by_layer()
        values = np.array(list(layers.values()))
        half = 1.96 * np.array([error[layer] for layer in layers])
        low, high = values - half, values + half
        exact = not half.any()
        points = Series(
            label="exact" if exact else "95 % interval",
            x=np.arange(len(values), dtype=float),
            y=values,
            low=None if exact else low,
            high=None if exact else high,
            style="points",
        )
        wide = bool((low > 0).all() and values.max() > 50 * values.min())
        y = Axis(label=f"{label} of the block", log=wide)
        panel = Panel(x=layer_axis("layer", list(layers)), y=y, series=[points])
        caption = f"Whole: {self:.4g}, by {self.method}; {self.cost:.3g} gradient evaluations."
        return Figure(name="trace", title=f"{label.capitalize()} by layer", caption=caption, panels=[panel])

    def _stderr_by_layer(self) -> dict[str, float]:
        """Of independent draws; the errors of one layer's parameters are taken to add up, the cautious case."""
        errors: dict[str, float] = {}
        for name in self.by_parameter:
            layer = name.rpartition(".")[0] or name
            errors[layer] = errors.get(layer, 0.0) + self.stderr_by_parameter.get(name, 0.0)
        return errors


@torch.enable_grad()  # the exact one reads the graph of the outputs
def trace(
    subject: Subject,
    *,
    method: Method = "auto",
    operator: Matrix = "hessian",
    products: int = 100,
    memory: int = 2**30,
    seed: Seed = 0,
) -> Trace:
    """The trace of the Hessian (or ``operator="ggn"``, the Gauss-Newton matrix) at the model's own parameters.

    ``"auto"`` is exact where that can be had for no more than the estimator would cost, and Hutch++ otherwise;
    ``"exact"`` raises `NotExact` with the operation that is in the way. Estimates take `products` matrix-vector
    products and draw from `seed`. The exact answer is summed in float64 from squares in the parameters' type, and
    draws nothing. `memory` bounds the bytes that the squares or the products keep.

    >>> from lemmata import nets
    >>> x, y = torch.randn(32, 3, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 2
    >>> net = nets.mlp(3, [8], 2, seed=0)
    >>> exact = trace((net, "cross_entropy", (x, y)))
    >>> exact.method, exact.stderr, list(exact.by_layer)
    ('exact', 0.0, ['hidden1', 'output'])
    >>> from lemmata import curvature
    >>> dense = curvature.hessian((net, "cross_entropy", (x, y))).dense().trace()
    >>> abs(exact.value / float(dense) - 1) < 1e-5
    True
    """
    check_choice(method, METHODS, operator)
    objective = Objective.of(subject)
    if method in ("auto", "exact") and (method == "exact" or exact_cost(objective) <= 2 * products):
        try:
            return _exact(objective, operator, memory)
        except NotExact:
            if method == "exact":
                raise
    matrix = operator_of(objective, operator, products=products, memory=memory)
    if method == "hutchinson":
        return _hutchinson(objective, matrix, operator, draws=products, memory=memory, seed=seed)
    chosen = "xtrace" if method == "xtrace" else "hutch++"
    estimator = xtrace if chosen == "xtrace" else hutch_plus_plus
    found = estimator(matrix, products=products, memory=memory, seed=seed)
    return Trace(found.value, found.stderr, found.n, cost=found.cost, method=chosen, operator=operator)


def _exact(objective: Objective, operator: Matrix, memory: int) -> Trace:
    check_exact(objective, operator)
    squares = ggn_trace(objective, memory=memory)
    blocks = {name: float(value) for name, value in squares.values.items()}
    return Trace(sum(blocks.values()), cost=squares.cost, operator=operator, by_parameter=blocks)


def _hutchinson(
    objective: Objective, matrix: LinearOperator, operator: Matrix, *, draws: int, memory: int, seed: Seed
) -> Trace:
    """Hutchinson's estimator, which estimates the trace of each parameter's block as well, from the same products."""
    sizes = [p.numel() for p in objective.parameters.values()]
    seen: list[Tensor] = []

    def apply(Z: Tensor) -> Tensor:
        AZ = matrix @ Z
        seen.append(torch.stack([part.double().sum(0) for part in (Z * AZ).split(sizes)], 1))
        return AZ

    size = objective.size
    watched = LinearOperator(
        apply, (size, size), symmetric=True, dtype=matrix.dtype, device=matrix.device, cost=matrix.cost
    )
    found = hutchinson(watched, draws=draws, memory=memory, seed=seed)
    samples = torch.cat(seen)
    blocks = dict(zip(objective.names, samples.mean(0).tolist(), strict=True))
    errors = dict(zip(objective.names, (samples.std(0) / draws**0.5).tolist(), strict=True))
    return Trace(found.value, found.stderr, draws, True, found.cost, "hutchinson", operator, blocks, errors)
