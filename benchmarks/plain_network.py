"""One network as anybody trains it: the module called on a batch, its loss sent backward by autograd.

`PlainNetwork` stands where `lemmata.training` has its ensembles, with one member. Its forward pass is the module's own
and its backward pass autograd's; orders, optimiser, probes and stopping are the package's, so that the network takes
the same steps. Parameters and their gradients are views of the flat buffers, on which the package's optimisers work
with a few calls for all parameters: a plain optimiser has some calls for each, so the comparison errs in its favour.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.nets.fused_convnet1d import FusedConvNet1d
from lemmata.training.ensemble import Ensemble
from lemmata.training.losses import Loss
from lemmata.training.perceptron import assemble


class PlainNetwork(Ensemble):
    """An ensemble of one, which is a module."""

    def __init__(self, template: nn.Module, loss: Loss, theta: Tensor, gradient: Tensor, constants: dict[str, Tensor]):
        super().__init__(template, loss, theta, gradient, constants)
        self.module = copy.deepcopy(template)
        if isinstance(template, FusedConvNet1d):
            self.module.__class__ = nn.Sequential  # its layers called one after the other
        values, slopes = self.layout.views(theta), self.layout.views(gradient)
        tensors = dict([*self.module.named_parameters(), *self.module.named_buffers()])
        for name, value in {**values, **constants}.items():
            tensors[name].data = value[0]
            if name in slopes:
                tensors[name].grad = slopes[name][0]

    def __call__(self, x: Tensor, *, shared: bool = False, training: bool = False) -> Tensor:
        """The module's outputs (1, n, ...)."""
        if self.module.training != training:
            self.module.train(training)
        return self.module(x if shared else x[0])[None]

    def input_gradient(self, x: Tensor, value: Callable[[Tensor], Tensor], *, copies: int = 1) -> Tensor:
        """The gradient by x (1, n, ...) of the sum of ``value(outputs)``, in evaluation mode."""
        x = x.detach().requires_grad_()
        gradient = torch.autograd.grad(value(self(x)).sum(), x)[0]
        return gradient if copies == 1 else gradient.unflatten(1, (copies, -1)).sum(1)


@dataclass
class Assembler:
    """What takes the place of `assemble`: the same, and one model is a plain network where `plain` is set.

    `calls` counts how often something was assembled. A network that leaves a larger stack alone stays what it was.
    """

    plain: bool = False
    calls: int = 0

    def __call__(self, models: Sequence[nn.Module], loss: Loss) -> Ensemble:
        """Assemble the models."""
        self.calls += 1
        return PlainNetwork.of(models, loss) if self.plain and len(models) == 1 else assemble(models, loss)

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Let single networks be plain ones."""
        self.plain = True
        try:
            yield
        finally:
            self.plain = False


assembler = Assembler()
