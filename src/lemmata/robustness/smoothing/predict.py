"""The class of the smoothed classifier, or an abstention: PREDICT of Cohen, Rosenfeld and Kolter.

    g(x) = the class that f(x + noise) takes most often

Of n noisy copies let a be the votes of the leading class and b those of the second. The leading class is returned where
a two-sided binomial test rejects at level alpha that it has an even chance against the second, P(|X - (a + b)/2| >=
|a - b|/2) <= alpha for X ~ Bin(a + b, 1/2), and is then g(x) with probability at least 1 - alpha, however many other
classes there are: comparing the two leaders alone is a valid test of the rank (Hung and Fithian, 2019). What this says
of x it says of no other point; `certify` does.

Cost: n forward passes an image. Where it fails: where two classes are nearly as likely it abstains at any n in use.

Source: Cohen, Rosenfeld, Kolter (2019), section 3.2.1 and Proposition 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.bernoulli.binomial_test import binomial_test
from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.fixed_sample import require_level
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.figures.figure import Role
from lemmata.given import require_tensor
from lemmata.robustness.certificates.certificates import ABSTAIN
from lemmata.robustness.smoothing.aim import require_copies
from lemmata.robustness.smoothing.noise import Noise, require_noise
from lemmata.robustness.smoothing.votes import Votes
from lemmata.short_repr import short_repr

_LEADERS: tuple[tuple[str, Role], ...] = (("leading class", "measured"), ("second class", "control"))


@dataclass(frozen=True, eq=False)
class Predictions:
    """The classes `prediction` (N,) int64 of N images, -1 where the votes do not tell.

    `counts` (N, classes) int64 are the votes of `n` noisy copies of each, `p_value` (N,) float64 that of an even chance
    between the two leading classes; `alpha`, `noise` and `seed` as they were given.
    """

    prediction: Tensor
    p_value: Tensor
    counts: Tensor = field(repr=False)
    n: int
    alpha: float
    noise: Noise
    seed: int

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def abstained(self) -> Tensor:
        """Which images got no class: (N,) bool."""
        return self.prediction == ABSTAIN

    def accuracy(self, y: Tensor) -> float:
        """The share of images whose class is that of `y` (N,); an abstention counts as an error."""
        if require_tensor(y, "labels y").shape != self.prediction.shape:
            raise InvalidInput(f"labels y of shape {tuple(y.shape)} for {len(self)} images; give one an image")
        return float((self.prediction == y.to(self.prediction)).double().mean())

    def plot(self) -> Figure:
        """Draw the votes of the two leading classes, images by the lead of the first, with 95 % intervals."""
        two = self.counts.topk(2, dim=1).values.numpy()
        order = np.argsort(two[:, 1] - two[:, 0], kind="stable")
        place, share = np.arange(1, len(order) + 1), two[order] / self.n
        low, high = clopper_pearson(two[order], self.n, alpha=0.05, side="two-sided")
        series = [
            Series(label=label, x=place, y=share[:, k], low=low[:, k], high=high[:, k], role=role, style="points")
            for k, (label, role) in enumerate(_LEADERS)
        ]
        if (left := self.abstained.numpy()[order]).any():
            series.append(Series(label="abstained", x=place[left], y=share[left, 0], role="theory", style="points"))
        panel = Panel(
            x=Axis(label="images, by the lead of the first class"),
            y=Axis(label="share of votes", limits=(-0.02, 1.02)),
            series=series,
        )
        caption = (
            f"{self.n:,} copies an image under {self.noise}; {int(self.abstained.sum())} of {len(self)} images are "
            f"abstained from at alpha = {self.alpha:g}."
        )
        return Figure(name="smoothed-predictions", title="Votes under noise", caption=caption, panels=[panel])


def predict(
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    *,
    sigma: float | None = None,
    noise: Noise | None = None,
    n: int = 1000,
    alpha: float = 0.001,
    seed: int | torch.Generator = 0,
    classes: int | None = None,
    index: Tensor | None = None,
    batch: int | None = None,
    memory_format: str = "auto",
    input_range: tuple[float, float] | None = None,
) -> Predictions:
    """Give the class of the smoothed classifier at each image of x (N, ...), wrong with probability at most `alpha`.

    The noise is Gaussian of standard deviation `sigma`, or any `noise`, in the units of x; `n` copies of each image
    vote. `seed`, `index`, `batch`, `memory_format`, `input_range` and what is refused: see `Votes`. At the same seed
    these are the copies that `certify` certifies with.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))      # class 0 where x_1 > 0
    >>> predict(model, torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]), sigma=0.5).prediction
    tensor([ 0, -1,  1])
    """
    law, n, alpha = require_noise(noise, sigma), require_copies(n, "n"), require_level(alpha, "alpha")
    if 0.5 ** (n - 1) > alpha:
        least = int(np.ceil(1 - np.log2(alpha)))
        raise InvalidInput(f"n = {n} copies can decide nothing at alpha = {alpha:g}, even all alike; give n >= {least}")
    votes = Votes(
        model, x, law, classes=classes, seed=seed, index=index, batch=batch, memory_format=memory_format,
        input_range=input_range,
    )  # fmt: skip
    counts = votes.count(np.arange(len(x)), n)
    two = -np.partition(-counts, 1, axis=1)[:, :2]
    p_value = binomial_test(two[:, 0], two.sum(1), 0.5)
    prediction = np.where(p_value <= alpha, counts.argmax(1), ABSTAIN)
    return Predictions(
        torch.from_numpy(prediction), torch.from_numpy(p_value), torch.from_numpy(counts), n, alpha, law, votes.seed
    )
