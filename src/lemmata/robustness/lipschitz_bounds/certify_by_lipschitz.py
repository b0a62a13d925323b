"""Certificates from a Lipschitz constant: logits cannot change faster than it allows.

    f_y(x + d) - f_j(x + d) >= f_y(x) - f_j(x) - L_yj |d|      so that      R = min_j (f_y(x) - f_j(x)) / L_yj

With L_yj = sqrt(2) L this is Tsuzuku, Sato and Sugiyama (2018), proposition 1; constants of pairs are at most that.
Cost: one forward pass an image, after the constant of the network. Where it fails: as the constant does, with depth.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.robustness.certificates.certificates import ABSTAIN, Certificates
from lemmata.robustness.labels import require_labels
from lemmata.robustness.linear_bounds.bounds import BUDGET, graph_margins, prepared
from lemmata.robustness.linear_bounds.rounding import plain_products
from lemmata.robustness.lipschitz_bounds.lipschitz import LipschitzBound, lipschitz


def certify_by_lipschitz(
    model: nn.Module, x: Tensor, y: Tensor | None = None, *, bound: LipschitzBound | None = None
) -> Certificates:
    """Certify images x (N, ...) in l2: no input within the radius, whatever its range, changes the class.

    `y` (N,) are the true classes, if known; `bound` what `lipschitz` gave for this model, found anew where it is left
    out. Margins are bounded with their rounding, in float64. An image with two logits that rounding cannot
    tell apart is abstained. Nothing is random; ``alpha`` is 0. Raises `InvalidInput` as `lipschitz`, for NaN,
    images of whole numbers, labels that do not fit, a model of one logit, and a `bound` of another model.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> model.weight.data = torch.tensor([[1.0], [-1.0]])
    >>> certify_by_lipschitz(model, torch.tensor([[0.5]])).radius
    tensor([0.5000], dtype=torch.float64)
    """
    start = time.perf_counter()
    if bound is not None and not isinstance(bound, LipschitzBound):
        raise InvalidInput(f"bound: a {type(bound).__name__}; give what lipschitz(model, input_shape) gives, or None")
    dtype = torch.float64
    graph, point = prepared(model, x, 0.0, norm="l2", clip=None, dtype=dtype, method="interval")
    label = None if y is None else require_labels(y, len(x), graph.outputs)
    bound = bound or lipschitz(model, x.shape[1:])
    if bound.digest != graph.digest:
        raise InvalidInput(
            "bound is of another model, of other weights or of inputs of another shape; give what "
            f"lipschitz(model, {tuple(x.shape[1:])}) gives for this one, or leave it out"
        )
    with torch.inference_mode(False), torch.no_grad(), plain_products(dtype):
        logits = graph(point.x)
        if not logits.isfinite().all():
            raise InvalidInput("the model gives NaN or infinite logits; check its weights and the images")
        prediction = logits.argmax(1)
        margins = graph_margins(graph, point, prediction, "interval", BUDGET).cpu()
    own = prediction.cpu()
    ratio = margins / bound.pairs[own].clamp(min=torch.finfo(torch.float64).tiny)
    radius = ratio.scatter(1, own[:, None], torch.inf).amin(1) * (1 - 1e-14)
    sure = radius > 0
    seconds = torch.full((len(x),), (time.perf_counter() - start) / len(x), dtype=torch.float64)
    return Certificates(
        torch.where(sure, own, ABSTAIN), torch.where(sure, radius, 0.0), label=label,
        seconds=seconds, norm="l2", alpha=0.0, name="classifier by its Lipschitz constant",
    )  # fmt: skip
