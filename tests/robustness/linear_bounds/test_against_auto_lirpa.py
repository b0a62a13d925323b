"""Bounds against those of auto_LiRPA 0.3, recorded (`tests/oracles/auto_lirpa_record.py`)."""

import json
from pathlib import Path

import pytest
import torch
from recorded_nets import NETS

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.linear_bounds import crown, interval_bounds, through_auto_lirpa

RECORDED = json.loads((Path(__file__).parents[2] / "oracles" / "auto_lirpa_0.3.json").read_text())
CASES = {case["net"]: case for case in RECORDED["cases"]}
# interval bounds and CROWN-IBP are the same formulas, so that rounding alone differs (theirs is not outward), but for
# the chord of a leaky rectifier, to whose run they add 1e-8
ROUNDING = {"IBP": 1e-11, "CROWN-IBP": 1e-9}


def load(name):
    case = CASES[name]
    model = NETS[name]().double().eval()
    own = model.state_dict()
    model.load_state_dict({key: torch.tensor(value, dtype=own[key].dtype) for key, value in case["weights"].items()})
    return model, exact(case["x"]), case["bounds"]


def exact(values):
    return torch.tensor(values, dtype=torch.float64)


def ours(model, x, bound):
    if bound["method"] == "IBP":
        return interval_bounds(model, x, bound["eps"], norm=bound["norm"], clip=None)
    way = "crown" if bound["method"] == "CROWN" else "interval"
    return crown(model, x, bound["eps"], norm=bound["norm"], intermediate=way, clip=None)


@pytest.mark.parametrize("name", ["relu perceptron", "convolutional", "residual"])
@pytest.mark.parametrize("method", ["IBP", "CROWN-IBP"])
def test_linf_bounds_are_the_same(name, method):
    model, x, bounds = load(name)
    compared = [bound for bound in bounds if bound["norm"] == "linf" and bound["method"] == method]
    assert len(compared) == 2
    for bound in compared:
        found = ours(model, x, bound)
        low, high = (exact(bound[end]) for end in ("low", "high"))
        torch.testing.assert_close(found.low, low, rtol=0, atol=ROUNDING[bound["method"]])
        torch.testing.assert_close(found.high, high, rtol=0, atol=ROUNDING[bound["method"]])


@pytest.mark.parametrize("name", ["tanh perceptron", "sigmoid perceptron", "max-pooled"])
def test_interval_bounds_of_other_activations_are_the_same(name):
    model, x, bounds = load(name)
    for bound in bounds:
        if bound["method"] == "IBP" and bound["norm"] == "linf":
            found = ours(model, x, bound)
            torch.testing.assert_close(found.low, exact(bound["low"]), rtol=0, atol=ROUNDING[bound["method"]])
            torch.testing.assert_close(found.high, exact(bound["high"]), rtol=0, atol=ROUNDING[bound["method"]])


@pytest.mark.parametrize("name", list(NETS))
def test_where_the_formulas_differ_ours_are_as_tight(name):
    # CROWN: the units' boxes are cut with the interval bounds here. l2 and l1: unit boxes cut with the ball's box.
    # tanh and sigmoid: other tangents. A cut box may choose another slope, so that a bound can be a little looser.
    model, x, bounds = load(name)
    for bound in bounds:
        found = ours(model, x, bound)
        theirs = exact(bound["high"]) - exact(bound["low"])
        assert float((found.width / theirs).mean()) <= 1.02, bound


def test_missing_library_is_said_with_the_remedy():
    model, x, _ = load("relu perceptron")
    try:
        import auto_LiRPA  # noqa: F401
    except Exception:
        with pytest.raises(InvalidInput, match="Verified-Intelligence/auto_LiRPA"):
            through_auto_lirpa(model, x, 0.1, clip=None)
    with pytest.raises(UnknownName, match="CROWN"):
        through_auto_lirpa(model, x, 0.1, method="CRWN")
