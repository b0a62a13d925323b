"""The kernel interpolant of least norm of Zhang et al., on the labels of digits, true or random."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from lemmata import data
from lemmata.data.corruption import random_labels
from lemmata.kernels.regression import Gaussian, kernel_ridge
from lemmata.study import Config, Measurements


class Kernel(Config):
    """One solution of the kernel system."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n: int = Field(default=4000, ge=1, description="training digits; 60,000 is all of mnist, in its own order")
    n_test: int = Field(default=1000, ge=1)
    labels: Literal["true", "random"] = "true"
    kernel: Literal["gaussian", "linear"] = "gaussian"
    bandwidth: float = Field(default=5.0, gt=0, description="s of the Gaussian kernel, in pixels of a range of 1")
    precision: Literal["float32", "float64"] = "float32"


INTERPOLATES = 1e-3  # the residual, as a share of the largest target, above which a solution is refused


def solve_kernel_systems(configs: Sequence[Kernel]) -> list[Measurements]:
    """Solve one system after the other: each takes all the memory there is. Labels true and random share one."""
    systems = dict.fromkeys(_system(config) for config in configs)
    labels = {system: list(dict.fromkeys(c.labels for c in configs if _system(c) == system)) for system in systems}
    solved = {
        (system, name): found
        for system, names in labels.items()
        for name, found in zip(names, _solved(system, names), strict=True)
    }
    return [solved[_system(config), config.labels] for config in configs]


def _system(config: Kernel) -> Kernel:
    return config.model_copy(update={"labels": "true"})


def _solved(config: Kernel, labels: Sequence[str]) -> list[Measurements]:
    """The interpolants of several versions of the labels of the same digits."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = data.load(config.data, dtype=getattr(torch, config.precision), device=device).flat()
    part = whole if config.n == len(whole) else whole.split(config.n, config.n_test, seed=config.seed)
    assert part.x_test is not None
    assert part.y_test is not None
    draw = torch.Generator().manual_seed(config.seed)
    versions = [part.y if name == "true" else random_labels(len(part.y), 10, generator=draw) for name in labels]
    y = torch.stack([version.to(device) for version in versions], 1)  # (n, versions)
    targets = one_hot(y, 10).flatten(1)
    f, residual = _fit(config, part.x, targets)
    fitted, predicted = (f(x).unflatten(1, (-1, 10)).argmax(2) for x in (part.x, part.x_test))
    train_errors = (fitted != y).double().mean(0)
    test_errors = (predicted != part.y_test[:, None]).double().mean(0)
    return [
        Measurements.of(train_error=train, test_error=test, residual=residual)
        for train, test in zip(train_errors, test_errors, strict=True)
    ]


def _fit(config: Kernel, x: Tensor, targets: Tensor) -> tuple[Callable[[Tensor], Tensor], float]:
    """The function of least norm among those nearest to the targets, and how far it stays from them.

    Only a linear kernel, whose rank is that of the pixels, can stay away: its function is by the pixels' Gram matrix.
    """
    if config.kernel == "gaussian":
        f = kernel_ridge(Gaussian(config.bandwidth), targets, x=x, method="cholesky", tolerance=INTERPOLATES)
        return f, f.residual
    pixels, values = x.double(), targets.double()
    weights = torch.linalg.pinv(pixels.mT @ pixels, hermitian=True) @ (pixels.mT @ values)
    return lambda new: new.double() @ weights, float((pixels @ weights - values).abs().max())
