"""Distances and activation flips against counting by hand, member by member."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.kernels.dynamics import activation_flips, distance_from_initialisation
from lemmata.training import GD, train


class Functional(nn.Module):
    """Every way of calling a rectifier, one of them in place, and an activation that has no sides."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(3, 3) for _ in range(4))

    def hidden(self, x):
        first = self.a(x)
        second = self.b(functional.relu(first))
        third = self.c(torch.tanh(functional.leaky_relu(second, 0.1)))
        return [first, second, third]

    def forward(self, x):
        y = self.b(functional.relu(self.a(x)))
        y = torch.tanh(functional.leaky_relu(y, 0.1))
        return self.d(self.c(y).relu_())


def seeded(make, seed):
    model = make()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g))
    return model


def samples(n=40, d=3, seed=9):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_counts_every_kind_of_rectifier_and_no_other():
    start, now, x = seeded(Functional, 0), seeded(Functional, 1), samples()
    found = activation_flips(now, start, x)
    by_hand = [(a > 0) != (b > 0) for a, b in zip(now.hidden(x), start.hidden(x), strict=True)]
    assert found.units == {"relu1": 3, "relu2": 3, "relu3": 3}
    for name, flips in zip(found.layers, by_hand, strict=True):
        assert found.layers[name].item() == pytest.approx(flips.double().mean().item())
        torch.testing.assert_close(found.samples[name], flips.double().mean(1))
    assert found.share.item() == pytest.approx(torch.stack(by_hand).double().mean().item())
    assert 0 < found.share < 1


def test_members_are_those_of_each_alone_and_chunks_do_not_matter():
    x = samples()
    start, now = [seeded(Functional, s) for s in range(3)], [seeded(Functional, s + 50) for s in range(3)]
    together = activation_flips(now, start, x, memory=1)  # one sample at a time
    for i in range(3):
        alone = activation_flips(now[i], start[i], x)
        assert together.share[i].item() == pytest.approx(alone.share.item(), rel=1e-12)
        assert together.samples["relu2"].shape == (3, 40)
        torch.testing.assert_close(together.samples["relu2"][i], alone.samples["relu2"])


def test_units_of_different_layers_are_weighted_by_their_number():
    start = nets.mlp(3, [2, 30], 1, seed=0)
    now = nets.mlp(3, [2, 30], 1, seed=1)
    found = activation_flips(now, start, samples())
    weighted = (2 * found.layers["relu1"] + 30 * found.layers["relu2"]) / 32
    assert found.share.item() == pytest.approx(weighted.item())


