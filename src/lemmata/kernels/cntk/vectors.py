"""Vectors of a processor as values in Numba: sixteen float32 in one register, where the auto-vectoriser takes eight.

`Lanes(number)` is a token: functions that get it as an argument are compiled for its width, with the types of
LLVM (``<16 x float>``) and none of the compiler's guesses. LLVM splits a vector that is wider than the processor's
registers, so that any width runs anywhere; `native_lanes` is the one that fits.

In compiled code: `load`, `store`, `splat` (one number in all lanes) at an offset in numbers behind a pointer, the
operators + - *, `fma` (a b + c) and `fnma` (c - a b), rounded once, `weighted_add` (into float64). Nothing is checked.
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    intrinsic,
    lower_builtin,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.arrayobj import make_array

FLOAT, DOUBLE, INDEX = ir.FloatType(), ir.DoubleType(), ir.IntType(64)


@dataclass(frozen=True)
class Lanes:
    """The token: `number` of float32 lanes.

    `name` is what people call such vectors; `choice` tells apart variants of a function that are compiled separately.
    """

    number: int
    name: str = "vectors"
    choice: str = ""


def native_lanes() -> Lanes:
    """The lanes of this processor.

    >>> native_lanes().number in (4, 8, 16)
    True
    """
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return Lanes(16, name="avx512")
    if features.get("avx"):
        return Lanes(8, name="avx2" if features.get("avx2") else "avx")
    return Lanes(4, name="128 bits")


# Compiled code is cached by the types of its arguments: with the digest of what it is lowered by, they say it all.
_DIGEST = hashlib.sha256(
    b"".join((Path(__file__).parent / name).read_bytes() for name in ("vectors.py", "vector_rectifier.py", "rows.py"))
).hexdigest()[:12]


class LanesType(types.Dummy):
    """The type of a token."""

    def __init__(self, number: int, choice: str) -> None:
        self.number, self.choice = number, choice
        super().__init__(f"Lanes({number}, {choice!r}, {_DIGEST})")


class Vector(types.Type):
    """The type of a vector of float32."""

    def __init__(self, lanes: LanesType) -> None:
        self.lanes = lanes
        self.llvm = ir.VectorType(FLOAT, lanes.number)
        super().__init__(f"Vector({lanes.name})")


@typeof_impl.register(Lanes)
def _type_of(value: Lanes, context: Any) -> LanesType:
    return LanesType(value.number, value.choice)


@unbox(LanesType)
def _unbox(kind: LanesType, value: Any, c: Any) -> NativeValue:
    return NativeValue(c.context.get_dummy_value())


register_model(LanesType)(models.OpaqueModel)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


# ---- LLVM ------------------------------------------------------------------------------------------------------------


def call(builder: Any, name: str, kind: Any, arguments: list[Any]) -> Any:
    """Call an intrinsic function of LLVM that gives `kind`."""
    function = ir.FunctionType(kind, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)


def constant(kind: Any, value: float) -> Any:
    """The same number in all lanes, rounded to float32."""
    return ir.Constant(kind, [ir.Constant(FLOAT, float(np.float32(value)))] * kind.count)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """A b + c, rounded once."""
    width = "f32" if a.type.element == FLOAT else "f64"
    return call(builder, f"llvm.fma.v{a.type.count}{width}", a.type, [a, b, c])


def root(builder: Any, a: Any) -> Any:
    """The square root."""
    return call(builder, f"llvm.sqrt.v{a.type.count}f32", a.type, [a])


def choose(builder: Any, order: str, a: Any, b: Any) -> Any:
    """The larger (``">"``) or the smaller (``"<"``) of two: one instruction."""
    return builder.select(builder.fcmp_ordered(order, a, b), a, b)


def _everywhere(builder: Any, value: Any, number: int) -> Any:
    kind = ir.VectorType(value.type, number)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), number), [0] * number))


def _at(builder: Any, pointer: Any, offset: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())


# ---- what compiled code calls ----------------------------------------------------------------------------------------


def _operator(of: Any, name: str) -> None:
    @infer_global(of)  # pyright: ignore[reportOptionalCall]
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(args[0], *args) if isinstance(args[0], Vector) and args[0] == args[-1] else None

    @lower_builtin(of, Vector, Vector)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, name)(*args)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """A b + c."""
    return signature(a, a, b, c), lambda context, builder, sig, args: multiply_add(builder, *args)


@intrinsic
def fnma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """C - a b."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return multiply_add(builder, builder.fneg(args[0]), args[1], args[2])

    return signature(a, a, b, c), generate


