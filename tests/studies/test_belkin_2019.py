"""The study of Belkin et al. (2019): its fits against NumPy, its theory against draws, and its verdicts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.studies import _belkin_2019_curves as curves
from lemmata.studies import _belkin_2019_features as features
from lemmata.studies._belkin_2019_curves import OverFeatures
from lemmata.studies._belkin_2019_nested import nested_fits
from lemmata.studies._belkin_2019_samples import OverSamples, coefficients, run_over_samples
from lemmata.studies.belkin_2019 import study
from lemmata.verdicts import Outcome

DTYPES = (torch.float64, torch.complex128)


def gaussian(rows: int, columns: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(rows, columns, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# ---- least squares ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(n=st.integers(2, 12), steps=st.lists(st.integers(1, 6), min_size=1, max_size=6), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_nested_fits_are_numpys(dtype: torch.dtype, n: int, steps: list[int], seed: int):
    """Ridgeless by the pseudo-inverse, with a ridge by the stacked system; 1e-12 times the square of the condition."""
    counts = np.cumsum([1, *steps]).tolist()
    F, F_test = gaussian(n, counts[-1], dtype, seed), gaussian(5, counts[-1], dtype, seed + 1000)
    y, start = gaussian(n, 6, torch.float64, seed + 2000).unflatten(1, (2, 3)).transpose(0, 1), 0

    def draw(count: int):
        nonlocal start
        start += count
        return F[:, start - count : start], F_test[:, start - count : start]

    fits = list(nested_fits(draw, counts, y, torch.tensor([0.0, 0.3], dtype=torch.float64)))
    assert len(fits) == len(counts)
    for N, fit in zip(counts, fits, strict=True):
        A, B = F[:, :N].numpy(), F_test[:, :N].numpy()
        stacked = np.vstack([A, np.sqrt(0.3 * N) * np.eye(N)])
        with_ridge = np.linalg.lstsq(stacked, np.vstack([y[1].numpy(), np.zeros((N, 3))]), rcond=None)[0]
        allowed = 1e-12 * np.linalg.cond(A) ** 2
        for i, a in enumerate((np.linalg.pinv(A) @ y[0].numpy(), with_ridge)):
            scale = max(1.0, float(np.abs(a).max()))
            np.testing.assert_allclose(fit.train[i], A @ a, rtol=0, atol=allowed * scale)
            np.testing.assert_allclose(fit.test[i], B @ a, rtol=0, atol=allowed * scale)
            assert float(fit.norm[i]) == pytest.approx(np.sqrt(N) * np.linalg.norm(a), rel=10 * allowed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_coefficients_are_the_shortest_minimisers(dtype: torch.dtype, shape: tuple[int, int]):
    """Against NumPy's pseudo-inverse and stacked system on two batches; 1e-10, condition numbers are below 1,000."""
    n, N = shape
    F = torch.stack([gaussian(n, N, dtype, seed) for seed in (0, 1)])
    y = torch.stack([gaussian(n, 2, dtype, seed) for seed in (2, 3)])
    for A, t, plain, ridged in zip(F, y, coefficients(F, y, 0.0), coefficients(F, y, 0.2), strict=True):
        np.testing.assert_allclose(plain, np.linalg.pinv(A.numpy()) @ t.numpy(), atol=1e-10)
        stacked = np.vstack([A.numpy(), np.sqrt(0.2 * N) * np.eye(N)])
        wanted = np.linalg.lstsq(stacked, np.vstack([t.numpy(), np.zeros((N, 2))]), rcond=None)[0]
        np.testing.assert_allclose(ridged, wanted, atol=1e-10)


# ---- features, kernels, theory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fourier", "relu"])
def test_features_have_the_limiting_kernel(kind):
    """The mean of products over 4,000 features, by 5 standard errors an entry (below 1e-4 over 900 entries)."""
    config = OverFeatures(n=20, test=10, kind=kind)
    shown, count = features.images(config), 4000
    F, F_test = features.feature_map(config, shown)(count)
    for A, K in zip((F, F_test), features.limiting_kernel(config, shown), strict=True):
        products = A[:, None] * F.conj()[None]
        error = (products.mean(2) - K).abs()
        assert (error <= 5 * products.std(2) / count**0.5).all()
    assert float(features.limiting_kernel(config, shown)[0].diagonal().mean()) == pytest.approx(1.0, rel=1e-12)


def test_subtracting_the_mean_image_changes_no_fit_of_fourier_features():
    """Phases of rows are unitary; 1e-8, the rounding error at condition numbers of some hundred, squared."""
    config = OverFeatures(n=30, test=15)
    shown = features.images(config)
    moved = features.Images(shown.x + 0.3, shown.y, shown.x_test + 0.3, shown.y_test)
    y, ridges = shown.targets(0.0, 0)[None], torch.zeros(1, dtype=torch.float64)
    both = [
        list(nested_fits(features.feature_map(config, of), [10, 50], y, ridges)) for of in (shown, moved)
    ]  # fmt: skip
    for one, other in zip(*both, strict=True):
        assert float(one.norm[0]) == pytest.approx(float(other.norm[0]), rel=1e-8)
        np.testing.assert_allclose(one.test.abs(), other.test.abs(), atol=1e-8)


