"""Many networks in the parameterisation of Jacot et al. (2018) as stacked tensors: outputs, tangent kernels, descent.

    h_1 = W_1 x / sqrt(d) + beta b_1,    h_l = W_l relu(h_{l-1}) / sqrt(width) + beta b_l,    f = s h_L,

all weights and biases standard normal. With s = 1 this is the paper's. In the other one s = sqrt(64 / width) and the
step size is divided by s^2, so that the output layer is 1 / width instead of 1 / sqrt(width) and units move by an
amount that does not depend on the width: the networks learn features (Chizat, Oyallon, Bach 2019; Yang, Hu 2021).
At width 64 the two are one. The tangent kernel is given in units of the step size, that is, divided by s^2:

    Theta(x, z) = sum_l (<a_{l-1}(x), a_{l-1}(z)> / width + beta^2) <g_l(x), g_l(z)>,

with the activations a that a layer sees and the gradients g of the output by its pre-activations.

Cost: a step is 6 n width^2 (L - 2) flops a network; a kernel 4 n^2 width L more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

BETA = 0.1
REFERENCE_WIDTH = 64


@dataclass
class Networks:
    """`weights[l]` (M, out, in) and `biases[l]` (M, out) of M networks, and the factor `scale` of their outputs."""

    weights: list[Tensor]
    biases: list[Tensor]
    scale: float = 1.0

    def outputs(self, x: Tensor) -> Tensor:
        """The outputs (M, n) of samples x (n, d)."""
        return self.scale * self._passes(x)[0][-1][..., 0]

    def kernels(self, x: Tensor) -> Tensor:
        """The tangent kernels (M, n, n) of the outputs, divided by the square of the scale."""
        with torch.enable_grad():
            pre, seen = self._passes(x, track=True)
            gradients = torch.autograd.grad(pre[-1].sum(), pre)
        total = torch.zeros(len(pre[0]), len(x), len(x), dtype=x.dtype, device=x.device)
        for a, g in zip(seen, gradients, strict=True):
            total += (a.detach() @ a.detach().mT / a.shape[-1] + BETA**2) * (g @ g.mT)
        return total

    @torch.no_grad()
    def descend(self, x: Tensor, target: Tensor, step_size: float) -> Tensor:
        """One step of descent on the mean of (f - target)^2 / 2, in place; gives the outputs (M, n) before it.

        The chain rule written out: each gradient goes straight into its weights, which take most of the memory.
        """
        pre, seen = self._passes(x)
        outputs = self.scale * pre[-1][..., 0]
        slope = (self.scale / len(x)) * (outputs - target)[..., None]
        eta = step_size / self.scale**2
        for layer in range(len(self.weights) - 1, -1, -1):
            weight, a = self.weights[layer], seen[layer]
            factor, own = a.shape[-1] ** -0.5, slope
            if layer:
                slope = torch.bmm(own, weight).mul_(factor).mul_(pre[layer - 1] > 0)
            weight.baddbmm_(own.mT, a, alpha=-eta * factor)
            self.biases[layer].sub_(own.sum(1), alpha=eta * BETA)
        return outputs

    def _passes(self, x: Tensor, *, track: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """Pre-activations (M, n, out) of every layer and what each layer sees (M, n, in)."""
        a = x.expand(len(self.weights[0]), *x.shape)
        pre, seen = [], []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer:
                a = torch.relu(pre[-1])
            h = torch.baddbmm(BETA * bias[:, None], a, weight.mT, alpha=a.shape[-1] ** -0.5)
            pre.append(h.requires_grad_() if track and not h.requires_grad else h)
            seen.append(a)
        return pre, seen


def drawn(
    seeds: Sequence[int], inputs: int, widths: Sequence[int], *, feature_learning: bool = False, purpose: int = 0
) -> Networks:
    """Untrained float32 networks inputs -> widths -> 1, each of its own seed."""
    sizes = [inputs, *widths, 1]
    members = []
    for seed in seeds:
        draw = torch.Generator().manual_seed(1000 * seed + purpose)
        shapes = [*((out, into) for into, out in pairwise(sizes)), *((out,) for out in sizes[1:])]
        members.append([torch.randn(shape, generator=draw) for shape in shapes])
    stacked = [torch.stack(parts) for parts in zip(*members, strict=True)]
    layers = len(sizes) - 1
    scale = (REFERENCE_WIDTH / widths[-1]) ** 0.5 if feature_learning else 1.0
    return Networks(stacked[:layers], stacked[layers:], scale)
