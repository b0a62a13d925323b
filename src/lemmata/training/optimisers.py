"""Optimisers whose every hyper-parameter may differ from member to member.

With gradient g of a member's mean batch loss, weight decay w, step size eta and schedule factor f (update
rules of `torch.optim`, to rounding):

    SGD       d = g + w theta;  v <- mu v + d;  theta <- theta - f eta v           (Polyak)
    Nesterov                                    theta <- theta - f eta (d + mu v)
    Adam      m <- b1 m + (1 - b1) d;  s <- b2 s + (1 - b2) d^2
              theta <- theta - f eta (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + eps)
    GD        SGD on the whole set

A hyper-parameter is a float, or (M,) numbers, one a member. ``lr_scale`` multiplies the step of all
parameters below a module: ``{"output": 0.01}`` slows the layer called ``output``; the longest matching
prefix counts. Cost: one pass over one flat buffer per term, whatever the number of members and layers.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.layout import Layout
from lemmata.training.losses import BatchLoss

Spread = float | Tensor  # one number for all, or a flat buffer with one number for each parameter of each member


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, Nesterov's or Polyak's, and L2 weight decay.

    >>> SGD(lr=[0.1, 0.2], momentum=0.9, lr_scale={"output": 0.01}).lr
    [0.1, 0.2]
    """

    lr: Hyper
    momentum: Hyper = 0.0
    nesterov: bool = False
    weight_decay: Hyper = 0.0
    lr_scale: Mapping[str, Hyper] = field(default_factory=dict)

    def start(self, ensemble: Ensemble) -> "SGDSteps":
        """Begin: hold the state of this rule for the members of an ensemble."""
        return SGDSteps(self, ensemble)


@dataclass(frozen=True)
class GD(SGD):
    """Gradient descent on the whole training set; `train` then takes no batch size.

    >>> GD(lr=0.1).momentum
    0.0
    """


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, 2015); with ``decoupled=True`` the weight decay of AdamW (Loshchilov and Hutter,
    2019).

    >>> Adam(lr=1e-3).betas
    (0.9, 0.999)
    """

    lr: Hyper
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: Hyper = 0.0
    decoupled: bool = False
    lr_scale: Mapping[str, Hyper] = field(default_factory=dict)

    def start(self, ensemble: Ensemble) -> "AdamSteps":
        """Begin: hold the state of this rule for the members of an ensemble."""
        return AdamSteps(self, ensemble)


Optimiser = SGD | Adam


class Steps(ABC):
    """The state of a rule for the live members: step sizes and moments, all flat buffers or plain numbers."""

    def __init__(self, layout: Layout):
        self.layout = layout

    def select(self, index: Tensor) -> None:
        """Keep only the members `index`."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, self.layout.select(value, index))

    @abstractmethod
    def step(
        self, ensemble: Ensemble, x: Tensor, y: Tensor, *, shared: bool, factor: float, loss: BatchLoss | None = None
    ) -> Tensor:
        """Take one step with every member on its batch; return the losses before it (M,).

        `loss`, where it is given, takes the place of the ensemble's own.
        """


class SGDSteps(Steps):
    """SGD. Without Nesterov the gradient is accumulated straight into the velocity, which saves two passes."""

    def __init__(self, rule: SGD, ensemble: Ensemble):
        super().__init__(ensemble.layout)
        self.lr = step_sizes(rule.lr, rule.lr_scale, ensemble)
        self.momentum = spread("momentum", rule.momentum, ensemble, below=1.0)
        self.weight_decay = spread("weight_decay", rule.weight_decay, ensemble)
        self.velocity = torch.zeros_like(ensemble.theta) if rule.nesterov else None

    def step(
        self, ensemble: Ensemble, x: Tensor, y: Tensor, *, shared: bool, factor: float, loss: BatchLoss | None = None
    ) -> Tensor:
        """Take one step with every member on its batch; return the losses before it (M,)."""
        g, v = ensemble.gradient, self.velocity
        losses = ensemble.accumulate(x, y, shared=shared, keep=self.momentum if v is None else 0.0, loss=loss)
        _add(g, ensemble.theta, self.weight_decay)
        if v is not None:
            v.mul_(self.momentum).add_(g)
            _add(g, v, self.momentum)
        _add(ensemble.theta, g, self.lr, -factor)
        return losses


