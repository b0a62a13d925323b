"""What the studies of paths between minima share: pairs of networks trained apart, and what is measured on a path.

A member is one path of one seed. The two networks of a seed differ in their initial weights and the order of their
samples; they share the training digits. All networks of a block are trained in one call, each once, however many paths
end in it; no member's outcome depends on which others are made with it. Consecutive seeds are tested on disjoint parts
of the digits.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, training
from lemmata.data import Dataset
from lemmata.data.preprocessing import mean_pool
from lemmata.landscape.paths import Path
from lemmata.studies._disjoint_parts import apart
from lemmata.study import Config, Curve, Section

PURPOSES = (
    "split", "weights", "batches", "other weights", "other batches", "path", "direction", "third weights",
    "third batches",
)  # fmt: skip
STREAMS = 910_000  # seeds count from here: how the studies are set up was chosen on the streams from 0
Sample = tuple[Tensor, Tensor]


class Ends(Section):
    """The networks at the ends, perceptrons of ReLU units, and their training by SGD with momentum 0.9."""

    width: int = Field(default=64, ge=1, description="units a hidden layer")
    depth: int = Field(default=2, ge=1, description="hidden layers")
    step_size: float = Field(default=0.05, gt=0)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=40, ge=0, description="at most; 0 leaves the networks as they were drawn")
    fitted: float = Field(default=0.0, ge=0, description="training ends when the mean training loss is below this")


class Pair(Config):
    """Two networks, and the digits they are trained and tested on."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=500, ge=1, description="training digits")
    n_test: int = Field(default=1000, ge=1)
    points: int = Field(default=25, ge=3, description="of the path, at which the loss is measured")
    reach: float = Field(default=1.0, gt=0, description="where the line ends, in units of the way to the second")
    ends: Ends = Ends()


class Pairs:
    """The trained pairs of a block, by seed: networks, training digits and test digits."""

    def __init__(self, configs: Sequence[Pair]):
        setting, self.seeds = configs[0], sorted({config.seed for config in configs})
        whole = data.load(setting.data)
        self.train: dict[int, Sample] = {}
        self.test: dict[int, Sample] = {}
        for seed in self.seeds:
            (x, y), (x_test, y_test) = _digits(whole, setting, seed)
            self.train[seed] = mean_pool(x, setting.pool).flatten(1), y
            self.test[seed] = mean_pool(x_test, setting.pool).flatten(1), y_test
        inputs = self.train[self.seeds[0]][0].shape[1]
        rule = setting.ends
        drawn = [
            nets.mlp(inputs, [rule.width] * rule.depth, whole.classes, seed=stream(seed, f"{which}weights"))
            for which in ("", "other ") for seed in self.seeds
        ]  # fmt: skip
        self.models: list[nn.Module] = list(drawn)
        self.diverged = dict.fromkeys(self.seeds, False)
        if rule.epochs:
            x, y = self.stacked()
            result = training.train(
                drawn, torch.cat([x, x]), torch.cat([y, y]), epochs=rule.epochs, batch_size=rule.batch,
                optimiser=training.SGD(lr=rule.step_size, momentum=0.9), train_at=training.last_epoch,
                schedule=None if rule.fitted else training.cosine(),
                seeds=[seed_of(seed, f"{which}batches") for which in ("", "other ") for seed in self.seeds],
                stop=training.Stop(running_loss_below=rule.fitted) if rule.fitted else None,
            )  # fmt: skip
            self.models = [one if result.diverged[i] else result.model(i) for i, one in enumerate(drawn)]
            count = len(self.seeds)
            self.diverged = {
                seed: bool(result.diverged[i] or result.diverged[i + count]) for i, seed in enumerate(self.seeds)
            }

    def stacked(self) -> Sample:
        """The training digits of all seeds, (S, n, ...) and (S, n)."""
        x, y = zip(*(self.train[seed] for seed in self.seeds), strict=True)
        return torch.stack(x), torch.stack(y)

    def ends(self, seed: int, reach: float = 1.0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The states of the two networks of a seed, or of the first and the point `reach` of the way to the second."""
        i = self.seeds.index(seed)
        a, b = self.models[i].state_dict(), self.models[i + len(self.seeds)].state_dict()
        return dict(a), {name: a[name] + reach * (b[name] - a[name]) if reach != 1.0 else b[name] for name in a}


def measured(path: Path) -> dict[str, Any]:
    """What a path says: heights above its ends, of the training loss and of the errors, and the curves themselves.

    ``barrier`` is the largest height of the training loss above the straight line between the ends' losses;
    ``train_rise`` and ``test_rise`` are the largest errors on the path less the larger error of its two ends.
    """
    assert path.test is not None
    return {
        "barrier": path.barrier.value,
        "highest_at": path.barrier.at,
        "saddle": float(path.loss.max()),
        "end_loss": float(path.loss[[0, -1]].max()),
        "end_error": float(path.test.error[[0, -1]].max()),
        "train_rise": rise(path.error),
        "test_rise": rise(path.test.error),
        "loss": Curve(path.t, path.loss),
        "test_error": Curve(path.t, path.test.error),
    }


def rise(error: np.ndarray) -> float:
    """The largest error on a path less the larger of its ends'.

    >>> rise(np.array([0.25, 0.5, 0.125]))
    0.25
    """
    return float(error.max() - error[[0, -1]].max())


def _digits(whole: Dataset, setting: Pair, seed: int) -> tuple[Sample, Sample]:
    """The images and labels that a seed trains on, and those that it is tested on."""
    if whole.x_test is None:
        rows, held = apart(len(whole), setting.n, setting.n_test, seed, lambda own, k: seed_of(own, "split", k))
        return (whole.x[rows], whole.y[rows]), (whole.x[held], whole.y[held])
    part = whole.split(setting.n, setting.n_test, seed=seed_of(seed, "split"))
    assert part.x_test is not None
    assert part.y_test is not None
    return (part.x, part.y), (part.x_test, part.y_test)


def seed_of(seed: int, purpose: str, k: int = 0) -> int:
    """A seed for one purpose, independent of the others'."""
    return int(np.random.SeedSequence([STREAMS + seed, PURPOSES.index(purpose), k]).generate_state(1)[0])


def stream(seed: int, purpose: str) -> torch.Generator:
    """The random numbers that a seed draws for one purpose."""
    return torch.Generator().manual_seed(seed_of(seed, purpose))
