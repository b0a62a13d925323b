"""Learning two weights through a network that is, or is not, a stable discretisation: the course's experiment.

    y' = tanh(K(a, b) y) on [0, T],   K(a, b) = -(a + b) I + a P + b P^T,   P the cyclic shift of three features.

The outputs of 200 layers with a = b = 1 are the data, and the objective 1/2 |y_N(a, b) - data|^2 of a network of N
layers is computed at all weights of a grid at once, for training inputs and for test inputs. K(1, 1) has the eigenvalue
-3 twice: forward Euler is stable there for h <= 2/3, which is N >= 1.5 T.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._haber_ruthotto_2017_propagation import STREAM
from lemmata.study import Config, Curve, Measurements

TRUTH = 200  # layers
LOW, HIGH = 0.2, 2.0
DEPTHS = list(range(5, 46))


class Weights(Config):
    """A grid of weights, and the depth of the network that is fitted."""

    layers: int = Field(default=5, ge=1)
    T: float = Field(default=10.0, gt=0)
    points: int = Field(default=101, ge=3, description="values of a and of b")
    n: int = Field(default=20, ge=1, description="training inputs, and test inputs")
    scale: float = Field(default=0.1, gt=0, description="deviation of the inputs")


def fit(configs: Sequence[Weights]) -> list[Measurements]:
    """Evaluate the objectives of all weights together, one member after the other."""
    return [_fit(config) for config in configs]


def _fit(config: Weights) -> Measurements:
    inputs = [_inputs(config, stream) for stream in (6, 7)]
    one = matrix(torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    line = torch.linspace(LOW, HIGH, config.points, dtype=torch.float64)
    grid = matrix(*(values.reshape(-1) for values in torch.meshgrid(line, line, indexing="ij")))
    train, test = (
        _objective(grid, y, flow(one, y, TRUTH, config.T), config).reshape(config.points, config.points) for y in inputs
    )
    best = int(train.argmin())
    a, b = line[best // config.points], line[best % config.points]
    data = flow(one, inputs[0], TRUTH, config.T)
    at_truth = [float((flow(one, inputs[0], N, config.T) - data).square().sum() / 2) for N in DEPTHS]
    return Measurements.of(
        a=a, b=b, distance=max(abs(float(a) - 1), abs(float(b) - 1)), log_gap=(train - test).abs().max().log10(),
        log_range=train.max().log10(), truth=Curve(np.array(DEPTHS), np.array(at_truth)), objective=train.float(),
    )  # fmt: skip


def matrix(a: Tensor, b: Tensor) -> Tensor:
    """K(a, b), (M, 3, 3) for a and b of M numbers."""
    eye = torch.eye(3, dtype=a.dtype)
    shift = eye.roll(1, 1)
    a, b = a[:, None, None], b[:, None, None]
    return -(a + b) * eye + a * shift + b * shift.T


def flow(K: Tensor, y: Tensor, layers: int, T: float) -> Tensor:
    """The features (M, 3, n) after so many layers of forward Euler with each of the weights K (M, 3, 3)."""
    y, h = y.expand(len(K), *y.shape).clone(), T / layers
    for _ in range(layers):
        y.add_((K @ y).tanh_(), alpha=h)
    return y


def _objective(K: Tensor, y: Tensor, data: Tensor, config: Weights) -> Tensor:
    return (flow(K, y, config.layers, config.T) - data).square_().sum((1, 2)) / 2


def _inputs(config: Weights, stream: int) -> Tensor:
    generator = torch.Generator().manual_seed(100 * (STREAM + config.seed) + stream)
    return config.scale * torch.randn(3, config.n, generator=generator, dtype=torch.float64)
