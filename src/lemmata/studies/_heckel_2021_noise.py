"""How large a bump the noise of single epochs makes of a test error that only falls.

A curve of one network is a course plus the noise of the epoch at which it is read, and the largest
minimum-peak-minimum of noise is not small. Its mean is found by drawing curves of one descent: the falling curve that
fits the measured one best (isotonic regression), plus Gaussian noise of the measured curve's size. The size is read off
second differences, y_{t-1} - 2 y_t + y_{t+1}, whose variance is six times that of the noise and which a smooth course
leaves small. What a real double descent has beyond this mean is underestimated, since the fit cannot follow its rise.
"""

import numpy as np

from lemmata.study.kinds.shape import bump

DRAWS = 200
FEWEST = 5  # points of a curve, from which there are second differences to speak of


def bump_of_noise(x: np.ndarray, y: np.ndarray, *, smooth: int, seed: int) -> float:
    """The mean bump, after smoothing, of curves that fall and have the noise of y (T,) at x (T,).

    T is at least 5. Random: the noise, from `seed`. Cost: 200 curves, some milliseconds. The fall at the beginning,
    which is steep, is left out of the size of the noise: it counts from where half of it is done.

    >>> x = np.arange(40.0)
    >>> bump_of_noise(x, 1 / (1 + x), smooth=3, seed=0) < 1e-2
    True
    """
    from scipy.optimize import isotonic_regression

    fall = isotonic_regression(y, increasing=False).x
    late = int(np.argmax(fall <= (fall[0] + fall[-1]) / 2))
    second = np.diff(y[max(0, min(late, len(y) - FEWEST)) :], 2)
    size = float(np.sqrt(np.mean(second**2) / 6))
    noise = size * np.random.default_rng(seed).standard_normal((DRAWS, len(y)))
    return float(np.mean([bump(x, fall + draw, smooth=smooth).height for draw in noise]))
