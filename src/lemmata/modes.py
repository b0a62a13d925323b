"""Evaluation and training mode: which a model is meant to be in, and a copy of it there that nothing changes."""

from __future__ import annotations

import copy
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from lemmata.errors import InvalidInput, UnknownName

Mode = Literal["eval", "train"]


def mode_of(model: nn.Module, mode: Mode | None) -> Mode:
    """The mode asked for; where none is, that of evaluation if the model leaves no doubt.

    >>> mode_of(nn.Linear(1, 1), None)
    'eval'
    """
    if mode is not None and (not isinstance(mode, str) or mode not in ("eval", "train")):
        raise UnknownName("mode", str(mode), ("eval", "train"))
    random = [name for name, module in model.named_modules() if _draws(module)]
    normalised = [name for name, module in model.named_modules() if _normalises_by_batch(module)]
    if mode is None and model.training and random + normalised:
        raise InvalidInput(
            f"the model is in training mode and {(random + normalised)[0]!r} differs there; say mode='eval' or "
            "'train', or call model.eval() before"
        )
    if mode == "train" and random:
        raise InvalidInput(f"{random[0]!r} draws at random in training mode; take mode='eval', or p = 0 of dropout")
    return mode or "eval"


def _draws(module: nn.Module) -> bool:
    return isinstance(module, nn.RReLU) or (isinstance(module, _DropoutNd) and module.p > 0)


def _normalises_by_batch(module: nn.Module) -> bool:
    return isinstance(module, _NormBase) and module.track_running_stats


def copied_in(model: nn.Module, mode: Mode) -> nn.Module:
    """A copy in the mode, whose parameters are constants and whose running statistics are never updated."""
    if not any(True for _ in model.parameters()):
        raise InvalidInput("the model has no parameters, and the loss is no function of any; give one that is trained")
    try:
        copied = copy.deepcopy(model).train(mode == "train").requires_grad_(False)
    except Exception as failed:
        raise InvalidInput(
            f"the model cannot be copied: {failed}; give a plain nn.Module, a lazy one after its first batch, without "
            "tensors kept from an earlier pass"
        ) from failed
    if mode == "train":
        for module in copied.modules():
            if isinstance(module, _NormBase) and module.track_running_stats:
                module.track_running_stats = False
    return copied
