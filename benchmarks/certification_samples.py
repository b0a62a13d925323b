"""How many samples a certificate takes, against the fixed 100,000 of Cohen et al., on their published logs.

    python benchmarks/certification_samples.py --data-dir DIR [--only decision] [--seeds 40]

writes ``benchmarks/results/certification_samples.json``, row by row, and exits with an error where a bar is missed. DIR
holds the logs of github.com/locuslab/smoothing (its folder data/certify). Samples are counted, not timed, so that load
does not matter; the last row times a look. The rows:

    decision   yes or no at one radius: twelve pairs of a network and a radius
    table      all of Cohen et al.'s radii of a network in one run
    radius     the radius itself, to within 0.05
    look       the processor time of a look and of the boundaries

The coin of an image. A log prints the radius R = sigma Phi^-1(p), p being Clopper-Pearson's bound of h hits in
100,000 at the log's alpha; `read_log` recovers h, and h / 100,000 is taken for the truth. The largest radius means
100,000 hits: there p = 1 - 2e-6. An image that Cohen et al. abstained from gets p = 0.48. Each seed tosses one coin
an image, and on, past where it stopped, to the last of 100,000: the share that the fixed sample certifies is of the
same tosses.

The limit (Wald 1945) knows p: min(n, log(1 / a) / KL(p, p0)), a = alpha where p > p0, 0.01 where not. A test that tells
p from p0 pays it. One that gives up on what n samples could not certify anyway, as ours does, may take fewer.

The peers, at the same alpha, with the bets or levels that they published, Voracek's looked at as often as ours:
Voracek (2024), a Krichevsky-Trofimov bet against p0 on both sides, at 1 / alpha, and at half of it as in the code;
Horvath et al. (2022), looks at 100, 1,000, 10,000 and n at alpha / 4 each, giving up where the upper bound at alpha /
3 lies below p0 (here all samples are kept, where theirs start afresh).
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import betaln, ndtr, ndtri, xlogy

import machine
from lemmata.bernoulli import FixedSequence, GroupSequential, Procedure, clopper_pearson, looks
from lemmata.bernoulli.least_hits import least_hits
from lemmata.robustness import read_log
from turns import RESULTS, merge, show

N, N0, ALPHA, HOPELESS = 100_000, 100, 0.001, 0.01
ABSTAINED, ALL_HITS = 0.48, 1 - 2e-6


class Network(NamedTuple):
    """A published log: its file, sigma, the radii of the twelve decisions, those of the paper's tables, and its alpha.

    Where all 100,000 samples were hits, six of the seven logs print 3.91 sigma: their radii are of alpha = 0.01.
    """

    name: str
    file: str
    sigma: float
    decisions: tuple[float, ...]
    table: tuple[float, ...]
    alpha: float = 0.01


def _network(data: str, sigma: float, decisions: Sequence[float], table: Sequence[float]) -> Network:
    model = {"ImageNet": "imagenet/resnet50", "CIFAR-10": "cifar10/resnet110"}[data]
    file = f"{model}/noise_{sigma:.2f}/test/sigma_{sigma:.2f}"
    return Network(f"{data}, sigma = {sigma:g}", file, sigma, tuple(decisions), tuple(table))


STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
NETWORKS = (
    _network("ImageNet", 0.25, [0.5], [0, 0.5]),
    _network("ImageNet", 0.5, [0.5, 1, 1.5], [0, 0.5, 1, 1.5]),
    _network("ImageNet", 1.0, [1, 3], [0, 0.5, 1, 1.5, 2, 2.5, 3]),
    _network("CIFAR-10", 0.12, [], STEPS[:2])._replace(alpha=0.001),
    _network("CIFAR-10", 0.25, [0.25, 0.5], STEPS[:4]),
    _network("CIFAR-10", 0.5, [1, 1.5], STEPS),
    _network("CIFAR-10", 1.0, [0.5, 2], STEPS),
)


class Coins(NamedTuple):
    """The probabilities (N,) of a log's images, and which were classified correctly."""

    p: np.ndarray
    correct: np.ndarray


class Played(NamedTuple):
    """Lower bounds and samples of all images, and their hits of n tosses, (N,) each."""

    lower: np.ndarray
    samples: np.ndarray
    hits: np.ndarray


def coins(folder: Path, network: Network) -> Coins:
    log = read_log(folder / network.file, sigma=network.sigma, n=N, alpha=network.alpha)
    hits = log.hits.numpy()
    p = np.where(hits == N, ALL_HITS, hits / N)
    return Coins(np.where(log.prediction.numpy() < 0, ABSTAINED, p), log.correct.numpy())


