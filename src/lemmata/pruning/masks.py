"""Masks: which weights are left, as one boolean tensor a weight tensor, and how many they are, counted.

A mask has the name of its parameter. Masks of one network have the shapes of its weights; masks of M networks have a
first axis (M, *shape). What is pruned are the weights of layers: parameters with two axes or more. Biases, scales of
normalisations and embeddings are left, as in Frankle and Carbin (2019).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lemmata.errors import InvalidInput
from lemmata.given import require_model

Masks = Mapping[str, Tensor]
State = Mapping[str, Tensor]

LEFT = (_NormBase, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.Embedding, nn.EmbeddingBag)


def prunable(model: nn.Module) -> tuple[str, ...]:
    """Name the weights that are pruned: parameters with two axes or more, but for normalisations and embeddings.

    Raises `InvalidInput` where there is none, or one that two layers share, whose mask would be that of one of them.

    >>> prunable(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)))
    ('0.weight', '3.weight')
    """
    left = [p for module in require_model(model).modules() if isinstance(module, LEFT) for p in module.parameters()]
    spared = {id(p) for p in left}
    names = tuple(n for n, p in model.named_parameters() if p.ndim >= 2 and p.requires_grad and id(p) not in spared)
    if not names:
        raise InvalidInput("the model has no weights to prune: no trained parameter with two axes or more")
    _refuse_shared(model, names)
    return names


def _refuse_shared(model: nn.Module, names: Collection[str]) -> None:
    """Raise where one of the named weights is that of another layer too."""
    owners: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first = owners.setdefault(id(parameter), name)
        if first != name and (first in names or name in names):
            raise InvalidInput(f"{first!r} and {name!r} are one tensor; give each layer a weight of its own")


def ones(model: nn.Module, members: int | None = None) -> dict[str, Tensor]:
    """Masks that prune nothing: of one network, or of `members` with a first axis.

    >>> ones(nn.Linear(3, 2), 5)["weight"].shape
    torch.Size([5, 2, 3])
    """
    own = dict(model.named_parameters())
    lead = () if members is None else (members,)
    return {n: torch.ones((*lead, *own[n].shape), dtype=torch.bool, device=own[n].device) for n in prunable(model)}


def of_member(masks: Masks, member: int) -> dict[str, Tensor]:
    """Masks of one network out of those of M."""
    return {name: mask[member] for name, mask in masks.items()}


@dataclass(frozen=True)
class Count:
    """Weights left of those that can be pruned, by layer and in all; biases and the like are `others`, always left."""

    left: Mapping[str, int]
    prunable: Mapping[str, int]
    others: int

    @property
    def total_left(self) -> int:
        """Prunable weights that are left."""
        return sum(self.left.values())

    @property
    def density(self) -> float:
        """Their share of the prunable weights: the paper's P_m, without biases."""
        return self.total_left / sum(self.prunable.values())


def count(model: nn.Module, masks: Masks) -> Count:
    """Count what the masks of one network leave.

    Raises `InvalidInput` for a mask that fits no weight.

    >>> layer = nn.Linear(4, 2)
    >>> count(layer, {"weight": torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0]], dtype=torch.bool)}).density
    0.375
    """
    checked = check_masks(model, masks)
    own = dict(model.named_parameters())
    sizes = {name: own[name].numel() for name in prunable(model)}
    left = {name: int(checked[name].sum()) if name in checked else size for name, size in sizes.items()}
    return Count(left, sizes, sum(p.numel() for p in own.values()) - sum(sizes.values()))


def check_masks(model: nn.Module, masks: Masks, members: int | None = None) -> Masks:
    """Give masks back that fit the weights of the model (with a first axis of `members`, where they are many).

    >>> check_masks(nn.Linear(3, 2), {"weight": torch.ones(3, 2, dtype=torch.bool)})
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: mask 'weight': bool of shape (3, 2); it must be bool of shape (2, 3)
    """
    own, lead = dict(require_model(model).named_parameters()), () if members is None else (members,)
    _refuse_shared(model, masks)
    for name, mask in masks.items():
        if name not in own:
            raise InvalidInput(f"mask {name!r} fits no parameter of the model; they are {', '.join(own)}")
        wanted = (*lead, *own[name].shape)
        if mask.dtype != torch.bool or tuple(mask.shape) != wanted:
            kind = str(mask.dtype).removeprefix("torch.")
            raise InvalidInput(f"mask {name!r}: {kind} of shape {tuple(mask.shape)}; it must be bool of shape {wanted}")
    return masks
