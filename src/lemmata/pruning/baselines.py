"""What a ticket is compared with: other masks of the same sparsity, other weights, and pruning at once.

All are trained in the setting of the tickets (data, steps, step sizes), from the same weights W_k, except where it is
the weights that are exchanged. A random mask keeps as many weights as the ticket's, in each layer (the ticket's mask,
permuted within the layer) or in all. With independent initial weights (k = 0) a permuted mask on the same weights and
the same mask on permuted weights have one law.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.pruning.magnitude import smallest_pruned
from lemmata.pruning.masks import Masks, ones
from lemmata.pruning.setting import States, stacked
from lemmata.pruning.tickets import Tickets, members_of
from lemmata.training.streams import derived

Within = Literal["layer", "network"]

FIRST = {"random": 10_000_000, "reinitialised": 20_000, "one shot": 30_000}  # numbers of trainings
PLACES = 2_000_000_000  # and of random masks, whose streams are no training's


def random_tickets(
    tickets: Tickets, *, within: Within = "layer", levels: Sequence[int] | None = None, seed: int = 0
) -> Tickets:
    """Train the weights of the tickets under random masks that keep as many of them.

    As many in each layer, or with ``within="network"`` as many in all, drawn without replacement. `levels` are those of
    the tickets (all but the dense one). Masks depend on `seed`, on the member's own and on the number of prunings.

    Cost: a training a level.
    """
    if within not in ("layer", "network"):
        raise UnknownName("within", str(within), ("layer", "network"))
    chosen = _levels(tickets, levels)
    masks = [permuted(tickets.masks[level], _draws(tickets, level, seed), within) for level in chosen]
    return _compared(tickets, "random", chosen, masks, starts=tickets.starts, skip=tickets.rewind, draw=seed)


def reinitialised(
    tickets: Tickets,
    models: Sequence[nn.Module] | Callable[[int], nn.Module],
    *,
    levels: Sequence[int] | None = None,
) -> Tickets:
    """Train the masks of the tickets on other initial weights: those of `models`, one for each member.

    `models` is a sequence, or a function from a member's seed to a network, which must draw other weights than the
    tickets had. From step 0 on, whatever the tickets were rewound to: new weights have no step k. Raises `InvalidInput`
    where a model has the weights that its ticket has.
    """
    networks, _ = members_of(models, tickets.setting.seeds)
    starts = stacked(networks)
    for name in tickets.masks[0]:
        if any(torch.equal(a, b) for a, b in zip(starts[name], tickets.starts[name], strict=True)):
            raise InvalidInput(f"a model has the ticket's own weights in {name!r}; draw them from another seed")
    chosen = _levels(tickets, levels)
    return _compared(
        tickets, "reinitialised", chosen, [tickets.masks[level] for level in chosen], starts=starts, skip=0
    )


def one_shot(tickets: Tickets, *, levels: Sequence[int] | None = None) -> Tickets:
    """Prune the trained dense networks at once to each level, and train from the same weights W_k.

    What iterations are worth: the masks have as many weights in each layer as those of the tickets.
    """
    chosen, dense = _levels(tickets, levels), tickets.trained[0]
    if dense is None or tickets.rounds[0] != 0:
        raise InvalidInput("one-shot pruning needs the trained dense networks; give tickets of iterative_magnitude")
    whole = ones(tickets.setting.template, tickets.members)
    masks = [smallest_pruned(dense, whole, times=tickets.rounds[level], **tickets.pruning) for level in chosen]
    return _compared(tickets, "one shot", chosen, masks, starts=tickets.starts, skip=tickets.rewind)


def permuted(masks: Masks, generators: Sequence[torch.Generator], within: Within) -> dict[str, Tensor]:
    """Masks (M, *shape) with their entries in random places, each member's from a generator of its own.

    >>> mask = {"weight": torch.tensor([[[True, False, False], [True, True, False]]])}
    >>> int(permuted(mask, [torch.Generator().manual_seed(0)], "layer")["weight"].sum())
    3
    """
    flat = {name: mask.flatten(1) for name, mask in masks.items()}
    blocks = {"": torch.cat(list(flat.values()), 1)} if within == "network" else flat
    drawn = {
        name: torch.stack(
            [
                row[torch.randperm(len(row), generator=g).to(row.device)]
                for row, g in zip(block, generators, strict=True)
            ]
        )
        for name, block in blocks.items()
    }
    if within == "network":
        parts = drawn[""].split([block.shape[1] for block in flat.values()], 1)
        drawn = dict(zip(flat, parts, strict=True))
    return {name: drawn[name].reshape(mask.shape) for name, mask in masks.items()}


def _levels(tickets: Tickets, levels: Sequence[int] | None) -> list[int]:
    chosen = [k for k, rounds in enumerate(tickets.rounds) if rounds] if levels is None else list(levels)
    for level in chosen:
        if not 0 <= level < len(tickets):
            raise InvalidInput(f"level {level}: the tickets have {len(tickets)}, 0 to {len(tickets) - 1}")
    return chosen


def _draws(tickets: Tickets, level: int, seed: int) -> list[torch.Generator]:
    purpose = PLACES + 1000 * seed + tickets.rounds[level]
    return [torch.Generator().manual_seed(own) for own in derived(tickets.setting.seeds, purpose)]


def _compared(
    tickets: Tickets,
    kind: str,
    levels: Sequence[int],
    masks: Sequence[Masks],
    *,
    starts: States,
    skip: int,
    draw: int = 0,
) -> Tickets:
    """Train every level in the setting of the tickets."""
    rounds = tuple(tickets.rounds[level] for level in levels)
    trained = [
        tickets.setting.train(starts, own, number=FIRST[kind] + 1000 * draw + r, skip=skip)
        for own, r in zip(masks, rounds, strict=True)
    ]
    lost = torch.stack([t.diverged for t in trained]) | tickets.diverged[list(levels)]
    return replace(
        tickets, kind=kind, rewind=skip, rounds=rounds, masks=tuple(masks), starts=starts,
        traces=tuple(t.trace.without(row) for t, row in zip(trained, lost, strict=True)),
        trained=tuple(t.states for t in trained), diverged=lost,
    )  # fmt: skip
