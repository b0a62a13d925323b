"""Loss, gradient and Hessian of one student in ball arithmetic: intervals that contain the true numbers.

The same closed forms as in `relu`, `erf` and `second_order`, evaluated at the exact binary values of W by Arb (128 bits
unless said otherwise). Only ReLU pairs that are parallel or opposite have no enclosure of the Hessian: 1 / sin t is
infinite. Cost: n (n + k) pairs of some fifty operations, 3 n^2 d^2 / 2 multiplications for the Hessian; at n = k = d =
20 about a second.

Source: Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.landscape.teacher_student.problem import TeacherStudent

PRECISION = 128


@dataclass(frozen=True)
class Pair:
    """What `pairs` says of a pair, in balls: f, alpha, beta, and both second derivatives (ww, wv = vw, vv), (all)."""

    value: Any
    alpha: Any
    beta: Any
    own: tuple[Any, Any, Any]  # ww, wv = vw, vv
    cross: tuple[Any, Any, Any, Any]


class Enclosure:
    """The balls of one problem at one student W (n, d), with the precision of the context it is made in."""

    def __init__(self, problem: TeacherStudent, W: np.ndarray):
        from flint import arb

        self.make = arb
        self.relu = problem.activation == "relu"
        self.W = [[arb(float(x)) for x in row] for row in W]
        self.V = [[arb(float(x)) for x in row] for row in problem.teacher.tolist()]
        self.b = [arb(float(x)) for x in problem.b.tolist()]
        self.n, self.d, self.k = len(self.W), len(self.W[0]), len(self.V)
        self.ours = {(i, j): self.pair(self.W[i], self.W[j]) for i in range(self.n) for j in range(self.n) if i != j}
        self.theirs = {(i, j): self.pair(self.W[i], self.V[j]) for i in range(self.n) for j in range(self.k)}

    def pair(self, w: Sequence[Any], v: Sequence[Any]) -> Pair:
        """Everything of two different neurons."""
        q, r, s = dot(w, v), dot(w, w), dot(v, v)
        return self._relu(q, r, s) if self.relu else self._erf(q, r, s)

    def _relu(self, q: Any, r: Any, s: Any) -> Pair:
        pi, left, right = self.make.pi(), r.sqrt(), s.sqrt()
        height = (r * s - q * q).sqrt()  # |w| |v| sin t
        sine, cosine = height / (left * right), q / (left * right)
        beta = (pi - self.make.atan2(height, q)) / (2 * pi)
        inverse = 1 / (2 * pi * sine)
        alpha = right * sine / (2 * pi * left)
        value = height / (2 * pi) + beta * q
        own = (
            right / (left * r) * (inverse * cosine * cosine - sine / (2 * pi)),
            -cosine * inverse / r,
            inverse / (left * right),
        )
        straight = inverse / (left * right)
        return Pair(value, alpha, beta, own, (-cosine * inverse / r, straight, straight, -cosine * inverse / s))

    def _erf(self, q: Any, r: Any, s: Any) -> Pair:
        two = 2 / self.make.pi()
        A, B = 1 + r, 1 + s
        D = A * B - q * q
        root = D.sqrt()
        cube = two / (D * root)
        own = (cube * q * (B / A + 2 * D / (A * A)), -cube * B, cube * q)
        cross = (-cube * B, cube * q, cube * q, -cube * A)
        return Pair(two * self.make.atan2(q, root), -two * q / (A * root), two / root, own, cross)

    def alone(self, w: Sequence[Any]) -> tuple[Any, Any, Any]:
        """f(w, w) and the coefficients of its derivatives, as in `pairs.Self`."""
        r = dot(w, w)
        if self.relu:
            return r / 2, self.make(1), self.make(0)
        A, C, two = 1 + r, 1 + 2 * r, 2 / self.make.pi()
        gain = 2 * two / (A * C.sqrt())
        return two * (r / A).asin(), gain, -2 * gain * (1 / A + 1 / C)

    def loss(self) -> Any:
        """The loss."""
        own = sum((self.alone(w)[0] for w in self.W), self.make(0))
        own += sum((pair.value for pair in self.ours.values()), self.make(0))
        shared = sum((self.b[j] * pair.value for (_, j), pair in self.theirs.items()), self.make(0))
        fixed = sum((b * b * self.alone(v)[0] for b, v in zip(self.b, self.V, strict=True)), self.make(0))
        fixed += 2 * sum(
            (
                self.b[i] * self.b[j] * self._value(self.V[i], self.V[j])
                for i in range(self.k) for j in range(i)
            ),
            self.make(0),
        )  # fmt: skip
        return own / 2 - shared + fixed / 2

    def _value(self, w: Sequence[Any], v: Sequence[Any]) -> Any:
        """F alone: of teacher neurons, which may be parallel."""
        q, r, s = dot(w, v), dot(w, w), dot(v, v)
        if not self.relu:
            return self._erf(q, r, s).value
        square = r * s - q * q
        height = square.sqrt() if square > 0 else self.make(0).union(square.abs_upper().sqrt())
        pi = self.make.pi()
        rest = self.make.atan2(height, -q) if q < 0 else pi - self.make.atan2(height, q)  # none crosses the cut at -pi
        return height / (2 * pi) + rest / (2 * pi) * q

    def gradient(self) -> list[Any]:
        """The gradient, flattened (n d)."""
        found = []
        for i, w in enumerate(self.W):
            along = self._along(i)
            beta = [(self.ours[i, j].beta, self.W[j]) for j in range(self.n) if j != i]
            beta += [(-self.b[j] * self.theirs[i, j].beta, self.V[j]) for j in range(self.k)]
            found += [along * w[c] + sum((t * v[c] for t, v in beta), self.make(0)) for c in range(self.d)]
        return found

    def _along(self, i: int) -> Any:
        ours = sum((self.ours[i, j].alpha for j in range(self.n) if j != i), self.make(0))
        theirs = sum((self.b[j] * self.theirs[i, j].alpha for j in range(self.k)), self.make(0))
        return ours - theirs + self.alone(self.W[i])[1] / 2

    def hessian(self) -> list[list[Any]]:
        """The Hessian (n d, n d), its lower triangle."""
        size = self.n * self.d
        H = [[self.make(0)] * size for _ in range(size)]
        for i in range(self.n):
            self._diagonal_block(H, i)
            for j in range(i):
                self._block(H, i, j)
        return H

    def _diagonal_block(self, H: list[list[Any]], i: int) -> None:
        w, zero = self.W[i], self.make(0)
        others = [(self.make(1), self.ours[i, j].own, self.W[j]) for j in range(self.n) if j != i]
        others += [(-self.b[j], self.theirs[i, j].own, self.V[j]) for j in range(self.k)]
        along = self._along(i)
        ww = sum((t * own[0] for t, own, _ in others), zero) + self.alone(w)[2] / 2
        wv = [sum((t * own[1] * v[c] for t, own, v in others), zero) for c in range(self.d)]
        scaled = [[t * own[2] * v[c] for c in range(self.d)] for t, own, v in others]
        for a in range(self.d):
            for c in range(a + 1):
                vv = sum((part[a] * v[c] for part, (_, _, v) in zip(scaled, others, strict=True)), zero)
                entry = ww * w[a] * w[c] + w[a] * wv[c] + wv[a] * w[c] + vv
                H[i * self.d + a][i * self.d + c] = entry + along if a == c else entry

    def _block(self, H: list[list[Any]], i: int, j: int) -> None:
        w, v, pair = self.W[i], self.W[j], self.ours[i, j]
        ww, wv, vw, vv = pair.cross
        for a in range(self.d):
            left, right = ww * w[a] + vw * v[a], wv * w[a] + vv * v[a]
            for c in range(self.d):
                entry = left * w[c] + right * v[c]
                H[i * self.d + a][j * self.d + c] = entry + pair.beta if a == c else entry


def dot(w: Sequence[Any], v: Sequence[Any]) -> Any:
    """The inner product."""
    total = w[0] * v[0]
    for x, y in zip(w[1:], v[1:], strict=True):
        total += x * y
    return total
