"""Bounds beside an attack: none contradicts the other, and bad radii are refused."""

import pytest
import torch
from recorded_nets import NETS
from torch import nn

from lemmata.errors import InvalidInput
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
    assert [len(series.x) for series in found.plot().panels[0].series] == [3, 3, 3]


def test_the_linear_classifier_leaves_no_gap():
    # CROWN and the attack's first step are exact there
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval().requires_grad_(False)
    x = torch.rand(40, 1, 6, 6)
    found = enclosure(model, x, model(x).argmax(1), [0.005, 0.02, 0.05], methods=["interval", "crown"], clip=None)
    assert torch.equal(found.accuracy["crown"], found.attack.robust_accuracy)
    assert torch.equal(found.accuracy["interval"], found.attack.robust_accuracy)


@pytest.mark.parametrize("eps", [[], [0.0, 0.1], [0.2, 0.1], [0.1, 0.1], [float("nan")]])
def test_bad_radii_are_refused(eps):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval()
    with pytest.raises(InvalidInput, match="rising"):
        enclosure(model, torch.rand(2, 1, 6, 6), torch.tensor([0, 1]), eps)
