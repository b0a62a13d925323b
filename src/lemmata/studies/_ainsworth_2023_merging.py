"""What Git Re-Basin is tried on: matchings of two networks, good and bad ones, and three networks merged into one."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.landscape import paths, permutation
from lemmata.landscape.paths.path import Path
from lemmata.landscape.permutation import Matching, Permutations
from lemmata.landscape.states import State, mixed, stacked
from lemmata.studies._rebasin_networks import (
    Pair,
    Trained,
    barrier,
    exchanged,
    extreme,
    gain,
    height,
    line,
    seed_of,
    trained,
)
from lemmata.study import Curve, Measurements

MatchingName = Literal["none", "weights", "four passes", "straight-through", "random", "exchanged", "initial"]


Place = tuple[int, bool, str | float]


class Merging(Pair):
    """Two networks, one of them in another order of its neurons, and the line between them."""

    matching: MatchingName = Field(
        default="weights",
        description="how the second network's neurons are ordered: as trained, by weights, by four passes over them at "
        "most, by the straight-through estimator, at random, by weights with the layers' permutations "
        "exchanged, by the weights before training",
    )
    copied: bool = Field(default=False, description="whether the second network is the first one in a random order")
    steps: int = Field(default=20, ge=1, description="steps of the straight-through estimator")
    repaired: bool = Field(default=False, description="whether the midpoint's activations are corrected (REPAIR)")
    mixed: bool = Field(default=False, description="whether REPAIR is given the ends in other orders of their neurons")


class Many(Pair):
    """Several networks, all brought into the order of the first, and their mean."""

    width: int = Field(default=128, ge=1, description="hidden units a layer")
    count: int = Field(default=3, ge=3, description="networks")
    matching: Literal["joint", "pairs", "random"] = "joint"


def merge(configs: Sequence[Merging]) -> list[Measurements]:
    """Train the networks of a block, order them by each member's matching, and follow the lines."""
    nets = trained(configs[0], sorted({config.seed for config in configs}))
    known: dict[Place, Any] = {}
    return [_merged(config, nets[config.seed], known) for config in configs]


def _merged(config: Merging, own: Trained, known: dict[Place, Any]) -> Measurements:
    if own.diverged:
        return Measurements(status="diverged")
    a, b = own.states
    planted: Permutations = {}
    if config.copied:
        planted = permutation.random(own.spec, seed_of(config.seed, "permutation"))
        b = permutation.permuted(own.spec, a, planted)
    permutations, found = _ordered(config, own, b, known)
    before = _once(known, (config.seed, config.copied, config.reach), lambda: line(own, config, a, b))
    after = line(own, config, a, permutation.permuted(own.spec, b, permutations)) if permutations else before
    assert after.test is not None
    assert before.test is not None
    middle = {"height": height(after.loss), "height_test": height(after.test.loss)}
    if config.repaired:
        middle = _repaired(config, own, permutation.permuted(own.spec, b, permutations), after)
    rest = height(after.loss) / height(before.loss) if height(before.loss) > 0 else np.nan
    measured = {
        **middle, "barrier": barrier(after.t, after.loss), "barrier_test": barrier(after.t, after.test.loss),
        "before": barrier(before.t, before.loss),
        "before_test": barrier(before.t, before.test.loss), "gain_test": gain(after.test.loss),
        "error_test": float(after.test.error[[0, -1]].mean()), "peak": extreme(after.test.t, after.test.loss),
        "loss": Curve(after.t, after.loss), "loss_test": Curve(after.test.t, after.test.loss),
        "loss_before": Curve(before.test.t, before.test.loss),
    }  # fmt: skip
    if not np.isnan(rest):
        measured["left"] = rest
    if found is not None:
        measured |= {"passes": found.passes, "cosine": found.cosine, "nearly": _nearly(found)}
    if config.copied:
        measured["recovered"] = permutation.cycle(own.spec, planted, permutations)
    return Measurements.of(**measured)


def _repaired(config: Merging, own: Trained, b: State, path: Path) -> dict[str, float]:
    """The heights of the midpoint with its activations corrected, on digits of training and on test digits."""
    ends = [own.states[0], b]
    middle = mixed([0.5, 0.5], stacked(ends))
    if config.mixed:
        draw = torch.Generator().manual_seed(seed_of(config.seed, "permutation"))
        ends = [permutation.permuted(own.spec, end, permutation.random(own.spec, draw)) for end in ends]
    found = permutation.repair(own.model, middle, ends[0], ends[1], own.train).model.state_dict()
    assert path.test is not None
    return {
        "height": _loss(own, found, own.train) - float(path.loss[[0, -1]].mean()),
        "height_test": _loss(own, found, own.test) - float(path.test.loss[[0, -1]].mean()),
    }


