"""Reads a model as a graph of steps, through torch.fx, so that it does not matter how the model is written.

What depends on the input is kept, what does not is computed once: scaled weights, constants, shapes. A step that is not
in the tables is refused by name; so are values changed in place and used again, hooks, and results that are no tensor.
What was read is then held against the model itself (`reading`), so that it is another function nowhere unnoticed.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from lemmata.errors import InvalidInput
from lemmata.given import require_model
from lemmata.robustness.linear_bounds.affine import Affine, Average, Reshape
from lemmata.robustness.linear_bounds.arithmetic import ARITHMETIC, arithmetic
from lemmata.robustness.linear_bounds.graph import Graph, Node, Step, Sum
from lemmata.robustness.linear_bounds.layers import FUNCTIONS, MODULES, RESHAPES
from lemmata.robustness.linear_bounds.reading import require_same

BATCH = 2  # samples of the trial run that gives the shapes


def trace(
    model: nn.Module,
    shape: torch.Size,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    *,
    around: Tensor | None = None,
) -> Graph:
    """Read `model`, in evaluation mode, as a graph for samples of `shape`, with weights in `dtype`.

    The graph is evaluated beside the model at random inputs and at `around` (N, *shape), if given; the global random
    generator is left as it was. Raises `InvalidInput` for a model in training mode whose output depends on the mode,
    for one that torch.fx cannot follow (its path depends on the input's values), for a step that has no bounds here,
    for weights that are not finite, and for a model that gives something else than what was read.

    >>> graph = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()), torch.Size([1, 2, 2]), torch.float64)
    >>> [type(node.step).__name__ for node in graph.nodes]
    ['NoneType', 'Reshape', 'Dense', 'Rectifier']
    """
    _require_plain(model)
    with torch.inference_mode(False), _generators_kept(device):
        copied, unchanged = _copied(model, dtype, device), _copied(model, dtype, device)
        try:
            traced = fx.symbolic_trace(copied)
        except Exception as failed:
            raise InvalidInput(
                f"torch.fx cannot follow the model: {_first_line(failed)}; write it without branches on values"
            ) from None
        graph = _Reader(traced, torch.zeros(BATCH, *shape, dtype=dtype, device=device)).read()
        around = None if around is None else around.detach().clone()
        require_same(graph, unchanged, around, device)
    return graph


def _require_plain(model: nn.Module) -> None:
    """Refuse what cannot be read off the modules: training mode, scripts, hooks."""
    for name, module in require_model(model).named_modules():
        called = f"{name or 'the model'} ({type(module).__name__})"
        if isinstance(module, torch.jit.ScriptModule):
            raise InvalidInput(f"{called} is compiled by TorchScript, which cannot be read; give the module it is of")
        if module.training and isinstance(module, nn.modules.batchnorm._NormBase | nn.modules.dropout._DropoutNd):
            raise InvalidInput(f"{called} is in training mode; call model.eval() first")
        hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
        if hooks:
            kind = type(hooks[0]).__name__
            raise InvalidInput(
                f"{called} has a forward hook ({kind}), which is not read; remove it (weight_norm and spectral_norm: "
                "by their remove functions, or take those of torch.nn.utils.parametrizations)"
            )


def _copied(model: nn.Module, dtype: torch.dtype, device: torch.device | str) -> nn.Module:
    try:
        return copy.deepcopy(model).to(device=device, dtype=dtype).eval().requires_grad_(False)
    except Exception as failed:
        raise InvalidInput(
            f"the model cannot be copied to {dtype}: {_first_line(failed)}; bounds are for modules of torch.nn"
        ) from None


@contextlib.contextmanager
def _generators_kept(device: torch.device | str) -> Iterator[None]:
    """What a model may draw while it is read is not taken from the user's generators."""
    with torch.random.fork_rng([device] if torch.device(device).type == "cuda" else []):
        yield


def _first_line(failed: Exception) -> str:
    """A message without what torch.fx writes behind it."""
    return (str(failed).splitlines() or [type(failed).__name__])[0]


