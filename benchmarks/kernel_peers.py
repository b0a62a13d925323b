"""The peers of the kernels, as their documentation says, and scripts that people write: a function a peer and work.

    neural-tangents    Novak, Xiao, Hron, Lee, Alemi, Sohl-Dickstein, Schoenholz (2020); `peers/README.md` says how
    nngeometry         George (2021)
    numpy, torch       the formulas of the papers as they stand, all pairs at once

Each gives what is run in a turn. What a library compiles is compiled before. jax is kept to one thread.
"""

import importlib
import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from peers import label

NEURAL_TANGENTS, NNGEOMETRY = label("neural-tangents"), label("nngeometry")
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def load() -> list[str]:
    """Import those that are there; the names of those that are not."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
    missing = []
    for module, name in (("neural_tangents", NEURAL_TANGENTS), ("nngeometry", NNGEOMETRY)):
        if importlib.util.find_spec(module) is None:
            missing.append(name)
            continue
        if module == "neural_tangents":  # the one part that asks for tensorflow, and is not used
            sys.modules[f"{module}.experimental"] = ModuleType("experimental")
        importlib.import_module(module)
    return missing


# ---- fully-connected nets --------------------------------------------------------------------------------------------


def neural_tangents_ntk(x: Tensor, depth: int) -> Callable[[], np.ndarray]:
    """The NTK of a ReLU net of `depth` weight layers, compiled."""
    import jax
    from neural_tangents import stax

    layers = [stax.Dense(1, W_std=2**0.5, b_std=0.0)]
    for _ in range(depth - 1):
        layers += [stax.Relu(), stax.Dense(1, W_std=2**0.5, b_std=0.0)]
    kernel, inputs = jax.jit(lambda x: stax.serial(*layers)[2](x, None, "ntk")), jax.numpy.asarray(x.numpy())
    return _ready(lambda: kernel(inputs))


def numpy_ntk(x: Tensor, depth: int) -> np.ndarray:
    """The recursion of Jacot et al. as a script has it: a matrix at a time, all entries."""
    X = x.numpy()
    S = 2 * X @ X.T / X.shape[1]
    T = S.copy()
    for _ in range(depth - 1):
        norms = np.sqrt(np.diag(S))
        cosine = np.clip(S / norms[:, None] / norms, -1, 1)
        angle = np.arccos(cosine)
        S = norms[:, None] * norms * (np.sin(angle) + (np.pi - angle) * cosine) / np.pi
        T = S + T * (np.pi - angle) / np.pi
    return T


def torch_ntk(x: Tensor, depth: int) -> Tensor:
    """The same in torch."""
    S = 2 * x @ x.T / x.shape[1]
    T = S.clone()
    for _ in range(depth - 1):
        norms = S.diagonal().sqrt()
        cosine = (S / norms[:, None] / norms).clamp(-1, 1)
        angle = cosine.acos()
        S = norms[:, None] * norms * (angle.sin() + (math.pi - angle) * cosine) / math.pi
        T = S + T * (math.pi - angle) / math.pi
    return T


# ---- convolutional nets ----------------------------------------------------------------------------------------------


def neural_tangents_cntk(x: Tensor, z: Tensor, convolutions: int) -> Callable[[], np.ndarray]:
    """CNTK of ReLU nets with 3 x 3 filters and global average pooling, all layers trained, compiled."""
    import jax
    from neural_tangents import stax

    layers = []
    for _ in range(convolutions):
        layers += [stax.Conv(1, (3, 3), padding="SAME", W_std=2**0.5, b_std=0.0), stax.Relu()]
    function = stax.serial(*layers, stax.GlobalAvgPool(), stax.Dense(1, W_std=2**0.5, b_std=0.0))[2]
    kernel = jax.jit(lambda x, z: function(x, z, "ntk"))
    both = [jax.numpy.asarray(side.permute(0, 2, 3, 1).numpy()) for side in (x, z)]
    return _ready(lambda: kernel(*both))


def torch_cntk(x: Tensor, z: Tensor, convolutions: int) -> Tensor:
    """The recursion of Arora et al. for one pair of images, on the tensor of all pairs of positions.

    In neural-tangents' scaling, all layers trained.
    """
    C = x.shape[1]
    norms = [2 * _box(side.square().sum(1)) / (9 * C) for side in (x, z)]
    S = 2 * _boxes(torch.einsum("cab,cde->abde", x[0], z[0])) / (9 * C)
    T = S
    for layer in range(convolutions):
        scale = norms[0].sqrt()[0, :, :, None, None] * norms[1].sqrt()[0]
        cosine = (S / scale).clamp(-1, 1)
        angle = cosine.acos()
        S, T = scale * (angle.sin() + (math.pi - angle) * cosine) / (2 * math.pi), T * (math.pi - angle) / (2 * math.pi)
        norms = [2 / 9 * _box(norm / 2) for norm in norms]
        if layer < convolutions - 1:
            S, T = 2 / 9 * _boxes(S), 2 / 9 * _boxes(T)
            T = T + S
    return 2 * (S.mean() + T.mean()).reshape(1, 1)


def _box(norm: Tensor) -> Tensor:
    """Sums over 3 x 3 neighbourhoods, zeros outside."""
    return nn.functional.avg_pool2d(norm, 3, 1, 1, divisor_override=1)


def _boxes(S: Tensor) -> Tensor:
    """Sums over common shifts of both positions of a pair."""
    rows, columns = S.shape[:2]
    padded = nn.functional.pad(S, (1,) * 8)
    return sum(padded[a : a + rows, b : b + columns, a : a + rows, b : b + columns] for a in range(3) for b in range(3))  # type: ignore[return-value]


# ---- empirical kernels, (n, n, C, C) ---------------------------------------------------------------------------------


def neural_tangents_empirical(model: nn.Sequential, x: Tensor, way: str) -> Callable[[], np.ndarray]:
    """The kernel by one of its implementations, compiled, on the model's own weights in the layout that jax prefers.

    Weights enter the products as they are: a transposition in between hides the layer from structured derivatives.
    """
    import jax
    import neural_tangents as nt

    order = {2: (1, 0), 4: (2, 3, 1, 0)}  # dense (in, out), filters (rows, columns, in, out)
    weights = [
        jax.numpy.asarray(p.detach().permute(order.get(p.ndim, (0,))).contiguous().numpy()) for p in model.parameters()
    ]
    inputs = jax.numpy.asarray((x.permute(0, 2, 3, 1) if x.ndim == 4 else x).contiguous().numpy())
    kernel = nt.empirical_ntk_fn(
        in_jax(model), trace_axes=(), vmap_axes=0, implementation=getattr(nt.NtkImplementation, way)
    )
    compiled = jax.jit(lambda x, weights: kernel(x, None, weights))
    return _ready(lambda: compiled(inputs, weights))


def in_jax(model: nn.Sequential) -> Callable[[Any, Any], Any]:
    """A sequence of the layers that the benchmarks use, as a function of weights and inputs in jax, channels last."""
    import jax

    def f(weights: Any, x: Any) -> Any:
        rest = iter(weights)
        for layer in model:
            if isinstance(layer, nn.Linear):
                x = x @ next(rest) + next(rest)
            elif isinstance(layer, nn.Conv2d):
                layout = ("NHWC", "HWIO", "NHWC")
                x = jax.lax.conv_general_dilated(x, next(rest), (1, 1), "SAME", dimension_numbers=layout) + next(rest)
            elif isinstance(layer, nn.ReLU):
                x = jax.nn.relu(x)
            elif isinstance(layer, nn.AvgPool2d):
                n, rows, columns, c = x.shape
                x = x.reshape(n, rows // 2, 2, columns // 2, 2, c).mean((2, 4))
            elif isinstance(layer, nn.AdaptiveAvgPool2d):
                x = x.mean((1, 2), keepdims=True)
            elif isinstance(layer, nn.Flatten):
                x = x.reshape(len(x), -1)
            else:
                raise TypeError(f"no {type(layer).__name__} in jax here")
        return x

    return f


def nngeometry_empirical(model: nn.Module, x: Tensor) -> Tensor:
    """The Gram matrix in batches of 100."""
    from nngeometry import GramMatrix
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(x), batch_size=100)
    gram = GramMatrix(model, loader, function=model)
    return gram.to_torch().permute(1, 3, 0, 2)


def jacobian_empirical(model: nn.Module, x: Tensor) -> Tensor:
    """Jacobians of all samples by torch.func, and one product for each parameter: torch's tutorial."""
    from torch.func import functional_call, jacrev, vmap

    weights = {name: p.detach() for name, p in model.named_parameters()}

    def one(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(model, weights, (x[None],))[0]

    jacobians = [part.flatten(2) for part in vmap(jacrev(one), (None, 0))(weights, x).values()]
    n, c = jacobians[0].shape[:2]
    K = sum(part.flatten(0, 1) @ part.flatten(0, 1).T for part in jacobians)
    return K.view(n, c, n, c).transpose(1, 2)  # type: ignore[union-attr]


def _ready(call: Callable[[], Any]) -> Callable[[], np.ndarray]:
    """Compile it by a first call, and wait for what it gives."""
    call().block_until_ready()
    return lambda: np.asarray(call().block_until_ready())
