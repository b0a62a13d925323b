"""The logs that Cohen et al. published, and those of Jeong and Shin: what the study reads from them.

Nothing is random here: a log is read, verified against its checksum, and counted.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from pydantic import Field

from lemmata import data
from lemmata.bernoulli import clopper_pearson
from lemmata.data import sources
from lemmata.robustness import Certificates, Gaussian, attainable, read_log, recovered_hits
from lemmata.study import Config, Curve, Measurements

COHEN, JEONG = "cohen-2019-logs", "jeong-2020-logs"
SAMPLES = 100_000  # of each image, in section 4
NETWORKS = {"cifar10": "resnet110", "imagenet": "resnet50"}
RADII = {"cifar10": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5), "imagenet": (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)}
# The tables of certified accuracy that the authors made from these logs (`analysis/` of their repository), as printed.
TABLES = {
    "cifar10": {
        0.12: ("0.59", "0.00", "0.00", "0.00", "0.00", "0.00"),
        0.25: ("0.60", "0.43", "0.27", "0.00", "0.00", "0.00"),
        0.5: ("0.55", "0.41", "0.32", "0.23", "0.15", "0.09"),
        1.0: ("0.39", "0.34", "0.28", "0.22", "0.17", "0.14"),
    },
    "imagenet": {
        0.25: ("0.49", "0.00", "0.00", "0.00", "0.00", "0.00"),
        0.5: ("0.46", "0.37", "0.29", "0.00", "0.00", "0.00"),
        1.0: ("0.38", "0.33", "0.26", "0.19", "0.15", "0.12"),
    },
}
PREDICTIONS = (100, 1000, 10_000, 100_000)  # samples of PREDICT
DataSet = Literal["cifar10", "imagenet"]


class Row(Config):
    """One row of a table: the log of one sigma, used in training and in certification."""

    dataset: DataSet = "cifar10"
    sigma: float = 0.25
    row: float | None = Field(
        default=None, description="the sigma whose printed row is compared; None is the log's own"
    )
    alpha: float = Field(default=0.001, gt=0, lt=1, description="level at which the radii are tried and computed anew")


class TradeOff(Config):
    """All sigmas of one data set."""

    dataset: DataSet = "cifar10"
    smoothed: float | None = Field(
        default=None, description="the sigma that all networks are smoothed with; None is each its own"
    )
    unit: Literal["distance", "sigma"] = Field(
        default="distance", description="of the radii at which they are compared"
    )


class Abstention(Config):
    """PREDICT on ImageNet, sigma 0.25, with more and more samples."""

    dealt: int | None = Field(
        default=None,
        description="seed of a random deal of each image's outcomes and times among the numbers of samples",
    )


class MnistLogs(Config):
    """One run of one training method on MNIST, all 10,000 test images; the seed is its place among the five."""

    sigma: float = 0.25
    method: Literal["cohen", "stab", "macer_deferred30", "consistency", "salman"] = "consistency"
    baseline: Literal["cohen", "stab", "macer_deferred30", "consistency", "salman"] = Field(
        default="cohen", description="the method whose run it is held against"
    )


@cache
def log(dataset: str, trained: float, smoothed: float | None = None) -> Certificates:
    """The published certificates of the network trained with one sigma and smoothed with another, or the same."""
    sigma = trained if smoothed is None else smoothed
    name = f"data/certify/{dataset}/{NETWORKS[dataset]}/noise_{trained:.2f}/test/sigma_{sigma:.2f}"
    return read_log(data.find_log(COHEN, name), noise=Gaussian(sigma), name=f"σ = {sigma:g}")


def compare_rows(configs: Sequence[Row]) -> list[Measurements]:
    """Count each log, hold it against its printed row, and try the level that its radii were made with."""
    return [_row(config) for config in configs]


def compare_sigmas(configs: Sequence[TradeOff]) -> list[Measurements]:
    """Which sigma certifies most at each radius, and how the accuracy at radius 0 falls with sigma."""
    return [_trade_off(config) for config in configs]


def count_abstentions(configs: Sequence[Abstention]) -> list[Measurements]:
    """The share of images that PREDICT abstains from, and the time it takes, by the number of samples."""
    return [_abstention(config) for config in configs]


def average_radii(configs: Sequence[MnistLogs]) -> list[Measurements]:
    """The average certified radius of a run, and how far it is ahead of a run of the baseline."""
    return [_mnist(config) for config in configs]


def _row(config: Row) -> Measurements:
    found, radii, noise = log(config.dataset, config.sigma), RADII[config.dataset], Gaussian(config.sigma)
    curve = found.accuracy()
    table = curve.at(radii)
    printed = TABLES[config.dataset][config.sigma if config.row is None else config.row]
    again = _at_level(found, config.alpha)
    change = np.abs(again - np.array([curve.at(r) for r in (0.0, *radii)]))
    return Measurements.of(
        cells_off=sum(f"{share:.2f}" != cell for share, cell in zip(table, printed, strict=True)),
        unattainable=int((~attainable(found.radius.numpy(), SAMPLES, noise, alpha=config.alpha)).sum()),
        largest_change=float(change.max()),
        at_zero=curve.at(0.0), at_half=curve.at(0.5), images=len(found),
        average_radius=found.mean_radius(), seconds=float(found.seconds.mean()),  # type: ignore[union-attr]
        radii=curve.radii, accuracy=curve.accuracy, low=curve.low, high=curve.high,
    )  # fmt: skip


def _at_level(found: Certificates, alpha: float) -> np.ndarray:
    """Certified accuracy at 0 and the table's radii, had the same hits been certified at level `alpha`."""
    assert isinstance(found.noise, Gaussian)
    printed = found.radius.numpy()
    used = next(level for level in (0.001, 0.01) if attainable(printed, SAMPLES, found.noise, alpha=level).all())
    low, high = recovered_hits(printed, SAMPLES, found.noise, alpha=used)
    radius = found.noise.radius(clopper_pearson((low + high) // 2, SAMPLES, alpha=alpha))
    right = found.correct.numpy() & (printed > 0)
    dataset = "imagenet" if found.label is not None and int(found.label.max()) > 9 else "cifar10"
    return np.array([np.mean(right & (radius >= r) & (radius > 0)) for r in (0.0, *RADII[dataset])])


def _trade_off(config: TradeOff) -> Measurements:
    sigmas = list(TABLES[config.dataset])
    radii = np.array((0.0, *RADII[config.dataset]))
    curves = [log(config.dataset, sigma, config.smoothed).accuracy() for sigma in sigmas]
    units = sigmas if config.unit == "sigma" else [1.0] * len(sigmas)
    shares = np.stack([curve.at(unit * radii) for curve, unit in zip(curves, units, strict=True)])
    best, at_zero = shares.argmax(0), shares[:, 0]
    return Measurements.of(
        grows=int(best[-1] > best[0] and (np.diff(best) >= 0).all()), sigmas_needed=len(set(best.tolist())),
        rises_at_zero=int((np.diff(at_zero) >= 0).sum()), best=Curve(radii, np.array(sigmas)[best]),
    )  # fmt: skip


def _abstention(config: Abstention) -> Measurements:
    names = [f"data/predict/imagenet/resnet50/noise_0.25/test/N_{n}" for n in PREDICTIONS]
    found = [read_log(data.find_log(COHEN, name)) for name in names]
    abstained = np.stack([each.abstained.double().numpy() for each in found])
    seconds = np.stack([each.seconds.double().numpy() for each in found])  # type: ignore[union-attr]
    if config.dealt is not None:
        deal = np.random.default_rng(config.dealt).random(abstained.shape).argsort(0)  # a permutation an image
        abstained, seconds = (np.take_along_axis(each, deal, 0) for each in (abstained, seconds))
    share, time = abstained.mean(1), seconds.mean(1)
    right = np.array([each.accuracy([0.0]).accuracy[0] for each in found])
    samples = np.array(PREDICTIONS)
    return Measurements.of(
        rises=int((np.diff(share) >= 0).sum()),
        time_exponent=float(np.polyfit(np.log(samples), np.log(time), 1)[0]),
        abstained=Curve(samples, share), right=Curve(samples, right), seconds=Curve(samples, time),
    )  # fmt: skip


def _mnist(config: MnistLogs) -> Measurements:
    radius, baseline = (_run_radii(method, config.sigma)[config.seed] for method in (config.method, config.baseline))
    return Measurements.of(
        average_radius=radius, lead=radius - baseline, lead_in_sigma=(radius - baseline) / config.sigma
    )


@cache
def _run_radii(method: str, sigma: float) -> tuple[float, ...]:
    """The average certified radius of each of a method's five runs, in the order of their files' names."""
    runs = sorted(
        part for part in sources.find_logs(JEONG).parts
        if part.startswith(f"mnist/{method}/") and float(_noise(part)) == sigma
    )  # fmt: skip
    return tuple(read_log(data.find_log(JEONG, part)).average_radius for part in runs)


def _noise(part: str) -> str:
    found = re.search(r"noise_([\d.]+)_", part)
    assert found is not None
    return found[1]
