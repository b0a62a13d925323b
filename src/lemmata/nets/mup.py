"""Maximal update parametrisation (muP): how initialisation and step sizes follow the width, so that hyper-parameters
found on a narrow network stay right on a wide one.

In the standard parametrisation (SP) a weight has variance 1/fan-in at start and every layer the same step size. With
growing width n the first step then changes activations by powers of n that differ from layer to layer, and no one
step size suits all widths. muP is the choice of powers under which each layer's activations change by Theta(1)
(Yang, Hu, Babuschkin and others, 2022, "Tensor Programs V", the table of muP's rules):

    weights of           variance at start   step of SGD        step of Adam
    input, and biases    1/fan-in            fan-out            1
    hidden layers        1/fan-in            fan-out/fan-in     1/fan-in
    output               1/fan-in^2          1/fan-in           1/fan-in

*Input* weights lead from a fixed number of coordinates to a growing one, *hidden* ones from growing to growing,
*output* ones from growing to fixed; a bias, or the gain of a normalisation, is an input weight with fan-in 1. Powers
alone leave constants open. They are set by a *base* network of the same architecture: all fans are relative to its
own, so that muP is SP at the base width, and what was tuned there holds for wider ones.

`Readout` is an output layer with the factor 1/fan-in in its forward pass instead (the paper's other table, the same
network): then variance fan-in x 1/fan-in, SGD fan-in, Adam 1.

Costs nothing beyond SP. Where it fails: attention, whose logits want 1/d instead of d^(-1/2) besides, is refused; an
`eps` of Adam that is not small against gradients (of order 1/n) breaks the rule; weight decay is not touched; and the
theory is of infinite width at fixed depth and time. The output at start shrinks as n^(-1/2).
"""

from dataclasses import dataclass
from itertools import chain
from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_number
from lemmata.nets import initialisations
from lemmata.nets.initialisations import Law, NTKLinear

Role = Literal["input", "hidden", "output", "fixed"]


@dataclass(frozen=True)
class Rule:
    """What muP asks of one parameter whose fans are `fan_in` and `fan_out` times those of the base network.

    std    factor of its standard deviation at start, to what SP gives it
    sgd    factor of its step size under stochastic gradient descent, with momentum or without
    adam   factor of its step size under Adam, and whatever else divides gradients by their size

    >>> hidden, output = Rule(fan_in=4.0, fan_out=4.0), Rule(fan_in=4.0, fan_out=1.0)
    >>> hidden.role, hidden.std, hidden.sgd, hidden.adam
    ('hidden', 1.0, 1.0, 0.25)
    >>> output.role, output.std, output.sgd, output.adam
    ('output', 0.5, 0.25, 0.25)
    """

    fan_in: float
    fan_out: float
    divided: bool = False  # by fan_in in the forward pass, as in a `Readout`

    @property
    def role(self) -> Role:
        """Which dimensions grow: "input" (fan-out), "hidden" (both), "output" (fan-in) or "fixed" (neither)."""
        if self.fan_in == 1:
            return "fixed" if self.fan_out == 1 else "input"
        return "output" if self.fan_out == 1 else "hidden"

    @property
    def std(self) -> float:
        """The factor of the standard deviation at start."""
        return self._factor * (1 / sqrt(self.fan_in) if self.role == "output" else 1.0)

    @property
    def sgd(self) -> float:
        """The factor of the step size under SGD."""
        return self._factor**2 * self.fan_out / self.fan_in

    @property
    def adam(self) -> float:
        """The factor of the step size under Adam."""
        return self._factor / self.fan_in

    @property
    def _factor(self) -> float:
        """How much larger the weight is than the one by which it acts."""
        return self.fan_in if self.divided else 1.0


