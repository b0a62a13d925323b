"""Three classic tables that come with scikit-learn: iris, wine, and the Wisconsin breast cancer data."""

from functools import cache

import numpy as np

from lemmata.data.packaged import read_numbers
from lemmata.data.sources import Arrays


@cache
def read(_folder, file: str) -> Arrays:
    """Features (n, d) float64 and labels (n,) of one of scikit-learn's CSV files, read-only; the last column is y.

    >>> read(None, "iris.csv").x.shape
    (150, 4)
    """
    table = read_numbers("sklearn", f"datasets/data/{file}")
    table.setflags(write=False)
    return Arrays(table[:, :-1], table[:, -1].astype(np.int64))