class AdamSteps(Steps):
    """Adam and AdamW."""

    def __init__(self, rule: Adam, ensemble: Ensemble):
        super().__init__(ensemble.layout)
        self.lr = step_sizes(rule.lr, rule.lr_scale, ensemble)
        self.beta1 = spread("betas[0]", rule.betas[0], ensemble, below=1.0)
        self.beta2 = spread("betas[1]", rule.betas[1], ensemble, below=1.0)
        self.weight_decay = spread("weight_decay", rule.weight_decay, ensemble)
        self.eps, self.decoupled, self.t = rule.eps, rule.decoupled, 0
        self.mean = torch.zeros_like(ensemble.theta)
        self.square = torch.zeros_like(ensemble.theta)

    def step(
        self, ensemble: Ensemble, x: Tensor, y: Tensor, *, shared: bool, factor: float, loss: BatchLoss | None = None
    ) -> Tensor:
        """Take one step with every member on its batch; return the losses before it (M,)."""
        g, theta = ensemble.gradient, ensemble.theta
        losses = ensemble.accumulate(x, y, shared=shared, loss=loss)
        if self.decoupled:
            _add(theta, theta * self.lr, self.weight_decay, -factor)
        else:
            _add(g, theta, self.weight_decay)
        self.t += 1
        self.mean.lerp_(g, 1 - self.beta1)  # type: ignore[arg-type]
        self.square.lerp_(g.square_(), 1 - self.beta2)  # type: ignore[arg-type]
        correction = 1 - self.beta2**self.t
        root = correction.sqrt() if isinstance(correction, Tensor) else math.sqrt(correction)
        torch.sqrt(self.square, out=g)
        direction = torch.div(self.mean, g.div_(root).add_(self.eps), out=g)
        _add(theta, direction, self.lr / (1 - self.beta1**self.t), -factor)
        return losses


def _add(target: Tensor, term: Tensor, weight: Spread, sign: float = 1.0) -> None:
    if isinstance(weight, Tensor):
        target.addcmul_(term, weight, value=sign)
    elif weight:
        target.add_(term, alpha=sign * weight)


def step_sizes(lr: Hyper, lr_scale: Mapping[str, Hyper], ensemble: Ensemble) -> Spread:
    """Combine step size and per-layer factors; a plain number if nothing differs."""
    rate = per_member("lr", lr, ensemble)
    if isinstance(rate, float) and not lr_scale:
        return rate
    names = ensemble.layout.names
    for prefix in lr_scale:
        if not any(_below(name, prefix) for name in names):
            raise InvalidInput(f"lr_scale[{prefix!r}] fits no parameter; the parameters are {', '.join(names)}")
    ones = ensemble.theta.new_ones(len(ensemble))
    rates: dict[str, Tensor] = {}
    for name in names:
        prefix = max((p for p in lr_scale if _below(name, p)), key=len, default="")
        scale = per_member(f"lr_scale[{prefix!r}]", lr_scale.get(prefix, 1.0), ensemble)
        rates[name] = ones.mul(rate).mul(scale)
    return ensemble.layout.spread(rates)


def spread(name: str, value: Hyper, ensemble: Ensemble, *, below: float = math.inf) -> Spread:
    """Give a hyper-parameter as a number, or as a flat buffer if it differs from member to member."""
    values = per_member(name, value, ensemble, below=below)
    if not isinstance(values, Tensor):
        return values
    return ensemble.layout.spread(dict.fromkeys(ensemble.layout.names, values))


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix if prefix.endswith(".") else prefix + ".")
