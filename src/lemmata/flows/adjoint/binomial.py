"""Binomial schedules: how to go back through N steps with few states stored and few steps taken again.

With s states, that at 0 among them, at most beta(s, r) = C(s + r, s) steps can be gone back through if none is taken
more than r times before it is differentiated. For beta(s, r - 1) < N <= beta(s, r) the fewest steps taken are

    t(N, s) = r N - beta(s + 1, r - 1)

(Griewank and Walther, 2000, Algorithm 799: Revolve, section 2). The steps differentiated, N, come on top.
"""

from __future__ import annotations

from math import comb

from lemmata.given import require_whole


def reach(states: int, repeats: int) -> int:
    """beta(s, r): how many steps `states` states reach, none of which is taken more than `repeats` times.

    >>> reach(3, 2)
    10
    """
    return comb(states + repeats, states) if repeats >= 0 else 0


def repeats(steps: int, states: int) -> int:
    """The smallest r with beta(states, r) >= steps.

    >>> repeats(1024, 44), repeats(1024, 1023)
    (2, 1)
    """
    r = 0
    while reach(states, r) < steps:
        r += 1
    return r


def fewest(steps: int, states: int) -> int:
    """t(N, s): the fewest steps that are taken before their derivatives are, with `states` states stored.

    >>> fewest(10, 3), fewest(4, 1)
    (15, 6)
    """
    require_whole(steps, "steps")
    require_whole(states, "states")
    r = repeats(steps, states)
    return r * steps - reach(states + 1, r - 1)


def split(steps: int, states: int) -> int:
    """Give after how many of `steps` steps the next state is stored, if `states` may be, that before them among them.

    What lies before it is gone back through with s states and r - 1 repeats, what lies behind with s - 1 states and r:
    the fewest steps are taken where both reach what they must and neither could with a repeat less. Without a state to
    spare it is all steps but the last.

    >>> split(10, 3), split(10, 1)
    (4, 9)
    """
    if states == 1:
        return steps - 1
    r = repeats(steps, states)
    return min(reach(states, r - 1), steps - reach(states - 1, r - 1))


def spine(steps: int, states: int) -> list[tuple[int, int]]:
    """Give the states that a first pass stores besides that at 0: the step before which each is, and `states` there.

    >>> spine(10, 3)
    [(4, 2), (7, 1)]
    """
    stored, first = [], 0
    while states > 1 and steps - first > 1:
        first += split(steps - first, states)
        states -= 1
        stored.append((first, states))
    return stored
