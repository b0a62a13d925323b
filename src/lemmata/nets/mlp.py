"""Multilayer perceptrons of any depth, width and activation.

    f(x) = W_L phi(W_{L-1} ... phi(W_1 x + b_1) ... ) + b_L

Samples of any shape are flattened first. The layers are named ``hidden1``, ``hidden2``, ..., ``output``,
which is what per-layer step sizes refer to. With ``initialisation="ntk"`` every layer is an `NTKLinear`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import skip_init

from lemmata.errors import InvalidInput, UnknownName
from lemmata.nets.initialisations import Law, NTKLinear, generator_from, initialise

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softsign": nn.Softsign,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "identity": nn.Identity,
}


def mlp(
    inputs: int,
    widths: Sequence[int],
    outputs: int,
    *,
    activation: str = "relu",
    bias: bool = True,
    initialisation: str | Law = "standard",
    gain: float = 1.0,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Build a perceptron inputs -> widths[0] -> ... -> outputs; ``widths=[]`` gives a linear model.

    `activation` is one of `ACTIVATIONS`, `initialisation` a name of `lemmata.nets.initialisations`,
    ``"ntk"``, or a callable that fills a weight in place; `gain` multiplies the weights. The weights are
    drawn from `seed` alone (an integer or a `torch.Generator`). Raises `InvalidInput` for a width below 1
    and `UnknownName` for a name.

    >>> net = mlp(40, [16, 16], 10, seed=0)
    >>> [name for name, _ in net.named_parameters()][:3]
    ['hidden1.weight', 'hidden1.bias', 'hidden2.weight']
    >>> net(torch.zeros(5, 40)).shape
    torch.Size([5, 10])
    """
    sizes = check_sizes([inputs, *widths, outputs])
    if activation not in ACTIVATIONS:
        raise UnknownName("activation", activation, ACTIVATIONS)
    generator = generator_from(seed)
    ntk = initialisation == "ntk"
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for depth, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        last = depth == len(sizes) - 1
        layers["output" if last else f"hidden{depth}"] = (
            NTKLinear(fan_in, fan_out, bias=bias, sigma_w=gain, sigma_b=0.1, seed=generator, dtype=dtype)
            if ntk
            else skip_init(nn.Linear, fan_in, fan_out, bias=bias, dtype=dtype)
        )
        if not last:
            layers[f"{activation}{depth}"] = ACTIVATIONS[activation]()
    net = nn.Sequential(layers)
    return net if ntk else initialise(net, initialisation, generator, gain=gain)  # type: ignore[return-value]


def check_sizes(sizes: Sequence[int]) -> list[int]:
    """Refuse layer sizes below 1, naming the first one.

    >>> check_sizes([3, 0, 2])
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: layer sizes [3, 0, 2]: size 0 at place 1; each needs at least one unit
    """
    for place, size in enumerate(sizes):
        if int(size) != size or size < 1:
            raise InvalidInput(f"layer sizes {list(sizes)}: size {size} at place {place}; each needs at least one unit")
    return [int(size) for size in sizes]
