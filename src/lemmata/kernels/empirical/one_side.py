"""One block of samples: a forward pass, a backward pass for each output, and what every layer keeps of them.

Samples are taken through the passes in chunks whose patches and cotangents stay in the cache.
"""

import torch
from torch import Tensor

from lemmata.curvature.ghost_norm import Use
from lemmata.curvature.signals import Signals
from lemmata.kernels.empirical.collected import CollectedGradients, CollectedPairs, CollectedSums
from lemmata.kernels.empirical.contractions import Gradients, Kept
from lemmata.kernels.empirical.layers import GRADIENTS, JACOBIAN, Layer, Size, Way, layers_of
from lemmata.kernels.empirical.sample_wise import SampleWise
from lemmata.kernels.empirical.unrecognised import jacobian_rows

Ways = dict[tuple[str, ...], Way]
Collected = CollectedGradients | CollectedPairs | CollectedSums
NARROW = 256  # gradients of fewer parameters are put together, so that their products are of matrices worth the name


def side(f: SampleWise, x: Tensor, *, ways: Ways, size: Size, chunk: int) -> dict[str, Kept]:
    """What the layers keep of the samples x, by the names of their parameters."""
    collected: dict[tuple[str, ...], Collected] = {}
    rows: list[dict[str, Tensor]] = []
    for start in range(0, len(x), chunk):
        rows.append(_pass(f, x[start : start + chunk], ways, size, collected, start, len(x)))
    found = {", ".join(names): each for names, own in collected.items() for each in [own.kept(size.R)]}
    for name in rows[0]:
        found[name] = Gradients([torch.cat([each[name] for each in rows]).reshape(len(x) * size.R, -1)], size.R)
    return _narrow_ones_together(found, size.R)


def _pass(
    f: SampleWise, x: Tensor, ways: Ways, size: Size, collected: dict[tuple[str, ...], Collected], start: int, n: int
) -> dict[str, Tensor]:
    """Take samples through the passes; the layers collect, and Jacobians of what is not recognised are answered."""
    with torch.enable_grad():
        z = f.outputs(x)
        uses, rest = f.read(z)
    layers = layers_of(uses)
    of_use: dict[Use, Collected] = {}
    for layer in layers:
        if layer.names not in collected:
            collected[layer.names] = _collected(layer, ways[layer.names].name, size, n)
        collected[layer.names].begin(layer, start)
        of_use |= dict.fromkeys(layer.weights, collected[layer.names])
    columns = _columns(z, size)
    signals = Signals(z, uses)
    with torch.no_grad(), signals:
        for j, column in enumerate(columns):

            def receive(use: Use, d: Tensor, j: int = j) -> None:
                if use in of_use:
                    of_use[use].receive(use, d, j)

            signals.pull(column, receive)
        for each in collected.values():
            each.end()
        names = [name for name in rest if ways[name,].name == JACOBIAN]
        return jacobian_rows(f, x, names, columns) if names else {}


def _collected(layer: Layer, way: str, size: Size, n: int) -> Collected:
    if not layer.outer:
        return CollectedSums(layer, size, n)
    return CollectedGradients(layer, size, n) if way == GRADIENTS else CollectedPairs(layer, size, n, way)


def _columns(z: Tensor, size: Size) -> list[Tensor]:
    """The cotangents of the outputs z (n, C), one a pass: the standard basis, or (1, ..., 1) / sqrt(C) for the sum."""
    C = z.shape[1]
    if size.passes < C:
        return [torch.full_like(z, C**-0.5)]
    return list(torch.eye(C, dtype=z.dtype, device=z.device)[:, None].expand(C, *z.shape))


def _narrow_ones_together(found: dict[str, Kept], R: int) -> dict[str, Kept]:
    rows = [G for kept in found.values() if isinstance(kept, Gradients) for G in kept.parts]
    narrow, wide = ([G for G in rows if (G.shape[1] < NARROW) == small] for small in (True, False))
    rest = {name: kept for name, kept in found.items() if not isinstance(kept, Gradients)}
    return rest | {"gradients": Gradients([*wide, *([torch.cat(narrow, 1)] if narrow else [])], R)} if rows else rest
