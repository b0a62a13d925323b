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
PANEL = {"cpu": 2048, "cuda": 8192}  # rows and columns for which the products of inputs are held
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
        room = min(K.numel(), max(_of(TILE, K), R) ** 2)
        self.tile, self.scratch = K.new_empty(room), K.new_empty(room)

    def part(self, rows: slice, columns: slice) -> Tensor:
        """The entries of samples."""
        return _entries(self.K, rows, columns, self.R)

    def set(self, out: Tensor, left: Side, right: Side, rectangle: Rectangle) -> None:
        """Set the samples of a rectangle of the block `out`."""
        hadamard = [(kept, right[name]) for name, kept in left.items() if not isinstance(kept, Gradients)]
        if not hadamard:
            _entries(out, *rectangle, self.R).zero_()
        for I, J in _cut(*rectangle, _of(PANEL, out) // self.R) if hadamard else []:  # noqa: E741
            shares = [kept.share(other, I, J) for kept, other in hadamard]
            for rows, columns in _cut(I, J, _of(TILE, out) // self.R):
                shape = ((rows.stop - rows.start) * self.R, (columns.stop - columns.start) * self.R)
                tile = self.tile[: shape[0] * shape[1]].view(shape).zero_()
                for add in shares:
                    add(tile, rows, columns, self.scratch)
                _entries(out, rows, columns, self.R).copy_(tile)
        if "gradients" in left:
            rows, columns = rectangle
            add = left["gradients"].share(right["gradients"], rows, columns)
            add(_entries(out, rows, columns, self.R), rows, columns, self.scratch)


def _of(sizes: dict[str, int], K: Tensor) -> int:
    return sizes.get(K.device.type, sizes["cuda"])


def _entries(K: Tensor, rows: slice, columns: slice, R: int) -> Tensor:
    return K[rows.start * R : rows.stop * R, columns.start * R : columns.stop * R]


def _triangle(start: int, stop: int, R: int, out: Tensor) -> Iterator[Rectangle]:
    """Squares of samples that cover the diagonal and what is below it."""
    n = stop - start
    if n * R <= _of(LEAF, out) or n < 2:
        yield slice(start, stop), slice(start, stop)
        return
    half = start + _aligned((n + 1) // 2, n)
    yield from _triangle(start, half, R, out)
    yield from _triangle(half, stop, R, out)
    yield slice(half, stop), slice(start, half)


def _cut(rows: slice, columns: slice, most: int) -> Iterator[Rectangle]:
    """Cut a rectangle of samples into tiles of like size."""
    for each in _pieces(rows, max(1, most)):
        for other in _pieces(columns, max(1, most)):
            yield each, other


def _pieces(samples: slice, most: int) -> Iterator[slice]:
    n = samples.stop - samples.start
    step = min(_aligned(-(-n // -(-n // most)), n), most)
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
