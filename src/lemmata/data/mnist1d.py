"""MNIST-1D: ten templates of 12 points, padded, stretched, scaled, moved, noised, sheared, and read at 40 points.

For each example, with its class's template and the constants below, in this order of random draws:

    pad with p zeros, p uniform in 36..60; stretch to 72 points (linear interpolation)
    scale by 1 + 0.4 (u - 1/2); move cyclically by k uniform in 0..47
    where the signal is zero put noise 0.25 g * Gaussian(2) (correlated); add 0.02 g everywhere
    subtract 0.75 (u - 1/2) * linspace(-1/2, 1/2); read at 40 points (linear interpolation)

then shuffle, and bring the whole set to mean 0 and standard deviation 1. Seed 42 with 5,000 examples is the published
dataset, to rounding. A set of its own is made by another seed; its mean and deviation are its own.

Reference: Greydanus, Kobak (2024), Scaling down deep learning with MNIST-1D, ICML, arXiv:2011.14439.
Cost: about 20 microseconds an example. Only the drawing goes one by one, since the stream of the published set
interleaves the draws; templates take one of 25 lengths, so that all else is a gather and two small products.
"""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lemmata.data.sources import Arrays
from lemmata.errors import InvalidInput

PADDING = (36, 60)
SCALE = 0.4
MAX_TRANSLATION = 48
CORRELATED_NOISE, CORRELATION_WIDTH = 0.25, 2
WHITE_NOISE = 0.02
SHEAR = 0.75
LENGTH = 40
PUBLISHED_SEED, PUBLISHED_SIZE, PUBLISHED_TRAIN = 42, 5000, 4000

# The pen's height over time for 0..9, from Fig. 1 of the paper.
TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
_POINTS = len(TEMPLATES[0]) + PADDING[1]  # 72: the length at which noise is added
_NEVER_ZERO = 1e-8  # marks the template's own zeros as signal, so that only the padding is filled with noise


@cache
def read(_folder=None) -> Arrays:
    """The published dataset: 4,000 + 1,000 signals (n, 40) float64, labels int64, read-only. Takes 0.1 s.

    >>> arrays = read()
    >>> arrays.x.shape, arrays.x_test.shape, arrays.y[:8].tolist()
    ((4000, 40), (1000, 40), [2, 6, 4, 5, 6, 6, 6, 0])
    """
    x, y = generate(PUBLISHED_SIZE, seed=PUBLISHED_SEED)
    x.setflags(write=False)
    y.setflags(write=False)
    cut = PUBLISHED_TRAIN
    return Arrays(x[:cut], y[:cut], x[cut:], y[cut:])


def generate(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make `n` examples, the same number of each class: signals (n, 40) float64 and labels (n,) int64, shuffled.

    Everything random comes from `seed` (0 to 2^32 - 1). Raises `InvalidInput` unless n is a positive multiple of 10.

    >>> x, y = generate(100, seed=0)
    >>> x.shape, np.bincount(y).tolist(), bool(abs(x.mean()) < 1e-12)
    ((100, 40), [10, 10, 10, 10, 10, 10, 10, 10, 10, 10], True)
    """
    classes = len(TEMPLATES)
    if n < 1 or n % classes:
        raise InvalidInput(f"mnist1d: n = {n} is not a positive multiple of {classes}, one share for each class")
    random = np.random.RandomState(seed)  # the published set was drawn from this generator
    labels = np.repeat(np.arange(classes), n // classes)
    pads, scales, moves, noise, shears = _draw(random, n)
    order = random.permutation(n)

    signals = _stretched()[labels, pads] * scales[:, None]
    signals = np.take_along_axis(signals, (np.arange(_POINTS) - moves[:, None]) % _POINTS, axis=1)
    correlated = gaussian_filter1d(CORRELATED_NOISE * noise[:, 0], CORRELATION_WIDTH, axis=1)
    signals = np.where(signals != 0, signals, correlated) + WHITE_NOISE * noise[:, 1]
    signals -= shears[:, None] * np.linspace(-0.5, 0.5, _POINTS)
    signals = _resample(signals, LENGTH)[order]
    return (signals - signals.mean()) / signals.std(), labels[order]


def _draw(random: np.random.RandomState, n: int) -> tuple[np.ndarray, ...]:
    """The random numbers of `n` examples in the order of the published stream."""
    pads, moves = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    scales, shears = np.empty(n), np.empty(n)
    noise = np.empty((n, 2, _POINTS))
    low, high = PADDING
    for i in range(n):
        pads[i] = int(random.random_sample() * (high - low + 1))
        scales[i] = 1 + SCALE * (random.random_sample() - 0.5)
        moves[i] = random.randint(MAX_TRANSLATION)
        noise[i] = random.standard_normal((2, _POINTS))
        shears[i] = SHEAR * (random.random_sample() - 0.5)
    return pads, scales, moves, noise, shears


def _stretched() -> np.ndarray:
    """Every template with every padding, stretched: (10, 25, 72)."""
    templates = np.array(TEMPLATES, dtype=np.float64)
    templates -= templates.mean(1, keepdims=True)
    templates /= templates.std(1, keepdims=True)
    templates -= templates[:, :1]  # a signal starts and ends at zero
    templates /= 6
    low, high = PADDING
    padded = (np.pad(templates + _NEVER_ZERO, ((0, 0), (0, p))) for p in range(low, high + 1))
    return np.stack([_resample(signals, _POINTS) for signals in padded], axis=1)


def _resample(signals: np.ndarray, points: int) -> np.ndarray:
    """Linear interpolation of rows (n, m) at `points` equally spaced places, both ends included."""
    m = signals.shape[1]
    old, new = np.linspace(0, 1, m), np.linspace(0, 1, points)
    right = np.clip(np.searchsorted(old, new), 1, m - 1)
    left = right - 1
    slope = (signals[:, right] - signals[:, left]) / (old[right] - old[left])
    return slope * (new - old[left]) + signals[:, left]
