"""The kernel from its layers' parts: block by block of samples, and half of it where both sides are the same.

Below the diagonal the square is halved into two triangles and a square, and so on down to `LEAF` rows, so that the
products are of large matrices and little beyond the half is computed. Parts that are Hadamard products are added up
in tiles that stay in the cache; products of gradients are added to the rectangle in place.
"""

from collections.abc import Callable, Iterator

from torch import Tensor

from lemmata.kernels.empirical.contractions import Gradients, Kept

Side = dict[str, Kept]
Rectangle = tuple[slice, slice]
LEAF = {"cpu": 320, "cuda": 2048}  # rows of the kernel below which a triangle is computed as a square
TILE = {"cpu": 640, "cuda": 8192}  # rows and columns of a tile
STRIP = 128  # rows that are transposed at a time
ALIGNED = 8  # samples: with any number of outputs that is even, rows then come in multiples of the vector length


def fill(K: Tensor, x: Tensor, z: Tensor | None, *, take: Callable[[Tensor], Side], R: int, block: int) -> None:
    """Set K (n R, m R), where `take` gives the parts of a block of samples; z is None for x again."""
    blocks = (x if z is None else z).split(block)
    canvas = _Canvas(K, R)
    for i, part in enumerate(x.split(block)):
        left = take(part)
        rows = slice(i * block, i * block + len(part))
        for j, other in enumerate(blocks if z is not None else blocks[: i + 1]):
            same = z is None and j == i
            right = left if same else take(other)
            columns = slice(j * block, j * block + len(other))
            whole = [(slice(0, len(part)), slice(0, len(other)))]
            for I, J in _triangle(0, len(part), R, K) if same else whole:  # noqa: E741
                canvas.set(canvas.part(rows, columns), left, right, (I, J))
            if z is None:
                _mirror(canvas.part(rows, columns), canvas.part(columns, rows))


class _Canvas:
    """A kernel with R rows a sample, and scratch that is reused, since new memory is slower than the products."""

    def __init__(self, K: Tensor, R: int):
        self.K, self.R = K, R
        room = min(K.numel(), max(TILE.get(K.device.type, TILE["cuda"]), R) ** 2)
        self.tile, self.scratch = K.new_empty(room), K.new_empty(room)

    def part(self, rows: slice, columns: slice) -> Tensor:
        """The entries of samples."""
        return self.K[rows.start * self.R : rows.stop * self.R, columns.start * self.R : columns.stop * self.R]

    def set(self, out: Tensor, left: Side, right: Side, rectangle: Rectangle) -> None:
        """Set the samples of a rectangle of the block `out`."""
        R, (I, J) = self.R, rectangle  # noqa: E741
        into = out[I.start * R : I.stop * R, J.start * R : J.stop * R]
        hadamard = [name for name, kept in left.items() if not isinstance(kept, Gradients)]
        for A, B in _tiles(I, J, R, out) if hadamard else []:
            rows, columns = (A.stop - A.start) * R, (B.stop - B.start) * R
            tile = self.tile[: rows * columns].view(rows, columns).zero_()
            for name in hadamard:
                left[name].add(tile, right[name], A, B, self.scratch)
            i, j = (A.start - I.start) * R, (B.start - J.start) * R
            into[i : i + rows, j : j + columns] = tile
        if not hadamard:
            into.zero_()
        if "gradients" in left:
            left["gradients"].add(into, right["gradients"], I, J, self.scratch)


def _triangle(start: int, stop: int, R: int, out: Tensor) -> Iterator[Rectangle]:
    """Squares of samples that cover the diagonal and what is below it."""
    n = stop - start
    if n * R <= LEAF.get(out.device.type, LEAF["cuda"]) or n < 2:
        yield slice(start, stop), slice(start, stop)
        return
    half = start + _aligned((n + 1) // 2, n)
    yield from _triangle(start, half, R, out)
    yield from _triangle(half, stop, R, out)
    yield slice(half, stop), slice(start, half)


def _tiles(I: slice, J: slice, R: int, out: Tensor) -> Iterator[Rectangle]:  # noqa: E741
    """Cut a rectangle of samples into tiles of like size."""
    most = max(1, TILE.get(out.device.type, TILE["cuda"]) // R)
    for rows in _cut(I, most):
        for columns in _cut(J, most):
            yield rows, columns


def _cut(samples: slice, most: int) -> Iterator[slice]:
    n = samples.stop - samples.start
    pieces = -(-n // most)
    step = min(_aligned(-(-n // pieces), n), most)
    for start in range(samples.start, samples.stop, step):
        yield slice(start, min(start + step, samples.stop))


def _aligned(size: int, n: int) -> int:
    """The size rounded up to a multiple of `ALIGNED`, if that leaves anything of n."""
    rounded = -(-size // ALIGNED) * ALIGNED
    return rounded if rounded < n else size


def _mirror(lower: Tensor, upper: Tensor) -> None:
    """Set upper to the transpose of lower, or its upper triangle to that of its lower one if they are the same."""
    same = lower.data_ptr() == upper.data_ptr()
    for i in range(0, len(lower), STRIP):
        strip = lower[i : i + STRIP]
        if same:
            square = strip[:, i : i + STRIP]
            square.copy_(square.tril() + square.tril(-1).T)
            strip = strip[:, :i]
        upper[: strip.shape[1], i : i + STRIP] = strip.T
