"""Singular values of layers and of networks against dense Jacobians of torch.func."""

import math

import pytest
import torch
from torch import nn
from torch.func import jacrev
from torch.nn import functional

from lemmata.conformance import InstrumentConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.nets import mlp
from lemmata.objective import Objective
from lemmata.propagation import expected_spectrum, input_output_jacobian, layer_jacobians, signals


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def singular_values(function, x):
    """Of the Jacobian of a function of one sample, by reverse mode."""
    J = jacrev(lambda a: function(a[None])[0].flatten())(x)
    return torch.linalg.svdvals(J.reshape(len(J), -1))


def convolutional():
    torch_model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 3, stride=2),
        nn.Tanh(), nn.Flatten(), nn.Linear(18, 4),
    ).double().eval()  # fmt: skip
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in torch_model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return torch_model


@pytest.mark.parametrize("memory", [2**28, 2**12])
def test_layers_of_a_perceptron_are_slopes_times_weights(memory):
    """The product is not differentiated, and gives what dense differentiation does; one sample at a time or all."""
    model = mlp(6, [8, 5], 3, activation="tanh", seed=0, dtype=torch.float64)
    x = 2 * draw(4, 6)
    found = layer_jacobians(model, x, memory=memory)
    stages = [lambda a: torch.tanh(model.hidden1(a)), lambda a: torch.tanh(model.hidden2(a)), model.output]
    inputs = [x, stages[0](x), stages[1](stages[0](x))]
    for place, (stage, a) in enumerate(zip(stages, inputs, strict=True)):
        wanted = torch.stack([singular_values(stage, each) for each in a])
        assert torch.allclose(found.values[place], wanted, rtol=1e-10, atol=1e-13)
        assert torch.allclose(found.mean[place], wanted.mean(), rtol=1e-12)
        assert torch.allclose(found.mean_square[place], wanted.square().mean(), rtol=1e-12)
        assert torch.allclose(found.condition[:, place], wanted[:, 0] / wanted[:, -1], rtol=1e-8)
    assert found.shapes == ((8, 6), (5, 8), (3, 5))
    assert set(found.ways) == {"diag(phi') W"}


def test_layers_of_a_convolutional_net_are_differentiated():
    model, x = convolutional(), draw(3, 1, 8, 8)
    found = layer_jacobians(model, x)
    first = lambda a: functional.relu(model[1](model[0](a)))  # noqa: E731
    second = lambda a: model[4](model[3](a))  # noqa: E731
    a = first(x).detach()
    assert found.ways == ("automatic differentiation", "automatic differentiation", "diag(phi') W")
    assert torch.allclose(found.values[0], torch.stack([singular_values(first, each) for each in x]), atol=1e-11)
    assert torch.allclose(found.values[1], torch.stack([singular_values(second, each) for each in a]), atol=1e-11)
    assert torch.allclose(found.values[2], torch.linalg.svdvals(model[6].weight.detach()).expand(3, -1))


class Residual(nn.Module):
    """Two layers, the second around a shortcut, called twice; functional activations."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        h = functional.softplus(h + self.second(h))
        return self.second(h)


def test_paths_around_a_layer_are_not_counted():
    model, x = Residual().double(), draw(2, 4)
    found = layer_jacobians(model, x)
    assert found.names == ("first", "second", "second (2)")
    h = torch.tanh(model.first(x)).detach()
    wanted = torch.stack([singular_values(lambda a, h=h[i]: functional.softplus(h + model.second(a)), h[i])
                          for i in range(2)])  # fmt: skip
    assert torch.allclose(found.values[1], wanted, atol=1e-12)


def test_a_normalisation_before_the_activation_is_differentiated():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)).double().eval()
    model[1].running_var.copy_(torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0]))
    x = draw(3, 4)
    found = layer_jacobians(model, x)
    assert found.ways[0] == "automatic differentiation"
    assert torch.allclose(found.values[0], torch.stack([singular_values(model[:3], each) for each in x]), rtol=1e-9)


def test_positions_as_rows_belong_to_their_sample():
    """Each sample's five positions are rows of the layer; its Jacobian has the layer's as blocks."""
    model = nn.Sequential(nn.Flatten(0, 1), nn.Linear(3, 2), nn.Tanh(), nn.Unflatten(0, (-1, 5)), nn.Flatten()).double()
    x = draw(4, 5, 3)
    found = layer_jacobians(model, x)
    assert found.shapes == ((10, 15),)
    wanted = torch.stack([singular_values(lambda a: model[2](model[1](a)), each) for each in x])
    assert torch.allclose(found.values[0], wanted, rtol=1e-9, atol=1e-13)


class Words(nn.Module):
    """An embedding, attention, and a readout."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(5, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        h = self.words(x)
        return self.out(torch.relu(self.attention(h, h, h)[0]).mean(1))