class Readout(nn.Linear):
    """An output layer x -> W x / r + b with r = inputs / base_inputs.

    The same network as with a smaller weight, at the step size of the other layers under Adam. The bias is not divided.

    >>> layer = Readout(256, 10, base_inputs=64)
    >>> layer.ratio
    4.0
    """

    def __init__(
        self, inputs: int, outputs: int, *, base_inputs: float, bias: bool = True, dtype: torch.dtype = torch.float32
    ):
        super().__init__(inputs, outputs, bias=bias, dtype=dtype)
        self.ratio = inputs / _positive(base_inputs, "base_inputs")

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return nn.functional.linear(input / self.ratio, self.weight, self.bias)


def rules(model: nn.Module, base: nn.Module) -> dict[str, Rule]:
    """The rule of each parameter of `model`, by name; `base` is the same architecture at the width of tuning.

    Knows linear layers, convolutions, embeddings, and whatever has parameters of one dimension (biases,
    normalisations). Raises `InvalidInput` for parameters that the two do not share, for another weight whose shape
    differs (as attention's, whose logits want a factor of their own), and for layers of the NTK parametrisation.

    >>> from lemmata import nets
    >>> wide, base = (nets.mlp(20, [width, width], 10, seed=0) for width in (256, 64))
    >>> {name: rule.role for name, rule in rules(wide, base).items() if "weight" in name}
    {'hidden1.weight': 'input', 'hidden2.weight': 'hidden', 'output.weight': 'output'}
    """
    shapes = {name: p.shape for name, p in base.named_parameters()}
    homes = {
        f"{path}.{leaf}" if path else leaf: module
        for path, module in model.named_modules()
        for leaf, _ in module.named_parameters(recurse=False)
    }
    found = dict(model.named_parameters())
    if found.keys() != shapes.keys() or any(len(shapes[name]) != p.ndim for name, p in found.items()):
        odd = next(iter(found.keys() ^ shapes.keys()), "a parameter's number of dimensions")
        raise InvalidInput(f"model and base differ in {odd!r}; the base is the same architecture, at another width")
    if len(homes) != len(found):
        shared = min(homes.keys() - found.keys())
        raise InvalidInput(f"{shared!r} is shared by two layers, which may ask for two rules; untie it")
    return {name: _rule(name, homes[name], tuple(p.shape), tuple(shapes[name])) for name, p in found.items()}


def _rule(name: str, home: nn.Module, shape: tuple[int, ...], base: tuple[int, ...]) -> Rule:
    if isinstance(home, NTKLinear):
        raise InvalidInput(f"{name!r} is a weight of the NTK parametrisation, which is not SP; use nn.Linear")
    if len(shape) <= 1:
        return Rule(1.0, shape[0] / base[0] if shape else 1.0)
    transposed = isinstance(home, nn.modules.conv._ConvTransposeNd)
    if isinstance(home, nn.Linear | nn.modules.conv._ConvNd) and not transposed:
        out, into = shape[0] / base[0], shape[1] / base[1]
    elif isinstance(home, nn.Embedding):
        into, out = shape[0] / base[0], shape[1] / base[1]
    elif shape == base:
        into = out = 1.0
    else:
        raise InvalidInput(
            f"{name!r} is a weight of a {type(home).__name__}, of which muP's rule is not known here; linear layers, "
            "convolutions and embeddings may differ in width"
        )
    if shape[2:] != base[2:]:
        raise InvalidInput(f"{name!r}: kernel {shape[2:]} against the base's {base[2:]}; only widths may differ")
    ratio = getattr(home, "ratio", 1.0) if isinstance(home, Readout) else 1.0
    if isinstance(home, Readout) and ratio != into:
        raise InvalidInput(f"{name!r}: a Readout divides by {ratio:g}, where the base has a fan-in {into:g} times less")
    return Rule(into, out, divided=isinstance(home, Readout))


