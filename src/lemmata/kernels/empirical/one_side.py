"""One block of samples: a forward pass, a backward pass for each output, and what every layer keeps of them.

Samples are taken through the passes in chunks whose patches and cotangents stay in the cache.
"""

import torch
from torch import Tensor

from lemmata.curvature.ghost_norm import Use
from lemmata.curvature.signals import Signals
from lemmata.kernels.empirical.collected import CollectedGradients, CollectedPairs, CollectedSums
from lemmata.kernels.empirical.contractions import Gradients, Kept
from lemmata.kernels.empirical.layers import GRADIENTS, Layer, Size, Way, layers_of
from lemmata.kernels.empirical.sample_wise import SampleWise
from lemmata.kernels.empirical.unrecognised import jacobian_rows

Ways = dict[tuple[str, ...], Way]
Collected = CollectedGradients | CollectedPairs | CollectedSums
NARROW = 256  # gradients of fewer parameters are put together, so that their products are of matrices worth the name


def side(f: SampleWise, x: Tensor, *, ways: Ways, size: Size, chunk: int) -> dict[str, Kept]:
    """What the layers keep of the samples x, by the names of their parameters."""
    passes = _Passes(f, ways, size, len(x))
    rows = [passes.take(x[start : start + chunk], start) for start in range(0, len(x), chunk)]
    found = {", ".join(names): own.kept(size.R) for names, own in passes.collected.items()}
    for name in rows[0]:
        found[name] = Gradients([torch.cat([each[name] for each in rows]).reshape(len(x) * size.R, -1)], size.R)
    return _narrow_ones_together(found, size.R)


class _Passes:
    """The passes of n samples, chunk by chunk, and what the layers collect from them."""

    def __init__(self, f: SampleWise, ways: Ways, size: Size, n: int):
        self.f, self.ways, self.size, self.n = f, ways, size, n
        self.collected: dict[tuple[str, ...], Collected] = {}

    def take(self, x: Tensor, start: int) -> dict[str, Tensor]:
        """Let the layers collect from the samples x, which begin at `start`; the Jacobians of what is unrecognised."""
        with torch.enable_grad():
            z = self.f.outputs(x)
            uses, rest = self.f.read(z)
        of_use: dict[Use, Collected] = {}
        for layer in layers_of(uses):
            own = self._collector(layer)
            own.begin(layer, start)
            of_use |= dict.fromkeys(layer.weights, own)
        columns, signals = _columns(z, self.size), Signals(z, uses)
        with torch.no_grad(), signals:
            for j, column in enumerate(columns):

                def receive(use: Use, d: Tensor, j: int = j) -> None:
                    if use in of_use:
                        of_use[use].receive(use, d, j)

                signals.pull(column, receive)
            for each in self.collected.values():
                each.end()
            return jacobian_rows(self.f, x, rest, columns) if rest else {}

    def _collector(self, layer: Layer) -> Collected:
        if layer.names not in self.collected:
            way = self.ways[layer.names].name
            if not layer.outer:
                own: Collected = CollectedSums(layer, self.size, self.n)
            elif way == GRADIENTS:
                own = CollectedGradients(layer, self.size, self.n)
            else:
                own = CollectedPairs(layer, self.size, self.n, way)
            self.collected[layer.names] = own
        return self.collected[layer.names]


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
