"""M networks of one architecture as one function of one flat buffer.

The members are evaluated together by `torch.vmap` of `torch.func.functional_call`. Because they do not
interact, the gradient of the sum of their losses is the gradient of each; it is accumulated straight into a
flat buffer.

Buffers of the modules (running statistics of batch normalisation) are stacked and updated in place, per
member. Parameters with ``requires_grad=False`` are constants. Dropout is refused: it would draw from the
global generator. Cost of a step: that of M single steps, without the overhead of M times the kernel launches.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lemmata.errors import InvalidInput
from lemmata.training.layout import Layout
from lemmata.training.losses import BatchLoss, Loss, losses_of


class Ensemble:
    """Parameters, gradients and buffers of the members that are still being trained.

    >>> members = [nn.Linear(3, 2) for _ in range(4)]
    >>> ensemble = Ensemble.of(members, "mse")
    >>> ensemble(torch.zeros(7, 3), shared=True).shape
    torch.Size([4, 7, 2])
    """

    def __init__(self, template: nn.Module, loss: Loss, theta: Tensor, gradient: Tensor, constants: dict[str, Tensor]):
        self.template = template
        self.loss = loss
        self.layout = Layout.of({n: p for n, p in template.named_parameters() if p.requires_grad})
        self.theta = theta  # (M * size,)
        self.gradient = gradient  # (M * size,), or whatever an optimiser lets it accumulate
        self.constants = constants  # buffers and frozen parameters, each (M, *shape)
        self.gradients = 0  # how often a gradient was taken, and so a step
        self.parameters = self.layout.views(theta)
        for name, block in self.layout.views(gradient).items():
            leaf = self.parameters[name].detach().requires_grad_()
            leaf.grad = block
            self.parameters[name] = leaf

    @classmethod
    def of(cls, models: Sequence[nn.Module], loss: Loss) -> Self:
        """Stack copies of the models; they must agree in architecture."""
        check_members(models)
        template = copy.deepcopy(models[0])
        tensors = [dict([*model.named_parameters(), *model.named_buffers()]) for model in models]
        stacked = {name: torch.stack([t[name].detach() for t in tensors]) for name in tensors[0]}
        layout = Layout.of({n: p for n, p in template.named_parameters() if p.requires_grad})
        theta = layout.pack(stacked)
        constants = {name: t for name, t in stacked.items() if name not in layout.names}
        return cls(template, loss, theta, torch.zeros_like(theta), constants)

    def __len__(self) -> int:
        return self.theta.numel() // self.layout.size

    def __call__(self, x: Tensor, *, shared: bool = False, training: bool = False) -> Tensor:
        """Evaluate every member: x (M, n, ...), or (n, ...) if shared, to outputs (M, n, ...).

        In training, batch normalisation uses the statistics of the batch and updates the running ones.
        """
        return self._evaluate(self.parameters, x, shared=shared, training=training)

    def _evaluate(self, parameters: dict[str, Tensor], x: Tensor, *, shared: bool, training: bool) -> Tensor:
        if self.template.training != training:
            self.template.train(training)

        def member(parameters: dict[str, Tensor], constants: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.template, (parameters, constants), (x,))

        return torch.vmap(member, in_dims=(0, 0, None if shared else 0))(parameters, self.constants, x)

    def accumulate(
        self, x: Tensor, y: Tensor, *, shared: bool, keep: float | Tensor = 0.0, loss: BatchLoss | None = None
    ) -> Tensor:
        """Set gradient := keep * gradient + the gradient of each member's loss on its batch; return the
        losses (M,).

        `keep` is a number, or a flat tensor that holds one number for each parameter of each member. `loss` takes
        the place of the ensemble's own; its targets need not be as many as the samples.
        """
        self.gradients += 1
        if isinstance(keep, Tensor) or keep:
            self.gradient.mul_(keep)
        else:
            self.gradient.zero_()
        outputs = self(x, shared=shared, training=True)
        losses = losses_of(outputs, y, self.loss) if loss is None else loss(outputs, y)
        losses.sum().backward()
        return losses.detach()

    def input_gradient(self, x: Tensor, value: Callable[[Tensor], Tensor], *, copies: int = 1) -> Tensor:
        """The gradient by x (M, n, ...) of the sum of ``value(outputs)``, outputs (M, n, ...), parameters being fixed.

        Where x holds `copies` of a batch, one after the other, the sum of their gradients: (M, n / copies, ...). In
        evaluation mode: batch normalisation has its running statistics, and leaves them. Cost: two forward passes.
        """
        x = x.detach().requires_grad_()
        fixed = {name: parameter.detach() for name, parameter in self.parameters.items()}
        outputs = self._evaluate(fixed, x, shared=False, training=False)
        gradient = torch.autograd.grad(value(outputs).sum(), x)[0]
        return gradient if copies == 1 else gradient.unflatten(1, (copies, -1)).sum(1)

    def select(self, index: Tensor) -> Self:
        """Copy the members `index` out, with their gradients and buffers."""
        pick = self.layout.select
        constants = {name: t[index] for name, t in self.constants.items()}
        return type(self)(self.template, self.loss, pick(self.theta, index), pick(self.gradient, index), constants)

    def states(self) -> dict[str, Tensor]:
        """Give parameters and buffers of all members, each (M, *shape), as views."""
        return {**self.layout.views(self.theta), **self.constants}

    def finite(self) -> Tensor:
        """Tell which members have finite parameters: (M,) bool."""
        sums = torch.stack([view.flatten(1).sum(1) for view in self.layout.views(self.theta).values()])
        return sums.isfinite().all(0)


def check_members(models: Sequence[nn.Module]) -> None:
    """Refuse an empty list, models of different architecture, a model without parameters, and dropout."""
    if not models:
        raise InvalidInput("no models to train; give a sequence of at least one")
    shapes = [{name: tuple(t.shape) for name, t in model.state_dict().items()} for model in models]
    for i, model in enumerate(models):
        if shapes[i] != shapes[0] or type(model) is not type(models[0]):
            names = [name for name in {**shapes[0], **shapes[i]} if shapes[0].get(name) != shapes[i].get(name)]
            where = f" in {names[0]!r}" if names else ""
            raise InvalidInput(f"models 0 and {i} differ{where}; members must be of one architecture")
    if not any(p.requires_grad for p in models[0].parameters()):
        raise InvalidInput("the models have no parameter that requires a gradient, so there is nothing to train")
    for name, module in models[0].named_modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise InvalidInput(f"{name!r} is a dropout layer, which draws from the global generator; set p = 0")
