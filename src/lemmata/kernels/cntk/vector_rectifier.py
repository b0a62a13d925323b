"""What a ReLU does to D = 1 - cos, in vectors of float32: `rectifier` with polynomials, no branch and no division.

With s = sqrt(D), on [0, 1], where all D lie behind the first ReLU:

    theta / pi = s P(D),     (sin theta - theta cos theta) / (pi D) = s Q(D)
    kappa_0 = 1 - s P(D),    D -> D (1 - s Q(D))

P and Q are smooth, with their nearest singularity at D = 2; degrees 7 and 5, minimax with the weight s, leave 4e-9 in
kappa_0 and 2e-8 in the factor of D, below the rounding of either, and keep the relative accuracy of small D. For D > 1
(the first layer, patches of negative correlation) theta(D) = pi - theta(2 - D). Both results carry the factor 1 / q^2
of the next layer, q = 3.

s = h + e h / 2 with h = D r, e = 1 - h r from an estimate r of 1 / sqrt(D) good to 14 bits, where the processor has it
(AVX-512), a relative error of 6e-9 before rounding; otherwise the square root. 7 + 5 + 7 multiplications and additions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from lemmata.kernels.cntk.vectors import call, choose, constant, multiply_add

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
TINY = 1e-30  # 1 / sqrt(0) is infinite
AREA = 9


@intrinsic
def gates(typing: Any, distances: Any) -> Any:
    """(1 - s P) / 9 of each of n distances in [0, 1], then (1 - s Q) / 9 of each: 2n vectors, computed in step."""
    number, vector = distances.count, distances.dtype

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        ds = cgutils.unpack_tuple(builder, args[0], number)
        tiny, share = constant(vector.llvm, TINY), constant(vector.llvm, 1 / AREA)
        ds = [choose(builder, ">", d, tiny) for d in ds]
        roots = _roots(builder, ds, vector)
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
        near = choose(builder, ">", builder.select(far, builder.fsub(two, d), d), constant(kind, TINY))
        [[p], [q]] = _polynomials(builder, [near])
        root = call(builder, f"llvm.sqrt.v{kind.count}f32", kind, [near])
        angle = builder.fmul(root, p)
        gate = builder.select(far, angle, builder.fsub(share, angle))
        beyond = builder.select(far, builder.fsub(d, one), zero)
        kept = builder.fmul(near, multiply_add(builder, builder.fneg(root), q, share))
        return context.make_tuple(builder, sig.return_type, [gate, multiply_add(builder, beyond, share, kept)])

    return signature(types.UniTuple(distance, 2), distance), generate


def _roots(builder: Any, ds: list[Any], vector: Any) -> list[Any]:
    kind = vector.llvm
    if not vector.lanes.rsqrt14:
        return [call(builder, f"llvm.sqrt.v{kind.count}f32", kind, [d]) for d in ds]
    one, half = constant(kind, 1), constant(kind, 0.5)
    all_lanes, none = ir.Constant(ir.IntType(16), -1), ir.Constant(kind, None)
    rs = [call(builder, "llvm.x86.avx512.rsqrt14.ps.512", kind, [d, none, all_lanes]) for d in ds]
    hs = [builder.fmul(d, r) for d, r in zip(ds, rs, strict=True)]
    es = [multiply_add(builder, builder.fneg(h), r, one) for h, r in zip(hs, rs, strict=True)]
    hes = [builder.fmul(h, e) for h, e in zip(hs, es, strict=True)]
    return [multiply_add(builder, he, half, h) for he, h in zip(hes, hs, strict=True)]


def _polynomials(builder: Any, ds: list[Any]) -> tuple[list[Any], list[Any]]:
    """P(D) / 9 and Q(D) / 9 of each, by Horner's rule: in step, for the processor looks only so far ahead."""
    kind, values = ds[0].type, []
    for coefficients in (THETA, LOST):
        value = [constant(kind, coefficients[-1] / AREA)] * len(ds)
        for coefficient in coefficients[-2::-1]:
            low = constant(kind, coefficient / AREA)
            value = [multiply_add(builder, v, d, low) for v, d in zip(value, ds, strict=True)]
        values.append(value)
    return values[0], values[1]
