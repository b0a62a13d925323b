"""The variances of signals and gradients that theory expects in a random network of given depth and widths.

With sigma_w,l^2 = n_(l-1) Var W_l for the weight layers l = 1, ..., L, u_l the pre-activations and d_l = dC / du_l,

    E u_l^2 = sigma_w,l^2 E a_(l-1)^2 + sigma_b^2,       a_l = phi(u_l),   u_l ~ N(0, E u_l^2)
    E d_l^2 = (n_(l+1) Var W_(l+1)) E phi'(u_l)^2 E d_(l+1)^2
    E (dC / dW_l)^2 = E d_l^2 E a_(l-1)^2                an entry

phi(u) = u gives Glorot and Bengio's products of n Var W (2010, equations 5 to 7), which hold for tanh where it is
linear; with the activation they are mean-field theory away from its fixed point (Schoenholz et al., 2017). The mean
singular value of d a_l / d a_(l-1) is that of `mean_singular_value`.

Cost: some 10^3 evaluations of phi and 0.1 s of singular values a layer. Where it fails: at widths where the units of a
layer are not many (relative errors of order depth / width); the gradient is taken as independent of the weights that
it is propagated through, exact in the limit of wide layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.given import require_number, require_whole
from lemmata.propagation.activations import Elementwise, Nonlinearity, nonlinearity
from lemmata.propagation.duals import diagonal
from lemmata.propagation.gaussian import gaussian_rule
from lemmata.propagation.signals import Signals
from lemmata.propagation.singular_values import mean_singular_value
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class ExpectedVariances:
    """What theory expects at L weight layers, tensors (L,) in float64.

    `preactivation` is E u^2 (the mean is 0), `activation_mean` and `activation_square` those of phi(u), the last layer
    having no activation. `gradient` is E d^2, `weight_gradient` its like for an entry of the weights, both for
    `output_gradient` at the last layer. `saturated` is the expected share with |phi'(u)| < 0.1 max |phi'| (NaN at the
    last layer), `mean_singular_value` that of the Jacobian of each layer's activation by what the layer got.
    """

    activation_name: str
    widths: tuple[int, ...]
    weight_variance: Tensor
    bias_variance: float
    preactivation: Tensor
    activation_mean: Tensor
    activation_square: Tensor
    gradient: Tensor
    weight_gradient: Tensor
    saturated: Tensor
    mean_singular_value: Tensor = field()

    __repr__ = short_repr

    @property
    def activation(self) -> Tensor:
        """The variance of the activations over units, (L,)."""
        return self.activation_square - self.activation_mean.square()

    def plot(self, measured: Signals | None = None) -> Figure:
        """Draw the standard deviations, beside those that were measured where they are given.

        Measured gradients have a scale of their own, that of the loss: give `output_gradient` accordingly.
        """
        from lemmata.propagation.expected_figure import expected_figure

        return expected_figure(self, measured)


def expected_variances(
    widths: Sequence[int],
    weight_variance: float | Sequence[float],
    activation: str | Elementwise | Nonlinearity = "tanh",
    *,
    bias_variance: float = 0.0,
    input_square: float = 1.0,
    output_gradient: float = 1.0,
    saturation: float = 0.1,
) -> ExpectedVariances:
    """The variances at each of the L weight layers of a network of `widths` n_0 (inputs), ..., n_L (outputs).

    `weight_variance` is sigma_w^2 = n_in Var W of all layers, or of each; Glorot's normalised initialisation has
    2 n_in / (n_in + n_out), the old heuristic 1/3. `input_square` is the mean square of the inputs' entries,
    `output_gradient` that of dC / du at the last layer (of `signals(...).gradient.square[-1]`, say). Raises
    `InvalidInput` for fewer than two widths and variances that are negative, not finite, or not one a layer.

    >>> found = expected_variances([1000] * 4, 1 / 3, "linear")
    >>> found.preactivation.tolist() == [(1 / 3), (1 / 3) ** 2, (1 / 3) ** 2 * (1 / 3)]
    True
    >>> found.weight_gradient.round(decimals=6)             # the same at all layers, though d_l and a_l are not
    tensor([0.1111, 0.1111, 0.1111], dtype=torch.float64)
    """
    if isinstance(widths, str) or not isinstance(widths, Sequence) or len(widths) < 2:
        raise InvalidInput(f"widths = {widths!r}; give those of the inputs and of every layer, as [784, 100, 100, 10]")
    n = tuple(require_whole(width, f"widths[{place}]") for place, width in enumerate(widths))
    sw, phi = _of_layers(weight_variance, len(n) - 1), nonlinearity(activation)
    sb = _variance(bias_variance, "bias_variance")
    if not 0 < require_number(saturation, "saturation") < 1:
        raise InvalidInput(f"saturation = {saturation}; a share of the steepest slope, between 0 and 1: take 0.1")
    squares, q, means, slopes, saturated = [_variance(input_square, "input_square")], [], [], [], []
    for each in sw:
        q.append(each * squares[-1] + sb)
        here = diagonal(phi, torch.tensor([q[-1]], dtype=torch.float64))
        squares.append(float(here.square))
        means.append(float(here.mean))
        slopes.append(float(here.square_slope))
        saturated.append(_share_saturated(phi, q[-1], saturation))
    squares[-1], means[-1], slopes[-1], saturated[-1] = q[-1], 0.0, 1.0, math.nan
    d = [_variance(output_gradient, "output_gradient")]
    for layer in range(len(sw) - 1, 0, -1):
        d.insert(0, sw[layer] * n[layer + 1] / n[layer] * slopes[layer - 1] * d[0])
    last = len(sw) - 1
    shrinks = [mean_singular_value(n[i], n[i + 1], sw[i], activation=phi if i < last else "linear", q=q[i])
               for i in range(len(sw))]  # fmt: skip

    def tensor(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    return ExpectedVariances(
        activation_name=phi.name, widths=n, weight_variance=tensor(sw), bias_variance=sb, preactivation=tensor(q),
        activation_mean=tensor(means), activation_square=tensor(squares[1:]), gradient=tensor(d),
        weight_gradient=tensor(d) * tensor(squares[:-1]), saturated=tensor(saturated),
        mean_singular_value=tensor(shrinks),
    )  # fmt: skip


def _of_layers(value: float | Sequence[float], layers: int) -> list[float]:
    if isinstance(value, Tensor) and value.ndim:
        value = value.tolist()
    each = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * layers
    if len(each) != layers:
        raise InvalidInput(f"weight_variance has {len(each)} entries for {layers} weight layers; give one a layer")
    return [_variance(one, "weight_variance") for one in each]


def _variance(value: object, name: str) -> float:
    number = require_number(value, name)
    if not (math.isfinite(number) and number >= 0):
        raise InvalidInput(f"{name} = {number}; a variance is finite and at least 0")
    return number


def _share_saturated(phi: Nonlinearity, q: float, saturation: float) -> float:
    """P(|phi'(u)| < saturation steepest), to about 1e-4: the rule is not split where the slope crosses."""
    u, weights = gaussian_rule(max(q, 1e-36), phi.kinks, halvings=4)
    return float(weights @ (phi.slope(u).abs() < saturation * phi.steepest).double())
