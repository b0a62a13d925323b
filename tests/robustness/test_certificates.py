"""The noun of the package: what is refused, and the definitions on cases worked by hand."""

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.robustness import Certificates


def found(**more):
    prediction = torch.tensor([0, 1, -1, 2])
    return Certificates(prediction, torch.tensor([1.0, 0.5, 0.0, 2.0], dtype=torch.float64), **more)


def test_average_radius_counts_only_what_is_right():
    # right: the first (1.0) and the last (2.0); the second is wrong, the third abstains: 3 / 4
    assert found(label=torch.tensor([0, 0, 1, 2])).average_radius == 0.75


def test_abstentions_are_never_correct():
    certificates = found(label=torch.tensor([0, 0, 1, 2]))
    assert certificates.abstained.tolist() == [False, False, True, False]
    assert certificates.correct.tolist() == [True, False, False, True]


def test_without_labels_nothing_is_called_correct():
    with pytest.raises(InvalidInput, match="no labels"):
        _ = found().average_radius


@pytest.mark.parametrize(
    ("radius", "what"),
    [([1.0, 2.0], "one an image"), ([1.0, -1.0, 0.0, 0.0], "negative"), ([1.0, float("nan"), 0, 0], "NaN")],
)
def test_bad_radii_are_refused(radius, what):
    with pytest.raises(InvalidInput, match=what):
        Certificates(torch.tensor([0, 1, -1, 2]), torch.tensor(radius))
