"""The order of a Runge-Kutta method from its tableau, in exact rational arithmetic, by rooted trees.

A method has order p if b . phi(tree) = 1 / gamma(tree) for every rooted tree of at most p nodes (Butcher, 1963; Hairer,
Norsett and Wanner, Solving Ordinary Differential Equations I, theorem II.2.13), where

    phi_i(tree) = prod over the root's branches of sum_j a_ij phi_j(branch),   gamma(tree) = nodes * prod gamma(branch).

A partitioned method for q' = f(p), p' = g(q) has two tableaux that take turns from node to child (Hairer, Lubich and
Wanner, Geometric Numerical Integration, section III.2): the children of a q' are velocities p'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from math import prod

NEAR = 1e-12  # what a condition may be off by where numbers are floats, as those of irrational tableaux are

Tree = tuple["Tree", ...]  # a root's branches
Matrix = Sequence[Sequence[Fraction]]


@cache
def trees(nodes: int) -> tuple[Tree, ...]:
    """All rooted trees of so many nodes.

    >>> [len(trees(n)) for n in range(1, 7)]
    [1, 1, 2, 4, 9, 20]
    """
    return tuple(_forests(nodes - 1, nodes - 1))


def _forests(nodes: int, largest: int) -> Iterator[Tree]:
    """All multisets of trees with `nodes` nodes together, none larger than `largest`."""
    if nodes == 0:
        yield ()
    for size in range(min(nodes, largest), 0, -1):
        for place, tree in enumerate(trees(size)):
            for rest in _forests(nodes - size, size):
                if not rest or (size_of(rest[0]), -trees(size_of(rest[0])).index(rest[0])) <= (size, -place):
                    yield (tree, *rest)


def size_of(tree: Tree) -> int:
    """The number of nodes."""
    return 1 + sum(map(size_of, tree))


def density(tree: Tree) -> int:
    """gamma(tree).

    >>> density(((), ((),)))
    8
    """
    return size_of(tree) * prod(map(density, tree))


def weights(tree: Tree, A: Matrix, other: Matrix) -> list[Fraction]:
    """phi_i(tree), where a node's children are weighed by A and theirs by `other`, in turns."""
    branches = [weights(branch, other, A) for branch in tree]
    return [
        prod((sum((a * w for a, w in zip(row, phi, strict=True)), Fraction(0)) for phi in branches), start=Fraction(1))
        for row in A
    ]


def defects(tree: Tree, b: Sequence[Fraction], A: Matrix, other: Matrix | None = None) -> Fraction:
    """B . phi(tree) - 1 / gamma(tree): zero where the condition holds."""
    phi = weights(tree, A, A if other is None else other)
    return sum((w * v for w, v in zip(b, phi, strict=True)), Fraction(0)) - Fraction(1, density(tree))


def order_of(b: Sequence[Fraction], A: Matrix, other: Matrix | None = None, *, most: int = 6) -> int:
    """The largest order, up to `most`, whose conditions hold, but for the rounding of floats.

    >>> half = Fraction(1, 2)
    >>> order_of([Fraction(0), Fraction(1)], [[Fraction(0)] * 2, [half, Fraction(0)]])
    2
    """
    for nodes in range(1, most + 1):
        if any(abs(defects(tree, b, A, other)) > NEAR for tree in trees(nodes)):
            return nodes - 1
    return most
