"""The empirical tangent kernel of a model, or of M models, with what training by it needs: outputs, and J^T c."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp

from lemmata.errors import InvalidInput
from lemmata.given import require_model, require_tensor
from lemmata.training.ensemble import check_members

CHUNK = 512  # samples pulled back at once


@dataclass(frozen=True)
class ModelKernels:
    """Kernels (n, n, C, C) and (m, n, C, C), outputs (n, C) and (m, C), or M of each; `transposed`: w_0 - J^T c."""

    train: Tensor
    f0: Tensor
    cross: Tensor | None
    f0_test: Tensor | None
    transposed: Callable[[Tensor], dict[str, Tensor]]


def model_kernels(model: nn.Module | Sequence[nn.Module], x: Tensor, x_test: Tensor | None) -> ModelKernels:
    """Compute them at the models' own parameters, in evaluation mode and float64; `model` is one, or M alike.

    Twice the time of float32, and worth it: what float32 leaves of small eigenvalues is slow directions of training.
    """
    from lemmata.kernels.empirical import empirical_ntk

    members = not isinstance(model, nn.Module)
    given = [require_model(one) for one in model] if isinstance(model, Sequence) else [require_model(model)]
    check_members(given)
    dtypes = {name: p.dtype for name, p in given[0].named_parameters()}
    models = [copy.deepcopy(one).eval().double() for one in given]
    x, x_test = _precise(x, "x"), None if x_test is None else _precise(x_test, "x_test")
    trained = [name for name, p in models[0].named_parameters() if p.requires_grad]
    with torch.enable_grad():  # also for a caller who records none
        train = [empirical_ntk(one, x, parameters=trained).values for one in models]
        cross = None
        if x_test is not None:
            cross = [empirical_ntk(one, x_test, x, parameters=trained).values for one in models]
    with torch.no_grad():
        outputs = [_outputs(one, x) for one in models]
        tested = None if x_test is None else [_outputs(one, x_test) for one in models]

    def stacked(parts: list[Tensor] | None) -> Tensor | None:
        return None if parts is None else torch.stack(parts) if members else parts[0]

    def transposed(c: Tensor) -> dict[str, Tensor]:
        moved = [_moved(one, x, part) for one, part in zip(models, c if members else c[None], strict=True)]
        together = {name: torch.stack([m[name] for m in moved]) if members else moved[0][name] for name in moved[0]}
        return {name: tensor.to(dtypes[name]) for name, tensor in together.items()}

    kernel, f0 = stacked(train), stacked(outputs)
    assert kernel is not None
    assert f0 is not None
    return ModelKernels(kernel, f0, stacked(cross), stacked(tested), transposed)


def _precise(x: Tensor, name: str) -> Tensor:
    """Samples in float64; integers, which a model looks up, as they are."""
    return x.double() if require_tensor(x, name).is_floating_point() else x


def _outputs(model: nn.Module, x: Tensor) -> Tensor:
    found = torch.cat([model(part) for part in x.split(CHUNK)])
    if found.ndim > 2:
        raise InvalidInput(f"the model gives {tuple(found.shape)}; it must give a vector of outputs a sample")
    return found.reshape(len(x), -1)


def _moved(model: nn.Module, x: Tensor, c: Tensor) -> dict[str, Tensor]:
    """w_0 - J^T c for c (n, C): trained parameters by name."""
    own = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    total = {name: p.clone() for name, p in own.items()}
    for part, weights in zip(x.split(CHUNK), c.split(CHUNK), strict=True):
        outputs, pull = vjp(lambda theta, part=part: functional_call(model, theta, (part,)), own)[:2]
        (pulled,) = pull(weights.to(outputs).reshape(outputs.shape))
        for name, tensor in pulled.items():
            total[name] -= tensor
    return total
