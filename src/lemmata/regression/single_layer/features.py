"""Features H(theta) of all samples with their first derivatives: what variable projection needs of a network's body.

    push    dH[v] = sum_i v_i dH/dtheta_i            (n, m), forward mode
    pull    (dH/dtheta)' G                           (p,), backward mode
    jacobian    d(H W)/dtheta                        (rows, k, p), W fixed
    moved       d(H' R)/dtheta                       (m, k, p), R fixed

Two kinds. Of one affine map under an elementwise activation, H = phi(X K' + b), all are matrix products:
dH[V] = phi'(X K' + b) . (X V'), and the Jacobian of H W has the entries phi' x_a w. Of any other module automatic
differentiation gives them: the Jacobian sample by sample (k backward passes), in chunks of samples that fit a number of
bytes. All is float64, on copies, in evaluation mode; a theta is a flat vector (p,).
Cost: a push or pull is two forward passes, or one product with X. Fails where samples influence one another (statistics
of the batch), which is refused as far as it can be seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vmap
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from lemmata.errors import InvalidInput
from lemmata.objective import load_forward_mode

BYTES = 2**28  # of a chunk of per-sample Jacobians

Slope = Callable[[Tensor, Tensor], Tensor]  # phi' from the input z and the output phi(z)
SLOPES: dict[type[nn.Module], Slope] = {
    nn.Tanh: lambda _, h: 1 - h * h,
    nn.Sigmoid: lambda _, h: h * (1 - h),
    nn.ReLU: lambda z, _: (z > 0).to(z.dtype),
    nn.Identity: lambda z, _: torch.ones_like(z),
}


class Point(Protocol):
    """The features at one theta, `H` (n, m), and their derivatives there."""

    H: Tensor

    def push(self, v: Tensor) -> Tensor:
        """Derivative of H along v (p,): (n, m)."""
        ...

    def pull(self, G: Tensor) -> Tensor:
        """The gradient by theta of <G, H>, G (n, m): (p,)."""
        ...

    def jacobian(self, W: Tensor, rows: slice) -> Tensor:
        """d(H W)/dtheta for these samples, W (m, k) fixed: (rows, k, p)."""
        ...

    def moved(self, R: Tensor) -> Tensor:
        """d(H' R)/dtheta, R (n, k) fixed: (m, k, p)."""
        ...


class Features(Protocol):
    """H as a function of theta (p,), from which it starts; and the module that has these parameters."""

    start: Tensor
    n: int
    forward_flops: float

    def at(self, theta: Tensor) -> Point:
        """Evaluate at theta."""
        ...

    def module(self, theta: Tensor) -> nn.Module:
        """A float64 copy of the module with the parameters theta."""
        ...


def features_of(module: nn.Module, x: Tensor) -> Features:
    """Take a module's features of x, in closed form where it is one affine map and an activation.

    Raises `InvalidInput` for a module in training mode that draws or uses statistics of the batch, for one without
    parameters, and for features that are no finite (n, m).

    >>> H = features_of(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), torch.zeros(5, 2))
    >>> type(H).__name__, H.at(H.start).H.shape, len(H.start)
    ('Layer', torch.Size([5, 3]), 9)
    """
    if not isinstance(module, nn.Module):
        raise InvalidInput(f"features must be a torch module or a number of tanh units, not {type(module).__name__}")
    for name, part in module.named_modules():
        random = isinstance(part, _DropoutNd) and part.p > 0
        if part.training and (random or isinstance(part, _NormBase)):
            raise InvalidInput(f"{name!r} is in training mode, where features are random or mix samples; call .eval()")
    own = copy.deepcopy(module).double().eval().requires_grad_(False)
    if not any(p.numel() for p in own.parameters()):
        raise InvalidInput("the features have no parameters; use a linear or softmax regression on them")
    return _as_layer(own, x.double()) or Body(own, x.double())


def _as_layer(module: nn.Module, x: Tensor) -> Layer | None:
    """The closed form, where the module is Sequential([Flatten,] Linear, activation) on inputs that are vectors."""
    if type(module) is not nn.Sequential:
        return None
    parts = [part for part in module if not isinstance(part, nn.Flatten)]
    if len(parts) != 2 or type(parts[0]) is not nn.Linear or type(parts[1]) not in SLOPES:
        return None
    if any(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()):
        return None
    inputs = x.flatten(1)
    flattens = len(parts) < len(module)
    if inputs.shape[1] != parts[0].in_features or not (flattens or x.ndim == 2):
        return None
    return Layer(module, parts[0], parts[1], inputs)


# ---- one affine map and an activation --------------------------------------------------------------------------------


class Layer:
    """H = phi([X 1] T): theta is T (d + 1, m) flattened, the last row the biases (absent without them)."""

    def __init__(self, module: nn.Sequential, linear: nn.Linear, activation: nn.Module, x: Tensor):
        self._module, self._linear, self.activation = module, linear, activation
        self.biased = linear.bias is not None
        self.x = torch.cat([x, x.new_ones(len(x), 1)], 1) if self.biased else x
        self.n, self.inputs = self.x.shape
        self.width = linear.out_features
        parts = [linear.weight.T] + ([linear.bias[None]] if self.biased else [])
        self.start = torch.cat(parts).flatten().clone()
        self.forward_flops = 2.0 * self.n * self.inputs * self.width

    def at(self, theta: Tensor) -> LayerPoint:
        """Evaluate at theta: one product with X."""
        z = self.x @ theta.view(self.inputs, self.width)
        return LayerPoint(self, z, self.activation(z))

    def module(self, theta: Tensor) -> nn.Module:
        """A copy of the module with these weights."""
        made = copy.deepcopy(self._module)
        linear = next(part for part in made if isinstance(part, nn.Linear))
        T = theta.view(self.inputs, self.width)
        with torch.no_grad():
            linear.weight.copy_(T[: linear.in_features].T)
            if self.biased:
                linear.bias.copy_(T[-1])
        return made.requires_grad_(True)


@dataclass
class LayerPoint:
    """The features of a layer at one theta; the slopes phi' are computed when first wanted."""

    layer: Layer
    z: Tensor
    H: Tensor

    @cached_property
    def slope(self) -> Tensor:
        """phi'(z), (n, m)."""
        return SLOPES[type(self.layer.activation)](self.z, self.H)

    def push(self, v: Tensor) -> Tensor:
        """See `Point`."""
        return (self.layer.x @ v.view(self.layer.inputs, -1)).mul_(self.slope)

    def pull(self, G: Tensor) -> Tensor:
        """See `Point`."""
        return (self.layer.x.T @ (G * self.slope)).flatten()

    def jacobian(self, W: Tensor, rows: slice) -> Tensor:
        """See `Point`; entries x_a phi'_j w_jo."""
        slope = SLOPES[type(self.layer.activation)](self.z[rows], self.H[rows])  # chunks that stay in the cache
        inner = slope[:, None, None, :] * W.T[:, None, :]
        return (self.layer.x[rows, None, :, None] * inner).flatten(2)

    def moved(self, R: Tensor) -> Tensor:
        """See `Point`; a weight moves the features of its own unit only."""
        own = torch.einsum("na,nj,nk->jka", self.layer.x, self.slope, R)
        m, k, a = own.shape
        out = own.new_zeros(m, k, a, m)
        unit = torch.arange(m, device=own.device)
        out[unit, :, :, unit] = own
        return out.flatten(2)


# ---- any module ------------------------------------------------------------------------------------------------------


class Body:
    """H of any module by automatic differentiation; theta is its parameters one after the other."""

    def __init__(self, module: nn.Module, x: Tensor):
        load_forward_mode()
        _check_features(module, x)
        self._module, self.x, self.n = module, x, len(x)
        self._shapes = {name: p.shape for name, p in module.named_parameters()}
        self.start = torch.cat([p.detach().flatten() for p in module.parameters()])
        self.forward_flops = _flops(module, x)

    def evaluate(self, theta: Tensor, x: Tensor) -> Tensor:
        """H (n, m) of these inputs, differentiable by theta."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = zip(self._shapes.items(), theta.split(sizes), strict=True)
        return functional_call(self._module, {name: part.view(shape) for (name, shape), part in parts}, (x,))

    def at(self, theta: Tensor) -> BodyPoint:
        """Evaluate at theta, keeping the graph for pulls."""
        leaf = theta.detach().requires_grad_()
        with torch.enable_grad():
            outputs = self.evaluate(leaf, self.x)
        return BodyPoint(self, leaf, outputs)

    def module(self, theta: Tensor) -> nn.Module:
        """A copy of the module with these parameters."""
        made = copy.deepcopy(self._module).requires_grad_(True)
        nn.utils.vector_to_parameters(theta.detach(), made.parameters())
        return made


@dataclass
class BodyPoint:
    """The features of a module at one theta."""

    body: Body
    theta: Tensor
    outputs: Tensor
    H: Tensor = field(init=False)

    def __post_init__(self):
        self.H = self.outputs.detach()

    def push(self, v: Tensor) -> Tensor:
        """See `Point`."""
        return jvp(lambda t: self.body.evaluate(t, self.body.x), (self.theta.detach(),), (v,))[1]

    def pull(self, G: Tensor) -> Tensor:
        """See `Point`."""
        return torch.autograd.grad(self.outputs, self.theta, G, retain_graph=True)[0]

    def jacobian(self, W: Tensor, rows: slice) -> Tensor:
        """See `Point`."""
        one = jacrev(lambda theta, x: (self.body.evaluate(theta, x[None]) @ W)[0])
        return vmap(one, in_dims=(None, 0))(self.theta.detach(), self.body.x[rows])

    def moved(self, R: Tensor) -> Tensor:
        """See `Point`; m k backward passes over all samples."""
        columns = max(1, BYTES // (8 * 4 * self.H.numel()))
        return jacrev(lambda theta: self.body.evaluate(theta, self.body.x).T @ R, chunk_size=columns)(
            self.theta.detach()
        )


def _check_features(module: nn.Module, x: Tensor) -> None:
    """Refuse a module that cannot be computed of x, or that gives no (n, m)."""
    try:
        with torch.no_grad():
            H = module(x[:2])
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        raise InvalidInput(
            f"the features cannot be computed of x of shape {tuple(x.shape)} in float64: {error}; "
            "give a module that takes such inputs"
        ) from error
    shape = tuple(H.shape) if isinstance(H, Tensor) else type(H).__name__
    if not isinstance(H, Tensor) or H.ndim != 2 or len(H) != min(len(x), 2) or not H.shape[1]:
        raise InvalidInput(f"the features of {min(len(x), 2)} samples are {shape}; give (n, m), by an nn.Flatten, say")
    if H.dtype != torch.float64:
        raise InvalidInput(f"the features of float64 inputs are {H.dtype}; give a module that keeps its inputs' type")


def _flops(module: nn.Module, x: Tensor) -> float:
    """Floating-point operations of a forward pass of all samples, counted on a few."""
    from torch.utils.flop_counter import FlopCounterMode

    few = x[: min(len(x), 8)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(few)
    return counter.get_total_flops() * len(x) / len(few)