def test_attention_is_one_layer_and_embeddings_are_skipped():
    model = Words().double().eval()
    x = torch.tensor([[0, 1, 2], [3, 4, 0]])
    found = layer_jacobians(model, x)
    assert (found.names, found.skipped) == (("attention", "out"), ("words",))
    h = model.words(x).detach()
    wanted = torch.stack([singular_values(lambda a: torch.relu(model.attention(a, a, a)[0]), each) for each in h])
    assert torch.allclose(found.values[0], wanted, atol=1e-11)


@pytest.mark.parametrize("memory", [2**28, 2**14])
def test_whole_networks_are_differentiated(memory):
    model, x = convolutional(), draw(3, 1, 8, 8)
    found = input_output_jacobian(model, x, memory=memory)
    wanted = torch.stack([singular_values(model, each) for each in x])
    assert found.shape == (4, 64)
    assert torch.allclose(found.values, wanted, rtol=1e-10)
    assert torch.allclose(found.mean_square, wanted.square().mean(1))
    assert torch.allclose(found.variance, wanted.square().var(1, unbiased=False), rtol=1e-9)
    inner = input_output_jacobian(model, x, layer="3")
    stages = [singular_values(lambda a: model[:5](a.clone()), each) for each in x]
    assert inner.shape == (18, 64)
    assert torch.allclose(inner.values, torch.stack(stages), rtol=1e-9, atol=1e-11)


def test_jacobians_of_layers_multiply_to_that_of_the_network():
    """The determinant: of a square chain, the product over layers of all singular values."""
    model = mlp(5, [5, 5], 5, activation="softplus", seed=1, dtype=torch.float64)
    x = draw(3, 5)
    layers, whole = layer_jacobians(model, x), input_output_jacobian(model, x)
    logs = torch.stack([values.log().sum(1) for values in layers.values]).sum(0)
    assert torch.allclose(whole.values.log().sum(1), logs, rtol=1e-9)


def test_orthogonal_chains_are_isometries():
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(20))).double()
    for place, layer in enumerate(model):
        nn.init.orthogonal_(layer.weight, generator=torch.Generator().manual_seed(place))
    found = input_output_jacobian(model, draw(2, 6))
    assert torch.allclose(found.values, torch.ones(2, 6, dtype=torch.float64), rtol=1e-12)
    assert float(found.condition.max()) == pytest.approx(1.0)


def test_jacobians_are_drawn():
    model = mlp(5, [5, 5], 5, activation="tanh", seed=1)
    x = draw(3, 5).float()
    assert len(layer_jacobians(model, x).plot().panels) == 2
    law = expected_spectrum(2, "hard-tanh", 1.2, q=0.5, weights="orthogonal")
    both = input_output_jacobian(model, x).plot(law).panels[0].series
    assert [each.label for each in both] == ["measured", "expected"]
    heights = law.plot().panels[0].series[0].y
    assert heights[-1] == 1.0
    assert heights[-2] == pytest.approx(1 - law.unharmed)


def test_what_has_no_jacobian_is_refused():
    model, x = mlp(3, [4], 2, seed=0), torch.ones(2, 3)
    for measure in (layer_jacobians, input_output_jacobian):
        with pytest.raises(InvalidInput, match="statistics of the batch"):
            measure(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), x, mode="train")
        with pytest.raises(InvalidInput, match="statistics of the batch"):
            measure(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)).eval(), x)
        with pytest.raises(InvalidInput, match="samples are missing"):
            measure(model)
        with pytest.raises(InvalidInput, match="at least one"):
            measure(model, x[:0])
        with pytest.raises(InvalidInput, match="complex"):
            measure(model, x.to(torch.complex64))
        with pytest.raises(InvalidInput, match="NaN"):
            measure(model, x * math.nan)
        with pytest.raises(InvalidInput, match="bytes of"):
            measure(convolutional(), draw(1, 1, 8, 8), memory=100)
        with pytest.raises(InvalidInput, match="memory"):
            measure(model, x, memory=0)
    with pytest.raises(InvalidInput, match=r"real numbers"):
        input_output_jacobian(Words(), torch.ones(1, 3, dtype=torch.long))
    with pytest.raises(UnknownName, match="layer"):
        input_output_jacobian(model, x, layer="hidden9")
    with pytest.raises(UnknownName, match="layer"):
        layer_jacobians(model, x, layers=["hidden9"])
    with pytest.raises(InvalidInput, match="not along its first axis"):
        layer_jacobians(Sideways(), torch.ones(3, 2, 2))  # the two samples after the first, by chance as many as rows


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_models_that_give_no_entries_are_refused():
    narrow, x = nn.Sequential(nn.Linear(3, 0), nn.Linear(0, 2)), torch.ones(2, 3)
    with pytest.raises(InvalidInput, match=r"layer '0' gives \(1, 0\), no entries at all"):
        layer_jacobians(narrow, x)
    with pytest.raises(InvalidInput, match="no entries at all"):
        signals(narrow, (x, torch.tensor([0, 1])))

    class Fewer(nn.Linear):
        def forward(self, input):
            return super().forward(input)[1:]

    with pytest.raises(InvalidInput, match=r"no entries at all|not along its first axis"):
        input_output_jacobian(Fewer(3, 2), x)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:torch.quantize:UserWarning")
