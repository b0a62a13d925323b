"""The Fisher-Rao norm: the length of the parameters in the metric of the Fisher information.

    |theta|_fr^2 = theta^T I theta,   I = E grad l grad l^T        =  E ( <dl/df, J theta> )^2,    J = df / dtheta

J theta is one derivative in a direction (forward mode), for any network. Of one without biases whose activations are
piecewise linear and pass through 0, f is homogeneous in the weights of its L layers, so that J theta = L f, and
|theta|_fr = L ( E <dl/df, f>^2 )^(1/2), the closed form of Liang et al. (2019), theorem 3.1. The loss is cross-entropy,
or the logistic one for one output; l is taken at the labels of the data, or in expectation at those of the model.

A measure: with rescaled layers it stays, and it shrinks as the loss does. Cost: a forward pass with a derivative, some
two passes, over the samples.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from lemmata.bounds.bound import Measure
from lemmata.bounds.sample import CHUNK, Data, in_evaluation, outputs, read_sample
from lemmata.errors import InvalidInput, UnknownName

LABELS = ("data", "model")


def fisher_rao_measure(model: nn.Module, data: Data, *, labels: str = "data") -> Measure:
    """The Fisher-Rao norm of `model`, in evaluation mode, over the samples of `data`.

    `labels` says whose the loss is taken at: ``"data"`` (Liang et al.) or ``"model"`` in expectation, the true Fisher
    information. `terms` has the mean of <dl/df, f>^2, from which the closed form follows. In the model's own precision,
    sums in float64. Nothing is random. Raises `InvalidInput` as `read_sample` does, and for a model that torch cannot
    differentiate forwards.

    >>> from lemmata import nets
    >>> model = nets.mlp(3, [4], 2, bias=False, seed=0)
    >>> found = fisher_rao_measure(model, (torch.ones(5, 3), torch.tensor([0, 1, 0, 1, 1])))
    >>> round(found.value / (2 * found.terms["mean of <dl/df, f>^2"] ** 0.5), 5)                            # 2 layers
    1.0
    """
    if labels not in LABELS:
        raise UnknownName("kind of labels", labels, LABELS)
    sample, quiet = read_sample(data), in_evaluation(model)
    outputs(quiet, sample)
    total, plain = 0.0, 0.0
    for x, y in zip(sample.x.split(CHUNK), sample.y.split(CHUNK), strict=True):
        f, moved = _along(quiet, x)
        total += _squares(f, moved, y.to(f.device), labels)
        plain += _squares(f, f, y.to(f.device), labels)
    return Measure(
        name="Fisher-Rao norm",
        value=math.sqrt(total / len(sample)),
        source="Liang, Poggio, Rakhlin, Stokes (2019), definition 2 and theorem 3.1",
        terms={"mean of <dl/df, J theta>^2": total / len(sample), "mean of <dl/df, f>^2": plain / len(sample)},
    )


def _along(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (n, C), and their derivative along the parameters themselves."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def outputs_at(at: dict[str, Tensor]) -> Any:
        return functional_call(model, at, (x,))

    try:
        f, moved = jvp(outputs_at, (parameters,), (parameters,))[:2]
    except RuntimeError as failed:  # the model itself ran, in `outputs`
        raise InvalidInput(f"torch cannot differentiate the model forwards: {failed}") from failed
    return f.reshape(len(x), -1).double(), moved.reshape(len(x), -1).double()


def _squares(f: Tensor, moved: Tensor, y: Tensor, labels: str) -> float:
    """The sum over samples of <dl/df, moved>^2, at labels y or in expectation."""
    if f.shape[1] == 1:
        f, moved = (torch.cat([torch.zeros_like(z), z], 1) for z in (f, moved))
    probability = f.softmax(1)
    each = ((probability * moved).sum(1, keepdim=True) - moved) ** 2  # at every label
    at = each.gather(1, y[:, None])[:, 0] if labels == "data" else (probability * each).sum(1)
    return float(at.sum())
