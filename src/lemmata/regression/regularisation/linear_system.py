"""A and b of min |A x - b|^2 as a user gives them, checked once: shapes, types, NaN, emptiness, noise levels.

Everything here refuses with `InvalidInput`, which names what was given and what to do.
"""

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator


def dense_system(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A (m, n) and b as (m, k), both finite, floating and of one type; b (m,) becomes one column.

    >>> dense_system(torch.eye(2), torch.ones(2))[1].shape
    torch.Size([2, 1])
    """
    if not isinstance(A, Tensor):
        raise InvalidInput(f"A is a {type(A).__name__}; a dense tensor (m, n) is wanted here")
    if A.ndim != 2 or not A.numel():
        raise InvalidInput(f"A has shape {tuple(A.shape)}; it must be (m, n), neither of them 0")
    require_finite(A, "A")
    return A.detach(), right_hand_side(A, b)


def right_hand_side(A: Tensor | LinearOperator, b: Tensor) -> Tensor:
    """The right-hand side as (m, k), of the type of A and on its device."""
    require_tensor(b, "b")
    if b.ndim not in (1, 2) or b.shape[0] != A.shape[0] or not b.numel():
        raise InvalidInput(f"b has shape {tuple(b.shape)}; with A of shape {tuple(A.shape)} it must be ({A.shape[0]},)")
    if b.dtype != A.dtype or b.device != A.device:
        raise InvalidInput(f"A is {A.dtype} on {A.device}, b is {b.dtype} on {b.device}; bring them together")
    require_finite(b, "b")
    return b.detach().reshape(len(b), -1)


def require_tensor(value: object, name: str) -> None:
    """Refuse what is no tensor."""
    if not isinstance(value, Tensor):
        raise InvalidInput(f"{name} is a {type(value).__name__}; give a torch tensor, as torch.as_tensor({name})")


def require_finite(tensor: Tensor, name: str) -> None:
    """Refuse what is no tensor, whole numbers, NaN and infinity."""
    require_tensor(tensor, name)
    if not tensor.is_floating_point():
        raise InvalidInput(f"{name} holds {tensor.dtype}; give floating numbers, as {name}.double()")
    if not tensor.isfinite().all():
        raise InvalidInput(f"{name} holds NaN or infinity; remove or replace those entries")


def positive(value: float, name: str) -> float:
    """Refuse what is no positive finite number.

    >>> positive(0.5, "lam")
    0.5
    """
    if not (value > 0 and math.isfinite(value)):
        raise InvalidInput(f"{name} = {value}; it must be positive and finite")
    return float(value)


def whole(value: float, name: str, least: int, most: float = math.inf) -> int:
    """Refuse what is no whole number from least to most.

    >>> whole(3.0, "k", 1, 5)
    3
    """
    if not (math.isfinite(value) and value == int(value) and least <= value <= most):
        bound = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise InvalidInput(f"{name} = {value}; it must be a whole number {bound}")
    return int(value)


def parameters(values: Tensor) -> Tensor:
    """Values of a regularisation parameter (T,), increasing, positive and finite, as float64."""
    values = torch.as_tensor(values)
    if values.ndim != 1 or not values.numel():
        raise InvalidInput(f"values of shape {tuple(values.shape)}; give one axis (T,) of one value or more")
    values = values.double()
    if not (values.isfinite() & (values > 0)).all() or (values.diff() <= 0).any():
        raise InvalidInput(
            f"values from {float(values[0]):.3g} to {float(values[-1]):.3g}; they must be positive, finite, increasing"
        )
    return values
