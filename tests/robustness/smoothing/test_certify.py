"""The door: certificates against closed forms, against Cohen's formula by statsmodels, and against themselves.

Of a linear classifier every smoothed radius is the distance to the hyperplane, in the noise's norm and exactly, so that
a certificate is false just when its radius exceeds it.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from statsmodels.stats.proportion import proportion_confint
from torch import nn

from lemmata.robustness import Gaussian, Laplace, Uniform, certify

FAILURE = 1e-6  # probability with which a random test below may fail on code that is right


class HalfLine(nn.Module):
    """Classes by the first entry: 1 to the right of 0, else 0."""

    def forward(self, x):
        return torch.stack([-x[:, 0], x[:, 0]], 1)


class Interval(nn.Module):
    """A step up and one down: class 2 on [0, 1], class 0 to the left, 1 to the right."""

    def forward(self, x):
        t = x[:, 0]
        return torch.stack([(t < 0).float(), (t > 1).float(), ((t >= 0) & (t <= 1)).float()], 1)


def linear(features, classes, seed):
    torch.manual_seed(seed)
    return nn.Linear(features, classes)


def at(distances):
    """Images (N, 2) at these distances from where `HalfLine` changes its class."""
    return torch.stack([torch.as_tensor(distances, dtype=torch.float32), torch.full((len(distances),), 7.0)], 1)


def most_false(images, alpha):
    """How many of independent certificates may be false before alpha is doubted: a quantile of the binomial law."""
    return int(binom.isf(FAILURE, images, alpha))


# ---- closed forms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [Gaussian(0.5), Laplace(0.5), Uniform(1.0)], ids=repr)
def test_fixed_radii_of_a_linear_classifier_reach_its_distance_and_not_beyond(noise):
    # alpha = 0.1, so that of 280 certificates some 28 are false: the coverage is seen from both sides
    alpha, distances = 0.1, np.repeat([0.2, 0.5, 0.8, -0.6], 70)
    found = certify(HalfLine(), at(distances), noise=noise, n=2_000, n0=400, alpha=alpha, seed=1, batch=500)
    false = int((found.radius.numpy() > np.abs(distances) + 1e-6).sum())
    assert false <= most_false(280, alpha)
    # Clopper-Pearson at p = 0.85 and n = 2,000 has a level between 0.09 and 0.1
    assert false >= binom.ppf(FAILURE, 280, 0.08)
    assert found.prediction.tolist() == (distances > 0).astype(int).tolist()
    assert found.norm == noise.norm


def test_the_radius_tends_to_the_distance():
    # the bound lies below p by z sqrt(p (1 - p) / n): at p = Phi(1), n = 10^5, alpha = 0.001 by 0.0036, or 0.015 sigma;
    # the share of hits itself has a deviation of 0.0012, and is within 5 of them but for 1e-6
    found = certify(HalfLine(), at([0.5, -0.5]), sigma=0.5, n=100_000, batch=2_000)
    assert torch.all(found.radius <= 0.5)
    slack = 0.5 * (3.1 + 5) * np.sqrt(0.8413 * 0.1587 / 1e5) / norm.pdf(1)
    assert torch.all(found.radius >= 0.5 - slack)


@pytest.mark.parametrize("noise", [Gaussian(0.5), Laplace(0.3), Uniform(1.0)], ids=repr)
def test_decisions_at_the_boundary_are_false_at_most_at_the_rate_alpha(noise):
    # every image lies at exactly 0.4 from the other class: to certify 0.4 there would be false
    alpha = 0.05
    found = certify(HalfLine(), at(np.full(400, 0.4)), noise=noise, radii=[0.4 + 1e-6], n=1_000, alpha=alpha, batch=500)
    assert int((found.radius > 0).sum()) <= most_false(400, alpha)


def test_tables_and_tolerances_are_false_at_most_at_the_rate_alpha():
    alpha, distances = 0.05, np.tile([0.1, 0.25, 0.5], 100)
    x = at(distances)
    table = certify(HalfLine(), x, sigma=0.5, radii=[0.1001, 0.2501, 0.5001], n=1_000, alpha=alpha, batch=500)
    loose = certify(HalfLine(), x, sigma=0.5, tolerance=0.1, n=2_000, alpha=alpha, batch=500, seed=2)
    for found in (table, loose):
        assert int((found.radius.numpy() > distances).sum()) <= most_false(len(distances), alpha)
    assert float(table.radius[2::3].double().mean()) > 0.2  # and it does certify what is true: 0.25 of 0.5


def test_several_classes_and_a_class_without_a_majority():
    # p of class 2 in the middle of [0, 1] is Phi(1/2) - Phi(-1/2) = 0.38 at sigma = 1: abstain; at sigma = 0.25, 0.954
    x = torch.tensor([[0.5], [-1.0], [3.0]])
    wide = certify(Interval(), x, sigma=1.0, n=10_000)
    assert wide.prediction.tolist() == [-1, 0, 1]
    narrow = certify(Interval(), x, sigma=0.25, n=10_000)
    p = norm.cdf(2) - norm.cdf(-2)
    assert narrow.prediction.tolist() == [2, 0, 1]
    assert 0.25 * norm.ppf(p) - 0.05 <= float(narrow.radius[0]) <= 0.25 * norm.ppf(p)


# ---- Cohen's CERTIFY -----------------------------------------------------------------------------------------------


def test_fixed_samples_are_cohens_certify():
    # his lower bound, as his code has it: one end of the two-sided beta interval at 2 alpha
    model, x = linear(6, 4, 0), torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    found = certify(model, x, sigma=1.0, n=1_000, alpha=0.001)
    lower = proportion_confint(found.hits.numpy(), 1_000, alpha=2 * 0.001, method="beta")[0]
    radius = np.where(lower > 0.5, norm.ppf(lower), 0.0)
    np.testing.assert_allclose(found.radius, radius, atol=1e-9)  # two inversions of the beta law
    assert torch.equal(found.abstained, torch.from_numpy(lower <= 0.5))
    assert 5 < int(found.abstained.sum()) < 55
    assert (found.drawn == 1_000).all()
    assert (found.samples == 1_100).all()
    assert found.seconds.min() > 0


def test_the_class_comes_from_copies_that_do_not_certify():
    # the hits among n of a class chosen among the same n would be at least half of them for two classes
    found = certify(HalfLine(), at(np.zeros(300)), sigma=1.0, n=100, n0=1, alpha=0.1)
    assert 100 < int((found.hits < 50).sum()) < 200  # half of them, +- 50, which is 5.8 deviations


# ---- what was asked for ------------------------------------------------------------------------------------------


def test_radii_are_those_of_the_table_to_the_last_bit():
    radii = [0.1, 0.3, 0.7]
    found = certify(HalfLine(), at([0.05, 0.2, 0.5, 2.0]), sigma=0.5, radii=radii, n=5_000)
    assert found.radius.tolist() == [0.0, 0.1, 0.3, 0.7]
    assert found.prediction.tolist() == [-1, 1, 1, 1]
    assert found.radii.tolist() == radii


def test_a_single_radius_may_be_given_bare_and_zero_asks_for_the_class():
    bare = certify(HalfLine(), at([1.0]), sigma=0.5, radii=0.5, n=1_000)
    assert bare.radius.tolist() == [0.5]
    zero = certify(HalfLine(), at([0.2, 1.0]), sigma=0.5, radii=[0.0, 0.5], n=2_000)
    assert zero.radius.tolist() == [0.0, 0.5]
    assert zero.prediction.tolist() == [1, 1]


def test_radii_may_be_given_in_any_sequence():
    options = {"sigma": 0.5, "n": 1_000}
    one = certify(HalfLine(), at([0.3, 1.0]), radii=[0.25, 0.5], **options)
    for radii in ((0.25, 0.5), np.array([0.25, 0.5]), torch.tensor([0.25, 0.5])):
        assert same(one, certify(HalfLine(), at([0.3, 1.0]), radii=radii, **options))


def test_without_futility_a_hopeless_image_takes_more():
    # p = 0.69 against a threshold of 0.84: given up soon, or only when n cannot reach it any more
    soon, late = (
        certify(HalfLine(), at([0.25]), sigma=0.5, radii=[0.5], n=5_000, futility=futility) for futility in (0.01, 0.0)
    )
    assert int(soon.samples) < int(late.samples) < 5_100
    assert float(soon.radius) == float(late.radius) == 0.0


def test_decisions_cost_a_fraction_of_the_samples():
    found = certify(HalfLine(), at([0.1, 1.0, 2.0]), sigma=0.5, radii=[0.5], n=100_000, batch=500)
    assert found.radius.tolist() == [0.0, 0.5, 0.5]
    assert int(found.samples.max()) < 1_000


@pytest.mark.parametrize(("tolerance", "relative"), [(0.05, False), (0.1, True)])
def test_a_tolerance_is_lost_at_most_and_saves_samples(tolerance, relative):
    # on the same copies; the futility bound allows a loss beyond the tolerance for 1 % of the images, the last look's
    # share of alpha another 0.01 sigma
    x = at(np.tile([0.1, 0.3, 0.6, 1.0], 6))
    whole = certify(HalfLine(), x, sigma=0.5, n=20_000, batch=500)
    found = certify(HalfLine(), x, sigma=0.5, n=20_000, batch=500, tolerance=tolerance, relative=relative)
    lost = (whole.radius - found.radius).numpy()
    allowed = tolerance * (whole.radius.numpy() if relative else 1.0) + 0.005
    assert int((lost > allowed).sum()) <= most_false(24, 0.01)
    assert float(found.samples.double().mean()) < 0.8 * 20_100


# ---- the same, however it was computed ------------------------------------------------------------------------------


def same(a, b, *, but=("seconds",)):
    """Whether two certificates agree in every number that is not a time."""
    for name in ("prediction", "radius", "label", "index", "samples", "hits", "drawn", "radii"):
        one, other = getattr(a, name), getattr(b, name)
        assert name in but or (one is None and other is None) or torch.equal(one, other), name
    return True


@pytest.mark.parametrize("asked", [{}, {"radii": [0.2, 0.6]}, {"tolerance": 0.1}], ids=str)
def test_neither_batch_nor_layout_nor_repetition_changes_anything(asked):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), linear(4 * 36, 3, 1))
    x = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    first = certify(model, x, sigma=1.0, n=400, alpha=0.01, seed=5, **asked)
    for options in ({"batch": 7}, {"batch": 1000}, {"memory_format": "plain", "batch": 50}):
        assert same(first, certify(model, x, sigma=1.0, n=400, alpha=0.01, seed=5, **asked, **options))
    other = certify(model, x, sigma=1.0, n=400, alpha=0.01, seed=6, **asked)
    assert not torch.equal(first.hits, other.hits)


def test_some_of_the_images_have_the_certificates_they_have_among_all():
    x, y = at(np.linspace(-1, 1, 21)), (torch.linspace(-1, 1, 21) > 0).long()
    whole = certify(HalfLine(), x, y, sigma=0.5, radii=[0.1, 0.5], n=1_000)
    some = torch.tensor([17, 3, 4])
    part = certify(HalfLine(), x[some], y[some], sigma=0.5, radii=[0.1, 0.5], n=1_000, index=some)
    for name in ("prediction", "radius", "label", "index", "samples", "hits", "drawn"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[some])


def test_a_generator_gives_other_certificates_each_time():
    generator = torch.Generator().manual_seed(0)
    options = {"sigma": 0.5, "n": 500, "seed": generator}
    first, second = (certify(HalfLine(), at([0.3]), **options) for _ in range(2))
    assert first.seed != second.seed
    assert same(first, certify(HalfLine(), at([0.3]), sigma=0.5, n=500, seed=first.seed))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**40), levels=st.lists(st.floats(1e-6, 0.3), min_size=2, max_size=2), n=st.integers(50, 400)
)
def test_the_radius_grows_with_alpha_and_never_beyond_its_reach(seed, levels, n):
    low, high = sorted(levels)
    strict, lax = (
        certify(
            HalfLine(), at([0.3, 1.0, 9.0]), sigma=0.5, n=n, alpha=alpha, seed=seed, batch=100, memory_format="plain"
        )
        for alpha in (low, high)
    )
    assert torch.equal(strict.hits, lax.hits)
    assert torch.all(strict.radius <= lax.radius)
    assert float(lax.radius.max()) <= 0.5 * norm.ppf(high ** (1 / n)) + 1e-9
    assert float(lax.radius[2]) == pytest.approx(0.5 * norm.ppf(high ** (1 / n)), rel=1e-9)  # 9 is 18 sigma: all hits


@settings(max_examples=10, deadline=None)
@given(power=st.integers(-3, 3), asked=st.sampled_from(["radii", "tolerance", "fixed"]))
def test_units_do_not_matter(power, asked):
    # images, noise and radii in another unit, a power of two so that nothing is rounded, and a model that scales back
    c = 2.0**power
    scaled = nn.Linear(2, 2, bias=False)
    plain = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        plain.weight.copy_(torch.tensor([[1.0, 0.5], [-0.25, 1.0]]))
        scaled.weight.copy_(plain.weight / c)
    options = {"fixed": (None, None), "radii": ([0.125, 0.5], None), "tolerance": (None, 0.125)}[asked]

    def found(model, unit):
        radii, tolerance = options
        return certify(
            model,
            unit * torch.tensor([[1.0, 0.0], [0.5, 0.25], [0.0, 1.0]]),
            sigma=unit * 0.5,
            radii=None if radii is None else [unit * radius for radius in radii],
            tolerance=None if tolerance is None else unit * tolerance,
            n=1_000,
            batch=100,
            memory_format="plain",
        )

    one, other = found(plain, 1.0), found(scaled, c)
    assert torch.equal(one.hits, other.hits)
    torch.testing.assert_close(c * one.radius, other.radius, rtol=1e-12, atol=0.0)


def test_what_a_certificate_says_of_itself():
    y = torch.tensor([1, 0, 1])
    found = certify(HalfLine(), at([1.0, -1.0, -1.0]), y, sigma=0.5, radii=[0.25], n=1_000, seed=9)
    assert (found.alpha, found.seed, found.noise, found.norm) == (0.001, 9, Gaussian(0.5), "l2")
    assert found.name == "HalfLine under Gaussian(sigma=0.5)"
    assert found.correct.tolist() == [True, True, False]
    assert torch.equal(found.samples, found.drawn + 100)
    assert found.label.dtype == found.prediction.dtype == found.index.dtype == torch.int64
    assert found.radius.dtype == torch.float64
    assert certify(HalfLine(), at([1.0]), sigma=0.5, n=100, name="mine").name == "mine"


def test_the_model_and_the_images_are_left_as_they_are():
    model, x = linear(3, 2, 0).requires_grad_(True), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    weight, images = model.weight.clone(), x.clone()
    state = torch.get_rng_state()
    certify(model, x, sigma=0.5, n=100)
    assert torch.equal(model.weight, weight)
    assert torch.equal(x, images)
    assert model.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
