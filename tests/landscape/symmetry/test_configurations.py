"""Configurations: all of them and no other, drawn evenly, and which of their subspaces meet, by linear algebra."""

from collections import Counter
from itertools import pairwise
from math import factorial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry import G, T, components, configurations, draw_configuration, meet
from lemmata.landscape.symmetry.configurations import is_configuration


@pytest.mark.parametrize(("r", "m"), [(0, 3), (1, 4), (2, 4), (3, 5), (4, 4)])
def test_listed_once_each(r: int, m: int):
    every, copies = list(configurations(r, m)), list(configurations(r, m, cancelling=False))
    assert len(set(every)) == len(every) == T(r, m)
    assert len(set(copies)) == len(copies) == G(r, m)
    assert all(is_configuration(labels, r) for labels in every)


def equations(labels: tuple[int, ...], w: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A x = b of the subspace, x = (incoming scalar of each neuron, output weight of each)."""
    m, rows, right = len(labels), [], []
    for label in dict.fromkeys(labels):
        own = [i for i in range(m) if labels[i] == label]
        for i, j in pairwise(own):
            rows.append(np.eye(2 * m)[i] - np.eye(2 * m)[j])
            right.append(0.0)
        if label >= 0:
            rows.append(np.eye(2 * m)[own[0]])
            right.append(w[label])
        rows.append(np.eye(2 * m)[m + np.array(own)].sum(0))
        right.append(a[label] if label >= 0 else 0.0)
    return np.array(rows), np.array(right)


@given(r=st.integers(1, 3), h=st.integers(0, 3), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=150)
def test_meeting_is_solvability_of_both_systems(r: int, h: int, seed: int):
    """Least squares over generic numbers, for which sums that need not be equal are not: residual 0 or not."""
    one, other = (draw_configuration(r, r + h, seed=2 * seed + side) for side in (0, 1))
    w, a = np.array([1.3, -0.4, 2.2]), np.array([0.7, 1.9, -3.1])
    (A, b), (C, d) = equations(one, w, a), equations(other, w, a)
    system, right = np.concatenate([A, C]), np.concatenate([b, d])
    solved = np.linalg.lstsq(system, right, rcond=None)[0]
    assert meet(one, other) == (np.abs(system @ solved - right).max() < 1e-9)


def test_one_extra_neuron_connects_all():
    assert [components(r, r) for r in (1, 2, 3, 4)] == [factorial(r) for r in (1, 2, 3, 4)]
    assert [components(r, r + 1) for r in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert components(2, 4) == 1


@pytest.mark.parametrize("cancelling", [True, False])
def test_draws_are_uniform(cancelling: bool):
    """Chi-squared over all configurations, 6,000 draws: p below 1e-3 has that probability for a right sampler."""
    random = torch.Generator().manual_seed(3)
    count = T(2, 4) if cancelling else G(2, 4)
    found = Counter(draw_configuration(2, 4, cancelling=cancelling, seed=random) for _ in range(6000))
    assert len(found) == count
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_large_draws_are_configurations():
    labels = draw_configuration(12, 60, seed=1)
    assert is_configuration(labels, 12)
    assert len(labels) == 60
    assert labels == draw_configuration(12, 60, seed=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: components(5, 8),
        lambda: draw_configuration(3, 2, seed=0),
        lambda: draw_configuration(0, 2, cancelling=False, seed=0),
        lambda: meet((0, 0), (0,)),
    ],
)
def test_refused(call):
    with pytest.raises(InvalidInput):
        call()
