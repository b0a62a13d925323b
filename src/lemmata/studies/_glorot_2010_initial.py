"""Networks at their initial weights, before any training: variances by layer, and singular values of layers.

The instruments are `lemmata.propagation.signals` and `lemmata.propagation.layer_jacobians`, on 300 examples (the
paper's number) and on few of them. One network after the other: at the paper's width the products of matrices are all
there is to it.

Factors are geometric means over hidden layers: of the activations' variance from one layer to the next, of the
gradients' and the weight gradients' variance from one layer to the one before. (Those of weights from the second hidden
layer on, where all layers have equal numbers of inputs.)

The finite-width error of a variance at a layer is taken to be sqrt(sum of 2 / n_k) over the widths n_k of the layers
that the signal went through: n squares of normal numbers have a mean of relative deviation sqrt(2 / n), and all
examples pass the same weights.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import propagation
from lemmata.studies._glorot_2010_examples import Examples, Name
from lemmata.studies._glorot_2010_networks import network, weight_variances
from lemmata.studies._glorot_2010_theory import expected, grouped
from lemmata.study import Config, Curve, Measurements

OBSERVED = 300
EDGES = np.linspace(-1, 1, 81)
LENGTHS = np.geomspace(1e-5, 4.0, 14)  # variances of pre-activations between which mean singular values are splined


class Initial(Config):
    """One network at its initial weights."""

    data: Name = "shapeset"
    activation: Literal["tanh", "softsign", "sigmoid", "linear"] = "tanh"
    initialisation: Literal["standard", "normalised", "orthogonal"] = "standard"
    gain: float = Field(default=1.0, gt=0, description="factor of all weights")
    depth: int = Field(default=5, ge=3, description="hidden layers")
    width: int = Field(default=1000, ge=1, description="of the first hidden layer")
    taper: float = Field(default=1.0, gt=0, le=1, description="the width of a layer over that of the one before")
    samples: int = Field(default=3, ge=1, description="examples whose Jacobians are decomposed")
    theory: Literal["mean field", "linear"] = Field(default="mean field", description="linear: as if phi(u) = u")

    @property
    def widths(self) -> list[int]:
        """Of the hidden layers."""
        return [max(1, round(self.width * self.taper**layer)) for layer in range(self.depth)]

    @property
    def assumed(self) -> str:
        """The activation that theory is told."""
        return self.activation if self.theory == "mean field" else "linear"


def measure_variances(configs: Sequence[Initial]) -> list[Measurements]:
    """Variances of activations, gradients and weight gradients, with theory's: one measurement of each network."""
    passed = {config.seed: _passed(config) for config in configs}
    return [_compared(config, *passed[config.seed]) for config in configs]


def measure_jacobians(configs: Sequence[Initial]) -> list[Measurements]:
    """Mean singular values of d a_(l+1) / d a_l between hidden layers, with theory's: as above."""
    decomposed = {config.seed: _decomposed(config) for config in configs}
    return [_explained(config, *decomposed[config.seed]) for config in configs]


def _drawn(config: Initial) -> tuple[nn.Module, Tensor, Tensor, list[int]]:
    example = _examples(config.data, config.seed)
    net = network(
        example.inputs, config.widths, example.classes, activation=config.activation,
        initialisation=config.initialisation, seed=config.seed, gain=config.gain,
    )  # fmt: skip
    return net, example.x_test, example.y_test, [example.inputs, *config.widths, example.classes]


@cache
def _examples(data: Name, seed: int) -> Examples:
    return Examples(data, seed, test=OBSERVED)


def _passed(config: Initial) -> tuple[propagation.Signals, Tensor, list[int], dict[str, Curve]]:
    """The signals of a network, the mean squares of its inputs, its layer sizes, and histograms."""
    net, x, y, sizes = _drawn(config)
    return propagation.signals(net, (x, y)), x.square().mean(1), sizes, _histograms(net, x, y)