def test_convolutions_count_every_place():
    def make():
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))

    start, now, x = make(), make(), torch.randn(6, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    found = activation_flips(now, start, x)
    assert found.units == {"relu1": 36}
    with torch.no_grad():
        a, b = (nn.Sequential(*list(m.eval().children())[:2])(x) > 0 for m in (now, start))
    assert found.share.item() == pytest.approx((a != b).double().mean().item())


def test_states_of_a_training_result_are_read():
    x = samples()
    y = x[:, :1].sin()
    models = [nets.mlp(3, [8], 1, seed=s) for s in range(4)]
    result = train(models, x, y, loss="mse", optimiser=GD(lr=0.5), epochs=30)
    flips = activation_flips(result.states, models, x)
    moved = distance_from_initialisation(result.states, models)
    assert flips.share.shape == moved.total.shape == (4,)
    for i, model in enumerate(models):
        vector = torch.cat([p.flatten() for p in model.parameters()]).double()
        after = torch.cat([p.flatten() for p in result.model(i).parameters()]).double()
        assert moved.total[i].item() == pytest.approx((after - vector).norm().item(), rel=1e-6)
        assert moved.total_relative[i].item() == pytest.approx(((after - vector).norm() / vector.norm()).item())
        change = result.model(i).get_parameter("hidden1.weight") - model.get_parameter("hidden1.weight")
        assert moved.neuron["hidden1.weight"][i].item() == pytest.approx(change.norm(dim=1).max().item(), rel=1e-5)
        assert moved.neuron["hidden1.bias"][i].item() == pytest.approx(
            (result.model(i).get_parameter("hidden1.bias") - model.get_parameter("hidden1.bias")).abs().max().item()
        )
    stacked = {name: torch.stack([dict(m.named_parameters())[name] for m in models]) for name in result.states}
    again = activation_flips(result.states, stacked, x, model=models[0], members=True)
    torch.testing.assert_close(again.share, flips.share)


@given(scale=st.floats(0.1, 10), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_scaling_a_layer_flips_nothing_and_moves_by_its_norm(scale, seed):
    start, now = seeded(Functional, seed), seeded(Functional, seed)
    with torch.no_grad():
        now.d.weight.mul_(scale)
    assert activation_flips(now, start, samples(10)).share.item() == 0
    moved = distance_from_initialisation(now, start)
    assert moved.relative["d.weight"].item() == pytest.approx(abs(scale - 1), abs=1e-6)
    assert moved.absolute["a.weight"].item() == 0


def test_the_same_state_has_moved_nowhere_and_symmetry():
    a, b, x = seeded(Functional, 0), seeded(Functional, 1), samples()
    assert activation_flips(a, a, x).share.item() == 0
    assert activation_flips(a, b, x).share == activation_flips(b, a, x).share
    assert distance_from_initialisation(a, a).total.item() == 0


def test_what_started_at_zero_has_no_finite_ratio():
    start = {"w": torch.zeros(2), "v": torch.zeros(3)}
    moved = distance_from_initialisation({"w": torch.ones(2), "v": torch.zeros(3)}, start)
    assert moved.relative["w"].isinf()
    assert moved.relative["v"] == 0
    assert static.render(moved.plot(), None).startswith("<svg")


def test_nothing_of_the_model_changes():
    model = seeded(Functional, 0).train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    activation_flips(model, seeded(Functional, 1), samples())
    assert model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: activation_flips({"w": torch.ones(1)}, {"w": torch.ones(1)}, samples()), "give model="),
        (lambda: activation_flips(nn.Linear(3, 1), nn.Linear(3, 1), samples()), "no ReLU"),
        (lambda: activation_flips(Functional(), Functional(), samples() / 0), "NaN"),
        (lambda: activation_flips(Functional(), Functional(), samples(0)), "empty"),
        (lambda: distance_from_initialisation(nn.Linear(3, 1), nn.Linear(2, 1)), "shape"),
        (lambda: distance_from_initialisation([], nn.Linear(2, 1)), "at least one module"),
        (lambda: distance_from_initialisation({}, {"w": torch.ones(1)}), "mapping"),
        (lambda: distance_from_initialisation({"w": torch.ones(1) / 0}, {"w": torch.ones(1)}), "diverged"),
        (lambda: distance_from_initialisation([nn.Linear(2, 1), nn.Linear(3, 1)], nn.Linear(2, 1)), "differ"),
    ],
)
def test_refuses(call, word):
    with pytest.raises(InvalidInput, match=word):
        call()


def test_plots():
    a, b = [seeded(Functional, s) for s in range(3)], [seeded(Functional, s + 9) for s in range(3)]
    assert static.render(activation_flips(a, b, samples()).plot(), None).startswith("<svg")
    assert static.render(distance_from_initialisation(a, b).plot(), None).startswith("<svg")


def test_no_distance_is_drawn_below_zero():
    """Members whose distances differ a hundredfold, where Student's interval reaches below zero; two have none."""
    start = {"w": torch.ones(3, 2, 2)}
    moved = {"w": start["w"] + torch.tensor([1.0, 0.01, 0.01])[:, None, None]}
    for panel in distance_from_initialisation(moved, start, members=True).plot().panels:
        assert panel.series[0].low == pytest.approx([0.0])
    two = [{name: values[:2] for name, values in state.items()} for state in (moved, start)]
    for panel in distance_from_initialisation(*two, members=True).plot().panels:
        assert panel.series[0].low is None
        assert panel.series[0].seeds.shape == (2, 1)
