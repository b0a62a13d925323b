"""Certificates in words: every number in them, checked against what it speaks of."""

import re

import pytest
import torch

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput
from lemmata.robustness import Certificates, Gaussian
from lemmata.robustness.explain import samples_to_prove

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
    two = Certificates(
        torch.tensor([-1, 1]), torch.tensor([0.0, 1.0]), hits=torch.tensor([60, 990]), drawn=torch.tensor([100, 1000])
    )
    assert "with confidence" not in two.explain(0)
    assert "is above 0.4" in one(-1, 0.0, 60, 100).explain(0)
