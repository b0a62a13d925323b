"""Corruptions: exact properties for every input, and rates against the binomial law.

Statistical tests allow 5 standard deviations of a fixed-seed draw: a sound implementation fails one with probability
6e-7, once, when the seed is chosen, and never afterwards.
"""

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from lemmata.data import corruption
from lemmata.errors import InvalidInput

WAYS = ("uniform", "other")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def labels(n, classes, seed=0):
    return torch.randint(classes, (n,), generator=seeded(seed))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(0, 40), classes=st.integers(2, 12), p=st.floats(0, 1), seed=st.integers(0, 999))
@pytest.mark.parametrize("how", WAYS)
def test_labels_stay_in_range_and_the_input_is_left_alone(how, n, classes, p, seed):
    y = labels(n, classes)
    before = y.clone()
    z = corruption.corrupt_labels(y, p, classes, generator=seeded(seed), how=how)
    assert z.dtype == torch.int64
    assert z.shape == y.shape
    assert ((z >= 0) & (z < classes)).all()
    assert torch.equal(y, before)


@settings(max_examples=50, deadline=None)
@given(low=st.floats(0, 1), high=st.floats(0, 1), seed=st.integers(0, 999))
@pytest.mark.parametrize("how", WAYS)
def test_corrupted_sets_are_nested_in_p(how, low, high, seed):
    low, high = sorted((low, high))
    y = labels(50, 4)
    less, more = (corruption.corrupt_labels(y, p, 4, generator=seeded(seed), how=how) for p in (low, high))
    changed = less != y
    assert torch.equal(less[changed], more[changed])


@settings(max_examples=30, deadline=None)
@given(seeds=st.lists(st.integers(0, 999), min_size=1, max_size=5), p=st.floats(0, 1))
@pytest.mark.parametrize("how", WAYS)
def test_members_in_one_call_equal_members_alone(how, seeds, p):
    y = labels(30, 5)
    rates = [p * (i + 1) / len(seeds) for i in range(len(seeds))]
    together = corruption.corrupt_labels(y, rates, 5, generator=[seeded(seed) for seed in seeds], how=how)
    assert together.shape == (len(seeds), 30)
    for row, rate, seed in zip(together, rates, seeds, strict=True):
        assert torch.equal(row, corruption.corrupt_labels(y, rate, 5, generator=seeded(seed), how=how))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("how", WAYS)
def test_the_share_of_wrong_labels(how, classes, p):
    n = 20_000
    y = labels(n, classes)
    wrong = corruption.corrupt_labels(y, p, classes, generator=seeded(1), how=how) != y
    share = p * (1 - 1 / classes) if how == "uniform" else p
    assert abs(float(wrong.double().mean()) - share) <= 5 * sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("how", WAYS)
def test_what_labels_become_is_uniform(how):
    y = torch.full((20_000,), 3)
    z = corruption.corrupt_labels(y, 1.0, 5, generator=seeded(2), how=how)
    counts = z.bincount(minlength=5).numpy()
    possible = [0, 1, 2, 3, 4] if how == "uniform" else [0, 1, 2, 4]
    assert counts[possible].sum() == len(y)
    assert chisquare(counts[possible]).pvalue > 1e-6


def test_random_labels_are_uniform():
    y = corruption.random_labels(20_000, 7, generator=seeded(0))
    assert y.dtype == torch.int64
    assert chisquare(y.bincount(minlength=7).numpy()).pvalue > 1e-6


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 6), c=st.integers(1, 3), h=st.integers(1, 5), w=st.integers(1, 5), seed=st.integers(0, 999))
def test_one_permutation_moves_every_pixel_of_every_image(n, c, h, w, seed):
    where = torch.arange(h * w, dtype=torch.float64).view(1, 1, h, w)
    x = where + 1000 * torch.arange(c)[:, None, None] + 1e5 * torch.arange(n)[:, None, None, None]
    moved, same = corruption.shuffle_pixels(x, where, generator=seeded(seed))
    assert sorted(same.flatten().tolist()) == list(range(h * w))
    assert torch.equal(moved, same + x[..., :1, :1])  # each channel of each image by the same permutation
    assert torch.equal(moved, corruption.shuffle_pixels(x, generator=seeded(seed)))


def test_vectors_are_permuted_by_feature():
    x = torch.arange(12.0).view(3, 4)
    moved = corruption.shuffle_pixels(x, generator=seeded(1))
    assert torch.equal(moved - moved[:1], torch.tensor([[0.0], [4.0], [8.0]]).expand(3, 4))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 6), c=st.integers(1, 3), h=st.integers(1, 5), w=st.integers(1, 5), seed=st.integers(0, 999))
