"""Whitening and pooling against scikit-learn and numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import scale

from lemmata.data import preprocessing
from lemmata.errors import InvalidInput


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 5), c=st.integers(1, 3), side=st.integers(2, 6), seed=st.integers(0, 999))
def test_whitening_agrees_with_scikit_learn_where_images_vary(n, c, side, seed):
    x = np.random.default_rng(seed).normal(3, 2, (n, c, side, side))
    theirs = np.asarray(scale(x.reshape(n, -1), axis=1)).reshape(x.shape)
    floor = x.reshape(n, -1).std(1) > 1 / np.sqrt(c * side * side)
    ours = preprocessing.whiten(torch.from_numpy(x)).numpy()
    assert np.abs(ours - theirs)[floor].max(initial=0) < 1e-12


@pytest.mark.parametrize("contrast", [0.0, 1e-8, 1e-3, 1.0])
def test_the_floor_of_the_deviation(contrast):
    x = torch.full((1, 4, 4), 0.5, dtype=torch.float64)
    x[0, :2] += contrast
    whitened = preprocessing.whiten(x)
    # half the entries lie contrast/2 above the mean and half below: std = contrast/2, and the floor is 1/sqrt(16)
    expected = 0.0 if contrast == 0 else (contrast / 2) / max(contrast / 2, 0.25)
    assert torch.allclose(whitened.abs(), torch.full_like(x, expected), atol=1e-15)


@settings(max_examples=50, deadline=None)
@given(c=st.integers(1, 3), h=st.integers(1, 4), w=st.integers(1, 4), size=st.integers(1, 4), seed=st.integers(0, 999))
def test_pooling_is_the_mean_of_blocks(c, h, w, size, seed):
    x = np.random.default_rng(seed).normal(size=(2, c, h * size, w * size))
    blocks = x.reshape(2, c, h, size, w, size).mean((3, 5))
    assert np.abs(preprocessing.mean_pool(torch.from_numpy(x), size).numpy() - blocks).max() < 1e-12


@pytest.mark.parametrize(("shape", "size"), [((2, 1, 5, 4), 2), ((2, 1, 4, 5), 2), ((2, 4), 2), ((2, 1, 4, 4), 0)])
def test_blocks_that_do_not_fit(shape, size):
    with pytest.raises(
        InvalidInput, match=rf"cannot pool blocks of {size} x {size} in shape \({shape[0]}, .*multiples"
    ):
        preprocessing.mean_pool(torch.zeros(shape), size)


def test_not_a_number():
    with pytest.raises(InvalidInput, match="example 2 holds NaN or infinity"):
        preprocessing.whiten(torch.tensor([[0.0, 1.0], [0.0, 2.0], [float("nan"), 0.0]]))