@intrinsic
def width(typing: Any, lanes: Any) -> Any:
    """The number of lanes."""
    return signature(types.intp, lanes), lambda context, builder, sig, args: ir.Constant(INDEX, lanes.number)


@intrinsic(prefer_literal=True)
def chosen(typing: Any, lanes: Any, choice: Any) -> Any:
    """Whether this variant is compiled; a constant, so that the code of the other one vanishes."""
    answer = ir.Constant(ir.IntType(1), int(lanes.choice == choice.literal_value))
    return signature(types.boolean, lanes, choice), lambda context, builder, sig, args: answer


@intrinsic
def same(typing: Any, lanes: Any, value: Any) -> Any:
    """A number in all lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _everywhere(builder, builder.fptrunc(args[1], FLOAT), lanes.number)

    return signature(Vector(lanes), lanes, types.float64), generate


@intrinsic
def pointer(typing: Any, array: Any) -> Any:
    """Where the numbers of a contiguous array lie."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return make_array(sig.args[0])(context, builder, args[0]).data

    return signature(types.CPointer(array.dtype), array), generate


@intrinsic
def shift(typing: Any, where: Any, by: Any) -> Any:
    """A pointer, so many numbers further."""
    return signature(where, where, types.intp), lambda context, builder, sig, args: builder.gep(args[0], [args[1]])


@intrinsic
def load(typing: Any, lanes: Any, where: Any, offset: Any) -> Any:
    """The vector at an offset."""
    kind = Vector(lanes)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[1], args[2], kind.llvm), align=4)

    return signature(kind, lanes, where, types.intp), generate


@intrinsic
def splat(typing: Any, lanes: Any, where: Any, offset: Any) -> Any:
    """The number at an offset, in all lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _everywhere(builder, builder.load(builder.gep(args[1], [args[2]])), lanes.number)

    return signature(Vector(lanes), lanes, where, types.intp), generate


@intrinsic
def store(typing: Any, vector: Any, where: Any, offset: Any) -> Any:
    """Put a vector at an offset."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[0], _at(builder, args[1], args[2], args[0].type), align=4)
        return context.get_dummy_value()

    return signature(types.void, vector, where, types.intp), generate


@intrinsic
def prefetch(typing: Any, where: Any, offset: Any) -> Any:
    """Ask for the cache line at an offset, which will be read soon; any address will do."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = builder.bitcast(builder.gep(args[0], [args[1]]), ir.IntType(8).as_pointer())
        flags = [ir.Constant(ir.IntType(32), flag) for flag in (0, 3, 1)]  # to read, into the nearest cache, data
        kind = ir.FunctionType(ir.VoidType(), [place.type, *(flag.type for flag in flags)])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0"), [place, *flags])
        return context.get_dummy_value()

    return signature(types.void, where, types.intp), generate


@intrinsic
def weighted_add(typing: Any, vector: Any, weight: Any, where: Any, offset: Any) -> Any:
    """Add weight times the vector to the float64 numbers at an offset."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.VectorType(DOUBLE, vector.lanes.number)
        place = _at(builder, args[2], args[3], kind)
        scale = _everywhere(builder, args[1], vector.lanes.number)
        added = multiply_add(builder, builder.fpext(args[0], kind), scale, builder.load(place, align=8))
        builder.store(added, place, align=8)
        return context.get_dummy_value()

    return signature(types.void, vector, types.float64, where, types.intp), generate
