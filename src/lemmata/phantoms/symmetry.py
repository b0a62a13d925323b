"""Symmetries of networks: rescalings of a state that leave the function and move the plain curvature.

Dinh, Pascanu, Bengio, Bengio (2017), Sharp minima can generalize for deep nets, arXiv:1703.04933.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.objective import Tree
from lemmata.phantoms.phantom import F64, filled, normals


def scale_invariant(
    n: int = 24, widths: tuple[int, int, int] = (5, 6, 3), *, seed: int | torch.Generator = 0
) -> tuple[nn.Sequential, tuple[Tensor, Tensor]]:
    """A net ``linear`` (no bias), ``norm``, ReLU, ``output`` and its data, whose function ignores each row's length.

    The running statistics of `norm` are those of the data and its eps is 1e-30, so that the invariance is exact to
    rounding in both modes: in training mode under `linear.weight` times any positive factor a row, in evaluation mode
    under `rescaled_before_norm`, which takes the running statistics along.

    >>> model, (x, y) = scale_invariant()
    >>> model(x).shape
    torch.Size([24, 3])
    """
    d, width, k = widths
    X, W1, W2, scores = normals(seed, (n, d), (width, d), (k, width), (n, k))
    model = nn.Sequential()
    model.add_module("linear", nn.Linear(d, width, bias=False, dtype=F64))
    model.add_module("norm", nn.BatchNorm1d(width, eps=1e-30, dtype=F64))
    model.add_module("relu", nn.ReLU())
    model.add_module("output", nn.Linear(width, k, dtype=F64))
    before = X @ W1.T
    state = {"linear.weight": W1, "output.weight": W2, "output.bias": torch.zeros(k, dtype=F64)}
    state |= {"norm.running_mean": before.mean(0), "norm.running_var": before.var(0, correction=0)}
    return filled(model, state).eval(), (X, scores.argmax(1))


def rescaled(state: Mapping[str, Tensor], first: str, second: str, factor: float | Tensor) -> Tree:
    """Multiply the layer `first` (weight and bias) by `factor` > 0 and divide the weights of `second`: Dinh et al.

    `factor` is a number, or one for each unit between the two (width,). The layers must follow one another with only
    a positively homogeneous map (ReLU, leaky ReLU, linear, max-pooling) between them; then the function stays.

    >>> from lemmata import nets
    >>> net = nets.mlp(2, [3], 1, seed=0)
    >>> moved = rescaled(net.state_dict(), "hidden1", "output", 10.0)
    >>> x = torch.ones(1, 2)
    >>> bool((net(x) - torch.func.functional_call(net, moved, (x,))).abs() < 1e-6)
    True
    """
    scale = _positive(factor, len(state[f"{first}.weight"]))
    moved = {name: tensor.detach().clone() for name, tensor in state.items()}
    weight, following = moved[f"{first}.weight"], moved[f"{second}.weight"]
    if following.shape[1] != len(weight):
        raise InvalidInput(f"{first!r} has {len(weight)} units, but {second!r} takes {following.shape[1]}")
    weight *= _along(scale, weight, 0)
    following /= _along(scale, following, 1)
    if f"{first}.bias" in moved:
        moved[f"{first}.bias"] *= scale.to(moved[f"{first}.bias"])
    return moved


def rescaled_before_norm(
    state: Mapping[str, Tensor], layer: str, norm: str, factor: float | Tensor, *, eps: float = 0.0
) -> Tree:
    """Multiply the rows of `layer` by `factor` > 0, and the running statistics of the `norm` after it to match.

    With the `eps` that the norm adds to variances, evaluation is the same function exactly (a running variance may come
    out as low as -eps); without, and in training mode, up to eps / variance.

    >>> model, (x, y) = scale_invariant()
    >>> moved = rescaled_before_norm(model.state_dict(), "linear", "norm", 7.0)
    >>> bool((model(x) - torch.func.functional_call(model, moved, (x,))).abs().max() < 1e-12)
    True
    """
    scale = _positive(factor, len(state[f"{layer}.weight"]))
    moved = {name: tensor.detach().clone() for name, tensor in state.items()}
    moved[f"{layer}.weight"] *= _along(scale, moved[f"{layer}.weight"], 0)
    for name, power in ((f"{layer}.bias", 1), (f"{norm}.running_mean", 1), (f"{norm}.running_var", 2)):
        if name in moved:
            added = eps if power == 2 else 0.0
            moved[name] = (moved[name] + added) * scale.to(moved[name]) ** power - added
    return moved


def _positive(factor: float | Tensor, width: int) -> Tensor:
    scale = torch.as_tensor(factor, dtype=F64)
    if not (scale > 0).all() or not scale.isfinite().all() or scale.shape not in ((), (width,)):
        raise InvalidInput(f"factor = {factor}; give a positive number, or one for each of {width} units")
    return scale


def _along(scale: Tensor, weight: Tensor, axis: int) -> Tensor:
    """Shape a factor, one number or one a unit, so that it multiplies the given axis of a weight."""
    shape = [1] * weight.ndim
    if scale.ndim:
        shape[axis] = len(scale)
    return scale.to(weight).reshape(shape)
