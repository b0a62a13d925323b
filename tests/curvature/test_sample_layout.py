"""Which rows belong to which sample, and the refusal where samples mix."""

import pytest
import torch
from torch import nn

from lemmata.curvature import NotExact
from lemmata.curvature.sample_layout import Layout
from lemmata.objective import Objective

X, Y = torch.randn(9, 6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3


def layout_of(model, x=X, **options):
    objective = Objective(model, data=(x, Y), **options)
    theta = {name: p.requires_grad_() for name, p in objective.parameters.items()}
    layout = Layout(objective, theta, entries=False)
    uses, rest = layout.read(objective.outputs(theta, x), theta)
    return {name: [use.samples_first for use in each] for name, each in uses.items()}, rest


@pytest.mark.parametrize(("name", "samples_first"), [("sequences", True), ("sequences, positions first", False)])
def test_the_order_of_rows_is_found(problem, name, samples_first):
    p = problem(name)
    objective = Objective(p.model, data=(p.x, p.y))
    theta = {name: q.requires_grad_() for name, q in objective.parameters.items()}
    uses, rest = Layout(objective, theta, entries=False).read(objective.outputs(theta, p.x), theta)
    assert rest == []
    reached = [use for name, each in uses.items() if name != "plain" for use in each]
    assert [use.samples_first for use in reached] == [samples_first] * 4


class Mixing(nn.Module):
    """Subtracts the mean over the batch, before or after its first layer."""

    def __init__(self, where):
        super().__init__()
        self.where, self.first, self.second = where, nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = self.first(x - x.mean(0) if self.where == "before" else x)
        return self.second(torch.relu(h - h.mean(0) if self.where == "after" else h)).mean(1)


@pytest.mark.parametrize("where", ["before", "after"])
def test_mixing_is_refused(where):
    """Before the first layer, too: the data would be taken in chunks, and the means would be others."""
    with pytest.raises(NotExact, match="depend on the other samples"):
        layout_of(Mixing(where))
    assert layout_of(Mixing("nowhere"))[1] == []


def test_whole_batches_may_mix_before_the_parameters():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(24, affine=False), nn.Linear(24, 3))
    orders, rest = layout_of(model, mode="train")
    assert orders == {"2.weight": [True], "2.bias": [True]}
    assert rest == []


def test_one_sample_is_its_own_order():
    objective = Objective(nn.Linear(4, 3), data=(X[:1, 0], Y[:1]))
    theta = {name: p.requires_grad_() for name, p in objective.parameters.items()}
    assert len(Layout(objective, theta, entries=False).order) == 2
