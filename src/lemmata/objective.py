"""`Objective`: model, loss and data as one differentiable function of the parameters.

    L(theta) = (1/n) sum_i loss(f(x_i; theta), y_i)

Instruments take an objective and never the model, so that nothing of the model is changed: the objective holds copies.
The model is evaluated in evaluation mode (batch normalisation with its running statistics). Points theta and
directions v are parameter trees, {name: tensor}; a leading axis on every tensor means many, evaluated at once.

Cost, in gradient evaluations of the whole data set: gradient 1, Hessian and Gauss-Newton products about 2 each.
Memory is bounded by `chunk` samples at a time, times the points or directions evaluated at once.
"""

import copy
import importlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, jvp, vjp, vmap
from torch.nn import functional

from lemmata.errors import InvalidInput, UnknownName
from lemmata.linalg.operator import LinearOperator

Tree = dict[str, Tensor]
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "mse": functional.mse_loss,
}


class Objective:
    """The mean loss of a model on data as a function of its parameters.

    `data` is (x, y), tensors of n samples, or an iterable of such batches (a `DataLoader`), which is read once and
    kept. `loss` is ``"cross_entropy"``, ``"mse"`` (mean over samples and outputs) or a callable (outputs, targets) ->
    scalar that is a mean over samples. `parameters` names those to differentiate by (or prefixes of modules, as
    ``"output"``); the others stay as they are. `chunk` is the number of samples evaluated at once.

    Raises `InvalidInput` for empty data, NaN in the data or the loss, and outputs or targets of the wrong shape.

    >>> x = torch.tensor([[1.0], [2.0]])
    >>> model = nn.Linear(1, 1, bias=False).requires_grad_(False)
    >>> model.weight.fill_(3.0).item()
    3.0
    >>> objective = Objective(model, loss="mse", data=(x, x))
    >>> objective.value().item(), objective.gradient()["weight"].item()
    (10.0, 10.0)
    >>> objective.hvp({"weight": torch.ones(1, 1)})["weight"].item()
    5.0
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str | Callable[[Tensor, Tensor], Tensor] = "cross_entropy",
        data: tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]],
        parameters: Sequence[str] | None = None,
        chunk: int = 1024,
    ):
        if not callable(loss) and loss not in LOSSES:
            raise UnknownName("loss", loss, LOSSES)
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        self._name = loss
        self._loss = loss if callable(loss) else LOSSES[loss]
        self._batches = _batches(data, chunk)
        self.n = sum(len(y) for _, y in self._batches)
        named = dict(self._model.named_parameters())
        self._names = _choose(named, parameters)
        self._check()

    @property
    def parameters(self) -> Tree:
        """The parameters that the objective is a function of, at the model's own values: copies."""
        named = dict(self._model.named_parameters())
        return {name: named[name].detach().clone() for name in self._names}

    @property
    def size(self) -> int:
        """The number of these parameters."""
        return sum(p.numel() for p in self.parameters.values())

    def value(self, theta: Tree | None = None) -> Tensor:
        """L at theta: a scalar, or (P,) at P points."""
        return self._sum(lambda x, y: lambda theta: self._mean(theta, x, y), theta)

    def gradient(self, theta: Tree | None = None) -> Tree:
        """The gradient of L at theta, or at P points."""
        return self._sum(lambda x, y: grad(lambda theta: self._mean(theta, x, y)), theta)

    def value_and_gradient(self, theta: Tree | None = None) -> tuple[Tensor, Tree]:
        """L and its gradient at theta, or at P points, in one pass."""
        gradient, value = self._sum(lambda x, y: grad_and_value(lambda theta: self._mean(theta, x, y)), theta)
        return value, gradient

    def hvp(self, v: Tree, theta: Tree | None = None) -> Tree:
        """The Hessian of L at theta times v; either may have a leading axis, or both the same."""

        def product(x: Tensor, y: Tensor) -> Callable[[Tree, Tree], Tree]:
            slope = grad(lambda theta: self._mean(theta, x, y))  # its Jacobian is symmetric: v pulled back is H v
            return lambda theta, v: vjp(slope, theta)[1](v)[0]

        return self._sum(product, theta, v)

    def ggn_vp(self, v: Tree, theta: Tree | None = None) -> Tree:
        """The generalised Gauss-Newton matrix J^T H_loss J of L at theta times v (Schraudolph, 2002); as `hvp`."""
        _load_forward_mode()

        def product(x: Tensor, y: Tensor) -> Callable[[Tree, Tree], Tree]:
            def apply(theta: Tree, v: Tree) -> Tree:
                outputs, pull = vjp(lambda theta: self._outputs(theta, x), theta)[:2]
                Jv = jvp(lambda theta: self._outputs(theta, x), (theta,), (v,))[1]
                pull_slope = vjp(grad(lambda z: self._loss(z, y)), outputs)[1]
                return pull(pull_slope(Jv)[0])[0]

            return apply

        return self._sum(product, theta, v)

    def hessian(self, theta: Tree | None = None) -> LinearOperator:
        """The Hessian at theta as a symmetric operator on flat vectors (size,)."""
        return self._operator(self.hvp, theta)

    def ggn(self, theta: Tree | None = None) -> LinearOperator:
        """The generalised Gauss-Newton matrix at theta as a symmetric operator on flat vectors (size,)."""
        return self._operator(self.ggn_vp, theta)

    def vector(self, tree: Tree) -> Tensor:
        """Lay a tree out as a flat vector (size,), or (P, size) if it has a leading axis."""
        points = self._points(tree)
        return torch.cat([tree[name].reshape(*points, -1) for name in self._names], -1)

    def tree(self, vector: Tensor) -> Tree:
        """Read a flat vector (..., size) as a tree; the inverse of `vector`."""
        shapes = {name: p.shape for name, p in self.parameters.items()}
        parts = vector.split([shape.numel() for shape in shapes.values()], -1)
        return {n: part.reshape(*vector.shape[:-1], *s) for (n, s), part in zip(shapes.items(), parts, strict=True)}

    def _operator(self, product: Callable[[Tree, Tree | None], Tree], theta: Tree | None) -> LinearOperator:
        own = next(iter(self.parameters.values()))
        return LinearOperator(
            lambda V: self.vector(product(self.tree(V.T), theta)).T,
            (self.size, self.size),
            symmetric=True,
            dtype=own.dtype,
            device=own.device,
        )

    def _outputs(self, theta: Tree, x: Tensor) -> Tensor:
        return functional_call(self._model, theta, (x,))

    def _mean(self, theta: Tree, x: Tensor, y: Tensor) -> Tensor:
        return self._loss(self._outputs(theta, x), y)

    def _points(self, tree: Tree) -> tuple[int, ...]:
        """The leading axis of a tree: () or (P,)."""
        own = dict(self._model.named_parameters())
        if set(tree) != set(self._names):
            raise InvalidInput(f"a tree with {sorted(tree)}; the objective's parameters are {sorted(self._names)}")
        leading = {tuple(t.shape[: t.ndim - own[name].ndim]) for name, t in tree.items()}
        points = next(iter(leading))
        fits = all(t.shape == (*points, *own[name].shape) for name, t in tree.items())
        if len(leading) > 1 or len(points) > 1 or not fits:
            shapes = {name: tuple(t.shape) for name, t in tree.items()}
            raise InvalidInput(f"shapes {shapes} do not fit the parameters, with or without one common leading axis")
        return points

    def _sum(self, function: Callable, theta: Tree | None, *directions: Tree) -> Any:
        """Add function(x, y)(theta, *directions), weighted by n_b / n, over the batches; map over leading axes."""
        trees = (self.parameters if theta is None else theta, *directions)
        axes = tuple(0 if self._points(tree) else None for tree in trees)
        total = None
        for x, y in self._batches:
            mapped = function(x, y) if axes == (None,) * len(axes) else vmap(function(x, y), in_dims=axes)
            part = mapped(*trees)
            total = _combine(total, part, len(y) / self.n)
        return total

    def _check(self) -> None:
        """Refuse data, outputs and losses that cannot be used, on the first batch and for NaN on all."""
        x, y = self._batches[0]
        for inputs, targets in self._batches:
            if not (inputs.isfinite().all() and targets.isfinite().all()):
                raise InvalidInput("the data hold NaN or infinity; remove or replace those samples")
        outputs = self._outputs(self.parameters, x)
        if not isinstance(outputs, Tensor) or outputs.ndim < 1 or len(outputs) != len(x):
            what = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InvalidInput(f"the model gives {what} for {len(x)} samples; it must give a tensor ({len(x)}, ...)")
        if self._name == "mse" and outputs.shape != y.shape:
            raise InvalidInput(f"mse: outputs {tuple(outputs.shape)} but targets {tuple(y.shape)}; make them equal")
        if self._name == "cross_entropy":
            self._check_labels(outputs.shape[1] if outputs.ndim > 1 else 0)
        loss = self._loss(outputs, y)
        if loss.ndim:
            raise InvalidInput(f"the loss has shape {tuple(loss.shape)}; it must be one number, a mean over samples")
        if not loss.isfinite():
            raise InvalidInput(f"the loss is {loss.item()} at the model's own parameters; check them for NaN")

    def _check_labels(self, classes: int) -> None:
        for _, y in self._batches:
            if y.is_floating_point() or y.min() < 0 or y.max() >= classes:
                raise InvalidInput(
                    f"cross_entropy needs integer labels from 0 to {classes - 1}; these are {y.dtype} from "
                    f"{y.min().item()} to {y.max().item()}"
                )