def initialise(
    model: nn.Module,
    base: nn.Module,
    initialisation: str | Law = "lecun",
    *,
    seed: int | torch.Generator,
    gain: float = 1.0,
) -> nn.Module:
    """Draw the weights of the linear and convolutional layers of `model` as muP asks, in place; returns the model.

    As `lemmata.nets.initialise` with the same arguments, and then `rescale`; the law is one with a variance
    proportional to 1/fan-in. Raises as `rules`, and `InvalidInput` for another law; randomness: `seed` alone.

    >>> from lemmata import nets
    >>> wide, base = (nets.mlp(20, [width], 10, seed=0) for width in (400, 100))
    >>> round(initialise(wide, base, seed=0).output.weight.var().item() * 400**2 / 100, 1)
    1.0
    """
    rules(model, base)
    if isinstance(initialisation, str) and initialisation.startswith(("xavier", "orthogonal")):
        raise InvalidInput(f"initialisation = {initialisation!r} is no law of variance 1/fan-in; 'lecun' and 'he' are")
    return rescale(initialisations.initialise(model, initialisation, seed, gain=gain), base)


def rescale(model: nn.Module, base: nn.Module) -> nn.Module:
    """Turn a network as SP starts it into one as muP does, in place; returns the model.

    Output weights are multiplied by (base fan-in / fan-in)^(1/2) (in a `Readout` by its inverse), and the biases of
    linear and convolutional layers by (fan-in / base fan-in)^(1/2), since PyTorch gives them, unless they are zero, the
    variance of the weights. At the base's width nothing changes. Call it once. Raises as `rules`.

    >>> from copy import deepcopy
    >>> from lemmata import nets
    >>> wide, base = (nets.mlp(20, [width], 10, initialisation="he", seed=0) for width in (400, 100))
    >>> bool((rescale(deepcopy(wide), base).output.weight == wide.output.weight / 2).all())
    True
    """
    found = rules(model, base)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            weight = found.get(f"{name.removesuffix('bias')}weight") if name.endswith("bias") else None
            parameter.mul_(found[name].std if weight is None else sqrt(weight.fan_in))
    return model


def lr_scale(model: nn.Module, base: nn.Module, optimiser: Literal["adam", "sgd"] = "adam") -> dict[str, float]:
    """Factors of the step size by parameter, for ``lr_scale`` of `lemmata.training`'s optimisers.

    >>> from lemmata import nets
    >>> wide, base = (nets.mlp(20, [width, width], 10, seed=0) for width in (256, 64))
    >>> lr_scale(wide, base, "sgd")["hidden1.weight"], lr_scale(wide, base)["hidden2.weight"]
    (4.0, 0.25)
    """
    return {name: _factor(rule, optimiser) for name, rule in rules(model, base).items()}


def parameter_groups(
    model: nn.Module, base: nn.Module, *, lr: float, optimiser: Literal["adam", "sgd"] = "adam"
) -> list[dict[str, Any]]:
    """Parameters grouped by step size, as any optimiser of `torch.optim` takes them.

    >>> from lemmata import nets
    >>> wide, base = (nets.mlp(20, [width, width], 10, seed=0) for width in (256, 64))
    >>> groups = parameter_groups(wide, base, lr=0.01)
    >>> [(group["lr"], len(group["params"])) for group in groups]
    [(0.01, 4), (0.0025, 2)]
    >>> rule = torch.optim.Adam(groups)
    """
    _positive(lr, "lr")
    scale = lr_scale(model, base, optimiser)
    parameters = dict(model.named_parameters())
    rates = dict.fromkeys(chain(scale.values()))
    return [{"params": [parameters[name] for name in scale if scale[name] == rate], "lr": lr * rate} for rate in rates]


def _factor(rule: Rule, optimiser: str) -> float:
    if optimiser not in ("adam", "sgd"):
        raise UnknownName("optimiser", optimiser, ["adam", "sgd"])
    return rule.adam if optimiser == "adam" else rule.sgd


def _positive(value: object, name: str) -> float:
    if not (number := require_number(value, name)) > 0:
        raise InvalidInput(f"{name} = {number:g}; it must be positive")
    return number
