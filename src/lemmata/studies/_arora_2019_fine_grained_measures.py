"""What the study of Arora, Du, Hu, Li, Wang (2019) measures: complexity of labels; descent beside its prediction."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import data
from lemmata.bernoulli import clopper_pearson
from lemmata.bounds.label_complexity_bound import ball_terms
from lemmata.data.corruption import corrupt_labels
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool
from lemmata.kernels import EigendirectionRates, eigendirection_rates, kernel_ridge, label_complexity, two_layer_gram
from lemmata.studies._two_layer_first_layer import FirstLayers, residuals
from lemmata.study import Config, Curve, Measurements

TOP = 5  # eigenvectors whose share of the labels is measured
DELTA = 0.05  # with which a bound may fail
DIAGONAL = 0.5  # H(x, x) of every point of unit length
PURPOSES = ("labels", "inputs", "weights", "test labels")  # one independent stream of random numbers each
Inputs = Literal["images", "gaussian"]
Source = Literal["mnist-5k", "mnist", "cifar10"]


class Labels(Config):
    """Labels of two classes, of which a share is redrawn, and the kernel's interpolant of them."""

    data: Source = "mnist-5k"
    n: int = Field(default=600, ge=10, description="training examples of the classes 0 and 1")
    n_test: int = Field(default=400, ge=10)
    corruption: float = Field(default=0.0, ge=0, le=1, description="probability that a label is redrawn")
    inputs: Inputs = "images"
    test_labels: Literal["true", "opposite"] = "true"  # opposite: before any is redrawn


class Descent(Config):
    """One two-layer network of which the first layer is trained by full-batch gradient descent."""

    data: Source = "mnist-5k"
    n: int = Field(default=200, ge=10, description="training examples of the classes 0 and 1")
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels that are averaged")
    width: int = Field(default=4096, ge=1)
    labels: Literal["true", "random"] = "true"
    inputs: Inputs = "images"
    scaling: Literal["ntk", "mean field"] = "ntk"
    order: Literal["right", "reversed"] = "right"
    steps: int = Field(default=150, ge=1)


def measure_labels(configs: Sequence[Labels]) -> list[Measurements]:
    """One eigendecomposition and one solve a seed, for all levels of corruption."""
    found: dict[int, Measurements] = {}
    for seed in dict.fromkeys(config.seed for config in configs):
        places = [place for place, config in enumerate(configs) if config.seed == seed]
        found |= dict(zip(places, _of_one_seed([configs[place] for place in places]), strict=True))
    return [found[place] for place in range(len(configs))]


def _of_one_seed(configs: list[Labels]) -> list[Measurements]:
    first = configs[0]
    part = examples(first.data, first.n, first.n_test, first.seed)
    assert part.x_test is not None and part.y_test is not None  # noqa: PT018 - a split has both
    x, x_test = (unit(inputs(of, first.inputs, first.seed, place)) for place, of in enumerate((part.x, part.x_test)))
    y = torch.stack([corrupt_labels(part.y, c.corruption, 2, generator=_stream(c.seed, "labels")) for c in configs], 1)
    H, targets, right = two_layer_gram(x), y * 2.0 - 1, (part.y_test * 2.0 - 1)[:, None]
    alike = _redrawn_alike(part.y_test, configs) * 2.0 - 1
    if first.test_labels == "opposite":
        right, alike = -right, -alike
    measured = label_complexity(H, targets)
    outputs = kernel_ridge(H, targets, method="cholesky")(two_layer_gram(x_test, x).values)
    loss, error = _loss_and_error(outputs, right)
    loss_alike, error_alike = _loss_and_error(outputs, alike)
    wrong = (outputs.sign() != alike).sum(0).numpy()
    holdout = clopper_pearson(wrong, len(right), alpha=DELTA, side="upper")
    bounds = [_bound(float(high), len(x)) for high in measured.high]
    share = measured.projections.cumulative_energy
    return [
        Measurements.of(
            complexity=measured.value[i],
            interval=(measured.high - measured.low)[i],
            test_loss=loss[i],
            test_error=error[i],
            train_error=0.0,  # it interpolates
            loss_alike=loss_alike[i],
            error_alike=error_alike[i],
            slack=measured.value[i] - loss_alike[i],
            bound=bounds[i],
            bound_slack=bounds[i] - loss_alike[i],
            holdout_bound=holdout[i],
            top_energy=share[TOP - 1, i],
            energy=Curve(np.arange(1, len(share) + 1), share[:, i].numpy()),
        )
        for i in range(len(configs))
    ]