def test_what_is_frozen_or_in_eight_bits_is_refused():
    x = torch.ones(2, 3)
    frozen = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Linear(3, 2)).eval()))
    for measure in (layer_jacobians, input_output_jacobian):
        with pytest.raises(InvalidInput, match=r"frozen by torch.jit and has no layers left"):
            measure(frozen, x)
        for coarse in (x.to(torch.float8_e4m3fn), torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)):
            with pytest.raises(InvalidInput, match="in which nothing is differentiated; give float32"):
                measure(nn.Linear(3, 2), coarse)
    with pytest.raises(InvalidInput, match=r"frozen by torch.jit and has no layers left"):
        signals(frozen, (x, torch.tensor([0, 1])))


class Extractor(nn.Module):
    """A part that records no graph, and samples that are overwritten."""

    def __init__(self, overwrites=False, records=True):
        super().__init__()
        self.below, self.above = nn.Linear(3, 3).double(), nn.Linear(3, 2).double()
        self.overwrites, self.records = overwrites, records

    def forward(self, x):
        if self.overwrites:
            x -= 1
        with torch.set_grad_enabled(self.records):
            h = torch.tanh(self.below(x))
        return self.above(h)


def test_layers_without_a_graph_are_not_taken_for_linear_ones():
    """Under no_grad no activation is seen: the Jacobian would be W, without phi'."""
    model, x = Extractor(records=False), draw(4, 3)
    with pytest.raises(InvalidInput, match="'below' runs without a graph"):
        layer_jacobians(model, x)
    assert layer_jacobians(model, x, layers=["above"]).names == ("above",)
    for measure in (layer_jacobians, input_output_jacobian):
        with torch.inference_mode(), pytest.raises(InvalidInput, match="inference_mode"):
            measure(Extractor(), x)


def test_samples_that_the_model_overwrites_stay_as_they_are():
    x = draw(4, 3)
    for measure in (layer_jacobians, input_output_jacobian):
        torch.manual_seed(0)
        model, kept = Extractor(overwrites=True), x.clone()
        found = measure(model, kept)
        assert torch.equal(kept, x)
        model.overwrites = False
        moved = measure(model, x - 1)
        pairs = zip(found.values, moved.values, strict=True)
        assert all(torch.allclose(one, other) for one, other in pairs)


def test_a_model_that_fails_is_named_with_its_samples():
    for measure in (layer_jacobians, input_output_jacobian):
        with pytest.raises(InvalidInput, match=r"the model fails on samples \(1, 5\)"):
            measure(mlp(3, [4], 2, seed=0), torch.ones(2, 5))
    with pytest.raises(InvalidInput, match="bytes of"):
        layer_jacobians(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), torch.ones(2, 3), memory=10)


class Sideways(nn.Module):
    """Samples along the second axis inside."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x.transpose(0, 1)).sum(0)


class TestLayerJacobians(InstrumentConformance):
    """The promises of any instrument."""

    def instrument(self, subject):
        return layer_jacobians(Objective.of(subject))

    def values(self, result):
        return torch.cat([each.flatten() for each in result.values])


class TestInputOutputJacobian(InstrumentConformance):
    """The promises of any instrument, but that of a subset of the parameters, on which it does not depend."""

    def instrument(self, subject):
        return input_output_jacobian(Objective.of(subject))

    def values(self, result):
        return result.values.flatten()

    test_works_on_some_of_the_parameters = None  # type: ignore[assignment]
