"""Products of the batches' linear maps with one vector or many, under a budget of memory.

Maps are kept from one product to the next as far as `memory` bytes go; those of the other batches are built anew at
each product. Several columns go through a map together (vmapped) where that is faster than one by one, as it is for
dense layers and is not for convolutions on a CPU: the first product with several columns tries both, on columns that it
needs anyhow.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.curvature.linear.target import Linear, Output
from lemmata.curvature.linear.ways import DoubleBackward, Linearize, multiplied
from lemmata.objective import Objective

AT_ONCE = 32
LARGE = 2**16  # entries of a product from which putting it in place saves more than the calls cost


@dataclass
class Way:
    """How the products of an operator are done, and why.

    `name` is ``"linearize"`` or ``"double backward"``; `layout` that of images in memory; `columns` ``"one by one"`` or
    ``"together"`` (None before a product with several); `kept` of `batches` maps are kept in `bytes`, the others built
    at each product. `seconds` has what was measured, of one product on the first batch, by name.
    """

    name: str
    layout: str
    why: str
    batches: int
    kept: int = 0
    bytes: int = 0
    columns: str | None = None
    seconds: dict[str, float] | None = None

    def __str__(self) -> str:
        kept = f"{self.kept} of {self.batches} batches kept in {self.bytes / 2**20:.0f} MiB"
        return f"{self.name}, {self.layout}: {self.why}; {kept}"


class Products:
    """The linear maps of all batches, by `way` and within `memory` bytes; `first` is that of batch 0, built already."""

    def __init__(self, maker: Linearize | DoubleBackward, way: Way, *, first: Linear | None, memory: int):
        self.maker, self.way, self.memory = maker, way, memory
        self.maps: dict[int, Linear] = {}
        if first is not None:
            self._keep(0, first)
        for batch in range(way.batches):  # each is met now: one that cannot be used is refused before any product
            if batch > 0 or first is None:
                self._keep(batch, maker.build(batch))

    def batch(self, batch: int) -> Linear:
        """The linear map of a batch, kept or built."""
        return self.maps[batch] if batch in self.maps else self.maker.build(batch)

    def columns(self, linear: Linear, V: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
        """Apply a map to k columns, tangents with a leading axis (k, ...): (k, sum of sizes)."""
        k, together = len(V[0]), self._together(linear)
        if k == 1:
            return self._one(linear, V, 0, sizes)[None]
        if together == 1:
            self.way.columns = "one by one"
        if self.way.columns == "one by one":
            return torch.stack([self._one(linear, V, i, sizes) for i in range(k)])
        if self.way.columns == "together":
            return torch.cat([self._many(linear, V, i, i + together, sizes) for i in range(0, k, together)])
        return self._tried(linear, V, together, sizes)

    def _tried(self, linear: Linear, V: Sequence[Tensor], together: int, sizes: Sequence[int]) -> Tensor:
        """Two columns one by one, of which the second is timed, a block together, and the rest the faster way."""
        head = [self._one(linear, V, 0, sizes)]
        if len(V[0]) == 2:
            return torch.stack([*head, self._one(linear, V, 1, sizes)])
        start = time.perf_counter()
        head.append(self._one(linear, V, 1, sizes))
        middle = time.perf_counter()
        done = 2 + together
        try:
            block = self._many(linear, V, 2, done, sizes)
        except RuntimeError:  # an operation without a rule for batches; whatever else it is comes again one by one
            self.way.columns, done, block = "one by one", 2, head[0][None][:0]
        else:
            faster = (time.perf_counter() - middle) / len(block) < middle - start
            self.way.columns = "together" if faster and len(block) > 1 else "one by one"
        rest = [self.columns(linear, [v[done:] for v in V], sizes)] if done < len(V[0]) else []
        return torch.cat([torch.stack(head), block, *rest])

    def _one(self, linear: Linear, V: Sequence[Tensor], i: int, sizes: Sequence[int]) -> Tensor:
        return flat(linear.apply([v[i] for v in V]), sizes, V[0][0])

    def _many(self, linear: Linear, V: Sequence[Tensor], start: int, end: int, sizes: Sequence[int]) -> Tensor:
        return flat(linear.many([v[start:end] for v in V]), sizes, V[0][0], len(V[0][start:end]))

    def _together(self, linear: Linear) -> int:
        """How many columns fit in memory at once; the tangents of one take about what a map keeps."""
        free = max(self.memory - self.way.bytes, linear.bytes)
        return max(1, min(AT_ONCE, free // max(linear.bytes, 1)))

    def _keep(self, batch: int, linear: Linear) -> None:
        if self.way.bytes + linear.bytes <= self.memory:
            self.maps[batch] = linear
            self.way.bytes += linear.bytes
            self.way.kept += 1


def flat(outputs: Sequence[Output], sizes: Sequence[int], like: Tensor, *leading: int) -> Tensor:
    """Lay outputs out as one vector, (*leading, sum of sizes), with zeros where one does not move.

    A large matrix product is written into its place: made elsewhere, it would pass through memory once more.
    """
    if not any(isinstance(output, tuple) and size >= LARGE for output, size in zip(outputs, sizes, strict=True)):
        tensors = [multiplied(output) for output in outputs]
        return torch.cat([
            like.new_zeros(*leading, size) if tensor is None else tensor.reshape(*leading, size)
            for tensor, size in zip(tensors, sizes, strict=True)
        ], -1)  # fmt: skip
    whole = like.new_empty(*leading, sum(sizes))
    for output, part in zip(outputs, whole.split(list(sizes), -1), strict=True):
        if output is None:
            part.zero_()
        elif isinstance(output, tuple):
            torch.mm(*output, out=part.view(output[0].shape[0], -1))
        else:
            part.copy_(output.reshape(part.shape))
    return whole


def bytes_per_sample(objective: Objective) -> int:
    """What autograd saves for a second derivative, a sample: measured on the first few."""
    few = min(2, len(objective.batches[0][1]))
    x, y = (part[:few].clone() for part in objective.batches[0])  # a slice would count as all that it is a slice of
    values = [p.requires_grad_() for p in objective.parameters.values()]
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {value.untyped_storage().data_ptr() for value in values}
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        theta = dict(zip(objective.names, values, strict=True))
        loss = objective.loss(objective.outputs(theta, x), y)
        if loss.requires_grad:
            torch.autograd.grad(loss, values, create_graph=True, allow_unused=True)
    return max(sum(size for place, size in sizes.items() if place not in own) // few, 1)
