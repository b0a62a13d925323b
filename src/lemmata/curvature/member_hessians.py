"""Hessians of one loss at many points: one graph, kept, from which each product is one backward pass for all points.

    H_i v_i = d/d theta_i <grad L(theta_i), v_i>,   i = 1, ..., M

The points do not interact, so that the gradient of sum_i <grad L(theta_i), v_i> holds all products. The graph of the
gradient is held as long as it fits `memory`; beyond it, points are taken in groups that do, and a single point that
does not is differentiated anew for each product, batch by batch. Cost of a product: 2 gradients a point, or 3 anew.
"""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call, vmap

from lemmata.errors import InvalidInput
from lemmata.objective import Objective, Tree

Graph = tuple[list[Tensor], list[Tensor], float]  # leaves, their gradients with graph, weight of the batch


class MemberHessians:
    """The Hessians of `objective` at M points, given as a state {name: (M, *shape)} of its parameters and buffers.

    >>> x = torch.tensor([[1.0], [2.0]])
    >>> objective = Objective(torch.nn.Linear(1, 1, bias=False), loss=lambda z, y: (z**4).mean(), data=(x, x))
    >>> hessians = MemberHessians(objective, {"weight": torch.tensor([[[1.0]], [[2.0]]])})
    >>> hessians.product(torch.ones(2, 1), torch.arange(2)).flatten().tolist()
    [102.0, 408.0]
    """

    def __init__(self, objective: Objective, state: Mapping[str, Tensor], *, memory: int = 2**30):
        missing = [name for name in objective.names if name not in state]
        if missing:
            raise InvalidInput(f"the state has no {missing[0]!r}, which the objective is a function of")
        self.objective = objective
        self.state = {name: tensor.detach() for name, tensor in state.items()}
        self.shapes = [self.state[name].shape[1:] for name in objective.names]
        self.sizes = [shape.numel() for shape in self.shapes]
        held = self._bytes()
        self.kept, self.group = held <= memory, max(1, memory // max(held, 1))
        self.graphs: dict[int, tuple[Tensor, list[Graph]]] = {}  # of each group: its members, and a graph a batch

    def product(self, V: Tensor, members: Tensor) -> Tensor:
        """Multiply the rows of V (m, size) by the Hessians of these members (m,), increasing: (m, size)."""
        out = torch.empty_like(V)
        for group in (members // self.group).unique().tolist():
            rows = (members // self.group == group).nonzero().flatten()
            out[rows.to(V.device)] = self._product(V[rows.to(V.device)], members[rows], group)
        return out

    def _product(self, V: Tensor, members: Tensor, group: int) -> Tensor:
        """The products of one group; members that are in its graph but not asked for get a zero vector."""
        inside, graphs = self._graph(members, group)
        rows = torch.searchsorted(inside, members).to(V.device)
        whole = V.new_zeros(len(inside), V.shape[1]).index_copy_(0, rows, V)
        vectors = [part.reshape(-1, *shape) for part, shape in self._parts(whole)]
        total = torch.zeros_like(whole)
        for leaves, slopes, weight in graphs:
            used = [i for i, slope in enumerate(slopes) if slope.requires_grad]
            if used:
                parts = torch.autograd.grad(
                    [slopes[i] for i in used], leaves, [vectors[i] for i in used], retain_graph=self.kept,
                    materialize_grads=True,
                )  # fmt: skip
                total.add_(torch.cat([part.flatten(1) for part in parts], 1), alpha=weight)
        return total[rows]

    def _parts(self, V: Tensor) -> Iterator[tuple[Tensor, torch.Size]]:
        return zip(V.split(self.sizes, 1), self.shapes, strict=True)

    def _graph(self, members: Tensor, group: int) -> tuple[Tensor, Iterable[Graph]]:
        """The graphs that hold these members, made anew where there are none or more than half of one would idle."""
        if not self.kept:
            return members, self._build(members)
        inside, graphs = self.graphs.get(group, (members[:0], []))
        if 2 * len(members) <= len(inside) or not torch.isin(members, inside).all():
            self.graphs.pop(group, None)
            inside, graphs = self.graphs[group] = members, list(self._build(members))
        return inside, graphs

    def _build(self, members: Tensor) -> Iterator[Graph]:
        """The gradient of each batch's loss for these members, with its graph."""
        objective = self.objective
        own = {name: tensor[members.to(tensor.device)] for name, tensor in self.state.items()}
        constants = {name: tensor for name, tensor in own.items() if name not in objective.names}
        for x, y in objective.batches:
            leaves = {name: own[name].clone().requires_grad_() for name in objective.names}

            def loss(theta: Tree, constants: Tree, x: Tensor = x, y: Tensor = y) -> Tensor:
                return objective.loss(functional_call(objective.model, {**theta, **constants}, (x,)), y)

            with torch.enable_grad():
                total = vmap(loss)(leaves, constants).sum()
                points = list(leaves.values())
                slopes = torch.autograd.grad(total, points, create_graph=True, materialize_grads=True)
            yield points, list(slopes), len(y) / objective.n

    def _bytes(self) -> int:
        """What the graphs of one member hold over all batches, judged by the first."""
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            graph = next(iter(self._build(torch.zeros(1, dtype=torch.long))))
        del graph
        return int(sum(sizes.values()) * self.objective.n / len(self.objective.batches[0][1]))
