"""Dense Jacobians sample by sample, of one tensor of a recorded graph by another, rows in blocks to a byte budget.

Row r of every sample's Jacobian is one backward pass with the r-th unit vector for all samples at once, since samples
do not act on each other; blocks of rows go by one vectorised pass. Cost: n_out backward passes of the graph between.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.propagation.sample_axis import entries_by_sample


def sample_jacobians(outputs: Tensor, inputs: Tensor, samples: int, memory: int, what: str) -> Tensor:
    """Form d outputs / d inputs, (samples, n_out, n_in), from the graph that led from `inputs` to `outputs`.

    `memory` bounds the bytes of a block of rows. Raises `InvalidInput` where the samples do not lie along the first
    axis, and where the Jacobians alone would take more.
    """
    rows, columns = entries_by_sample(outputs, samples, what), entries_by_sample(inputs, samples, what)
    require_room((samples, rows, columns), outputs.element_size(), memory, what)
    block = max(1, min(rows, memory // max(1, 8 * (outputs.numel() + inputs.numel()) * outputs.element_size())))
    with torch.enable_grad():
        flat = outputs.reshape(samples, rows)
    found = []
    for part in torch.arange(rows, device=outputs.device).split(block):
        unit = torch.zeros(len(part), samples, rows, dtype=flat.dtype, device=flat.device)
        unit[torch.arange(len(part)), :, part] = 1
        found.append(_pulled(flat, inputs, unit).reshape(len(part), samples, columns))
    return torch.cat(found).transpose(0, 1)


def require_room(shape: tuple[int, int, int], size: int, memory: int, what: str) -> None:
    """Refuse Jacobians (samples, rows, columns) of entries of `size` bytes that take more than `memory` bytes."""
    samples, rows, columns = shape
    if samples * rows * columns * size > memory:
        raise InvalidInput(
            f"{what}: Jacobians of {rows} x {columns} for {samples} samples take {samples * rows * columns * size:.3g} "
            f"bytes of {memory:.3g}; give fewer samples, leave the layer out by layers=, or allow more memory="
        )


def singular_values(J: Tensor) -> Tensor:
    """The singular values (..., min(m, n)) of matrices (..., m, n), descending, in float64 on the CPU.

    Decomposed in the type of J, or in float32 where that is a half type, for which torch has none.
    """
    wide = J.float() if J.dtype in (torch.float16, torch.bfloat16) else J
    return torch.linalg.svdvals(wide).double().cpu()


def _pulled(flat: Tensor, inputs: Tensor, unit: Tensor) -> Tensor:
    """The gradients by the inputs, (block, *inputs.shape), for cotangents `unit` (block, samples, rows)."""
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            return torch.autograd.grad(flat, inputs, unit, is_grads_batched=True, **options)[0]
    except RuntimeError as failed:
        if "vmap" not in str(failed) and "atching rule" not in str(failed):
            raise
    return torch.stack([torch.autograd.grad(flat, inputs, each, **options)[0] for each in unit])
