"""Signals against plain loops over samples with autograd, on models of all kinds."""

import math

import pytest
import torch
from tests.propagation.sample_loops import agrees, built, by_loop, draw
from torch import nn
from torch.nn import functional

from lemmata.conformance import InstrumentConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.nets import mlp
from lemmata.objective import Objective
from lemmata.propagation import Signals, signals
from lemmata.propagation.activation_calls import NAMES, STEEPEST


class Block(nn.Module):
    """A residual block with functional activations, in place, and a layer called twice."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        u = self.again(h)
        u += h
        h = functional.relu_(u)
        return self.last(h + functional.relu(self.again(h), inplace=True))


@pytest.mark.parametrize("chunk", [3, 256])
def test_a_perceptron_by_hand(chunk):
    model = built(mlp(5, [7, 6], 3, activation="tanh", seed=0))
    x, y = draw(10, 5), torch.arange(10) % 3
    found = signals(model, (x, y), chunk=chunk)
    names = ["hidden1", "hidden2", "output"]
    u, d, g = by_loop(model, names, x, y)
    assert (list(found.names), found.activations) == (names, ("tanh", "tanh", None))
    agrees(found.preactivation, u)
    agrees(found.activation, [u[0].tanh(), u[1].tanh(), u[2]])
    agrees(found.gradient, d)
    agrees(found.weight_gradient, g, percentile=False)
    flat = (1 - u[0].tanh().square() < 0.1).double()
    assert torch.equal(found.sample_saturated[:, 0], flat.mean(1))
    assert 0 < float(found.saturated[0]) < 1
    assert bool(found.saturated[2].isnan())


def test_a_convolutional_net_over_channels_and_positions():
    model = built(
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3, stride=2), nn.Softsign(), nn.Flatten(), nn.Linear(4, 3),
        )
    )  # fmt: skip
    model[1].running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(1))
    x, y = draw(6, 2, 8, 8), torch.arange(6) % 3
    found = signals(model, (x, y))
    u, d, g = by_loop(model, ["0", "4", "7"], x, y)
    assert found.activations == ("relu", "softsign", None)
    agrees(found.preactivation, u)
    agrees(found.gradient, d)
    agrees(found.weight_gradient, g, percentile=False)
    normed = functional.relu(model[1](model[0](x))).detach().flatten(1)
    agrees(found.activation, [normed, functional.softsign(u[1]), u[2]])
    assert torch.allclose(found.saturated[0], (normed == 0).double().mean())  # dead units, after the normalisation


def test_residual_functional_in_place_and_called_twice():
    model, x, y = built(Block()), draw(5, 6), torch.arange(5) % 3
    found = signals(model, (x, y))
    assert found.names == ("first", "again", "again (2)", "last")
    assert found.activations == ("tanh", "relu", "relu", None)
    assert found.uncalled == ("unused",)
    u1 = model.first(x)
    h1 = u1.tanh()
    u2 = model.again(h1)
    h2 = (h1 + u2).relu()
    u3 = model.again(h2)
    u4 = model.last(h2 + u3.relu())
    loss = functional.cross_entropy(u4, y, reduction="sum")
    agrees(found.preactivation, [each.detach() for each in (u1, u2, u3, u4)])
    agrees(found.activation, [each.detach() for each in (h1, h2, u3.relu(), u4)])
    agrees(found.gradient, torch.autograd.grad(loss, [u1, u2, u3, u4]))


def test_the_first_activation_after_a_layer_is_its_own():
    model, x, y = built(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.ReLU())), draw(4, 3), torch.arange(4) % 3
    found = signals(model, (x, y))
    assert found.activations == ("tanh",)
    agrees(found.activation, [model[:2](x).detach()])


def test_parametrised_layers_are_layers():
    """Weight normalisation keeps no weight in the layer itself; the gradient is by the weight that is applied."""
    plain = built(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)))
    x, y = draw(4, 3), torch.arange(4) % 3
    before = signals(plain, (x, y))
    nn.utils.parametrizations.weight_norm(plain[0])
    after = signals(plain, (x, y))
    assert (after.names, after.activations) == (before.names, before.activations)
    assert torch.allclose(after.weight_gradient.square, before.weight_gradient.square)


def test_batch_normalisation_says_which_statistics():
    model = built(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)))
    x, y = 3 * draw(12, 4) + 1, torch.arange(12) % 3
    before = model[1].running_mean.clone()
    with pytest.raises(InvalidInput, match="say mode="):
        signals(model.train(), (x, y))
    batch, running = signals(model, (x, y), mode="train"), signals(model, (x, y), mode="eval")
    a = functional.relu(model.train()[1](model[0](x))).detach()
    model[1].running_mean.copy_(before)
    agrees(batch.activation, [a])
    assert not torch.allclose(batch.activation.variance, running.activation.variance)
    u = model[0](x)
    normed = functional.batch_norm(u, None, None, model[1].weight, model[1].bias, training=True)
    loss = functional.cross_entropy(model[3](functional.relu(normed)), y, reduction="sum")
    d = torch.autograd.grad(loss, u)
    agrees(batch.gradient, d)


def test_batch_statistics_in_evaluation_are_refused():
    """Without running statistics there are no others: each loss is of all samples, and hangs on `chunk`."""
    normalised = nn.BatchNorm1d(5, track_running_stats=False)
    model = built(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), normalised, nn.ReLU(), nn.Linear(5, 3)))
    x, y = draw(12, 4), torch.arange(12) % 3
    for asked in (lambda: signals(model, (x, y)), lambda: signals(Objective(model, data=(x, y), mode="eval"))):
        with pytest.raises(InvalidInput, match=r"'2' has no running statistics.*say mode='train'"):
            asked()
    few, all_ = (signals(model, (x, y), mode="train", chunk=chunk) for chunk in (3, 12))
    assert torch.equal(few.gradient.square, all_.gradient.square)


def test_layers_can_be_chosen_and_activations_stay_theirs():
    """A layer left out still ends the search for the activation of the one before."""
    model = built(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)))
    x, y = draw(4, 3), torch.arange(4) % 2
    assert signals(model, (x, y), layers=["0"]).activations == (None,)
    assert signals(model, (x, y), layers=["1", "3"]).names == ("1", "3")
    assert signals(Objective(model, data=(x, y), parameters=["3"])).names == ("3",)
    with pytest.raises(UnknownName, match="layer"):
        signals(model, (x, y), layers=["hidden"])
    with pytest.raises(InvalidInput, match="list of names"):
        signals(model, (x, y), layers="1")


def spelled(function) -> str:
    """A name without an address, the same in every process that collects the tests."""
    return f"{type(function).__name__} {function.__qualname__}"


@pytest.mark.parametrize(
    "function", sorted({f for f in NAMES if not f.__name__.endswith("_")}, key=spelled), ids=spelled
)
def test_every_function_is_seen_with_its_slope(function):
    """Over a wide grid no slope is beyond the steepest, and it is reached within 2 %."""

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1, bias=False)

        def forward(self, x):
            u = self.layer(x)
            extra = {"threshold": (0.0, 0.0), "prelu": (torch.tensor([0.25], dtype=u.dtype),)}
            return function(u, *extra.get(NAMES[function], ())).sum(1, keepdim=True)

    model = One().double()
    nn.init.ones_(model.layer.weight)
    x = torch.linspace(-6, 6, 2001, dtype=torch.float64)[:, None] + 1e-4
    found = signals(model, (x, x), loss="mse")
    assert found.activations == (NAMES[function],)
    a = x.clone().requires_grad_()
    steep = torch.autograd.grad(model(a).sum(), a)[0].abs().max()
    assert float(steep) == pytest.approx(STEEPEST[NAMES[function]], rel=0.02)


def test_a_linear_chain_has_glorots_products():
    """Exactly: orthogonal weights times g multiply every variance by g^2 forwards, and by g^2 backwards."""
    model = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(4))).double()
    for place, layer in enumerate(model):
        nn.init.orthogonal_(layer.weight, gain=0.7, generator=torch.Generator().manual_seed(place))
    x = draw(9, 8)
    found = signals(model, (x, draw(9, 8, seed=1)), loss="mse")
    powers = 0.49 ** torch.arange(1, 5, dtype=torch.float64)
    assert torch.allclose(found.preactivation.square, x.square().mean() * powers)
    assert torch.allclose(found.gradient.square / found.gradient.square[-1], powers.flip(0) / 0.49)


def test_signals_are_drawn():
    found = signals(built(Block()), (draw(5, 6), torch.arange(5) % 3))
    figure = found.plot()
    assert [panel.title for panel in figure.panels] == ["signals", "gradients of the loss", "saturation"]
    linear = signals(nn.Linear(3, 2), (torch.ones(2, 3), torch.tensor([0, 1])))
    assert len(linear.plot().panels) == 2
    assert linear.names == ("model",)


class Sideways(nn.Module):
    """Samples along the second axis inside."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x.transpose(0, 1)).sum(0)


