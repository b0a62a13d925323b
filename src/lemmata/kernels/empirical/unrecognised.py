"""Rows of the Jacobian for parameters whose use in the computation is not recognised.

One backward pass for each output and sample, mapped over samples where the model allows it and one after another
where it does not. What mapping gives is compared with the plain gradients of the first and the last sample, since some
operations have a rule for mapping that is wrong (PReLU's weight, in torch 2.13).
Cost: a gradient a row; memory: a row of these parameters for each output and sample.
"""

import warnings
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lemmata.kernels.empirical.sample_wise import SampleWise
from lemmata.objective import Tree


def jacobian_rows(f: SampleWise, x: Tensor, names: Sequence[str], columns: Sequence[Tensor]) -> Tree:
    """Pull columns (n, C) back through the model: (n, columns, size of the parameter) by name."""
    U = torch.stack(list(columns), 1)
    ends = sorted({0, len(x) - 1})
    plain = _singly(f, x[ends], names, U[ends])
    if len(x) == len(ends):
        return plain
    try:
        with warnings.catch_warnings(), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            warnings.filterwarnings("ignore", message="There is a performance drop")  # no rule for mapping: a loop
            mapped = _mapped(f, x, names, U)
    except RuntimeError:  # an operation that cannot be mapped
        return _singly(f, x, names, U)
    right = all(_close(mapped[name][ends], plain[name]) for name in names)
    return mapped if right else _singly(f, x, names, U)


def _close(found: Tensor, wanted: Tensor) -> bool:
    """Equal to a thousand times rounding, or rather more in low precision."""
    tolerance = max(1e-3 * float(wanted.abs().max()), 1e-30) * (1 if wanted.dtype != torch.float64 else 1e-6)
    return found.shape == wanted.shape and bool((found - wanted).abs().max() <= tolerance)


def _mapped(f: SampleWise, x: Tensor, names: Sequence[str], U: Tensor) -> Tree:
    others = {name: p.detach() for name, p in f.theta.items() if name not in names}
    chosen = {name: f.theta[name].detach() for name in names}

    def rows(x: Tensor, columns: Tensor) -> Tree:
        pull = vjp(partial(_single, f, others, x), chosen)[1]
        return vmap(lambda u: pull(u)[0])(columns)

    return {name: G.detach().reshape(*U.shape[:2], -1) for name, G in vmap(rows)(x, U).items()}


def _single(f: SampleWise, others: Tree, x: Tensor, chosen: Tree) -> Tensor:
    return f.objective.outputs({**others, **chosen}, x[None]).flatten()


def _singly(f: SampleWise, x: Tensor, names: Sequence[str], U: Tensor) -> Tree:
    leaves = [f.theta[name] for name in names]
    rows = []
    for sample, columns in zip(x, U, strict=True):
        with torch.enable_grad():
            z = f.outputs(sample[None])[0]
        pulls = [torch.autograd.grad(z, leaves, u, retain_graph=True, materialize_grads=True) for u in columns]
        rows.append([torch.stack(each) for each in zip(*pulls, strict=True)])
    stacked = zip(names, zip(*rows, strict=True), strict=True)
    return {name: torch.stack(each).reshape(*U.shape[:2], -1) for name, each in stacked}
