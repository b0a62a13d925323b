"""The elementwise nonlinearities of torch by the functions that compute them, and the steepest slope of each.

Every `nn` module of an activation calls one of these functions, so that watching them sees modules and functional calls
alike. Where the slope has no bound over the parameters of the function (leaky ReLU, ELU) it is that of its defaults.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

NAMES: dict[Any, str] = {
    function: name
    for name, functions in {
        "relu": (functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
        "relu6": (functional.relu6,),
        "leaky-relu": (functional.leaky_relu, functional.leaky_relu_),
        "prelu": (functional.prelu, torch.prelu, Tensor.prelu),
        "rrelu": (functional.rrelu, functional.rrelu_, torch.rrelu, torch.rrelu_),
        "threshold": (functional.threshold, torch.threshold, torch.threshold_),
        "tanh": (torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_, functional.tanh),
        "hard-tanh": (functional.hardtanh, functional.hardtanh_),
        "softsign": (functional.softsign,),
        "sigmoid": (
            torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_, functional.sigmoid, torch.special.expit,
        ),
        "hard-sigmoid": (functional.hardsigmoid,),
        "log-sigmoid": (functional.logsigmoid,),
        "erf": (torch.erf, torch.erf_, Tensor.erf, Tensor.erf_, torch.special.erf),
        "gelu": (functional.gelu,),
        "silu": (functional.silu,),
        "hard-swish": (functional.hardswish,),
        "mish": (functional.mish,),
        "softplus": (functional.softplus,),
        "elu": (functional.elu, functional.elu_),
        "selu": (functional.selu, functional.selu_, torch.selu, torch.selu_),
        "celu": (functional.celu, functional.celu_, torch.celu, torch.celu_),
        "sin": (torch.sin, torch.sin_, Tensor.sin, Tensor.sin_),
        "cos": (torch.cos, torch.cos_, Tensor.cos, Tensor.cos_),
        "tanhshrink": (functional.tanhshrink,),
        "softshrink": (functional.softshrink,),
        "hardshrink": (functional.hardshrink, torch.hardshrink, Tensor.hardshrink),
    }.items()
    for function in functions
}  # fmt: skip
STEEPEST: dict[str, float] = {
    **dict.fromkeys(NAMES.values(), 1.0),
    "linear": 1.0, "sigmoid": 0.25, "hard-sigmoid": 1 / 6, "erf": 1.1283792, "gelu": 1.1289042, "silu": 1.0998394,
    "hard-swish": 1.5, "mish": 1.0890, "selu": 1.7580993,
}  # fmt: skip


def name_of(function: Any) -> str | None:
    """The name of the activation that a function of torch computes; None if it is none.

    >>> name_of(torch.tanh), name_of(torch.exp)
    ('tanh', None)
    """
    try:
        return NAMES.get(function)
    except TypeError:  # not hashable
        return None