def test_what_cannot_be_measured_is_refused():
    x, y = torch.ones(4, 3), torch.tensor([0, 1, 0, 1])
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    with pytest.raises(InvalidInput, match="no weight layer"):
        signals(nn.Sequential(nn.BatchNorm1d(3), nn.Tanh()).eval(), (x, y))
    with pytest.raises(InvalidInput, match="complex"):
        signals(model, (x.to(torch.complex64), y))
    with pytest.raises(InvalidInput, match="empty"):
        signals(model, (x[:0], y[:0]))
    with pytest.raises(InvalidInput, match="NaN"):
        signals(model, (x * math.nan, y))
    with pytest.raises(InvalidInput, match="data are missing"):
        signals(model)
    with pytest.raises(InvalidInput, match="saturation"):
        signals(model, (x, y), saturation=1.5)
    with pytest.raises(InvalidInput, match="has its data"):
        signals(Objective(model, data=(x, y)), (x, y))
    with pytest.raises(InvalidInput, match="not along its first axis"):
        signals(Sideways(), (torch.ones(4, 3, 2), y))
    with pytest.raises(InvalidInput, match="not along its first axis"):  # by chance as long as there are samples
        signals(Sideways(), (torch.ones(4, 4, 2), y))
    with pytest.raises(InvalidInput, match=r"torch\.nn\.Module"):
        signals(torch.tanh, (x, y))  # type: ignore[arg-type]


