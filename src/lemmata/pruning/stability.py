"""Stability of tickets (Frankle, Dziugaite, Roy, Carbin, 2019): how far two trainings of a subnetwork end apart.

    to data order    |w_1 - w_2|       two trainings of m * W_k with different data orders
    to pruning       |w_1 - m * w|     w: the dense network, trained from W_k with the data order of w_1

norms over the weights that are left. A winning ticket ends nearer to itself than a random subnetwork does. Beside the
distances stands the instability of the line between the two copies (`lemmata.pruning.instability`). Cost: one training
a level, two where the tickets' trained weights were not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.pruning.instability import lines_between, rise
from lemmata.pruning.masks import Masks
from lemmata.pruning.setting import Pair, States
from lemmata.pruning.tickets import Tickets

DENSE_ORDER = 0  # the number of the dense network's training
OTHER_ORDER = 35_000


@dataclass(frozen=True, eq=False)
class Stability:
    """Distances of M members at L levels: `data_order` and `pruning` (L, M), and `instability` (L, M) of the line.

    `rounds` (L,) are the prunings that lead to each level, `norm` (L, M) that of the trained weights that are left.
    """

    rounds: tuple[int, ...]
    data_order: Tensor
    pruning: Tensor
    instability: Tensor
    norm: Tensor


def stability(
    tickets: Tickets, dense: States | None = None, *, levels: Sequence[int] | None = None, test: Pair | None = None,
    points: int = 11,
) -> Stability:  # fmt: skip
    """Train tickets again, and measure how far apart the copies end.

    `dense` are the dense networks trained from the tickets' weights, {name: (M, *shape)}: by default what the tickets
    hold of them, which is right when they are rewound to step 0. `levels` are all sparse ones by default; `test` is
    that of the tickets' setting. Raises `InvalidInput` where there is neither.
    """
    whole = tickets.trained[0] if dense is None and tickets.rounds[0] == 0 else dense
    measured = tickets.setting.test if test is None else test
    if whole is None or measured is None:
        raise InvalidInput("stability needs the trained dense networks and a test set; give dense=... and test=...")
    chosen = [k for k, rounds in enumerate(tickets.rounds) if rounds] if levels is None else list(levels)
    rows = [_measured(tickets, level, whole, measured, points) for level in chosen]
    columns = [torch.stack(column) for column in zip(*rows, strict=True)]
    return Stability(tuple(tickets.rounds[level] for level in chosen), *columns)


def _measured(tickets: Tickets, level: int, dense: States, test: Pair, points: int) -> tuple[Tensor, ...]:
    setting, masks = replace(tickets.setting, validation=None, test=None), tickets.masks[level]
    first = setting.train(tickets.starts, masks, number=DENSE_ORDER, skip=tickets.rewind).states
    second = tickets.trained[level]
    if second is None:
        second = setting.train(tickets.starts, masks, number=OTHER_ORDER, skip=tickets.rewind).states
    lines = lines_between(setting, first, second, test=test, points=points)
    errors = rise(torch.stack([torch.as_tensor(line.error) for line in lines]))
    nothing = {name: torch.zeros_like(tensor) for name, tensor in first.items()}
    return distance(first, second, masks), distance(first, dense, masks), errors, distance(first, nothing, masks)


def distance(a: States, b: States, masks: Masks) -> Tensor:
    """|m * (a - b)| of M members, (M,) float64.

    >>> ones = {"w": torch.ones(1, 3)}
    >>> distance(ones, {"w": torch.zeros(1, 3)}, {"w": torch.tensor([[True, True, False]])})
    tensor([1.4142], dtype=torch.float64)
    """
    squares = [((a[n] - b[n]).double() * mask).square().flatten(1).sum(1) for n, mask in masks.items()]
    return torch.stack(squares).sum(0).sqrt().cpu()
