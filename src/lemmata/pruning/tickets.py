"""Winning tickets by iterative magnitude pruning with rewinding (Frankle and Carbin, 2019; Frankle et al., 2020).

    W_k      the weights of the dense network after k steps (k = 0: its initial weights)
    round r  train m_r * W_k to the end; m_{r+1} = m_r without the smallest of the trained weights

so that the networks m_r * W_k, trained in isolation, are the tickets. Their claim is about comparison: a sparse network
of the same shape with other weights, or another mask, does not learn as well. `lemmata.pruning.random_tickets`,
`reinitialised` and `one_shot` are those comparisons, in the same setting.

Members (seeds) are trained together, each with its own mask, by `lemmata.pruning.Pruned`: pruned weights are exactly
zero. Cost: rounds + 1 trainings of the dense network's gradients. Where it fails: k = 0 does not find tickets for deep
networks trained with large steps (the remedy is k > 0), and a mask that is found at k is
one of the data: it is no cheaper to find than to train the dense network many times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_whole
from lemmata.landscape.samples import Interrupted
from lemmata.pruning.magnitude import Scope, check_shares, smallest_pruned
from lemmata.pruning.masked import masked
from lemmata.pruning.masks import Count, Masks, count, of_member, ones
from lemmata.pruning.setting import Pair, Setting, States, member, stacked
from lemmata.pruning.trace import Trace
from lemmata.training import Schedule
from lemmata.training.ensemble import check_members
from lemmata.training.losses import Loss
from lemmata.training.optimisers import Optimiser
from lemmata.training.schedules import Factor

if TYPE_CHECKING:
    from lemmata.figures import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Tickets:
    """Levels of sparsity, each with M networks: masks, what they were trained from, and how they did.

    setting     what they were trained on, and how
    kind        "magnitude", "random", "reinitialised", "one shot"
    rewind      the step k of the weights that are trained
    rounds      (L,) how many prunings lead to each level
    masks       a level: {name: (M, *shape) bool}
    starts      {name: (M, *shape)}: W_k before the mask (one for all levels)
    traces      a level: losses and accuracies on the way, `lemmata.pruning.trace.Trace`
    trained     a level: {name: (M, *shape)}, or None where it was not kept
    diverged    (L, M) bool: a loss or weight left the finite, here or at a level before; the accuracy is NaN
    pruning     the share, that of layers, and the scope of each pruning
    """

    setting: Setting
    kind: str
    rewind: int
    rounds: tuple[int, ...]
    masks: tuple[Masks, ...]
    starts: States
    traces: tuple[Trace, ...]
    trained: tuple[States | None, ...]
    diverged: Tensor
    pruning: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rounds)

    def __repr__(self) -> str:
        shown = ", ".join(f"{100 * d:.3g} %" for d in self.density.mean(1).tolist())
        return f"<Tickets ({self.kind}) of {self.members} networks at {shown} of the weights>"

    @property
    def members(self) -> int:
        """Networks at each level."""
        return self.diverged.shape[1]

    def counts(self, level: int, member: int = 0) -> Count:
        """What is left of each layer of a network, counted."""
        return count(self.setting.template, of_member(self.masks[level], member))

    @property
    def density(self) -> Tensor:
        """The share of the prunable weights that is left, (L, M) float64: a ratio of whole numbers."""
        left = torch.stack([torch.stack([m.flatten(1).sum(1) for m in own.values()]).sum(0) for own in self.masks])
        return left.double().cpu() / sum(mask[0].numel() for mask in self.masks[0].values())

    @property
    def accuracy(self) -> Tensor:
        """The test accuracy at the end of training, (L, M)."""
        return torch.stack([trace.accuracy for trace in self.traces])

    @property
    def stopping(self) -> Tensor:
        """The step of the least validation loss, (L, M)."""
        return torch.stack([trace.stopping for trace in self.traces])

    @property
    def stopping_accuracy(self) -> Tensor:
        """The test accuracy at that step, (L, M)."""
        return torch.stack([trace.stopping_accuracy for trace in self.traces])

    def level(self, rounds: int) -> int:
        """The level that so many prunings lead to."""
        if rounds not in self.rounds:
            raise InvalidInput(f"no level after {rounds} prunings; there are {', '.join(map(str, self.rounds))}")
        return self.rounds.index(rounds)

    def ticket(self, level: int, i: int) -> nn.Module:
        """Network i of a level as it is before training: the start, masked by parametrisation."""
        return masked(member(self.setting.template, self.starts, i), of_member(self.masks[level], i))

    def model(self, level: int, i: int) -> nn.Module:
        """Network i of a level after training: ordinary weights, zero where they are pruned."""
        states = self.trained[level]
        if states is None:
            raise InvalidInput(f"the trained weights of level {level} were not kept; ask with keep_weights=True")
        return member(self.setting.template, states, i).eval()

    def plot(self, *others: Tickets) -> Figure:
        """Draw accuracy and early stopping against sparsity, with other tickets of the same setting beside them."""
        from lemmata.pruning.figures import ticket_curves

        return ticket_curves([self, *others])


def iterative_magnitude(
    models: Sequence[nn.Module] | Callable[[int], nn.Module],
    data: Pair,
    *,
    rounds: int | Sequence[int],
    optimiser: Optimiser,
    epochs: int,
    share: float = 0.2,
    shares: Mapping[str, float] | None = None,
    scope: Scope = "layer",
    rewind: int = 0,
    batch_size: int | None = None,
    loss: Loss = "cross_entropy",
    seeds: Sequence[int] | None = None,
    schedule: Schedule | Factor | None = None,
    validation: Pair | None = None,
    test: Pair | None = None,
    every: int | None = None,
    keep_weights: bool = False,
    known: Tickets | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Tickets:
    """Find the tickets of M networks: train, prune the smallest weights, rewind, and again.

    `models` are M networks, which are not changed, or a function from a seed to one. `data` is (x, y) as for
    `lemmata.training.train`, whose are `optimiser`, `epochs`, `batch_size`, `loss`, `schedule` and `seeds` (of the data
    orders; default ``range(M)``); `rounds` is how often to prune, or how many prunings to do at once after each
    training: ``(3, 4)`` leaves after two trainings exactly as many weights as seven rounds leave. Each takes
    `share` of what is left in each layer, or of all with ``scope="global"``; `shares` gives layers another share:
    ``{"output": 0.1}``. `rewind` is the step k from which tickets are trained: on the batches from k on, with the step
    sizes from k on, an optimiser that has just begun. Losses and accuracies on `validation` and `test`, which all share
    or each has its own of, are measured `every` so many steps (default: an epoch).

    Trained weights are kept of the first and the last level, or of all with `keep_weights`. `progress(done, trainings)`
    is called after each. Ctrl-C raises `lemmata.landscape.Interrupted`, whose `partial` is what is done; ``known=`` it,
    in the same call, goes on. Random: only the data orders. Cost: a training for each round and one more. Raises
    `InvalidInput` for what does not fit.

    >>> from lemmata import nets
    >>> from lemmata.training import SGD
    >>> x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    >>> found = iterative_magnitude(
    ...     lambda seed: nets.mlp(4, [20], 2, seed=seed), (x, (x[:, 0] > 0).long()),
    ...     seeds=[0, 1], rounds=3, optimiser=SGD(lr=0.5), epochs=20, test=(x, (x[:, 0] > 0).long()),
    ... )
    >>> found
    <Tickets (magnitude) of 2 networks at 100 %, 80 %, 64.2 %, 51.7 % of the weights>
    """
    networks, seeds = members_of(models, seeds)
    setting = Setting(
        networks[0], *data, optimiser=optimiser, epochs=require_whole(epochs, "epochs"), batch_size=batch_size,
        seeds=seeds, loss=loss, schedule=schedule, validation=validation, test=test, every=every,
    )  # fmt: skip
    if not 0 <= require_whole(rewind, "rewind", least=0) < setting.steps:
        raise InvalidInput(f"rewind = {rewind}: a training has {setting.steps} steps, and tickets need one at least")
    times = [1] * require_whole(rounds, "rounds", least=0) if isinstance(rounds, int) else list(rounds)
    masks = ones(networks[0], len(networks))
    pruning = {"share": share, "shares": dict(shares or {}), "scope": scope}
    check_shares(masks, **pruning)
    if known is None:
        first = setting.train(stacked(networks), None, number=0, snapshots=(rewind,))
        found = Tickets(
            setting, "magnitude", rewind, (0,), (masks,), first.snapshots[rewind], (first.trace,), (first.states,),
            first.diverged[None], pruning,
        )  # fmt: skip
    else:
        found = _fitting(known, setting, rewind, times, pruning)
    for done in range(len(found), len(times) + 1):
        if progress is not None:
            progress(done, len(times) + 1)
        try:
            found = _next(found, times[done - 1], keep_weights)
        except KeyboardInterrupt as stop:
            raise Interrupted(found) from stop
    if progress is not None:
        progress(len(times) + 1, len(times) + 1)
    return found


def _next(found: Tickets, times: int, keep_weights: bool) -> Tickets:
    """Prune what the last level trained, rewind and train again."""
    last = found.trained[-1]
    assert last is not None
    masks = smallest_pruned(last, found.masks[-1], times=times, **found.pruning)
    rounds = found.rounds[-1] + times
    new = found.setting.train(found.starts, masks, number=rounds, skip=found.rewind)
    lost = new.diverged | found.diverged[-1]  # a mask of weights that are no numbers means nothing
    older = found.trained if keep_weights else (found.trained[0], *[None] * (len(found) - 1))
    return replace(
        found,
        rounds=(*found.rounds, rounds),
        masks=(*found.masks, masks),
        traces=(*found.traces, new.trace.without(lost)),
        trained=(*older, new.states),
        diverged=torch.cat([found.diverged, lost[None]]),
    )


def members_of(
    models: Sequence[nn.Module] | Callable[[int], nn.Module], seeds: Sequence[int] | None
) -> tuple[list[nn.Module], tuple[int, ...]]:
    """The networks and the seeds of their data orders."""
    if callable(models) and not isinstance(models, Sequence):
        if seeds is None:
            raise InvalidInput("models is a function of a seed; give seeds, one for each network")
        networks = [models(int(seed)) for seed in seeds]
    else:
        networks = list(models)
    check_members(networks)
    chosen = tuple(range(len(networks))) if seeds is None else tuple(int(seed) for seed in seeds)
    if len(chosen) != len(networks):
        raise InvalidInput(f"{len(chosen)} seeds for {len(networks)} models; give one seed a model")
    return networks, chosen


def _fitting(
    known: Tickets, setting: Setting, rewind: int, times: Sequence[int], pruning: Mapping[str, Any]
) -> Tickets:  # fmt: skip
    """Earlier tickets, if they are the beginning of what is asked for now."""
    rounds = tuple(sum(times[:k]) for k in range(len(times) + 1))
    asked = (setting.seeds, setting.epochs, setting.batch_size, setting.loss, rewind, pruning)
    was = known.setting
    same = (was.seeds, was.epochs, was.batch_size, was.loss, known.rewind, known.pruning) == asked
    if not same or known.rounds != rounds[: len(known)]:
        raise InvalidInput(
            f"known has {known.rounds} prunings of {known.members} networks, rewound to step {known.rewind}, by "
            f"{dict(known.pruning)}: not a beginning of what is asked for now; leave it out, or ask for the same"
        )
    return replace(known, setting=setting)
