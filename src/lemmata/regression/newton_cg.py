"""Inexact Newton: H p = -g by conjugate gradients, as well as the step is worth (Dembo et al., 1982).

Conjugate gradients stop at |H p + g| <= eta |g|, where eta follows the fall of the gradient (Eisenstat and Walker,
1996, choice 2): eta = 0.9 (|g_k| / |g_{k-1}|)^2, safeguarded; far from the solution directions are rough, near it the
convergence is superlinear. Where a direction d of non-positive curvature d^T H d is met, the step so far is taken, or
at the first the direction itself, which descends. A preconditioner M near H^-1 makes the inner iterations few.

Cost: a gradient a step, and the products, two gradients each. Fails where H is far from any smooth model (kinks).
"""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.line_search import armijo, strong_wolfe
from lemmata.regression.minimum import Point
from lemmata.regression.smooth_function import Product, SmoothFunction


def newton_cg(
    function: SmoothFunction,
    start: Point,
    *,
    products: int = 200,
    forcing: float | None = None,
    line_search: Literal["armijo", "strong wolfe"] = "armijo",
    tolerance: float = 0.0,
) -> Iterator[Point]:
    """Yield the iterates of Newton-CG from `start`.

    At most `products` Hessian products a step; `forcing` fixes eta (0.5 at first, then Eisenstat and Walker, if None).
    `function.preconditioner`, where there is one, is asked at each iterate. Nothing is solved beyond what brings the
    gradient to half of `tolerance`.

    >>> import itertools, torch
    >>> d = torch.tensor([1.0, 10.0], dtype=torch.float64)
    >>> f = SmoothFunction(lambda x: (x @ (d * x) / 2, d * x), hessian=lambda x: lambda v: d * v)
    >>> x = torch.ones(2, dtype=torch.float64)
    >>> list(itertools.islice(newton_cg(f, Point(x, *f(x)), forcing=1e-12), 1))[-1].value < 1e-20
    True
    """
    search = {"armijo": armijo, "strong wolfe": strong_wolfe}.get(line_search)
    if search is None:
        raise InvalidInput(f"line_search {line_search!r}; it is 'armijo' or 'strong wolfe'")
    if products < 1 or (forcing is not None and not 0 < forcing < 1):
        raise InvalidInput(f"products = {products} must be positive and forcing = {forcing} in (0, 1)")
    point, eta = start, 0.5 if forcing is None else forcing
    while True:
        precondition = None if function.preconditioner is None else function.preconditioner(point.x)
        enough = 0.5 * tolerance / float(point.gradient.norm())
        direction = truncated_cg(
            function.hessian(point.x),
            point.gradient,
            eta=min(max(eta, enough), 0.5),
            products=products,
            precondition=precondition,
        )
        found = search(function, point, direction)
        yield found
        if forcing is None:
            eta = eisenstat_walker(eta, float(point.gradient.norm()), float(found.gradient.norm()))
        point = found


def eisenstat_walker(eta: float, before: float, now: float, *, largest: float = 0.5) -> float:
    """The next forcing term: 0.9 (now / before)^2, which may not fall much faster than it did.

    >>> eisenstat_walker(0.5, 1.0, 0.1)
    0.225
    """
    wanted, memory = 0.9 * (now / before) ** 2, 0.9 * eta**2
    return min(largest, max(wanted, memory) if memory > 0.1 else wanted)


def truncated_cg(
    product: Product,
    g: Tensor,
    *,
    eta: float,
    products: int,
    precondition: Callable[[Tensor], Tensor] | None = None,
    curvature: float = 0.0,
) -> Tensor:
    """A descent direction p with |H p + g| <= eta |g|, or cut off at `products` or at non-positive curvature.

    `curvature` is added to the diagonal of H.

    >>> truncated_cg(lambda v: -v, torch.ones(2), eta=0.1, products=9)
    tensor([-1., -1.])
    """
    p, r = torch.zeros_like(g), -g
    z = r if precondition is None else precondition(r)
    d, rz, target = z.clone(), float(r @ z), eta * float(g.norm())
    for step in range(products):
        Hd = product(d)
        if curvature:
            Hd = Hd + curvature * d
        bend = float(d @ Hd)
        if not bend > 1e-15 * float(d @ d) * abs(rz) / max(float(r @ r), 1e-300):
            return d if step == 0 else p
        p = p.add(d, alpha=rz / bend)
        r = r.sub(Hd, alpha=rz / bend)
        if float(r.norm()) <= target:
            break
        z = r if precondition is None else precondition(r)
        rz, before = float(r @ z), rz
        d = z.add(d, alpha=rz / before)
    return p
