"""The study of Lee et al. on precision: what it measures, by hand and against known spectra, and its smoke verdicts."""

import math

import numpy as np
import pytest
import torch

from lemmata.kernels import FullyConnected, analytic_nngp, analytic_ntk
from lemmata.studies._lee_2020_precision_spectra import (
    Digits,
    Points,
    duplicate,
    earliest,
    grow,
    latest,
    matrices,
    misplaced,
    points,
    sizes,
    textbook,
)


def test_the_textbook_recursion_is_the_kernel():
    """In float64 on well-separated points, to 1e-7: the arc cosine of a rounded cosine of 1."""
    x = points(Points(dimension=40, largest=30)).double()
    for depth in (2, 4):
        found, network = textbook(x, depth), FullyConnected(depth)
        for name, function in (("ntk", analytic_ntk), ("nngp", analytic_nngp)):
            torch.testing.assert_close(found[name], function(x, network=network).values, rtol=1e-7, atol=1e-7)


def test_points_are_on_the_sphere_and_sets_are_nested():
    x = points(Points(dimension=3, largest=64, seed=4))
    torch.testing.assert_close(x.norm(dim=1), torch.ones(64))
    assert torch.equal(points(Points(dimension=3, largest=64, seed=4)), x)
    assert not torch.equal(points(Points(dimension=3, largest=64, seed=5)), x)


def test_sizes_are_half_an_octave_apart():
    assert sizes(64) == [8, 11, 16, 23, 32, 45, 64]
    assert sizes(1024)[-1] == 1024
    assert sizes(100)[-1] == 91


def test_rounding_at_random_breaks_a_matrix_between_the_two_predictions():
    """A power law n k^-2 of 128 eigenvalues, with symmetric Gaussian noise of growing size; ten draws each.

    At Weyl's level none breaks and at interlacing's all do, with a probability of 99 % each; the seed is fixed.
    """
    n, draw = 128, torch.Generator().manual_seed(0)
    spectrum = (n * torch.arange(1, n + 1, dtype=torch.float64) ** -2).flip(0)
    levels = torch.logspace(-6, -1, 400, dtype=torch.float64).tolist()
    first = next(s for s in levels if earliest(spectrum, s))
    last = next(s for s in levels if latest(spectrum, s))
    assert first < last
    assert first == pytest.approx(float(spectrum[0]) / (2 * math.sqrt(n)), rel=0.1)
    basis = torch.linalg.qr(torch.randn(n, n, generator=draw, dtype=torch.float64)).Q
    K = basis * spectrum @ basis.T
    for level, breaks in ((0.9 * first, False), (1.03 * last, True)):
        for _ in range(10):
            noise = torch.randn(n, n, generator=draw, dtype=torch.float64)
            noise = level * (noise + noise.T) / math.sqrt(2)
            assert (float(torch.linalg.eigvalsh(K + noise)[0]) < 0) == breaks


def test_octaves_outside_of_the_range():
    assert misplaced(64, 32, 128) == 0
    assert misplaced(64, 32, math.inf) == 0
    assert misplaced(64, 128, 256) == 1
    assert misplaced(64, 8, 16) == 2
    assert misplaced(64, math.inf, math.inf) == math.inf
    assert misplaced(math.inf, 8, 16) == math.inf


def test_a_run_by_hand():
    config = Points(kernel="ntk", dimension=3, arithmetic="bfloat16", largest=90, seed=2)
    (found,) = grow([config])
    x = points(config).double()
    right = analytic_ntk(x, network=FullyConnected(2)).values
    stored = right.bfloat16().double()
    least = [float(torch.linalg.eigvalsh(stored[:n, :n])[0]) for n in sizes(90)]
    np.testing.assert_allclose(found.curves["least"].y, least, atol=1e-12)
    negative = [n for n, value in zip(sizes(90), least, strict=True) if value < 0]
    assert found.scalars["critical"] == (negative[0] if negative else math.inf)
    exact = [float(torch.linalg.eigvalsh(right[:n, :n])[0]) for n in sizes(90)]
    np.testing.assert_allclose(found.curves["exact"].y, exact, rtol=1e-8)
    edge = 2 * math.sqrt(64) * float((stored - right)[:64, :64].square().mean().sqrt())
    assert found.curves["edge"].y[-1] == pytest.approx(edge, rel=1e-12)


def test_matrices_are_what_their_arithmetic_says():
    x = points(Points(dimension=3, largest=20))
    right, rounded = matrices(x, "ntk", 2, "float16")
    assert torch.equal(rounded, right.half().double())
    assert torch.equal(
        matrices(x, "nngp", 3, "float32")[1], analytic_nngp(x, network=FullyConnected(3)).values.double()
    )
    assert torch.equal(matrices(x, "ntk", 2, "textbook float32")[1], textbook(x, 2)["ntk"].double())


def test_near_duplicates_differ_by_the_noise():
    small, large = (duplicate([Digits(n=20, noise=noise, arithmetic="float32")])[0] for noise in (1e-4, 1e-2))
    ratio = large.scalars["exact"] / small.scalars["exact"]
    assert ratio == pytest.approx(100, rel=0.1)  # 1 - k is linear in the angle
    assert small.scalars["departure"] < 1e-3


@pytest.mark.parametrize(
    "name",
    [
        "float32-breaks",
        "float32-need-not-break",
        "predicted-float32",
        "duplicates-break",
        "duplicates-need-not-break",
    ],
)
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("lee-2020-precision").assert_outcome(name)
