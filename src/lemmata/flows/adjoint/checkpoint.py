"""Checkpointing: few states are stored, the others are computed again from them, on a binomial schedule.

Memory is `states` states at any time, that at 0 among them, and what one step saves for its derivative. The forward
pass takes N steps, the backward pass t(N, states) - m again (`binomial.fewest`), where m of them lead to the last state
stored, and N more to differentiate them. By default `states` is the smallest number that lets no step be taken a third
time before it is differentiated, about sqrt(2 N).
"""

from __future__ import annotations

from math import isqrt

from lemmata.flows.adjoint.binomial import reach, spine, split
from lemmata.flows.adjoint.chain import Chain, Gradients, Parts
from lemmata.flows.adjoint.way import Passed, Recomputing
from lemmata.given import require_whole


class Checkpoint(Recomputing):
    """Store `states` states; None takes the fewest with which no step is taken a third time.

    >>> Checkpoint().stored(1024), Checkpoint(states=10).stored(1024)
    (44, 10)
    """

    name = "checkpoint"

    def __init__(self, states: int | None = None):
        self.states = None if states is None else require_whole(states, "states")

    def __repr__(self) -> str:
        return f"Checkpoint(states={self.states})"

    def stored(self, steps: int) -> int:
        """How many states are stored at most, that at 0 among them."""
        if self.states is not None:
            return min(self.states, steps)
        states = max(1, isqrt(2 * steps) - 2)
        while reach(states, 2) < steps:
            states += 1
        return states

    def forward(self, chain: Chain, state: Parts, stacks: Parts) -> tuple[Parts, Parts]:
        """Give the state at T, and the states stored on the way."""
        kept: list[Parts] = []
        first = 0
        for step, _ in spine(chain.steps, self.stored(chain.steps)):
            state = chain.run(first, step, state, stacks)
            kept.append(state)
            first = step
        return chain.run(first, chain.steps, state, stacks), tuple(part for parts in kept for part in parts)

    def backward(self, chain: Chain, passed: Passed, gradient: Parts, into: Gradients) -> Parts:
        """Go back through the part behind each stored state, the last first, in the room that those behind it left."""
        room, parts = self.stored(chain.steps), chain.parts
        starts = [(0, room), *spine(chain.steps, room)]
        states = [passed.start, *(passed.kept[i : i + parts] for i in range(0, len(passed.kept), parts))]

        def through(first: int, last: int, room: int, state: Parts, gradient: Parts) -> Parts:
            while last - first > 1:
                middle = first + split(last - first, room)
                between = chain.run(first, middle, state, passed.stacks)
                gradient = through(middle, last, max(1, room - 1), between, gradient)
                last = middle
            return chain.pull(first, state, passed.stacks, gradient, into)

        last = chain.steps
        for (first, room), state in zip(reversed(starts), reversed(states), strict=True):
            gradient, last = through(first, last, room, state, gradient), first
        return gradient