def play(procedure: Procedure, p: np.ndarray, seed: int) -> Played:
    rng = np.random.default_rng(seed)
    selected = rng.binomial(N0, p)
    hits = rng.binomial(np.diff(procedure.looks, prepend=0), p[:, None]).cumsum(axis=1)
    progress, active, samples = procedure.start(selected, N0), np.arange(len(p)), np.zeros(len(p), dtype=np.int64)
    for k, count in enumerate(procedure.looks):
        samples[active] = count
        active = active[~progress.look(k, active, hits[active, k])]
        if not len(active):
            break
    return Played(progress.lower, samples, hits[:, -1])


class Voracek:
    """Krichevsky-Trofimov betting against p0, accepted or given up by the side that the hits are on."""

    n, alpha, looks = N, ALPHA, looks(N)

    def __init__(self, p0: float, threshold: float):
        self.p0, self.threshold = p0, threshold

    def start(self, selected: np.ndarray, n0: int) -> "Voracek":
        """Forget the selection."""
        self.lower = np.zeros(len(selected))
        return self

    def look(self, k: int, active: np.ndarray, hits: np.ndarray) -> np.ndarray:
        """Decide where the bet won the threshold."""
        count = int(self.looks[k])
        won = betaln(hits + 0.5, count - hits + 0.5) - betaln(0.5, 0.5)
        won -= hits * np.log(self.p0) + (count - hits) * np.log1p(-self.p0)
        decided = won > np.log(self.threshold)
        self.lower[active[decided & (hits >= self.p0 * count)]] = self.p0
        return decided


class Horvath:
    """Four looks of Clopper-Pearson."""

    n, alpha, looks = N, ALPHA, np.array([100, 1000, 10_000, N])

    def __init__(self, p0: float):
        self.p0 = p0
        self.accept = least_hits(self.looks, np.full(4, ALPHA / 4), p0)

    def start(self, selected: np.ndarray, n0: int) -> "Horvath":
        """Forget the selection."""
        self.lower = np.zeros(len(selected))
        return self

    def look(self, k: int, active: np.ndarray, hits: np.ndarray) -> np.ndarray:
        """Compare with both bounds."""
        accepted = hits >= self.accept[k]
        self.lower[active[accepted]] = self.p0
        return accepted | (clopper_pearson(hits, self.looks[k], alpha=ALPHA / 3, side="upper") < self.p0)


def wald(p: np.ndarray, p0: float) -> np.ndarray:
    """The samples (N,) that a test of p0 takes which knows p."""
    divergence = xlogy(p, p / p0) + xlogy(1 - p, (1 - p) / (1 - p0))
    wanted = np.log(1 / np.where(p > p0, ALPHA, HOPELESS))
    return np.clip(wanted / np.maximum(divergence, 1e-12), 1, N)


