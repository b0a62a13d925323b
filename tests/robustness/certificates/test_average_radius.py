"""The average certified radius and its differences: their standard errors against the definition and by simulation."""

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.robustness import Certificates
from lemmata.robustness.certificates.average_radius import average_certified_radius, radius_difference


def run(radius, right, index=None, norm="l2"):
    n = len(radius)
    label = torch.arange(n) % 3 if index is None else index % 3
    prediction = torch.where(right, label, (label + 1) % 3)
    return Certificates(prediction, radius, label=label, index=index, norm=norm)


def drawn(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, generator=generator, dtype=torch.float64), torch.rand(n, generator=generator) < 0.7


def test_mean_and_error_are_those_of_what_counts():
    radius, right = drawn(400, 0)
    found = run(radius, right).mean_radius()
    values = radius * right
    assert found.value == pytest.approx(float(values.mean()))
    assert found.stderr == pytest.approx(float(values.std()) / 20)
    assert found.n == 400
    assert found.value == pytest.approx(run(radius, right).average_radius)


def test_the_interval_covers():
    """Mean of U * Bernoulli(0.7) is 0.35; of 400 intervals at 95 % between 358 and 396 cover (5 standard errors)."""
    inside = 0
    for seed in range(400):
        low, high = average_certified_radius(run(*drawn(200, seed))).interval(0.95)
        inside += low < 0.35 < high
    assert 358 <= inside <= 397


def test_a_difference_on_the_same_images_has_the_error_of_the_differences():
    radius, right = drawn(400, 1)
    index = torch.randperm(400, generator=torch.Generator().manual_seed(2))
    ours, theirs = run(radius + 0.1, right, index), run(radius, right, index)
    found = radius_difference(ours, theirs)
    assert found.value == pytest.approx(0.1 * float(right.double().mean()))
    assert found.stderr < 0.3 * ours.mean_radius().stderr
    shuffled = torch.randperm(400, generator=torch.Generator().manual_seed(3))
    again = run(radius[shuffled], right[shuffled], index[shuffled])
    assert radius_difference(ours, again).value == pytest.approx(found.value)
    assert radius_difference(ours, again).stderr == pytest.approx(found.stderr)


def test_one_image_has_no_interval():
    with pytest.raises(InvalidInput, match="no interval"):
        run(torch.tensor([0.5]), torch.tensor([True])).mean_radius().interval()


def test_runs_that_cannot_be_compared_are_refused():
    radius, right = drawn(10, 0)
    index = torch.arange(10)
    ours = run(radius, right, index)
    with pytest.raises(InvalidInput, match="l2 and in l1"):
        radius_difference(ours, run(radius, right, index, norm="l1"))
    with pytest.raises(InvalidInput, match="different images"):
        radius_difference(ours, run(radius, right, index + 1))
    with pytest.raises(InvalidInput, match="different images"):
        radius_difference(ours, run(radius[:5], right[:5]))
    other = Certificates(ours.prediction, radius, label=ours.label.flip(0), index=index)
    with pytest.raises(InvalidInput, match="different labels"):
        radius_difference(ours, other)
    with pytest.raises(InvalidInput, match="no labels"):
        radius_difference(ours, Certificates(ours.prediction, radius))


def test_decisions_beside_radii_are_refused():
    """[0.1] run says 0.1 of an image whose radius is 0.5: the difference would speak of the question alone."""
    label = torch.tensor([0, 1])
    exact = Certificates(label, torch.tensor([0.5, 0.5]), label=label)
    grid, other = (
        Certificates(label, torch.tensor([0.1, 0.1]), label=label, radii=torch.tensor(radii))
        for radii in ([0.1], [0.1, 0.2])
    )
    for theirs in (exact, other):
        with pytest.raises(InvalidInput, match="cannot be compared: decisions fall short"):
            radius_difference(grid, theirs)
    assert radius_difference(grid, grid).value == 0
    with pytest.raises(InvalidInput, match="give the certificates of two runs"):
        radius_difference(exact, 3)


def test_one_image_has_an_infinite_standard_error():
    label = torch.tensor([0])
    found = Certificates(label, torch.tensor([0.5]), label=label).mean_radius()
    assert (found.value, found.stderr) == (0.5, float("inf"))
    with pytest.raises(InvalidInput, match="no interval from n = 1"):
        found.interval()
