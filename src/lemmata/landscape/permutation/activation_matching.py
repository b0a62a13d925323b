"""Permutations that bring the activations of one model as near as can be to those of another, on data.

    max_pi sum_z <z_a, pi z_b>

over the activations z that products read (linear maps, convolutions, attention), summed over samples and places
(Ainsworth, Hayase and Srinivasa, 2023, section 3.1; Li, Yosinski, Clune, Lipson and Hopcroft, 2015, take correlations).
Only <z_a, z_b> = sum over samples of their outer products is kept, an n x n matrix a group. Each group is one
assignment problem: nothing is iterated, and unless heads or blocks of channels have others inside them the maximum is
global. Cost: two forward passes over the data, 2 n^2 flops a sample and place, and 2 n^3 a group. What the data do not
excite is matched at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Interpreter, Node

from lemmata.batches import Data, read_batches
from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_model
from lemmata.landscape.permutation.arrays import arrays_of, parts_of
from lemmata.landscape.permutation.ascent import Pair
from lemmata.landscape.permutation.inference import PRODUCTS, infer
from lemmata.landscape.permutation.matching import Matching
from lemmata.landscape.permutation.permuting import State, check_shapes, in_types_of, state_of
from lemmata.landscape.permutation.specification import Specification, specification
from lemmata.landscape.permutation.trace import Trace, trace
from lemmata.landscape.permutation.weight_matching import matched

Places = tuple[tuple[str, ...], tuple[int, ...], tuple[Tensor, ...], tuple[int, ...]]
SIMILARITIES = ("inner", "correlation")


def activation_matching(
    a: nn.Module,
    b: nn.Module | State,
    data: Tensor | Data,
    spec: Specification | None = None,
    *,
    similarity: str = "inner",
    chunk: int = 256,
    seed: int | torch.Generator = 0,
) -> Matching:
    """Align b with a by what they compute on data, in evaluation mode.

    `a` is the model, `b` another of the same architecture or a state, taken in a's types; `data` are inputs (n, ...),
    or samples with targets, which are not looked at. `similarity` is that of the paper, ``"inner"`` products, or
    ``"correlation"``, which gives units of every scale the same weight. `chunk` samples are evaluated at once. Raises
    `InvalidInput` for a state of another model, and data that are none.

    >>> from lemmata.landscape import permutation
    >>> model, x = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(50, 5)
    >>> spec = permutation.specification(model, x)
    >>> planted = permutation.random(spec, seed=0)
    >>> found = permutation.activation_matching(model, permutation.permuted(spec, model, planted), x)
    >>> bool((found.permutations["0.weight[0]"] == permutation.inverse(spec, planted)["0.weight[0]"]).all())
    True
    """
    if similarity not in SIMILARITIES:
        raise UnknownName("similarity", similarity, SIMILARITIES)
    require_model(a)
    batches = _inputs(data, chunk)
    spec = spec or specification(a, batches[0])
    first = state_of(a)
    second = first | in_types_of(first, state_of(b))
    check_shapes(spec, second)
    sums: dict[tuple[str, ...], _Sums] = {}
    watched: tuple[Trace, list[tuple[Node, Places]]] | None = None
    for x in batches:
        if watched is None or x.shape != batches[0].shape:
            watched = _watched(a, x, spec)
        seen = [dict(_activations(watched, spec, state, x)) for state in (first, second)]
        for key, own in seen[0].items():
            sums.setdefault(key[1:], _Sums()).add(own, seen[1][key])
    pairs = [_pair(spec, names, total.similarity(similarity)) for names, total in sums.items()]
    return matched(pairs, spec, second, start=None, max_passes=100, seed=seed)


@dataclass
class _Sums:
    """Sums over samples of z_a z_b^T, z_a, z_b, and their squares: as much as inner products and correlations need."""

    sums: list[Tensor] = field(default_factory=list)
    count: int = 0

    def add(self, z_a: Tensor, z_b: Tensor) -> None:
        """Add samples (n, count)."""
        z_a, z_b = z_a.double(), z_b.double()
        new = [z_a @ z_b.T, z_a.sum(1), z_b.sum(1), z_a.square().sum(1), z_b.square().sum(1)]
        self.sums = [old + part for old, part in zip(self.sums, new, strict=True)] if self.sums else new
        self.count += z_a.shape[1]

    def similarity(self, kind: str) -> Tensor:
        """What is added up over an assignment, (n, n)."""
        if kind == "inner":
            return self.sums[0]
        product, m_a, m_b, s_a, s_b = (part / self.count for part in self.sums)
        scale = (s_a - m_a.square()).clamp(min=0).sqrt()[:, None] * (s_b - m_b.square()).clamp(min=0).sqrt()
        return (product - m_a[:, None] * m_b) / scale.clamp(min=1e-12 * float(scale.max()) or 1.0)


def _inputs(data: Tensor | Data, chunk: int) -> list[Tensor]:
    if isinstance(data, Tensor):
        return [x for x, _ in read_batches((data, torch.zeros(len(data))), chunk)]
    return [x for x, _ in read_batches(data, chunk)]


def _watched(model: nn.Module, x: Tensor, spec: Specification) -> tuple[Trace, list[tuple[Node, Places]]]:
    """The graph on a batch, and the activations that products read, each cut into arrays of groups."""
    traced = trace(model, x)
    groups, state, layouts = infer(traced)
    names = arrays_of(groups, state)[2]
    found: list[tuple[Node, Places]] = []
    nodes = [node for node in traced.module.graph.nodes if getattr(node.target, "_schema", None) is not None]
    products = [node for node in nodes if node.target._schema.name.removeprefix("aten::") in PRODUCTS]
    for node in dict.fromkeys(given for product in products for given in product.all_input_nodes):
        layout = layouts.get(node)
        if node.op != "call_function" or not isinstance(layout, tuple):
            continue
        for part in parts_of(groups, layout):
            labels = tuple(names.get(g, "") for factors, _ in part for g in factors)
            sizes = tuple(groups.sizes[g] for factors, _ in part for g in factors)
            chain = _chain(spec, labels)
            if chain:
                order = (*(labels.index(name) for name in chain), *(k for k, g in enumerate(labels) if g not in chain))
                found.append((node, (chain, sizes, tuple(places for _, places in part), order)))
    return traced, found


def _chain(spec: Specification, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The free groups of an array, if each lies inside those before it and none is there twice."""
    free = sorted(
        (g for g in labels if g in spec.groups and spec.groups[g].pinned is None),
        key=lambda g: len(spec.groups[g].inside),
    )
    nested = all(set(free[:k]) <= set(spec.groups[g].inside) for k, g in enumerate(free))
    return tuple(free) if nested and len(set(free)) == len(free) else ()


