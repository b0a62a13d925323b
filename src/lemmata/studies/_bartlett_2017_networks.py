"""Pairs of networks, one on easier labels and one on harder ones: trained at once, then measured by their norms.

The networks of a seed share digits, initial weights and batches. A configuration that differs from another only in what
is made of the networks (whose norms divide the margins, how the second is scaled) trains nothing anew.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.stats import rankdata
from torch import Tensor, nn

from lemmata import bounds, data, nets, training
from lemmata.data.corruption import corrupt_labels, gaussian_pixels
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool, whiten
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements, Section

STREAMS = Streams("split", "first", "second", "inputs", "weights", "batches")
SHARES = np.linspace(0.01, 0.99, 99)  # at which distributions of margins are recorded
TOGETHER = 8  # networks that are trained in one call: their weights and velocities stay near the core


class Network(Section):
    """A perceptron without biases of two hidden layers, or a convolutional network with `width` channels."""

    kind: Literal["mlp", "convnet"] = "mlp"
    width: int = Field(default=128, ge=1, description="hidden units a layer, or channels")


class Training(Section):
    """Stochastic gradient descent with momentum for a fixed number of epochs."""

    step_size: float = Field(default=0.03, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=120, ge=2)


class Pair(Config):
    """Two networks: labels redrawn with probability `easy` for the first and `hard` for the second."""

    data: Literal["mnist-5k", "cifar10"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=1000, ge=10, description="training examples")
    n_test: int = Field(default=1500, ge=1)
    easy: float = Field(default=0.0, ge=0, le=1)
    hard: float = Field(default=1.0, ge=0, le=1)
    inputs: Literal["true", "gaussian"] = "true"
    norms: Literal["own", "exchanged", "untrained"] = Field(default="own", description="whose norms divide margins")
    margin: Literal["own", "none"] = Field(default="own", description="what the Lipschitz constant is divided by")
    scale: float = Field(default=1.0, gt=0, description="of the last layer of the second network, after training")
    network: Network = Network()
    training: Training = Training()


@dataclass(frozen=True)
class Trained:
    """One network at the end of its training, and the course of it.

    `margins` (n,); `complexity` spectral, `untrained` that of margins taken as they are, 1; curves over `epochs`: log
    Lipschitz constants (product of spectral norms), excess risk, training error, median margins.
    """

    margins: np.ndarray
    complexity: float
    errors: tuple[float, float]
    bound: tuple[float, float]
    epochs: np.ndarray
    course: Mapping[str, np.ndarray]


Run = tuple[int, float, str, str]  # seed, share of redrawn labels, whose draw of them, inputs
Key = tuple[int, float, str, str, float]  # a run, and the scale of its last layer


def measure_pairs(configs: Sequence[Pair]) -> list[Measurements]:
    """Train each network that is needed once, and compare those of each pair."""
    keys = [(_key(c, "first"), _key(c, "second")) for c in configs]
    needed = {key: c for c, pair in zip(configs, keys, strict=True) for key in pair}
    trained = dict(zip(needed, _train(configs[0], list(needed)), strict=True))
    return [_compared(c, trained[a], trained[b]) for c, (a, b) in zip(configs, keys, strict=True)]


def _key(config: Pair, which: str) -> Key:
    """What a network's training and scale depend on; true labels are the same whichever network has them."""
    share, scale = (config.easy, 1.0) if which == "first" else (config.hard, config.scale)
    return config.seed, share, "first" if share == 0 else which, config.inputs, scale


def _train(setting: Pair, keys: Sequence[Key]) -> list[Trained]:
    """Train the network of each run once, some at a time, and measure those of all keys."""
    runs, whole = list(dict.fromkeys(key[:4] for key in keys)), prepared(setting)
    found: dict[Key, Trained] = {}
    for start in range(0, len(runs), TOGETHER):
        together = runs[start : start + TOGETHER]
        samples = [labelled(setting, whole, *run) for run in together]
        starts = [network(setting, whole, run[0]) for run in together]
        result = _trained(setting, together, starts, samples)
        place = {run: i for i, run in enumerate(together)}
        found |= {
            key: _finished(key, place[key[:4]], result, starts, samples) for key in keys if key[:4] in place
        }  # fmt: skip
    return [found[key] for key in keys]


