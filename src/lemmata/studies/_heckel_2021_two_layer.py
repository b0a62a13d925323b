"""The two-layer network of Heckel & Yilmaz (2021), Figure 3, drawn and trained as in the authors' notebook.

Full-batch gradient descent on 250 ReLU units and 100 noiseless examples of a linear function. The notebook's generators
are followed number for number, so that seed 0 here (12 there) is the published run, and the next seeds are its
replications. Source: github.com/MLI-lab/early_stopping_double_descent (Apache-2.0),
notebooks/early_stopping_two-layer-nn_double_descent.ipynb and code/linear_utils.py; published numbers from results/.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import init

from lemmata.regression.early_stopping import bump
from lemmata.regression.two_layer_descent import TwoLayer, descend
from lemmata.study import Config, Curve, Measurements

PUBLISHED_SEED = 12
PUBLISHED_STEP, STABLE_STEP, SLOW_STEP = 8e-5, 2e-5, 1e-6  # the second: a quarter of the first
SMALL_FIRST = 0.01  # by which one panel of Figure 3 has the first layer's initial weights multiplied
# Published risk after so many steps, from the authors' repository: results/two_layer_nn/w1_v1_lr80/risk.txt, whose
# first column counts from 0 what is counted from 1 here. One step size for both layers; and 1e-6 for the first layer.
# The third is of w001_v1_lr80: one step size, and the small first layer.
PUBLISHED_SAME = {
    2: 13.70071, 4: 8.60677, 7: 7.29327, 11: 6.94377, 13: 7.23404, 16: 7.35983, 18: 8.42042, 21: 8.4066, 25: 6.60863,
    31: 6.10104, 42: 5.9134, 77: 5.90099, 142: 5.89885, 264: 5.89882, 489: 5.89882,
}  # fmt: skip
PUBLISHED_SCALED = {
    2: 14.9383, 4: 13.10597, 7: 11.14046, 11: 9.51058, 18: 8.0908, 31: 7.27562, 77: 6.36998, 142: 6.0142, 264: 5.87592,
    489: 5.83349, 908: 5.82611,
}  # fmt: skip
PUBLISHED_SMALL_FIRST = {
    2: 16.55375, 4: 12.55702, 7: 7.76114, 11: 6.16177, 18: 5.14243, 31: 4.57968, 42: 4.35514, 60: 4.19984,
    77: 4.10714, 84: 4.10825, 100: 4.07528, 142: 4.03015, 264: 3.98812, 489: 3.96262,
}  # fmt: skip


class TwoLayerConfig(Config):
    """The authors' two-layer network and its data."""

    step_first: float = Field(default=PUBLISHED_STEP, gt=0, description="step size of the first layer, W and b")
    step_second: float = Field(default=PUBLISHED_STEP, gt=0, description="step size of the second layer, v and c")
    network: int = Field(default=2, ge=1, le=2, description="which of the notebook's two draws of initial weights")
    first_scale: float = Field(default=1.0, gt=0, description="factor of the first layer's initial weights")
    steps: int = Field(default=500, ge=1)
    features: int = Field(default=50, ge=1)
    n: int = Field(default=100, ge=1, description="training examples, and as many test examples")
    width: int = Field(default=250, ge=1)

    @property
    def published(self) -> dict[int, float]:
        """The published curve of these step sizes, if there is one."""
        curves = {
            (PUBLISHED_STEP, 1.0): PUBLISHED_SAME,
            (SLOW_STEP, 1.0): PUBLISHED_SCALED,
            (PUBLISHED_STEP, SMALL_FIRST): PUBLISHED_SMALL_FIRST,
        }
        return curves.get((self.step_first, self.first_scale), {}) if self.step_second == PUBLISHED_STEP else {}

    @property
    def marks(self) -> list[int]:
        """The recorded steps: every one to 20, 120 evenly spaced in their logarithm, and the published ones."""
        spaced = np.geomspace(1, self.steps, 120).astype(int).tolist()
        return sorted({*range(21), *spaced, *(k for k in self.published if k <= self.steps)})


def run_two_layer(configs: Sequence[TwoLayerConfig]) -> list[Measurements]:
    """Train all seeds at once by full-batch gradient descent, and record loss, risk and stability number."""
    first = configs[0]
    X, y, X_test, y_test, *net = (torch.stack(part) for part in zip(*map(notebook_draw, configs), strict=True))
    step_sizes = (first.step_first, first.step_second)
    result = descend(TwoLayer(*net), (X, y), (X_test, y_test), step_sizes=step_sizes, steps=first.marks)
    return [
        _two_layer_member(first, result.risk[i].numpy(), result.loss[i].numpy(), result.stability[i].numpy())
        for i in range(len(configs))
    ]


def notebook_draw(config: TwoLayerConfig) -> tuple[Tensor, ...]:
    """Training set X, y, test set X, y, and initial weights W, b, v, c, drawn in the order of the authors' notebook.

    NumPy's legacy generator draws beta, then an example's features and its (unused) noise in turn; PyTorch's draws the
    default weights of two linear layers, then the weights anew, for the first network and again for the second. All
    are rounded to float32, as there, and then carried in float64.
    """
    d, h, seed = config.features, config.width, PUBLISHED_SEED + config.seed
    random = np.random.RandomState(seed)
    beta, scales = random.randn(d), np.geomspace(1, 4, d)

    def sample() -> tuple[Tensor, Tensor]:
        x = random.randn(config.n, d + 1)[:, :d] * scales
        return torch.tensor(x, dtype=torch.float32).double(), torch.tensor(x @ beta, dtype=torch.float32).double()

    train, test = sample(), sample()
    g, a = torch.Generator().manual_seed(seed), math.sqrt(5)
    W, b, v, c = torch.empty(h, d), torch.empty(h), torch.empty(1, h), torch.empty(1)
    for _ in range(config.network):
        for weight, bias in ((W, b), (v, c)):
            init.kaiming_uniform_(weight, a=a, generator=g)
            init.uniform_(bias, -1 / math.sqrt(weight.shape[1]), 1 / math.sqrt(weight.shape[1]), generator=g)
        init.kaiming_normal_(W, a=a, generator=g)
        init.kaiming_uniform_(v, a=a, generator=g)
    W *= config.first_scale
    return *train, *test, W.double(), b.double(), v[0].double(), c[0].double()


def _two_layer_member(
    config: TwoLayerConfig, risk: np.ndarray, loss: np.ndarray, stability: np.ndarray
) -> Measurements:
    marks, published = np.asarray(config.marks), {k: r for k, r in config.published.items() if k <= config.steps}
    off = [abs(risk[config.marks.index(k)] / r - 1) for k, r in published.items()]
    compared: dict[str, Any] = {"off_published": max(off)} if off else {}
    return Measurements.of(
        status="ok" if np.isfinite(loss).all() else "diverged",
        risk=Curve(marks, risk),
        train_loss=Curve(marks, loss),
        stability=Curve(marks, stability),
        best_risk=risk.min(),
        gained_late=risk[marks <= config.steps / 2].min() - risk.min(),
        bump=bump(risk),
        loss_rise=(loss / np.minimum.accumulate(loss)).max(),
        largest_stability=stability.max(),
        **compared,
    )
