"""Curves in the plane: on the curves without noise, with the noise asked for, classes equally likely."""

import math

import pytest
import torch

from lemmata import data
from lemmata.data import curves
from lemmata.errors import InvalidInput

F64 = torch.float64
LAWS = [curves.circles, curves.spirals, curves.swiss_roll]
NAMES = [law.__name__ for law in LAWS]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_classes_are_equally_likely_and_noise_is_as_asked(law):
    """40,000 draws; the bounds are 5 standard errors, crossed once in two million."""
    x, y = law(40_000, generator=seeded())
    assert y.dtype == torch.int64
    assert y.double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / 200)
    noisy, same = law(40_000, noise=0.1, generator=seeded())
    assert torch.equal(y, same)
    z = (noisy - x) / 0.1
    assert z.mean().abs() < 5 / math.sqrt(80_000)
    assert (z.square().mean() - 1).abs() < 5 * math.sqrt(2 / 80_000)
    assert (z[:, 0] * z[:, 1]).mean().abs() < 5 / 200


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_members_dtypes_and_streams(law):
    x, y = law((3, 50), generator=seeded(1), dtype=torch.float32)
    assert x.shape == (3, 50, 2)
    assert x.dtype == torch.float32
    assert y.shape == (3, 50)
    again, _ = law((3, 50), generator=seeded(1), dtype=torch.float32)
    other, _ = law((3, 50), generator=seeded(2), dtype=torch.float32)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert not torch.equal(x[0], x[1])


def test_arms_of_a_spiral_are_one_turned():
    x, y = curves.spirals(3000, classes=3, turns=0.7, inner=0.2, generator=seeded(), noise=0.0)
    s = x.norm(dim=1)
    assert s.min() > 0.2
    assert s.max() < 1
    assert ((s - 0.2) / 0.8).mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(1 / 12 / 3000))
    back = -2 * math.pi * y.double() / 3
    turned = torch.stack([x[:, 0] * back.cos() - x[:, 1] * back.sin(), x[:, 0] * back.sin() + x[:, 1] * back.cos()], 1)
    expected = torch.stack([s * (1.4 * math.pi * s).cos(), s * (1.4 * math.pi * s).sin()], 1)
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


def test_arms_of_the_swiss_roll_are_where_they_are_said_to_be():
    x, y = curves.swiss_roll(4000, generator=seeded())
    out = 0.2 * y.double()
    s = x.norm(dim=1) - out
    assert ((s > -1e-12) & (s < 1 + 1e-12)).all()
    torch.testing.assert_close(x[:, 1], (s + out) * (4 * math.pi * s).sin(), rtol=0, atol=1e-12)
    nearest = torch.cdist(x[y == 0], x[y == 1]).min().item()
    assert 0.161 < nearest < 0.18  # 0.1614 on a grid of 2,001 points, little more among 2,000 drawn ones


def test_radii_are_the_classes():
    x, y = curves.circles(300, radii=(0.5, 3.0, 2.0), generator=seeded())
    torch.testing.assert_close(x.norm(dim=1), torch.tensor([0.5, 3.0, 2.0], dtype=F64)[y])
    assert data.curves is curves


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda g: curves.circles(0, generator=g), "n = 0 draws no examples"),
        (lambda g: curves.circles(3, radii=(1.0,), generator=g), r"radii \[1.0\]: give two or more"),
        (lambda g: curves.circles(3, radii=(1.0, -1.0), generator=g), "finite and 0 or more"),
        (lambda g: curves.spirals(3, classes=1, generator=g), "classes = 1; give a whole number, at least 2"),
        (lambda g: curves.spirals(3, inner=1.0, generator=g), "an inner radius in"),
        (lambda g: curves.spirals(3, turns=float("inf"), generator=g), "give finite turns"),
        (lambda g: curves.spirals(3, turns=0.0, generator=g), "straight rays from one point"),
        (lambda g: curves.swiss_roll(3, noise=-1.0, generator=g), "noise = -1.0 is not a standard deviation"),
    ],
    ids=["none", "one", "negative", "classes", "inner", "turns", "rays", "noise"],
)
def test_curves_that_cannot_be_drawn(draw, message):
    with pytest.raises(InvalidInput, match=message):
        draw(seeded())