@cache
def _load_forward_mode() -> None:
    """Let torch load its forward-mode rules, which on Python 3.11 it does with a deprecation warning of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")


def _batches(data: tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]], chunk: int) -> list[tuple[Tensor, Tensor]]:
    one = isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor)
    parts: Any = [data] if one else data
    batches = []
    for x, y in parts:
        if len(x) != len(y):
            raise InvalidInput(f"{len(x)} samples but {len(y)} targets; there must be one target a sample")
        batches += zip(x.split(chunk), y.split(chunk), strict=True) if len(x) else []
    if not batches:
        raise InvalidInput("the data are empty; give at least one sample")
    return batches


def _choose(named: Iterable[str], chosen: Sequence[str] | None) -> list[str]:
    if chosen is None:
        return list(named)
    for name in chosen:
        if not any(full == name or full.startswith(f"{name}.") for full in named):
            raise UnknownName("parameter", name, named)
    return [full for full in named if any(full == name or full.startswith(f"{name}.") for name in chosen)]


def _combine(total: Any, part: Any, weight: float) -> Any:
    """Total + weight * part, on tensors, trees and pairs of them."""
    if isinstance(part, tuple):
        return tuple(_combine(None if total is None else total[i], p, weight) for i, p in enumerate(part))
    if isinstance(part, dict):
        return {name: _combine(None if total is None else total[name], p, weight) for name, p in part.items()}
    return weight * part if total is None else total + weight * part
