"""The scale of each parameter, by which a measure of sharpness decides how far is far.

    None        1
    "element"   |theta_i|
    "filter"    the Euclidean length of the filter that the parameter is in; |theta_i| for biases and other vectors

A filter is all the weights into one unit. ASAM (Kwon et al., 2021, section 3) calls the diagonal matrix of these scales
the normalisation operator T; a measure on the ball |T^-1 delta| <= rho does not change under any rescaling of the
network under which T changes as theta does.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective, Tree

Normalization = Literal["element", "filter"] | None


def scale(objective: Objective, normalization: Normalization) -> Tensor:
    """The scales of all parameters, flat (size,). Raises `InvalidInput` if all are zero.

    >>> model = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[3.0, -4.0]]))
    >>> objective = Objective(model, loss="mse", data=(torch.ones(1, 2), torch.ones(1, 1)))
    >>> scale(objective, "element").tolist(), scale(objective, "filter").tolist()
    ([3.0, 4.0], [5.0, 5.0])
    """
    if normalization not in (None, "element", "filter"):
        raise UnknownName("normalization", str(normalization), ("element", "filter"))
    own = objective.parameters
    if normalization is None:
        return torch.ones_like(objective.vector(own))
    sizes = own if normalization == "element" else filter_lengths(objective, own)
    scales = objective.vector({name: size.abs().expand_as(own[name]) for name, size in sizes.items()})
    if not scales.any():
        raise InvalidInput(f"all parameters are zero, so that normalization={normalization!r} lets none of them move")
    return scales


def filter_lengths(objective: Objective, tree: Tree) -> Tree:
    """Each filter's length, shaped to multiply the weights it is in; the entry itself where there are no filters."""
    axes = _unit_axes(objective.model)
    return {
        name: t if t.ndim < 2 else t.square().sum(_others(t, axes.get(name, 0)), keepdim=True).sqrt()
        for name, t in tree.items()
    }


def _others(weight: Tensor, unit: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(weight.ndim) if axis != unit)


def _unit_axes(model: nn.Module) -> dict[str, int]:
    """The axis of a weight that counts the units, where it is not the first: transposed convolutions."""
    transposed = (name for name, module in model.named_modules() if isinstance(module, _ConvTransposeNd))
    return {f"{name}.weight" if name else "weight": 1 for name in transposed}
