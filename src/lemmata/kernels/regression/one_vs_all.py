"""Targets of classification by regression, one output a class: e_c - shift.

Arora, Du, Hu, Li, Salakhutdinov, Wang (2019), arXiv:1904.11955, section 6, regress on -0.1 + e_c over ten classes, of
which each output has mean 0 when classes are balanced. The class predicted is that of the largest output.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor


def one_vs_all(
    labels: Tensor, classes: int, *, shift: float | None = None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Targets (n, classes) of labels 0 .. classes - 1 (n,): 1 - shift for the class, -shift for the others.

    `shift` is 1 / classes by default, which is the paper's 0.1 for ten.

    >>> one_vs_all(torch.tensor([1, 0]), 2)
    tensor([[-0.5000,  0.5000],
            [ 0.5000, -0.5000]], dtype=torch.float64)
    """
    require_tensor(labels, "labels")
    if not isinstance(classes, int):
        raise InvalidInput(f"classes = {classes!r}; give their number, a whole one")
    if labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool or not len(labels):
        raise InvalidInput(f"labels of shape {tuple(labels.shape)} and {labels.dtype}; expected whole numbers (n,)")
    if classes < 2 or int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise InvalidInput(
            f"labels from {int(labels.min())} to {int(labels.max())} with {classes} classes; they must be 0 to "
            "classes - 1, of two classes or more"
        )
    targets = torch.nn.functional.one_hot(labels.long(), classes).to(dtype)
    return targets - (1 / classes if shift is None else shift)
