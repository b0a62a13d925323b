"""The law of a convolutional net: what it counts, and what it refuses."""

import pytest
import torch

from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels.cntk import Convolutional


def test_readouts_are_the_means_and_sums_they_say() -> None:
    size = 5
    assert torch.equal(Convolutional(3).weights(size), torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(Convolutional(3, "average").weights(size).sum(), torch.tensor(1.0).double())
    windowed = Convolutional(3, "local-average", window=3).weights(size)
    means = torch.zeros(size, size, dtype=torch.float64)  # row i: the mean over the window around i
    for i in range(size):
        means[i, max(0, i - 1) : i + 2] = 1 / 3
    torch.testing.assert_close(windowed, means.mT @ means)


def test_a_window_of_one_is_vanilla() -> None:
    assert torch.equal(Convolutional(3, "local-average", window=1).weights(4), Convolutional(3).weights(4))


def test_only_displacements_that_the_readout_sees_are_counted() -> None:
    assert Convolutional(3).displacements((4, 6)) == [(0, 0)]
    assert len(Convolutional(3, "average").displacements((4, 6))) == 7 * 11
    assert len(Convolutional(3, "local-average", window=3).displacements((8, 8))) == 5 * 5
    assert Convolutional(3, "average").elements((4, 6)) == 24**2
    assert Convolutional(3).elements((4, 6)) == 24


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth": 1}, {"depth": 2.5}, {"depth": 3, "filter": 2}, {"depth": 3, "filter": 0},
        {"depth": 3, "readout": "local-average"}, {"depth": 3, "readout": "local-average", "window": 4},
        {"depth": 3, "readout": "average", "window": 3},
    ],
)  # fmt: skip
def test_laws_that_are_none_are_refused(arguments: dict) -> None:
    with pytest.raises(InvalidInput):
        Convolutional(**arguments)


def test_an_unknown_readout_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean 'average'"):
        Convolutional(3, "averag")  # pyright: ignore[reportArgumentType]
