"""1,797 handwritten digits of 8x8 pixels with 17 grey levels, which come with scikit-learn."""

from functools import cache

from lemmata.data.packaged import read_csv
from lemmata.data.sources import Arrays


@cache
def read(_folder=None) -> Arrays:
    """Images (1797, 1, 8, 8) uint8 in 0..16 and labels (1797,), read-only.

    >>> read().x.shape, int(read().x.max())
    ((1797, 1, 8, 8), 16)
    """
    table = read_csv("sklearn", "datasets/data/digits.csv.gz")
    table.setflags(write=False)
    return Arrays(table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1])
