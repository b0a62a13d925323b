"""Tickets of LeNet-300-100 on digits, and random masks and new weights beside them, in one setting.

A seed draws weights, data orders and random masks, and on 5,000 digits the split: seeds 0 to 4 test on disjoint fifths.
Streams are those of the seed and `STREAMS`, which no first run used.
All seeds of a call are trained together; every kind of network in a block starts from the same tickets, found once.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, pruning
from lemmata.studies._disjoint_fifths import disjoint_fifths
from lemmata.study import Config, Curve, Measurements
from lemmata.training import Adam

LEVELS = {0: "100", 3: "51", 7: "21", 10: "11", 15: "4"}
"""Prunings by a fifth (a tenth in the output layer), and the share of 266,200 weights that they leave, in %."""
COMPARED = (3, 7, 10, 15)  # random masks are not drawn at the first
STABLE = 10  # prunings of the networks that are trained twice
STREAMS = 100_000  # added to every seed; a multiple of five, so that five seeds share an order of the digits

Kind = Literal["magnitude", "random", "reinitialised"]


class Digits(Config):
    """The tickets of one network on MNIST, or the networks that they are compared with."""

    kind: Kind = "magnitude"
    source: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n: int = Field(default=3000, ge=60, description="training images")
    validation: int = Field(default=500, ge=1, description="images that decide when to stop")
    epochs: int = Field(default=4, ge=1)
    batch: int = Field(default=60, ge=1)
    lr: float = Field(default=1.2e-3, gt=0, description="step size of Adam")
    every: int = Field(default=34, ge=1, description="steps between measurements")
    one_by_one: bool = Field(default=False, description="train after each pruning, not after 3, 7, 10 and 15")


def ticket_networks(configs: Sequence[Digits]) -> list[Measurements]:
    """Find the tickets of all seeds, train what they are compared with, and measure each kind that is asked for."""
    first = configs[0]
    seeds = sorted({config.seed + STREAMS for config in configs})
    training, validation, test = images(first, seeds)
    tickets = pruning.iterative_magnitude(
        network, training, rounds=15 if first.one_by_one else (3, 4, 3, 5), shares={"output": 0.1}, seeds=seeds,
        optimiser=Adam(lr=first.lr), epochs=first.epochs, batch_size=first.batch, validation=validation, test=test,
        every=first.every, keep_weights=True,
    )  # fmt: skip
    compared = [tickets.level(rounds) for rounds in COMPARED]
    masked = compared[1:]
    reference = pruning.random_tickets(tickets, levels=masked)
    trained = {"magnitude": tickets}
    if any(config.kind == "random" for config in configs):
        trained["random"] = pruning.random_tickets(tickets, levels=masked, seed=1)
    if any(config.kind == "reinitialised" for config in configs):
        trained["reinitialised"] = pruning.reinitialised(
            tickets, lambda seed: network(seed, again=True), levels=compared
        )
    far = distances(reference, tickets)
    near = {kind: distances(own, tickets) for kind, own in trained.items() if kind != "reinitialised"}
    measured = []
    for config in configs:
        i, own = seeds.index(config.seed + STREAMS), trained[config.kind]
        parts = scalars(own, reference, tickets, i)
        if config.kind in near:
            parts |= {f"{name}_ratio": far[name][i] / near[config.kind][name][i] for name in far}
        measured.append(Measurements.of(**parts, **curves(own, i)))
    return measured


def network(seed: int, *, again: bool = False) -> nn.Sequential:
    """LeNet-300-100 with Glorot's normal weights; `again` draws others for the same seed."""
    draw = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, 77 + again]).generate_state(1)[0]))
    return nets.mlp(784, [300, 100], 10, initialisation="xavier_normal", seed=draw)


def distances(networks: pruning.Tickets, tickets: pruning.Tickets) -> dict[str, np.ndarray]:
    """How far two trainings end apart at 10.8 % of the weights, and a training and the dense network, of each seed."""
    found = pruning.stability(networks, tickets.trained[0], levels=[networks.level(STABLE)], points=2)
    return {"data_order": found.data_order[0].numpy(), "pruning": found.pruning[0].numpy()}