def _trained(
    setting: Pair, runs: Sequence[Run], starts: Sequence[nn.Module], samples: Sequence[tuple[Tensor, ...]]
) -> training.Result:
    """Train networks on their samples in one call."""
    x, y, x_test, y_test = (torch.stack(parts) for parts in zip(*samples, strict=True))
    rule = training.SGD(lr=setting.training.step_size, momentum=setting.training.momentum)
    probes: dict[str, training.Probe | training.WeightProbe] = {
        "test_error": training.Probe(x_test, y_test, metric="error", at=CHECKS),
        "median_margin": training.Probe(x, y, metric=median_margin, at=CHECKS),
    }
    if setting.network.kind == "mlp":
        probes["log_lipschitz"] = training.WeightProbe(log_product, at=CHECKS)
    return training.train(
        starts, x, y, optimiser=rule, batch_size=setting.training.batch, epochs=setting.training.epochs,
        seeds=[STREAMS.seed(run[0], "batches") for run in runs], train_at=CHECKS, probes=probes,
    )  # fmt: skip


def CHECKS(epochs: int) -> list[int]:  # noqa: N802  (a constant that depends on the length of the training)
    """The epochs after which something is measured: all up to 20, then one in five."""
    return sorted({*range(1, min(epochs, 20) + 1), *range(20, epochs + 1, 5), epochs})


def prepared(setting: Pair) -> Dataset:
    """The whole dataset, each image cropped to its centre of 28x28 and averaged over blocks."""
    whole = data.load(setting.data)
    edge = (whole.x.shape[-1] - 28) // 2
    centre = slice(edge, edge + 28)

    def resized(x: Tensor | None) -> Tensor | None:
        return None if x is None else mean_pool(x[:, :, centre, centre], setting.pool)

    return replace(whole, x=resized(whole.x), x_test=resized(whole.x_test))


