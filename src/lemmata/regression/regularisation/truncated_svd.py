"""Truncated singular value decomposition: the k largest components of the solution, and no others.

    x_k = sum_{i <= k} (u_i' b / s_i) v_i,    with L: the k largest generalised components, and L's null space whole

k is the number of (generalised) components kept. Without an L, x_k is the least-squares solution of least norm of the
nearest problem of rank k (Hansen, 1987; with L: Hansen, Sekii and Shibahashi, 1992).

Cost: one decomposition, then O(T q). Fails where components matter whose singular values are small: it cannot take half
of a component, so that its error is at best a little above Tikhonov's, or a little below.
"""

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.filters import Truncation
from lemmata.regression.regularisation.path import Path, along, decomposed
from lemmata.regression.regularisation.standard_form import StandardForm


def truncated_svd_path(
    A: Tensor | StandardForm, b: Tensor, most: int | None = None, *, L: Tensor | LinearOperator | None = None
) -> Path:
    """The truncated solutions for k = 1, 2, ..., `most` components kept, as a `Path` with its rules.

    Arguments as `ridge_path`; `most` defaults to the number of singular values above rounding, and more are refused.

    >>> path = truncated_svd_path(torch.diag(torch.tensor([2.0, 1.0]).double()), torch.ones(2).double())
    >>> path.residual_norms, path.solution(1)
    (tensor([1., 0.], dtype=torch.float64), tensor([0.5000, 0.0000], dtype=torch.float64))
    """
    form, b = decomposed(A, b, L)
    rank = form.rank
    if not rank:
        raise InvalidInput("A is zero: there is no component to keep")
    most = rank if most is None else most
    if not (1 <= most <= rank and most == int(most)):
        raise InvalidInput(
            f"most = {most} components; there are {rank} above rounding, take a whole number from 1 to as many"
        )
    return along(form, b, Truncation(), torch.arange(1, int(most) + 1))


def truncated_svd(
    A: Tensor | StandardForm, b: Tensor, k: int, *, L: Tensor | LinearOperator | None = None
) -> Tensor:  # fmt: skip
    """The solution x (n,) or (n, k') of `k` components; arguments and refusals as `truncated_svd_path`.

    >>> truncated_svd(torch.diag(torch.tensor([2.0, 1.0])), torch.ones(2), 1)
    tensor([0.5000, 0.0000])
    """
    return truncated_svd_path(A, b, k, L=L).solution(k)
