"""The gradient that an attack follows: of each row's value by that row alone, and whether there is anything in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput


@contextmanager
def differentiable() -> Iterator[None]:
    """Let gradients be taken here, also where the caller has turned them off (`no_grad`, `inference_mode`).

    >>> with torch.inference_mode(), differentiable():
    ...     torch.zeros(1, requires_grad=True).exp().requires_grad
    True
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield


def usable(tensor: Tensor) -> Tensor:
    """The numbers of a tensor as one that autograd can keep: a copy, if it was made under `torch.inference_mode()`."""
    return tensor.detach().clone() if tensor.is_inference() else tensor.detach()


def require_gradient(model: nn.Module, logits: Tensor, z: Tensor) -> None:
    """Refuse logits of `model` that autograd does not know to come from z."""
    if logits.requires_grad:
        return
    raise InvalidInput(
        f"the model's logits have no gradient by the images: {_detaching(model, z)} gives a result that is detached "
        "from its input (detach, no_grad, numpy, argmax); mend it, or attack without gradients by "
        "auto_attack(parts=['square'])"
    )


def _detaching(model: nn.Module, z: Tensor) -> str:
    """The first module to end whose input has a gradient and whose result has none."""
    found: list[str] = []

    def note(name: str, module: nn.Module) -> Any:
        def hook(_module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
            comes = any(isinstance(one, Tensor) and one.requires_grad for one in given)
            if comes and isinstance(result, Tensor) and not result.requires_grad:
                found.append(f"{name!r} ({type(module).__name__})" if name else type(module).__name__)

        return module.register_forward_hook(hook)

    hooks = [note(name, module) for name, module in model.named_modules()]
    try:
        model(z[:1].detach().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else type(model).__name__


def gradient_of(values: Tensor, z: Tensor) -> Tensor:
    """The gradient (B, ...) of each row's value (B,) by that row; zero where there is none, or none that is finite.

    The gradient is asked for by z alone: no parameter's is computed or accumulated.

    >>> z = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> gradient_of(z.square().sum(1), z), gradient_of(z.round().sum(1), z)
    (tensor([[2., 4.]]), tensor([[0., 0.]]))
    """
    gradient = torch.autograd.grad(values.sum(), z, allow_unused=True)[0]
    if gradient is None:
        return torch.zeros_like(z)
    return gradient if bool(gradient.sum().isfinite()) else gradient.nan_to_num(0.0, 0.0, 0.0)


def lost(slope: Tensor, eps: Tensor, logits: Tensor) -> Tensor:
    """Whether the gradient promises no more over the ball than the logits' rounding, by its dual norm `slope`: (B,)."""
    rounding = torch.finfo(slope.dtype).eps * logits.abs().amax(-1)
    return (slope * eps <= rounding) & (eps > 0)