def labelled(  # noqa: PLR0917
    setting: Pair, whole: Dataset, seed: int, share: float, which: str, inputs: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whitened training images with a share of the labels redrawn, and test images with theirs."""
    part = whole.split(setting.n, setting.n_test, seed=STREAMS.seed(seed, "split"))
    x, x_test = part.x, part.x_test
    assert x_test is not None
    assert part.y_test is not None
    if inputs == "gaussian":
        draw = torch.Generator().manual_seed(STREAMS.seed(seed, "inputs"))
        x, x_test = gaussian_pixels(x, generator=draw), gaussian_pixels(x_test, generator=draw)
    draw = torch.Generator().manual_seed(STREAMS.seed(seed, which))
    return whiten(x), corrupt_labels(part.y, share, whole.classes, generator=draw), whiten(x_test), part.y_test


def network(setting: Pair, whole: Dataset, seed: int) -> nn.Module:
    """An untrained network, the same for all labels of a seed."""
    draw, width = torch.Generator().manual_seed(STREAMS.seed(seed, "weights")), setting.network.width
    if setting.network.kind == "convnet":
        depth, height, across = whole.x.shape[1:]
        return nets.convnet(width, image=(depth, height, across), outputs=whole.classes, seed=draw)
    return nets.mlp(whole.x[0].numel(), [width, width], whole.classes, bias=False, seed=draw)


def log_product(states: Mapping[str, Tensor]) -> Tensor:
    """The logarithm of the product of the spectral norms of all weights (m, out, in) of m perceptrons.

    From the largest eigenvalue of the smaller Gram matrix, in the weights' own precision: the largest is good to some
    roundings, and costs half of what singular values do.
    """
    return torch.stack([_largest_square(weight).log() / 2 for weight in states.values()]).sum(0)


def _largest_square(weights: Tensor) -> Tensor:
    """The largest squared singular value of each matrix (m, out, in)."""
    gram = weights @ weights.mT if weights.shape[1] <= weights.shape[2] else weights.mT @ weights
    return torch.linalg.eigvalsh(gram)[:, -1]


def median_margin(outputs: Tensor, y: Tensor) -> Tensor:
    """The median margin of one network's outputs (n, C)."""
    own = outputs.gather(1, y[:, None])[:, 0]
    return (own - outputs.scatter(1, y[:, None], -torch.inf).amax(1)).sort().values[len(y) // 2]


def _finished(
    key: Key, i: int, result: training.Result, starts: Sequence[nn.Module], samples: Sequence[tuple[Tensor, ...]]
) -> Trained:
    """The measures of one network, by norms of the operators that its layers are."""
    model, start = result.model(i), starts[i]
    x, y, x_test, y_test = samples[i]
    with torch.no_grad():
        for parameter in list(model.children())[-1].parameters():  # the last layer
            parameter.mul_(key[4])
    found = bounds.spectral_margin_bound(model, (x, y), initial=start, holdout=(x_test, y_test))
    complexity = bounds.spectral_complexity_measure(model, x, start, found=found.details.layers).value
    course = {name: values[i].double().numpy() for name, (_, values) in result.curves.items()}
    epochs = result.curves["test_error"][0].double().numpy()
    at = np.isin(result.curves["train_error"][0].numpy(), epochs)
    train_error = course["train_error"][at]
    kept = {name: course[name] for name in ("median_margin", "log_lipschitz") if name in course}
    kept |= {"excess": course["test_error"] - train_error, "train_error": train_error}
    beside = found.yardstick
    assert beside.train_error is not None
    assert beside.test_error is not None
    assert beside.holdout_bound is not None
    return Trained(
        found.details.margins.values.numpy(), complexity, (beside.train_error, beside.test_error),
        (beside.holdout_bound, found.value), epochs, kept,
    )  # fmt: skip


def _compared(config: Pair, first: Trained, second: Trained) -> Measurements:
    """What is said of a pair."""
    divisors = {
        "own": (first.complexity, second.complexity),
        "exchanged": (second.complexity, first.complexity),
        "untrained": (1.0, 1.0),
    }[config.norms]
    easy, hard = first.margins / divisors[0], second.margins / divisors[1]
    left = np.quantile(hard, SHARES[9:90:10]) < np.quantile(easy, SHARES[9:90:10])
    measured = {
        "separation_raw": ahead(second.margins, first.margins),
        "separation": ahead(hard, easy),
        "deciles_left": float(left.mean()),
        "log_complexity": math.log10(second.complexity),
        "log_complexity_easy": math.log10(first.complexity),
        "raw_easy": Curve(SHARES, np.quantile(first.margins, SHARES)),
        "raw_hard": Curve(SHARES, np.quantile(second.margins, SHARES)),
        "normalised_easy": Curve(SHARES, np.quantile(easy, SHARES)),
        "normalised_hard": Curve(SHARES, np.quantile(hard, SHARES)),
    }
    for name, one in (("easy", first), ("hard", second)):
        measured |= {
            f"train_error_{name}": one.errors[0], f"test_error_{name}": one.errors[1],
            f"holdout_bound_{name}": one.bound[0], f"bound_{name}": one.bound[1],
        }  # fmt: skip
    if "log_lipschitz" in first.course:
        measured |= _course(config, first, second)
    return Measurements.of(excess_risk=second.errors[1] - second.errors[0], **measured)


def ahead(smaller: np.ndarray, larger: np.ndarray) -> float:
    """The probability that one of the first numbers is below one of the second, ties counted half."""
    ranks = rankdata(np.concatenate([smaller, larger]))[len(smaller) :]
    return float((ranks.mean() - (len(larger) + 1) / 2) / len(smaller))


def _course(config: Pair, first: Trained, second: Trained) -> dict[str, float | Curve]:
    """Lipschitz constants and excess risk over the epochs of both networks, and what a margin makes of the former."""
    logs = [one.course["log_lipschitz"] for one in (first, second)]
    if config.norms == "exchanged":
        logs.reverse()
    elif config.norms == "untrained":
        logs = [np.zeros_like(one) for one in logs]
    growth, divided, curves = [], [], {}
    for name, one, log in zip(("easy", "hard"), (first, second), logs, strict=True):
        margin = (
            np.log(np.maximum(one.course["median_margin"], 1e-12)) if config.margin == "own" else np.zeros_like(log)
        )
        fitted = np.flatnonzero(one.course["train_error"] == 0)
        start = fitted[0] if len(fitted) else -1
        growth.append(log[-1] - log[start] if len(fitted) else np.nan)
        divided.append((log - margin)[-1] - (log - margin)[start] if len(fitted) else np.nan)
        curves |= {
            f"log_lipschitz_{name}": Curve(one.epochs, log), f"excess_{name}": Curve(one.epochs, one.course["excess"]),
            f"log_by_margin_{name}": Curve(one.epochs, log - margin),
            f"fitted_{name}": float(one.epochs[start]) if len(fitted) else math.inf,
            f"correlation_{name}": float(np.corrcoef(one.course["excess"], log)[0, 1]) if np.ptp(log) else 0.0,
        }  # fmt: skip
    if not np.isfinite(growth).all():  # a network that never fits its labels
        return curves
    total = float(np.sum(growth))
    left = {"share_left": float(np.sum(divided)) / total} if total else {}  # of no growth there are no shares
    return {"growth": total, **left, **curves}
