"""How far to go along a direction: halving until the squared gradient norm falls enough (Armijo), for many at once."""

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.walk import Moving

SHARE = 1e-4  # of the fall that the slope promises
HALVINGS = 30


def shrink_gradient(field: Field, moving: Moving, p: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Move members along p (m, P) where |g|^2 falls; `slope` (m,) is the derivative of |g|^2 along p, negative.

    The members are moved in place. Gives the factors of p that were taken (m,), 0 where none will do, and a mask (m,)
    of those that moved.
    """
    before = moving.g.square().sum(1)
    taken = torch.zeros_like(before)
    open_ = ((slope < 0) & p.isfinite().all(1)).nonzero()[:, 0]
    factor = torch.ones_like(before)
    for _ in range(HALVINGS):
        if not len(open_):
            break
        t = factor[open_]
        Y = moving.Y[open_] + t[:, None] * p[open_]
        loss, g = field.value_and_gradient(Y)
        after = g.square().sum(1)
        fits = (after <= before[open_] + SHARE * t * slope[open_]) & (after < before[open_]) & loss.isfinite()
        who = open_[fits]
        moving.Y[who], moving.loss[who], moving.g[who], taken[who] = Y[fits], loss[fits], g[fits], t[fits]
        open_ = open_[~fits]
        factor[open_] /= 2
    return taken, taken > 0
