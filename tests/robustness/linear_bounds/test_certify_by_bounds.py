"""Certificates by linear bounds: the closed form of a linear classifier, tables of radii, and what is refused."""

import math

import pytest
import torch
from recorded_nets import NETS
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.linear_bounds import certify_by_bounds, margin_bounds

DUAL = {"linf": 1, "l2": 2, "l1": math.inf}


def linear(seed=0, classes=4, inputs=6):
    torch.manual_seed(seed)
    return nn.Linear(inputs, classes).double().eval().requires_grad_(False)


def exact_radii(model, x, norm):
    """min_j (f_y - f_j) / |w_y - w_j|_dual, without a range of inputs."""
    logits = model(x)
    y = logits.argmax(1)
    margins = logits.gather(1, y[:, None]) - logits
    lengths = torch.linalg.vector_norm(model.weight[y][:, None] - model.weight, DUAL[norm], dim=2)
    return (margins / lengths).scatter(1, y[:, None], torch.inf).amin(1)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("method", ["interval", "crown"])
def test_linear_classifiers_are_certified_to_their_exact_radius(norm, method):
    model, x = linear(), torch.randn(20, 6).double()
    found = certify_by_bounds(model, x, norm=norm, method=method, clip=None, tolerance=1e-3)
    exact = exact_radii(model, x, norm)
    assert (found.radius < exact).all()
    assert (found.radius > exact * (1 - 2e-3)).all()  # the tolerance of the bisection
    assert torch.equal(found.prediction, model(x).argmax(1))
    assert found.alpha == 0
    assert found.norm == norm


def test_a_radius_is_proven_and_the_next_one_is_not():
    torch.manual_seed(0)
    model = NETS["convolutional"]().double().eval().requires_grad_(False)
    x = torch.rand(8, 1, 6, 6).double()
    found = certify_by_bounds(model, x, method="crown", tolerance=0.02, clip=None)
    y = model(x).argmax(1)
    for scale, proven in ((1.0, True), (1.03, False)):
        margins = margin_bounds(model, x, y, found.radius * scale, clip=None).scatter(1, y[:, None], torch.inf)
        assert ((margins > 0).all(1) == proven).all()


def test_better_methods_certify_more():
    torch.manual_seed(0)
    model = NETS["relu perceptron"]().double().eval().requires_grad_(False)
    x = torch.rand(10, 1, 6, 6).double()
    radii = [float(certify_by_bounds(model, x, method=m).radius.mean()) for m in ("interval", "crown-ibp", "crown")]
    assert radii[0] < radii[1] <= radii[2] * 1.01


def test_a_table_of_radii_gives_the_largest_that_is_proven():
    model, x = linear(), torch.randn(20, 6).double()
    exact = exact_radii(model, x, "linf")
    table = [0.4, 0.05, 0.1, 0.2]
    y = torch.zeros(20, dtype=torch.long)
    found = certify_by_bounds(model, x, y, norm="linf", method="interval", clip=None, radii=table)
    for radius, limit in zip(found.radius.tolist(), exact.tolist(), strict=True):
        assert radius == max([r for r in table if r < limit], default=0.0)
    assert found.radii.tolist() == sorted(table)
    assert found.accuracy([0.1]).accuracy[0] == pytest.approx(
        float(((exact > 0.1) & (model(x).argmax(1) == 0)).double().mean())
    )


def test_a_ball_beyond_the_range_is_certified_as_a_whole():
    # no input of [0, 1] changes the class: the search ends at a radius larger than the range
    model = linear(classes=2, inputs=1)
    model.weight.copy_(torch.tensor([[0.1], [-0.1]]))
    model.bias.copy_(torch.tensor([1.0, 0.0]))
    found = certify_by_bounds(model, torch.tensor([[0.5]]), norm="linf")
    assert float(found.radius[0]) > 1


def test_ties_are_abstained_from():
    model = linear(classes=2, inputs=1)
    model.weight.zero_()
    model.bias.zero_()
    found = certify_by_bounds(model, torch.tensor([[0.5]]))
    assert found.prediction.tolist() == [-1]
    assert found.radius.tolist() == [0.0]


def test_bad_input_is_refused():
    model, x = linear(), torch.rand(3, 6)
    for radii in ([], [0.0], [-0.1, 0.2], [float("nan")]):
        with pytest.raises(InvalidInput, match="positive"):
            certify_by_bounds(model, x, radii=radii)
    for tolerance in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(InvalidInput, match="tolerance"):
            certify_by_bounds(model, x, tolerance=tolerance)
    with pytest.raises(UnknownName, match="crown"):
        certify_by_bounds(model, x, method="crow")
    with pytest.raises(UnknownName, match="l2"):
        certify_by_bounds(model, x, norm="2")
    model.weight[0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        certify_by_bounds(model, x)


def test_labels_radii_and_settings_that_do_not_fit_are_refused():
    model, x = linear(), torch.rand(2, 6)
    for y in (torch.tensor([0, 4]), torch.tensor([-1, 0]), torch.tensor([0.0, 1.0]), torch.tensor([0]), [0, 1]):
        with pytest.raises(InvalidInput, match="labels y"):
            certify_by_bounds(model, x, y)
    for radii in ([0.1, 0.1], [math.inf], "a", ["a"], 0.1):
        with pytest.raises(InvalidInput, match="radi"):
            certify_by_bounds(model, x, radii=radii)
    for budget in (0, -1, "a", math.nan):
        with pytest.raises(InvalidInput, match="budget"):
            certify_by_bounds(model, x, budget=budget)
    with pytest.raises(InvalidInput, match="one logit"):
        certify_by_bounds(nn.Linear(6, 1), x)
    with pytest.raises(InvalidInput, match="TorchScript"):
        certify_by_bounds(torch.jit.script(nn.Linear(6, 2)), x)
    with pytest.raises(InvalidInput, match="uint8"):
        certify_by_bounds(model, x.to(torch.uint8))
