"""AutoAttack through its toolbox: strength, promises that the toolbox does not make, and the way without it."""

import random
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.attacks import ToolboxMissing, auto_attack, linear_worst_case, pgd
from lemmata.robustness.attacks.balls import distance

SHORT = {"steps": 10, "restarts": 1, "queries": 60}


def case(classes: int = 5) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    net = nets.convnet(4, image=(1, 12, 12), hidden=16, outputs=classes, gain=2.0, seed=0).eval()
    x = torch.rand(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return net, x, net(x).argmax(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_found_lies_in_the_ball_and_is_no_weaker_than_pgd(norm):
    net, x, y = case()
    eps = 0.04 if norm == "linf" else 0.5
    found = auto_attack(net, x, y, eps=eps, norm=norm, **SHORT)
    assert bool((distance(found.adversarial, x, norm) <= eps * (1 + 1e-6)).all())
    assert bool(((found.adversarial >= 0) & (found.adversarial <= 1)).all())
    with torch.no_grad():
        assert (net(found.adversarial).argmax(1) != y).equal(found.success)
    beside = pgd(net, x, y, eps=eps, norm=norm, steps=10)
    assert int(found.success.sum()) >= int(beside.success.sum()) - 1
    assert 0 < int(found.success.sum()) < 16


def test_it_reaches_the_exact_worst_case_of_a_linear_classifier():
    net = nn.Linear(12, 3, dtype=torch.float64).requires_grad_(False)
    x = torch.rand(30, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = net(x).argmax(1)
    exact = linear_worst_case(net.weight, net.bias, x, y, eps=0.1)
    found = auto_attack(net, x, y, eps=0.1, steps=20, restarts=2)
    assert found.adversarial.dtype == torch.float64
    assert int((found.success != exact.success).sum()) <= 1
    assert bool((found.success <= exact.success).all())


def test_generators_and_model_are_left_as_they_were_and_the_seed_decides():
    net, x, y = case()
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    wanted = random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    one, two = (auto_attack(net, x, y, eps=0.02, seed=7, parts=["apgd-ce", "square"], **SHORT) for _ in range(2))
    assert (random.random(), np.random.random(), torch.rand(1)) == wanted  # noqa: NPY002
    assert one.adversarial.equal(two.adversarial)
    assert all(p.grad is None for p in net.parameters())


def test_parts_that_do_not_apply_are_left_out_or_refused():
    net, x, y = case(2)
    assert auto_attack(net, x, y, eps=0.02, **SHORT).name == "AutoAttack (apgd-ce, square)"
    with pytest.raises(InvalidInput, match="three classes or more, not 2; leave 'apgd-dlr' out"):
        auto_attack(net, x, y, eps=0.02, parts=["apgd-dlr"], **SHORT)
    with pytest.raises(UnknownName, match="did you mean 'square'"):
        auto_attack(net, x, y, eps=0.02, parts=["squares"], **SHORT)
    for eps in ([0.1, 0.2], 0.0):
        with pytest.raises(InvalidInput, match="one positive radius"):
            auto_attack(net, x, y, eps=eps, **SHORT)
    for options, words in (
        ({"parts": []}, r"parts = \[\]; give a list"),
        ({"parts": "apgd-ce"}, "parts = 'apgd-ce'; give a list"),
        ({"steps": 0}, "steps = 0"),
        ({"restarts": 0}, "restarts = 0"),
        ({"queries": 0}, "queries = 0"),
        ({"batch": 1.5}, "batch = 1.5"),
    ):
        with pytest.raises(InvalidInput, match=words):
            auto_attack(net, x, y, eps=0.02, **(SHORT | options))


def test_it_runs_where_the_caller_turned_gradients_off():
    net, x, y = case()
    wanted = auto_attack(net, x, y, eps=0.1, parts=["apgd-ce"], **SHORT)
    with torch.inference_mode():
        found = auto_attack(net, x.clone(), y, eps=0.1, parts=["apgd-ce"], **SHORT)
    assert found.adversarial.equal(wanted.adversarial)
    assert found.subject == "model"


def test_without_the_toolbox_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name == "art" or name.startswith("art.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "art", None)  # as if it were not installed
    net, x, y = case()
    with pytest.raises(ToolboxMissing, match=r"pip install 'lemmata\[attacks\]'"):
        auto_attack(net, x, y, eps=0.1)
