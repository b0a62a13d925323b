"""All layers of one displacement on chip: the Triton kernel behind `triton_backend`. Importing it needs triton.

A program is one warp, and takes one pair of images and circular displacements (a, b): position (i, j) of the first
meets ((i + a) mod P, (j + b) mod Q) of the second. A circular displacement is the displacements (a, b), (a - P, b),
(a, b - Q), (a - P, b - Q) side by side, which the zero padding keeps apart: nothing passes where the second image
wraps around, as nothing passes at the border of the first. So every lane has work at every step.

A lane is a column, and holds its P rows of E and T in registers from the pixels to the readout. Rows are a tuple of
vectors, unrolled: a vertical neighbour is another register, a horizontal one a warp shuffle. Images narrower than a
warp share it: the lanes of one program are `LANES // COLUMNS` column displacements. From memory come norms only, of
one image each, padded with zeros at the sides, and those of the second image with its rows twice, so that a row that
wraps is at a constant distance from the one before.

The recursion is that of `reference`, to which the names belong; what the ReLU does to D is two polynomials in D,
theta = sqrt(D) p(D) and (sin theta - theta cos theta) / pi = D^(3/2) q(D) on [0, 1], near-minimax with relative
errors of 2e-8 and 5e-8. The pixels' D may reach 2, which its reflection 2 - D brings back.
"""

from __future__ import annotations

# What follows is the language of a GPU, which has no keyword arguments, and tuples that only grow by addition.
# ruff: noqa: PLR0917, PLR0915, RUF005, SIM108
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false
import triton
import triton.language as tl


@triton.constexpr_function
def _load_at(offset):
    return f"ld.global.nc.f32 $0, [$1+{4 * offset}];"


@triton.jit
def _load(pointer, OFFSET: tl.constexpr, DIRECT: tl.constexpr):
    """`pointer[OFFSET]` of every lane, through the read-only cache with the offset in the instruction.

    Written as an instruction because `tl.load` costs the compiler time cubic in the number of loads, hours here; the
    interpreter knows no instructions.
    """
    if DIRECT:
        return tl.inline_asm_elementwise(
            _load_at(OFFSET), "=f,l", [pointer.to(tl.int64)], dtype=tl.float32, is_pure=True, pack=1
        )
    return tl.load(pointer + OFFSET)


@triton.jit
def _gate(D):
    """theta(D) / pi for D in [0, 1], and sqrt(D), which the other polynomial takes too."""
    root = tl.sqrt(D)
    p = 0.00038570811739191413
    p = p * D - 0.000633641320746392
    p = p * D + 0.001062651164829731
    p = p * D + 0.0004707357147708535
    p = p * D + 0.0026154667139053345
    p = p * D + 0.0084270890802145
    p = p * D + 0.03751382976770401
    p = p * D + 0.45015814900398254
    return root * p, root


@triton.jit
def _lost(D, root):
    """(sin theta - theta cos theta) / pi for D in [0, 1]."""
    q = 7.463455403922126e-05
    q = q * D - 5.608631545328535e-05
    q = q * D + 0.00023626931942999363
    q = q * D + 0.0005278484313748777
    q = q * D + 0.002416837029159069
    q = q * D + 0.015004935674369335
    q = q * D + 0.3001054525375366
    return (D * root) * q


@triton.jit
def _rectify(D, FIRST: tl.constexpr):
    """kappa_0 and D behind the ReLU."""
    if FIRST:
        far = D > 1.0
        near = tl.maximum(tl.where(far, 2.0 - D, D), 0.0)
        angle, root = _gate(near)
        lost = _lost(near, root)
        return tl.where(far, angle, 1.0 - angle), tl.where(far, 1.0 - lost, near - lost)
    angle, root = _gate(D)
    return 1.0 - angle, D - _lost(D, root)


@triton.jit
def _sideways(v, left, right, has_left, has_right):
    """The sum of a row over j - 1, j, j + 1, where those exist."""
    return v + tl.gather(v, left, 0) * has_left + tl.gather(v, right, 0) * has_right


