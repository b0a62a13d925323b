"""What float32 leaves of kernels: the largest relative error, and the smallest eigenvalue where samples nearly agree.

Each side computes the kernel in float32; the right answer is ours in float64, by the recursion of differences. The
images are of CIFAR-10 where a folder of it is given, else smooth random ones of its shape. Near-duplicates are
samples of which every number is off by 0.1 % at random.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import kernel_peers as peers
from lemmata import data
from lemmata.kernels import FullyConnected, KernelMatrix, analytic_ntk
from lemmata.kernels.cntk import Convolutional, cntk

NEAR = 1e-3  # relative size of the noise of near-duplicates


def images(count: int, cifar: Path | None, side: int = 32) -> Tensor:
    """Images (count, 3, side, side), float32."""
    if cifar is not None:
        x = data.load("cifar10", data_dir=cifar).x[:count].float()
    else:
        coarse = torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(1))
        x = 0.5 + 0.25 * interpolate(coarse, (32, 32), mode="bicubic")
    return x if side == 32 else interpolate(x, (side, side), mode="area")


def near_duplicates(x: Tensor) -> Tensor:
    """The samples, and each of them once more with a little noise."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    return torch.cat([x, x * (1 + NEAR * noise)])


@dataclass(frozen=True)
class Rounding:
    """A row that compares instead of timing: each side's matrix in float32 against the right one in float64."""

    name: str
    right: Callable[[], Tensor]
    sides: dict[str, Callable[[], Any]]
    least: bool  # whether the smallest eigenvalue is compared, or the largest relative error
    bar: float

    def measure(self, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Compute all, compare."""
        note(self.name)
        right = self.right().double().numpy()
        sides = {name: self._compare(right, make) for name, make in self.sides.items()}
        unit = "smallest eigenvalue, in units of float64's" if self.least else "largest relative error of an entry"
        facts = {"smallest eigenvalue in float64": _least(right)} if self.least else {}
        return {"work": self.name, "unit": unit, "limit": None, "limit is": "", "ours at most": self.bar, **facts,
                "sides": sides}  # fmt: skip

    def _compare(self, right: np.ndarray, make: Callable[[], Any]) -> dict[str, Any]:
        try:
            answer = make()
            found = np.asarray(answer.values if isinstance(answer, KernelMatrix) else answer, dtype=np.float64)
        except Exception as error:
            return {"crashed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        way = {"way": answer.way} if isinstance(answer, KernelMatrix) else {}
        if self.least:
            return {"median": _least(found) / _least(right), "positive": bool(_least(found) > 0), **way}
        right = right[: found.shape[0], : found.shape[1]]  # a peer that takes seconds a pair has a few of them
        return {"median": float((np.abs(found - right) / np.abs(right)).max()), "entries": found.size, **way}

    @staticmethod
    def all(cifar: Path | None) -> "list[Rounding]":
        """The rows of the table."""
        return [*_convolutional(cifar), *_connected()]


def _convolutional(cifar: Path | None) -> list[Rounding]:
    trained = {"train_first": True, "train_last": True}
    large, network = images(8, cifar), Convolutional(21, "average", **trained)
    small, shallow = near_duplicates(images(20, cifar, 8)), Convolutional(11, "average", **trained)
    return [
        Rounding(
            "CNTK with average pooling, 32x32, depth 21, 16 pairs, in float32",
            lambda: cntk(large[:4].double(), large[4:].double(), network=network).values,
            {
                "lemmata": lambda: cntk(large[:4], large[4:], network=network),
                "lemmata, plain recursion": lambda: cntk(
                    large[:4], large[4:], network=network, recursion="plain", backend="cpu"
                ),
                peers.NEURAL_TANGENTS: lambda: 1.5 * peers.neural_tangents_cntk(large[:1], large[4:6], 20)(),
            },
            least=False, bar=2e-7,
        ),
        Rounding(
            "CNTK with average pooling, 8x8, depth 11, 40 images of which 20 are near-duplicates, in float32",
            lambda: cntk(small.double(), network=shallow).values,
            {
                "lemmata": lambda: cntk(small, network=shallow),
                "lemmata, plain recursion": lambda: cntk(small, network=shallow, recursion="plain"),
                peers.NEURAL_TANGENTS: lambda: 1.5 * peers.neural_tangents_cntk(small, small, 10)(),
            },
            least=True, bar=1.02,
        ),
    ]  # fmt: skip


def _connected() -> list[Rounding]:
    digits = data.load("mnist-5k").x.flatten(1).float()
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    x = digits[order[:1500]]
    twice = near_duplicates(x[:300])
    rows = []
    for depth in (5, 20):
        network = FullyConnected(depth)
        for samples, least, bar in ((x, False, 1e-6), (twice, True, 1.02)):
            what = "600 digits of which 300 are near-duplicates" if least else "1,500 digits"
            rows.append(
                Rounding(
                    f"analytic NTK, ReLU, depth {depth}, {what}, in float32",
                    lambda samples=samples, network=network: analytic_ntk(samples.double(), network=network).values,
                    {
                        "lemmata": lambda x=samples, network=network: analytic_ntk(x, network=network),
                        peers.NEURAL_TANGENTS: lambda x=samples, depth=depth: peers.neural_tangents_ntk(x, depth)(),
                        "numpy": partial(peers.numpy_ntk, samples, depth),
                    },
                    least, bar,
                )
            )  # fmt: skip
    return rows


def _least(values: np.ndarray) -> float:
    return float(np.linalg.eigvalsh((values + values.T) / 2)[0])
