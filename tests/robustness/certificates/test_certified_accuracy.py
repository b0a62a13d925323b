"""Certified accuracy: the step function by its definition, what its bands promise, and the figure."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.robustness import Certificates, Gaussian
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.certificates.certified_accuracy_figure import OtherClassifier
from lemmata.robustness.certificates.confidence_band import band

images = st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2), st.integers(0, 8)), min_size=1, max_size=30)


def made(rows, **more):
    prediction, label, eighths = (torch.tensor(part) for part in zip(*rows, strict=True))
    radius = torch.where(prediction < 0, 0.0, eighths.double() / 8)
    return Certificates(prediction, radius, label=label, **more)


def uniform(n, seed=0, **more):
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 3, (n,), generator=generator)
    radius = torch.rand(n, generator=generator, dtype=torch.float64)
    wrong = torch.rand(n, generator=generator) < 0.25
    return Certificates(torch.where(wrong, 3 - label, label), radius, label=label, **more)


@given(images, st.lists(st.integers(0, 20), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_the_curve_is_its_definition_at_every_radius(rows, sixteenths):
    certificates = made(rows)
    curve = certificates.accuracy(method="pointwise")
    for r in [0.0, *(value / 16 for value in sixteenths)]:
        share = np.mean([p == y and (p >= 0) and k / 8 >= r for p, y, k in rows])
        assert curve.at(r) == pytest.approx(share, abs=1e-15)
        assert certificates.accuracy([r], method="pointwise").accuracy[0] == pytest.approx(share, abs=1e-15)
    assert (np.diff(curve.accuracy) <= 0).all()
    assert (curve.low <= curve.accuracy).all()
    assert (curve.accuracy <= curve.high).all()


def test_a_certificate_counts_at_its_own_radius_and_not_beyond():
    curve = made([(1, 1, 4), (1, 1, 4), (-1, 1, 0), (0, 1, 8)]).accuracy()
    assert curve.at([0.0, 0.5, np.nextafter(0.5, 1)]).tolist() == [0.5, 0.5, 0.0]
    assert curve.radii.tolist() == [0.0, 0.5]
    assert curve.certified.tolist() == [2, 2]


def test_wrong_certificates_and_abstentions_count_nothing_and_nothing_certified_is_no_error():
    curve = made([(0, 1, 8), (-1, 1, 0)]).accuracy()
    assert curve.at([0.0, 1.0]).tolist() == [0, 0]
    assert curve.low.tolist() == [0]
    assert curve.band_at(3.0) == (0.0, pytest.approx(band(2).high[0]))


def test_bands_are_those_of_their_counts():
    certificates = uniform(200)
    for method in ("equal local levels", "kolmogorov", "dkw"):
        curve, rows = certificates.accuracy(method=method), band(200, method=method)
        np.testing.assert_array_equal(curve.low, rows.low[curve.certified])
        np.testing.assert_array_equal(curve.high, rows.high[curve.certified])
    table = certificates.accuracy([0.1, 0.5, 0.9], method="bonferroni")
    low, high = clopper_pearson(table.certified, 200, alpha=0.05 / 3, side="two-sided")
    np.testing.assert_allclose(table.low, low, rtol=1e-14)  # 0.05 is 1 - 0.95 to one bit
    np.testing.assert_allclose(table.high, high, rtol=1e-14)
    assert not certificates.accuracy(method="pointwise").simultaneous
    assert table.simultaneous


def test_the_method_is_chosen_by_n_and_the_number_of_radii_and_not_by_the_images():
    small, large = [0.1, 0.5], np.linspace(0, 1, 80).tolist()
    chosen = {tuple(uniform(200, seed).accuracy(radii).method for radii in (small, large, None)) for seed in range(5)}
    assert chosen == {("bonferroni", "equal local levels", "equal local levels")}
    widths = {m: np.diff(uniform(200).accuracy(small, method=m).band_at(small), axis=0).mean()
              for m in ("auto", "kolmogorov", "equal local levels")}  # fmt: skip
    assert widths["auto"] == min(widths.values())


def test_the_band_for_the_truth_allows_for_false_certificates():
    """Each certificate exceeds the true radius with probability alpha = 0.2, and always there by a lot.

    The true curve is 1 - r; the band for what is certified misses it, `low_true` does not: 500 runs, at most 5 % may
    miss (4 standard errors: failure < 1e-4). And false certificates exceed their bound at 0.999 never in 500 runs but
    with probability below 0.4.
    """
    generator = torch.Generator().manual_seed(1)
    n, runs, alpha, r = 200, 500, 0.2, 0.9
    label = torch.zeros(n, dtype=torch.int64)
    missed = missed_plain = exceeded = 0
    for _ in range(runs):
        true = torch.rand(n, generator=generator, dtype=torch.float64)
        false = torch.rand(n, generator=generator) < alpha
        curve = Certificates(label, torch.where(false, 1.0, true), label=label, alpha=alpha).accuracy()
        places = curve.radii
        missed += bool((curve.low_true > 1 - places + 1e-12).any())
        missed_plain += curve.band_at(r)[0] > 1 - r
        exceeded += int(false.sum()) > curve.false_certificates(0.999)
    assert missed / runs <= 0.05 + 4 * (0.05 * 0.95 / runs) ** 0.5
    assert missed_plain / runs > 0.5  # the test can fail
    assert exceeded <= 4


def test_false_certificates_are_a_binomial_quantile():
    curve = uniform(500, alpha=0.001).accuracy()
    bound = curve.false_certificates(0.999)
    assert binom.sf(bound, 500, 0.001) <= 0.001 < binom.sf(bound - 1, 500, 0.001)
    assert uniform(10, alpha=0.0).accuracy().false_certificates() == 0
    with pytest.raises(InvalidInput, match="confidence"):
        curve.false_certificates(1.0)


def test_the_average_radius_lies_between_the_areas_below_the_band():
    certificates = uniform(300)
    curve = certificates.accuracy()
    low, high = curve.average_radius(largest=1.0)
    grid = (np.arange(200_000) + 0.5) / 200_000
    ends = curve.band_at(grid)
    assert low == pytest.approx(np.mean(ends[0]), abs=1e-4)  # a step function by the midpoint rule
    assert high == pytest.approx(np.mean(ends[1]), abs=1e-4)
    assert low < 0.75 / 2 < high  # the law's own mean
    assert low < certificates.average_radius < high
    with pytest.raises(InvalidInput, match=r"largest = 0\.5"):
        curve.average_radius(0.5)
    with pytest.raises(InvalidInput, match="whole curve"):
        certificates.accuracy([0.5]).average_radius(1.0)


def test_a_table_knows_its_own_radii_only():
    table = uniform(50).accuracy([0.25, 0.5])
    assert table.at(0.5) == table.accuracy[1]
    with pytest.raises(InvalidInput, match="whole curve"):
        table.at(0.3)


@pytest.mark.parametrize("radii", [[], [-0.1], [float("nan")], [0.5, 0.25], [0.5, 0.5], [float("inf")], [[0.5]]])
def test_bad_radii_are_refused(radii):
    with pytest.raises(InvalidInput, match="radii"):
        uniform(5).accuracy(radii)


def test_bad_questions_are_refused():
    certificates = uniform(5)
    for radius in (-1.0, float("nan"), [0.5, float("nan")]):
        with pytest.raises(InvalidInput, match="radii are distances"):
            certificates.accuracy().at(radius)
    with pytest.raises(UnknownName, match="kolmogorov"):
        certificates.accuracy(method="kolmogorow")
    with pytest.raises(InvalidInput, match="table"):
        certificates.accuracy(method="bonferroni")
    with pytest.raises(InvalidInput, match="confidence"):
        certificates.accuracy(confidence=95)
    with pytest.raises(InvalidInput, match="confidence"):
        certificates.accuracy(confidence="a")
    for radii in ("a", ["a"]):
        with pytest.raises(InvalidInput, match="radii"):
            certificates.accuracy(radii)
    for beside in (attack(), None, "a", 3):
        with pytest.raises(InvalidInput, match="beside"):
            certificates.plot(beside=beside)
    with pytest.raises(InvalidInput, match="no labels"):
        Certificates(torch.tensor([1]), torch.tensor([0.5])).accuracy()


def attack(norm="l2", eps=(0.1, 0.3)):
    """An attack on ten images at two radii that breaks three of them, and four."""
    success = torch.arange(10) < torch.tensor([[3], [4]])
    x, rows = torch.zeros(10, 2), torch.tensor(eps) if len(eps) > 2 else torch.tensor(eps)[:, None]
    return Attack(
        x.expand(2, 10, 2), success, success.float(), x, torch.zeros(10, dtype=torch.int64), rows, norm, name="PGD"
    )


def test_the_figure_steps_where_the_curve_does_and_shows_attacks():
    certificates = made([(1, 1, 4), (1, 1, 2), (-1, 1, 0), (0, 1, 8)])
    figure = certificates.plot(beside=[attack(), (0.2, 0.65, "FGSM")])
    curve, pgd, fgsm = figure.panels[0].series
    assert curve.x.tolist() == [0, 0, 0, 0.25, 0.25, 0.5, 0.5]
    assert curve.y.tolist() == [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0][: len(curve.y)] or curve.y[-1] == 0
    for x, y in zip(curve.x, curve.y, strict=True):  # each corner is the value at the radius or just beyond it
        assert y in (certificates.accuracy().at(float(x)), certificates.accuracy().at(float(x) + 1e-9))
    assert pgd.x.tolist() == pytest.approx([0.1, 0.3])  # float32
    assert (pgd.y.tolist(), fgsm.y.tolist()) == ([0.7, 0.6], [0.65])
    assert "upper bound: not broken by attack" in pgd.label
    assert static.render(figure, None).startswith("<svg")
    assert static.render(certificates.accuracy([0.1, 0.4]).plot(), None).startswith("<svg")
    assert "alone" in certificates.accuracy(method="pointwise").plot().caption


def test_decisions_are_drawn_where_they_were_made_and_nowhere_else():
    certificates = made([(1, 1, 4), (1, 1, 2), (-1, 1, 0), (0, 1, 4)], radii=torch.tensor([0.25, 0.5]))
    (decisions,) = certificates.plot().panels[0].series
    assert (decisions.style, decisions.x.tolist(), decisions.y.tolist()) == ("points", [0.25, 0.5], [0.5, 0.25])
    assert (np.asarray(decisions.low) <= decisions.y).all()
    assert (decisions.y <= np.asarray(decisions.high)).all()


@pytest.mark.parametrize("norm", ["l0", "patch"])
def test_norms_that_count_are_drawn_at_counts(norm):
    label = torch.tensor([1, 1, 1, 0])
    certificates = Certificates(torch.ones_like(label), torch.tensor([0.0, 1.0, 3.0, 3.0]), label=label, norm=norm)
    (panel,) = certificates.plot().panels
    (curve,) = panel.series
    assert panel.x.ticks == ("0", "1", "2", "3")
    assert (curve.style, curve.x.tolist(), curve.y.tolist()) == ("points", [0, 1, 2, 3], [0.75, 0.5, 0.25, 0.25])
    assert curve.high[0] > 0.75 > curve.low[0]  # at 0 too


def test_the_figure_says_what_it_rests_on():
    plain, certain = uniform(300, alpha=0.01).plot(), uniform(300, alpha=0.0).plot()
    assert plain.title == "Certified accuracy: 300 images, 95 % band, alpha = 0.01"
    assert certain.title == "Certified accuracy: 300 images, 95 % band"
    assert "certain" in certain.caption
    nothing = made([(-1, 1, 0), (-1, 0, 0)]).plot()
    assert nothing.title.startswith("Nothing is certified")
    assert nothing.panels[0].series[0].x.max() == 1.0
    assert static.render(nothing, None).startswith("<svg")


def test_attacks_on_another_classifier_are_named_and_warned_of():
    smoothed = made([(1, 1, 4), (1, 1, 2)], noise=Gaussian(0.5))
    with pytest.warns(OtherClassifier, match="another classifier"):
        figure = smoothed.plot(beside=[attack()])
    assert figure.panels[0].series[-1].label.endswith("(unsmoothed)")
    same = replace(attack(), subject="smoothed, Gaussian(sigma=0.5)")
    assert "smoothed" not in smoothed.plot(beside=[same]).panels[0].series[-1].label  # and no warning


@pytest.mark.parametrize(
    "beside",
    [
        (0.1, 1.2, "PGD"),
        (-0.1, 0.5, "PGD"),
        "PGD",
        (0.1, 0.5),
        attack("linf"),
        attack(eps=[0.1] * 9 + [0.2]),
        ([0.1], [0.5], "x"),
        ("a", 0.5, "x"),
    ],
)
def test_what_is_no_attack_in_the_norm_is_refused(beside):
    with pytest.raises(InvalidInput):
        uniform(5).plot(beside=[beside])
