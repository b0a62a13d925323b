"""The noun of the package: what is refused, and the definitions on cases worked by hand."""

import pytest
import torch

from lemmata.errors import InvalidInput, UnknownName
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


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"prediction": torch.tensor([1.5])}, "whole numbers"),
        ({"prediction": torch.tensor([-5])}, "prediction = -5"),
        ({"label": torch.tensor([1.5])}, "whole numbers"),
        ({"prediction": torch.tensor([-1])}, "abstained from with radius 0.5"),
        ({"hits": torch.tensor([5]), "drawn": torch.tensor([3])}, "5 hits of 3"),
        ({"alpha": 2}, "alpha = 2"),
        ({"alpha": float("nan")}, "alpha = nan"),
        ({"alpha": "a"}, "alpha = 'a'"),
        ({"radii": torch.tensor([0.2, 0.1])}, "increasing order"),
        ({"radii": [0.1]}, "radii: a list"),
    ],
)
def test_what_no_certificate_is_is_refused(given, what):
    with pytest.raises(InvalidInput, match=what):
        Certificates(**{"prediction": torch.tensor([1]), "radius": torch.tensor([0.5])} | given)


def test_unknown_norms_and_endings_are_refused():
    for given in ({"norm": "l9"}, {"norm": 3}, {"stopped": "soon"}):
        with pytest.raises(UnknownName):
            found(**given)


def test_certainty_and_unknown_hits_are_allowed():
    assert found(alpha=0.0).alpha == 0
    assert found(hits=torch.tensor([-1] * 4), drawn=torch.tensor([9] * 4)).hits is not None
