"""Sharpness along gradient descent, in Hessian products an evaluation: what a warm start saves.

A tanh perceptron 64-64-64-10 on 1,000 digits of 8x8 pixels, half the squared distance to the indicator of the class;
full-batch gradient descent with step size 0.2 for 3,000 steps, through progressive sharpening to the edge of
stability. The largest eigenvalue is found every 20 steps, to 1e-3: by ARPACK from a random vector, as scripts do, by
lemmata from a random vector, and by lemmata going on from the last one. All answers are compared with ARPACK's at 1e-6
at every tenth evaluation.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor
from torch.nn.functional import one_hot

import exact
from lemmata import curvature, data, nets
from networks import Network

STEP_SIZE, STEPS, EVERY = 0.2, 3000, 20


class HalfSquares(Network):
    """The network with its own loss."""

    def loss(self) -> Tensor:
        """Half the squared distance, differentiable."""
        return half_squares(self.model(self.x), self.y)


def half_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum(-1).mean() / 2


class Tracking:
    """A row of the table that counts instead of timing."""

    def measure(self, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Descend, and count products."""
        note("sharpness along gradient descent")
        return _counted()


def _counted() -> dict[str, Any]:
    digits = data.load("digits")
    x = digits.x.flatten(1)[:1000]
    x = (x - x.mean(0)) / (x.std(0) + 0.1)
    y = one_hot(digits.y[:1000], 10).float()
    model = nets.mlp(64, [64, 64], 10, activation="tanh", seed=0)
    network = HalfSquares("tanh MLP 64-64-64-10", model, x, y)
    subject = model, half_squares, (x, y)
    warm = curvature.sharpness_probe(subject).tracker
    counts: dict[str, list[int]] = {"lemmata, warm": [], "lemmata, cold": [], "ARPACK, cold": []}
    errors: dict[str, list[float]] = {name: [] for name in counts}
    for step in range(STEPS):
        if step % EVERY == 0:
            found = _evaluate(network, warm, seed=step)
            right = _arpack(network, 1e-6, seed=0)[0] if step % (10 * EVERY) == 0 else None
            for name, (value, products) in found.items():
                counts[name].append(products)
                if right is not None:
                    errors[name].append(abs(value - right) / right)
        for p, slope in zip(model.parameters(), network.gradient(), strict=True):
            p.data.sub_(slope, alpha=STEP_SIZE)
    sides = {
        name: {
            "median": float(np.mean(products)),
            "largest": max(products),
            "largest relative error": max(errors[name]),
        }
        for name, products in counts.items()
    }
    return {
        "work": f"sharpness along gradient descent, {network.name}", "unit": "products an evaluation, mean",
        "limit": 1.0, "limit is": "one product, to see that nothing changed", "ours at most": 7.0, "sides": sides,
    }  # fmt: skip


def _evaluate(network: Network, warm: curvature.SharpnessTracker, seed: int) -> dict[str, tuple[float, int]]:
    state = dict(network.model.named_parameters())
    tracked = warm.measure(state)
    cold = curvature.top_eigenvalues((network.model, half_squares, (network.x, network.y)), tolerance=1e-3, seed=seed)
    return {
        "lemmata, warm": (float(tracked.value[0]), int(tracked.products.sum())),
        "lemmata, cold": (float(cold.value[0]), cold.products),
        "ARPACK, cold": _arpack(network, 1e-3, seed),
    }


def _arpack(network: Network, tolerance: float, seed: int) -> tuple[float, int]:
    product, count = exact.double_backward(network), 0

    def matvec(v: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return product(torch.from_numpy(v.ravel().astype(np.float32))).numpy()

    operator = LinearOperator((network.size, network.size), matvec=matvec, dtype=np.float32)
    start = np.random.default_rng(seed).standard_normal(network.size).astype(np.float32)
    (value,) = eigsh(operator, 1, which="LA", tol=tolerance, v0=start, return_eigenvectors=False)
    return float(value), count
