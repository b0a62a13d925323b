"""Bounds beside an attack: none contradicts the other, and bad radii are refused."""

import pytest
import torch
from recorded_nets import NETS
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.linear_bounds import enclosure


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_no_image_is_both_certified_and_broken(norm):
    torch.manual_seed(0)
    model = NETS["convolutional"]().eval().requires_grad_(False)
    model[-1].weight *= 20
    x = torch.rand(30, 1, 6, 6)
    y = model(x).argmax(1)
    y[:3] = (y[:3] + 1) % 3  # three images whose class is wrong from the start
    found = enclosure(model, x, y, [0.02, 0.1, 0.3], norm=norm, methods=["interval", "crown"], steps=20)
    assert not found.contradictions.any()
    assert not found.certified["crown"][:, :3].any()
    assert (found.certified["crown"] | ~found.certified["interval"]).all()  # CROWN proves what intervals prove here
    assert found.accuracy["crown"][0] > 0.5
    panel = found.plot().panels[0]
    assert [len(series.x) for series in panel.series] == [3, 3, 3]
    assert {series.style for series in panel.series} == {"points"}  # nothing is claimed between the radii
    assert panel.x.ticks == ("0.02", "0.1", "0.3")


def test_the_linear_classifier_leaves_no_gap():
    # CROWN and the attack's first step are exact there
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval().requires_grad_(False)
    x = torch.rand(40, 1, 6, 6)
    found = enclosure(model, x, model(x).argmax(1), [0.005, 0.02, 0.05], methods=["interval", "crown"], clip=None)
    assert torch.equal(found.accuracy["crown"], found.attack.robust_accuracy)
    assert torch.equal(found.accuracy["interval"], found.attack.robust_accuracy)


@pytest.mark.parametrize("eps", [[], [0.0, 0.1], [0.2, 0.1], [0.1, 0.1], [float("nan")], [float("inf")]])
def test_bad_radii_are_refused(eps):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval()
    with pytest.raises(InvalidInput, match="rising"):
        enclosure(model, torch.rand(2, 1, 6, 6), torch.tensor([0, 1]), eps)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"eps": 0.1}, "list of positive radii"), ({"eps": "a"}, "list of positive radii"),
        ({"eps": ["a"]}, "real number"), ({"methods": []}, "one at least"), ({"methods": "crown"}, "list of methods"),
        ({"methods": ["crown", "crown"]}, "each once"), ({"model": [nn.Linear(4, 2)]}, "a model is"),
        ({"clip": 5}, "clip = 5"),
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(settings, match):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval()
    given = {"model": model, "x": torch.rand(2, 1, 6, 6), "y": torch.tensor([0, 1]), "eps": [0.1], **settings}
    with pytest.raises(InvalidInput, match=match):
        enclosure(**given)


def test_an_unknown_method_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval()
    with pytest.raises(UnknownName, match="crown"):
        enclosure(model, torch.rand(2, 1, 6, 6), torch.tensor([0, 1]), [0.1], methods=["crwn"])