def scalars(
    own: pruning.Tickets, reference: pruning.Tickets, tickets: pruning.Tickets, i: int
) -> dict[str, float]:  # fmt: skip
    """What the claims are about, of seed i: see the study."""
    dense, found = tickets.traces[0], {}
    level = float(dense.validation_loss[i, len(dense.steps) // 2])
    whole = crossing(dense.steps, dense.validation_loss[i], level)
    for rounds, name in LEVELS.items():
        if rounds not in own.rounds:
            continue
        place = own.level(rounds)
        trace = own.traces[place]
        found[f"accuracy_{name}"] = float(own.accuracy[place, i])
        found[f"stopping_{name}"] = float(own.stopping[place, i])
        found[f"stopping_accuracy_{name}"] = float(own.stopping_accuracy[place, i])
        found[f"gap_{name}"] = float(own.accuracy[place, i] - tickets.accuracy[0, i])
        found[f"time_{name}"] = crossing(trace.steps, trace.validation_loss[i], level) / whole
        if rounds in reference.rounds:
            wrong = 1 - float(reference.accuracy[reference.level(rounds), i])
            found[f"error_ratio_{name}"] = wrong / max(1 - float(own.accuracy[place, i]), 1e-4)
    if np.isfinite(found.get("time_51", np.inf)):
        found["time_21_over_51"] = found["time_21"] / found["time_51"]
    found["error_ratio"] = float(np.exp(np.mean([np.log(found[f"error_ratio_{name}"]) for name in ("21", "11", "4")])))
    return found


def crossing(steps: Tensor, losses: Tensor, level: float) -> float:
    """The step at which the losses first reach the level, by a straight line between measurements; infinity if never.

    >>> crossing(torch.tensor([0, 10, 20]), torch.tensor([3.0, 1.0, 0.0]), 2.0)
    5.0
    """
    below = (losses <= level).nonzero().flatten()
    if not len(below):
        return float("inf")
    k = int(below[0])
    if k == 0:
        return float(steps[0])
    share = (losses[k - 1] - level) / (losses[k - 1] - losses[k])
    return float(steps[k - 1] + share * (steps[k] - steps[k - 1]))


def curves(own: pruning.Tickets, i: int) -> dict[str, Any]:
    """Test accuracy and early stopping by sparsity, and test accuracy by step at each level."""
    left = 100 * own.density[:, i].numpy()
    order = np.argsort(left)
    by_level = {"accuracy": own.accuracy, "early_accuracy": own.stopping_accuracy, "stopping_step": own.stopping}
    found = {name: Curve(left[order], values[:, i].double().numpy()[order]) for name, values in by_level.items()}
    for place, rounds in enumerate(own.rounds):
        if rounds in LEVELS:
            trace = own.traces[place]
            found[f"learning_{LEVELS[rounds]}"] = Curve(trace.steps.numpy(), trace.test_accuracy[i].numpy())
    return found


Pair = tuple[Tensor, Tensor]


def images(config: Digits, seeds: Sequence[int]) -> tuple[Pair, Pair, Pair]:
    """Training, validation and test images: of 5,000 digits for each seed its own, of MNIST the published test set."""
    x, y, test = _whole(config.source)
    if test is None:
        (x, y), test = disjoint_fifths(x, y, seeds)
    else:
        orders = [torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 + seed)) for seed in seeds]
        order = torch.stack(orders).squeeze(0)[..., : config.n + config.validation]
        x, y = x[order], y[order]
    parts = [slice(config.n), slice(config.n, config.n + config.validation)]
    training, validation = ((x[rows], y[rows]) if y.ndim == 1 else (x[:, rows], y[:, rows]) for rows in parts)
    return training, validation, test


@cache
def _whole(source: str) -> tuple[Tensor, Tensor, Pair | None]:
    whole = data.load(source).flat()
    test = None if whole.x_test is None or whole.y_test is None else (whole.x_test, whole.y_test)
    return whole.x, whole.y, test