def test_random_pixels_keep_each_image_its_pixels_and_each_pixel_its_channels(n, c, h, w, seed):
    x = torch.arange(float(n * h * w)).view(n, 1, h, w) + 1000 * torch.arange(float(c))[:, None, None]
    moved = corruption.random_pixels(x, generator=seeded(seed)).flatten(2)
    assert torch.equal(moved.sort(2).values, x.flatten(2))
    assert torch.equal(moved - 1000 * torch.arange(float(c))[:, None], moved[:, :1].expand_as(moved))


def test_random_pixels_are_uniform_over_permutations_and_across_blocks(monkeypatch):
    monkeypatch.setattr(corruption, "ROWS_AT_ONCE", 1000)
    x = torch.arange(3.0).expand(12_500, 3)
    moved = corruption.random_pixels(x, generator=seeded(0)).long()
    counts = (moved @ torch.tensor([9, 3, 1])).unique(return_counts=True)[1]
    assert len(counts) == 6
    assert chisquare(counts.numpy()).pvalue > 1e-6
    assert not torch.equal(moved[:1000], moved[1000:2000])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaussian_pixels_match_mean_and_deviation(dtype):
    x = torch.rand(200, 1, 20, 20, generator=seeded(0), dtype=dtype) ** 2
    noise = corruption.gaussian_pixels(x, generator=seeded(1))
    n = x.numel()
    assert noise.dtype == dtype
    assert noise.shape == x.shape
    assert abs(noise.mean() - x.mean()) < 5 * x.std() / sqrt(n)
    assert abs(noise.std() / x.std() - 1) < 5 / sqrt(2 * n)
    skew = ((noise - noise.mean()) ** 3).mean() / noise.std() ** 3
    assert abs(skew) < 5 * sqrt(6 / n)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": -0.1}, r"p = -0\.1 is not a probability; it must lie in \[0, 1\]"),
        ({"p": 1.5}, r"p = 1\.5 is not a probability"),
        ({"p": float("nan")}, "p = nan is not a probability"),
        ({"p": [0.1, 0.2]}, "2 values of p and 1 generators; give one p, or one for each"),
        ({"classes": 1}, "classes = 1: labels can only be corrupted among 2 classes or more"),
        ({"y": torch.tensor([0, 3])}, r"label 3 of example 1 is out of range; with 3 classes they are 0\.\.2"),
        ({"y": torch.tensor([-1, 0])}, "label -1 of example 0 is out of range"),
        ({"y": torch.zeros(2)}, r"labels of shape \(2,\) and torch\.float32; expected \(n,\) and torch\.int64"),
        ({"how": "both"}, "how = 'both' is not a way to corrupt labels; it is 'uniform' or 'other'"),
    ],
)
def test_labels_that_cannot_be_corrupted(change, message):
    given_ = {"y": torch.tensor([0, 1]), "p": 0.5, "classes": 3, "generator": seeded(0)} | change
    with pytest.raises(InvalidInput, match=message):
        corruption.corrupt_labels(given_.pop("y"), given_.pop("p"), given_.pop("classes"), **given_)


def test_random_labels_of_nothing():
    with pytest.raises(InvalidInput, match="cannot draw 0 labels of 10 classes; both must be 1 or more"):
        corruption.random_labels(0, 10, generator=seeded(0))


PIXELS = (corruption.shuffle_pixels, corruption.random_pixels, corruption.gaussian_pixels)


@pytest.mark.parametrize("corrupt", PIXELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_numbers(corrupt, bad):
    x = torch.zeros(3, 1, 2, 2)
    x[1, 0, 1, 0] = bad
    with pytest.raises(InvalidInput, match="example 1 holds NaN or infinity; remove or replace it first"):
        corrupt(x, generator=seeded(0))


@pytest.mark.parametrize("corrupt", PIXELS[:2])
def test_shapes_without_pixels(corrupt):
    with pytest.raises(InvalidInput, match=r"shape \(2, 3, 4\) is neither images \(n, C, H, W\) nor vectors \(n, d\)"):
        corrupt(torch.zeros(2, 3, 4), generator=seeded(0))


def test_images_of_different_sizes_share_no_permutation():
    with pytest.raises(InvalidInput, match="images of 4 and of 9 pixels cannot share a permutation"):
        corruption.shuffle_pixels(torch.zeros(1, 4), torch.zeros(1, 9), generator=seeded(0))