def _ordered(config: Merging, own: Trained, b: State, known: dict[Place, Any]) -> tuple[Permutations, Matching | None]:
    """The permutations of b that a matching gives, and how it went, if it is a search."""
    seed, spec = seed_of(config.seed, "matching"), own.spec
    if config.matching == "none":
        return {}, None
    if config.matching == "random":
        return permutation.random(spec, seed), None

    def once(name: str) -> Matching:
        return _once(known, (config.seed, config.copied, name), lambda: _searched(name, config, own, b))

    if config.matching == "exchanged":
        return exchanged(spec, once("weights").permutations), None
    found = once(config.matching)
    return found.permutations, found


def _once(known: dict[Place, Any], place: Place, find: Callable[[], Any]) -> Any:
    """What members of a seed share is found once."""
    if place not in known:
        known[place] = find()
    return known[place]


def _searched(name: str, config: Merging, own: Trained, b: State) -> Matching:
    a, spec, seed = own.states[0], own.spec, seed_of(config.seed, "matching")
    if name == "straight-through":
        return permutation.straight_through(
            a, b, spec, model=own.model, data=own.train, steps=config.steps, lr=1e-2, seed=seed
        )
    if name == "four passes":
        return permutation.weight_matching(a, b, spec, max_passes=4, seed=seed)
    if name == "initial":
        return permutation.weight_matching(own.initial[0], own.initial[1], spec, seed=seed)
    return permutation.weight_matching(a, b, spec, seed=seed)


def _nearly(found: Matching) -> int:
    """Passes until 99 % of what the objective gains is gained."""
    gained = (found.objective - found.objective[0]) / max(found.objective[-1] - found.objective[0], 1e-300)
    return int(np.argmax(gained >= 0.99))


# ---- several networks ------------------------------------------------------------------------------------------------


def merge_many(configs: Sequence[Many]) -> list[Measurements]:
    """Train the networks of a block, bring those of each seed into one order, and average them."""
    nets = trained(configs[0], sorted({config.seed for config in configs}), configs[0].count)
    return [_averaged(config, nets[config.seed]) for config in configs]


def _averaged(config: Many, own: Trained) -> Measurements:
    if own.diverged:
        return Measurements(status="diverged")
    to_first, around = _to_first(config, own)
    states = [permutation.permuted(own.spec, s, p) for s, p in zip(own.states, to_first, strict=True)]
    merged, plain = (mixed([1 / len(states)] * len(states), stacked(part)) for part in (states, own.states))
    losses = [_test_loss(own, state) for state in own.states]
    found = {
        "merged": _test_loss(own, merged), "plain": _test_loss(own, plain), "worst": max(losses), "best": min(losses),
        "mean": float(np.mean(losses)), "consistent": around,
    }  # fmt: skip
    between = paths.linear(own.model, states[1], states[2 % len(states)], data=own.train, test=own.test, points=3)
    assert between.test is not None
    found |= {"gain_merged": found["merged"] - found["mean"], "between_others": height(between.test.loss)}
    return Measurements(found)


def _to_first(config: Many, own: Trained) -> tuple[list[Permutations], float]:
    """Permutations to the order of the first network, and the share of neurons that a cycle of three returns."""
    spec, seed = own.spec, seed_of(config.seed, "matching")
    if config.matching == "joint":
        found = permutation.match_many(own.states, spec, seed=seed)
        return list(found.permutations), permutation.cycle(
            spec, found.between(1, 2), found.between(0, 1), found.between(2, 0)
        )
    if config.matching == "random":
        draw = torch.Generator().manual_seed(seed)
        some = [{}, *(permutation.random(spec, draw) for _ in own.states[1:])]
        return some, permutation.cycle(spec, *(permutation.random(spec, draw) for _ in range(3)))

    def match(i: int, j: int) -> Permutations:
        return permutation.weight_matching(own.states[i], own.states[j], spec, seed=seed).permutations

    to_first = [{}, *(match(0, j) for j in range(1, config.count))]
    return to_first, permutation.cycle(spec, match(2, 0), match(1, 2), to_first[1])


def _test_loss(own: Trained, state: State) -> float:
    return _loss(own, state, own.test)


def _loss(own: Trained, state: State, digits: tuple[Tensor, Tensor]) -> float:
    x, y = digits
    with torch.no_grad():
        outputs = torch.func.functional_call(own.model, state, (x,))
        return float(torch.nn.functional.cross_entropy(outputs, y))
