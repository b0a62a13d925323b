"""Which way a product is done: by what the set-up costs, how many products are wanted, and by measuring two of each.

Differentiating twice by autograd is ready after two gradients' time. Tracing costs more, some 6 gradients of a
ResNet-20 and 50 of a small dense network where the gradient itself takes milliseconds, and saves up to half of each
product on a convolutional network and a tenth on a dense one. So autograd's own time decides: where all the products
wanted take it less than a second or so, nothing else is tried; else the traced derivative is built, its results are
compared with autograd's, two products of each and of each layout of memory are timed, and the fastest is taken.
"""

import time
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from lemmata.curvature.linear.graph import Untraceable
from lemmata.curvature.linear.products import Products, Way, bytes_per_sample, flat
from lemmata.curvature.linear.target import Linear, Output, Target
from lemmata.curvature.linear.ways import DoubleBackward, Layout, Linearize, tolerance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective

WAYS = ("auto", "double backward", "linearize")
USUAL = 30  # products of a Lanczos iteration
LONG = 0.2  # seconds of a product that is not timed twice
SHORT = 1.0  # seconds of all products together under which no set-up is worth its while


def fitted(objective: Objective, memory: int) -> Objective:
    """The objective in batches small enough that what one needs fits in `memory` bytes.

    Raises `InvalidInput` where one sample does not fit, or a batch in training mode, which cannot be split.
    """
    each = bytes_per_sample(objective)
    largest = max(len(y) for _, y in objective.batches)
    if each * largest <= memory:
        return objective
    if objective.mode == "train":
        raise InvalidInput(
            f"memory = {memory} bytes; the largest batch ({largest} samples, not to be split in training mode) needs "
            f"about {each * largest}: allow more, or give smaller batches"
        )
    if each > memory:
        raise InvalidInput(f"memory = {memory} bytes; one sample needs about {each}: allow more")
    return objective.rebatched(memory // each)


def choose(target: Target, *, products: int | None, memory: int, way: str) -> Products:
    """Set the products of a target up."""
    if products is not None and products < 1:
        raise InvalidInput(f"products = {products}: say how many are wanted, at least 1, or None")
    if way not in WAYS:
        raise UnknownName("way", way, WAYS)
    wanted = USUAL if products is None else products
    count = len(target.objective.batches)
    if way == "linearize":
        try:
            return _fastest(target, {}, f"asked for, with {wanted} products", memory)
        except Untraceable as error:
            raise InvalidInput(f"the loss cannot be traced ({error}); take way='double backward'") from error
    autograd = DoubleBackward(target)
    first = autograd.build(0)
    why, seconds = "asked for", {}
    if way == "auto":
        tangents = _example(target)
        seconds, expected = _timed("double backward", first, tangents)
        total = wanted * count * min(seconds.values())
        if total >= SHORT:
            try:
                why = f"{wanted} products wanted"
                return _fastest(target, seconds, why, memory, first=first, tangents=tangents, expected=expected)
            except Untraceable as error:
                why = f"not traced: {error}"
        else:
            why = f"{wanted} products take {total:.2g} s, less than a set-up"
    described = Way("double backward", "contiguous", why, count, seconds=seconds)
    return Products(autograd, described, first=first, memory=memory)


def _fastest(
    target: Target,
    seconds: dict[str, float],
    why: str,
    memory: int,
    *,
    first: Linear | None = None,
    tangents: Sequence[Tensor] | None = None,
    expected: Tensor | None = None,
) -> Products:
    """The traced derivative in the better layout, or autograd where that is faster still. Raises `Untraceable`."""
    tangents = tangents or _example(target)
    maker, count = Linearize(target), len(target.objective.batches)
    makers: dict[str, Linearize | DoubleBackward] = {"double backward": DoubleBackward(target)}
    built = {"double backward": first}
    moving, still = target.values(0)
    images = any(value.ndim == 4 and value.is_floating_point() for value in (*moving, *still))
    layouts = ("contiguous", "channels last") if images else ("contiguous",)
    for layout in layouts:
        name = f"linearize, {layout}"
        makers[name] = maker.in_layout(cast(Layout, layout))
        linear = makers[name].build(0)
        spent, result = _timed(name, linear, tangents)
        if expected is not None and not float((result - expected).norm()) <= 100 * tolerance(result.dtype) * float(
            expected.norm()
        ):
            raise Untraceable("its products differ from those of differentiating twice")
        seconds = {**seconds, **spent}
        if spent[name] == min(seconds.values()):
            built = {name: linear}
    best = min(seconds, key=lambda name: seconds[name])
    name, _, layout = best.partition(", ")
    described = Way(name, layout or "contiguous", f"{why}; the fastest of {len(seconds)}", count, seconds=seconds)
    return Products(makers[best], described, first=built.get(best), memory=memory)


def _example(target: Target) -> list[Tensor]:
    """Tangents to try a map with; only the time and the agreement of ways are read off them."""
    generator = torch.Generator().manual_seed(0)
    moving, _ = target.values(0)
    return [torch.randn(v.shape, generator=generator, dtype=torch.float64).to(v) for v in moving]


def _timed(name: str, linear: Linear, tangents: Sequence[Tensor]) -> tuple[dict[str, float], Tensor]:
    """The time of the faster of two products, or of one that takes long, and the result."""
    spent, result = [], tangents[0]
    while len(spent) < 2 and sum(spent) < LONG:
        start = time.perf_counter()
        outputs = linear.apply(tangents)
        sizes = [_entries(output) for output in outputs]
        result = flat(outputs, sizes, tangents[0])
        if result.is_cuda:
            torch.cuda.synchronize(result.device)
        spent.append(time.perf_counter() - start)
    return {name: min(spent)}, result


def _entries(output: Output) -> int:
    if isinstance(output, tuple):
        return output[0].shape[0] * output[1].shape[1]
    return 0 if output is None else output.numel()