def decision(folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    for network in NETWORKS:
        p = coins(folder, network).p
        for r in network.decisions:
            p0 = float(ndtr(r / network.sigma))
            limit = N / wald(p, p0).mean()
            contestants = {
                "lemmata": FixedSequence([p0], n=N, alpha=ALPHA),
                "Voracek": Voracek(p0, 1 / ALPHA),
                "Voracek, as coded": Voracek(p0, 0.5 / ALPHA),
                "Horvath": Horvath(p0),
            }
            sides = {name: _decided(procedure, p, p0, seeds) for name, procedure in contestants.items()}
            ours, *peers = sides.values()
            bar = 30.0 if r <= 2 * network.sigma else 14.0
            yield _row(
                f"{network.name}: certified at {r:g}?", sides, limit=limit,
                met={
                    f"at least {bar:g}": ours["median"] >= bar,
                    "more than the peers": ours["median"] > max(side["median"] for side in peers),
                    "within 1.4 of the limit": ours["median"] >= limit / 1.4,
                    "lost at most 0.003": ours["share lost"] <= 0.003,
                },
            )  # fmt: skip


def _decided(procedure: Procedure, p: np.ndarray, p0: float, seeds: int) -> dict[str, Any]:
    needed = least_hits(np.array([N]), np.array([ALPHA]), p0)[0]
    runs = [play(procedure, p, seed) for seed in range(seeds)]
    fixed = [(run.hits >= needed).mean() for run in runs]
    kept = [(run.lower >= p0).mean() for run in runs]
    return {
        **_saving([run.samples.mean() for run in runs]),
        "saving with n0": (N + N0) / (np.mean([run.samples.mean() for run in runs]) + N0),
        "median samples": float(np.median([run.samples for run in runs])),
        "share of n": float(np.mean(fixed)),
        "share": float(np.mean(kept)),
        "share lost": float(np.mean(fixed) - np.mean(kept)),
        "share lost, stderr": _stderr(np.subtract(fixed, kept)),
    }


def table(folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    for network in NETWORKS:
        p = coins(folder, network).p
        thresholds = ndtr(np.array(network.table) / network.sigma)
        runs = [play(FixedSequence(thresholds, n=N, alpha=ALPHA), p, seed) for seed in range(seeds)]
        lost = []
        for p0 in thresholds:
            needed = least_hits(np.array([N]), np.array([ALPHA]), float(p0))[0]
            lost.append([(run.hits >= needed).mean() - (run.lower >= p0).mean() for run in runs])
        worst = int(np.argmax(np.mean(lost, axis=1)))
        side = {
            **_saving([run.samples.mean() + N0 for run in runs], N + N0),
            "median samples": float(np.median([run.samples for run in runs])),
            "share lost at the worst radius": float(np.mean(lost[worst])),
            "share lost, stderr": _stderr(lost[worst]),
        }
        bar = 26.0 if len(thresholds) == 2 else 4.5
        limit = (N + N0) / (np.max([wald(p, float(p0)) for p0 in thresholds], axis=0).mean() + N0)
        yield _row(
            f"{network.name}: {len(thresholds)} radii to {network.table[-1]:g}", {"lemmata": side}, limit=limit,
            met={
                f"at least {bar:g}": side["median"] >= bar,
                "lost at most 0.001": side["share lost at the worst radius"] <= 0.001,
            },
        )  # fmt: skip


def radius(folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    for network in NETWORKS:
        if network.sigma == 0.12:
            continue  # a tolerance of 0.05 is half its smallest radius in the table
        p, correct = coins(folder, network)
        scale = _scale(network.sigma)
        procedure = GroupSequential(N, alpha=ALPHA, tolerance=0.05, scale=scale)
        runs = [play(procedure, p, seed) for seed in range(seeds)]
        whole = [scale(clopper_pearson(run.hits, N, alpha=ALPHA)) for run in runs]
        fixed, kept = (
            [(values * correct).mean() for values in side] for side in (whole, [scale(run.lower) for run in runs])
        )
        side = {
            **_saving([run.samples.mean() + N0 for run in runs], N + N0),
            "mean certified radius of n": float(np.mean(fixed)),
            "mean certified radius": float(np.mean(kept)),
            "lost": float(1 - np.mean(kept) / np.mean(fixed)),
            "lost, stderr": _stderr(1 - np.divide(kept, fixed)),
        }
        yield _row(
            f"{network.name}: radius to within 0.05", {"lemmata": side}, met={"at least 2.2": side["median"] >= 2.2}
        )


def _scale(sigma: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda lower: sigma * ndtri(np.maximum(lower, 0.5))


def look(folder: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """500 images, one threshold and seven; the boundaries of all groups of selected hits, not yet cached."""
    sides = {}
    for thresholds in ([0.9], np.linspace(0.5, 0.99, 7)):
        procedure = FixedSequence(thresholds, n=N, alpha=ALPHA)
        selected = np.random.default_rng(0).binomial(N0, np.linspace(0.3, 1, 500))
        start = machine.clock()
        progress = procedure.start(selected, N0)
        prepared = machine.clock() - start
        active, turns = np.arange(500), []
        for _ in range(200):
            start = machine.clock()
            progress.look(0, active, np.full(500, 20))
            turns.append((machine.clock() - start) / 500)
        sides[f"lemmata, {len(thresholds)} thresholds"] = {
            "median": float(np.median(turns)) * 1e6,
            "boundaries of all groups, processor seconds": prepared,
        }
    row = _row("a look of 500 images", sides, met={"below 10": max(side["median"] for side in sides.values()) < 10})
    yield {**row, "unit": "microseconds an image and look; 25 forward passes of a small CNN take about 1,000"}


def _saving(samples: Sequence[float], of: int = N) -> dict[str, Any]:
    mean = float(np.mean(samples))
    return {"median": of / mean, "stderr": of / mean**2 * _stderr(samples), "mean samples": mean}


def _stderr(values: Sequence[float] | np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _row(work: str, sides: dict[str, Any], *, met: dict[str, bool], limit: float | None = None) -> dict[str, Any]:
    met = {bar: bool(reached) for bar, reached in met.items()}
    return {
        "work": work, "unit": "times fewer samples than n = 100,000", "limit": limit, "limit is": "Wald's, knowing p",
        "ours at most": None, "bars": met, "sides": sides,
    }  # fmt: skip


ROWS = {"decision": decision, "table": table, "radius": radius, "look": look}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the logs, with data/certify in it")
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--output", type=Path, default=RESULTS / "certification_samples.json")
    options = parser.parse_args()
    folder = next((found for found in options.data_dir.rglob("certify") if (found / NETWORKS[0].file).exists()), None)
    if folder is None:
        parser.error(f"no certify/{NETWORKS[0].file} below {options.data_dir}")
    torch.set_num_threads(1)
    facts, done = machine.facts(), []
    for name in options.only:
        for row in ROWS[name](folder, options.seeds):
            done.append({**row, "seeds": options.seeds})
            merge(options.output, done[-1], facts)
    show(done)
    missed = [f"{row['work']}: {bar}" for row in done for bar, reached in row["bars"].items() if not reached]
    sys.exit("missed:\n" + "\n".join(missed) if missed else 0)


if __name__ == "__main__":
    main()
