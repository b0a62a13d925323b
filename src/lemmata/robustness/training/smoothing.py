"""The course of every recipe that trains on noisy copies: noise, then an ascent under that noise, then a penalty.

    draw delta_1, ..., delta_m;   x^ = x, or the adversarial example of the smoothed classifier under these draws;
    minimise  (1 / m) sum_c loss(f(x^ + sigma delta_c), y)  +  penalty(f(x^ + sigma delta_c), c = 1, ..., m)

`gaussian_augmentation`, `smooth_adv` and `consistency` are this with one part or the other left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from lemmata.robustness.attacks.losses import log_mean_softmax, unchecked_log_odds
from lemmata.robustness.training.ascent import Ascending, Ascent
from lemmata.robustness.training.noisy_copies import NoisyCopies, repeated, require_count, require_probabilities
from lemmata.robustness.training.penalty import Penalising, Penalty
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper
from lemmata.training.losses import cross_entropy_values
from lemmata.training.probes import Samples
from lemmata.training.recipe import Batch, Selecting


@dataclass(frozen=True)
class Smoothing:
    """Noise of standard deviation `sigma`, `draws` copies, and what is done with them; `name` is for messages."""

    name: str
    sigma: Hyper
    draws: int
    ascent: Ascent | None = None
    penalty: Penalty | None = None

    def __post_init__(self) -> None:
        require_count("draws", self.draws, least=1 if self.penalty is None else 2)

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> SmoothingCourse:
        """Begin a training of these members: refuse what does not fit."""
        if self.ascent is not None or self.penalty is not None:
            require_probabilities(self.name, ensemble)
        return SmoothingCourse(
            NoisyCopies(self.sigma, self.draws, ensemble, seeds=seeds),
            None if self.ascent is None else self.ascent.start(ensemble, samples, seeds),
            None if self.penalty is None else self.penalty.start(ensemble),
        )


class SmoothingCourse(Selecting):
    """Such a recipe under way."""

    def __init__(self, noisy: NoisyCopies, ascending: Ascending | None, penalising: Penalising | None):
        self.noisy, self.ascending, self.penalising = noisy, ascending, penalising

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        """Noisy copies of the samples, or of their adversarial examples: (M, draws * b, ...)."""
        noise = self.noisy.noise(x)
        if self.ascending is not None:
            x = self.ascending.climb(x, lambda z: self._slope(ensemble, z, y, noise), epoch=epoch)
        copies = noise.add_(x[:, None]).flatten(1, 2)
        if self.penalising is None:
            return Batch(copies, repeated(y, self.noisy.draws))
        return Batch(copies, y, self._penalised)

    def _slope(self, ensemble: Ensemble, z: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """The gradient by z of the log-odds against y of the probabilities averaged over the draws: (M, b, ...)."""
        draws = self.noisy.draws

        def value(outputs: Tensor) -> Tensor:
            return unchecked_log_odds(log_mean_softmax(outputs.unflatten(1, (draws, -1)), dim=1), y)

        return ensemble.input_gradient((z[:, None] + noise).flatten(1, 2), value, copies=draws)

    def _penalised(self, outputs: Tensor, y: Tensor) -> Tensor:
        assert self.penalising is not None
        copies = outputs.unflatten(1, (self.noisy.draws, -1))
        fit = cross_entropy_values(outputs, repeated(y, self.noisy.draws)).mean(1)
        return fit + self.penalising(copies)