class Awkward(nn.Module):
    """What a model's own code may do."""

    def __init__(self, does):
        super().__init__()
        self.below, self.above, self.does = nn.Linear(3, 3), nn.Linear(3, 2), does

    def forward(self, x):
        if self.does == "overwrite":
            x -= 1
        with torch.set_grad_enabled(self.does != "record nothing"):
            h = torch.sigmoid(self.below(x.view(4, 3) if self.does == "count" else x))
        if self.does == "double":
            h *= 2
        return self.above(h).detach() if self.does == "detach" else self.above(h)


@pytest.mark.parametrize(("does", "about"), [
    ("overwrite", "overwrites its samples"), ("record nothing", "'below' runs without a graph"),
    ("count", r"fails on samples \(1, 3\)"), ("double", "cannot be differentiated"), ("detach", "without detach"),
])  # fmt: skip
def test_what_the_models_own_code_makes_unmeasurable_is_said(does, about):
    with pytest.raises(InvalidInput, match=about):
        signals(Awkward(does), (torch.ones(4, 3), torch.tensor([0, 1, 0, 1])))


def test_inference_mode_is_refused():
    """Everything would be recorded as if there were no activation."""
    data = (torch.ones(4, 3), torch.tensor([0, 1, 0, 1]))
    with torch.inference_mode(), pytest.raises(InvalidInput, match="inference_mode"):
        signals(Awkward("nothing"), data)


def test_samples_made_in_inference_mode_are_samples():
    with torch.inference_mode():
        x = torch.ones(4, 3)
    assert signals(Awkward("nothing"), (x, torch.tensor([0, 1, 0, 1]))).activations == ("sigmoid", None)


class TestSignals(InstrumentConformance):
    """The promises of any instrument."""

    def instrument(self, subject) -> Signals:
        return signals(Objective.of(subject))

    def values(self, result):
        parts = [result.preactivation, result.activation, result.gradient, result.weight_gradient]
        moments = [part for each in parts for part in (each.mean, each.variance, each.sample_square.flatten())]
        return torch.cat([*moments, result.gradient.percentile, result.saturated.nan_to_num()])
