"""A certificate is recounted from what it says; another model, image or seed does not agree."""

import dataclasses

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.robustness import Certificates, certify, recount


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)).double()


def certified(**options):
    x = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return certify(network(), x, sigma=0.3, n=1000, index=torch.tensor([4, 9, 1, 30, 7]), seed=5, **options), x


@pytest.mark.parametrize("options", [{}, {"radii": [0.05, 0.2, 0.4]}])
def test_every_certificate_is_recounted(options):
    found, x = certified(**options)
    for i in range(5):
        again = recount(found, i, network(), x)
        assert again.agrees
        assert (again.hits, again.drawn) == (int(found.hits[i]), int(found.drawn[i]))
        assert int(again.estimate.sum()) == again.drawn
        assert int(again.selection.sum()) == 100
        assert again.prediction == int(again.selection.argmax())


def test_another_model_image_or_seed_does_not_agree():
    found, x = certified()
    assert not all(recount(found, i, network(1), x).agrees for i in range(5))
    assert not all(recount(found, i, network(), x.flip(0)).agrees for i in range(5))
    other = dataclasses.replace(found, seed=6)
    assert not all(recount(other, i, network(), x).agrees for i in range(5))


def test_a_forged_class_does_not_agree():
    found, x = certified()
    forged = dataclasses.replace(found, prediction=(found.prediction + 1) % 4)
    assert not recount(forged, 0, network(), x).agrees


def test_what_does_not_say_what_was_drawn_is_refused():
    found, x = certified()
    bare = Certificates(found.prediction, found.radius)
    with pytest.raises(InvalidInput, match="do not say what was drawn"):
        recount(bare, 0, network(), x)
    with pytest.raises(InvalidInput, match="image 5 of 5"):
        recount(found, 5, network(), x)
    with pytest.raises(InvalidInput, match="2 images for 5 certificates"):
        recount(found, 0, network(), x[:2])


def test_the_figure_has_the_shares_of_both_streams():
    found, x = certified()
    again = recount(found, 2, network(), x)
    figure = again.plot()
    estimate, selection = figure.panels[0].series
    assert estimate.y.sum() == pytest.approx(1)
    assert selection.y.tolist() == pytest.approx((again.selection / 100).tolist())
    assert f"{again.hits:,} of 1,000 votes" in figure.caption
    assert "agrees" in figure.caption


def test_what_are_no_certificates_are_refused():
    with pytest.raises(InvalidInput, match="certificates: 3; give what `certify` gave"):
        recount(3, 0, nn.Linear(2, 2), torch.ones(3, 2))
    found = certify(nn.Linear(2, 2), torch.ones(3, 2), sigma=0.5, n=100)
    with pytest.raises(InvalidInput, match="x: a list"):
        recount(found, 0, nn.Linear(2, 2), [1.0])
