"""Smallest eigenvalues of growing kernel matrices in several arithmetics: the runs of the study of Lee et al."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import data
from lemmata.kernels import FullyConnected, analytic_nngp, analytic_ntk
from lemmata.study import Config, Curve, Measurements

Arithmetic = Literal["textbook float32", "textbook float64", "float32", "float16", "bfloat16"]
SMALLEST, LARGEST = -3.895, 2.023  # 1 % and 99 % of the Tracy-Widom law of real symmetric matrices
ROUNDED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Points(Config):
    """Random points on a sphere, as many as a kernel matrix can hold before it breaks."""

    kernel: Literal["ntk", "nngp"] = "ntk"
    dimension: int = Field(default=2, ge=2)
    depth: int = Field(default=2, ge=2, description="weight layers of the ReLU network")
    arithmetic: Arithmetic = "textbook float32"
    assumed: Literal["as computed", "float32", "float16", "bfloat16"] = Field(
        default="as computed", description="the precision whose rounding the prediction is made with"
    )
    largest: int = Field(default=1024, ge=8, description="points at most; sizes are 8, 11, 16, 23, ... up to it")


class Digits(Config):
    """Digits, and every one of them again with a little noise."""

    n: int = Field(default=300, ge=2, description="digits, of which there are as many near-duplicates")
    noise: float = Field(default=1e-4, gt=0, description="standard deviation; pixels lie between 0 and 1")
    depth: int = Field(default=5, ge=2)
    arithmetic: Arithmetic = "textbook float32"


def grow(configs: Sequence[Points]) -> list[Measurements]:
    """One member after the other: their cost is that of eigenvalues."""
    return [_grow(config) for config in configs]


def duplicate(configs: Sequence[Digits]) -> list[Measurements]:
    """The smallest eigenvalue, in units of float64's."""
    found = []
    for config in configs:
        draw = torch.Generator().manual_seed(config.seed)
        x = data.load("mnist-5k").x.flatten(1).float()
        x = x[torch.randperm(len(x), generator=draw)[: config.n]]
        x = torch.cat([x, x + config.noise * torch.randn(x.shape, generator=draw)])
        right, computed = matrices(x, "ntk", config.depth, config.arithmetic)
        exact, least = float(eigenvalues(right)[0]), float(eigenvalues(computed)[0])
        found.append(Measurements.of(exact=exact, least=least, ratio=least / exact, departure=abs(least / exact - 1)))
    return found


def points(config: Points) -> Tensor:
    """Uniform on the sphere, float32: those of a smaller size are the first of a larger one."""
    draw = torch.Generator().manual_seed(config.seed)
    x = torch.randn(config.largest, config.dimension, generator=draw)
    return x / x.norm(dim=1, keepdim=True)


def matrices(x: Tensor, kernel: str, depth: int, arithmetic: Arithmetic) -> tuple[Tensor, Tensor]:
    """The kernel in float64, and as the arithmetic has it; both are given in float64."""
    function = analytic_ntk if kernel == "ntk" else analytic_nngp
    network = FullyConnected(depth)
    right = function(x.double(), network=network).values
    if arithmetic.startswith("textbook"):
        given = x.double() if arithmetic.endswith("64") else x
        return right, textbook(given, depth)[kernel].double()
    if arithmetic == "float32":
        return right, function(x, network=network).values.double()
    return right, right.to(ROUNDED[arithmetic]).double()


def textbook(x: Tensor, depth: int) -> dict[str, Tensor]:
    """The recursion as papers print it, in the arithmetic of x: the arc cosine of a rounded cosine."""
    nngp = 2 * x @ x.mT / x.shape[1]
    ntk = nngp
    for _ in range(depth - 1):
        norms = nngp.diagonal().sqrt()
        cosine = (nngp / norms[:, None] / norms).clamp(-1, 1)
        angle = cosine.acos()
        nngp = norms[:, None] * norms * (angle.sin() + (math.pi - angle) * cosine) / math.pi
        ntk = nngp + ntk * (math.pi - angle) / math.pi
    return {"nngp": nngp, "ntk": ntk}


def eigenvalues(K: Tensor) -> Tensor:
    """Ascending."""
    return torch.linalg.eigvalsh((K + K.mT) / 2)


def sizes(largest: int) -> list[int]:
    """8, 11, 16, 23, 32, ...: half an octave apart."""
    count = int(2 * math.log2(largest / 8) + 1e-2) + 1
    return [round(8 * 2 ** (k / 2)) for k in range(count)]


def earliest(spectrum: Tensor, noise: float) -> bool:
    """Whether rounding could make an eigenvalue negative: the smallest is below the rounding's norm (Weyl)."""
    return bool(spectrum[0] < noise * edge(torch.tensor(len(spectrum)), LARGEST))


def latest(spectrum: Tensor, noise: float) -> bool:
    """Whether it should have: the m smallest eigenvalues are all below the rounding on their span (interlacing)."""
    m = torch.arange(1, len(spectrum) + 1, dtype=spectrum.dtype)
    return bool((spectrum < noise * edge(m, SMALLEST)).any())


def edge(m: Tensor, quantile: float) -> Tensor:
    """The largest eigenvalue of m x m symmetric noise, entries of variance 1, at a quantile of Tracy, Widom's law."""
    m = m.double()
    return 2 * m.sqrt() + quantile * m ** (-1 / 6)


def _grow(config: Points) -> Measurements:
    right, computed = matrices(points(config), config.kernel, config.depth, config.arithmetic)
    assumed = config.assumed
    if assumed == "as computed":
        assumed = config.arithmetic if config.arithmetic in ROUNDED else "float32"
    rounding = right.to(ROUNDED[assumed]).double() - right
    exact, least, noise = [], [], []
    critical = first = last = math.inf
    for n in sizes(config.largest):
        spectrum = eigenvalues(right[:n, :n])
        exact.append(float(spectrum[0]))
        least.append(float(eigenvalues(computed[:n, :n])[0]))
        noise.append(float(rounding[:n, :n].square().mean().sqrt()))
        critical = n if least[-1] < 0 and critical == math.inf else critical
        first = n if earliest(spectrum, noise[-1]) and first == math.inf else first
        last = n if latest(spectrum, noise[-1]) and last == math.inf else last
    n = np.array(sizes(config.largest))
    return Measurements.of(
        critical=critical,
        octaves=math.log2(critical),
        predicted_first=first,
        predicted_last=last,
        misplaced=misplaced(critical, first, last),
        worst_ratio=min(a / b for a, b in zip(least, exact, strict=True)),
        exact=Curve(n, np.array(exact)),
        least=Curve(n, np.array(least)),
        edge=Curve(n, 2 * np.array(noise) * np.sqrt(n)),
    )


def misplaced(critical: float, first: float, last: float) -> float:
    """Octaves by which a critical size lies outside of the predicted range; infinity where there is none."""
    if critical == math.inf:
        return math.inf
    return max(0.0, math.log2(first / critical), -math.inf if last == math.inf else math.log2(critical / last))
