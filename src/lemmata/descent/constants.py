"""The two constants a guarantee needs of a user's own model: L, the gradient's Lipschitz constant, and mu.

    |g(x) - g(y)| <= L |x - y|,        f(y) >= f(x) + g(x)'(y - x) + mu |y - x|^2 / 2        for all x and y

Where the model is linear in its parameters they can be proven, from the design X (with a column of ones for a bias):

    mse             2 lambda(X'X) / (n K)            both exact: the Hessian is constant, K outputs
    cross-entropy   L <= lambda_max(X'X) / (2 n)     Boehning (1992);  mu >= 0, as the Hessian is singular

each plus the ridge. For any other model there are only estimates, from the function near where it was looked at:

    path     largest and smallest eigenvalue of the Hessian at points of a run of gradient descent. The largest is a
             lower bound of L, the smallest an upper bound of mu, and a negative one disproves convexity.
    secant   |g(x) - g(y)| / |x - y| and (g(x) - g(y))'(x - y) / |x - y|^2 between such points: the same, for losses
             without a second derivative; cheaper, and looser.

Cost: bound, some 20 products with X and d^3/3 flops; path, about 60 gradients a point; secant, a gradient a point.
Fails, and says so, where the curvature is not finite or zero everywhere: then there is no L to speak of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.curvature import top_eigenvalues
from lemmata.descent.problems.design import largest_eigenvalue, smallest_eigenvalue
from lemmata.descent.problems.problem import Kind
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.objective import Objective, Subject

Way = Literal["auto", "bound", "path", "secant"]
WAYS = ("auto", "bound", "path", "secant")
TRANSPARENT = (nn.Sequential, nn.Flatten, nn.Identity)


@dataclass(frozen=True, kw_only=True)
class Constant(Estimate):
    """L or mu: `value`, whether that is ``"exact"``, a proven ``"bound"`` or an ``"estimate"``, and `how` it was found.

    `largest` and `smallest` (K,) are the extreme curvatures met at K points of a path, `step` (K,) where they lay;
    empty where the constant was proven. `cost` counts gradients of the whole data set.

    >>> Constant(2.0, kind="bound", how="by Boehning's bound").kind
    'bound'
    """

    kind: Kind
    how: str
    largest: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    smallest: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    step: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    def plot(self, label: str = "curvature") -> Figure:
        """Draw the curvatures met along the path, and the constant."""
        ends = {"largest": self.largest, "smallest": self.smallest}
        series = [Series(label=f"{name} curvature", x=self.step, y=y) for name, y in ends.items() if len(y)]
        line = Reference(label=f"{self.kind}: {self.value:.4g}", value=float(self.value), role="theory")
        panel = Panel(x=Axis(label="step of gradient descent"), y=Axis(label=label), series=series, references=[line])
        return Figure(name="constant", title=f"{self.value:.4g}, {self.kind}", caption=self.how, panels=[panel])


def smoothness(
    subject: Subject, *, ridge: float = 0.0, way: Way = "auto", steps: int = 8, tolerance: float = 1e-3,
    seed: int | torch.Generator = 0,
) -> Constant:  # fmt: skip
    """L of an objective plus ridge |x|^2 / 2: proven where that is possible, else the largest curvature on a path.

    `way` "auto" proves where it can and follows a path where it cannot. The path has `steps` points. `tolerance` is
    that of its eigenvalues. The iterations begin at random vectors. Where L is estimated from a path, L is a *lower*
    bound: a guarantee computed with it is no guarantee. Raises `InvalidInput` for what cannot be proven (way "bound")
    and for curvatures that are not finite or are all zero.

    >>> x, y = torch.eye(4).double(), torch.tensor([0, 1, 2, 1])
    >>> model = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    >>> found = smoothness((model, "cross_entropy", (x, y)))
    >>> round(found.value, 6), found.kind
    (0.125, 'bound')
    """
    return _constant(subject, "L", ridge=ridge, way=way, steps=steps, tolerance=tolerance, seed=seed)


def strong_convexity(
    subject: Subject, *, ridge: float = 0.0, way: Way = "auto", steps: int = 8, tolerance: float = 1e-3,
    seed: int | torch.Generator = 0,
) -> Constant:  # fmt: skip
    """The modulus mu of an objective plus ridge |x|^2 / 2, as `smoothness`; from a path, an *upper* bound of it.

    Raises `InvalidInput` also where a negative curvature shows that the objective is not convex; it is named.

    >>> x = torch.diag(torch.tensor([1.0, 2.0])).double()
    >>> found = strong_convexity((nn.Linear(2, 1, bias=False, dtype=torch.float64), "mse", (x, x[:, :1])))
    >>> round(found.value, 6), found.kind
    (1.0, 'exact')
    """
    return _constant(subject, "mu", ridge=ridge, way=way, steps=steps, tolerance=tolerance, seed=seed)


def _constant(
    subject: Subject, which: Literal["L", "mu"], *, ridge: float, way: Way, steps: int, tolerance: float,
    seed: int | torch.Generator,
) -> Constant:  # fmt: skip
    objective = Objective.of(subject)
    if way not in WAYS:
        raise UnknownName("way", str(way), WAYS)
    if not 0 <= ridge < float("inf"):
        raise InvalidInput(f"ridge = {ridge} must be 0 or more, and finite")
    if steps < 2:
        raise InvalidInput(f"steps = {steps}: curvature along a path wants at least 2 points")
    design = linear_design(objective)
    if way == "bound" and design is None:
        raise InvalidInput(
            "nothing is proven of this model's curvature: bounds are known for a single linear layer with 'mse' or "
            "'cross_entropy'; take way='path' for an estimate"
        )
    if design is not None and way in ("auto", "bound"):
        return _proven(objective, design, which, ridge, seed)
    found = _secants(objective, steps) if way == "secant" else _path(objective, steps, tolerance, seed)
    return _read(found, which, ridge, "secants" if way == "secant" else "eigenvalues of the Hessian")


def linear_design(objective: Objective) -> Tensor | None:
    """The design X (n, d) of a model that is one linear layer, with a column of ones for its bias; None for others."""
    layers = [m for m in objective.model.modules() if not isinstance(m, TRANSPARENT)]
    if len(layers) != 1 or type(layers[0]) is not nn.Linear or objective.loss_name not in ("mse", "cross_entropy"):
        return None
    kinds = {name.split(".")[-1] for name in objective.names}
    x = torch.cat([inputs.flatten(1) for inputs, _ in objective.batches])
    columns = [x] if "weight" in kinds else []
    columns += [x.new_ones(len(x), 1)] if "bias" in kinds else []
    return torch.cat(columns, 1)


def _proven(
    objective: Objective, X: Tensor, which: Literal["L", "mu"], ridge: float, seed: int | torch.Generator
) -> Constant:
    mse = objective.loss_name == "mse"
    outputs = objective.outputs(objective.parameters, objective.batches[0][0])
    factor = 2 / outputs[0].numel() if mse else 0.5
    kind: Kind = "exact" if mse else "bound"
    law = "the Hessian of the mean squared error is constant" if mse else "Boehning's bound of the softmax Hessian"
    if which == "L":
        value = factor * largest_eigenvalue(X, seed=seed) + ridge
        return Constant(_usable(value), kind=kind, how=f"{law}; lambda_max proven by a Cholesky factorisation")
    value = (factor * smallest_eigenvalue(X) if mse else 0.0) + ridge
    return Constant(value, kind=kind, how=f"{law}; less the rounding of lambda_min" if mse else "the ridge alone")


@dataclass(frozen=True)
class _Path:
    """Extreme curvatures at points of a path, and what they cost."""

    step: np.ndarray
    largest: np.ndarray
    smallest: np.ndarray
    cost: float


def _path(objective: Objective, steps: int, tolerance: float, seed: int | torch.Generator) -> _Path:
    """Descend by 1 / lambda, lambda the largest curvature met so far, and look at each point."""
    seed = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    largest, smallest, cost, here = [], [], 0.0, objective
    for step in range(steps):
        ends = [top_eigenvalues(here, which=which, tolerance=tolerance, seed=seed) for which in ("largest", "smallest")]
        largest.append(float(ends[0].value[0]))
        smallest.append(float(ends[1].value[0]))
        cost += ends[0].cost + ends[1].cost + 1
        size = max(*largest, *(-value for value in smallest))
        if step == steps - 1 or not 0 < size < float("inf"):
            break
        gradient = here.gradient()
        here = here.at({name: value - gradient[name] / size for name, value in here.parameters.items()})
    return _Path(np.arange(len(largest)), np.array(largest), np.array(smallest), cost)


def _secants(objective: Objective, steps: int) -> _Path:
    """Descend by the reciprocal of the largest secant so far; its first guess moves the parameters by a thousandth."""
    x = objective.vector(objective.parameters)
    g = objective.vector(objective.gradient())
    size = float(g.norm()) / (1e-3 * max(float(x.norm()), 1.0))
    largest, smallest = [], []
    for _ in range(steps):
        if not 0 < size < float("inf") or not float(g.norm()) > 0:
            break
        y = x - g / size
        h = objective.vector(objective.gradient(objective.tree(y)))
        apart = float((y - x).norm())
        largest.append(float((h - g).norm()) / apart)
        smallest.append(float((h - g) @ (y - x)) / apart**2)
        size, x, g = max(largest), y, h
    return _Path(np.arange(len(largest)), np.array(largest), np.array(smallest), steps + 1.0)


def _read(found: _Path, which: Literal["L", "mu"], ridge: float, what: str) -> Constant:
    if not len(found.largest):
        raise InvalidInput("the gradient is zero or not finite at the model's parameters: no curvature can be seen")
    where = f"{what} at {len(found.step)} points of gradient descent"
    rest = {"largest": found.largest + ridge, "smallest": found.smallest + ridge, "step": found.step}
    if which == "L":
        size = max(float(found.largest.max()), -float(found.smallest.min()))
        value = _usable(size) + ridge
        return Constant(value, kind="estimate", how=f"{where}: a lower bound of L", cost=found.cost, **rest)
    require_convex(found.smallest + ridge, found.largest + ridge)
    value = max(0.0, float(found.smallest.min())) + ridge
    return Constant(value, kind="estimate", how=f"{where}: an upper bound of mu", cost=found.cost, **rest)


def require_convex(smallest: np.ndarray, largest: np.ndarray, tolerance: float = 1e-5) -> None:
    """Refuse, naming the eigenvalue, where a curvature is negative by more than `tolerance` of the largest one."""
    worst = int(np.argmin(smallest))
    if smallest[worst] < -tolerance * max(float(np.max(largest)), 0.0):
        raise InvalidInput(
            f"the objective is not convex: its Hessian has the eigenvalue {smallest[worst]:.4g} after {worst} steps of "
            f"gradient descent, beside a largest one of {largest[worst]:.4g}; what is proven for convex functions does "
            "not hold for it"
        )


def _usable(value: float) -> float:
    if not 0 < value < float("inf"):
        raise InvalidInput(
            f"the largest curvature met is {value}: no Lipschitz constant can be estimated; check the model for NaN, "
            "and for parameters that the loss does not depend on"
        )
    return value
