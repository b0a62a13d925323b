"""At which rate the continuous adjoint's gradient tends to the exact one of the same steps, read off the tableau.

The exact gradient of a step is its cotangent lift: backwards along y_n itself. The adjoint equation, integrated in
steps of -h, is the inverse of the method's adjoint, applied to the Hamiltonian system of H(y, a) = a . f(y). Let p be
the order and e(tree) = b . phi(tree) - 1 / gamma(tree) the defects of order p + 1. Leading errors of a method and of
its adjoint differ by the factor (-1)^p, so

- p odd: already the states that are reconstructed differ in h^(p+1) a step, and the gradients in h^p.
- p even: the states agree to one order more. The adjoints do if the leading error of the method on the Hamiltonian
  system is itself the lift of an error in y, that is Hamiltonian, which is the case if and only if
  e(u o v) + e(v o u) = 0 for all trees u, v with p + 1 nodes together, u o v being u with v grafted to its root
  (Hairer, Lubich and Wanner, 2006, Geometric Numerical Integration, section IX.9.2). Then the gradients differ in
  h^(p+1), as for Heun's method; else in h^p.
- A splitting that is its own adjoint, as Verlet's, is symplectic and reversible: there is no difference.
"""

from __future__ import annotations

import math

from lemmata.flows.methods import Method, Splitting
from lemmata.flows.methods.order import NEAR, defects, trees
from lemmata.flows.methods.tableau import RungeKutta


def rate_of(method: Method) -> float:
    """Give the power of h with which the difference falls; inf where there is none but rounding.

    >>> from lemmata.flows.methods import METHODS
    >>> [rate_of(METHODS[name]) for name in ("forward-euler", "midpoint", "heun", "rk4", "verlet")]
    [1, 2, 3, 4, inf]
    """
    if isinstance(method, Splitting):
        return math.inf if method.moves == method.moves[::-1] else method.order
    p = method.order
    if p % 2 == 0 and isinstance(method, RungeKutta) and _leads_to_a_lift(method):
        return p + 1
    return p


def _leads_to_a_lift(method: RungeKutta) -> bool:
    """Whether e(u o v) + e(v o u) = 0 for all trees with order + 1 nodes together."""
    nodes = method.order + 1
    pairs = ((u, v) for size in range(1, nodes) for u in trees(size) for v in trees(nodes - size))
    sums = (defects((*u, v), method.b, method.A) + defects((*v, u), method.b, method.A) for u, v in pairs)
    return all(abs(one) <= NEAR for one in sums)
