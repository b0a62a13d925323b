"""Two ways to a linear map of a batch: its derivative traced to a graph, or differentiating twice by autograd.

``"linearize"`` traces the function and its derivative once for each shape of batch, and keeps of each batch the values
that the derivative needs. ``"double backward"`` keeps autograd's graph of the gradient. Both are exact; see
`choice` for when each is better.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, vmap
from torch.autograd.graph import saved_tensors_hooks

from lemmata.curvature.linear.graph import Untraceable, elementary, function_graph, network_graph
from lemmata.curvature.linear.tangent import Derivative, derivative
from lemmata.curvature.linear.target import Apply, Linear, Output, Target
from lemmata.errors import InvalidInput

Layout = Literal["contiguous", "channels last"]


class Linearize:
    """The derivative as a graph; in layout ``"channels last"`` images and filters are laid out pixel by pixel."""

    def __init__(self, target: Target, layout: Layout = "contiguous"):
        self.target, self.layout = target, layout
        self.derivatives: dict[tuple, Derivative] = {}

    def in_layout(self, layout: Layout) -> "Linearize":
        """The same graphs on tensors in another layout."""
        other = Linearize(self.target, layout)
        other.derivatives = self.derivatives
        return other

    def build(self, batch: int) -> Linear:
        """The linear map of a batch. Raises `Untraceable`."""
        moving, still = self.target.values(batch)
        graph, results = self._derivative(batch, moving, still)
        if results is None or self.layout != "contiguous":
            with torch.no_grad():
                results = graph.prepare(*(self._laid(value) for value in (*moving, *still)))
        outputs, kept = results[: len(graph.moves)], results[len(graph.moves) :]
        finite(outputs[0], batch)

        def present(*tangents: Tensor) -> tuple[Tensor, ...]:
            return graph.many(*tangents, *kept)

        def apply(tangents: Sequence[Tensor]) -> list[Output]:
            with torch.no_grad():
                return _spread(graph.apply(*tangents, *kept), graph.moves)

        def many(tangents: Sequence[Tensor]) -> list[Output]:
            with torch.no_grad():
                return _spread(vmap(present)(*tangents), graph.moves)

        return Linear(apply, many, _bytes(kept, besides=(*moving, *still)))

    def _derivative(
        self, batch: int, moving: list[Tensor], still: list[Tensor]
    ) -> tuple[Derivative, Sequence[Tensor] | None]:
        """The derivative for this shape of batch; when it is new, what `prepare` gave too."""
        values, results = [*moving, *still], None
        key = tuple((tuple(value.shape), value.dtype) for value in values)
        if key not in self.derivatives:
            objective, x = self.target.objective, self.target.inputs(batch)
            forward = network_graph(objective, objective.parameters, x)
            graph = function_graph(self.target.function(forward), values)
            self.derivatives[key] = derivative(graph, len(moving), values, repeated=self.target.repeated)
            results = self._checked(self.derivatives[key], values)
        return self.derivatives[key], results

    def _checked(self, graph: Derivative, values: list[Tensor]) -> Sequence[Tensor]:
        """Prepare, and compare the outputs of the graph with those of the network itself."""
        with torch.no_grad():
            results = graph.prepare(*values)
        traced = results[: len(graph.moves)]
        with elementary(), torch.enable_grad():
            own = self.target.function(self.target.objective.outputs)(*(value.detach() for value in values))
        scale = max(float(tensor.detach().norm()) for tensor in own)
        apart = max(float((a - b.detach()).norm()) for a, b in zip(traced, own, strict=True))
        if apart > tolerance(own[0].dtype) * scale:
            raise Untraceable(f"the graph and the network differ by {apart / scale:.2g} in the gradient")
        return results

    def _laid(self, value: Tensor) -> Tensor:
        images = self.layout == "channels last" and value.ndim == 4 and value.is_floating_point()
        return value.contiguous(memory_format=torch.channels_last) if images else value


class DoubleBackward:
    """The derivative by autograd, whose graph is kept."""

    def __init__(self, target: Target):
        self.target = target

    def build(self, batch: int) -> Linear:
        """The linear map of a batch. Raises `InvalidInput` where autograd knows no second derivative."""
        moving, still = self.target.values(batch)
        saved: list[Tensor] = []

        def pack(tensor: Tensor) -> Tensor:
            saved.append(tensor.detach())
            return tensor

        with _twice(), elementary(), torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
            apply, many = self.target.recorded(batch)
        return Linear(_told(apply), many, _bytes(saved, besides=(*moving, *still)))


def _told(apply: Apply) -> Apply:
    """The same map, saying what is wrong where it only now turns out that there is no second derivative."""

    def told(tangents: Sequence[Tensor]) -> Sequence[Output]:
        with _twice():
            return apply(tangents)

    return told


@contextmanager
def _twice() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "derivative" not in str(error) and "differentia" not in str(error):
            raise
        raise InvalidInput(f"the loss cannot be differentiated twice: {str(error).splitlines()[0]}") from error


def tolerance(dtype: torch.dtype) -> float:
    """How far two ways of computing the same may differ, relative to its size: they add in another order."""
    return float(torch.finfo(dtype).eps ** 0.5) * 3


def finite(tensor: Tensor, batch: int) -> None:
    """Refuse a loss (or outputs) that is not finite."""
    if not tensor.isfinite().all():
        value = tensor.item() if tensor.ndim == 0 else "not finite"
        what = "loss is" if tensor.ndim == 0 else "outputs are"
        raise InvalidInput(f"the {what} {value} on batch {batch}; check its data and the parameters")


def multiplied(output: Output) -> Tensor | None:
    """The tangent itself, where its two factors stand for it."""
    return torch.mm(*output) if isinstance(output, tuple) else output


def _spread(tensors: Sequence[Output], moves: Sequence[bool]) -> list[Output]:
    """The outputs after the first, with None for those that do not move."""
    left = iter(tensors)
    return [next(left) if move else None for move in moves][1:]


def _bytes(tensors: Sequence[Tensor], besides: Sequence[Tensor]) -> int:
    """What these tensors take, each storage once, besides those there already."""
    own = {tensor.untyped_storage().data_ptr() for tensor in besides}
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in own}.values())
