"""Search for critical points of a loss, from many starts at once, and say of each end point what it is.

    grad L(theta) = 0

Three methods: `newton_mr` and `gradient_norm` shrink |g| and find points of any index, `trust_region` shrinks L and
finds minima. Those of the first kind also stop where |g|^2 has a local minimum above zero; such end points are called
"gradient-flat", never critical (Frye and others, 2021). What is reached is polished by Newton's iteration and judged:
spectrum, index, and a bound on the distance to a true critical point.

Cost: printed in the result; by far the most are products with the Hessian, of 2 gradients each. Fails to find what no
start leads to: it proves of no loss that there are no other critical points.
"""

from typing import Literal

import torch

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_flag, require_number, require_whole
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.flatness import RESOLUTION
from lemmata.landscape.critical.gradient_norm import GradientNorm
from lemmata.landscape.critical.judge import Standards, judge
from lemmata.landscape.critical.kinds import Flat
from lemmata.landscape.critical.kinks import refuse_kinks
from lemmata.landscape.critical.newton_mr import NewtonMR
from lemmata.landscape.critical.points import CriticalPoints
from lemmata.landscape.critical.polishing import Polishing
from lemmata.landscape.critical.starts import Starts, read_starts
from lemmata.landscape.critical.stopped import Stopped
from lemmata.landscape.critical.trust_region import TrustRegionNewton
from lemmata.landscape.critical.walk import Progress, Rule, Walk, walk
from lemmata.nets.initialisations import generator_from
from lemmata.objective import Subject

Method = Literal["newton_mr", "gradient_norm", "trust_region"]
STEPS = {"newton_mr": 300, "gradient_norm": 500, "trust_region": 500}
FINEST = 1e-12
POLISHING = 30


def search(
    subject: Subject,
    starts: Starts = 100,
    *,
    method: Method = "newton_mr",
    steps: int | None = None,
    tolerance: float = 1e-10,
    spread: float = 1.0,
    products: int | None = None,
    polish: bool = True,
    flat: Flat = "degenerate",
    resolution: float = RESOLUTION,
    lipschitz: float | None = None,
    certify: bool = True,
    dense: int = 512,
    kinks: bool = False,
    memory: int = 2**29,
    seed: int | torch.Generator = 0,
    progress: Progress | None = None,
) -> CriticalPoints:
    """Lead many starts to where the gradient vanishes, or to where they stop.

    `starts` is a number (drawn around the model's parameters, `spread` times a standard normal away), points (M, P), a
    parameter tree with a leading axis, or an earlier result. `method` is ``"newton_mr"``, ``"gradient_norm"`` or
    ``"trust_region"``; each takes at most `steps` steps, with at most `products` products with the Hessian a step (by
    default P, at most 200). `tolerance` is the gradient norm at which a point counts as critical; with `polish` such
    points are taken on to 1e-12 or rounding. `flat` says what zero eigenvalues mean: those of a ``"symmetry"``, along
    which the loss is constant, or ``"degenerate"``. `resolution` is that of `flatness`; `lipschitz` a constant of the
    Hessian that you know, instead of the estimate; without `certify` neither is used. Up to `dense` parameters spectra
    are complete. `kinks` allows rectifiers, and `memory` is in bytes.

    Random are drawn starts and the estimates of the certificate, by `seed`. float32 is computed in float64. Raises
    `InvalidInput` for NaN, for losses with kinks unless allowed, and for starts that do not fit; Ctrl-C raises
    `Interrupted` whose `partial` has the points so far, from which `starts=partial` goes on.

    >>> from lemmata.landscape.critical import function
    >>> def himmelblau(v):
    ...     return (v[0] ** 2 + v[1] - 11) ** 2 + (v[0] + v[1] ** 2 - 7) ** 2
    >>> found = search(function(himmelblau, 2), 200, spread=3.0).distinct()
    >>> found.of("minimum", "saddle", "maximum").counts
    {'minimum': 4, 'saddle': 4, 'maximum': 1}
    """
    field = Field(subject, memory=require_whole(memory, "memory"))
    refuse_kinks(field.objective, allowed=require_flag(kinks, "kinks"))
    generator = generator_from(seed)
    Y = read_starts(field, starts, spread=spread, generator=generator)
    standards = standards_of(
        tolerance, resolution=resolution, flat=flat, dense=dense, lipschitz=lipschitz, certify=certify,
        generator=generator,
    )  # fmt: skip
    rule = _rule(method, field, len(Y), products)
    limit = STEPS[method] if steps is None else require_whole(steps, "steps", least=0)
    found = walk(rule, field, Y, steps=limit, tolerance=tolerance, progress=progress)
    if require_flag(polish, "polish"):
        found = polished(field, found, tolerance=tolerance, dense=dense)
    points = judge(field, found, standards)
    if found.interrupted:
        raise Stopped(points)
    return points


def polished(field: Field, found: Walk, *, tolerance: float, dense: int) -> Walk:
    """Take those that reached the tolerance on to 1e-12, or to rounding."""
    near = (found.g.norm(dim=1) <= tolerance).nonzero()[:, 0]
    if not len(near) or found.interrupted:
        return found
    closer = walk(Polishing(field, dense=dense), field, found.Y[near], steps=POLISHING, tolerance=FINEST)
    Y, loss, g = found.Y.clone(), found.loss.clone(), found.g.clone()
    Y[near], loss[near], g[near] = closer.Y, closer.loss, closer.g
    return Walk(Y, loss, g, found.steps, found.stalled, found.history, found.interrupted)


def standards_of(
    tolerance: float,
    *,
    resolution: float = RESOLUTION,
    flat: Flat = "degenerate",
    dense: int = 512,
    lipschitz: float | None = None,
    certify: bool = True,
    generator: torch.Generator,
) -> Standards:
    """Check how points are to be judged."""
    if not require_number(tolerance, "tolerance") > 0:
        raise InvalidInput(f"tolerance = {tolerance}; it is a gradient norm above 0, 1e-10 say")
    if not 0 < require_number(resolution, "resolution") < 1:
        raise InvalidInput(f"resolution = {resolution}; it is relative to the largest eigenvalue, between 0 and 1")
    if flat not in ("symmetry", "degenerate"):
        raise UnknownName("flat", flat, ("symmetry", "degenerate"))
    if lipschitz is not None and not require_number(lipschitz, "lipschitz") >= 0:
        raise InvalidInput(f"lipschitz = {lipschitz}; a constant of the Hessian is not negative")
    require_flag(certify, "certify")
    return Standards(tolerance, resolution, flat, require_whole(dense, "dense", least=0), lipschitz, certify, generator)


def _rule(method: str, field: Field, count: int, products: int | None) -> Rule:
    most = min(field.size, 200) if products is None else require_whole(products, "products")
    if method == "newton_mr":
        return NewtonMR(field, count, most=most)
    if method == "gradient_norm":
        return GradientNorm(field, count, most=most)
    if method == "trust_region":
        return TrustRegionNewton(field, count, most=most)
    raise UnknownName("method", method, STEPS)
