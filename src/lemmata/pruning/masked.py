"""A network whose pruned weights are exactly zero and stay so, whatever trains it.

    W = where(mask, W_original, 0)

is a parametrisation of `torch.nn.utils.parametrize`: the mask is a buffer, the gradient by a pruned weight is exactly
zero, weight decay and momentum included, and every instrument that takes a model takes this one. `lemmata.training`
stacks it with others, each with a mask of its own. Cost: one pass over the weights in each direction. The training of
`lemmata.pruning` gives the same weights for less, by moving only those that are left: `lemmata.pruning.Pruned`.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lemmata.pruning.masks import Masks, check_masks


class Mask(nn.Module):
    """Zero where the mask is False.

    >>> Mask(torch.tensor([True, False]))(torch.tensor([2.0, 3.0]))
    tensor([2., 0.])
    """

    mask: Tensor

    def __init__(self, mask: Tensor):
        super().__init__()
        self.register_buffer("mask", mask.clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Set the pruned weights to zero."""
        return torch.where(self.mask, weight, torch.zeros_like(weight))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What is stored when a weight is assigned: itself, zero where it is pruned."""
        return self(weight)


def masked(model: nn.Module, masks: Masks) -> nn.Module:
    """Give a copy of the model whose weights are masked; the model is not changed.

    `masks` maps names of parameters to bool tensors of their shapes; weights without a mask are left whole. Raises
    `InvalidInput` for a mask that does not fit, or for a weight that two layers share.

    >>> layer = masked(nn.Linear(2, 1), {"weight": torch.tensor([[True, False]])})
    >>> layer.weight[0, 1].item()
    0.0
    """
    check_masks(model, masks)
    sparse = copy.deepcopy(model)
    for name, mask in masks.items():
        prefix, _, leaf = name.rpartition(".")
        parametrize.register_parametrization(sparse.get_submodule(prefix), leaf, Mask(mask))
    return sparse


def plain(model: nn.Module) -> nn.Module:
    """Give a copy of a masked model without parametrisations: ordinary weights, zero where they are pruned.

    >>> sparse = masked(nn.Linear(2, 1), {"weight": torch.tensor([[True, False]])})
    >>> sorted(plain(sparse).state_dict())
    ['bias', 'weight']
    """
    whole = copy.deepcopy(model)
    for module in list(whole.modules()):
        if parametrize.is_parametrized(module):
            _make_ordinary(module)
    return whole


def _make_ordinary(module: nn.Module) -> None:
    """Take a module's parametrisations away; torch's own removal would take them from the class, and so from copies."""
    values = {
        leaf: nn.Parameter(getattr(module, leaf).detach().clone(), requires_grad=stored.original.requires_grad)
        for leaf, stored in module.parametrizations.items()  # type: ignore[union-attr]
    }
    module.__class__ = type(module).__bases__[0]
    del module.parametrizations
    for leaf, value in values.items():
        module.register_parameter(leaf, value)
