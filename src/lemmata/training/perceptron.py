"""Perceptrons without automatic differentiation: the chain rule written out, on batches of matrices.

A `torch.nn.Sequential` of linear layers, each with or without batch normalisation and an activation after it, trained
on cross-entropy or the mean squared error, needs per layer three batched products and a few elementwise passes. With
activations kept as (M, units, samples):

    forward    A_l = phi(W_l A_{l-1} + b_l)
    backward   D_L = dloss/dZ_L;  D_{l-1} = (W_l^T D_l) * phi'(Z_{l-1})
    gradient   dW_l = D_l A_{l-1}^T;  db_l = sum over samples of D_l

which is what autograd computes, in the same floating-point operations up to the order of sums; the normalisation's part
is in `lemmata.training.normalised`. Samples run along the last axis so that softmax, bias and normalisation act on
contiguous rows. Work space is allocated once for each batch size.

Cost: for 32 networks 40-16-16-10 with batch 32 about a tenth of the general path, where dispatch dominates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lemmata.training.ensemble import Ensemble, check_members
from lemmata.training.losses import BatchLoss, Loss
from lemmata.training.normalised import Norm, Normalisation

aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """An activation in place, and its pull-back (gradient, output) in place on the gradient."""

    apply: Callable[[Tensor], object]
    pull: Callable[[Tensor, Tensor], object]


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(Tensor.relu_, lambda d, a: aten.threshold_backward.grad_input(d, a, 0, grad_input=d)),
    nn.Tanh: Activation(Tensor.tanh_, lambda d, a: aten.tanh_backward.grad_input(d, a, grad_input=d)),
    nn.Sigmoid: Activation(Tensor.sigmoid_, lambda d, a: aten.sigmoid_backward.grad_input(d, a, grad_input=d)),
    nn.Identity: Activation(lambda z: z, lambda d, a: d),
}


@dataclass(frozen=True)
class Layer:
    """Names of a linear layer's parameters, the activation after it, and the normalisation between the two."""

    weight: str
    bias: str | None
    activation: Activation = ACTIVATIONS[nn.Identity]
    norm: Norm | None = None


def perceptron_layers(model: nn.Module, loss: Loss) -> list[Layer] | None:
    """Read a model as a perceptron, or give None if it is not one that `Perceptrons` can train.

    >>> len(perceptron_layers(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)), "mse"))
    2
    >>> perceptron_layers(nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)), "mse") is None
    True
    """
    if loss not in ("cross_entropy", "mse") or type(model) is not nn.Sequential or not _plain(model):
        return None
    modules = [(name, module) for name, module in model._modules.items() if type(module) is not nn.Identity]
    if modules and type(modules[0][1]) is nn.Flatten:
        modules = modules[1:]
    layers: list[Layer] = []
    for place, (name, module) in enumerate(modules):
        before = modules[place - 1][1] if place else None
        if type(module) is nn.Linear:
            layers.append(Layer(f"{name}.weight", None if module.bias is None else f"{name}.bias"))
        elif type(module) is nn.BatchNorm1d and type(before) is nn.Linear:
            if module.num_features != before.out_features or before.weight.dtype not in (torch.float32, torch.float64):
                return None
            layers[-1] = replace(layers[-1], norm=Norm.of(name, module))
        elif type(module) in ACTIVATIONS and type(before) in (nn.Linear, nn.BatchNorm1d):
            layers[-1] = replace(layers[-1], activation=ACTIVATIONS[type(module)])
        else:
            return None
    return layers or None


def _plain(model: nn.Module) -> bool:
    """Whether all parameters are trained, no state is used twice, and no hook has a say in the forward pass."""
    if any(not p.requires_grad for p in model.parameters()):
        return False
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return False
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return len(named) == len({id(tensor) for _, tensor in named})


