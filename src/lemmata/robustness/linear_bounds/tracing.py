"""Reads a model as a graph of steps, through torch.fx, so that it does not matter how the model is written.

What depends on the input is kept, what does not is computed once: scaled weights, constants, shapes. A step that is not
in the tables is refused by name.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from lemmata.errors import InvalidInput
from lemmata.given import require_model
from lemmata.robustness.linear_bounds.affine import Affine, Reshape, Scale
from lemmata.robustness.linear_bounds.graph import Graph, Node, Step, Sum
from lemmata.robustness.linear_bounds.layers import FUNCTIONS, MODULES, RESHAPES

BATCH = 2  # samples of the trial run that gives the shapes


def trace(model: nn.Module, shape: torch.Size, dtype: torch.dtype, device: torch.device | str = "cpu") -> Graph:
    """Read `model`, in evaluation mode, as a graph for samples of `shape`, with weights in `dtype`.

    Raises `InvalidInput` for a model in training mode whose output depends on the mode, for one that torch.fx cannot
    follow (its path depends on the input's values), and for a step that has no bounds here.

    >>> graph = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()), torch.Size([1, 2, 2]), torch.float64)
    >>> [type(node.step).__name__ for node in graph.nodes]
    ['NoneType', 'Reshape', 'Dense', 'Rectifier']
    """
    for name, module in require_model(model).named_modules():
        if module.training and isinstance(module, nn.modules.batchnorm._NormBase | nn.modules.dropout._DropoutNd):
            raise InvalidInput(f"{name} ({type(module).__name__}) is in training mode; call model.eval() first")
    copied = copy.deepcopy(model).to(device=device, dtype=dtype).eval().requires_grad_(False)
    try:
        traced = fx.symbolic_trace(copied)
    except Exception as failed:
        raise InvalidInput(f"torch.fx cannot follow the model: {failed}; write it without branches on values") from None
    return _Reader(traced, torch.zeros(BATCH, *shape, dtype=dtype, device=device)).read()


class _Reader(fx.Interpreter):
    """Runs the traced model on zeros and turns each call on what depends on the input into a step."""

    def __init__(self, traced: fx.GraphModule, x: Tensor):
        super().__init__(traced)
        self.x = x
        self.values: dict[fx.Node, Any] = {}
        self.places: dict[fx.Node, int] = {}
        self.nodes: list[Node] = []

    def read(self) -> Graph:
        """All steps, in their order."""
        with torch.no_grad():
            try:
                self.run(self.x)
            except InvalidInput:
                raise
            except Exception as failed:
                about = f"samples of shape {tuple(self.x.shape[1:])} in {self.x.dtype}"
                raise InvalidInput(f"the model fails on {about}: {str(failed).splitlines()[0]}") from None
        if not self.places or max(self.places.values()) != len(self.nodes) - 1:
            raise InvalidInput("the model's output does not depend on its input")
        return Graph(tuple(self.nodes), self.x.dtype)

    def run_node(self, n: fx.Node) -> Any:
        """Evaluate one node, and read it if it depends on the input."""
        result = super().run_node(n)
        self.values[n] = result
        depends = [arg for arg in n.all_input_nodes if arg in self.places]
        if n.op == "placeholder":
            if self.nodes:
                raise InvalidInput("the model takes several inputs; bounds are for a model of one tensor")
            self._add(n, None, (), result)
        elif n.op == "output":
            self._finish(n, result)
        elif depends and isinstance(result, Tensor):
            self._read(n, depends, result)
        return result

    def _add(self, n: fx.Node, step: Step | None, parents: tuple[int, ...], result: Tensor) -> None:
        if isinstance(step, Affine):
            step.shape = self.nodes[parents[0]].shape
        self.places[n] = len(self.nodes)
        self.nodes.append(Node(n.name, step, parents, result.shape[1:]))

    def _finish(self, n: fx.Node, result: Any) -> None:
        """The output is the last node; nodes that it does not need were removed by tracing or do no harm."""
        inner = n.args[0]
        if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != BATCH:
            what = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise InvalidInput(f"the model gives {what} for {BATCH} samples; it must give logits ({BATCH}, classes)")
        if isinstance(inner, fx.Node) and inner in self.places:
            last = self.places[inner]
            self.nodes = self.nodes[: last + 1]
            self.places = {node: place for node, place in self.places.items() if place <= last}

    def _read(self, n: fx.Node, depends: list[fx.Node], result: Tensor) -> None:
        if len(result) != BATCH:
            raise InvalidInput(f"{n.name} gives {tuple(result.shape)} for {BATCH} samples: it mixes samples")
        args = map_arg(n.args, lambda a: a if a in self.places else self.values[a])
        kwargs = map_arg(n.kwargs, lambda a: a if a in self.places else self.values[a])
        parents = tuple(self.places[node] for node in depends)
        if n.op == "call_module":
            step = self._of_module(n, result)
        else:
            step = self._of_function(n, args, kwargs, depends, result)
        if step == "same":
            self.places[n] = parents[0]
        elif isinstance(step, Sum):
            operands = [a for a in args if isinstance(a, fx.Node)]
            self._add(n, step, tuple(self.places[a] for a in operands), result)
        else:
            self._add(n, step, parents, result)  # type: ignore[arg-type]

    def _of_module(self, n: fx.Node, result: Tensor) -> Any:
        module = self.fetch_attr(str(n.target))
        for kind, make in MODULES.items():
            if isinstance(module, kind):
                return make(module, result)
        raise InvalidInput(f"{n.target}: {type(module).__name__} has no bounds here; known are {_known()}")

    def _of_function(self, n: fx.Node, args: Any, kwargs: Any, depends: list[fx.Node], result: Tensor) -> Any:
        name = n.target if isinstance(n.target, str) else getattr(n.target, "__name__", str(n.target))
        name = name.removesuffix("_") if name.endswith("_") and not name.endswith("__") else name
        if name in RESHAPES:
            return Reshape(result.shape[1:])
        if name in ("contiguous", "dropout", "detach", "to", "float", "double"):
            return "same"
        if name in ARITHMETIC:
            return _arithmetic(name, args, len(depends), self.values[depends[0]], result)
        if name in FUNCTIONS:
            first, *rest = args if args else (depends[0],)
            if not isinstance(first, fx.Node) or len(depends) > 1:
                raise InvalidInput(f"{n.name}: {name} of several values of the input has no bounds here")
            return FUNCTIONS[name](self.values[first], *rest, **{k: v for k, v in kwargs.items() if k != "input"})
        raise InvalidInput(f"{n.name}: {name} has no bounds here; known are {_known()}")


ARITHMETIC = ("add", "sub", "mul", "truediv", "div", "iadd", "isub", "imul", "neg")


def _arithmetic(name: str, args: tuple[Any, ...], operands: int, x: Tensor, result: Tensor) -> Step:
    """Sums of two values; sums, products and quotients with a constant."""
    name = {"iadd": "add", "isub": "sub", "imul": "mul", "truediv": "div"}.get(name, name)
    both = [isinstance(a, fx.Node) for a in args[:2]]
    if name in ("add", "sub") and all(both):
        if len(args) > 2:
            raise InvalidInput("a sum with a factor (alpha) has no bounds here; multiply first")
        return Sum((1.0, 1.0 if name == "add" else -1.0))
    if (all(both) and len(both) == 2) or (name == "div" and not both[0]):
        raise InvalidInput(f"{name} of two values of the input has no bounds here: it is not linear")
    if result.shape != x.shape:
        raise InvalidInput(f"{name} with a constant changes shape {tuple(x.shape)} to {tuple(result.shape)}")
    zero = x.new_zeros(())
    if name == "neg":
        return Scale(zero - 1, zero, zero)
    constant = torch.as_tensor(args[1] if both[0] else args[0], dtype=x.dtype, device=x.device)
    if constant.ndim == x.ndim:
        if constant.shape[0] != 1:
            raise InvalidInput(f"{name} with a constant of its own for each sample of a batch has no bounds here")
        constant = constant[0]
    if name == "add":
        return Scale(zero + 1, constant, zero)
    if name == "sub":
        return Scale(zero + 1, zero, constant) if both[0] else Scale(zero - 1, constant, zero)
    return Scale(constant if name == "mul" else 1 / constant, zero, zero)


def _known() -> str:
    return ", ".join(sorted({kind.__name__ for kind in MODULES} | set(FUNCTIONS)))
