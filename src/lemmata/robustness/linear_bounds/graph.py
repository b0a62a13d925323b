"""A network as a list of steps in the order of evaluation: affine maps, sums, activations and maxima."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.robustness.linear_bounds.activations import Rectifier, Sigmoid
from lemmata.robustness.linear_bounds.affine import Affine
from lemmata.robustness.linear_bounds.max_pool import MaxPool


@dataclass(frozen=True)
class Sum:
    """The sum of its parents, each with its sign."""

    signs: tuple[float, ...]

    def __call__(self, *values: Tensor) -> Tensor:
        """The sum."""
        return sum(sign * value for sign, value in zip(self.signs, values, strict=True))  # type: ignore[return-value]


Nonlinear = Rectifier | Sigmoid | MaxPool
Step = Affine | Sum | Rectifier | Sigmoid | MaxPool


@dataclass(frozen=True)
class Node:
    """One step, the nodes it reads, and the shape of what it gives for one sample; the input has no step."""

    name: str
    step: Step | None
    parents: tuple[int, ...]
    shape: torch.Size


@dataclass(frozen=True)
class Graph:
    """All nodes, the input first and the output last, with weights in `dtype`."""

    nodes: tuple[Node, ...]
    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """The network's outputs."""
        return self.values(x)[-1]

    def values(self, x: Tensor) -> list[Tensor]:
        """What every node gives."""
        values = [x]
        for node in self.nodes[1:]:
            values.append(node.step(*(values[parent] for parent in node.parents)))  # type: ignore[misc]
        return values

    @property
    def digest(self) -> str:
        """A digest of what is computed: of the steps, how they hang together, and all their numbers."""
        found = hashlib.sha256()
        for node in self.nodes:
            found.update(f"{type(node.step).__name__} {node.parents} {tuple(node.shape)}".encode())
            for name, value in sorted(vars(node.step).items()) if node.step is not None else ():
                if isinstance(value, Tensor):
                    numbers = value.detach().double().cpu().contiguous().reshape(-1)
                    found.update(f"{name} {tuple(value.shape)}".encode() + numbers.view(torch.uint8).numpy().tobytes())
                elif name != "function":  # of an average, which its words describe
                    found.update(f"{name} {value}".encode())
        return found.hexdigest()[:24]

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.nodes[-1].shape.numel()

    @property
    def largest(self) -> int:
        """The most numbers that a node has for one sample."""
        return max(node.shape.numel() for node in self.nodes)

    @property
    def exact(self) -> frozenset[int]:
        """The nodes whose interval is already the best box: one affine map of the input, scaled or not."""
        plain, found = {0}, {0}
        for i, node in enumerate(self.nodes[1:], start=1):
            parent, kind = node.parents[0], type(node.step).__name__
            if kind == "Reshape" and parent in plain:
                plain.add(i)
            if isinstance(node.step, Affine) and (
                parent in plain or (kind in ("Scale", "Reshape") and parent in found)
            ):
                found.add(i)
        return frozenset(found)
