"""How the study of Arora et al. (2020) tunes and tests a classifier on a table: half and half, then four folds.

Hyperparameters are those with the best accuracy on one half of the samples after training on the other (the first of
equals, in the order of the grid); with them the classifier is trained and tested on four folds. Halves and folds have
the classes in the table's proportions. Features are standardised over the whole table, as in the benchmark of
Fernandez-Delgado et al. (2014) that the paper takes its tables from; labels are not looked at for that.

A support vector machine has 7 costs C = 1e-2, ..., 1e4 for each of 15 kernels. Two shortcuts. Where no dual coefficient
is at C, a larger C has the same solution, and is not tried: this is exact. And libsvm's descent may take 50,000 steps;
where it takes more, it is stopped, and larger C are not tried. `stopped` is the share of chosen machines so stopped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lemmata import data
from lemmata.studies._arora_2020_kernels import Candidate, gaussian_kernels, polynomial_kernels, tangent_kernels
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements

COSTS = tuple(10.0**k for k in range(-2, 5))
STEPS = 50_000
FOLDS = 4
STREAMS = Streams("halves", "folds", "labels", "rows", "forest", first=100)
Family = Callable[[np.ndarray], Iterator[Candidate]]


class Comparison(Config):
    """One table and one random split of it, on which all classifiers are tuned and tested."""

    table: str = Field(default="iris", description="a data set of vectors by name")
    labels: Literal["true", "permuted"] = Field(default="true", description="permuted labels mean nothing")
    scrambled: bool = Field(default=False, description="the tangent kernels see the inputs of other samples")
    depth: int = Field(default=5, ge=1, le=20, description="weight layers of the deepest network")
    trees: int = Field(default=200, ge=1, description="trees of a forest")


@dataclass
class Split:
    """Labels of one member with its halves and folds."""

    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]


@dataclass
class Best:
    """The best candidate that a split has met, with its machine's cost."""

    accuracy: float = -1.0
    cost: float = 0.0
    kernel: Candidate = field(default_factory=lambda: Candidate(np.zeros((0, 0)), 0, 0))


def compare(configs: Sequence[Comparison]) -> list[Measurements]:
    """Tune and test every classifier on one table, for all its splits; kernels are computed once for all of them."""
    setting = configs[0]
    table = data.load(setting.table, dtype=torch.float64).flat()
    x, y = standardised(table.x.numpy()), table.y.numpy()
    splits = [split(config, y) for config in configs]

    def tangent(inputs: np.ndarray) -> Iterator[Candidate]:
        return tangent_kernels(inputs, setting.depth)

    seen = [x[_draw(c, "rows").permutation(len(x))] for c in configs] if setting.scrambled else [x]
    found: list[dict[str, float]] = [{} for _ in configs]
    for inputs, group in _grouped(seen, splits, found):
        members, results = zip(*group, strict=True)
        for name, chosen in searched(tangent, inputs, members, last_only=True).items():
            _record(name, chosen, members, results)
    for name, family in (("gaussian", gaussian_kernels), ("polynomial", polynomial_kernels)):
        _record(name, searched(family, x, splits)[""], splits, found)
    for config, part, result in zip(configs, splits, found, strict=True):
        result["forest"] = forest(config, x, part)
        result["majority"] = float(np.bincount(part.y).max() / len(part.y))
    return [Measurements(scalars=result) for result in found]


def standardised(x: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and variance 1; a constant one becomes 0.

    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)


def split(config: Comparison, y: np.ndarray) -> Split:
    """The halves and folds of a member, which do not depend on its other fields, and its labels."""
    from sklearn.model_selection import StratifiedKFold, train_test_split

    if config.labels == "permuted":
        y = _draw(config, "labels").permutation(y)
    rows = np.arange(len(y))
    train, validation = train_test_split(
        rows, test_size=0.5, stratify=y, random_state=STREAMS.seed(config.seed, "halves")
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=STREAMS.seed(config.seed, "folds"))
    return Split(y, np.asarray(train), np.asarray(validation), list(folds.split(rows, y)))


