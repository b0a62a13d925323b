"""What a ReLU does to D = 1 - cos, in vectors of float32: `rectifier` with polynomials, no branch and no division.

With s = sqrt(D), on [0, 1], where all D lie behind the first ReLU:

    theta / pi = s P(D),     (sin theta - theta cos theta) / (pi D) = s Q(D)
    kappa_0 = 1 - s P(D),    D -> D (1 - s Q(D))

P and Q are smooth, with their nearest singularity at D = 2; degrees 7 and 5, minimax with the weight s, leave 4e-9 in
kappa_0 and 2e-8 in the factor of D, below the rounding of either, and keep the relative accuracy of small D. For D > 1
(the first layer, patches of negative correlation) theta(D) = pi - theta(2 - D). Both results carry the factor 1 / q^2
of the next layer, q = 3.

Even and odd powers are summed apart, in D^2, for half the chain of Horner's rule: 1 + 7 + 5 + 2 multiplications and
additions, beside which the processor's unit for roots works on its own. An estimate of 1 / sqrt(D) with a step of
Newton, five instructions more, is slower.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from lemmata.kernels.cntk.vectors import choose, constant, multiply_add, root

THETA = (
    0.45015809256826195,
    0.03751613906851652,
    0.00840164063930798,
    0.002738607894263345,
    0.00016566355400790013,
    0.001466584352977056,
    -0.0009055717026290103,
    0.0004588396550002382,
)
LOST = (
    0.30010517442058343,
    0.0150121880856557,
    0.002360291704728343,
    0.0007177566369226803,
    -7.493724238938599e-05,
    0.00018939156290849704,
)
AREA = 9


@intrinsic
def gates(typing: Any, distances: Any) -> Any:
    """(1 - s P) / 9 of each of n distances in [0, 1], then (1 - s Q) / 9 of each: 2n vectors, computed in step."""
    number, vector = distances.count, distances.dtype

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        ds = cgutils.unpack_tuple(builder, args[0], number)
        zero, share = constant(vector.llvm, 0), constant(vector.llvm, 1 / AREA)
        if vector.lanes.choice == "plain":  # there 1 - cos may be rounded to below 0
            ds = [choose(builder, ">", d, zero) for d in ds]
        roots = [root(builder, d) for d in ds]
        found = []
        for polynomial in _polynomials(builder, ds):
            steps = zip(roots, polynomial, strict=True)
            found += [multiply_add(builder, builder.fneg(s), p, share) for s, p in steps]
        return context.make_tuple(builder, sig.return_type, found)

    return signature(types.UniTuple(vector, 2 * number), distances), generate


@intrinsic
def first_gates(typing: Any, distance: Any) -> Any:
    """kappa_0 / 9 and D / 9 behind the ReLU, from D in [0, 2] (cut off above) of the first layer."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = distance.llvm
        zero, one, two, share = (constant(kind, value) for value in (0, 1, 2, 1 / AREA))
        d = choose(builder, "<", args[0], two)
        far = builder.fcmp_ordered(">", d, one)
        near = choose(builder, ">", builder.select(far, builder.fsub(two, d), d), zero)
        [[p], [q]] = _polynomials(builder, [near])
        s = root(builder, near)
        angle = builder.fmul(s, p)
        gate = builder.select(far, angle, builder.fsub(share, angle))
        beyond = builder.select(far, builder.fsub(d, one), zero)
        kept = builder.fmul(near, multiply_add(builder, builder.fneg(s), q, share))
        return context.make_tuple(builder, sig.return_type, [gate, multiply_add(builder, beyond, share, kept)])

    return signature(types.UniTuple(distance, 2), distance), generate


def _polynomials(builder: Any, ds: list[Any]) -> tuple[list[Any], list[Any]]:
    """P(D) / 9 and Q(D) / 9 of each, in step, for the processor looks only so far ahead."""
    squares = [builder.fmul(d, d) for d in ds]
    return _polynomial(builder, THETA, ds, squares), _polynomial(builder, LOST, ds, squares)


def _polynomial(builder: Any, coefficients: tuple[float, ...], ds: list[Any], squares: list[Any]) -> list[Any]:
    """Pairs a + b D of coefficients, an even number of them, by Horner's rule in D^2."""
    values: list[Any] = []
    for low, high in zip(coefficients[-2::-2], coefficients[::-2], strict=True):
        a, b = (constant(ds[0].type, coefficient / AREA) for coefficient in (low, high))
        pairs = [multiply_add(builder, b, d, a) for d in ds]
        steps = zip(values, squares, pairs, strict=True)
        values = [multiply_add(builder, *step) for step in steps] if values else pairs
    return values
