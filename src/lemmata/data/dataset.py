"""`Dataset`: inputs, labels, and where they come from; immutable, and checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lemmata.data.preprocessing import require_finite
from lemmata.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs `x` of shape (n, C, H, W) or (n, d) and labels `y` (n,) int64 in 0..classes-1, perhaps with a test set.

    `digest` identifies the data it was taken from and stays the same under `split`, `subset`, `flat` and `to`;
    `verified` says whether that data is the published one. Making one with disagreeing lengths, labels out of range,
    NaN or infinity raises `InvalidInput`.

    >>> data = Dataset("two points", torch.zeros(2, 3), torch.tensor([0, 1]), classes=2, digest="")
    >>> len(data), data.classes
    (2, 2)
    """

    name: str
    x: Tensor
    y: Tensor
    classes: int
    digest: str
    x_test: Tensor | None = None
    y_test: Tensor | None = None
    verified: bool = True

    def __post_init__(self):
        if (self.x_test is None) != (self.y_test is None):
            raise InvalidInput(f"{self.name}: a test set needs both x_test and y_test")
        _check(self.name, self.x, self.y, self.classes)
        if self.x_test is not None and self.y_test is not None:
            _check(f"{self.name} (test)", self.x_test, self.y_test, self.classes)

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        test = "" if self.y_test is None else f" + {len(self.y_test):,} test"
        shape = "x".join(map(str, self.x.shape[1:]))
        return f"Dataset({self.name!r}: {len(self):,}{test}, {shape}, {self.classes} classes)"

    def split(self, train: int = 1000, test: int = 1500, *, seed: int = 0) -> Dataset:
        """Draw `train` and `test` examples without replacement, always in random order.

        Where a test set is there, the test examples are drawn from it, otherwise both come from `x` and are disjoint.
        For one seed the test set does not depend on `train`, and a larger training set contains a smaller one. The
        seed determines everything on every device. Raises `InvalidInput` for an empty or too large split.

        >>> data = Dataset("line", torch.arange(10.0)[:, None], torch.zeros(10, dtype=torch.int64), 1, "")
        >>> part = data.split(train=6, test=4)
        >>> sorted(torch.cat([part.x, part.x_test]).flatten().tolist()) == list(range(10))
        True
        """
        for size, which in ((train, "train"), (test, "test")):
            if size < 1:
                raise InvalidInput(f"{self.name}: {which} = {size} makes an empty split; it must be 1 or more")
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self), generator=generator)
        if self.x_test is None or self.y_test is None:
            self._enough(train + test, len(self), f"train + test = {train} + {test}")
            x_pool, y_pool, test_order = self.x, self.y, order
        else:
            self._enough(train, len(self), "train")
            self._enough(test, len(self.y_test), "test")
            x_pool, y_pool = self.x_test, self.y_test
            test_order = torch.randperm(len(y_pool), generator=generator)
        rows = order[:train].to(self.y.device)
        test_rows = test_order[len(test_order) - test :].to(self.y.device)
        return replace(self, x=self.x[rows], y=self.y[rows], x_test=x_pool[test_rows], y_test=y_pool[test_rows])

    def subset(self, rows: Tensor | int) -> Dataset:
        """The examples `rows` (indices or a mask; a whole number means the first so many); the test set stays.

        >>> data = Dataset("line", torch.arange(4.0)[:, None], torch.tensor([0, 1, 0, 1]), 2, "")
        >>> data.subset(data.y == 1).x.flatten().tolist()
        [1.0, 3.0]
        """
        if isinstance(rows, int):
            self._enough(rows, len(self), "subset")
            return replace(self, x=self.x[:rows], y=self.y[:rows])
        return replace(self, x=self.x[rows], y=self.y[rows])

    def flat(self) -> Dataset:
        """The same with each input as a vector: (n, C, H, W) becomes (n, C*H*W).

        >>> Dataset("one", torch.zeros(1, 3, 2, 2), torch.tensor([0]), 1, "").flat().x.shape
        torch.Size([1, 12])
        """
        return replace(self, x=self.x.flatten(1), x_test=None if self.x_test is None else self.x_test.flatten(1))

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Dataset:
        """The same on another device, or with inputs of another floating dtype; labels stay int64.

        >>> Dataset("one", torch.zeros(1, 2), torch.tensor([0]), 1, "").to(dtype=torch.float64).x.dtype
        torch.float64
        """
        return replace(
            self,
            x=self.x.to(device=device, dtype=dtype),
            y=self.y.to(device=device),
            x_test=None if self.x_test is None else self.x_test.to(device=device, dtype=dtype),
            y_test=None if self.y_test is None else self.y_test.to(device=device),
        )

    def _enough(self, wanted: int, there: int, which: str) -> None:
        if wanted > there:
            raise InvalidInput(
                f"{self.name}: {which} asks for {wanted:,} examples and there are {there:,}; ask for fewer"
            )


def _check(name: str, x: Tensor, y: Tensor, classes: int) -> None:
    if len(x) != len(y) or y.ndim != 1:
        raise InvalidInput(f"{name}: x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)} do not go together")
    if len(y) == 0:
        raise InvalidInput(f"{name}: there are no examples; a dataset needs at least one")
    if y.dtype != torch.int64:
        raise InvalidInput(f"{name}: labels are {y.dtype}; convert them with y.long()")
    low, high = (int(bound) for bound in y.aminmax())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise InvalidInput(f"{name}: label {wrong} is out of range; with {classes} classes they are 0..{classes - 1}")
    require_finite(x, name)
