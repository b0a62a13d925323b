"""A prior learnt from a part of the data, and the rest, for which it may be used.

A prior may be anything that does not depend on the samples of the bound. So a network is trained on a share of the
data and the prior centred at its weights; the bound is about the rest. What the rest says of that network by itself is
the hold-out bound (Clopper, Pearson), which asks for no posterior: it is given beside, and on a few thousand digits it
wins.

Source: Ambroladze, Parrado-Hernandez, Shawe-Taylor (2007), *Tighter PAC-Bayes bounds*; Dziugaite, Hsu, Gharbieh,
Arpino, Roy (2021), *On the role of data in PAC-Bayes bounds*. Cost: the training of one network. Fails: where samples
are not independent draws; copies of one sample in both parts make the bound false.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from lemmata.bounds.bound import Bound, require_delta
from lemmata.bounds.holdout import holdout_bound
from lemmata.bounds.pac_bayes.optimise_objective import as_logits
from lemmata.bounds.sample import Data, Sample, in_evaluation, outputs, read_sample
from lemmata.errors import InvalidInput
from lemmata.given import require_model, require_number, require_whole
from lemmata.nets.initialisations import generator_from
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class LearntPrior:
    """A network learnt from `part`, and the `rest` of the data, on which it may be the centre of a prior.

    `part_rows` and `rest_rows` are their indices in the data; `holdout` is the bound that the rest proves of the
    network itself, and `losses` (E,) the mean training loss of each epoch.
    """

    model: nn.Module
    part: Sample
    rest: Sample
    part_rows: Tensor
    rest_rows: Tensor
    holdout: Bound
    losses: np.ndarray

    __repr__ = short_repr

    def plot(self) -> Any:
        """Draw what the rest of the data proves of the network."""
        return self.holdout.plot()


def learnt_prior(
    model: nn.Module | Callable[[], nn.Module],
    data: Data,
    *,
    share: float = 0.5,
    epochs: int = 80,
    batch: int = 100,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    input_dropout: float = 0.0,
    delta: float = 0.05,
    seed: int | Generator = 0,
) -> LearntPrior:
    """Split `data` at random, train `model` (or what it gives, called) on the first `share`, and bound it on the rest.

    By Adam on the mean cross-entropy, in training mode, `batch` samples a step; a share `input_dropout` of the input's
    entries is set to 0 at each step and the others scaled up. What is given is not changed. Random: the split, the
    order and the dropout of inputs, from `seed`; dropout layers of the model draw from torch's global generator, which
    is left as it was. Raises `InvalidInput` for a share that leaves a part empty, and where training diverges.

    >>> from lemmata import nets
    >>> x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    >>> prior = learnt_prior(nets.mlp(5, [16], 2, seed=0), (x, (x[:, 0] > 0).long()), batch=10)
    >>> len(prior.part), len(prior.rest), 0 < prior.holdout.value < 0.25
    (100, 100, True)
    """
    sample, level = read_sample(data), require_delta(delta)
    part_share, kept = require_number(share, "share"), require_number(input_dropout, "input_dropout")
    first = round(part_share * len(sample)) if 0 < part_share < 1 else 0
    if not 0 < first < len(sample):
        raise InvalidInput(f"share = {share} of {len(sample)} samples leaves a part empty; give one between 0 and 1")
    if not 0 <= kept < 1:
        raise InvalidInput(f"input_dropout = {input_dropout}; give the share of inputs dropped, from 0 to below 1")
    counts, generator = (require_whole(epochs, "epochs"), require_whole(batch, "batch")), generator_from(seed)
    rows = torch.randperm(len(sample), generator=generator, device=generator.device).to(sample.y.device)
    part, rest = (Sample(sample.x[own], sample.y[own]) for own in (rows[:first], rows[first:]))
    network = copy.deepcopy(require_model(model() if callable(model) and not isinstance(model, nn.Module) else model))
    outputs(in_evaluation(network), sample)  # refuses what gives no logits, and labels that are no classes
    optimiser = torch.optim.Adam(network.requires_grad_().parameters(), lr=lr, weight_decay=weight_decay)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
        losses = [_epoch(network.train(), part, counts[1], optimiser, kept, generator) for _ in range(counts[0])]
    if not np.isfinite(losses).all():
        raise InvalidInput(f"training diverged: the loss of an epoch is {max(losses)}; lower lr = {lr}")
    quiet = in_evaluation(network)
    return LearntPrior(
        model=quiet, part=part, rest=rest, part_rows=rows[:first], rest_rows=rows[first:],
        holdout=holdout_bound(quiet, (rest.x, rest.y), delta=level), losses=np.array(losses),
    )  # fmt: skip


def _epoch(  # noqa: PLR0917
    network: nn.Module, part: Sample, batch: int, optimiser: torch.optim.Optimizer, dropped: float, generator: Generator
) -> float:
    """Train on each sample once; the mean loss."""
    total = 0.0
    order = torch.randperm(len(part), generator=generator, device=generator.device).to(part.x.device)
    for rows in order.split(batch):
        found = network(_dropped(part.x[rows], dropped))
        loss = cross_entropy(as_logits(found.reshape(len(rows), -1)), part.y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.item() * len(rows)
    return total / len(part)


def _dropped(x: Tensor, share: float) -> Tensor:
    """Set a share of the entries to 0 and scale the others up; by uniform numbers, as Bernoulli ones cost thrice."""
    return x * (torch.rand_like(x) >= share) / (1 - share) if share else x