def searched(
    family: Family, x: np.ndarray, splits: Sequence[Split], *, last_only: bool = False
) -> dict[str, list[Best]]:
    """The best kernel and cost of a family for each split: under "", or of networks under "ntk" and "nngp".

    "nngp" has those of which only the last layer is trained.
    """
    names = ("ntk", "nngp") if last_only else ("",)
    best = {name: [Best() for _ in splits] for name in names}
    for kernel in family(x):
        eligible = [name for name in names if name != "nngp" or kernel.second == kernel.first - 1]
        for i, part in enumerate(splits):
            accuracy, cost = validated(kernel.values, part)
            for name in eligible:
                if accuracy > best[name][i].accuracy:
                    best[name][i] = Best(accuracy, cost, kernel)
    return best


def validated(kernel: np.ndarray, part: Split) -> tuple[float, float]:
    """The best accuracy on the validation half over all costs, and the cost that reaches it first."""
    inside = np.ascontiguousarray(kernel[np.ix_(part.train, part.train)])
    across = np.ascontiguousarray(kernel[np.ix_(part.validation, part.train)])
    best, at = -1.0, 0.0
    for cost in COSTS:
        machine = _machine(inside, part.y[part.train], cost)
        accuracy = float((machine.predict(across) == part.y[part.validation]).mean())
        if accuracy > best:
            best, at = accuracy, cost
        if machine.fit_status_ or np.abs(machine.dual_coef_).max() < cost:
            break
    return best, at


def tested(best: Best, part: Split) -> tuple[float, float]:
    """The mean accuracy over the folds with the chosen kernel and cost, and the share of machines stopped early."""
    accuracies, stopped = [], []
    for train, test in part.folds:
        machine = _machine(best.kernel.values[np.ix_(train, train)], part.y[train], best.cost)
        accuracies.append((machine.predict(best.kernel.values[np.ix_(test, train)]) == part.y[test]).mean())
        stopped.append(machine.fit_status_)
    return float(np.mean(accuracies)), float(np.mean(stopped))


def forest(config: Comparison, x: np.ndarray, part: Split) -> float:
    """The accuracy of a random forest whose number of features tried at a node, 1, sqrt(d) or d / 3, is chosen."""
    from sklearn.ensemble import RandomForestClassifier

    d = x.shape[1]

    def accuracy(tried: int, train: np.ndarray, test: np.ndarray) -> float:
        seed = STREAMS.seed(config.seed, "forest")
        grown = RandomForestClassifier(config.trees, max_features=tried, random_state=seed)  # pyright: ignore[reportArgumentType]
        return float((grown.fit(x[train], part.y[train]).predict(x[test]) == part.y[test]).mean())

    choices = sorted({1, round(d**0.5), max(1, d // 3)})
    best = max(choices, key=lambda tried: accuracy(tried, part.train, part.validation))
    return float(np.mean([accuracy(best, train, test) for train, test in part.folds]))


def _machine(kernel: np.ndarray, y: np.ndarray, cost: float):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SVC(kernel="precomputed", C=cost, max_iter=STEPS, cache_size=500).fit(kernel, y)


def _record(name: str, chosen: Sequence[Best], splits: Sequence[Split], results: Sequence[dict[str, float]]) -> None:
    for best, part, result in zip(chosen, splits, results, strict=True):
        result[name], result[f"{name}_stopped"] = tested(best, part)
        result[f"{name}_cost"] = best.cost
        result[f"{name}_first"], result[f"{name}_second"] = best.kernel.first, best.kernel.second


def _grouped(seen: Sequence[np.ndarray], splits: Sequence[Split], results: Sequence[dict[str, float]]):
    """The inputs that tangent kernels see, with the members that see them: all one table, or each its own."""
    pairs = list(zip(splits, results, strict=True))
    return [(seen[0], pairs)] if len(seen) < len(pairs) else [(x, [pair]) for x, pair in zip(seen, pairs, strict=True)]


def _draw(config: Comparison, purpose: str) -> np.random.Generator:
    return np.random.default_rng(STREAMS.seed(config.seed, purpose))
