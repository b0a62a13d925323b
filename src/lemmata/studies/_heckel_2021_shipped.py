"""The share of wrong labels that the repository of Heckel and Yilmaz (2021) makes of its own configuration.

github.com/MLI-lab/early_stopping_double_descent, results/mcnn/cifar/base/config.json: `inject_noise` is 0.2 / 9. The
code, train.py, takes it for the share of wrong labels of one of ten classes of 5,000, divides it by the nine other
classes, and gives each of the ten labels, the true one too, to that share of the class, rounded down.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from lemmata.study import Config, Measurements

CLASSES = 10


class Shipped(Config):
    """Labels of CIFAR-10, and what is done to them."""

    inject_noise: float = Field(default=0.2 / 9, ge=0, le=1, description="as in the configuration")
    divided: bool = Field(default=True, description="the code's division by nine is made")
    per_class: int = Field(default=5000, ge=1)


def count_wrong_labels(configs: Sequence[Shipped]) -> list[Measurements]:
    """Relabel, and count. Nothing that is counted is random."""
    found = []
    for config in configs:
        true = np.arange(CLASSES).repeat(config.per_class)
        found.append(Measurements.of(wrong_labels=float((relabelled(config) != true).mean())))
    return found


def relabelled(config: Shipped) -> np.ndarray:
    """The labels (10 n,) of classes of n samples each, class by class.

    >>> relabelled(Shipped(per_class=1000))[994:1001].tolist()
    [2, 2, 1, 1, 0, 0, 1]
    """
    given = int(config.per_class * config.inject_noise / (CLASSES - 1 if config.divided else 1))
    labels = np.arange(CLASSES)[:, None].repeat(config.per_class, axis=1)
    for label in range(CLASSES):
        end = config.per_class - label * given
        labels[:, end - given : end] = label
    return labels.ravel()