@triton.jit
def _squares(u, v, ratio):
    """Sum over three columns of (u - ratio v)^2."""
    d0, d1, d2 = u[0] - ratio * v[0], u[1] - ratio * v[1], u[2] - ratio * v[2]
    return d0 * d0 + d1 * d1 + d2 * d2


@triton.jit
def _window(pointer, ROW: tl.constexpr, DIRECT: tl.constexpr):
    """A row at the columns j - 1, j, j + 1."""
    return _load(pointer, ROW, DIRECT), _load(pointer, ROW + 1, DIRECT), _load(pointer, ROW + 2, DIRECT)


@triton.jit
def _layer(
    E, T, below_x, below_z, at_x, at_z, inverse_x, inverse_z, a, sides,
    P: tl.constexpr, WIDE: tl.constexpr, FIRST: tl.constexpr, PLAIN: tl.constexpr, TRAINED: tl.constexpr,
    DIRECT: tl.constexpr,
):  # fmt: skip
    """One convolution and ReLU: E and T, rows of the layer below, to those of this one.

    `below_*` point at the norms of the layer below, `at_*` and `inverse_*` at those of this layer and their inverses,
    each at the row above the first and the column left of the lane's.
    """
    left, right, has_left, has_right = sides
    new_E = ()
    new_T = ()
    if not PLAIN:
        u_up = _window(below_x, 0, DIRECT)
        u = _window(below_x, WIDE, DIRECT)
        v_up = _window(below_z, 0, DIRECT)
        v = _window(below_z, WIDE, DIRECT)
    for i in tl.static_range(P):
        second = a + i
        second = tl.where(second >= P, second - P, second)
        has_up = tl.where(second == 0, 0.0, 1.0)
        has_down = tl.where(second == P - 1, 0.0, 1.0)
        e = E[i]
        t = T[i]
        if i > 0:
            e = e + E[i - 1] * has_up
            t = t + T[i - 1] * has_up
        if i < P - 1:
            e = e + E[i + 1] * has_down
            t = t + T[i + 1] * has_down
        e = _sideways(e, left, right, has_left, has_right)
        inverse = _load(inverse_x, (i + 1) * WIDE + 1, DIRECT)
        other = _load(inverse_z, (i + 1) * WIDE + 1, DIRECT)
        U = _load(at_x, (i + 1) * WIDE + 1, DIRECT)
        product = U * _load(at_z, (i + 1) * WIDE + 1, DIRECT)
        D = e * (inverse * other * 0.1111111111111111)
        if PLAIN:
            D = 1.0 - D
            D = tl.minimum(tl.maximum(D, 0.0), 2.0)
        else:
            ratio = U * other
            u_down = _window(below_x, (i + 2) * WIDE, DIRECT)
            v_down = _window(below_z, (i + 2) * WIDE, DIRECT)
            unlike = _squares(u, v, ratio)
            unlike += _squares(u_up, v_up, ratio * has_up)
            unlike += _squares(u_down, v_down, ratio * has_down)
            D += unlike * (inverse * inverse * 0.05555555555555555)
            u_up, u, v_up, v = u, u_down, v, v_down
        gate, behind = _rectify(D, FIRST)
        if FIRST:
            if TRAINED:
                t = (product * (1.0 - D)) * gate
        else:
            t = _sideways(t, left, right, has_left, has_right)
            t = (t * 0.1111111111111111 + product * (1.0 - D)) * gate
        new_T = new_T + (t,)
        if PLAIN:
            new_E = new_E + (product * (1.0 - behind),)
        else:
            new_E = new_E + (product * behind,)
    return new_E, new_T