class Perceptrons(Ensemble):
    """An ensemble whose gradient is computed by hand; everything else is as in `Ensemble`."""

    def __init__(self, template: nn.Module, loss: Loss, theta: Tensor, gradient: Tensor, constants: dict[str, Tensor]):
        super().__init__(template, loss, theta, gradient, constants)
        layers = perceptron_layers(template, loss)
        assert layers is not None
        values, slopes = self.layout.views(theta), self.layout.views(gradient)
        self.layers = layers
        self.weights = [values[layer.weight] for layer in layers]
        self.biases = [None if layer.bias is None else values[layer.bias][:, :, None] for layer in layers]
        self.weight_gradients = [slopes[layer.weight] for layer in layers]
        self.bias_gradients = [None if layer.bias is None else slopes[layer.bias] for layer in layers]
        norms = [layer.norm for layer in layers]
        self.norms = [None if norm is None else Normalisation(norm, values, constants) for norm in norms]
        self.norm_gradients = [
            [slopes[f"{norm.name}.{part}"] for part in ("weight", "bias")] if norm and norm.affine else []
            for norm in norms
        ]
        self.transposed = [weight.mT for weight in self.weights]
        self.spaces: dict[int, _Space] = {}

    def __call__(self, x: Tensor, *, shared: bool = False, training: bool = False) -> Tensor:
        """Evaluate every member: x (M, n, ...), or (n, ...) if shared, to outputs (M, n, k)."""
        a = x.flatten(1).mT.expand(len(self), -1, -1) if shared else x.flatten(2).mT
        for layer, weight, bias, norm in zip(self.layers, self.weights, self.biases, self.norms, strict=True):
            a = torch.bmm(weight, a)
            if bias is not None:
                a.add_(bias)
            if norm is not None:
                norm.apply(a, a, training=training)
            layer.activation.apply(a)
        return a.mT

    @torch.no_grad()
    def accumulate(
        self, x: Tensor, y: Tensor, *, shared: bool, keep: float | Tensor = 0.0, loss: BatchLoss | None = None
    ) -> Tensor:
        """Set gradient := keep * gradient + the gradient of each member's loss on its batch; return the losses (M,)."""
        self.gradients += 1
        keeps = isinstance(keep, Tensor) or keep != 0
        if keeps:
            self.gradient.mul_(keep)
        rows = x.flatten(1).expand(len(self), -1, -1) if shared else x.flatten(2)
        space = self._forward(rows, training=True)
        if loss is not None:
            losses = space.pulled(lambda outputs: loss(outputs, y))
        else:
            losses = space.cross_entropy(y) if self.loss == "cross_entropy" else space.squared_error(y)
        for place, slope, own in self._backward(space):
            _add_product(self.weight_gradients[place], slope, space.rows[place - 1] if place else rows, keeps)
            _add_sum(self.bias_gradients[place], slope, keeps)
            for target, value in zip(self.norm_gradients[place], own, strict=True):
                target.add_(value) if keeps else target.copy_(value)
        return losses

    @torch.no_grad()
    def input_gradient(self, x: Tensor, value: Callable[[Tensor], Tensor], *, copies: int = 1) -> Tensor:
        """The gradient by x (M, n, ...) of the sum of ``value(outputs)``: the backward pass without the weights'.

        Copies are summed before the first layer's product, which is linear in them.
        """
        space = self._forward(x.flatten(2), training=False)
        space.pulled(value)
        *_, (_, slope, _) = self._backward(space)
        slope = slope if copies == 1 else slope.unflatten(2, (copies, -1)).sum(2)
        return torch.bmm(slope.mT, self.weights[0]).view(len(self), -1, *x.shape[2:])

    def _forward(self, rows: Tensor, *, training: bool) -> "_Space":
        """Compute the units of all layers for samples (M, n, inputs)."""
        space = self._space(rows.shape[1])
        below = rows.mT
        for place, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            sums, units, bias = space.sums[place], space.units[place], self.biases[place]
            torch.bmm(self.weights[place], below, out=sums)
            if bias is not None:
                sums.add_(bias)
            if norm is not None:
                space.factors[place] = norm.apply(sums, units, training=training)
            layer.activation.apply(units)
            below = units
        return space

    def _backward(self, space: "_Space") -> Iterator[tuple[int, Tensor, list[Tensor]]]:
        """Give place, slope by the sums, and the gradients of the normalisation of each layer, the last layer first."""
        for place in range(len(self.layers) - 1, -1, -1):
            slope, own, norm = space.slopes[place], [], self.norms[place]
            self.layers[place].activation.pull(slope, space.units[place])
            if norm is not None:
                slope, own = norm.pull(slope, space.sums[place], space.factors[place])
            yield place, slope, own
            if place:
                torch.bmm(self.transposed[place], slope, out=space.slopes[place - 1])

    def _space(self, n: int) -> "_Space":
        """Room for a batch of n samples, allocated when it is first met."""
        if n not in self.spaces:
            shapes = [(len(self), weight.shape[1], n) for weight in self.weights]
            units, slopes = ([self.theta.new_empty(shape) for shape in shapes] for _ in range(2))
            sums = [u if norm is None else torch.empty_like(u) for u, norm in zip(units, self.norms, strict=True)]
            minus_one = -self.theta.new_ones(len(self), 1, n)
            self.spaces[n] = _Space(sums, [None] * len(units), units, slopes, [u.mT for u in units], minus_one)
        return self.spaces[n]