@pytest.mark.parametrize(("kind", "dtype"), [("fourier", torch.complex128), ("relu", torch.float64)])
def test_norm_of_gaussian_features(kind, dtype: torch.dtype):
    """E y' (Phi Phi^H / N)^-1 y = |y|^2 times the squared ratio, over 4,000 draws; by 5 standard errors (6e-7)."""
    n, N, draws = 6, 20, 4000
    F = torch.randn(draws, n, N, dtype=dtype, generator=torch.Generator().manual_seed(0))
    y = torch.ones(n, 1, dtype=dtype)
    squared = N * (y.mH @ torch.linalg.solve(F @ F.mH, y))[:, 0, 0].real / n
    wanted = curves.norm_ratio(OverFeatures(n=n, kind=kind), np.array([N]))[0] ** 2
    assert abs(float(squared.mean()) - wanted) < 5 * float(squared.std()) / draws**0.5
    assert wanted != curves.norm_ratio(OverFeatures(n=n + 1, kind=kind), np.array([N]))[0] ** 2


def test_the_limiting_fit_is_reached_by_many_features():
    """10,000 features against the kernel's own fit: a tenth of an output, ten times N^(-1/2)."""
    config = OverFeatures(n=12, test=8)
    shown = features.images(config)
    y, ridges = shown.targets(0.0, 0)[None].repeat(2, 1, 1), torch.tensor([0.0, 0.5], dtype=torch.float64)
    limit = curves.limiting_fit(config, shown, y, ridges)
    *_, fit = nested_fits(features.feature_map(config, shown), [12, 10_000], y, ridges)
    np.testing.assert_allclose(fit.test.real, limit.test, atol=0.1)
    np.testing.assert_allclose(fit.norm, limit.norm, rtol=0.1)
    np.testing.assert_allclose(limit.train[0], y[0], atol=1e-10)
    assert (limit.train[1] - y[1]).abs().max() > 0.1


# ---- members ---------------------------------------------------------------------------------------------------------

SMALL = {"n": 40, "unit": 40, "test": 60, "most": 3.0}


def test_members_do_not_see_each_other_and_differ_where_they_should():
    configs = [
        OverFeatures(**SMALL, seed=seed, label_noise=noise, ridge=ridge)
        for seed in (0, 3)
        for noise, ridge in ((0.0, 0.0), (0.2, 0.0), (0.2, 0.1))
    ]
    together = curves.run_over_features(configs)
    for config, member in zip(configs, together, strict=True):
        alone = curves.run_over_features([config])[0]
        for name, curve in alone.curves.items():
            np.testing.assert_allclose(member.curves[name].y, curve.y, rtol=1e-6, atol=1e-12)
    losses = [tuple(member.curves["test_loss"].y) for member in together]
    assert len(set(losses)) == len(losses)


def test_scalars_are_read_off_the_curves():
    member = curves.run_over_features([OverFeatures(**SMALL)])[0]
    N, error = member.curves["test_error"].x, member.curves["test_error"].y
    assert member.scalars["second_descent"] == error[N > 40].min() - error[N < 40].min()
    assert member.scalars["first_fitted"] == 40
    assert member.curves["train_loss"].y[N >= 40].max() < 1e-10 < member.curves["train_loss"].y[N < 40].min()
    assert member.scalars["norm_at_three"] == pytest.approx(
        member.curves["norm"].y[N == 120][0] / member.scalars["limit_norm"], rel=1e-12
    )
    ridged = curves.run_over_features([OverFeatures(**SMALL, ridge=0.1)])[0]
    assert ridged.scalars["first_fitted"] == np.inf


def test_targets_are_one_hot_with_the_stated_share_wrong():
    shown = features.images(OverFeatures(n=3000, test=100))
    for noise, wrong in ((0.0, 0.0), (0.2, 0.2), (0.9, 0.9)):
        targets = shown.targets(noise, 1)
        assert (targets.sum(1) == 1).all()
        share = float((targets.argmax(1) != shown.y).double().mean())
        assert abs(share - wrong) <= 5 * (wrong * (1 - wrong) / 3000) ** 0.5  # 5 standard errors


def test_curves_over_samples_are_fits_of_the_first_samples():
    """The errors at n = 100 and 300, with 60 features, by NumPy on the same draws."""
    config = OverSamples(n=400, test=80, features=60, kind="relu", seed=4)
    with pytest.raises(ValueError, match="60"):
        run_over_samples([config])  # the number of features is a point of the grid
    config = OverSamples(n=400, test=80, features=150, kind="relu", seed=4)
    curve = run_over_samples([config, OverSamples(**{**config.flat(), "seed": 5})])[0].curves["test_error"]
    shown = features.images(config)
    F, F_test = features.feature_map(config, shown)(150)
    targets = shown.targets(0.2, 4)
    for n in (100, 300):
        outputs = F_test.numpy() @ (np.linalg.pinv(F[:n].numpy()) @ targets[:n].numpy())
        assert curve.y[curve.x == n][0] == np.mean(outputs.argmax(1) != shown.y_test.numpy())


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_run_is_never_contradicted(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("belkin-2019").verdicts.items()}
    assert Outcome.CONTRADICTED not in set(outcomes.values())
    assert outcomes["interpolation"] is Outcome.REPRODUCED
    assert outcomes["norm-theory"] is Outcome.REPRODUCED
    drawn = [
        draw(table) for name, table in smoke("belkin-2019").tables.items() for draw in study.experiments[name].figures
    ]
    assert [figure.name for figure in drawn] == ["risks", "norms", "controls", "samples"]


@pytest.mark.slow
def test_laptop_scale_reproduces_everything_and_refutes_every_control(laptop):
    found = laptop("belkin-2019")
    assert len(found.verdicts) == 16
    found.assert_outcomes()
