"""The empirical tangent kernel as an operator, and its trace: without forming it.

    K v = J (J^T v),   tr K = |J|_F^2 = sum over samples and outputs of squared gradient norms

of the full kernel on flattened outputs (n C): the outputs of sample 1, those of sample 2, ... Both directions are
linearised once (`lemmata.curvature.jacobian`). Cost: a product 4/3 of a gradient of all samples; the exact trace
(1 + C) / 3 gradients and at most C / 3 more, from squares of per-sample gradients that are never formed
(`lemmata.curvature.ghost_norm`).
Sources: Jacot, Gabriel, Hongler (2018); Meyer, Musco, Musco and Woodruff (2021) for Hutch++; Hazelden (2025) for these
on tangent kernels.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lemmata.curvature import Trace
from lemmata.curvature.ggn_diagonal import ggn_trace
from lemmata.curvature.jacobian import jacobian
from lemmata.curvature.not_exact import NotExact
from lemmata.errors import UnknownName
from lemmata.kernels.empirical.sample_wise import SampleWise, no_loss
from lemmata.linalg import LinearOperator, hutch_plus_plus, hutchinson, xtrace
from lemmata.objective import Loss, Mode, Objective

Method = Literal["auto", "exact", "hutch++", "xtrace", "hutchinson"]
METHODS = ("auto", "exact", "hutch++", "xtrace", "hutchinson")
PRODUCT = 4 / 3  # gradients


def ntk_operator(
    model: nn.Module,
    x: Tensor,
    *,
    parameters: Sequence[str] | None = None,
    mode: Mode | None = None,
    products: int | None = None,
    memory: int = 2**30,
) -> LinearOperator:
    """The full tangent kernel of samples x (n, ...) as a symmetric operator (n C, n C); 4/3 gradients a product.

    `products` says how many there will be, if that is known, `memory` bounds what is kept for them; both as for
    `lemmata.curvature.jacobian`. Refusals as for `empirical_ntk`.

    >>> x = torch.tensor([[2.0], [3.0]])
    >>> ntk_operator(nn.Linear(1, 1, bias=False), x).dense()
    tensor([[4., 6.],
            [6., 9.]])
    """
    f, objective = _subject(model, x, parameters, mode, loss=no_loss)
    J = jacobian(objective, products=products, memory=memory)
    size = len(x) * f.channels
    return LinearOperator(
        lambda V: J @ (J.T @ V),
        (size, size),
        symmetric=True,
        dtype=objective.dtype,
        device=objective.device,
        cost=PRODUCT,
    )


@torch.enable_grad()
def ntk_trace(
    model: nn.Module,
    x: Tensor,
    *,
    method: Method = "auto",
    parameters: Sequence[str] | None = None,
    mode: Mode | None = None,
    products: int = 100,
    memory: int = 2**30,
    seed: int | torch.Generator = 0,
) -> Trace:
    """The trace of the full tangent kernel of samples x (n, ...): the sum over all samples and outputs.

    ``"exact"`` adds up squares of per-sample gradients and knows the trace by parameter; ``"hutch++"``, ``"xtrace"``
    and ``"hutchinson"`` take `products` products and draw from `seed`; ``"auto"`` is exact unless more than `products`
    products would be cheaper. Gives an `Estimate` with its standard error and cost in gradients. Raises `NotExact`
    where no exact answer can be had and none but the exact one is asked for; refusals as for `empirical_ntk`.

    >>> x = torch.tensor([[2.0], [3.0]])
    >>> trace = ntk_trace(nn.Linear(1, 1), x)
    >>> trace.value, trace.by_parameter
    (15.0, {'weight': 13.0, 'bias': 2.0})
    """
    if method not in METHODS:
        raise UnknownName("method", str(method), METHODS)
    f, objective = _subject(model, x, parameters, mode, loss="mse")
    outputs = len(x) * f.channels
    if method == "exact" or (method == "auto" and 2 * f.channels / 3 <= products * PRODUCT):
        try:
            squares = ggn_trace(objective, memory=memory)
            blocks = {name: float(value) * outputs / 2 for name, value in squares.values.items()}  # mse: 2 / (n C)
            return Trace(sum(blocks.values()), cost=squares.cost, operator="empirical NTK", by_parameter=blocks)
        except NotExact:
            if method == "exact":
                raise
    K = ntk_operator(model, x, parameters=parameters, mode=mode, products=products, memory=memory)
    if method == "hutchinson":
        found = hutchinson(K, draws=products, memory=memory, seed=seed)
    else:
        found = (xtrace if method == "xtrace" else hutch_plus_plus)(K, products=products, memory=memory, seed=seed)
    name = "hutch++" if method == "auto" else method
    return Trace(found.value, found.stderr, found.n, cost=found.cost, method=name, operator="empirical NTK")


def _subject(
    model: nn.Module, x: Tensor, parameters: Sequence[str] | None, mode: Mode | None, *, loss: Loss
) -> tuple[SampleWise, Objective]:
    """The model with its samples, once it is known that these do not mix."""
    f = SampleWise(model, x, parameters=parameters, mode=mode)
    shape = f.two.shape[1:] if loss != "mse" else f.shape
    targets = torch.zeros(len(x), *shape, dtype=f.objective.dtype, device=f.objective.device)
    return f, Objective(model, loss=loss, data=(x.detach(), targets), parameters=parameters, mode=mode)
