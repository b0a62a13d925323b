"""Several networks brought into one order of their neurons, so that all can be averaged.

    max over pi_1, ..., pi_k of  sum_{i<j} <pi_i theta_i, pi_j theta_j>

Every network has a permutation to a common order, and network j is brought to network i by that of j and the inverse of
that of i. This is consistent by construction: from c to b and on to a is from c to a. Matchings made pair by pair are
not (`cycle` says by how much), and three networks that are each matched to the first need not match each other.

Networks are visited in random order, each matched to the mean of the others (MergeMany, algorithm 3 of Ainsworth,
Hayase and Srinivasa, 2023). The mean of the others is their sum over k - 1, so that this is ascent on the sum above,
one network at a time: sum_j <pi_i theta_i, pi_j theta_j> = (k - 1) <pi_i theta_i, mean>, over j other than i. Since
|sum_i pi_i theta_i|^2 = sum_i |theta_i|^2 + 2 sum_{i<j} <pi_i theta_i, pi_j theta_j>, it is descent on the spread too,

    sum_i |pi_i theta_i - mean|^2,      mean = (1/k) sum_i pi_i theta_i

which never rises. Cost: sweeps x k weight matchings, of few passes each since they go on from where they were. It ends
in a local optimum; the common order itself is arbitrary, and is that of the first network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_seed, require_whole
from lemmata.landscape.permutation.permuting import Permutations, compose, identity, inverse, permuted, state_of
from lemmata.landscape.permutation.specification import Specification
from lemmata.landscape.permutation.trace import Inputs
from lemmata.landscape.permutation.weight_matching import given_specification, weight_matching
from lemmata.landscape.states import State, mixed, stacked


@dataclass(frozen=True, eq=False)
class Matched:
    """k networks in one order: that of the first.

    `permutations` bring each to it, `states` are the networks permuted by them and `mean` their average. `spread`
    (visits + 1,) is sum_i |pi_i theta_i - mean|^2 over the parameters, as a share of sum_i |theta_i|^2, at the start
    and after every visit: 0 for copies of one network. `converged` says that no network alone can be improved.
    """

    permutations: tuple[Permutations, ...] = field(repr=False)
    states: tuple[State, ...] = field(repr=False)
    mean: State = field(repr=False)
    spread: np.ndarray
    sweeps: int
    converged: bool
    spec: Specification = field(repr=False)

    def between(self, i: int, j: int) -> Permutations:
        """The permutations that align network j with network i as it was given."""
        return compose(self.spec, self.permutations[j], inverse(self.spec, self.permutations[i]))

    def plot(self) -> Figure:
        """Draw the spread after each visit of a network."""
        series = Series(label=f"{len(self.states)} networks", x=np.arange(len(self.spread)), y=self.spread)
        panel = Panel(
            x=Axis(label="networks visited"), y=Axis(label="spread about the mean, share of squares"), series=[series]
        )
        end = "no network alone can be improved" if self.converged else "stopped before it converged"
        return Figure(
            name="match-many", title="Several networks in one order", caption=f"{self.sweeps} sweeps; {end}.",
            panels=[panel],
        )  # fmt: skip


def match_many(
    models: Sequence[Mapping[str, Tensor] | nn.Module],
    spec: Specification | None = None,
    *,
    x: Inputs | None = None,
    max_sweeps: int = 100,
    seed: int | torch.Generator = 0,
) -> Matched:
    """Bring models of one architecture into a common order.

    `models` are models or their states, two or more; `spec` is that of the architecture, or is derived from the first
    model on a batch of inputs `x`. The order of visits is drawn from `seed`. Nothing given is changed. Cost: see the
    module. Raises `InvalidInput` for fewer than two models and for states that do not fit or are not finite.

    >>> from lemmata.landscape import permutation
    >>> model, x = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(2, 5)
    >>> spec = permutation.specification(model, x)
    >>> copies = [permutation.permuted(spec, model, permutation.random(spec, seed=seed)) for seed in range(3)]
    >>> found = match_many(copies, spec)
    >>> bool(found.spread[-1] < 1e-12), found.converged
    (True, True)
    """
    if isinstance(models, nn.Module | Mapping) or len(models) < 2:
        raise InvalidInput("models: give two or more models or states, in a sequence; there is nothing to match in one")
    spec = given_specification(models[0], spec, x)
    require_whole(max_sweeps, "max_sweeps")
    seed = require_seed(seed)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    given = [state_of(model) for model in models]
    permutations, states = [identity(spec) for _ in given], [permuted(spec, state, {}) for state in given]
    spread, sweeps, moved = [_spread(spec, states)], 0, True
    while moved and sweeps < max_sweeps:
        moved = False
        for i in torch.randperm(len(given), generator=draw).tolist():
            others = [state for j, state in enumerate(states) if j != i]
            found = weight_matching(_mean(others), given[i], spec, start=permutations[i], seed=draw)
            moved |= any(not torch.equal(p, permutations[i][name]) for name, p in found.permutations.items())
            permutations[i], states[i] = found.permutations, found.state
            spread.append(_spread(spec, states))
        sweeps += 1
    home = inverse(spec, permutations[0])
    permutations = [compose(spec, p, home) for p in permutations]
    states = [permuted(spec, state, p) for state, p in zip(given, permutations, strict=True)]
    return Matched(tuple(permutations), tuple(states), _mean(states), np.array(spread), sweeps, not moved, spec)


def cycle(spec: Specification, *permutations: Mapping[str, Tensor]) -> float:
    """The share of neurons that come back to their place when these permutations are done one after the other.

    1 for matchings that are consistent around a cycle: b to a, c to b, and a to c. By chance one neuron a group does.

    >>> from lemmata.landscape import permutation
    >>> spec = permutation.specification(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.zeros(2, 3))
    >>> p = permutation.random(spec, seed=0)
    >>> cycle(spec, p, permutation.inverse(spec, p)), cycle(spec, {"0.weight[0]": torch.tensor([1, 0, 2, 3])})
    (1.0, 0.5)
    """
    around = identity(spec)
    for step in permutations:
        around = compose(spec, around, step)
    back = [(p == torch.arange(p.shape[-1])).flatten() for p in around.values()]
    if not back:
        raise InvalidInput("the specification has no free group; there is nothing that could be out of place")
    return float(torch.cat(back).double().mean())


def _mean(states: Sequence[Mapping[str, Tensor]]) -> State:
    return mixed([1 / len(states)] * len(states), stacked(states))


def _spread(spec: Specification, states: Sequence[Mapping[str, Tensor]]) -> float:
    names = {block.tensor for block in spec.blocks} - set(spec.buffers)
    mean = _mean(states)
    around = sum(_square(s[n] - mean[n]) for s in states for n in names)
    return around / sum(_square(s[n]) for s in states for n in names)


def _square(tensor: Tensor) -> float:
    return float(tensor.abs().double().square().sum())
