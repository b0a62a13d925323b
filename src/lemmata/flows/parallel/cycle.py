"""Multigrid in layers: relaxation of all chunks at once, and the coarse correction in full approximation form.

On every level the equations are x_{n+1} = Phi_n(x_n) + g_{n+1}. With C the states at the C-points and E_k the end of
the chunk that starts at C_k, after its m steps, the next coarser level solves

    x_{k+1} = Phi^c_k(x_k) + E_k - Phi^c_k(C_k),

whose solution is that of the fine level where C is: the correction vanishes with the residual E_k - C_{k+1}.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lemmata.flows.parallel.chain import Chain
from lemmata.flows.parallel.scheme import Multigrid


def run(chain: Chain, x: Tensor, g: Tensor | None = None) -> Tensor:
    """Take all steps one after the other from x: all states, (steps + 1, ...)."""
    states = [x]
    for j in range(chain.steps):
        x = chain.one(j, x)
        x = x if g is None else x + g[j]
        states.append(x)
    return torch.stack(states)


def relax(chain: Chain, C: Tensor, m: int, g: Tensor | None = None) -> list[Tensor]:
    """Take the m steps of every chunk from its C-point, all chunks at once: m + 1 stacks (steps / m, ...)."""
    states = [C]
    for i in range(m):
        x = chain.relax(i, m, states[-1])
        states.append(x if g is None else x + g[i::m])
    return states


def all_points(states: Sequence[Tensor], last: Tensor) -> Tensor:
    """Put the stacks of a relaxation in order: (steps + 1, ...), with the last C-point at the end."""
    return torch.cat([torch.stack(list(states[:-1]), 1).flatten(0, 1), last[None]])


class Cycle:
    """The coarse levels of a scheme: `chains[0]` is the second finest level, the last one is run step by step."""

    def __init__(self, chains: Sequence[Chain], scheme: Multigrid):
        self.chains, self.m, self.sweeps = list(chains), scheme.m, scheme.sweeps

    def guess(self, start: Tensor) -> Tensor:
        """Give first states at the finest level's C-points: a run on the coarsest level, relaxed upwards."""
        *finer, coarsest = self.chains
        states = run(coarsest, start)
        for chain in reversed(finer):
            states = all_points(relax(chain, states[:-1], self.m), states[-1])
        return states

    def correct(self, C: Tensor, E: Tensor, level: int = 0) -> Tensor:
        """Give better states at the C-points C (K + 1, ...), whose chunks end at E (K, ...)."""
        chain = self.chains[level]
        return self._solve(level, C, E - chain.each(C[:-1]))

    def _solve(self, level: int, x: Tensor, g: Tensor) -> Tensor:
        chain, m = self.chains[level], self.m
        if level == len(self.chains) - 1:
            return run(chain, x[0], g)
        C = x[::m]
        E = relax(chain, C[:-1], m, g)[-1]
        for _ in range(self.sweeps - 1):
            C = torch.cat([C[:1], E])
            E = relax(chain, C[:-1], m, g)[-1]
        C = self.correct(C, E, level + 1)
        states = relax_inside(chain, C[:-1], m, g)
        return all_points([*states, C], C[-1])

    @property
    def applied(self) -> list[int]:
        """Steps applied so far on each coarse level."""
        return [chain.applied for chain in self.chains]


def relax_inside(chain: Chain, C: Tensor, m: int, g: Tensor) -> list[Tensor]:
    """Take the m - 1 steps of every chunk that end inside it."""
    states = [C]
    for i in range(m - 1):
        states.append(chain.relax(i, m, states[-1]) + g[i::m])
    return states
