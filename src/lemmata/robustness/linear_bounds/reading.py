"""Holds the graph that was read of a model against the model itself, at random inputs.

A graph is what torch.fx saw of the model: not what the model draws, remembers from call to call, or does to a batch of
another size. So both are evaluated on batches of one and of several samples, of the range [0, 1], around 0 and at the
images where there are any, the model twice. The difference may be what rounding makes of it, which the graph's
own bounds at the point contain, and not more than half of the digits.

Cost: four forward passes of up to five samples of the model, as many of the graph, and the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.forward import propagate
from lemmata.robustness.linear_bounds.graph import Graph
from lemmata.robustness.linear_bounds.rounding import plain_products

IMAGES = 5  # that are looked at
BUDGET = 2**28


def require_same(graph: Graph, model: nn.Module, around: Tensor | None, device: torch.device | str) -> None:
    """Raise `InvalidInput` where `model`, in the graph's dtype, gives anything else than `graph`."""
    with torch.no_grad(), plain_products(graph.dtype):
        for x in _batches(graph, around, device):
            given, again = _given(model, x), _given(model, x)
            if not torch.equal(given, again):
                raise InvalidInput(
                    "the model gives something else each time for the same input: it draws random numbers or keeps "
                    "something between calls; bounds are for a function of the input"
                )
            _require_near(graph, x, given)


def _batches(graph: Graph, around: Tensor | None, device: torch.device | str) -> Iterator[Tensor]:
    """Inputs of several kinds and batches of several sizes."""
    generator = torch.Generator().manual_seed(0)
    shape, options = graph.nodes[0].shape, {"dtype": graph.dtype, "generator": generator}
    yield torch.rand(1, *shape, **options).to(device)
    yield torch.randn(3, *shape, **options).to(device)
    if around is not None:
        yield around[:IMAGES].to(device=device, dtype=graph.dtype)


def _given(model: nn.Module, x: Tensor) -> Tensor:
    try:
        given = model(x.clone())
    except Exception as failed:
        line = (str(failed).splitlines() or [type(failed).__name__])[0]
        raise InvalidInput(f"the model fails on a batch of {tuple(x.shape)} in {x.dtype}: {line}") from None
    if not isinstance(given, Tensor) or given.ndim != 2 or len(given) != len(x):
        what = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise InvalidInput(f"the model gives {what} for a batch of {len(x)}; it must give logits ({len(x)}, classes)")
    return given.detach().clone()


def _require_near(graph: Graph, x: Tensor, given: Tensor) -> None:
    """The model's rounding is of the size of the graph's, which the width of its bounds holds."""
    values = graph.values(x)
    bounds = propagate(graph, Ball(x, x.new_zeros(len(x)), "linf", None), "interval", BUDGET).boxes[len(values) - 1]
    if given.shape != values[-1].shape:
        raise InvalidInput(f"the model gives {tuple(given.shape)}, what was read of it {tuple(values[-1].shape)}")
    largest = max(float(value.abs().max()) for value in values)
    slack = (bounds.high - bounds.low).clamp(max=math.sqrt(torch.finfo(x.dtype).eps) * largest)
    difference = (given.double() - values[-1].double()).abs()
    if not bool((difference <= slack.double()).all()) and bool(values[-1].isfinite().all()):
        raise InvalidInput(
            f"the model gives logits that differ by up to {float(difference.max()):.3g} from those of what could be "
            f"read of it, for a batch of {len(x)} in {x.dtype}: a step changes a value in place, does not do what "
            "its kind does, draws random numbers, keeps something between calls or depends on the batch; write it "
            "with plain steps of torch.nn"
        )
