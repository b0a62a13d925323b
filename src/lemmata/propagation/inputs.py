"""What a Jacobian is taken of: a copy of the model in one mode, and samples without targets, read and checked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_model, require_tensor
from lemmata.modes import Mode, copied_in, mode_of
from lemmata.objective import Objective
from lemmata.propagation.passage import owners, weight_layers


def read_inputs(model: nn.Module | Objective, x: Tensor | None, mode: Mode | None) -> tuple[nn.Module, Tensor]:
    """The model to be differentiated, whose parameters record no gradients, and the samples (n, ...).

    Raises `InvalidInput` for samples that are none, empty, complex or not finite, and for batch statistics, through
    which a sample's outputs would depend on the others.
    """
    if isinstance(model, Objective):
        if x is not None:
            raise InvalidInput("an Objective has its data; give the objective alone, or a model and x")
        model, x, mode = model.model, torch.cat([x for x, _ in model.batches]), model.mode
    if x is None:
        raise InvalidInput("the samples are missing; give x (n, ...)")
    x = require_tensor(x, "samples x").detach()
    if not x.ndim or not len(x):
        raise InvalidInput(f"samples x {tuple(x.shape)}; give at least one, along the first axis")
    if x.is_quantized or (x.is_floating_point() and x.element_size() < 2):
        raise InvalidInput(f"the samples are in {x.dtype}, in which nothing is differentiated; give float32 or float64")
    if x.is_complex() or not bool(x.isfinite().all()):
        raise InvalidInput("the samples are complex, or hold NaN or infinity; give real numbers")
    chosen = mode_of(require_layers(model), mode)
    if mixing := mixing_samples(model, chosen):
        raise InvalidInput(
            f"{mixing[0]!r} has the statistics of the batch, by which each sample's outputs depend on all others; "
            "take mode='eval', with running statistics"
        )
    return copied_in(model, chosen), x


def require_layers(model: object) -> nn.Module:
    """Give a module back that has its layers still."""
    own = require_model(model)
    if isinstance(own, torch.jit.ScriptModule) and not hasattr(own, "training"):
        raise InvalidInput("the model is frozen by torch.jit and has no layers left; give the module it was made of")
    return own


def mixing_samples(model: nn.Module, mode: Mode) -> list[str]:
    """The batch normalisations that take the statistics of the batch; in evaluation those that have no others.

    >>> mixing_samples(nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False)), "eval")
    ['1']
    """
    normalising = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return [name for name, module in normalising if mode == "train" or module.running_mean is None]


def chosen_layers(
    model: nn.Module | Objective, copied: nn.Module, layers: Sequence[str] | None
) -> dict[str, nn.Module]:
    """The weight layers asked for; by default all, or those that own a parameter of an objective.

    >>> list(chosen_layers(nn.Linear(1, 1), nn.Linear(1, 1), None))
    ['']
    """
    if layers is not None or not isinstance(model, Objective):
        return weight_layers(copied, layers)
    return owners(copied, model.names)
