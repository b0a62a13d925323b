"""Certificates in words: every number in them, checked against what it speaks of."""

import re

import pytest
import torch

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput
from lemmata.robustness import Certificates, Gaussian, Uniform, certify
from lemmata.robustness.certificates.explain import samples_to_prove

NOISE = Gaussian(0.5)


def one(prediction, radius, hits=None, drawn=None, **more):
    counts = {} if hits is None else {"hits": torch.tensor([hits]), "drawn": torch.tensor([drawn])}
    return Certificates(torch.tensor([prediction]), torch.tensor([radius], dtype=torch.float64), **counts, **more)


def test_few_samples_can_never_certify():
    said = one(-1, 0.0, 9, 9).explain(0)
    assert "n = 9 can never certify at alpha = 0.001: it needs n >= 10." in said
    assert "needs n >= 5" in one(-1, 0.0, 4, 4, alpha=0.05).explain(0)
    assert "never" not in one(-1, 0.0, 9, 10).explain(0)


def test_a_radius_beyond_all_hits_is_named_with_the_samples_it_needs():
    said = one(3, 1.5, 10_000, 10_000, noise=NOISE, radii=torch.tensor([1.5, 1.9])).explain(0)
    needed = int(re.search(r"it needs n >= ([\d,]+)", said)[1].replace(",", ""))
    for n, reached in ((needed, True), (needed - 1, False)):
        assert (float(NOISE.radius(clopper_pearson(n, n, alpha=0.001))) > 1.9) == reached


def test_the_samples_for_the_next_radius_suffice_and_fewer_do_not():
    said = one(3, 0.5, 9_700, 10_000, noise=NOISE, radii=torch.tensor([0.5, 0.9])).explain(0)
    assert "above 0.96407" in said  # Phi(0.9 / 0.5)
    n = int(re.search(r"some ([\d,]+) samples", said)[1].replace(",", ""))
    for factor, reached in ((1.02, True), (0.98, False)):  # three digits are said
        samples = int(n * factor)
        assert (float(NOISE.radius(clopper_pearson(int(0.97 * samples), samples, alpha=0.001))) > 0.9) == reached


def test_a_share_below_the_threshold_is_hopeless():
    for certificates in (
        one(-1, 0.0, 490, 1000),
        one(3, 0.5, 8_500, 10_000, noise=NOISE, radii=torch.tensor([0.5, 0.9])),
    ):
        assert certificates.explain(0).endswith("more samples would hardly help.")


def test_without_a_table_ten_times_the_samples_are_spoken_of():
    said = one(3, 1.0, 9_800, 10_000, noise=NOISE).explain(0)
    expected = float(NOISE.radius(clopper_pearson(98_000, 100_000, alpha=0.001)))
    assert f"radius {expected:.4g}." in said
    assert "with all hits" in one(3, 1.0, 10_000, 10_000, noise=NOISE).explain(0)


def test_only_what_is_known_is_said():
    said = one(3, 1.0, label=torch.tensor([4]), norm="linf").explain(0)
    assert said == "Class 3, not its label 4, on the whole linf ball of radius 1 (confidence 0.999)."
    assert one(-1, 0.0).explain(0) == "Abstained: no class was proven to have the probability that it takes."
    assert one(-1, 0.0, -1, 100).explain(0) == one(-1, 0.0).explain(0)  # hits that a log cannot tell
    assert one(3, 1.0, 990, 1000).explain(-1).endswith("fell on it (confidence 0.999).")
    assert one(3, 1.9, 10_000, 10_000, noise=NOISE, radii=torch.tensor([1.9])).explain(0).endswith("asked for.")


def test_images_that_are_not_there_are_refused():
    with pytest.raises(InvalidInput, match="no image 1 among 1"):
        one(3, 1.0).explain(1)


@pytest.mark.parametrize(("share", "p0", "alpha"), [(0.6, 0.5, 0.001), (0.99, 0.95, 1e-6), (1.0, 0.99, 0.001)])
def test_samples_to_prove_are_on_the_boundary(share, p0, alpha):
    n = int(samples_to_prove(share, p0, alpha=alpha))
    hits = int(share * n + 1e-9)
    assert clopper_pearson(hits, n, alpha=alpha) > p0
    before = n - 1
    assert clopper_pearson(int(share * before + 1e-9), before, alpha=alpha) <= p0
    assert samples_to_prove(p0, p0, alpha=alpha) == float("inf")
    assert samples_to_prove(0.5 + 1e-6, 0.5, alpha=alpha) == float("inf")


def test_where_sampling_stopped_by_what_it_saw_no_bound_is_spoken_of():
    said = one(-1, 0.0, 926, 1400, noise=NOISE, radii=torch.tensor([0.25, 0.5])).explain(0)
    assert said.startswith(
        "Abstained: 926 of 1,400 noisy copies fell on one class. To certify the smallest radius 0.25,"
    )
    assert "above 0.691462" in said  # Phi(0.25 / 0.5)
    assert said.endswith("hardly help.")
    for stopped in ("sequential", ""):  # not even where all images, here the only one, got as many copies
        assert "with confidence" not in one(-1, 0.0, 60, 100, stopped=stopped).explain(0)
    assert "is above 0.4" in one(-1, 0.0, 60, 100, stopped="fixed").explain(0)


@pytest.mark.parametrize(("asked", "stopped"), [({}, "fixed"), ({"tolerance": 0.2}, "sequential")])
def test_certify_says_how_sampling_stopped(asked, stopped):
    """One image on the boundary of two classes: the tolerance is met after few copies, by what they show."""
    model = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    found = certify(model, torch.zeros(1, 2), sigma=0.5, n=1000, **asked)
    assert found.stopped == stopped
    assert ("with confidence" in found.explain(0)) == (stopped == "fixed")


def test_the_words_are_those_of_the_norm():
    assert one(3, 4.0, norm="patch", alpha=0.0).explain(0) == (
        "Class 3, whatever a patch of 4 x 4 pixels shows, and wherever (certain, as nothing was drawn)."
    )
    assert "whatever any 2 pixels of the image become" in one(3, 2.0, norm="l0").explain(0)
    assert "any 1 pixel of" in one(3, 1.0, norm="l0").explain(0)
    assert "at the image itself alone (radius 0)" in one(3, 0.0, norm="l0").explain(0)


def test_more_samples_that_change_nothing_are_not_praised():
    """Uniform noise of half-width 1 has radius 1 at p = 1: ten times 10^8 hits give 1.0000 as before."""
    said = one(3, 0.99999996, 10**8, 10**8, noise=Uniform(1.0)).explain(0)
    assert said.endswith("would hardly change it.")


@pytest.mark.parametrize("i", ["a", 1.5, None, True])
def test_images_that_are_no_places_are_refused(i):
    with pytest.raises(InvalidInput, match="image i"):
        one(3, 1.0).explain(i)
