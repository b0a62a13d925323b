"""Which rows of a layer's output belong to which sample, and that samples do not mix: tested on a few of them.

A backward pass from the outputs of half the samples must leave the rows of the other half at exactly zero. That is
what squares of per-sample gradients rest on, and it tells whether a layer sees (samples, positions) or (positions,
samples). Where neither order passes, the parameter is left over. Where the outputs of a sample depend on the others
of its batch, no per-sample answer exists and `NotExact` is raised. Cost: a forward and a backward pass of 8 samples.
"""

import torch
from torch import Tensor

from lemmata.curvature.ghost_norm import Use
from lemmata.curvature.not_exact import NotExact
from lemmata.curvature.parameter_uses import Uses, parameter_uses
from lemmata.curvature.signals import Signals
from lemmata.objective import Objective, Tree

PROBE = 8


class Layout:
    """How rows belong to samples at each use, found on a few samples; and what a sample takes in memory."""

    def __init__(self, objective: Objective, theta: Tree, entries: bool):
        self.order: dict[tuple[str, int], bool] = {}
        self.bytes = 1
        x = objective.batches[0][0]
        x = x if objective.mode == "train" else x[:PROBE]
        z = objective.outputs(theta, x)
        uses, _ = parameter_uses(z, theta)
        found = self._signals_of_half(z, uses) if z.requires_grad else {}
        for name, each in uses.items():
            orders = [_samples_first(use, found.get(use)) for use in each]
            self.order |= {(name, i): order for i, order in enumerate(orders) if order is not None}
            self.bytes += sum(use.bytes(entries, len(each) > 1) for use in each)
        leftover = any((name, i) not in self.order for name in theta for i in range(len(uses.get(name, [None]))))
        if leftover or objective.mode == "eval":  # samples will be taken singly, or in chunks
            _check_samples_apart(objective, theta, x, z)

    def read(self, z: Tensor, theta: Tree) -> tuple[Uses, list[str]]:
        """The uses in the computation of z, with the order of their rows; and the parameters left over."""
        uses, rest = parameter_uses(z, theta)
        for name, each in list(uses.items()):
            if any((name, i) not in self.order for i in range(len(each))):
                rest.append(name)
                del uses[name]
                continue
            for i, use in enumerate(each):
                use.samples_first = self.order[name, i]
        return uses, rest

    def samples_at_once(self, budget: int, whole: bool, n: int) -> int:
        """How many samples to take at once: all where statistics of the batch are used."""
        return n if whole else min(n, max(1, budget // self.bytes))

    def _signals_of_half(self, z: Tensor, uses: Uses) -> dict[Use, Tensor]:
        """The gradients at each use of a random combination of the outputs of the first half of the samples."""
        column = torch.randn(z.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(z)
        column[(len(z) + 1) // 2 :] = 0
        found: dict[Use, Tensor] = {}
        signals = Signals(z, uses)
        with torch.no_grad(), signals:
            signals.pull(column, found.__setitem__)
        return found


def _samples_first(use: Use, d: Tensor | None) -> bool | None:
    """Whether the rows are ordered by samples (or else by positions); None where samples mix in either order."""
    if d is None:
        return True
    for order in (True, False):
        use.samples_first = order
        if len(use.channels(d)) % use.n == 0 and not use.signal(d)[(use.n + 1) // 2 :].any():
            return order
    return None


def _check_samples_apart(objective: Objective, theta: Tree, x: Tensor, z: Tensor) -> None:
    """Refuse a model whose outputs for one sample depend on the others, where samples are to be taken singly."""
    try:
        with torch.no_grad():
            alone = torch.cat([objective.outputs(theta, x[i : i + 1]) for i in range(min(2, len(x)))])
        size = float(z.detach().abs().max())
        apart = torch.allclose(alone, z[: len(alone)].detach(), rtol=1e-3, atol=1e-4 * size)
    except ValueError:  # torch has no statistics of a batch of one
        apart = False
    if not apart:
        raise NotExact(
            "the outputs of a sample depend on the other samples of its batch (batch normalisation by statistics of "
            "the batch does this); take mode='eval', or method='hutchinson'"
        )
