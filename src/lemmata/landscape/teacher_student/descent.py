"""Gradient descent from many starts to minima, without sampling noise; the last stretch by Newton.

Every start takes plain gradient steps on the exact loss until its gradient is small, then Newton's method finds the
minimum, and is believed only where gradient descent provably goes there too (`newton`). Who has converged leaves the
batch. Students that fit the teacher with more neurons than it has lie on a continuum, where Hessians are singular and
descent is slow: they leave when their loss is below 1e-7.

Cost, ReLU with fixed outputs: about n (n + k) (60 + 3 d) operations a step and student, some hundreds to thousands of
steps, then 3 Hessians and one set of eigenvalues of an (n d, n d) matrix. Where it fails: a step too large has no
limit; starts near saddles take long, and those beyond `steps` are returned as not converged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_flag, require_number, require_seed, require_tensor, require_whole
from lemmata.landscape.teacher_student.advance import Advance, by_compiled_steps, by_torch, flat_gradient, parts
from lemmata.landscape.teacher_student.minima import Minima
from lemmata.landscape.teacher_student.newton import extremes, polish
from lemmata.landscape.teacher_student.problem import TeacherStudent

CHUNK = 100  # steps between looks at who has arrived
FIRST_TRY = 1e-6  # the gradient norm at which Newton is tried first, and after each failure at a tenth
SLOW, LARGE = 2000, 1e-3  # who is still on the way then, and below that norm, is tried too, at each doubling
ZERO = 1e-7  # a loss that is one of a global minimum on a continuum
TOWARDS = (
    1e-3  # a loss below which students with more neurons than their teacher are on the way there: Newton would fail
)
Progress = Callable[[int, int], None]


def descend(
    problem: TeacherStudent,
    *,
    neurons: int | None = None,
    starts: int | Tensor = 500,
    seed: int | torch.Generator = 0,
    scale: float = 1.0,
    step: float | None = None,
    steps: int = 100_000,
    tolerance: float = 1e-12,
    threshold: float = 1e-3,
    newton: bool = True,
    eigenvalues: bool = True,
    progress: Progress | None = None,
) -> Minima:
    """Descend from `starts` students of `neurons` neurons (by default the teacher's k), all at once.

    Starts are drawn with entries N(0, scale^2 / d), outputs with N(0, 1 / n) where they are trained, or given: a tensor
    W (starts, n, d), or parameters (starts, P) with P = n d or n d + n. `step` is by default min(5 / k, 7 / (n + 3))
    for ReLU with fixed outputs, stable for orthonormal teachers (curvatures are up to n / 4 + 3 / 4 there; give less
    for others), else one over the largest curvature among the first starts. `steps` bounds the gradient steps.
    `tolerance` is that of the gradient's norm, `threshold` the loss above which a minimum counts as spurious.
    Without `newton` all of it is gradient descent. Without `eigenvalues` only those are given that Newton needed: at
    ends on a continuum they would cost more than the descent. `progress(arrived, starts)` is called every 100 steps.

    Raises `InvalidInput` for what does not fit. Random: the starts only.

    >>> found = descend(TeacherStudent(torch.eye(6)), starts=20, seed=1)
    >>> bool(found.converged.all()), found.share, bool((found.gradient_norm < 1e-12).all())
    (True, 0.0, True)
    """
    require_whole(steps, "steps")
    require_flag(newton, "newton")
    require_flag(eigenvalues, "eigenvalues")
    tolerance, threshold = require_number(tolerance, "tolerance"), require_number(threshold, "threshold")
    if not (tolerance > 0 and threshold > 0):
        raise InvalidInput(f"tolerance = {tolerance:g} and threshold = {threshold:g}; give positive numbers")
    theta, n = _starts(problem, neurons, starts, seed, require_number(scale, "scale"))
    eta = _step(problem, theta, n) if step is None else require_number(step, "step")
    if not 0 < eta < math.inf:
        raise InvalidInput(f"step = {eta:g}; give a positive number")
    run = _Run(problem, theta, n, step=eta, tolerance=tolerance, newton=newton)
    advance = _advance(problem, n, eta)
    for done in range(0, steps, CHUNK):
        if not run.go(advance, min(CHUNK, steps - done)):
            break
        if progress is not None:
            progress(len(theta) - len(run.active), len(theta))
    return run.minima(threshold, eigenvalues=eigenvalues)


class _Run:
    """The descents under way: which are active, and what is known of those that arrived."""

    def __init__(self, problem: TeacherStudent, theta: Tensor, n: int, *, step: float, tolerance: float, newton: bool):
        self.problem, self.n, self.step, self.tolerance, self.newton = problem, n, step, tolerance, newton
        self.start, self.theta = theta, theta.clone()
        self.active = torch.arange(len(theta), device=theta.device)
        nothing = theta.new_full((len(theta),), torch.nan)
        self.lowest, self.highest, self.distance = nothing.clone(), nothing.clone(), torch.zeros_like(nothing)
        self.next_try = torch.full_like(nothing, FIRST_TRY)
        self.taken = 0
        self.converged = torch.zeros(len(theta), dtype=torch.bool, device=theta.device)
        self.proved, self.steps = self.converged.clone(), torch.zeros_like(self.active)

    def go(self, advance: Advance, count: int) -> bool:
        """Take steps, let go who has arrived, and say whether anyone is left."""
        moved, norms = advance(self.theta[self.active], count)
        self.theta[self.active] = moved
        self.steps[self.active] += count
        arrived = (norms <= self.tolerance) | ~norms.isfinite() | self._at_zero(moved, norms)
        self.converged[self.active[arrived & norms.isfinite()]] = True
        if self.newton:
            due = norms <= self.next_try[self.active]
            trying = ~arrived & (due | ((norms <= LARGE) & self._doubled(count)))
            trying[trying.clone()] = ~self._below(TOWARDS, moved[trying])
            arrived[trying] = self._polish(self.active[trying])
            self.next_try[self.active[trying & due]] = norms[trying & due] / 10
        self.active = self.active[~arrived]
        return bool(len(self.active))

    def _doubled(self, count: int) -> bool:
        """Whether the steps so far have just passed 2000, 4000, 8000, ...; all who are active have taken as many."""
        self.taken += count
        before, now = ((self.taken - less) // SLOW for less in (count, 0))
        return now.bit_length() > before.bit_length()

    def _at_zero(self, theta: Tensor, norms: Tensor) -> Tensor:
        """Whether students with more neurons than their teacher fit it: descent creeps along a continuum there."""
        near = norms < math.sqrt(ZERO)
        if self.newton:
            near[near.clone()] = self._below(ZERO, theta[near])
        return near & self.newton

    def _below(self, level: float, theta: Tensor) -> Tensor:
        """Which students, having more neurons than their teacher, have a loss below a level."""
        if self.n <= self.problem.neurons or not len(theta):
            return torch.zeros(len(theta), dtype=torch.bool, device=theta.device)
        return self.problem.loss(*parts(self.problem, theta, self.n)) < level

    def _polish(self, which: Tensor) -> Tensor:
        if not len(which):
            return torch.zeros(0, dtype=torch.bool, device=which.device)
        found = polish(self.problem, self.theta[which], self.n, step=self.step, tolerance=self.tolerance)
        taken = which[found.accepted]
        self.theta[taken] = found.theta[found.accepted]
        for mine, theirs in (
            (self.lowest, found.lowest),
            (self.highest, found.highest),
            (self.distance, found.distance),
        ):
            mine[taken] = theirs[found.accepted]
        self.converged[taken] = True
        self.proved[taken] = not self.problem.trained_outputs
        return found.accepted

    def minima(self, threshold: float, *, eigenvalues: bool) -> Minima:
        """What there is now."""
        W, a = parts(self.problem, self.theta, self.n)
        bare = self.converged & self.lowest.isnan() & eigenvalues
        if bare.any():
            self.lowest[bare], self.highest[bare] = extremes(self.problem, self.theta[bare], self.n)
        norms = flat_gradient(self.problem, self.theta, self.n).norm(dim=1)
        return Minima(
            W=W, a=a, start=self.start, loss=self.problem.loss(W, a), gradient_norm=norms,
            lowest_eigenvalue=self.lowest, highest_eigenvalue=self.highest, converged=self.converged,
            proved=self.proved, steps=self.steps, distance=self.distance, threshold=threshold, step=self.step,
        )  # fmt: skip


def _advance(problem: TeacherStudent, n: int, step: float) -> Advance:
    compiled = problem.activation == "relu" and not problem.trained_outputs and problem.teacher.device.type == "cpu"
    return by_compiled_steps(problem, n, step) if compiled else by_torch(problem, n, step)


def _starts(
    problem: TeacherStudent, neurons: int | None, starts: int | Tensor, seed: int | torch.Generator, scale: float
) -> tuple[Tensor, int]:
    """The parameters (starts, P) to begin at, and the number of neurons."""
    d, outputs = problem.dimension, int(problem.trained_outputs)
    if isinstance(starts, Tensor):
        return _given(problem, neurons, require_tensor(starts, "starts"), d + outputs)
    n = require_whole(problem.neurons if neurons is None else neurons, "neurons")
    count = require_whole(starts, "starts")
    seed = require_seed(seed)
    random = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, n * d, generator=random, dtype=torch.float64) * scale / d**0.5
    if outputs:
        drawn = torch.cat([drawn, torch.randn(count, n, generator=random, dtype=torch.float64) / n**0.5], dim=1)
    return drawn.to(problem.teacher), n


def _given(problem: TeacherStudent, neurons: int | None, starts: Tensor, each: int) -> tuple[Tensor, int]:
    theta = starts.detach().to(problem.teacher)
    if theta.ndim == 3 and not problem.trained_outputs and theta.shape[2] == problem.dimension:
        theta = theta.flatten(1)
    if theta.ndim != 2 or not theta.numel() or theta.shape[1] % each or not theta.isfinite().all():
        raise InvalidInput(
            f"starts of shape {tuple(starts.shape)}; give finite (starts, n d), with outputs (.., n d + n)"
        )
    n = theta.shape[1] // each
    if neurons is not None and neurons != n:
        raise InvalidInput(f"starts of {n} neurons, and neurons = {neurons}; leave one out")
    return theta.clone(), n


def _step(problem: TeacherStudent, theta: Tensor, n: int) -> float:
    if problem.activation == "relu" and not problem.trained_outputs:
        return min(5.0 / problem.neurons, 7.0 / (n + 3))
    _, highest = extremes(problem, theta[:8], n)
    return 1.0 / float(highest.max())
