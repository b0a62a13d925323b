"""muP's rules against the paper's table, and what they promise: one network in two forms, one function at each width.

Oracles: the table written out; two parametrisations of one network, whose training must agree to rounding; and the
powers of the width that muP is made for.
"""

import copy
from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata import nets, training
from lemmata.errors import InvalidInput, UnknownName
from lemmata.nets import mup


def perceptron(width, *, seed=0, law="he", dtype=torch.float64):
    return nets.mlp(6, [width, 2 * width], 3, initialisation=law, seed=seed, dtype=dtype)


class Net(nn.Module):
    """One of each layer that is known: width w, of which the readout divides if `base` is given."""

    def __init__(self, w, base=None):
        super().__init__()
        self.embedding = nn.Embedding(11, w)
        self.convolution = nn.Conv1d(w, 2 * w, 3)
        self.depthwise = nn.Conv1d(2 * w, 2 * w, 3, groups=2 * w)
        self.norm = nn.LayerNorm(2 * w)
        self.scale = nn.Parameter(torch.ones(()))
        self.readout = nn.Linear(2 * w, 5) if base is None else mup.Readout(2 * w, 5, base_inputs=2 * base)


# (role, factor of the standard deviation, of SGD's step, of Adam's) at r times the base's width, by the table
TABLE = {
    "embedding.weight": lambda r: ("input", 1, r, 1),
    "convolution.weight": lambda r: ("hidden", 1, 1, 1 / r),
    "convolution.bias": lambda r: ("input", 1, r, 1),
    "depthwise.weight": lambda r: ("input", 1, r, 1),
    "depthwise.bias": lambda r: ("input", 1, r, 1),
    "norm.weight": lambda r: ("input", 1, r, 1),
    "norm.bias": lambda r: ("input", 1, r, 1),
    "scale": lambda r: ("fixed", 1, 1, 1),
    "readout.weight": lambda r: ("output", r**-0.5, 1 / r, 1 / r),
    "readout.bias": lambda r: ("fixed", 1, 1, 1),
}


@given(base=st.integers(1, 12), width=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_rules_are_the_papers_table(base: int, width: int):
    r = width / base
    found = mup.rules(Net(width), Net(base))
    assert found.keys() == TABLE.keys()
    for name, row in TABLE.items():
        rule, (role, *factors) = found[name], row(r)
        assert [rule.std, rule.sgd, rule.adam] == pytest.approx(factors, rel=1e-12)
        assert rule.role == (role if r != 1 else "fixed")


def test_a_readout_has_the_rules_of_the_other_table():
    rule = mup.rules(Net(12, base=3), Net(3, base=3))["readout.weight"]
    assert (rule.role, rule.std, rule.sgd, rule.adam) == ("output", 2.0, 4.0, 1.0)


def test_fans_that_grow_differently():
    """Width w and 2 w against 1 and 1: SGD of the layer between them has fan-out / fan-in."""
    wide, base = nets.mlp(6, [8, 32], 3, seed=0), nets.mlp(6, [4, 4], 3, seed=0)
    found = mup.rules(wide, base)
    assert (found["hidden2.weight"].sgd, found["hidden2.weight"].adam) == (4.0, 0.5)
    assert (found["output.weight"].sgd, found["output.weight"].std) == (0.125, 1 / sqrt(8))


@pytest.mark.parametrize("law", ["lecun", "he", "standard"])
def test_variances_at_start(law: str):
    """120,000 draws of each weight: relative deviation of a variance at most 0.0041, six of them, as for SP's laws."""
    n, base = 400, 100
    made = mup.initialise(nets.mlp(300, [n, 300], 300, seed=1), nets.mlp(300, [base, 75], 300, seed=0), law, seed=0)
    unit = {"lecun": 1, "he": 2, "standard": 1 / 3}[law]
    assert made.hidden1.weight.var().item() == pytest.approx(unit / 300, rel=0.025)
    assert made.hidden2.weight.var().item() == pytest.approx(unit / n, rel=0.025)
    assert made.output.weight.var().item() == pytest.approx(unit * 75 / 300**2, rel=0.035)  # 90,000 draws
    if law == "standard":  # biases have the base's interval at every width: 1 / sqrt(fan-in of the base)
        assert made.hidden2.bias.abs().max().item() == pytest.approx(base**-0.5, rel=0.05)
        assert made.output.bias.abs().max().item() == pytest.approx(75**-0.5, rel=0.05)
    else:
        assert made.hidden2.bias.abs().max() == 0


def test_at_the_base_width_nothing_changes():
    net = perceptron(8, law="standard")
    start = copy.deepcopy(net)
    mup.rescale(net, perceptron(8, seed=5))
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), start.parameters(), strict=True))
    assert set(mup.lr_scale(net, start).values()) == set(mup.lr_scale(net, start, "sgd").values()) == {1.0}


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_both_tables_train_one_network(optimiser):
    """A weight r times as large, divided by r: outputs agree through 20 steps, to rounding (1e-9 of order 1)."""
    torch.manual_seed(0)
    x, y = torch.randn(40, 6, dtype=torch.float64), torch.randint(3, (40,))
    plain = perceptron(16)
    divided = nn.Sequential(*copy.deepcopy(plain), nn.Identity())
    divided[-2] = mup.Readout(32, 3, base_inputs=8, dtype=torch.float64)
    base = nn.Sequential(*perceptron(4), nn.Identity())
    base[-2] = mup.Readout(8, 3, base_inputs=8, dtype=torch.float64)
    divided[-2].load_state_dict(plain.output.state_dict())
    outputs = []
    for net, narrow in ((plain, perceptron(4)), (divided, base)):
        mup.rescale(net, narrow)
        groups = mup.parameter_groups(net, narrow, lr=0.02, optimiser=optimiser)
        rule = torch.optim.Adam(groups, eps=1e-30) if optimiser == "adam" else torch.optim.SGD(groups, momentum=0.9)
        for _ in range(20):
            rule.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            rule.step()
        outputs.append(net(x).detach())
    assert outputs[0].abs().max() > 0.5
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-9)


