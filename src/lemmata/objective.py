"""`Objective`: model, loss and data as one differentiable function of the parameters.

    L(theta) = (1/n) sum_i loss(f(x_i; theta), y_i)

Instruments take an objective and never the model, so that nothing of the model is changed: the objective holds copies.
They also take the three things an objective is made of, ``(model, loss, data)``, through `Objective.of`. Points theta
and directions v are parameter trees, {name: tensor}; a leading axis on every tensor means many, evaluated at once.

Cost, in gradient evaluations of the whole data set: gradient 1, Hessian products 3, Gauss-Newton products 5/3; both
linearise anew each time, and the operators of `lemmata.curvature` once.
Memory is bounded by `chunk` samples at a time, times the points or directions evaluated at once.
"""

import copy
import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, jvp, vjp, vmap
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from lemmata.errors import InvalidInput, UnknownName
from lemmata.linalg.operator import LinearOperator

Tree = dict[str, Tensor]
Loss = str | Callable[[Tensor, Tensor], Tensor]
Data = tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]]
Mode = Literal["eval", "train"]
Subject: TypeAlias = "Objective | tuple[nn.Module, Loss, Data]"
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

    `mode` is ``"eval"`` (batch normalisation with its running statistics) or ``"train"`` (with those of each batch as
    it is given, which `chunk` then does not split; the running ones stay as they are). It must be said where the
    model is in training mode and has a layer for which the two differ. Dropout has no training mode here, since the
    loss would be no function of the parameters.

    Raises `InvalidInput` for empty data, NaN in the data or the loss, outputs or targets of the wrong shape, and a
    mode that is left open or impossible.

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
        loss: Loss = "cross_entropy",
        data: Data,
        parameters: Sequence[str] | None = None,
        mode: Mode | None = None,
        chunk: int = 1024,
    ):
        if not callable(loss) and loss not in LOSSES:
            raise UnknownName("loss", loss, LOSSES)
        self.mode: Mode = _mode(model, mode)
        self.model = _copied(model, self.mode)
        self.loss_name = loss if isinstance(loss, str) else None
        self.loss = loss if callable(loss) else LOSSES[loss]
        self.batches = _batches(data, None if self.mode == "train" else chunk)
        self.n = sum(len(y) for _, y in self.batches)
        self.names = _choose(dict(self.model.named_parameters()), parameters)
        self._check()

    @classmethod
    def of(cls, subject: Subject) -> "Objective":
        """Take an objective as it is, or make one of (model, loss, data).

        >>> x = torch.ones(2, 1)
        >>> Objective.of((nn.Linear(1, 1), "mse", (x, x))).n
        2
        """
        if isinstance(subject, Objective):
            return subject
        if not isinstance(subject, tuple) or len(subject) != 3 or not isinstance(subject[0], nn.Module):
            raise InvalidInput(f"expected an Objective or (model, loss, data), not {type(subject).__name__}")
        return cls(subject[0], loss=subject[1], data=subject[2])

    def at(self, state: Mapping[str, Tensor]) -> Self:
        """The same objective with the model moved to `state`: some or all of its parameters and buffers, by name."""
        moved = copy.copy(self)
        moved.model = copy.deepcopy(self.model)
        own = moved.model.state_dict()
        for name, tensor in state.items():
            if name not in own or own[name].shape != tensor.shape:
                what = f"shape {tuple(own[name].shape)}" if name in own else "no tensor of this name"
                raise InvalidInput(f"state has {name!r} of shape {tuple(tensor.shape)}; the model has {what}")
            if not tensor.isfinite().all():
                raise InvalidInput(f"state holds NaN or infinity in {name!r}; the run that left it diverged")
        moved.model.load_state_dict({name: tensor.detach() for name, tensor in state.items()}, strict=False)
        return moved

    def restricted(self, parameters: Sequence[str]) -> Self:
        """The same objective as a function of these parameters (or prefixes of modules) only: a block."""
        block = copy.copy(self)
        block.names = _choose(self.names, parameters)
        return block

    def rebatched(self, chunk: int) -> Self:
        """The same objective in batches of at most `chunk` samples. Raises `InvalidInput` in training mode."""
        if self.mode == "train":
            raise InvalidInput("in training mode a batch has statistics of its own and is not split; give smaller ones")
        split = copy.copy(self)
        split.batches = [part for batch in self.batches for part in _batches(batch, chunk)]
        return split

    @property
    def parameters(self) -> Tree:
        """The parameters that the objective is a function of, at the model's own values: copies."""
        named = dict(self.model.named_parameters())
        return {name: named[name].detach().clone() for name in self.names}

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        return self.model.get_parameter(self.names[0]).dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self.model.get_parameter(self.names[0]).device

    def outputs(self, theta: Tree, x: Tensor) -> Tensor:
        """The model's outputs f(x; theta) at one point, differentiable by theta."""
        return functional_call(self.model, theta, (x,))

    @property
    def size(self) -> int:
        """The number of these parameters."""
        return sum(self.model.get_parameter(name).numel() for name in self.names)

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
        load_forward_mode()

        def product(x: Tensor, y: Tensor) -> Callable[[Tree, Tree], Tree]:
            def apply(theta: Tree, v: Tree) -> Tree:
                outputs, pull = vjp(lambda theta: self.outputs(theta, x), theta)[:2]
                Jv = jvp(lambda theta: self.outputs(theta, x), (theta,), (v,))[1]
                pull_slope = vjp(grad(lambda z: self.loss(z, y)), outputs)[1]
                return pull(pull_slope(Jv)[0])[0]

            return apply

        return self._sum(product, theta, v)

    def hessian(self, theta: Tree | None = None) -> LinearOperator:
        """The Hessian at theta as a symmetric operator on flat vectors (size,), linearised anew at each product.

        For one or a few products; `lemmata.curvature.hessian` linearises once.
        """
        return self._operator(self.hvp, theta, cost=3.0)

    def ggn(self, theta: Tree | None = None) -> LinearOperator:
        """The generalised Gauss-Newton matrix, as `hessian`; `lemmata.curvature.ggn` linearises once."""
        return self._operator(self.ggn_vp, theta, cost=5 / 3)

    def vector(self, tree: Tree) -> Tensor:
        """Lay a tree out as a flat vector (size,), or (P, size) if it has a leading axis."""
        points = self._points(tree)
        return torch.cat([tree[name].reshape(*points, -1) for name in self.names], -1)

    def tree(self, vector: Tensor) -> Tree:
        """Read a flat vector (..., size) as a tree; the inverse of `vector`."""
        shapes = {name: self.model.get_parameter(name).shape for name in self.names}
        parts = vector.split([shape.numel() for shape in shapes.values()], -1)
        return {n: part.reshape(*vector.shape[:-1], *s) for (n, s), part in zip(shapes.items(), parts, strict=True)}

    def _operator(
        self, product: Callable[[Tree, Tree | None], Tree], theta: Tree | None, *, cost: float
    ) -> LinearOperator:
        own = next(iter(self.parameters.values()))
        return LinearOperator(
            lambda V: self.vector(product(self.tree(V.T), theta)).T,
            (self.size, self.size),
            symmetric=True,
            dtype=own.dtype,
            device=own.device,
            cost=cost,
        )

    def _mean(self, theta: Tree, x: Tensor, y: Tensor) -> Tensor:
        return self.loss(self.outputs(theta, x), y)

    def positions(self, parameters: Sequence[str]) -> Tensor:
        """Where these parameters (or prefixes of modules) lie in a flat vector (size,): indices, in its order."""
        chosen, start, found = set(_choose(self.names, parameters)), 0, []
        for name, p in self.parameters.items():
            found += [torch.arange(start, start + p.numel(), device=self.device)] if name in chosen else []
            start += p.numel()
        return torch.cat(found)

    def _points(self, tree: Tree) -> tuple[int, ...]:
        """The leading axis of a tree: () or (P,)."""
        own = dict(self.model.named_parameters())
        if set(tree) != set(self.names):
            raise InvalidInput(f"a tree with {sorted(tree)}; the objective's parameters are {sorted(self.names)}")
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
        for x, y in self.batches:
            mapped = function(x, y) if axes == (None,) * len(axes) else vmap(function(x, y), in_dims=axes)
            part = mapped(*trees)
            total = _combine(total, part, len(y) / self.n)
        return total

    def _check(self) -> None:
        """Refuse data, outputs and losses that cannot be used, on the first batch and for NaN on all."""
        x, y = self.batches[0]
        for inputs, targets in self.batches:
            if not (inputs.isfinite().all() and targets.isfinite().all()):
                raise InvalidInput("the data hold NaN or infinity; remove or replace those samples")
        try:
            outputs = self.outputs(self.parameters, x)
        except RuntimeError as failed:
            about = f"samples of shape {tuple(x.shape)} in {x.dtype} on {x.device}, with parameters in {self.dtype}"
            raise InvalidInput(f"the model fails on {about}: {failed}") from failed
        if not isinstance(outputs, Tensor) or outputs.ndim < 1 or len(outputs) != len(x):
            what = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InvalidInput(f"the model gives {what} for {len(x)} samples; it must give a tensor ({len(x)}, ...)")
        if self.loss_name == "mse" and outputs.shape != y.shape:
            raise InvalidInput(f"mse: outputs {tuple(outputs.shape)} but targets {tuple(y.shape)}; make them equal")
        if self.loss_name == "cross_entropy":
            self._check_labels(outputs.shape[1] if outputs.ndim > 1 else 0)
        loss = self.loss(outputs, y)
        if loss.ndim:
            raise InvalidInput(f"the loss has shape {tuple(loss.shape)}; it must be one number, a mean over samples")
        if not loss.isfinite():
            raise InvalidInput(f"the loss is {loss.item()} at the model's own parameters; check them for NaN")

    def _check_labels(self, classes: int) -> None:
        for _, y in self.batches:
            if y.is_floating_point() or y.min() < 0 or y.max() >= classes:
                raise InvalidInput(
                    f"cross_entropy needs integer labels from 0 to {classes - 1}; these are {y.dtype} from "
                    f"{y.min().item()} to {y.max().item()}"
                )


