"""The L-curve (Hansen, 1992): its corner, where the curve (log |A x - b|, log |L x|) bends most.

Too little regularisation moves along the vertical branch (the solution explodes at an unchanged residual), too much
along the horizontal one. For Tikhonov's filter, with t = log lam, f = s^2 / (s^2 + lam) and f' = -f (1 - f),

    rho = |A x - b|^2,   rho' = 2 sum f (1-f)^2 beta^2,              rho'' = -2 sum f (1-f)^2 (1 - 3f) beta^2,
    eta = |L x|^2,       eta' = -2 sum f^2 (1-f) beta^2 / s^2,       eta'' = 2 sum f^2 (1-f) (2 - 3f) beta^2 / s^2,

and the curvature of (log rho, log eta)/2 follows exactly, with no difference quotients. On a discrete path (truncation,
iterations) the corner is the point of the most acute angle with two others, bent the right way (the triangle method of
Castellanos, Gomez and Guerra, 2002).

Cost: O(T q); T^3 / 6 triangles on a discrete path of at most 60 points. It is a heuristic and needs no noise level.
Fails: for smooth solutions, the smaller the noise the more it undersmooths, and it does not converge (Hanke, 1996,
BIT 36; Vogel, 1996, Inverse Problems 12); where there is no corner (too much noise, or none), which is refused.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.regularisation.choice import Choice, choose, least
from lemmata.regression.regularisation.filters import Ridge

if TYPE_CHECKING:
    from lemmata.regression.regularisation.path import Path

MOST = 60  # points of a discrete path that are compared in threes
ACUTE = 7 * np.pi / 8  # a wider angle is no corner


def l_curve(path: Path) -> Choice:
    """The parameter at the L-curve's corner; `score` has the curvature (discrete: minus the angle) on the path.

    Raises `InvalidInput` where the curve has no corner. Nothing is random.

    >>> from lemmata.phantoms.ill_posed import ill_posed
    >>> from lemmata.regression.regularisation import ridge_path
    >>> problem = ill_posed("shaw", 32)
    >>> corner = l_curve(ridge_path(problem.A, problem.noisy(1e-3)[:, 0]))
    >>> bool(float((corner.x - problem.x).norm() / problem.x.norm()) < 0.2)
    True
    """
    if not isinstance(path.filter, Ridge):
        value, scores = _discrete(path)
        return choose(path, value, scores, rule="L-curve", quantity="minus the angle of the sharpest triangle")
    value, minus, at_end = least(path, lambda values: -curvature(path, values))
    if not float(-minus.min()) > 0:
        raise InvalidInput("the L-curve bends the wrong way everywhere: it has no corner; take GCV or a noise level")
    return choose(path, value, -minus, rule="L-curve", quantity="curvature of the L-curve", at_end=at_end)


def curvature(path: Path, values: Tensor) -> Tensor:
    """The signed curvature of (log |A x - b|, log |L x|) at any values, (T,): positive at a corner."""
    f, left, inverse = path.factors(values)
    power = path.power
    rho = left.square() @ power + path.incompatible
    eta = inverse.square() @ power
    rho1, rho2 = 2 * (f * left.square()) @ power, -2 * (f * left.square() * (1 - 3 * f)) @ power
    weight = inverse.square() * left  # f^2 (1 - f) / s^2, also where s = 0
    eta1, eta2 = -2 * weight @ power, 2 * (weight * (2 - 3 * f)) @ power
    x1, y1 = rho1 / rho / 2, eta1 / eta / 2
    x2 = (rho2 / rho - (rho1 / rho).square()) / 2
    y2 = (eta2 / eta - (eta1 / eta).square()) / 2
    bent = (x1 * y2 - x2 * y1) / (x1.square() + y1.square()).pow(1.5)
    return torch.where(bent.isfinite(), bent, -torch.inf)


def _discrete(path: Path) -> tuple[float, Tensor]:
    """The point of the most acute triangle, on a path that is thinned to `MOST` points."""
    x, y = (norms.cpu().numpy() for norms in (path.residual_norms, path.solution_norms))
    usable = np.flatnonzero((x > 0) & (y > 0))
    if len(usable) < 3:
        raise InvalidInput(f"a corner needs three points of the L-curve; {len(usable)} have norms above zero")
    places = usable[np.unique(np.linspace(0, len(usable) - 1, MOST).round().astype(int))]
    points = np.stack([np.log(x[places]), np.log(y[places])], 1)
    j, k, i = np.array(list(combinations(range(len(places)), 3))).T  # from much filtering to little: j, then k, then i
    to, fro = points[k] - points[j], points[i] - points[k]
    length = np.linalg.norm(to, axis=1) * np.linalg.norm(fro, axis=1)
    cosine = -(to * fro).sum(1) / np.where(length > 0, length, np.inf)
    angle = np.arccos(np.clip(cosine, -1, 1))
    right = (to[:, 0] * fro[:, 1] - to[:, 1] * fro[:, 0] < 0) & (length > 0)  # left along the foot, then up: clockwise
    angle = np.where(right, angle, np.pi)
    if not angle.min() < ACUTE:
        raise InvalidInput("the discrete L-curve has no corner: no three of its points make an angle below 157 degrees")
    sharpest = np.full(len(x), np.pi)
    np.minimum.at(sharpest, places[k], angle)
    return float(path.values[int(sharpest.argmin())]), torch.as_tensor(-sharpest, device=path.values.device)