@dataclass(frozen=True)
class _Space:
    """Room for one batch, and for each layer.

    The sums before normalisation (the units, where there is none) and what it multiplied them by, units (M, width, n),
    their gradients, the units as rows; and minus ones.
    """

    sums: list[Tensor]
    factors: list[Tensor | None]
    units: list[Tensor]
    slopes: list[Tensor]
    rows: list[Tensor]
    minus_one: Tensor

    def cross_entropy(self, y: Tensor) -> Tensor:
        """Losses (M,) for labels (M, n); (softmax - onehot) / n goes into the slopes."""
        slope, labels = self.slopes[-1], y[:, None]
        log_p = torch.log_softmax(self.units[-1], 1)
        torch.exp(log_p, out=slope).scatter_add_(1, labels, self.minus_one).mul_(1 / slope.shape[2])
        return log_p.gather(1, labels).mean((1, 2)).neg_()

    def squared_error(self, y: Tensor) -> Tensor:
        """Losses (M,) for targets (M, n, ...); the derivative by the outputs goes into the slopes."""
        slope = torch.sub(self.units[-1], y.flatten(2).mT, out=self.slopes[-1])
        losses = slope.square().mean((1, 2))
        slope.mul_(2 / (slope.shape[1] * slope.shape[2]))
        return losses

    def pulled(self, value: Callable[[Tensor], Tensor]) -> Tensor:
        """Values of the outputs (M, n, k); the gradient of their sum, by autograd on them, goes into the slopes."""
        with torch.enable_grad():
            outputs = self.units[-1].mT.detach().requires_grad_()
            values = value(outputs)
            (gradient,) = torch.autograd.grad(values.sum(), outputs)
        self.slopes[-1].copy_(gradient.mT)
        return values.detach()


def _add_product(target: Tensor, a: Tensor, b: Tensor, keeps: bool) -> None:
    if keeps:
        target.baddbmm_(a, b)
    else:
        torch.bmm(a, b, out=target)


def _add_sum(target: Tensor | None, a: Tensor, keeps: bool) -> None:
    if target is None:
        return
    if keeps:
        target.add_(a.sum(2))
    else:
        torch.sum(a, 2, out=target)


def assemble(models: Sequence[nn.Module], loss: Loss) -> Ensemble:
    """Stack the models into the fastest ensemble that computes them.

    >>> type(assemble([nn.Linear(2, 1)], "mse")).__name__
    'Ensemble'
    """
    check_members(models)
    return (Ensemble if perceptron_layers(models[0], loss) is None else Perceptrons).of(models, loss)
