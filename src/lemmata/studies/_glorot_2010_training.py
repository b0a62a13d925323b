"""Training the networks of Table 1 side by side: units, initialisations and seeds in one batch of matrices.

Stochastic gradient descent as in the paper: no momentum, batches of 10, a constant step size. The members of a seed
meet the same batches, whatever their units. Recorded: test error, and of 300 test examples (the paper's number) the
mean, the standard deviation and the 98th percentile of the activations of every hidden layer (its Figures 2 and 3),
with their histograms at the end (its Figure 4).

Cost: 6 b P flops a step and member, b the batch and P the parameters. The chain rule is that of
`lemmata.training.perceptron`, whose activations are replaced by one that treats each member by its own units.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._glorot_2010_examples import Examples, Name
from lemmata.studies._glorot_2010_networks import network
from lemmata.study import Config, Curve, Measurements
from lemmata.training import SGD
from lemmata.training.perceptron import Activation, Perceptrons

OBSERVED = 300  # test examples that activations are observed on
CHECKS, LAST = 9, 4  # observations, and those in the last tenth of the steps, over which the test error is averaged
AHEAD = 50  # steps whose examples are drawn at a time
EDGES = np.linspace(-1, 1, 101)

STEEPEST = {"tanh": 1.0, "sigmoid": 0.25, "softsign": 1.0}
PULLS: dict[str, Callable[[Tensor], Tensor]] = {  # phi' as a function of phi
    "tanh": lambda a: 1 - a.square(),
    "sigmoid": lambda a: a - a.square(),
    "softsign": lambda a: (1 - a.abs()).square(),
}
UNITS: dict[str, Callable[[Tensor], Any]] = {
    "tanh": Tensor.tanh_,
    "sigmoid": Tensor.sigmoid_,
    "softsign": lambda s: s.div_(s.abs().add_(1)),
}


class Training(Config):
    """One network, trained: a row of Table 1 (N: normalised initialisation) on a data set."""

    data: Name = "shapeset"
    units: Literal["tanh", "softsign", "sigmoid"] = "tanh"
    initialisation: Literal["standard", "normalised"] = "standard"
    depth: int = Field(default=5, ge=1, description="hidden layers")
    width: int = Field(default=64, ge=1)
    step_size: float = Field(default=0.1, gt=0)
    batch: int = Field(default=10, ge=1)
    steps: int = Field(default=4000, ge=CHECKS)


def learn(configs: Sequence[Training]) -> list[Measurements]:
    """Train all members at once."""
    order = sorted(range(len(configs)), key=lambda i: configs[i].units)
    members = [configs[i] for i in order]
    first, seeds = configs[0], sorted({config.seed for config in configs})
    examples = [Examples(first.data, seed) for seed in seeds]
    place = torch.tensor([seeds.index(config.seed) for config in members])
    ensemble = assemble(members, examples[0])
    rule = SGD(lr=first.step_size).start(ensemble)
    x_test, y_test = (torch.stack([getattr(e, name) for e in examples])[place] for name in ("x_test", "y_test"))
    checks = moments(first.steps)
    seen, batches = [observe(ensemble, x_test, y_test)], iter(())
    for step in range(1, first.steps + 1):
        batch = next(batches, None)
        if batch is None:
            batches = _ahead(examples, first.batch)
            batch = next(batches)
        x, y = (part[place] for part in batch)
        rule.step(ensemble, x, y, shared=False, factor=1.0)
        if step in checks:
            seen.append(observe(ensemble, x_test, y_test))
    with torch.no_grad():
        hidden = layers(ensemble, x_test[:, :OBSERVED])[:-1]
    found = [_measured(one, checks, seen, [values[i] for values in hidden], i) for i, one in enumerate(members)]
    return [found[order.index(i)] for i in range(len(configs))]


def moments(steps: int) -> np.ndarray:
    """The steps at which networks are observed: 0, some at equal ratios, and the last tenth evenly.

    >>> moments(1000)[-6:].tolist()
    [513, 900, 925, 950, 975, 1000]
    """
    early, late = np.geomspace(steps / 100, 0.9 * steps, CHECKS), np.linspace(0.9 * steps, steps, LAST + 1)
    return np.unique(np.concatenate([[0], early.round(), late.round()])).astype(int)


def assemble(members: Sequence[Training], example: Examples) -> Perceptrons:
    """Stack the networks of the members, sorted by their units, into one ensemble with units by member."""
    models = [
        network(
            example.inputs, [one.width] * one.depth, example.classes, activation="tanh",
            initialisation=one.initialisation, seed=one.seed,
        )
        for one in members
    ]  # fmt: skip
    ensemble = Perceptrons.of(models, "cross_entropy")
    own = mixed([one.units for one in members])
    ensemble.layers = [replace(layer, activation=own) for layer in ensemble.layers[:-1]] + ensemble.layers[-1:]
    return ensemble


def mixed(units: Sequence[str]) -> Activation:
    """The activation of members with these units, equal ones next to each other."""
    sizes = [(name, len(list(group))) for name, group in groupby(units)]
    ends = np.cumsum([size for _, size in sizes])
    slices = [(name, slice(end - size, end)) for (name, size), end in zip(sizes, ends, strict=True)]

    def apply(values: Tensor) -> None:
        for name, own in slices:
            UNITS[name](values[own])

    def pull(gradient: Tensor, values: Tensor) -> None:
        for name, own in slices:
            gradient[own].mul_(PULLS[name](values[own]))

    return Activation(apply, pull)


def layers(ensemble: Perceptrons, x: Tensor) -> list[Tensor]:
    """The activations of every layer (M, width, n) for samples (M, n, inputs), the outputs last."""
    values, found = x.mT, []
    for layer, weight, bias in zip(ensemble.layers, ensemble.weights, ensemble.biases, strict=True):
        values = torch.bmm(weight, values)
        if bias is not None:
            values += bias
        layer.activation.apply(values)
        found.append(values)
    return found


def observe(ensemble: Perceptrons, x: Tensor, y: Tensor) -> dict[str, np.ndarray]:
    """Test errors (M,), and mean and 98th percentile of |activation| of the hidden layers (depth, M)."""
    with torch.no_grad():
        *hidden, outputs = layers(ensemble, x)
        error = (outputs.argmax(1) != y).double().mean(1).numpy()
        hidden = [values[..., :OBSERVED].flatten(1) for values in hidden]
        rank = int(0.98 * hidden[0].shape[1])
        highest = [values.abs().kthvalue(rank, 1).values.numpy() for values in hidden]
    return {
        "error": error,
        "mean": np.stack([values.mean(1).numpy() for values in hidden]),
        "percentile": np.stack(highest),
    }


def _ahead(examples: Sequence[Examples], batch: int):
    drawn = [one.draw(AHEAD * batch) for one in examples]
    x = torch.stack([x.view(AHEAD, batch, -1) for x, _ in drawn], 1)
    y = torch.stack([y.view(AHEAD, batch) for _, y in drawn], 1)
    return iter(zip(x, y, strict=True))


def _measured(
    config: Training, checks: np.ndarray, seen: list[dict[str, np.ndarray]], hidden: list[Tensor], i: int
) -> Measurements:
    """What is kept of member i, `hidden` being its activations (width, samples) at the end."""
    error, mean, percentile = (
        np.stack([one[name][..., i] for one in seen]) for name in ("error", "mean", "percentile")
    )
    if not np.isfinite(mean).all():
        return Measurements.of(status="diverged")
    slopes = [PULLS[config.units](values) / STEEPEST[config.units] for values in hidden]
    quantities: dict[str, Any] = {
        "error": Curve(checks, error),
        "final_error": error[-LAST:].mean(),
        "saturated": np.mean([float((slope < 0.1).double().mean()) for slope in slopes]),
    }
    if config.depth > 1:
        quantities["top_below"] = mean[-1, :-1].min() - mean[-1, -1]
        spread = percentile[:, 0] - percentile[:, -1]
        quantities["spread"] = spread[-1] - spread[0]
    middle, width = (EDGES[1:] + EDGES[:-1]) / 2, EDGES[1] - EDGES[0]
    for layer, values in enumerate(hidden):
        quantities[f"mean_{layer + 1}"] = Curve(checks, mean[:, layer])
        quantities[f"percentile_{layer + 1}"] = Curve(checks, percentile[:, layer])
        density = np.histogram(values.numpy(), EDGES)[0] / (values.numel() * width)
        quantities[f"histogram_{layer + 1}"] = Curve(middle, density)
    return Measurements.of(**quantities)
