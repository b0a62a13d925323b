"""The free control points of M curves as an ensemble that optimisers of `lemmata.training` move.

    theta(t) = sum_k c_k(t) w_k,    d/dw_k E_t L(theta(t)) = E_t c_k(t) grad L(theta(t))

At a step every curve draws T values of t; the M T networks there are evaluated in one batched call, on the samples of
their curve. The rest of a step are sums of K + 2 and K tensors: over one gradient of a network the cost is about
2 (K + 2) passes over its parameters. Nothing of the model is rewritten.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lemmata.landscape.states import State
from lemmata.training.ensemble import Ensemble
from lemmata.training.losses import BatchLoss, Loss
from lemmata.training.perceptron import assemble

Basis = Callable[[Tensor, int], Tensor]


class Alone(Ensemble):
    """An ensemble of one network, evaluated as it is: with a batch axis of weights a convolution is a slower one.

    The leaves that gradients go to have no batch axis either: taking it off would pass every gradient on through a
    tensor of zeros.
    """

    def __init__(self, template: nn.Module, loss: Loss, theta: Tensor, gradient: Tensor, constants: State):
        super().__init__(template, loss, theta, gradient, constants)
        self._leaves = {name: p.detach()[0].requires_grad_() for name, p in self.parameters.items()}
        for name, slope in self.layout.views(gradient).items():
            self._leaves[name].grad = slope[0]

    def _evaluate(self, parameters: State, x: Tensor, *, shared: bool, training: bool) -> Tensor:
        self.template.train(training)
        given = self._leaves if parameters is self.parameters else {name: p[0] for name, p in parameters.items()}
        constants = {name: tensor[0] for name, tensor in self.constants.items()}
        return functional_call(self.template, (given, constants), (x if shared else x[0],))[None]


def networks_of(models: Sequence[nn.Module], loss: Loss) -> Ensemble:
    """The models as the fastest ensemble that computes them.

    >>> type(networks_of([nn.Sequential(nn.Linear(2, 2), nn.GELU())], "mse")).__name__
    'Alone'
    """
    together = assemble(models, loss)
    return Alone.of(models, loss) if len(models) == 1 and type(together) is Ensemble else together


class Bends(Ensemble):
    """K control points each of M curves, M K members in all; their gradient is that of the expected loss on the curve.

    `models` (M) are networks with the buffers of each curve, `control` the stacked control points {name: (M, K + 2,
    ...)}, ends included. `t` (M, T) is set before each step. `decay` is the coefficient of L2 weight decay of the
    networks on the curve.
    """

    def __init__(
        self, models: Sequence[nn.Module], control: State, basis: Basis, *, loss: Loss, draws: int, decay: float
    ):
        self.curves, self.draws, self.basis, self.decay = len(models), draws, basis, decay
        self.networks = networks_of([model for model in models for _ in range(draws)], loss)
        layout = self.networks.layout
        self.points = control[layout.names[0]].shape[1]
        bends = self.points - 2
        theta = layout.pack({name: control[name][:, 1:-1] for name in layout.names})
        super().__init__(self.networks.template, loss, theta, torch.zeros_like(theta), {})
        ends = layout.pack({name: control[name][:, [0, -1]] for name in layout.names})
        self._ends = self._blocks(ends, 2)
        self._free, self._slopes = self._blocks(self.theta, bends), self._blocks(self.gradient, bends)
        self._at, self._at_slopes = (self._blocks(f, draws) for f in (self.networks.theta, self.networks.gradient))
        self.t = torch.zeros(self.curves, draws, dtype=torch.float64)

    def accumulate(
        self, x: Tensor, y: Tensor, *, shared: bool, keep: float | Tensor = 0.0, loss: BatchLoss | None = None
    ) -> Tensor:
        """Set gradient := keep * gradient + that of each curve's mean loss over its t; return these losses (M,)."""
        self.gradients += 1
        c = self.basis(self.t, self.points).to(self.theta)  # (M, T, K + 2)
        ends, free = c[:, :, [0, -1]], c[:, :, 1:-1]
        for at, fixed, own in zip(self._at, self._ends, self._free, strict=True):
            torch.bmm(ends, fixed, out=at)
            at.baddbmm_(free, own)
        if self.draws > 1:
            x, y = x if shared else self._repeated(x), self._repeated(y)
        losses = self.networks.accumulate(x, y, shared=shared, loss=loss)
        if self.decay:
            self.networks.gradient.add_(self.networks.theta, alpha=self.decay)
        if isinstance(keep, Tensor) or keep:
            self.gradient.mul_(keep)
        else:
            self.gradient.zero_()
        for slope, at in zip(self._slopes, self._at_slopes, strict=True):
            slope.baddbmm_(free.mT, at, alpha=1 / self.draws)
        return losses.view(self.curves, self.draws).mean(1)

    def control(self) -> State:
        """The control points of all curves, {name: (M, K + 2, ...)}: copies."""
        names, bends = self.layout.names, self.points - 2
        shapes = dict(zip(names, self.layout.shapes, strict=True))
        found = {}
        for name, fixed, own in zip(names, self._ends, self._free, strict=True):
            whole = torch.cat([fixed[:, :1], own, fixed[:, 1:]], 1)
            found[name] = whole.view(self.curves, bends + 2, *shapes[name]).clone()
        return found

    def _blocks(self, flat: Tensor, each: int) -> list[Tensor]:
        """The parameters of a flat buffer of M each members, as views (M, each, numbers of the parameter)."""
        views = self.networks.layout.views(flat)
        return [views[name].view(self.curves, each, -1) for name in self.networks.layout.names]

    def _repeated(self, own: Tensor) -> Tensor:
        """What a curve has, (M, ...), for each of its networks: (M T, ...)."""
        return own[:, None].expand(-1, self.draws, *own.shape[1:]).flatten(0, 1)
