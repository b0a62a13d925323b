"""Whether a network's outputs are piecewise linear in each single entry of its parameters, by abstract interpretation.

Where they are, d^2 f / d theta_i^2 = 0 for every i, so that the Hessian of the loss and its generalised Gauss-Newton
matrix have the same diagonal. ReLU networks are, with convolutions, pooling, residual connections and batch
normalisation by running statistics; so are the last-layer parameters of any network. A network with tanh, softmax,
layer normalisation or a parameter used twice in depth is not.

The network is run once on two samples, and every elementary operation that it executes is seen. Each value v carries
a set D(v) of parameters such that v is piecewise linear in each single entry of each of them, and depends on no other:

    theta_k                      {theta_k}
    sums, views, ReLU, maxima    the union over the arguments
    products, convolutions       the union over the factors, allowed only where the sets of the factors are disjoint
    integers, comparisons        empty: constant wherever they are differentiable
    anything else                allowed only where the arguments have empty sets

Sets belong to storages, not to tensors, so that views and writes in place are followed. What is not in the tables is
refused, so the answer errs on the side of refusal: a parameter whose two halves are used one after the other is
refused although each entry is used once. It fails to see what does not pass through PyTorch's operations. Reading a
number back into Python, on which the path of the computation could depend, is refused, and so is a custom
`autograd.Function`, whose derivative need not be that of its value. Cost: one forward pass of two samples.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lemmata.curvature.piecewise_linear_rules import (
    BATCH_STATISTICS,
    JOINTLY_PIECEWISE_LINEAR,
    PIECEWISE_CONSTANT,
    PRODUCTS,
)
from lemmata.errors import LemmataError
from lemmata.objective import Objective, Subject

Names = frozenset[str]
NONE: Names = frozenset()
SAMPLES = 2


@dataclass(frozen=True)
class Nonlinearity:
    """An operation that need not be piecewise linear in single parameter entries, and where it is executed.

    `operation` is its name in ATen, `module` the path and class of the innermost module (empty for the model itself),
    `parameters` the ones that reach it, `reason` a sentence.
    """

    operation: str
    module: str
    parameters: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return self.reason


@torch.enable_grad()  # custom functions are read off the graph
def nonlinearity(subject: Subject) -> Nonlinearity | None:
    """The first operation that bends the outputs as a function of a single parameter entry; None if there is none.

    Only the parameters that the objective differentiates by count. Nothing is random; one forward of two samples.

    >>> from lemmata import nets
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> nonlinearity((nets.mlp(3, [5], 2, seed=0), "cross_entropy", (x, y))) is None
    True
    >>> print(nonlinearity((nets.mlp(3, [5], 2, activation="tanh", seed=0), "cross_entropy", (x, y))))
    tanh in 'tanh1' (Tanh) is not piecewise linear, and its argument depends on hidden1.bias, hidden1.weight
    """
    objective = Objective.of(subject)
    theta = {name: tensor.requires_grad_() for name, tensor in objective.parameters.items()}
    x = objective.batches[0][0][:SAMPLES]
    path: list[str] = []
    interpreter = _Interpreter(theta, path)
    try:
        with _followed(objective.model, path), interpreter:
            outputs = objective.outputs(theta, x)
    except _Refused as refused:
        return refused.found
    return _custom_function(outputs)


class _Refused(LemmataError):
    """Ends the interpretation at the first operation that is not allowed."""

    def __init__(self, found: Nonlinearity):
        self.found = found
        super().__init__(found.reason)


class _Interpreter(TorchDispatchMode):
    """Carries the set of parameters along with every storage that an operation writes."""

    def __init__(self, theta: Mapping[str, Tensor], path: list[str]):
        super().__init__()
        self.path = path
        self.sets: dict[int, Names] = {}
        self.kept: list[Tensor] = []  # a storage that is freed could give its address to another
        for name, tensor in theta.items():
            self._assign(tensor, frozenset({name}))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        operation = func.overloadpacket.__name__
        operation = operation.rstrip("_") if func._schema.is_mutable else operation
        if isinstance(out, bool | int | float | complex):
            self._refuse(operation, NONE, "reads a value back into Python; what is computed may depend on it")
        results = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        values = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)} | kwargs
        depends = self._depends(operation, func._overloadname, values, results)
        for tensor in results:
            if depends and tensor.is_complex():
                self._refuse(operation, depends, f"makes complex numbers of {_list(depends)}")
            if depends and tensor.is_floating_point():
                self._assign(tensor, depends)
        return out

    def _depends(self, operation: str, overload: str, values: dict[str, Any], results: list[Tensor]) -> Names:
        """The set of the operation's floating-point outputs; raises `_Refused` where it may bend them."""
        sets = {name: self._union(value) for name, value in values.items()}
        every = NONE.union(*sets.values())
        if every and (
            overload == "dtype" or values.get("reduce") is not None
        ):  # bits read anew; products by scattering
            self._refuse(f"{operation}.{overload}", every, f"is not linear in {_list(every)}")
        whole_numbers = bool(results) and not any(t.is_floating_point() or t.is_complex() for t in results)
        if not every or whole_numbers or operation in PIECEWISE_CONSTANT:
            return NONE
        if operation in PRODUCTS:
            self._check_product(operation, values, sets)
        elif operation not in JOINTLY_PIECEWISE_LINEAR:
            self._refuse(operation, every, f"is not piecewise linear, and its argument depends on {_list(every)}")
        return every

    def _check_product(self, operation: str, values: dict[str, Any], sets: dict[str, Names]) -> None:
        """Let a product pass where its factors share no parameter and its constants depend on none."""
        rule = PRODUCTS[operation]
        statistics = bool(values.get("training"))
        for name in rule.constants + (BATCH_STATISTICS.constants if statistics else ()):
            if found := sets.get(name, NONE):
                which = "the statistics of the batch" if statistics else repr(name)
                self._refuse(operation, found, f"divides by {which}, which depends on {_list(found)}")
        seen = NONE
        for name in rule.factors:
            if found := seen & sets.get(name, NONE):
                self._refuse(operation, found, f"multiplies two values that both depend on {_list(found)}")
            seen |= sets.get(name, NONE)

    def _union(self, value: Any) -> Names:
        tensors = (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))
        # Integers and truth values are piecewise constant: what is computed from them alone has a zero derivative.
        return NONE.union(*(self.sets.get(_storage(tensor), NONE) for tensor in tensors if tensor.is_floating_point()))

    def _assign(self, tensor: Tensor, names: Names) -> None:
        self.kept.append(tensor)
        self.sets[_storage(tensor)] = (
            names  # what was written over in place was an argument, so that its set is in these
        )

    def _refuse(self, operation: str, names: Names, why: str) -> None:
        where = f" in {self.path[-1]}" if self.path else ""
        raise _Refused(
            Nonlinearity(
                operation, self.path[-1] if self.path else "", tuple(sorted(names)), f"{operation}{where} {why}"
            )
        )


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@contextmanager
def _followed(model: nn.Module, path: list[str]) -> Iterator[None]:
    """Keep in `path` the modules that are being executed, outermost first."""
    handles = []
    for name, module in model.named_modules():
        if name:
            title = f"{name!r} ({type(module).__name__})"
            handles.append(module.register_forward_pre_hook(lambda *_, title=title: path.append(title)))
            handles.append(module.register_forward_hook(lambda *_: path.pop() and None))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _custom_function(outputs: Tensor) -> Nonlinearity | None:
    """A custom `autograd.Function` between the parameters and the outputs, if there is one."""
    waiting, seen = [outputs.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            name = node.name().removesuffix("Backward")
            return Nonlinearity(name, "", (), f"{name} is a custom autograd.Function, with a derivative of its own")
        waiting += [previous for previous, _ in node.next_functions]
    return None


def _list(names: Names) -> str:
    shown = sorted(names)[:4]
    more = f" and {len(names) - 4} others" if len(names) > 4 else ""
    return ", ".join(shown) + more
