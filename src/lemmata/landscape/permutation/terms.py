"""What an axis of a tensor is made of, as a term over groups of indices, and the unification of two such terms.

    term  ::=  Leaf(g)              the indices of group g, which permute together wherever g occurs
            |  Prod(t1, ..., tk)    row-major pairs of indices, as flattening gives: channels x pixels, heads x
            dimensions
            |  Sum(t1, ..., tk)     one after the other, as concatenation gives
            |  Cases(p; t0, t1, ..) t_i where the pinned group p, another axis of the same tensor, has index i

Two axes that are added, multiplied or contracted must permute alike: `Groups.unify` makes them equal, as type inference
does. A group turns out to be a product where an axis is split (channels into groups, features into heads), and then the
inner group lies *inside* the outer one: it has one permutation for each of the outer indices, a wreath product. What
has no common refinement (6 as 2 x 3 and as 3 x 2) is pinned: its only permutation is the identity. Pinning is always
right, since it only takes symmetries away; nothing else here takes any away that the equations leave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Leaf:
    """All indices of one group."""

    group: int


@dataclass(frozen=True)
class Prod:
    """Indices of several parts in row-major order; without parts the one index of an axis of size 1."""

    parts: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Sum:
    """Indices of several parts, one part after the other."""

    parts: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Cases:
    """The part that belongs to the index of the pinned group `over`, which is on another axis of the same tensor."""

    over: int
    parts: tuple[Term, ...]


Term = Leaf | Prod | Sum | Cases
ONE = Prod()


class Groups:
    """The groups met so far: sizes, what they lie inside of, why they are pinned, and what they turned out to be."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.pins: list[str | None] = []
        self._parents: list[tuple[int, ...]] = []
        self._bound: dict[int, Term] = {}

    def leaf(self, size: int, *, inside: Sequence[int] = (), pinned: str | None = None) -> Term:
        """A new group of this size; an axis of size 1 needs none."""
        if size == 1:
            return ONE
        self.sizes.append(size)
        self.pins.append(pinned)
        self._parents.append(tuple(inside))
        return Leaf(len(self.sizes) - 1)

    def resolve(self, term: Term) -> Term:
        """The term in what its groups turned out to be, with nested products and sums flattened."""
        match term:
            case Leaf(g):
                return self.resolve(self._bound[g]) if g in self._bound else term
            case Cases(p, parts):
                over = self.resolve(Leaf(p))
                if isinstance(over, Leaf):
                    return Cases(over.group, tuple(map(self.resolve, parts)))
                return self.resolve(self._common(parts, "an axis read by position is split"))
            case _:
                kind = type(term)
                flat: list[Term] = []
                for part in map(self.resolve, term.parts):
                    flat += part.parts if isinstance(part, kind) else [part]
                return flat[0] if len(flat) == 1 else kind(tuple(flat))

    def size(self, term: Term) -> int:
        """How many indices the term has."""
        match term:
            case Leaf(g):
                return self.sizes[g]
            case Prod(parts):
                return math.prod(map(self.size, parts))
            case Sum(parts):
                return sum(map(self.size, parts))
            case Cases(_, parts):
                return self.size(parts[0])

    def leaves(self, term: Term) -> Iterator[int]:
        """The groups of a term as it stands resolved, each as often as it occurs."""
        term = self.resolve(term)
        if isinstance(term, Leaf):
            yield term.group
        else:
            for part in term.parts:
                yield from self.leaves(part)

    def parents(self, group: int) -> tuple[int, ...]:
        """The groups that `group` lies inside of, outermost first, in what they turned out to be.

        A parent that became a sum has no index of its own any longer: the group then has one permutation for all of it.
        """
        found: list[int] = []
        for parent in self._parents[group]:
            now = self.resolve(Leaf(parent))
            parts = now.parts if isinstance(now, Prod) else (now,)
            found += [p.group for p in parts if isinstance(p, Leaf) and p.group != group and p.group not in found]
        self._parents[group] = tuple(found)
        return tuple(found)

    def restrict(self, group: int, allowed: Sequence[int]) -> bool:
        """Let `group` lie inside of `allowed` at most; whether that changed anything."""
        before = self.parents(group)
        self._parents[group] = tuple(p for p in before if p in allowed)
        return self._parents[group] != before

    def pin(self, term: Term, why: str) -> None:
        """Allow all groups of a term the identity only."""
        for g in self.leaves(term):
            self.pins[g] = self.pins[g] or why

    def unify(self, s: Term, t: Term, why: str) -> None:
        """Make two terms of one size permute alike; where they cannot, pin both for the reason `why`."""
        s, t = self.resolve(s), self.resolve(t)
        if s == t:
            return
        match s, t:
            case (Leaf(g), _):
                self._bind(g, t, why)
            case (_, Leaf(g)):
                self._bind(g, s, why)
            case (Prod(p), Prod(q)):
                self._align(list(p), list(q), why)
            case (Sum(p), Sum(q)):
                self._align_sums(list(p), list(q), why)
            case (Cases(p, own), Cases(q, other)) if p == q:
                for one, two in zip(own, other, strict=True):
                    self.unify(one, two, why)
            case (Cases(_, parts), other) | (other, Cases(_, parts)):
                self.unify(self._common(parts, why), other, why)
            case _:
                self._pin_both(s, t, why)

    def factors(self, term: Term, sizes: Sequence[int], why: str) -> list[Term]:
        """Write a term as a product of these sizes, outermost first, splitting groups where they must be."""
        rest, made = self._parts(term, Prod), []
        for size in sizes:
            taken: list[Term] = []
            missing = size
            while missing > 1:
                head = rest.pop(0)
                n = self.size(head)
                if missing % n == 0:
                    taken, missing = [*taken, head], missing // n
                elif n % missing == 0 and isinstance(head, Leaf):
                    outer, inner = self.split(head.group, missing)
                    taken, missing, rest = [*taken, outer], 1, [inner, *rest]
                else:
                    self.pin(term, f"{why} splits it across its parts")
                    return [self.leaf(size, pinned=f"{why} splits it across its parts") for size in sizes]
            made.append(self.resolve(Prod(tuple(taken))))
        return made

    def cut(self, term: Term, sizes: Sequence[int], why: str) -> list[Term]:
        """Write a term as a sum of these sizes, cutting groups where they must be."""
        rest, made = [part for part in self._parts(term, Sum) if self.size(part)], []
        for size in sizes:
            taken: list[Term] = []
            missing = size
            while missing > 0:
                head = rest.pop(0)
                n = self.size(head)
                if n > missing:
                    if not isinstance(head, Leaf):
                        self.pin(term, f"{why} cuts it across its parts")
                        return [self.leaf(size, pinned=f"{why} cuts it across its parts") for size in sizes]
                    head, after = self._halves(head.group, missing)
                    rest = [after, *rest]
                taken, missing = [*taken, head], missing - self.size(head)
            made.append(self.resolve(Sum(tuple(taken))))
        return made

    def split(self, group: int, outer_size: int) -> tuple[Term, Term]:
        """Find that a group is a product of `outer_size` blocks, and the inner group one inside each block."""
        inside, pinned = self.parents(group), self.pins[group]
        outer = self.leaf(outer_size, inside=inside, pinned=pinned)
        within = (*inside, outer.group) if isinstance(outer, Leaf) else inside
        inner = self.leaf(self.sizes[group] // outer_size, inside=within, pinned=pinned)
        self._bound[group] = Prod((outer, inner))
        return outer, inner

    def case(self, term: Term, over: int, index: int) -> Term:
        """What the term is where the pinned group `over` has this index: groups inside it become one each."""
        for g in set(self.leaves(term)):
            self._materialise(g, over)
        return self.at(term, {over: index})

    def at(self, term: Term, index: Mapping[int, int]) -> Term:
        """The term with its cases decided for the pinned groups that have an index here."""
        match self.resolve(term):
            case Cases(p, parts) if p in index:
                return self.at(parts[index[p]], index)
            case Leaf() as leaf:
                return leaf
            case Cases(p, parts):
                return Cases(p, tuple(self.at(part, index) for part in parts))
            case Prod(parts):
                return Prod(tuple(self.at(part, index) for part in parts))
            case Sum(parts):
                return Sum(tuple(self.at(part, index) for part in parts))

    def _materialise(self, group: int, over: int) -> None:
        if group in self._bound or over not in self.parents(group):
            return
        outer = [p for p in self.parents(group) if p != over]
        for p in outer:
            self._materialise(p, over)
        made = []
        for index in range(self.sizes[over]):
            within = [g for p in outer for g in self.leaves(self.at(Leaf(p), {over: index}))]
            made.append(self.leaf(self.sizes[group], inside=within, pinned=self.pins[group]))
        self._bound[group] = Cases(over, tuple(made))

    def _bind(self, group: int, term: Term, why: str) -> None:
        if group in set(self.leaves(term)):
            self._pin_both(Leaf(group), term, why)
            return
        own = set(self.leaves(term))
        for g in own:
            self.restrict(g, [p for p in self.parents(g) if p != group])
        if isinstance(term, Cases) and term.over not in self.parents(group):
            term = self._common(term.parts, why)
            self.unify(Leaf(group), term, why)
            return
        if self.pins[group]:
            self.pin(term, self.pins[group] or why)
        elif isinstance(term, Leaf) and self.pins[term.group]:
            self.pins[group] = self.pins[term.group]
        allowed = set(self.parents(group)) | own
        for g in own:
            self.restrict(g, [p for p in self.parents(g) if p in allowed])
        self._bound[group] = term

    def _align(self, p: list[Term], q: list[Term], why: str) -> None:
        while p and q:
            m, n = self.size(p[0]), self.size(q[0])
            if m == n:
                self.unify(p.pop(0), q.pop(0), why)
                continue
            large, small = (p, q) if m > n else (q, p)
            head = large[0]
            if not isinstance(head, Leaf) or max(m, n) % min(m, n):
                break
            large[:1] = self.split(head.group, self.size(small[0]))
        self._pin_both(Prod(tuple(p)), Prod(tuple(q)), why)

    def _align_sums(self, p: list[Term], q: list[Term], why: str) -> None:
        while p and q:
            m, n = self.size(p[0]), self.size(q[0])
            if m == n:
                self.unify(p.pop(0), q.pop(0), why)
                continue
            large, small = (p, q) if m > n else (q, p)
            head = large[0]
            if not isinstance(head, Leaf):
                break
            large[:1] = self._halves(head.group, self.size(small[0]))
        self._pin_both(Sum(tuple(p)), Sum(tuple(q)), why)

    def _halves(self, group: int, first: int) -> tuple[Term, Term]:
        inside, pinned = self.parents(group), self.pins[group]
        parts = [self.leaf(n, inside=inside, pinned=pinned) for n in (first, self.sizes[group] - first)]
        self._bound[group] = Sum(tuple(parts))
        return parts[0], parts[1]

    def _common(self, parts: Sequence[Term], why: str) -> Term:
        for part in parts[1:]:
            self.unify(parts[0], part, why)
        return self.resolve(parts[0])

    def _pin_both(self, s: Term, t: Term, why: str) -> None:
        for term in (s, t):
            self.pin(term, f"{why} wants it in two ways that have no common refinement")

    def _parts(self, term: Term, kind: type[Prod] | type[Sum]) -> list[Term]:
        term = self.resolve(term)
        return list(term.parts) if isinstance(term, kind) else [term]


def cases_in(terms: Sequence[Term]) -> set[int]:
    """The pinned groups on whose index terms depend."""
    found: set[int] = set()
    for term in terms:
        if isinstance(term, Cases):
            found.add(term.over)
        if not isinstance(term, Leaf):
            found |= cases_in(term.parts)
    return found
