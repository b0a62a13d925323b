"""PAC-Bayes bounds on few digits: a prior learnt from a part of them, or fixed before any were seen.

A member is one network and its bound. The conditions of a seed share digits, initial weights and random labels.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from lemmata import bounds, data, nets
from lemmata.bounds.pac_bayes import GaussianPosterior, PriorGrid
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements

STREAMS = Streams("split", "labels", "weights", "prior", "posterior", "bound")
# How a posterior is trained. About a learnt prior there is little to move, by small steps, and its deviation is fixed;
# about initial weights everything is still to be learnt, and the deviation is one of the paper's grid.
TRAINING: dict[str, dict[str, Any]] = {
    "learnt": {"prior_deviation": 0.03, "surrogate": "bounded", "batch": 100, "lr": 2e-4, "lr_deviation": 5e-3},
    "initial": {
        "prior_deviation": PriorGrid(), "surrogate": "logistic", "batch": 50, "lr": 1e-3, "lr_deviation": 3e-2,
    },
}  # fmt: skip


class Digits(Config):
    """One bound on digits of mnist-5k."""

    classes: Literal[2, 10] = Field(default=2, description="2: below five, or not; 10: the digits")
    labels: Literal["true", "random"] = "true"
    prior: Literal["learnt", "initial"] = Field(default="learnt", description="centred at a network learnt, or initial")
    learnt_from: Literal["its part", "everything"] = Field(
        default="its part", description="what a learnt prior has met: everything makes the bound false"
    )
    held: int | None = Field(
        default=None, ge=1, description="samples behind the hold-out bound; None is all of the rest"
    )
    n: int = Field(default=4500, ge=20, description="digits, of which the prior has its share")
    n_test: int = Field(default=500, ge=1)
    share: float = Field(default=0.5, gt=0, lt=1, description="of the digits from which a prior is learnt")
    width: int = Field(default=150, ge=1, description="hidden units, in one layer")
    prior_epochs: int = Field(default=60, ge=1)
    input_dropout: float = Field(default=0.4, ge=0, lt=1, description="share of pixels dropped as the prior is learnt")
    learnt_epochs: int = Field(default=10, ge=1, description="of a posterior about a learnt prior")
    initial_epochs: int = Field(default=20, ge=1, description="of a posterior about initial weights")
    delta: float = Field(default=0.05, gt=0, lt=1, description="in all, a fifth of it for the pairs")
    pairs: int = Field(default=100_000, ge=100, description="(weights, digit) drawn to bound the Gibbs risk, at most")


def bound_on_digits(configs: Sequence[Digits]) -> list[Measurements]:
    """Learn, or not, the prior; train the posterior; bound it, and the prior's centre by the samples held out."""
    return [_bounded(config) for config in configs]


def _bounded(config: Digits) -> Measurements:
    posterior, bound, prior, sample = _trained(config.model_copy(update={"held": None}))  # type: ignore[arg-type]
    held = bounds.Sample(sample.x[: config.held], sample.y[: config.held])
    holdout = bounds.holdout_bound(prior, held, delta=config.delta)
    known = 1 - 1 / config.classes if config.labels == "random" else None
    return measured(posterior, bound, known_risk=known, holdout=holdout.value, lead=bound.value - holdout.value)


@lru_cache(maxsize=16)
def _trained(config: Digits) -> tuple[GaussianPosterior, bounds.Bound, nn.Module, bounds.Sample]:
    """The posterior and its bound, the prior's centre, and the samples that both are bounded by."""
    sample, test = digits(config)
    network = nets.mlp(sample.x.shape[1], [config.width], config.classes, seed=STREAMS.seed(config.seed, "weights"))
    prior, rest, knows = _prior(config, network, sample)
    epochs = config.learnt_epochs if config.prior == "learnt" else config.initial_epochs
    posterior = bounds.gaussian_posterior(
        prior, rest, prior=prior, epochs=epochs, delta=0.8 * config.delta, seed=STREAMS.seed(config.seed, "posterior"),
        **TRAINING[config.prior],
    )  # fmt: skip
    bound = bounds.pac_bayes_bound(
        posterior, rest, prior_knows=knows, delta=config.delta, delta_mc=config.delta / 5, pairs=config.pairs,
        holdout=test, seed=STREAMS.seed(config.seed, "bound"),
    )  # fmt: skip
    return posterior, bound, prior, rest


def measured(
    posterior: GaussianPosterior, bound: bounds.Bound, *, known_risk: float | None, **more: Any
) -> Measurements:
    """What a bound is made of, and how its posterior was trained.

    The risk is the test error; where it is known, as on random labels, which no classifier can tell, it is that.
    """
    test_error = bound.yardstick.test_error
    assert test_error is not None
    risk = test_error if known_risk is None else known_risk
    epochs, history = np.arange(1, len(posterior.history.kl) + 1), posterior.history
    return Measurements.of(
        bound=bound.value, gibbs_error=bound.empirical, test_error=test_error, risk=risk,
        excess=risk - bound.value, kl=posterior.kl, pairs_drawn=bound.terms["pairs"],
        kl_per_sample=Curve(epochs, history.kl / history.n), surrogate=Curve(epochs, history.surrogate), **more,
    )  # fmt: skip


def _prior(config: Digits, network: nn.Module, sample: bounds.Sample) -> tuple[nn.Module, bounds.Sample, Any]:
    """The network at which the prior is centred, the samples of the bound, and what is said of the two."""
    if config.prior == "initial":
        return network, sample, "nothing"
    how: dict[str, Any] = {
        "epochs": config.prior_epochs,
        "input_dropout": config.input_dropout,
        "seed": STREAMS.seed(config.seed, "prior"),
    }
    if config.learnt_from == "its part":
        found = bounds.learnt_prior(network, sample, share=config.share, **how)
        return found.model, found.rest, "a part of the data not in it"
    twice = bounds.Sample(
        sample.x.repeat(2, 1), sample.y.repeat(2)
    )  # nine tenths of which miss one sample in a hundred
    found = bounds.learnt_prior(network, twice, share=0.9, **how)
    first = int(config.share * len(sample))
    return found.model, bounds.Sample(sample.x[first:], sample.y[first:]), "a part of the data not in it"


def digits(config: Digits) -> tuple[bounds.Sample, bounds.Sample]:
    """Digits to learn and bound from, and those for the test, whose labels are as random."""
    part = _whole().split(config.n, config.n_test, seed=STREAMS.seed(config.seed, "split"))
    assert part.x_test is not None
    assert part.y_test is not None
    x, y = torch.cat([part.x, part.x_test]), torch.cat([part.y, part.y_test])
    y = y if config.classes == 10 else (y >= 5).long()
    if config.labels == "random":
        draw = torch.Generator().manual_seed(STREAMS.seed(config.seed, "labels"))
        y = torch.randint(config.classes, y.shape, generator=draw)
    return bounds.Sample(x[: config.n], y[: config.n]), bounds.Sample(x[config.n :], y[config.n :])


@cache
def _whole() -> data.Dataset:
    return data.load("mnist-5k").flat()