def _redrawn_alike(y_test: Tensor, configs: Sequence[Labels]) -> Tensor:
    """Test labels (m, levels) of the law that the training labels have, which is the one that bounds speak of."""
    redrawn = [corrupt_labels(y_test, c.corruption, 2, generator=_stream(c.seed, "test labels")) for c in configs]
    return torch.stack(redrawn, 1)


def _loss_and_error(outputs: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return (outputs - right).abs().clamp(max=1).mean(0), (outputs.sign() != right).double().mean(0)


def _bound(complexity: float, n: int) -> float:
    """What bounds the interpolant's risk, except with probability `DELTA`; its loss on the sample is 0."""
    norm = complexity * (n / 2) ** 0.5
    terms = ball_terms(norm, n, diagonal=DIAGONAL, delta=DELTA)
    return terms["complexity, rounded up"] + terms["confidence"]


def measure_descent(configs: Sequence[Descent]) -> list[Measurements]:
    """Train all seeds and labels at once, and hold each residual against its predictions."""
    runs = {(config.seed, config.labels): config for config in configs}
    ran = dict(zip(runs, _descended(list(runs.values())), strict=True))
    return [_measured(*ran[config.seed, config.labels], order=config.order) for config in configs]


def _descended(configs: list[Descent]) -> list[tuple[Tensor, EigendirectionRates]]:
    """The residual after every step, and the prediction from H and y - u(0), with the step size 1 / lambda_max."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    drawn = [_training_set(config) for config in configs]
    x, y = (torch.stack(parts).to(device) for parts in zip(*drawn, strict=True))
    networks = FirstLayers.drawn(
        first.width, x.shape[2], [_stream(c.seed, "weights") for c in configs], scaling=first.scaling
    ).to(device)
    start = networks.outputs(x)
    rates = [_rates(*of) for of in zip(x, y - start, strict=True)]
    steps = torch.tensor([found.step_size for found in rates])
    ran = residuals(networks, x, y, step_sizes=steps.to(device), steps=first.steps).cpu()
    return list(zip(ran, rates, strict=True))


def _rates(x: Tensor, left: Tensor) -> EigendirectionRates:
    H = two_layer_gram(x.cpu().double())
    return eigendirection_rates(H, left.cpu().double(), step_size=1 / float(H.eigenvalues[0]))


def _measured(residual: Tensor, found: EigendirectionRates, *, order: str) -> Measurements:
    if order == "reversed":
        found = replace(found, rates=found.rates.flip(0))
    steps = np.arange(len(residual))
    own, predicted = (part / residual[0] for part in (residual, found.residual(torch.from_numpy(steps))))
    return Measurements.of(
        status="ok" if bool(own.isfinite().all()) else "diverged",
        rate_error=(own - predicted).abs().max(),
        left=own[-1],
        residual=Curve(steps, own.numpy()),
        predicted=Curve(steps, predicted.numpy()),
    )


def _training_set(config: Descent) -> tuple[Tensor, Tensor]:
    part = examples(config.data, config.n, 10, config.seed)
    y = part.y
    if config.labels == "random":
        y = corrupt_labels(y, 1.0, 2, generator=_stream(config.seed, "labels"))
    x = mean_pool(part.x, config.pool) if config.pool > 1 else part.x
    return unit(inputs(x, config.inputs, config.seed, 0)).float(), y * 2.0 - 1


def examples(name: str, n: int, n_test: int, seed: int) -> Dataset:
    """Training and test examples of the classes 0 and 1, drawn by the seed."""
    return _two_classes(name).split(n, n_test, seed=seed)


@cache
def _two_classes(name: str) -> Dataset:
    whole = data.load(name)
    two = whole.subset(whole.y < 2)
    if two.x_test is not None and two.y_test is not None:
        two = replace(two, x_test=two.x_test[two.y_test < 2], y_test=two.y_test[two.y_test < 2])
    return two


def inputs(x: Tensor, kind: str, seed: int, place: int) -> Tensor:
    """The images as vectors; or Gaussian vectors of their size, which know nothing of the labels."""
    if kind == "images":
        return x.flatten(1)
    draw = torch.Generator().manual_seed(1000 * seed + 10 * PURPOSES.index("inputs") + place)
    return torch.randn(x.flatten(1).shape, generator=draw)


def unit(x: Tensor) -> Tensor:
    """Rows of unit length, float64, as the papers take them."""
    x = x.double()
    return x / x.norm(dim=1, keepdim=True)


def _stream(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * seed + 10 * PURPOSES.index(purpose))
