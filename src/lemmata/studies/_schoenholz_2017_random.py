"""Signals in random tanh networks, of any width, without their weights: the study of Schoenholz et al. (2017).

The pre-activations of a layer of N units are, given the layer before, independent from unit to unit and normal: for two
inputs with activations h and h', of mean 0 and covariance

    K = sigma_w^2 / N sum_j (h_j, h'_j) (h_j, h'_j)^T + sigma_b^2

since rows of the weights are independent. So drawing N such pairs is drawing a layer of a random network, exactly, at a
cost of N instead of N^2. The second input is followed by its distance d from the first, which rounding would not leave
of inputs that become alike. With dropout a unit of either input is kept with probability p, independently, and divided
by p: the diagonal of K is that of sigma_w^2 / p, its other entry is not changed.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.propagation import MeanField, edge_of_chaos, mean_field
from lemmata.propagation.duals import covariance
from lemmata.study import Config, Curve, Measurements

ALIKE = 1e-3  # 1 - correlation of inputs whose decay is exponential from the start
TERMS = 3  # depth scales over which the decay is followed
FAR = 4.0  # variance at which the variance map is started, and a correlation for the other
START = 0.5


class Ensemble(Config):
    """Random tanh networks of one width."""

    weight_variance: float = Field(default=1.3, gt=0, description="sigma_w^2 = N Var W")
    bias_variance: float = Field(default=0.05, ge=0)
    width: int = Field(default=1000, ge=2)
    networks: int = Field(default=64, ge=2, description="of one seed")


class Maps(Ensemble):
    """Variance from 4, and correlation from 1/2, layer by layer."""

    depth: int = Field(default=12, ge=2)
    theory_bias: float | None = Field(default=None, description="sigma_b^2 of the theory, if it is another")


class Decay(Config):
    """Distance of two inputs that are nearly alike, in networks so far below the edge of chaos."""

    below: float = Field(default=0.4609546, gt=0, description="edge of chaos minus sigma_w^2; default: 1.3")
    edge_of: float = Field(default=0.05, ge=0, description="sigma_b^2 of which the edge is meant")
    bias_variance: float = Field(default=0.05, ge=0)
    width: int = Field(default=10_000, ge=2)
    networks: int = Field(default=8, ge=2, description="of one seed")


class Dropped(Ensemble):
    """Two copies of one input under dropout, each with its own units dropped."""

    weight_variance: float = Field(default=1.7609546, gt=0, description="sigma_w^2; default: the edge without dropout")
    keep: float = Field(default=0.9, gt=0, le=1, description="probability p with which a unit is kept")
    depth: int = Field(default=60, ge=2)
    networks: int = Field(default=16, ge=2)


class Pair:
    """Pre-activations z of one input and their distance d to those of another, (networks, N) each."""

    def __init__(self, config: Ensemble | Decay, q: float, q_other: float, c: float, *, random: torch.Generator):
        self.config, self.random = config, random
        self.z, self.d = self._drawn(
            *(torch.full((config.networks,), v, dtype=torch.float64) for v in _distances(q, q_other, c))
        )

    def _drawn(self, k: Tensor, cross: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        """Draw z of variance k and d of second moment `square` and E z d = `cross`."""
        shape = self.config.networks, self.config.width
        first, second = (torch.randn(shape, generator=self.random, dtype=torch.float64) for _ in range(2))
        along = cross / k.sqrt()
        rest = (square - along**2).clamp_min(0).sqrt()
        return k.sqrt()[:, None] * first, along[:, None] * first + rest[:, None] * second

    def layer(self, sw: float, keep: float = 1.0) -> None:
        """Go through one layer of weights and biases."""
        h, h_other = torch.tanh(self.z), torch.tanh(self.z + self.d)
        if keep < 1:
            h, h_other = (a * (torch.rand(a.shape, generator=self.random) < keep) / keep for a in (h, h_other))
        apart = h_other - h
        k = sw * h.square().mean(1) + self.config.bias_variance
        self.z, self.d = self._drawn(k, sw * (h * apart).mean(1), sw * apart.square().mean(1))

    def correlation(self) -> Tensor:
        """The correlation of the two inputs in each network, (networks,)."""
        other = self.z + self.d
        norms = self.z.square().mean(1) * other.square().mean(1)
        return (self.z * other).mean(1) / norms.sqrt()


def _distances(q: float, q_other: float, c: float) -> tuple[float, float, float]:
    cross = c * (q * q_other) ** 0.5
    return q, cross - q, q + q_other - 2 * cross


def _generator(config: Config, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * config.seed + stream)


# ---- the two maps ----------------------------------------------------------------------------------------------------


def follow_maps(configs: Sequence[Maps]) -> list[Measurements]:
    """Variances and correlations layer by layer, and how far they are from theory; the theory once for all seeds."""
    first = configs[0]
    bias = first.bias_variance if first.theory_bias is None else first.theory_bias
    theory = mean_field("tanh", first.weight_variance, bias)
    expected = theory.variances(FAR, first.depth)[1:], theory.correlations(START, first.depth)[1:]
    return [_followed(config, theory, *expected) for config in configs]


def _followed(config: Maps, theory: MeanField, variances: Tensor, correlations: Tensor) -> Measurements:
    own = theory.q if config.theory_bias is None else mean_field("tanh", config.weight_variance, config.bias_variance).q
    far = Pair(config, FAR, FAR, 1.0, random=_generator(config, 0))
    near = Pair(config, own, own, START, random=_generator(config, 1))
    q, c = [], []
    for _ in range(config.depth):
        far.layer(config.weight_variance)
        near.layer(config.weight_variance)
        q.append(far.z.square().mean(1))
        c.append(near.correlation())
    errors = [_errors(torch.stack(found), known) for found, known in ((q, variances), (c, correlations))]
    layers = np.arange(1, config.depth + 1)
    return Measurements.of(
        deviation=max(error for error, _ in errors),
        variance_off=errors[0][1],
        correlation_off=errors[1][1],
        variance=Curve(layers, torch.stack(q).mean(1).numpy()),
        correlation=Curve(layers, torch.stack(c).mean(1).numpy()),
        expected_variance=Curve(layers, variances.numpy()),
        expected_correlation=Curve(layers, correlations.numpy()),
    )


def _errors(found: Tensor, expected: Tensor) -> tuple[float, float]:
    """Largest deviation of the mean of networks, (depth, networks): in standard errors, and relative."""
    off = (found.mean(1) - expected).abs()
    error = found.std(1) / found.shape[1] ** 0.5
    return float((off / error).max()), float((off / expected).max())


# ---- the depth scale -------------------------------------------------------------------------------------------------


def follow_decay(configs: Sequence[Decay]) -> list[Measurements]:
    """Fit exp(-l / xi) to the mean 1 - c of the networks over three depth scales of theory."""
    first = configs[0]
    theory = mean_field("tanh", edge_of_chaos("tanh", first.edge_of) - first.below, first.bias_variance)
    if theory.phase != "ordered":
        raise InvalidInput(f"below = {first.below}: in chaos at sigma_b^2 = {first.bias_variance}; take a larger one")
    return [_decayed(config, theory) for config in configs]


def _decayed(config: Decay, theory: MeanField) -> Measurements:
    pair = Pair(config, theory.q, theory.q, 1 - ALIKE, random=_generator(config, 2))
    depth = max(4, round(TERMS * theory.xi_c))
    apart = [pair.d.square().mean() / (2 * theory.q)]
    for _ in range(depth):
        pair.layer(theory.weight_variance)
        apart.append(pair.d.square().mean() / (2 * theory.q))
    logs = torch.stack(apart).log().numpy()
    layers = np.arange(depth + 1)
    xi = -1 / float(np.polyfit(layers, logs, 1)[0])
    return Measurements.of(
        xi=xi, log_xi=np.log(xi) if xi > 0 else np.nan, theory_xi=theory.xi_c, sw=theory.weight_variance,
        apart=Curve(layers / theory.xi_c, np.exp(logs - logs[0])),
    )  # fmt: skip


# ---- dropout ---------------------------------------------------------------------------------------------------------


def follow_dropout(configs: Sequence[Dropped]) -> list[Measurements]:
    """The correlation of two copies of an input, of which theory has the fixed point."""
    expected = fixed_point(configs[0])
    return [_dropped(config, expected) for config in configs]


def _dropped(config: Dropped, expected: float) -> Measurements:
    pair = Pair(config, 1.0, 1.0, 1.0, random=_generator(config, 3))
    c = [1.0]
    for _ in range(config.depth):
        pair.layer(config.weight_variance, config.keep)
        c.append(float(pair.correlation().mean()))
    late = float(np.mean(c[-config.depth // 4 :]))
    return Measurements.of(
        correlation=Curve(np.arange(config.depth + 1), np.array(c)), late=late, off=late - expected, expected=expected
    )


def fixed_point(config: Dropped) -> float:
    """The correlation c = (sigma_w^2 E tanh u tanh v + sigma_b^2) / q at which two copies of an input end.

    q is the fixed point of the variance for sigma_w^2 / p. Where p = 1 it is 1.

    >>> round(fixed_point(Dropped(weight_variance=1.3, keep=1.0)), 6)
    1.0
    """
    from scipy.optimize import brentq

    if config.keep == 1:
        return mean_field("tanh", config.weight_variance, config.bias_variance).c
    q = mean_field("tanh", config.weight_variance / config.keep, config.bias_variance).q
    tanh = mean_field("tanh", 1.0).activation
    return float(
        brentq(
            lambda c: (config.weight_variance * covariance(tanh, q, c) + config.bias_variance) / q - c,
            0.0, 1.0, xtol=1e-8,
        )
    )  # fmt: skip