def _compared(
    config: Initial, found: propagation.Signals, squares: Tensor, sizes: list[int], histograms: dict[str, Curve]
) -> Measurements:
    activation, gradient = found.activation.variance[:-1].numpy(), found.gradient.variance[:-1].numpy()
    weights = found.weight_gradient.variance[:-1].numpy()
    variances = weight_variances(sizes, config.initialisation, config.gain)
    theory = expected(sizes, variances, config.assumed, grouped(squares), float(found.gradient.square[-1]))
    layer = np.arange(1, config.depth + 1)
    noise = 2 / np.array(config.widths)
    forward, backward = abs(activation / theory.activation - 1), abs(gradient / theory.gradient - 1)
    return Measurements.of(
        forward_factor=factor(activation), backward_factor=factor(gradient[::-1]),
        weight_factor=factor(weights[:0:-1]),
        forward_deviation=forward.max(), backward_deviation=backward.max(),
        forward_errors=(forward / np.sqrt(np.cumsum(noise))).max(),
        backward_errors=(backward / np.sqrt(np.cumsum(noise[::-1])[::-1])).max(),
        activation_variance=Curve(layer, activation), activation_theory=Curve(layer, theory.activation),
        gradient_variance=Curve(layer, gradient), gradient_theory=Curve(layer, theory.gradient),
        weight_variance=Curve(layer, weights), weight_theory=Curve(layer, theory.weight_gradient),
        **dict[str, Any](histograms),
    )  # fmt: skip


def factor(variances: np.ndarray) -> float:
    """The geometric mean of the ratios of successive variances.

    >>> round(factor(np.array([1.0, 0.5, 0.01])), 12)
    0.1
    """
    return float((variances[-1] / variances[0]) ** (1 / (len(variances) - 1)))


def _histograms(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Curve]:
    """Densities of activations, and of gradients in units of three deviations of the last hidden layer's."""
    units, gradients = unit_values(net, x, y)
    scale = 3 * float(gradients[-1].std())
    middle, width = (EDGES[1:] + EDGES[:-1]) / 2, EDGES[1] - EDGES[0]

    def density(values: Tensor) -> Curve:
        counts = np.histogram(values.numpy(), EDGES)[0]
        return Curve(middle, counts / (values.numel() * width))

    return {
        **{f"activations_{k + 1}": density(values) for k, values in enumerate(units)},
        **{f"gradients_{k + 1}": density(values / scale) for k, values in enumerate(gradients)},
    }


def unit_values(net: nn.Module, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Activations of the hidden layers, and gradients of every sample's loss at their pre-activations, 50 samples."""
    units, before = [], []
    values = x[:50]
    for name, module in net.named_children():
        if name.startswith("hidden"):
            values = module(values)
            values.retain_grad()
            before.append(values)
        else:
            values = module(values)
            if name not in ("flatten", "output"):
                units.append(values.detach())
    loss = nn.functional.cross_entropy(values, y[:50], reduction="sum")
    return units, list(torch.autograd.grad(loss, before))


def _decomposed(config: Initial) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Mean singular values and mean square pre-activations, (samples, layers), of all hidden layers but the first."""
    net, x, _, sizes = _drawn(config)
    names = [f"hidden{layer}" for layer in range(2, config.depth + 1)]
    some = spread_over_lengths(x, config.samples)
    found = propagation.layer_jacobians(net, some, layers=names)
    signals = propagation.signals(net, (some, torch.zeros(len(some), dtype=torch.int64)), layers=names)
    return found.means.numpy(), signals.preactivation.sample_square.numpy(), sizes


def _explained(config: Initial, means: np.ndarray, q: np.ndarray, sizes: list[int]) -> Measurements:
    variances = weight_variances(sizes, config.initialisation, config.gain)
    scale = np.sqrt([fan_in * v for fan_in, v in zip(sizes[1:-2], variances[1:-1], strict=True)])
    measured, theory = means.mean(0), (scale * shrinkage(config.assumed)(np.log(q))).mean(0)
    layer, deviation = np.arange(2, config.depth + 1), abs(measured / theory - 1).max()
    return Measurements.of(
        mean_singular_value=measured.mean(), jacobian_deviation=deviation, jacobian_errors=deviation * config.width,
        singular_values=Curve(layer, measured), singular_theory=Curve(layer, theory),
    )  # fmt: skip


def spread_over_lengths(x: Tensor, n: int) -> Tensor:
    """The n examples (n, inputs) at the (k + 1/2) / n quantiles of length: units saturate more at longer inputs.

    >>> spread_over_lengths(torch.tensor([[0.0], [1.0], [4.0], [2.0], [3.0]]), 1)
    tensor([[2.]])
    """
    order = x.square().mean(1).argsort()
    return x[order[((torch.arange(n) + 0.5) / n * len(x)).long()]]


@cache
def shrinkage(activation: str) -> Any:
    """The mean singular value of a square layer with sigma_w = 1, a spline in log E u^2."""
    from scipy.interpolate import CubicSpline

    if activation == "linear":
        return lambda log_q: np.full_like(log_q, propagation.mean_singular_value(100, 100, 1.0))
    values = [propagation.mean_singular_value(100, 100, 1.0, activation=activation, q=float(q)) for q in LENGTHS]
    return CubicSpline(np.log(LENGTHS), values)
