"""The figure of expected variances: theory as lines over the layers, what was measured as points with their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series

if TYPE_CHECKING:
    from lemmata.propagation.expected_variances import ExpectedVariances
    from lemmata.propagation.moments import Moments
    from lemmata.propagation.signals import Signals


def expected_figure(theory: ExpectedVariances, measured: Signals | None) -> Figure:
    """Two panels: signals forwards, gradients backwards."""
    layers = len(theory.preactivation)
    if measured is not None and len(measured) != layers:
        raise InvalidInput(
            f"theory has {layers} weight layers, what was measured {len(measured)}; they must be the same"
        )
    forward = [_theory("activation, theory", theory.activation)]
    backward = [
        _theory("gradient, theory", theory.gradient),
        _theory("weight gradient, theory", theory.weight_gradient),
    ]
    if measured is not None:
        forward.append(_measured("activation", measured.activation))
        backward += [
            _measured("gradient", measured.gradient),
            _measured("weight gradient", measured.weight_gradient),
        ]
    axis = Axis(label="weight layer", ticks=tuple(str(i + 1) for i in range(layers)) if layers <= 20 else ())
    y = Axis(label="standard deviation", log=True)
    return Figure(
        name="expected_variances",
        title=f"Expected signals: {theory.activation_name}, {layers} layers",
        caption="Weight layers from the inputs; theory is the limit of wide layers."
        + (f" Points over units and {measured.samples} samples, bars the middle 90 % of samples." if measured else ""),
        panels=[
            Panel(x=axis, y=y, series=forward, title="activations"),
            Panel(x=axis, y=y, series=backward, title="gradients of the loss"),
        ],
    )


def _theory(label: str, variances: Tensor) -> Series:
    return Series(label=label, x=np.arange(len(variances)), y=variances.sqrt().numpy(), role="theory")


def _measured(label: str, moments: Moments) -> Series:
    low, high = np.nanquantile(moments.sample_variance.sqrt().numpy(), [0.05, 0.95], axis=0)
    x = np.arange(len(moments.std))
    return Series(label=label, x=x, y=moments.std.numpy(), low=low, high=high, style="points")
