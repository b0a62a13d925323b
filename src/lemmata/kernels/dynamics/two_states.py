"""Two states of a network, or of M networks of one architecture, side by side: before and after."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput

State = nn.Module | Sequence[nn.Module] | Mapping[str, Tensor]
"""A network, M networks, or their parameters by name: with ``members=True`` each tensor is (M, *shape)."""


@dataclass(frozen=True)
class TwoStates:
    """The trained parameters `now` and those at `start`, {name: (M, *shape)}; `members` says that M was given.

    `constants` holds everything else that either side gave (running statistics), as it is now.
    """

    now: dict[str, Tensor]
    start: dict[str, Tensor]
    constants: dict[str, Tensor]
    members: bool
    template: nn.Module | None

    @classmethod
    def of(cls, now: State, start: State, *, members: bool = False) -> TwoStates:
        """Read both sides; raises `InvalidInput` where they do not match, or hold NaN."""
        for name, side in (("now", now), ("start", start)):
            if isinstance(side, str) or not isinstance(side, nn.Module | Mapping | Sequence):
                raise InvalidInput(
                    f"{name}: a {type(side).__name__}; give a module, several, or a mapping from names to tensors"
                )
        several = members or any(_is_sequence(side) for side in (now, start))
        template = _template(start) or _template(now)
        after, before = (_tensors(side, several, name) for side, name in ((now, "now"), (start, "start")))
        known = _trained(start) or _trained(now)
        floating = [name for name, t in before.items() if t.is_floating_point()]
        names = [name for name in before if name in known] if known else floating
        if not names:
            raise InvalidInput("the start has no parameter to compare")
        for name in names:
            if name not in after or after[name].shape != before[name].shape:
                there = f"shape {tuple(after[name].shape)}" if name in after else "no such tensor"
                raise InvalidInput(f"{name!r} has shape {tuple(before[name].shape)} at the start and {there} now")
            if not (after[name].isfinite().all() and before[name].isfinite().all()):
                raise InvalidInput(f"{name!r} holds NaN or infinity; the run diverged")
        constants = {name: t for name, t in after.items() if name not in names}
        pick = {name: after[name] for name in names}, {name: before[name] for name in names}
        sizes = {len(t) for side in pick for t in side.values()}
        if len(sizes) > 1:
            raise InvalidInput(f"stacked tensors of {sorted(sizes)} members; give the same number for each name")
        return cls(*pick, constants, several, template)


def _is_sequence(side: State) -> bool:
    return not isinstance(side, nn.Module | Mapping)


def _modules(side: State) -> list[nn.Module]:
    if isinstance(side, Mapping):
        return []
    return [side] if isinstance(side, nn.Module) else list(side)


def _template(side: State) -> nn.Module | None:
    found = _modules(side)
    return copy.deepcopy(found[0]).eval() if found else None


def _trained(side: State) -> set[str]:
    return {name for model in _modules(side)[:1] for name, _ in model.named_parameters()}


def _tensors(side: State, members: bool, what: str) -> dict[str, Tensor]:
    """The tensors of one side, (M, *shape)."""
    if isinstance(side, Mapping):
        if not side or not all(isinstance(t, Tensor) for t in side.values()):
            raise InvalidInput(f"{what}: expected modules or a mapping from names to tensors")
        return {name: t.detach() if members else t.detach()[None] for name, t in side.items()}
    modules = _modules(side)
    if not modules or not all(isinstance(model, nn.Module) for model in modules):
        raise InvalidInput(f"{what}: expected at least one module, or a mapping from names to tensors")
    own = [dict([*model.named_parameters(), *model.named_buffers()]) for model in modules]
    if any(set(o) != set(own[0]) or any(o[n].shape != own[0][n].shape for n in o) for o in own):
        raise InvalidInput(f"{what}: the modules differ in architecture; all must have parameters of the same shapes")
    return {name: torch.stack([o[name].detach() for o in own]) for name in own[0]}
