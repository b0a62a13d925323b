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
TOGETHER = 512  # weights whose features stay in the cache


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
    inputs = torch.cat([_inputs(config, stream) for stream in (6, 7)], 1)
    one = matrix(torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    line = torch.linspace(LOW, HIGH, config.points, dtype=torch.float64)
    grid = matrix(*(values.reshape(-1) for values in torch.meshgrid(line, line, indexing="ij")))
    data = flow(one, inputs, TRUTH, config.T)
    train, test = (
        torch.cat([_misfits(flow(part, inputs, config.layers, config.T), data) for part in grid.split(TOGETHER)])
        .mT.reshape(2, config.points, config.points)
    )  # fmt: skip
    best = int(train.argmin())
    a, b = line[best // config.points], line[best % config.points]
    at_truth = [float(_misfits(flow(one, inputs, N, config.T), data)[0, 0]) for N in DEPTHS]
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
    """The features (M, 3, n) after so many layers of forward Euler with each of the weights K (M, 3, 3).

    Sums of three terms over all weights at once, not M products of small matrices, and tanh x = 2 sigmoid(2 x) - 1,
    which is right to 1e-16 and takes a third of the time of tanh in double precision.
    """
    k, h = 2 * K.permute(1, 2, 0)[:, :, None].contiguous(), T / layers
    states = y[:, :, None].expand(*y.shape, len(K)).clone()
    for _ in range(layers):
        doubled = [(row[0] * states[0]).addcmul_(row[1], states[1]).addcmul_(row[2], states[2]) for row in k]
        for state, z in zip(states, doubled, strict=True):
            state.add_(z.sigmoid_().sub_(0.5), alpha=2 * h)
    return states.permute(2, 0, 1)


def _misfits(outputs: Tensor, data: Tensor) -> Tensor:
    """The objectives (M, 2) of the training and of the test inputs, which stand one after the other."""
    return (outputs - data).square().unflatten(2, (2, -1)).sum((1, 3)) / 2


def _inputs(config: Weights, stream: int) -> Tensor:
    generator = torch.Generator().manual_seed(100 * (STREAM + config.seed) + stream)
    return config.scale * torch.randn(3, config.n, generator=generator, dtype=torch.float64)