def _activations(
    watched: tuple[Trace, list[tuple[Node, Places]]], spec: Specification, state: Mapping[str, Tensor], x: Tensor
) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """The arrays of one model on a batch, (n, samples and places) each, by their number and their groups."""
    traced, places = watched
    kept: dict[Node, Tensor] = {}
    wanted = {node for node, _ in places}

    class Watch(Interpreter):
        def run_node(self, n: Node) -> Any:
            value = super().run_node(n)
            if n in wanted:
                kept[n] = value
            return value

    with torch.no_grad():
        Watch(traced.module).run(*(state[name] for name in traced.names), x)
    for number, (node, (chain, sizes, where, order)) in enumerate(places):
        value = kept[node]
        for axis, at in enumerate(where):
            value = value.index_select(axis, at.to(value.device)) if len(at) != value.shape[axis] else value
        rows = 1
        for name in chain:
            rows *= spec.groups[name].size
        yield (number, *chain), value.reshape(sizes).permute(order).reshape(rows, -1)


def _pair(spec: Specification, names: tuple[str, ...], similarity: Tensor) -> Pair:
    """An assignment's gains as a pair of arrays: <S, pi I> = sum_i S[i, p(i)]."""
    if not bool(similarity.isfinite().all()):
        raise InvalidInput("the activations hold NaN or infinity; the run that left the weights diverged")
    sizes = [spec.groups[name].size for name in names]
    unit = torch.eye(len(similarity), dtype=similarity.dtype, device=similarity.device)
    return Pair((*names, "old places"), similarity.reshape(*sizes, -1), unit.reshape(*sizes, -1))
