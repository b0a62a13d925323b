"""Barriers between independent networks, and between networks that differ in the order of their neurons only."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field

from lemmata.landscape import permutation
from lemmata.landscape.states import State
from lemmata.studies._entezari_2021_annealing import anneal
from lemmata.studies._rebasin_networks import Pair, Trained, barrier, extreme, line, moved_share, seed_of, trained
from lemmata.study import Curve, Measurements

FIRST = 3_200  # added to every seed, so that none has been seen


class Barrier(Pair):
    """The line between two networks."""

    n: int = Field(default=1000, ge=1, description="training digits")
    n_test: int = Field(default=156, ge=1, description="test digits: 32 seeds share none")
    depth: int = Field(default=1, ge=1, description="hidden layers")
    presented: int = Field(default=20_000, ge=0, description="digits seen in training, each as often as the others")
    step_size: float = Field(default=0.05, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    points: int = Field(default=11, ge=3, description="points on a line")
    narrow: int = Field(default=1, ge=1, description="what the width is divided by")
    other: Literal["independent", "permuted"] = Field(
        default="independent", description="the second network: trained by itself, or the first in another order"
    )
    moved: float = Field(default=1.0, gt=0, le=1, description="share of each layer's neurons that a copy has elsewhere")
    search: Literal["none", "annealing", "weights"] = Field(
        default="none", description="how an order of the second network's neurons is sought"
    )
    swaps: int = Field(default=1000, ge=1, description="steps of annealing")
    annealed_on: int = Field(default=250, ge=1, description="digits on which annealing sees the loss")


def measure(configs: Sequence[Barrier]) -> list[Measurements]:
    """Train the networks of a block, order them, and follow the lines."""
    configs = [config.model_copy(update={"seed": FIRST + config.seed}) for config in configs]
    setting = configs[0]
    narrowed = setting.model_copy(update={"width": max(1, setting.width // setting.narrow)})
    nets = trained(narrowed, sorted({config.seed for config in configs}))
    ends = [_second(config, nets[config.seed]) for config in configs]
    _anneal(configs, nets, ends)
    return [_measured(config, nets[config.seed], b) for config, b in zip(configs, ends, strict=True)]


def _second(config: Barrier, own: Trained) -> State:
    """The second network of a member, as it is or matched by weights."""
    b = own.states[1]
    if config.other == "permuted":
        order = moved_share(own.spec, config.moved, seed_of(config.seed, "permutation"))
        b = permutation.permuted(own.spec, own.states[0], order)
    if config.search == "weights":
        b = permutation.weight_matching(own.states[0], b, own.spec, seed=seed_of(config.seed, "matching")).state
    return b


def _anneal(configs: Sequence[Barrier], nets: dict[int, Trained], ends: list[State]) -> None:
    """Put those second networks that are to be annealed into the order found, all of them at once."""
    which = [i for i, config in enumerate(configs) if config.search == "annealing" and not nets[config.seed].diverged]
    if not which:
        return
    x, y = (
        torch.stack([nets[configs[i].seed].train[part][: configs[i].annealed_on] for i in which]) for part in (0, 1)
    )
    found, _ = anneal(
        [(nets[configs[i].seed].states[0], ends[i]) for i in which], x, y, steps=configs[0].swaps,
        seeds=[seed_of(configs[i].seed, "matching") for i in which],
    )  # fmt: skip
    for i, state in zip(which, found, strict=True):
        ends[i] = state


def _measured(config: Barrier, own: Trained, b: State) -> Measurements:
    if own.diverged:
        return Measurements(status="diverged")
    a = own.states[0]
    after = line(own, config, a, b)
    assert after.test is not None
    measured = {
        "barrier": barrier(after.t, after.loss), "barrier_test": barrier(after.t, after.test.loss),
        "error_barrier": barrier(after.t, after.error), "train_error": float(after.error[0]),
        "test_error": float(after.test.error[0]), "peak": extreme(after.t, after.loss),
        "loss": Curve(after.t, after.loss), "loss_test": Curve(after.test.t, after.test.loss),
    }  # fmt: skip
    if config.search != "none":
        before = line(own, config, a, _second(config.model_copy(update={"search": "none"}), own))
        measured["before"] = barrier(before.t, before.loss)
        if measured["before"] > 0:
            measured["left"] = barrier(after.t, after.loss) / measured["before"]
    return Measurements.of(**measured)
