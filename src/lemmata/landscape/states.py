"""States, {name: tensor} of parameters and buffers: read from a model or a mapping, checked, and mixed.

A state given as an end of a path may be a model, its state dict, or a part of one: what it leaves out is the model's
own. Tensors of numbers are mixed with weights that sum to one; whole numbers (counters) are those of the first end.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_model

State = dict[str, Tensor]
Place: TypeAlias = nn.Module | Mapping[str, Tensor]


def state_of(model: nn.Module, place: Place, what: str = "state") -> State:
    """A copy of the whole state of the model at a place: parameters and buffers, finite, of the model's shapes.

    >>> linear = nn.Linear(1, 1)
    >>> state_of(linear, {"bias": torch.tensor([2.0])})["bias"]
    tensor([2.])
    """
    own = {name: tensor.detach().clone() for name, tensor in require_model(model).state_dict().items()}
    given = place.state_dict() if isinstance(place, nn.Module) else place
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{what}: a {type(place).__name__}; give a model, or its state dict")
    for name, tensor in given.items():
        if name not in own or own[name].shape != tensor.shape:
            there = f"shape {tuple(own[name].shape)}" if name in own else "no tensor of this name"
            raise InvalidInput(f"{what}: {name!r} of shape {tuple(tensor.shape)}; the model has {there}")
        own[name] = tensor.detach().clone().to(own[name])
    first = {id(p): name for name, p in model.named_parameters()}
    tied = [(name, first[id(p)]) for name, p in model.named_parameters(remove_duplicate=False) if first[id(p)] != name]
    for name, other in tied:
        if name in own and other in own and not own[name].equal(own[other]):
            if name in given and other in given:
                raise InvalidInput(f"{what}: {name!r} and {other!r} are one parameter of the model, and differ")
            own[name] = own[other] = own[name] if name in given else own[other]
    for name, tensor in own.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InvalidInput(f"{what}: NaN or infinity in {name!r}; the run that left it diverged")
    return own


def template_of(model: nn.Module) -> nn.Module:
    """A private copy of the model in evaluation mode, without gradients."""
    try:
        return copy.deepcopy(require_model(model)).eval().requires_grad_(False)
    except RuntimeError as failed:
        raise InvalidInput(f"the model cannot be copied: {failed}; give a plain nn.Module") from failed


def stacked(states: Sequence[Mapping[str, Tensor]]) -> State:
    """Several states as one, each tensor with a leading axis."""
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def mixed(weights: Sequence[float] | Tensor, points: Mapping[str, Tensor]) -> State:
    """The state sum_k weights[k] points[k] of stacked states; a weight of exactly 1 gives that state to the bit.

    >>> mixed([0.25, 0.75], {"w": torch.tensor([0.0, 4.0])})
    {'w': tensor(3.)}
    """
    weights = torch.as_tensor(weights, dtype=torch.float64)
    kept = [k for k, weight in enumerate(weights.tolist()) if weight != 0.0]
    state = {}
    for name, tensor in points.items():
        if not tensor.is_floating_point():
            state[name] = tensor[0].clone()
            continue
        total = tensor[kept[0]] * float(weights[kept[0]])
        for k in kept[1:]:
            total = total.add_(tensor[k], alpha=float(weights[k]))
        state[name] = total
    return state
