"""Test loss over the width, over the number of samples, and over the epochs, of perceptrons of `nakkiran_2020`.

The *interpolation threshold* of a training procedure is where it just fits its training set. Over the width it is the
least width from which on all training errors are at most 1 %; over the number of samples it is the *effective model
complexity*, the largest number up to which they are. It is read off the training error alone. All places are given as
log2, since the grids are even in their logarithm.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from lemmata.studies._nakkiran_2020_training import History, Perceptrons, histories
from lemmata.study import Curve, Measurements
from lemmata.study.kinds.shape import bump

WIDTHS = (2, 4, 8, 10, 12, 14, 17, 20, 24, 32, 100)
SIZES = (60, 90, 120, 180, 250, 350, 500, 700, 1000)
FIRST_OVER_SAMPLES = 100  # added to every seed of curves over the samples: none of them has been seen
FITTED = 0.01  # a training error that counts as none
VISIBLE = math.log(1.25)  # the height of a peak of the log test loss that has a place


class OverWidths(Perceptrons):
    """One curve over the width."""

    n: int = Field(default=500, ge=10, le=1500, description="training examples")


class OverSamples(Perceptrons):
    """One curve over the number of training examples."""

    width: int = Field(default=10, ge=1)


class OverEpochs(Perceptrons):
    """One curve over the epochs."""

    n: int = Field(default=500, ge=10, le=1500, description="training examples")
    width: int = Field(default=100, ge=1)


def run_over_widths(configs: Sequence[OverWidths]) -> list[Measurements]:
    """Train all widths one after the other, each for all members at once."""
    followed = [histories(configs, n=configs[0].n, width=width) for width in WIDTHS]
    return [
        _over_widths([history[i].chosen(config) for history in followed]) for i, config in enumerate(configs)
    ]  # fmt: skip


def _over_widths(points: Sequence[dict[str, float]]) -> Measurements:
    curves = _curves(WIDTHS, points)
    fitted = curves["train_error"].y <= FITTED
    first = len(fitted) - int(np.logical_and.accumulate(fitted[::-1]).sum())
    threshold = math.log2(WIDTHS[first]) if first < len(WIDTHS) else math.inf
    error, below = curves["test_error"].y, slice(None, first)
    return _measured(
        curves, threshold,
        error_second_descent=error[-1] - error[below].min() if first else math.nan,
    )  # fmt: skip


def run_over_samples(configs: Sequence[OverSamples]) -> list[Measurements]:
    """Train on all numbers of samples one after the other, each for all members at once."""
    configs = [config.model_copy(update={"seed": FIRST_OVER_SAMPLES + config.seed}) for config in configs]
    followed = [histories(configs, n=n, width=configs[0].width) for n in SIZES]
    return [
        _over_samples([history[i].chosen(config) for history in followed]) for i, config in enumerate(configs)
    ]  # fmt: skip


def _over_samples(points: Sequence[dict[str, float]]) -> Measurements:
    curves = _curves(SIZES, points)
    count = int(np.logical_and.accumulate(curves["train_error"].y <= FITTED).sum())
    loss = curves["log_test_loss"].y
    return _measured(
        curves, math.log2(SIZES[count - 1]) if count else -math.inf,
        hurt=loss[SIZES.index(250)] - loss[0],
    )  # fmt: skip


def _curves(at: Sequence[int], points: Sequence[dict[str, float]]) -> dict[str, Curve]:
    x = np.log2(at)
    curves = {name: Curve(x, np.array([point[name] for point in points])) for name in points[0]}
    return {**curves, "log_test_loss": Curve(x, np.log(curves["test_loss"].y))}


def _measured(curves: dict[str, Curve], threshold: float, **scalars: float) -> Measurements:
    relative = curves["log_test_loss"]
    found = bump(relative.x, relative.y)
    places: dict[str, Any] = {"threshold": threshold, **scalars}
    if found.height > VISIBLE:
        places |= {"peak": found.peak, "peak_off_threshold": found.peak - threshold}
    return Measurements.of(
        status="ok" if np.isfinite(relative.y).all() else "diverged",
        log_height=found.height,
        height=bump(relative.x, curves["test_loss"].y).height,
        **places,
        **curves,
    )


def run_over_epochs(configs: Sequence[OverEpochs]) -> list[Measurements]:
    """Train all members at once and give their curves over the epochs."""
    followed = histories(configs, n=configs[0].n, width=configs[0].width)
    return [_over_epochs(history) for history in followed]


def _over_epochs(history: History) -> Measurements:
    curves: dict[str, Any] = {name: Curve(history.epochs, values) for name, values in history.curves.items()}
    return Measurements.of(status="ok", **curves)