@triton.jit
def cntk_displacements(
    units_x, units_z, norms_x, norms_z, inverse_x, inverse_z, first, second, rows, columns, row_weights,
    column_weights, out, layers, tasks, groups, column_count,
    P: tl.constexpr, Q: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr, LANES: tl.constexpr,
    PLAIN: tl.constexpr, TANGENT: tl.constexpr, TRAIN_FIRST: tl.constexpr, TRAIN_LAST: tl.constexpr,
    DIRECT: tl.constexpr,
):  # fmt: skip
    """Write out[pair, task]: the readout's weighted sum over one row displacement and a group of column displacements.

    `first` and `second` are the images of each pair; a task is one of `rows` and a group of LANES // COLUMNS of
    `columns`. Layouts: `triton_backend.Side`.
    """
    WIDE: tl.constexpr = COLUMNS + 2
    TALL_X: tl.constexpr = P + 2
    TALL_Z: tl.constexpr = 2 * P + 2
    pair = tl.program_id(0) // tasks
    task = tl.program_id(0) % tasks
    a = tl.load(rows + task // groups)
    lane = tl.arange(0, LANES)
    j = lane % COLUMNS
    place = (task % groups) * (LANES // COLUMNS) + lane // COLUMNS
    inside = (j < Q) & (place < column_count)
    b = tl.load(columns + tl.where(place < column_count, place, 0))
    jz = (tl.where(j < Q, j, 0) + b) % Q
    sides = (
        tl.maximum(lane - 1, 0),
        tl.minimum(lane + 1, LANES - 1),
        tl.where((j == 0) | (jz == 0), 0.0, 1.0),
        tl.where((j >= Q - 1) | (jz == Q - 1), 0.0, 1.0),
    )
    x = tl.load(first + pair).to(tl.int64)
    z = tl.load(second + pair).to(tl.int64)

    units_x += x * (CHANNELS * TALL_X * WIDE) + WIDE + j + 1
    units_z += z * (CHANNELS * TALL_Z * WIDE) + (a + 1) * WIDE + jz + 1
    below_x = norms_x + x * ((layers + 1) * TALL_X * WIDE) + j
    below_z = norms_z + z * ((layers + 1) * TALL_Z * WIDE) + a * WIDE + jz
    over_x = inverse_x + x * ((layers + 1) * TALL_X * WIDE) + j
    over_z = inverse_z + z * ((layers + 1) * TALL_Z * WIDE) + a * WIDE + jz

    E = ()
    T = ()
    for i in tl.static_range(P):
        e = tl.zeros([LANES], tl.float32)
        for c in tl.static_range(CHANNELS):
            u = _load(units_x, (c * TALL_X + i) * WIDE, DIRECT)
            v = _load(units_z, (c * TALL_Z + i) * WIDE, DIRECT)
            e += u * v if PLAIN else (u - v) * (u - v) * 0.5
        product = _load(below_x, (i + 1) * WIDE + 1, DIRECT) * _load(below_z, (i + 1) * WIDE + 1, DIRECT)
        E = E + (e * product,)
        T = T + (tl.zeros([LANES], tl.float32),)

    at_x, at_z = below_x + TALL_X * WIDE, below_z + TALL_Z * WIDE
    over_x, over_z = over_x + TALL_X * WIDE, over_z + TALL_Z * WIDE
    E, T = _layer(
        E, T, below_x, below_z, at_x, at_z, over_x, over_z, a, sides, P, WIDE, True, PLAIN, TRAIN_FIRST, DIRECT
    )  # fmt: skip
    for _ in range(1, layers):
        below_x, below_z = at_x, at_z
        at_x, at_z = at_x + TALL_X * WIDE, at_z + TALL_Z * WIDE
        over_x, over_z = over_x + TALL_X * WIDE, over_z + TALL_Z * WIDE
        E, T = _layer(E, T, below_x, below_z, at_x, at_z, over_x, over_z, a, sides, P, WIDE, False, PLAIN, True, DIRECT)

    total = tl.zeros([LANES], tl.float64)
    for i in tl.static_range(P):
        if PLAIN:
            prior = E[i]
        else:
            prior = _load(at_x, (i + 1) * WIDE + 1, DIRECT) * _load(at_z, (i + 1) * WIDE + 1, DIRECT) - E[i]
        if not TANGENT:
            value = prior
        elif TRAIN_LAST:
            value = T[i] + prior
        else:
            value = T[i]
        total += (value * tl.load(row_weights + i * 2 * P + a + i)).to(tl.float64)
    total *= tl.load(column_weights + tl.where(j < Q, j, 0) * Q + jz)
    tl.store(out + tl.program_id(0), tl.sum(tl.where(inside, total, 0.0), 0))