@cache
def load_forward_mode() -> None:
    """Let torch load its forward-mode rules, which on Python 3.11 it does with a deprecation warning of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")


def _mode(model: nn.Module, mode: Mode | None) -> Mode:
    """The mode asked for; where none is, that of evaluation if the model leaves no doubt."""
    if mode not in (None, "eval", "train"):
        raise UnknownName("mode", str(mode), ("eval", "train"))
    random = [name for name, module in model.named_modules() if _draws(module)]
    normalised = [name for name, module in model.named_modules() if _normalises_by_batch(module)]
    if mode is None and model.training and random + normalised:
        raise InvalidInput(
            f"the model is in training mode and {(random + normalised)[0]!r} differs there; say mode='eval' or 'train'"
        )
    if mode == "train" and random:
        raise InvalidInput(f"{random[0]!r} draws at random in training mode; take mode='eval', or p = 0 of dropout")
    return mode or "eval"


def _draws(module: nn.Module) -> bool:
    return isinstance(module, nn.RReLU) or (isinstance(module, _DropoutNd) and module.p > 0)


def _normalises_by_batch(module: nn.Module) -> bool:
    return isinstance(module, _NormBase) and module.track_running_stats


def _copied(model: nn.Module, mode: Mode) -> nn.Module:
    """A copy in the mode, whose parameters are constants and whose running statistics are never updated."""
    copied = copy.deepcopy(model).train(mode == "train").requires_grad_(False)
    if mode == "train":
        for module in copied.modules():
            if isinstance(module, _NormBase) and module.track_running_stats:
                module.track_running_stats = False
    return copied


def _batches(data: Data, chunk: int | None) -> list[tuple[Tensor, Tensor]]:
    one = isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor)
    parts: Any = [data] if one else data
    batches = []
    for x, y in parts:
        if len(x) != len(y):
            raise InvalidInput(f"{len(x)} samples but {len(y)} targets; there must be one target a sample")
        size = chunk or len(x)
        batches += zip(x.split(size), y.split(size), strict=True) if len(x) else []
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
