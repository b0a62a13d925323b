"""The smoothed classifier by soft votes, differentiable: what attacks on it climb and training against them lowers.

    log G(x)_c = log (1/m sum_j softmax(f(x + noise_j))_c)

G replaces the votes, which have no slope, by probabilities; its cross-entropy at x is -log of the mean probability of
the true class, the objective of SmoothAdv (Salman et al., 2019, equation 6). The m noises are drawn once and shared by
all images, so that G is one fixed function, an image's answer depends on no other, and each step of an attack climbs
the same hill. Cost: m passes of f, with m times the activations where gradients are wanted.

Where it fails: G is biased by its m draws, most where f is saturated; certificates come from `certify`, never from G.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from lemmata.bernoulli.looks import require_count
from lemmata.errors import InvalidInput
from lemmata.given import require_model
from lemmata.robustness.smoothing.noise import Noise, require_noise
from lemmata.robustness.smoothing.noise_seeds import seed_number


class Smoothed(nn.Module):
    """`model` averaged over `samples` noises, as a model: (rows, ...) to log-probabilities (rows, classes).

    The log-probabilities serve as logits: their argmax is the class, their cross-entropy -log of the mean probability.
    The model is held, not copied, and kept in the mode it is in. `redraw` takes other noises. Raises `InvalidInput` for
    images of whole numbers, images that the model fails on, and answers that are no logits.

    >>> model = nn.Linear(2, 3)
    >>> smoothed = Smoothed(model, sigma=0.25, samples=8, seed=0)
    >>> x = torch.zeros(4, 2, requires_grad=True)
    >>> smoothed(x).exp().sum(1).allclose(torch.ones(4))
    True
    >>> torch.autograd.grad(smoothed(x)[:, 0].sum(), x)[0].shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        sigma: float | None = None,
        noise: Noise | None = None,
        samples: int = 16,
        seed: int | torch.Generator = 0,
    ):
        super().__init__()
        self.model = require_model(model)
        self.noise = require_noise(noise, sigma)
        self.samples = require_count(samples, "samples")
        self.seed = seed_number(seed)
        self._drawn: Tensor | None = None

    def redraw(self, seed: int | torch.Generator) -> None:
        """Take the noises of another seed from now on."""
        self.seed, self._drawn = seed_number(seed), None

    def forward(self, rows: Tensor) -> Tensor:
        """Give log G (rows, classes), by one pass of the model over all noisy copies."""
        if not isinstance(rows, Tensor) or rows.ndim < 2 or not rows.is_floating_point():
            got = f"{rows.dtype} {tuple(rows.shape)}" if isinstance(rows, Tensor) else type(rows).__name__
            raise InvalidInput(f"images: {got}; give floating-point images (rows, ...)")
        copies = (rows[:, None] + self._noises(rows)).flatten(0, 1)
        log_probabilities = log_softmax(self._logits(copies), dim=1).unflatten(0, (len(rows), self.samples))
        return log_probabilities.logsumexp(1) - math.log(self.samples)

    def _logits(self, copies: Tensor) -> Tensor:
        """The model's answer, if it is logits (rows, classes)."""
        try:
            found = self.model(copies)
        except torch.OutOfMemoryError:  # of whoever chose the batch
            raise
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise InvalidInput(
                f"the model fails on images of shape {tuple(copies.shape[1:])} in {copies.dtype}: "
                f"{str(error).splitlines()[0]}"
            ) from error
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(copies):
            got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise InvalidInput(f"the model gives {got} for {len(copies)} images; it must give logits (rows, classes)")
        return found

    def _noises(self, rows: Tensor) -> Tensor:
        """The noises (m, ...) for images such as `rows`, drawn where there are none yet."""
        drawn = self._drawn
        if (
            drawn is None
            or drawn.shape[1:] != rows.shape[1:]
            or (drawn.dtype, drawn.device) != (rows.dtype, rows.device)
        ):
            generator = torch.Generator(device=rows.device).manual_seed(self.seed % 2**63)
            drawn = self.noise.sample((self.samples, *rows.shape[1:]), generator, dtype=rows.dtype)
            self._drawn = drawn
        return drawn
