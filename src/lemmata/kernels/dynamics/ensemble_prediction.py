"""Mean and covariance, over initialisations, of what infinitely wide networks say at time t of their training.

At infinite width the outputs at the start are a Gaussian process with covariance K (NNGP), the same and independent for
every output, and training follows the fixed kernel Theta (NTK). With A_t = Theta(x, X) kappa a_t(kappa Theta), what the
linearised network adds for each unit of error (`linearised_training`), on test points x:

    mean        m_t = A_t y
    covariance  C_t = K(x, x) - A_t K(X, x) - K(x, X) A_t^T + A_t K(X, X) A_t^T

Both are exact in the limit, for any rule that has a spectral filter and any number of outputs. Special cases: K in the
place of Theta trains the last layer only, and is at t = infinity the posterior of the Gaussian process K; Theta in the
place of K is at t = infinity the posterior of the process Theta ("NTK-GP"). In general C_infinity is no posterior.

Source: Lee, Xiao, Schoenholz, Bahri, Novak, Sohl-Dickstein, Pennington (2019), section 2.3 and equations 13 to 16.
Cost: one eigendecomposition of 10 n^3 flops, and for each time 2 n^2 m + 4 n m^2 where the full covariance is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.kernels.dynamics.kernel_layout import kernel_layout, psd_eigenpairs
from lemmata.kernels.dynamics.sides import CURVATURE, checked_targets
from lemmata.kernels.dynamics.spectral_filter import GradientFlow, Rule, Times, checked_times, named, spectral_filter
from lemmata.short_repr import short_repr

F64 = torch.float64


@dataclass(frozen=True, eq=False)
class KernelBlocks:
    """A kernel's blocks: `train` (n, n), `cross` (m, n) and `test` (m, m); tensors, or results that have `values`.

    >>> x, z = torch.eye(2), torch.ones(1, 2)
    >>> KernelBlocks.of(lambda a, b: a @ (a if b is None else b).T, x, z).cross
    tensor([[1., 1.]])
    """

    train: Any
    cross: Any
    test: Any

    __repr__ = short_repr

    @classmethod
    def of(cls, kernel: Callable[[Tensor, Tensor | None], Any], x: Tensor, x_test: Tensor) -> KernelBlocks:
        """Evaluate a kernel function on training samples x (n, ...) and test samples (m, ...)."""
        return cls(kernel(x, None), kernel(x_test, x), kernel(x_test, None))


@dataclass(frozen=True, eq=False)
class EnsemblePrediction:
    """Over initialisations, at T times on m test points with C outputs, float64:

    mean        (T, m, C)        covariance   (T, m, m), the same for each output; None where only the
    deviation   (T, m)                        deviations were asked for
    train_mean  (T, n, C)        train_deviation  (T, n)
    train_loss  (T,)             the expected loss of a network, mean^2 and variance together
    test_loss   (T,)             the same, or None where no test targets were given
    """

    times: Tensor
    rule: Rule
    loss: str
    mean: Tensor
    deviation: Tensor
    covariance: Tensor | None
    train_mean: Tensor
    train_deviation: Tensor
    train_loss: Tensor
    test_loss: Tensor | None

    __repr__ = short_repr

    def plot(self) -> Figure:
        """Draw the expected losses, and the first output on the first test points with twice its deviation."""
        times = self.times.numpy()
        shown = np.isfinite(times)
        what = "time" if isinstance(self.rule, GradientFlow) else "step"
        pairs = [("training", self.train_loss), ("test", self.test_loss)]
        losses = [
            Series(label=label, x=times[shown], y=loss.cpu().numpy()[shown])
            for label, loss in pairs
            if loss is not None
        ]
        mean, half = self.mean[..., 0].cpu().numpy()[shown], 2 * self.deviation.cpu().numpy()[shown]
        points = [
            Series(label=f"test point {i + 1}", x=times[shown], y=mean[:, i], low=mean[:, i] - half[:, i],
                   high=mean[:, i] + half[:, i])
            for i in range(min(3, mean.shape[1]))
        ]  # fmt: skip
        panels = [
            Panel(x=Axis(label=what), y=Axis(label=f"expected {self.loss.replace('_', ' ')}", log=True), series=losses),
            Panel(x=Axis(label=what), y=Axis(label="first output, mean ± 2 deviations"), series=points),
        ]
        caption = f"Infinite width, over initialisations, {named(self.rule)}."
        return Figure(name="ensemble-prediction", title="The ensemble of wide networks", caption=caption, panels=panels)


def predict_ensemble(
    ntk: KernelBlocks,
    nngp: KernelBlocks,
    y: Tensor,
    *,
    times: Times = (math.inf,),
    rule: Rule | None = None,
    loss: str = "mse",
    y_test: Tensor | None = None,
    covariance: bool = True,
    memory: int = 2**31,
) -> EnsemblePrediction:
    """Predict mean and covariance over initialisations at `times` (T,), for targets y (n,) or (n, C).

    `rule` is gradient flow by default, or a `training.GD` / `training.SGD`; `loss` is one of the squared losses of
    `LinearisedTraining`. Nothing is random. With ``covariance=False`` only deviations are kept. Raises `InvalidInput`
    for blocks that do not match, kernels that are not positive semidefinite, times that are none, an infinite time
    beyond the limit of stability, and results of more than `memory` bytes.

    >>> K = KernelBlocks(torch.eye(2), torch.tensor([[0.6, 0.0]]), torch.tensor([[1.0]]))
    >>> found = predict_ensemble(K, K, torch.tensor([1.0, -1.0]))      # the posterior: 0.6, and 1 - 0.36
    >>> round(found.mean.item(), 6), round(found.covariance.item(), 6)
    (0.6, 0.64)
    """
    if loss not in CURVATURE:
        raise InvalidInput(f"loss = {loss!r}: the ensemble stays Gaussian under {', '.join(CURVATURE)} only")
    rule = GradientFlow() if rule is None else rule
    when, targets = checked_times(times, rule), checked_targets(y, labels=False).to(F64)
    theta, K = _read(ntk, "ntk"), _read(nngp, "nngp")
    _refuse(theta, K, targets, len(when), covariance=covariance, memory=memory)
    n = len(theta.train)
    kappa, Q, rates = _rates(ntk, theta, n, targets.shape[1], loss)
    filtered = spectral_filter(rule, rates, when)
    remaining = _functions(Q, filtered.remaining)  # (T, n, n): the error left on the training set
    A = kappa * (theta.cross @ _functions(Q, filtered.travelled))  # (T, m, n)
    train_mean = targets - remaining @ targets
    train_deviation = _deviation(((remaining @ K.train) * remaining).sum(2), K.train, nngp.train)
    mean = A @ targets
    spread = A @ K.train - 2 * K.cross  # with it A spread^T, made symmetric, is what training adds to the covariance
    full = None
    if covariance:
        added = spread @ A.mT
        full = K.test + (added + added.mT) / 2
    variance = K.test.diagonal() + (spread * A).sum(2)
    deviation = _deviation(variance, K.test, nngp.test)
    known = None if y_test is None else checked_targets(y_test, labels=False).to(mean)
    if known is not None and known.shape != mean.shape[1:]:
        raise InvalidInput(f"test targets {tuple(known.shape)}; expected {tuple(mean.shape[1:])}")
    return EnsemblePrediction(
        times=torch.tensor(when, dtype=F64), rule=rule, loss=loss, mean=mean, deviation=deviation, covariance=full,
        train_mean=train_mean, train_deviation=train_deviation,
        train_loss=_expected(loss, train_mean - targets, train_deviation),
        test_loss=None if known is None else _expected(loss, mean - known, deviation),
    )  # fmt: skip


def _refuse(
    theta: KernelBlocks, K: KernelBlocks, targets: Tensor, times: int, *, covariance: bool, memory: int
) -> None:
    m, n = theta.cross.shape
    if K.cross.shape != (m, n) or targets.shape[0] != n or targets.ndim != 2:
        raise InvalidInput(
            f"ntk of {n} training and {m} test samples, nngp {tuple(reversed(K.cross.shape))}, "
            f"targets {tuple(targets.shape)}; they must be of the same samples, targets (n,) or (n, C)"
        )
    needed = 8 * times * ((m * m if covariance else m) + 2 * m * n + 3 * n * n)
    if needed > memory:
        raise InvalidInput(
            f"{times} times on {n} + {m} samples need {needed / 1e9:.1f} GB, memory = {memory / 1e9:.1f} GB; ask "
            f"for fewer times at once, or covariance=False"
        )


def _read(blocks: KernelBlocks, name: str) -> KernelBlocks:
    """The blocks as float64 matrices of matching shapes."""
    if not isinstance(blocks, KernelBlocks):
        raise InvalidInput(f"{name}: a {type(blocks).__name__}; give KernelBlocks(train, cross, test)")
    parts = []
    for part in (blocks.train, blocks.cross, blocks.test):
        values, layout = kernel_layout(part, 1)
        if layout.full or layout.members:
            raise InvalidInput(f"{name}: a limit kernel is the same for all outputs, (n, m); this one is not")
        parts.append(values[0])
    (n, a), (m, b), (c, d) = (part.shape for part in parts)
    if not (n == a == b and m == c == d):
        raise InvalidInput(f"{name}: blocks {(n, a)}, {(m, b)}, {(c, d)}; they must be (n, n), (m, n) and (m, m)")
    return KernelBlocks(*parts)


def _rates(ntk: KernelBlocks, theta: KernelBlocks, n: int, outputs: int, loss: str) -> tuple[float, Tensor, Tensor]:
    """The loss's curvature, the eigenvectors (n, n), and the rates (n,)."""
    given = ntk.train if isinstance(ntk.train, Tensor) else ntk.train.values
    pairs = psd_eigenpairs(theta.train[None], given.dtype)
    kappa = CURVATURE[loss](n, outputs)
    return kappa, pairs.vectors[0], kappa * pairs.values[0]


def _deviation(variance: Tensor, start: Tensor, given: Any) -> Tensor:
    """Roots of variances (T, m), of which rounding may leave what is a little below zero; `start` is the prior's."""
    dtype = given.dtype if isinstance(given, Tensor) else given.values.dtype
    least, largest = float(variance.min()), float(start.diagonal().max())
    if not least >= -(torch.finfo(dtype).eps ** 0.5) * largest:
        raise InvalidInput(
            f"nngp: a variance at the end of training would be {least:.3g} (largest at the start {largest:.3g}); its "
            f"blocks are not those of one covariance, positive semidefinite on training and test samples together"
        )
    return variance.clamp(min=0).sqrt()


def _functions(Q: Tensor, values: Tensor) -> Tensor:
    """The matrix functions of eigenvectors Q (n, n) and values (T, n): (T, n, n)."""
    return (Q * values[:, None]) @ Q.T


def _expected(loss: str, bias: Tensor, deviation: Tensor) -> Tensor:
    """The expected loss of outputs with this bias (T, m, C) and deviation (T, m), the same for each output."""
    m, outputs = bias.shape[1:]
    square = bias.square().sum((1, 2)) + outputs * deviation.square().sum(1)
    return CURVATURE[loss](m, outputs) / 2 * square
