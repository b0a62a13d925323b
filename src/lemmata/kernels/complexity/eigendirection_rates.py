"""How fast descent fits labels, direction by direction, when it moves as its kernel says.

    u(k + 1) - y = (I - eta K) (u(k) - y),    |y - u(k)|^2 = sum_i (1 - eta lambda_i)^(2k) (v_i^T (y - u(0)))^2

for gradient descent with step size eta on half the squared error, as long as the tangent kernel stays what it was: in
the limit of width, for any number of steps. Along v_i the residual falls by |1 - eta lambda_i| a step, so that labels
along large eigenvalues are fitted first, and random ones, spread over all of them, slowly. Before any decomposition of
the labels |y - u(k)| <= (1 - eta lambda_min)^k |y - u(0)| for eta <= 1 / lambda_max: the linear rate of Du et al.

Sources: Arora, Du, Hu, Li, Wang (2019), arXiv:1901.08584, theorem 4.1 (which adds an error that falls with the width);
Du, Zhai, Poczos, Singh (2019), arXiv:1810.02054, theorem 4.1. Cost: one eigendecomposition, about 10 n^3 flops, and n a
step and labelling asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_number
from lemmata.kernels.complexity.label_projections import LabelProjections, label_projections
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.short_repr import short_repr

SHOWN = 60  # steps in a figure, on a logarithmic axis


@dataclass(frozen=True, eq=False, kw_only=True)
class EigendirectionRates:
    """`rates` |1 - step_size lambda_i| (n,), largest eigenvalue first, and the labels' `projections`."""

    step_size: float
    rates: Tensor
    projections: LabelProjections

    __repr__ = short_repr

    def residual(self, steps: Sequence[int] | Tensor) -> Tensor:
        """|y - u(k)| after each number of steps (T,): float64 (T,), or (T, k) for k labellings.

        >>> found = eigendirection_rates(torch.diag(torch.tensor([1.0, 0.5])), torch.tensor([3.0, 4.0]), step_size=1.0)
        >>> found.residual([0, 1, 2])
        tensor([5., 2., 1.], dtype=torch.float64)
        """
        wanted = self._steps(steps)
        decay = self.rates.square() ** wanted[:, None]
        return (decay @ self.projections.coefficients.square()).sqrt()

    def bound(self, steps: Sequence[int] | Tensor) -> Tensor:
        """(max rate)^k |y - u(0)|, which knows the slowest direction only: shapes as `residual`.

        >>> found = eigendirection_rates(torch.diag(torch.tensor([1.0, 0.5])), torch.tensor([3.0, 4.0]), step_size=1.0)
        >>> found.bound([0, 1])
        tensor([5.0000, 2.5000], dtype=torch.float64)
        """
        wanted = self._steps(steps)
        size = self.projections.coefficients.norm(dim=0)
        return self.rates.max() ** (wanted if size.ndim == 0 else wanted[:, None]) * size

    def plot(self) -> Figure:
        """Draw the predicted residuals against the steps, with the bound of the slowest direction, and the energy."""
        last = (
            np.log(1e-3) / np.log(min(float(self.rates.median()), 1 - 1e-9)) if float(self.rates.median()) > 0 else 10
        )
        steps = np.unique(np.geomspace(1, max(10.0, last), SHOWN).round())
        fitted, bound = (part(torch.from_numpy(steps)).reshape(len(steps), -1) for part in (self.residual, self.bound))
        many = fitted.shape[1]
        series = [
            Series(label="residual" if many == 1 else f"labels {i}", x=steps, y=fitted[:, i].cpu().numpy())
            for i in range(many)
        ]
        series.append(Series(label="slowest direction", x=steps, y=bound[:, 0].cpu().numpy(), role="theory"))
        log = bool((fitted > 0).all())
        falls = Panel(x=Axis(label="steps", log=True), y=Axis(label="|y − u|, predicted", log=log), series=series)
        slow, fast = float(self.rates.max()), float(self.rates.min())
        caption = f"Step size {self.step_size:.3g}; rates from {fast:.3g} to {slow:.6g}."
        energy = self.projections.plot().panels[0]
        return Figure(name="rates", title="Descent along eigenvectors", caption=caption, panels=[falls, energy])

    def _steps(self, steps: Sequence[int] | Tensor) -> Tensor:
        try:
            wanted = torch.as_tensor(steps, dtype=torch.float64, device=self.rates.device)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise InvalidInput(f"steps {steps!r}; give a list of numbers of steps, 0 or more") from None
        if wanted.ndim != 1 or not bool((wanted >= 0).all()):
            raise InvalidInput(f"steps {steps}; give a list of numbers of steps, 0 or more")
        return wanted


def eigendirection_rates(kernel: KernelMatrix | Tensor, y: Tensor, *, step_size: float) -> EigendirectionRates:
    """Predict gradient descent on half the squared error from its kernel matrix (n, n) and labels (n,) or (n, k).

    `y` is y - u(0) where the network's outputs u(0) at the start are not zero. Computed in float64; nothing is random.
    Raises `InvalidInput` for a step size that is not in (0, 2 / lambda_max), beyond which descent diverges, and as
    `label_projections`.

    >>> eigendirection_rates(torch.diag(torch.tensor([1.0, 0.5])), torch.ones(2), step_size=0.5).rates
    tensor([0.5000, 0.7500], dtype=torch.float64)
    """
    found = label_projections(kernel, y)
    largest, smallest = float(found.eigenvalues[0]), float(found.eigenvalues[-1])
    if smallest < -found.rounding:
        raise InvalidInput(
            f"the kernel matrix has the eigenvalue {smallest:.3g}, below zero by more than its rounding, "
            f"{found.rounding:.2g}: along it descent diverges at every step size, and no network has such a kernel"
        )
    if not 0 < require_number(step_size, "step_size") < 2 / max(largest, 1e-300):
        raise InvalidInput(
            f"step_size = {step_size}; descent converges for 0 < step_size < 2 / lambda_max = {2 / largest:.4g}"
        )
    return EigendirectionRates(step_size=step_size, rates=(1 - step_size * found.eigenvalues).abs(), projections=found)