def test_groups_of_torch_and_scales_of_training_take_the_same_steps():
    torch.manual_seed(0)
    x, y = torch.randn(30, 6, dtype=torch.float64), torch.randint(3, (30,))
    net, base = perceptron(16), perceptron(4)
    scale = mup.lr_scale(net, base, "adam")
    ours = training.train([net], x, y, optimiser=training.Adam(lr=0.01, lr_scale=scale), epochs=5).model(0)
    rule = torch.optim.Adam(mup.parameter_groups(net, base, lr=0.01))
    for _ in range(5):
        rule.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        rule.step()
    for p, q in zip(ours.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


def test_the_output_moves_by_as_much_at_every_width():
    """Mean change by one small step at 8 times the width: within 15 % in muP (20 seeds), over 8-fold in SP."""
    x, y = torch.ones(1, 6, dtype=torch.float64), torch.tensor([1])
    changes = {}
    for standard in (True, False):
        for width in (64, 512):
            moved = []
            for seed in range(20):
                net = nets.mlp(6, [width, width], 3, initialisation="he", seed=seed, dtype=torch.float64)
                base = net if standard else nets.mlp(6, [16, 16], 3, seed=0)
                before = mup.rescale(net, base)(x).detach()
                rule = torch.optim.Adam(mup.parameter_groups(net, base, lr=1e-7), eps=1e-30)
                nn.functional.cross_entropy(net(x), y).backward()
                rule.step()
                moved.append(float((net(x).detach() - before).norm()) / 1e-7)
            changes[standard, width] = np.mean(moved)
    assert changes[False, 512] / changes[False, 64] == pytest.approx(1, abs=0.15)
    assert changes[True, 512] / changes[True, 64] > 8  # the power is 3/2, approached from 1


def test_refusals():
    net, base = perceptron(8), perceptron(4)
    with pytest.raises(InvalidInput, match=r"differ in 'hidden2\.(bias|weight)'"):
        mup.rules(net, nets.mlp(6, [4], 3, seed=0))
    with pytest.raises(InvalidInput, match="MultiheadAttention"):
        mup.rules(nn.MultiheadAttention(8, 2), nn.MultiheadAttention(4, 2))
    with pytest.raises(InvalidInput, match="NTK"):
        mup.rules(nets.mlp(6, [8], 3, initialisation="ntk", seed=0), nets.mlp(6, [4], 3, initialisation="ntk", seed=0))
    with pytest.raises(InvalidInput, match="only widths"):
        mup.rules(nn.Conv1d(4, 4, 3), nn.Conv1d(2, 2, 5))
    with pytest.raises(InvalidInput, match="ConvTranspose1d"):
        mup.rules(nn.ConvTranspose1d(4, 8, 3), nn.ConvTranspose1d(2, 4, 3))
    with pytest.raises(InvalidInput, match="Readout divides by 2"):
        mup.rules(Net(12, base=6), Net(3, base=3))
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(InvalidInput, match="shared"):
        mup.rules(tied, tied)
    with pytest.raises(InvalidInput, match="1/fan-in"):
        mup.initialise(net, base, "xavier", seed=0)
    with pytest.raises(UnknownName, match="momentum"):
        mup.lr_scale(net, base, "momentum")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="lr = 0"):
        mup.parameter_groups(net, base, lr=0.0)
    with pytest.raises(InvalidInput, match="base_inputs"):
        mup.Readout(4, 2, base_inputs=-1)
