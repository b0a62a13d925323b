"""How perturbations of the input grow with depth: singular values of the propagation matrix, and Lyapunov exponents.

    Phi_n = d y_n / d y_0 = D_n ... D_1,   D_n the Jacobian of step n,   stretch_n = ln |Phi_n|_2.

The products are kept as Q_n T_n with Q_n orthonormal and T_n triangular. Exponents are the mean logarithms of the
factors' diagonals over time (Benettin et al., 1980); T is rescaled, so that nothing overflows at any depth. Two bounds
stand beside what is measured:

    ln |Phi_n| <= sum ln |D_k|_2                        of the network: norms multiply
    ln |Phi(t)| <= int_0^t mu(J(s)) ds                  of the flow: mu(J) = the largest eigenvalue of (J + J^T) / 2,

the second (Dahlquist, 1958) as a sum over the layers' beginnings. Stability against perturbations is not decided by
eigenvalues alone: |Phi_n| may be large where every J has its spectrum on the imaginary axis.

Cost of a layer: `width` (or `directions`) products of a step, and width^3 operations for each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp, vmap

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.flows.field import State, Velocity, hold
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.integrate import held, require_finite
from lemmata.flows.required import generator_of
from lemmata.flows.stability.spectrum import require_jacobian
from lemmata.flows.state import AT_ONCE, jacobian, packed, require_samples, unpacked
from lemmata.given import require_seed, require_whole

Rule = Callable[[State], State]


@dataclass(frozen=True, eq=False)
class Growth:
    """`stretch` (N + 1, samples): ln of the largest singular value of d y_n / d y_0, at `times` (N + 1,).

    `exponents` (samples, k) are the Lyapunov exponents over the whole time, the largest first. `bound` and
    `logarithmic` (N + 1, samples) are the sums of ln |D_n| and of h mu(J). With fewer `directions` than numbers a
    sample, stretch is that of the best perturbation among their combinations, a lower bound, and both bounds are NaN.
    """

    times: np.ndarray
    stretch: np.ndarray
    exponents: np.ndarray
    bound: np.ndarray
    logarithmic: np.ndarray

    def plot(self) -> Figure:
        """Draw the stretch against time with both bounds: mean over samples, and their range."""
        low, high = self.stretch.min(1), self.stretch.max(1)
        series = [Series(label="largest stretch", x=self.times, y=self.stretch.mean(1), low=low, high=high)]
        for label, values in (("sum of ln |D_n|", self.bound), ("sum of h mu(J)", self.logarithmic)):
            if np.isfinite(values).all():
                series.append(Series(label=label, x=self.times, y=values.mean(1), role="theory"))
        panel = Panel(
            x=Axis(label="time t"), y=Axis(label="ln of the growth of a perturbation"), series=series,
            references=[Reference(label="neither grows nor decays", value=0.0, role="theory")],
        )  # fmt: skip
        caption = (
            f"{self.stretch.shape[1]} samples, {len(self.times) - 1} layers; band: range over samples. Lyapunov "
            f"exponents from {self.exponents.max():.3g} to {self.exponents.min():.3g} per unit of time."
        )
        return Figure(name="growth", title="Growth of perturbations with depth", caption=caption, panels=[panel])


def perturbation_growth(
    flow: Flow, y: State, *, directions: int | None = None, seed: int | torch.Generator = 0
) -> Growth:
    """Measure how perturbations of y grow through the layers of a flow.

    `y` (samples, ...) or a pair, as the flow takes them. All directions are followed, or so many random orthonormal
    ones from `seed`. Raises `InvalidInput` for states that are not finite, and for more directions than a sample
    has numbers.

    >>> from lemmata import flows
    >>> class Decay(torch.nn.Module):
    ...     def forward(self, t, y):
    ...         return -y
    >>> net = flows.Flow(Decay(), steps=50, T=2.0)
    >>> found = perturbation_growth(net, torch.ones(1, 3, dtype=torch.float64))
    >>> found.stretch[-1].round(4), found.exponents.round(4)
    (array([-2.]), array([[-1., -1., -1.]]))
    """
    seed, state = require_seed(seed), require_flow(flow).start(y)
    require_samples(state, flow.field)
    width = packed(state).shape[1]
    count = width if directions is None else require_whole(directions, "directions")
    if count > width:
        raise InvalidInput(f"directions = {count}, and a sample has {width} numbers; give at most as many")
    follow = _All(flow, state) if count == width else _Some(flow, state, count, seed)
    grid = flow.grid
    middles = grid.times[:-1] + grid.h / 2
    with torch.no_grad():
        velocities = hold(flow.field, middles, middles)
        require_finite(state, 0, grid, flow.method)
        for n, (f, middle) in enumerate(zip(held(flow.field, grid, flow.method), velocities, strict=True), start=1):

            def step(y: State, f: Sequence[Velocity] = f) -> State:
                return flow.method.step(f, y, grid.h)

            after = step(state)
            require_finite(after, n, grid, flow.method)
            follow.layer(n, step, middle, state, grid.h)
            state = after
    return follow.found(grid.times.numpy(), grid.T)


class _Some:
    """The products of the layers' Jacobians with some directions."""

    def __init__(self, flow: Flow, state: State, count: int, seed: int | torch.Generator):
        rows = packed(state)
        self.samples, self.width = rows.shape
        drawn = torch.randn(self.samples, self.width, count, generator=generator_of(seed), dtype=torch.float64)
        self._begin(torch.linalg.qr(drawn)[0].to(rows))

    def _begin(self, basis: Tensor) -> None:
        self.basis = basis  # (samples, width, k)
        self.triangle = torch.eye(basis.shape[2], dtype=torch.float64, device=basis.device).expand(len(basis), -1, -1)
        self.scale = torch.zeros(len(basis), dtype=torch.float64, device=basis.device)
        self.sums = torch.zeros(len(basis), basis.shape[2], dtype=torch.float64, device=basis.device)
        self.stretches, self.bounds, self.logarithmics = [self.scale], [self.scale], [self.scale]

    def layer(self, n: int, step: Rule, middle: Rule, state: State, h: float) -> None:
        """Multiply by the Jacobian of layer n at its state."""
        self._multiplied(require_jacobian(pushed(step, state, self.basis), n))
        nothing = torch.full_like(self.scale, torch.nan)
        self.bounds.append(nothing)
        self.logarithmics.append(nothing)

    def _multiplied(self, image: Tensor) -> None:
        self.basis, triangle = torch.linalg.qr(image)
        diagonal = torch.diagonal(triangle, dim1=1, dim2=2).double().abs()
        self.sums = self.sums + diagonal.clamp_min(torch.finfo(torch.float64).tiny).log()
        product = triangle.double() @ self.triangle
        size = product.abs().amax((1, 2)).clamp_min(torch.finfo(torch.float64).tiny)
        self.triangle, self.scale = product / size[:, None, None], self.scale + size.log()
        self.stretches.append(self.scale + torch.linalg.matrix_norm(self.triangle, 2).log())

    def found(self, times: np.ndarray, T: float) -> Growth:
        """What was measured."""
        exponents = (self.sums / T).sort(dim=1, descending=True)[0].cpu().numpy()
        lists = (self.stretches, self.bounds, self.logarithmics)
        stretch, bound, logarithmic = (torch.stack(values).cpu().numpy() for values in lists)
        return Growth(times, stretch, exponents, bound, logarithmic)


