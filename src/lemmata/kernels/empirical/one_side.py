"""One block of samples: a forward pass, a backward pass for each output, and what every layer keeps of them.

Samples are taken through the passes in chunks whose patches and cotangents stay in the cache.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from lemmata.curvature.ghost_norm import Use
from lemmata.curvature.signals import Signals
from lemmata.kernels.empirical.contractions import (
    GramOnCotangents,
    Gradients,
    Kept,
    PositionGrams,
    ProductOfGrams,
)
from lemmata.kernels.empirical.layers import APPLIED, GRADIENTS, POSITIONS, PRODUCT, Layer, Size, Way, layers_of
from lemmata.kernels.empirical.sample_wise import SampleWise
from lemmata.kernels.empirical.unrecognised import jacobian_rows

Side = dict[tuple[str, ...], Kept]
Ways = dict[tuple[str, ...], Way]


def side(f: SampleWise, x: Tensor, ways: Ways, size: Size, chunk: int) -> Side:
    """What the layers keep of the samples x, by their parameters."""
    parts: dict[tuple[str, ...], list[tuple[Tensor, ...]]] = defaultdict(list)
    for part in x.split(chunk):
        for names, tensors in _chunk(f, part, ways, size).items():
            parts[names].append(tensors)
    return {names: _kept(ways[names].name, _joined(each), size.R) for names, each in parts.items()}


def _joined(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Put the chunks' tensors (n, ...) together along the samples."""
    return parts[0] if len(parts) == 1 else tuple(torch.cat(each) for each in zip(*parts, strict=True))


def _kept(way: str, tensors: tuple[Tensor, ...], R: int) -> Kept:
    """Tensors (n, g, ...) as the contractions want them."""
    if way == PRODUCT:  # a (n, g, k, 1), d (n, g, R or passes, c, 1)
        a, d = tensors
        return ProductOfGrams(a[..., 0].transpose(0, 1), d.transpose(0, 1).reshape(d.shape[1], len(d) * R, -1), R)
    if way == POSITIONS:
        a, d = tensors
        return PositionGrams(a.permute(1, 0, 3, 2).contiguous(), d.flatten(2, 3).permute(1, 0, 3, 2).contiguous())
    if way == APPLIED:
        a, d = tensors
        first = d.permute(1, 0, 2, 4, 3).flatten(3)
        return GramOnCotangents(a.permute(1, 0, 3, 2).contiguous(), first, d.permute(1, 0, 4, 3, 2).flatten(3), R)
    (G,) = tensors
    return Gradients(G.reshape(len(G) * R, -1), R)


def _chunk(f: SampleWise, x: Tensor, ways: Ways, size: Size) -> dict:
    """Tensors (n, ...) of every layer."""
    with torch.enable_grad():
        z = f.outputs(x)
        uses, rest = f.read(z)
    layers = layers_of(uses)
    signals = Signals(z, uses)
    pulled: dict[Use, list[Tensor]] = defaultdict(list)
    wanted = {use for layer in layers for use in layer.weights}

    def receive(use: Use, d: Tensor) -> None:
        if use in wanted:
            pulled[use].append(d)

    with torch.no_grad(), signals:
        for column in _columns(z, size):
            signals.pull(column, receive)
        found = {layer.names: _tensors(layer, pulled, ways[layer.names].name, size) for layer in layers}
        if rest:
            found |= {(name,): (G,) for name, G in jacobian_rows(f, x, rest, list(_columns(z, size))).items()}
    return found


def _columns(z: Tensor, size: Size) -> list[Tensor]:
    """The cotangents of the outputs z (n, C), one a pass: the standard basis, or (1, ..., 1) / sqrt(C) for the sum."""
    C = z.shape[1]
    if size.passes < C:
        return [torch.full_like(z, C**-0.5)]
    return list(torch.eye(C, dtype=z.dtype, device=z.device)[:, None].expand(C, *z.shape))


def _tensors(layer: Layer, pulled: dict[Use, list[Tensor]], way: str, size: Size) -> tuple[Tensor, ...]:
    """Inputs (n, g, k, T) and cotangents (n, g, passes, c, T), or gradients (n, passes, p)."""
    n = layer.weights[0].n
    if not layer.outer:
        G = sum(torch.stack([use.gradients(d) for d in pulled[use]], 1) for use in layer.weights)
        assert isinstance(G, Tensor)
        return (G.flatten(2),)
    a, d = [], []
    for use in layer.outer:
        patches = use.patches.unflatten(0, (n, -1))
        patches = patches if use.factor == 1 else use.factor * patches
        if layer.shift is not None:
            patches = torch.cat([patches, patches.new_full((n, use.groups, 1, patches.shape[3]), layer.shift)], 2)
        a.append(patches)
        d.append(torch.stack([use.outer_signal(each).unflatten(0, (n, -1)) for each in pulled[use]], 2))
    inputs, signals = (each[0] if len(each) == 1 else torch.cat(each, -1) for each in (a, d))
    if way != GRADIENTS:
        return inputs, signals
    g, k, c = inputs.shape[1], inputs.shape[2], signals.shape[3]
    G = torch.bmm(signals.flatten(2, 3).flatten(0, 1), inputs.mT.flatten(0, 1))
    return (G.view(n, g, size.passes, c * k).transpose(1, 2).flatten(2),)
