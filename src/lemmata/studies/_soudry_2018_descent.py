"""Gradient descent, normalised descent and Adam, step by step, in the study of Soudry and others (2018).

All data sets of a block take their steps together. The step size is given in units of 4 / sigma_max(z)^2, half of what
the paper's theorem allows for the logistic loss, 2 / (beta sigma_max^2) with beta = 1/4. After k steps of size eta
descent is held against gradient flow at the time t = eta k, which knows the same loss and no step size.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.special import expit

from lemmata.studies._soudry_2018_flow import geometry, integrate, log_loss
from lemmata.studies._soudry_2018_margin import Sample, examples
from lemmata.study import Curve, Measurements

DECAY = (0.9, 0.999)  # Adam's, of the mean and of the square
FROM = 0.01  # rates are fitted over the last two decades of steps


class Descent(Sample):
    """One run on the logistic loss, from w = 0."""

    rule: Literal["descent", "normalised", "adam"] = "descent"
    steps: int = Field(default=100_000, ge=100)
    step_size: float = Field(default=1.0, gt=0, description="in units of 4 / sigma_max^2; of 0.01 for Adam")
    epsilon: float = Field(default=1e-8, gt=0, description="Adam's; a large one makes it descent with momentum")


def run_descents(configs: Sequence[Descent]) -> list[Measurements]:
    """Take all steps of all data sets of a block together, and hold each against its machine and its flow."""
    first = configs[0]
    drawn = [examples(config) for config in configs]
    z = np.stack([own for own, _ in drawn])
    eta = first.step_size * 4 / np.linalg.norm(z, 2, axis=(1, 2)) ** 2
    marks = np.unique(np.geomspace(1, first.steps, 120).round().astype(int))
    path = np.stack([w for k, w in enumerate(iterates(z, eta, first), start=1) if k in set(marks.tolist())], axis=1)
    found = []
    for config, (own_z, own), w, step in zip(configs, drawn, path, eta, strict=True):
        norm, angle, gap = geometry(w, own_z, own)
        late = marks >= FROM * config.steps
        log_k = np.log(marks[late])

        def slope(values: np.ndarray, log_k: np.ndarray = log_k) -> float:
            return float(np.polyfit(log_k, values, 1)[0])

        flow = integrate(own_z[None], "logistic", np.append(0.0, np.log1p(step * marks)))[0, 1:]
        of_flow = np.linalg.norm(flow, axis=1)
        found.append(
            Measurements.of(
                norm_slope=slope(norm[late]) * own.margin,
                slope_over_flow=slope(norm[late]) / slope(of_flow[late]),
                loss_slope=slope(log_loss("logistic", w[late] @ own_z.T)),
                angle_exponent=slope(np.log(angle[late])),
                final_angle=float(np.degrees(angle[-1])),
                final_gap=float(gap[-1]),
                norm=Curve(marks, norm * own.margin),
                angle=Curve(marks, np.degrees(angle)),
                margin_gap=Curve(marks, gap),
                norm_of_flow=Curve(marks, of_flow * own.margin),
            )
        )
    return found


def iterates(z: np.ndarray, eta: np.ndarray, config: Descent) -> Iterator[np.ndarray]:
    """The weights (M, d) after each step on data sets z (M, n, d)."""
    w = np.zeros((len(z), z.shape[2], 1))
    zt = np.ascontiguousarray(z.transpose(0, 2, 1))
    eta = eta[:, None, None]
    mean, square = np.zeros_like(w), np.zeros_like(w)
    for k in range(1, config.steps + 1):
        margins = np.matmul(z, w)
        pull = np.matmul(zt, expit(-margins))
        if config.rule == "descent":
            w = w + eta * pull
        elif config.rule == "normalised":
            shares = np.exp(-np.logaddexp(0, margins) - log_loss("logistic", margins[..., 0])[:, None, None])
            w = w + eta * np.matmul(zt, shares)
        else:
            mean += (1 - DECAY[0]) * (pull - mean)
            square += (1 - DECAY[1]) * (pull**2 - square)
            size = np.sqrt(square / (1 - DECAY[1] ** k)) + config.epsilon
            w = w + 0.01 * config.step_size * mean / (1 - DECAY[0] ** k) / size
        yield w[..., 0]