class _All(_Some):
    """The Jacobians themselves."""

    def __init__(self, flow: Flow, state: State):
        rows = packed(state)
        self.samples, self.width = rows.shape
        self._begin(torch.eye(self.width, dtype=rows.dtype, device=rows.device).expand(self.samples, -1, -1))

    def layer(self, n: int, step: Rule, middle: Rule, state: State, h: float) -> None:
        """Multiply by the Jacobian of layer n at its state, and add to the bounds."""
        D, J = (require_jacobian(jacobian(rule, state), n) for rule in (step, middle))
        self._multiplied(D @ self.basis)
        self.bounds.append(self.bounds[-1] + torch.linalg.matrix_norm(D.double(), 2).log())
        self.logarithmics.append(self.logarithmics[-1] + h * torch.linalg.eigvalsh((J + J.mT).double() / 2)[:, -1])


def pushed(step: Rule, state: State, vectors: Tensor) -> Tensor:
    """Give D V for the Jacobian D of `step` at each sample, V (samples, width, k): k forward products."""
    rows = packed(state)

    def column(v: Tensor) -> Tensor:
        return jvp(lambda u: packed(step(unpacked(u, state))), (rows,), (v,))[1]

    chunk = max(1, AT_ONCE // max(rows.numel(), 1))
    return vmap(column, in_dims=2, out_dims=2, chunk_size=min(chunk, vectors.shape[2]))(vectors)
