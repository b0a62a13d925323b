"""The linearised network trained in closed form from its kernel.

    f(x; w) = f(x; w_0) + J(x) (w - w_0),    Theta = J J^T,    L = (kappa / 2) sum_i |f(x_i) - y_i|^2

A network that is linear in its parameters follows a linear differential equation, or recursion. With eigenpairs
(lambda_k, q_k) of Theta on the training set and rates l_k = kappa lambda_k (`spectral_filter` has g and a):

    f_t(X) - y  =  sum_k g_t(l_k) q_k q_k^T (f_0 - y)
    w_t - w_0   =  -J^T c_t,    c_t = kappa sum_k a_t(l_k) q_k q_k^T (f_0 - y)
    f_t(x)      =  f_0(x) - Theta(x, X) c_t

at any number of times at once, exactly. The cross-entropy has no closed form and goes through an integrator
(`cross_entropy_training`). Training alpha f with the loss divided by alpha^2 (lazy training) leaves Theta and the
outputs' equation as they are, and divides w_t - w_0 by alpha.

Sources: Lee, Xiao, Schoenholz, Bahri, Novak, Sohl-Dickstein, Pennington (2019), section 2.2; Jacot, Gabriel, Hongler
(2018), section 5; Chizat, Oyallon, Bach (2019). Cost: one eigendecomposition, 10 n^3 flops (10 (nC)^3 for a kernel that
couples the outputs), then 4 n^2 C a time. It says nothing of how near the network itself stays to its linearisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels.dynamics.cross_entropy_training import Method, cross_entropy_coefficients
from lemmata.kernels.dynamics.kernel_layout import psd_eigenpairs
from lemmata.kernels.dynamics.linearised_run import LinearisedRun
from lemmata.kernels.dynamics.sides import CURVATURE, LOSSES, NewSamples, Side, checked_targets, classes
from lemmata.kernels.dynamics.spectral_filter import (
    GradientFlow,
    Rule,
    Times,
    checked_times,
    is_stable,
    limit_of,
    spectral_filter,
)
from lemmata.training import SGD

F64 = torch.float64


class LinearisedTraining:
    """A linearised network and its training set, ready to be trained by any rule; the kernel is decomposed once.

    `kernel` is a tensor or kernel matrix on the training samples: (n, n), the same for all C outputs; or (n, n, C, C);
    or M of either with a leading axis. `y` is (n,) or (n, C), or labels (n,) for the cross-entropy; `f0` are the
    outputs before training, (n,), (n, C) or (M, n, C), zero by default. `test` gives the same of test samples. `loss`:

        mse         mean over samples and outputs of (f - y)^2, as everywhere in this package
        half_mse    half of it                      (neural-tangents)
        half_mean   sum_i |f_i - y_i|^2 / (2 n)
        half_sum    sum_i |f_i - y_i|^2 / 2         (Jacot et al.; Du et al.; Lee et al.)
        cross_entropy   mean over samples

    All is computed in float64. Raises `InvalidInput` for shapes that do not match, NaN, and a kernel that is not
    symmetric and positive semidefinite within the rounding of its dtype, and `UnknownName` for a loss.

    >>> training = LinearisedTraining(torch.diag(torch.tensor([4.0, 1.0])), torch.tensor([1.0, 1.0]), loss="half_sum")
    >>> run = training.run([0.0, 1.0, math.inf])
    >>> run.train_outputs[:, :, 0].round(decimals=3).tolist()        # 1 - exp(-4 t), 1 - exp(-t)
    [[0.0, 0.0], [0.982, 0.632], [1.0, 1.0]]
    >>> training.critical_step()
    0.5
    """

    def __init__(
        self,
        kernel: Any,
        y: Tensor,
        *,
        f0: Tensor | None = None,
        loss: str = "mse",
        test: NewSamples | None = None,
        scale: float = 1.0,
        transposed: Callable[[Tensor], dict[str, Tensor]] | None = None,
    ):
        if loss not in LOSSES:
            raise UnknownName("loss", loss, LOSSES)
        if not (math.isfinite(scale) and scale > 0):
            raise InvalidInput(f"scale = {scale}: it must be positive and finite")
        self.loss, self.scale, self._transposed = loss, scale, transposed
        self.labels = loss == "cross_entropy"
        checked = checked_targets(y, labels=self.labels)
        outputs = classes(checked, f0, test) if self.labels else checked.shape[-1]
        self.train = Side.of(NewSamples(kernel, f0, y), outputs, labels=self.labels)
        self.test = None if test is None else Side.of(test, outputs, labels=self.labels, beside=self.train)
        self.layout, self.n = self.train.layout, self.train.f0.shape[1]
        self.curvature = 1.0 if self.labels else CURVATURE[loss](self.n, outputs)
        self.eigenpairs = psd_eigenpairs(self.train.kernel, self.train.precision)

    @classmethod
    def of(
        cls,
        model: nn.Module | Sequence[nn.Module],
        x: Tensor,
        y: Tensor,
        *,
        loss: str = "mse",
        x_test: Tensor | None = None,
        y_test: Tensor | None = None,
        scale: float = 1.0,
        centred: bool = False,
    ) -> LinearisedTraining:
        """Linearise a model, or each of M, at its own parameters, by its empirical tangent kernel of all outputs.

        Trained is ``scale * f``, or ``scale * (f - f_0)`` if `centred`, with the loss divided by scale^2, as by
        `ScaledModel`. Models are taken in evaluation mode and stay as they are.

        >>> x = torch.eye(2)
        >>> run = LinearisedTraining.of(nn.Linear(2, 1, bias=False), x, x[:, :1]).run([math.inf])
        >>> torch.allclose(run.parameters()["weight"].float(), x[:1], atol=1e-6)
        True
        """
        from lemmata.kernels.dynamics.model_kernels import model_kernels

        found = model_kernels(model, x, x_test)
        zero = 0.0 if centred else scale
        test = None
        if found.f0_test is not None:
            test = NewSamples(found.cross, zero * found.f0_test, y_test)
        return cls(found.train, y, f0=zero * found.f0, loss=loss, test=test, scale=scale, transposed=found.transposed)

    def at_scale(self, scale: float) -> LinearisedTraining:
        """The same network with its output at another scale, its kernel and eigenpairs shared: lazy training.

        The outputs before training are multiplied by the ratio of the scales; the equation they follow stays.

        >>> one = LinearisedTraining(torch.eye(2), torch.ones(2))
        >>> [run.run([math.inf]).distance.item() for run in (one, one.at_scale(10.0))]
        [1.414..., 0.1414...]
        """
        if not (math.isfinite(scale) and scale > 0):
            raise InvalidInput(f"scale = {scale}: it must be positive and finite")
        other, ratio = copy(self), scale / self.scale
        other.scale = scale
        other.train = replace(self.train, f0=ratio * self.train.f0)
        other.test = None if self.test is None else replace(self.test, f0=ratio * self.test.f0)
        return other

    @property
    def rates(self) -> Tensor:
        """Curvature times eigenvalue, largest first: (N,) or (M, N). For the cross-entropy, the eigenvalues over n."""
        rates = self.eigenpairs.values * (1 / self.n if self.labels else self.curvature)
        return rates if self.layout.members else rates[0]

    def critical_step(self, momentum: float = 0.0, *, nesterov: bool = False) -> float:
        """The step size beyond which descent diverges (of the slowest member): 2 / l_max without momentum.

        For the cross-entropy a bound: its curvature by the outputs is at most 1/2, so that below it descent is stable.
        """
        largest = float(self.rates.max()) * (0.5 if self.labels else 1.0)
        return limit_of(SGD(lr=1.0, momentum=momentum, nesterov=nesterov)) / largest

    def run(
        self,
        times: Times,
        rule: Rule | None = None,
        *,
        tolerance: float = 1e-8,
        method: Method = "DOP853",
        max_evaluations: int = 200_000,
    ) -> LinearisedRun:
        """Train by `rule`, gradient flow by default or `training.GD` / `training.SGD`, and look at `times` (T,).

        Times are those of the flow, or whole steps of a descent; ``math.inf`` is the limit. A step size beyond the
        limit of stability is answered with the numbers as they grow and ``stable=False``; only its limit is refused.
        `tolerance`, `method` and `max_evaluations` are for the cross-entropy (`cross_entropy_coefficients`), as is
        `NotConverged`. Raises `InvalidInput` for times, momentum and rules that are none.
        """
        rule = GradientFlow() if rule is None else rule
        when, evaluations = checked_times(times, rule), 0
        if self.labels:
            c, evaluations = cross_entropy_coefficients(
                self.train.kernel, self.layout, self.train.f0, self.train.y,
                times=when, rule=rule, largest=float(self.eigenpairs.values.max()),
                tolerance=tolerance, method=method, max_evaluations=max_evaluations,
            )  # fmt: skip
            outputs = self._outputs(self.train, c)
            loss = self._loss(outputs, self.train.y)
        else:
            c, error = self._closed_form(when, rule)
            outputs, loss = self.train.y[:, None] + error, self._squared(error)
        return self._result(when, rule, c, outputs=outputs, loss=loss, evaluations=evaluations)

    def _result(
        self, when: list[float], rule: Rule, c: Tensor, *, outputs: Tensor, loss: Tensor, evaluations: int
    ) -> LinearisedRun:
        """Gather what follows from the coefficients (M, T, n, C)."""
        tested, test_loss = None, None
        if self.test is not None:
            tested = self._outputs(self.test, c)
            test_loss = None if self.test.y is None else self._loss(tested, self.test.y)
        away = (c * (self.train.f0[:, None] - outputs)).sum((-2, -1)).clamp(min=0).sqrt() / self.scale
        one, bound = self._one, 0.5 if self.labels else 1.0
        return LinearisedRun(
            times=torch.tensor(when, dtype=F64), rule=rule, loss=self.loss, train_outputs=one(outputs),
            train_loss=one(loss), test_outputs=one(tested), test_loss=one(test_loss), coefficients=one(c),
            distance=one(away), rates=self.rates, stable=is_stable(rule, bound * self.rates), critical=limit_of(rule),
            evaluations=evaluations, shift=self._transposed and self._shift,
        )  # fmt: skip

    def _outputs(self, side: Side, c: Tensor) -> Tensor:
        """What the linearised network says on a side, (M, T, m, C)."""
        flat = c.reshape(*c.shape[:2], -1, 1) if self.layout.full else c
        return side.f0[:, None] - self.layout.shaped(_times(side.kernel, flat))

    def _closed_form(self, when: list[float], rule: Rule) -> tuple[Tensor, Tensor]:
        """Coefficients and errors (M, T, n, C)."""
        Q = self.eigenpairs.vectors
        filtered = spectral_filter(rule, self.curvature * self.eigenpairs.values, when)
        g, a = filtered.remaining.transpose(0, 1), filtered.travelled.transpose(0, 1)
        along = (Q.mT @ self.layout.flat(self.train.f0 - self.train.y))[:, None]
        c = self.curvature * _times(Q, a[..., None] * along)
        return self.layout.shaped(c), self.layout.shaped(_times(Q, g[..., None] * along))

    def _loss(self, f: Tensor, y: Tensor) -> Tensor:
        """The loss of outputs (M, T, m, C), (M, T)."""
        if self.labels:
            log_p = torch.log_softmax(f, -1)
            return -log_p.gather(-1, y[:, None].expand(*f.shape[:-1], 1)).mean((-2, -1))
        return self._squared(f - y[:, None])

    def _squared(self, error: Tensor) -> Tensor:
        return CURVATURE[self.loss](*error.shape[-2:]) / 2 * error.square().sum((-2, -1))

    def _one(self, values: Any) -> Any:
        return values if values is None or self.layout.members else values[0]

    def _shift(self, c: Tensor) -> dict[str, Tensor]:
        assert self._transposed is not None
        return self._transposed(c / self.scale)


def _times(matrix: Tensor, columns: Tensor) -> Tensor:
    """Matrix (M, N', N) times columns (M, T, N, k) of every time in one product: (M, T, N', k)."""
    members, T, N, k = columns.shape
    product = matrix @ columns.transpose(1, 2).reshape(members, N, T * k)
    return product.reshape(members, -1, T, k).transpose(1, 2)
