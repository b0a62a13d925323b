"""Which weights go: the smallest in magnitude, within each layer or over the whole network, for M networks at once.

Of n weights left a pruning by the share s takes round(s n), so that r prunings leave an integer that depends on n, s
and r alone; at least one stays of a layer that has one. Several prunings at once leave what they would one after the
other without training in between. Equal magnitudes go by their place, the last first. Cost: one sort of the weights.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_number, require_whole
from lemmata.pruning.masks import Masks, State

Scope = Literal["layer", "global"]


def left_after(n: int, share: float, times: int = 1) -> int:
    """Weights left of n after `times` prunings, each by the share.

    >>> [left_after(1000, 0.2, times) for times in (0, 1, 3)]
    [1000, 800, 512]
    """
    for _ in range(times):
        n = max(min(n, 1), n - round(share * n))
    return n


def smallest_pruned(
    weights: State,
    masks: Masks,
    *,
    share: float = 0.2,
    shares: Mapping[str, float] | None = None,
    scope: Scope = "layer",
    times: int = 1,
) -> dict[str, Tensor]:
    """Prune the smallest of the weights that the masks leave; give the new masks, subsets of the old.

    `weights` and `masks` are (M, *shape) each. `share` is that of each layer, or of all weights together with
    ``scope="global"``; `shares` gives layers another one, by the name of the layer: ``{"output": 0.1}``. `times`
    prunings are done at once. Nothing is random. Raises `InvalidInput` for a share that is not between 0 and 1, or
    that fits no layer.

    >>> weights = {"weight": torch.tensor([[[1.0, -4.0, 3.0, 0.5, 2.0]]])}
    >>> smallest_pruned(weights, {"weight": torch.ones(1, 1, 5, dtype=torch.bool)}, share=0.4)["weight"].int()
    tensor([[[0, 1, 1, 0, 1]]], dtype=torch.int32)
    """
    rates = check_shares(masks, share, shares, scope)
    times = require_whole(times, "times")
    if scope == "layer":
        return {name: _largest(weights[name], mask, rates[name], times) for name, mask in masks.items()}
    sizes = [mask[0].numel() for mask in masks.values()]
    every = torch.cat([weights[name].flatten(1) for name in masks], 1)
    kept = _largest(every, torch.cat([mask.flatten(1) for mask in masks.values()], 1), share, times).split(sizes, 1)
    return {name: part.reshape(mask.shape) for (name, mask), part in zip(masks.items(), kept, strict=True)}


def check_shares(
    masks: Masks, share: float, shares: Mapping[str, float] | None, scope: Scope = "layer"
) -> dict[str, float]:
    """Give the share of each layer.

    >>> check_shares({"hidden.weight": torch.ones(1), "output.weight": torch.ones(1)}, 0.2, {"output": 0.1})
    {'hidden.weight': 0.2, 'output.weight': 0.1}
    """
    if scope not in ("layer", "global"):
        raise UnknownName("scope", str(scope), ("layer", "global"))
    given = dict(shares or {})
    for name, value in {"share": share, **given}.items():
        if not 0 < require_number(value, name) < 1:
            raise InvalidInput(f"{name} = {value}: the share that a pruning takes must be between 0 and 1")
    if given and scope == "global":
        raise InvalidInput("shares of layers and scope='global': weights of all layers are ranked together there")
    rates = {}
    for name in masks:
        fitting = [prefix for prefix in given if name == prefix or name.startswith(f"{prefix}.")]
        rates[name] = given[max(fitting, key=len)] if fitting else share
    for prefix in given:
        if not any(name == prefix or name.startswith(f"{prefix}.") for name in masks):
            raise InvalidInput(f"shares[{prefix!r}] fits no weight; they are {', '.join(masks)}")
    return rates


def _largest(weights: Tensor, mask: Tensor, share: float, times: int) -> Tensor:
    """The mask (M, ...) of the largest weights among those left, as many as the prunings leave."""
    alive = mask.flatten(1)
    magnitude = weights.flatten(1).abs().nan_to_num(0.0).masked_fill(~alive, -1.0)
    order = magnitude.argsort(dim=1, descending=True, stable=True)
    kept = torch.zeros_like(alive)
    for row, ranked, n in zip(kept, order, alive.sum(1).tolist(), strict=True):
        row[ranked[: left_after(n, share, times)]] = True
    return kept.reshape(mask.shape)
