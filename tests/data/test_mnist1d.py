"""MNIST-1D against the published arrays: a slice always, all of them where LEMMATA_DATA is set."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from lemmata.data import mnist1d
from lemmata.errors import InvalidInput

SLICE = Path(__file__).parents[1] / "oracles" / "data" / "mnist1d_slice.npz"
TOLERANCE = 1e-8  # rounding alone separates the two: 1e-15 here, and other machines may sum in another order


def test_the_published_slice_is_reproduced():
    ours = mnist1d.read()
    assert ours.x_test is not None
    assert ours.y_test is not None
    with np.load(SLICE, allow_pickle=False) as official:
        assert np.abs(ours.x[:64] - official["x"]).max() < TOLERANCE
        assert np.abs(ours.x_test[:16] - official["x_test"]).max() < TOLERANCE
        assert np.array_equal(ours.y, official["y"])
        assert np.array_equal(ours.y_test, official["y_test"])


def test_all_published_arrays_are_reproduced():
    root = os.environ.get("LEMMATA_DATA")
    path = Path(root or ".") / "mnist1d" / "mnist1d.npz"
    if not root or not path.is_file():
        pytest.skip("LEMMATA_DATA does not name a folder with mnist1d/mnist1d.npz")
    ours = mnist1d.read()
    assert ours.x_test is not None
    assert ours.y_test is not None
    with np.load(path, allow_pickle=False) as official:
        assert np.abs(ours.x - official["x"]).max() < TOLERANCE
        assert np.abs(ours.x_test - official["x_test"]).max() < TOLERANCE
        assert np.array_equal(ours.y, official["y"])
        assert np.array_equal(ours.y_test, official["y_test"])


def test_the_published_set_is_shared_and_so_read_only():
    with pytest.raises(ValueError, match="read-only"):
        mnist1d.read().x[0, 0] = 1


@settings(max_examples=20, deadline=None)
@given(share=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_any_set_is_balanced_standardised_and_determined_by_its_seed(share, seed):
    x, y = mnist1d.generate(10 * share, seed=seed)
    assert np.bincount(y, minlength=10).tolist() == [share] * 10
    assert abs(x.mean()) < 1e-12
    assert abs(x.std() - 1) < 1e-12
    again, _ = mnist1d.generate(10 * share, seed=seed)
    assert np.array_equal(x, again)


def test_other_seeds_give_other_sets():
    assert not np.allclose(mnist1d.generate(10, seed=0)[0], mnist1d.generate(10, seed=1)[0])


@settings(max_examples=30, deadline=None)
@given(m=st.integers(2, 80), points=st.integers(2, 80), seed=st.integers(0, 100))
def test_resampling_agrees_with_scipy(m, points, seed):
    signals = np.random.default_rng(seed).normal(size=(3, m))
    theirs = interp1d(np.linspace(0, 1, m), signals, axis=1)(np.linspace(0, 1, points))
    assert np.abs(mnist1d._resample(signals, points) - theirs).max() < 1e-12


@pytest.mark.parametrize("n", [0, -10, 7, 15])
def test_sizes_that_do_not_share_out(n):
    with pytest.raises(InvalidInput, match=rf"n = {n} is not a positive multiple of 10"):
        mnist1d.generate(n, seed=0)