class _Reader(fx.Interpreter):
    """Runs the traced model on zeros and turns each call on what depends on the input into a step."""

    def __init__(self, traced: fx.GraphModule, x: Tensor):
        super().__init__(traced)
        self.x = x
        self.values: dict[fx.Node, Any] = {}
        self.versions: dict[fx.Node, int] = {}
        self.places: dict[fx.Node, int] = {}
        self.nodes: list[Node] = []

    def read(self) -> Graph:
        """All steps, in their order."""
        with torch.no_grad():
            try:
                self.run(self.x)
            except InvalidInput as refused:
                raise InvalidInput(_first_line(refused)) from None
            except Exception as failed:
                about = f"samples of shape {tuple(self.x.shape[1:])} in {self.x.dtype}"
                raise InvalidInput(f"the model fails on {about}: {_first_line(failed)}") from None
        return Graph(tuple(self.nodes), self.x.dtype)

    def run_node(self, n: fx.Node) -> Any:
        """Evaluate one node, and read it if it depends on the input."""
        for arg in n.all_input_nodes:
            if arg in self.versions and _version(self.values[arg]) != self.versions[arg]:
                raise InvalidInput(
                    f"{_called(n)}: {_called(arg)} was changed in place and is used again; write that without in-place "
                    "steps (inplace=False, z = z + 1 for z += 1)"
                )
        result = super().run_node(n)
        self.values[n] = result
        if isinstance(result, Tensor):
            self.versions[n] = _version(result)
        depends = [arg for arg in n.all_input_nodes if arg in self.places]
        if n.op == "placeholder":
            if self.nodes:
                raise InvalidInput("the model takes several inputs; bounds are for a model of one tensor")
            self._add(n, None, (), result)
        elif n.op == "output":
            self._finish(n, result)
        elif depends and isinstance(result, Tensor):
            self._read(n, depends, result)
        elif depends and _function_name(n) not in SIZES:
            raise InvalidInput(
                f"{_called(n)}: {_function_name(n)} of the input gives a {type(result).__name__}, no tensor; it has no "
                "bounds here"
            )
        return result

    def _add(self, n: fx.Node, step: Step | None, parents: tuple[int, ...], result: Tensor) -> None:
        if isinstance(step, Affine):
            step.shape = self.nodes[parents[0]].shape
            _require_sound(_called(n), step)
        self.places[n] = len(self.nodes)
        self.nodes.append(Node(_called(n), step, parents, result.shape[1:]))

    def _finish(self, n: fx.Node, result: Any) -> None:
        """The output becomes the last node; those after it are not needed."""
        inner = n.args[0]
        if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != BATCH:
            what = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise InvalidInput(f"the model gives {what} for {BATCH} samples; it must give logits ({BATCH}, classes)")
        if not isinstance(inner, fx.Node) or inner not in self.places:
            raise InvalidInput("the model's output does not depend on its input")
        self.nodes = self.nodes[: self.places[inner] + 1]

    def _read(self, n: fx.Node, depends: list[fx.Node], result: Tensor) -> None:
        if result.ndim == 0 or len(result) != BATCH:
            raise InvalidInput(f"{_called(n)} gives {tuple(result.shape)} for {BATCH} samples: it mixes samples")
        if result.dtype != self.x.dtype:
            raise InvalidInput(
                f"{_called(n)} gives {result.dtype} where the rest is computed in {self.x.dtype}; leave the precision "
                "out of the model, or take dtype=torch.float32"
            )
        args = map_arg(n.args, lambda a: a if a in self.places else self.values[a])
        kwargs = map_arg(n.kwargs, lambda a: a if a in self.places else self.values[a])
        parents = tuple(self.places[node] for node in depends)
        if n.op == "call_module":
            step = self._of_module(n, result)
        else:
            args, kwargs = _in_order(n, args, kwargs)
            step = self._of_function(n, args, kwargs, depends, result)
        if step == "same":
            self.places[n] = parents[0]
        elif isinstance(step, Sum):
            operands = [a for a in args if isinstance(a, fx.Node)]
            if any(self.values[a].shape != result.shape for a in operands):
                raise InvalidInput(f"{_called(n)}: a sum of values of several shapes has no bounds here; expand them")
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
        name = _function_name(n)
        if name in RESHAPES:
            return Reshape(result.shape[1:])
        if name == "dropout":
            return _dropout(*args[1:], **kwargs)
        if name in ("contiguous", "detach", "to", "float", "double"):
            return "same"
        if name in ARITHMETIC:
            return arithmetic(name, args, kwargs, self.values[depends[0]], result)
        if name in FUNCTIONS:
            first, *rest = args
            if not isinstance(first, fx.Node) or len(depends) > 1:
                raise InvalidInput(f"{_called(n)}: {name} of several values of the input has no bounds here")
            return FUNCTIONS[name](self.values[first], *rest, **kwargs)
        raise InvalidInput(f"{_called(n)}: {name} has no bounds here; known are {_known()}")


SIZES = ("size", "dim", "ndimension", "numel", "getattr", "is_floating_point")  # of a tensor, not of its entries


def _called(n: fx.Node) -> str:
    """The user's name of a module, torch.fx's of a function."""
    return str(n.target) if n.op == "call_module" else n.name


def _function_name(n: fx.Node) -> str:
    """The name of a function or method, that of an in-place one without its underscore."""
    name = n.target if isinstance(n.target, str) else getattr(n.target, "__name__", str(n.target))
    return name.removesuffix("_") if name.endswith("_") and not name.endswith("__") else name


def _version(value: Tensor) -> int:
    """How often the memory of a tensor was written to."""
    return value._version


def _in_order(n: fx.Node, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Operands that were given by name put where they belong."""
    named = dict(kwargs)
    args = tuple(args)
    if not args and "input" in named:
        args = (named.pop("input"),)
    if len(args) == 1 and "other" in named and _function_name(n) in ARITHMETIC:
        args = (*args, named.pop("other"))
    return args, named


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False, *, train: bool | None = None) -> str:
    """Nothing, in evaluation mode; torch's function drops unless it is told not to."""
    del inplace
    if p > 0 and (training if train is None else train):
        raise InvalidInput("dropout drops at random in evaluation mode too: call it with training=self.training")
    return "same"


def _require_sound(name: str, step: Affine) -> None:
    """Refuse weights that are not finite, and averages with negative ones."""
    for part in ("weight", "factor", "bias"):
        numbers = getattr(step, part, None)
        if isinstance(numbers, Tensor) and not bool(numbers.isfinite().all()):
            raise InvalidInput(f"{name}: its weights or constants hold NaN or infinity; nothing is bounded by them")
    if isinstance(step, Average) and bool((step.row_norms(1.0) < 0).any()):
        raise InvalidInput(f"{name}: an average with a negative divisor has no bounds here")


def _known() -> str:
    return ", ".join(sorted({kind.__name__ for kind in MODULES} | set(FUNCTIONS)))
