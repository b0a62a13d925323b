"""Simulated annealing over the orders of neurons of one network, to lower the loss half-way to another.

Many pairs of perceptrons at once. A step swaps two neurons of one hidden layer of the second network of every pair, and
is kept if the loss of the midpoint falls, or else with probability exp(-rise / temperature) (Metropolis et al., 1953);
the temperature falls geometrically. Cost: a forward pass a step over the digits given.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lemmata.landscape.states import State

HOT, COLD = 1e-2, 1e-5  # temperatures in nats: a rise of 1 % of a nat is taken often at first, and none in the end


def anneal(
    pairs: Sequence[tuple[State, State]], x: Tensor, y: Tensor, *, steps: int, seeds: Sequence[int]
) -> tuple[list[State], Tensor]:
    """The second networks in the orders that annealing ends with, and the losses of the midpoints after it (M,).

    Networks are perceptrons of rectifiers with states {layer.weight, layer.bias} in the order of the layers; digits
    x (M, n, ...) and labels y (M, n) are each pair's own, as are the random numbers.
    """
    names = [name.removesuffix(".weight") for name in pairs[0][0] if name.endswith(".weight")]
    a, b = ({n: torch.stack([pair[side][n] for pair in pairs]) for n in pairs[0][side]} for side in (0, 1))
    x, members = x.flatten(2), torch.arange(len(pairs))
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    present = _losses(names, a, b, x, y)
    for step in range(steps):
        temperature = HOT * (COLD / HOT) ** (step / max(steps - 1, 1))
        depth = step % (len(names) - 1)
        units = b[f"{names[depth]}.bias"].shape[1]
        numbers = torch.stack([torch.rand(3, generator=draw) for draw in draws])
        i = (numbers[:, 0] * units).long()
        j = (i + 1 + (numbers[:, 1] * (units - 1)).long()) % units
        parts = _parts(b, names, depth)
        _swap(parts, members, i, j)
        after = _losses(names, a, b, x, y)
        back = ~(numbers[:, 2] < ((present - after) / temperature).exp())
        _swap(parts, members[back], i[back], j[back])
        present = torch.where(back, present, after)
    return [{name: tensor[m].clone() for name, tensor in b.items()} for m in range(len(pairs))], present


def _parts(b: State, names: Sequence[str], depth: int) -> list[Tensor]:
    """What belongs to the neurons of a hidden layer, (M, neurons, ...): rows, biases, and columns of the next layer."""
    layer = names[depth]
    return [b[f"{layer}.weight"], b[f"{layer}.bias"], b[f"{names[depth + 1]}.weight"].transpose(1, 2)]


def _swap(parts: Sequence[Tensor], members: Tensor, i: Tensor, j: Tensor) -> None:
    """Exchange neurons i and j (m,) of these members, in place."""
    for own in parts:
        own[members, i], own[members, j] = own[members, j], own[members, i]


@torch.no_grad()
def _losses(names: Sequence[str], a: State, b: State, x: Tensor, y: Tensor) -> Tensor:
    """The mean losses of the midpoints (M,)."""
    for depth, name in enumerate(names):
        weight, bias = ((a[f"{name}.{part}"] + b[f"{name}.{part}"]) / 2 for part in ("weight", "bias"))
        x = torch.baddbmm(bias[:, None], x if depth == 0 else x.relu(), weight.transpose(1, 2))
    return functional.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)
