"""The steps that torch's modules and functions stand for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.robustness.linear_bounds.activations import Rectifier, Sigmoid
from lemmata.robustness.linear_bounds.affine import Average, Convolution, Dense, Reshape, Scale
from lemmata.robustness.linear_bounds.max_pool import MaxPool

RESHAPES = ("flatten", "view", "reshape", "squeeze", "unsqueeze")


def _dense(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Dense:
    del x
    return Dense(weight, bias)


def _convolution(  # noqa: PLR0917 - torch's own order
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Convolution:  # fmt: skip
    del x
    dimensions = weight.ndim - 2
    stride, dilation = (_each(value, dimensions) for value in (stride, dilation))
    if padding == "valid":
        padding = 0
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if any(r % 2 for r in reach):
            raise InvalidInput(f"padding='same' pads a kernel of {tuple(weight.shape[2:])} unevenly; pad it explicitly")
        padding = tuple(r // 2 for r in reach)
    options = {"stride": stride, "padding": _each(padding, dimensions), "dilation": dilation, "groups": groups}
    return Convolution(weight, bias, **options)


def _each(value: Any, dimensions: int) -> tuple[int, ...]:
    return (value,) * dimensions if isinstance(value, int) else tuple(value)


def _convolution_module(module: Any, result: Tensor) -> Convolution:
    if module.padding_mode != "zeros":
        raise InvalidInput(f"a convolution padded by {module.padding_mode!r} has no bounds here; only 'zeros' has")
    return _convolution(
        result, module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups
    )


def _norm(module: Any, result: Tensor) -> Scale:
    if not module.track_running_stats:
        raise InvalidInput("batch normalisation without running statistics mixes samples; it has no bounds")
    shape = (-1, *[1] * (result.ndim - 2))
    factor = (module.running_var + module.eps).rsqrt()
    zero = torch.zeros_like(factor)
    if module.affine:
        factor = factor * module.weight
    shift = module.bias if module.affine else zero
    return Scale(factor.reshape(shape), shift.reshape(shape), module.running_mean.reshape(shape))


def _average(x: Tensor, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Average:
    words = f"{function.__name__} {args} {sorted(kwargs.items())}"
    return Average(lambda z: function(z, *args, **kwargs), terms=x[0].numel(), words=words)


def _pooled(module: Any, terms: int) -> Average:
    settings = [(name, getattr(module, name)) for name in module.__constants__]  # repr leaves some of them out
    return Average(module, terms, words=f"{type(module).__name__} {settings}")


def _mean(x: Tensor, dim: Any = None, keepdim: bool = False, **rest: Any) -> Average:
    dims = [dim] if isinstance(dim, int) else list(dim or [])
    if rest or not dims or any(d % x.ndim == 0 for d in dims):
        raise InvalidInput("a mean over the samples has no bounds; name the dimensions, as mean(dim=(2, 3))")
    return _average(x, torch.mean, dim=[d % x.ndim for d in dims], keepdim=keepdim)


def _rectifier(x: Tensor, negative_slope: float = 0.0, inplace: bool = False) -> Rectifier:
    del x, inplace
    if not 0 <= negative_slope <= 1:
        raise InvalidInput(f"leaky ReLU with slope {negative_slope} has no bounds here; it must be in [0, 1]")
    return Rectifier(negative_slope)


def _relu(x: Tensor, inplace: bool = False) -> Rectifier:
    return _rectifier(x, 0.0, inplace)


def _leaky_relu(x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Rectifier:
    return _rectifier(x, negative_slope, inplace)


MODULES: dict[Any, Callable[[Any, Tensor], Any]] = {
    nn.Linear: lambda module, result: Dense(module.weight, module.bias),
    nn.modules.conv._ConvTransposeNd: lambda module, result: _refused("a transposed convolution"),
    nn.modules.conv._ConvNd: _convolution_module,
    nn.modules.batchnorm._BatchNorm: _norm,
    nn.Flatten: lambda module, result: Reshape(result.shape[1:]),
    nn.Unflatten: lambda module, result: Reshape(result.shape[1:]),
    nn.Identity: lambda module, result: "same",
    nn.modules.dropout._DropoutNd: lambda module, result: "same",
    nn.ReLU: lambda module, result: Rectifier(),
    nn.LeakyReLU: lambda module, result: _rectifier(result, module.negative_slope),
    nn.Tanh: lambda module, result: Sigmoid("tanh"),
    nn.Sigmoid: lambda module, result: Sigmoid("sigmoid"),
    nn.MaxPool2d: lambda module, result: _max_pool(
        result, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
    ),
    nn.modules.pooling._AvgPoolNd: lambda module, result: _pooled(module, math.prod(_each(module.kernel_size, 3))),
    nn.modules.pooling._AdaptiveAvgPoolNd: lambda module, result: _pooled(module, 2**16),
}  # the first class that fits is taken


def _refused(what: str) -> Any:
    raise InvalidInput(f"{what} has no bounds here; write it as another layer")


def _max_pool(  # noqa: PLR0917 - torch's own order
    x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> MaxPool:  # fmt: skip
    del x, return_indices
    return MaxPool(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "linear": _dense,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv3d": _convolution,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": lambda x: Sigmoid("tanh"),
    "sigmoid": lambda x: Sigmoid("sigmoid"),
    "max_pool2d": _max_pool,
    "avg_pool2d": lambda x, *args, **kwargs: _average(x, functional.avg_pool2d, *args, **kwargs),
    "adaptive_avg_pool2d": lambda x, size: _average(x, functional.adaptive_avg_pool2d, size),
    "mean": _mean,
}
