"""Layers with other arguments and outputs than one tensor: their gradients against plain loops over samples."""

import pytest
import torch
from tests.propagation.sample_loops import agrees, built, by_loop, draw
from torch import nn
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.propagation import layer_jacobians, signals


class Reader(nn.Module):
    """Embedding, attention in a transformer layer, and a readout."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.words = nn.Embedding(9, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=batch_first, activation="gelu")
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.layer(self.words(x)).mean(1))


def test_attention_and_whole_numbers():
    model = built(Reader())
    x, y = torch.arange(20).reshape(5, 4) % 9, torch.arange(5) % 3
    found = signals(model, (x, y))
    names = ["words", "layer.linear1", "layer.linear2", "out"]
    u, d, g = by_loop(model, names, x, y)
    assert found.names == ("words", "layer.self_attn", "layer.linear1", "layer.linear2", "out")
    assert found.activations == (None, None, "gelu", None, None)
    assert found.uncalled == ("layer.self_attn.out_proj",)
    chosen = signals(model, (x, y), layers=names)
    agrees(chosen.preactivation, u)
    agrees(chosen.gradient, d)
    agrees(chosen.weight_gradient, g, percentile=False)
    assert bool(found.weight_gradient.sample_square.isfinite().all())


class Recurrent(nn.Module):
    """A recurrent layer, which gives a tuple, and a layer that sees all positions as rows."""

    def __init__(self):
        super().__init__()
        self.cell, self.each, self.out = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 3), nn.Linear(3, 3)

    def forward(self, x):
        h = self.cell(x)[0]
        rows = torch.sin(self.each(h.flatten(0, 1)))
        return self.out(rows.unflatten(0, h.shape[:2]).mean(1))


def test_recurrent_layers_and_positions_as_rows():
    model, x, y = built(Recurrent()), draw(4, 5, 3), torch.arange(4) % 3
    found = signals(model, (x, y))
    u, d, g = by_loop(model, ["each", "out"], x, y)
    chosen = signals(model, (x, y), layers=["each", "out"])
    assert chosen.activations == ("sin", None)
    agrees(chosen.preactivation, u)
    agrees(chosen.gradient, d)
    agrees(chosen.weight_gradient, g, percentile=False)
    whole = [torch.autograd.grad(functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]),
                                 [model.cell.weight_ih_l0, model.cell.weight_hh_l0]) for i in range(4)]  # fmt: skip
    cell = torch.stack([torch.cat([part.flatten() for part in one]) for one in whole])
    assert torch.allclose(found.weight_gradient.sample_square[:, 0], cell.square().mean(1), rtol=1e-9)


class Last(nn.Module):
    """A recurrent layer, of which the last states are read, the outputs, or both."""

    def __init__(self, reads):
        super().__init__()
        self.cell, self.out, self.reads = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3), reads

    def forward(self, x):
        outputs, (h, _) = self.cell(x)
        parts = {"outputs": outputs[:, -1], "states": h[-1], "both": outputs.mean(1) + h[-1]}
        return self.out(parts[self.reads])


@pytest.mark.parametrize("reads", ["states", "both"])
def test_other_tensors_of_a_tuple_are_refused_where_the_loss_depends_on_them(reads):
    """The gradient by the first one is 0, or a part; the weights' is not."""
    x, y = draw(4, 5, 3), torch.arange(4) % 3
    model = built(Last(reads))
    with pytest.raises(InvalidInput, match=r"layer 'cell' gives several tensors.*leave the layer out by layers="):
        signals(model, (x, y))
    _, d, g = by_loop(model, ["out"], x, y)
    chosen = signals(model, (x, y), layers=["out"])
    agrees(chosen.gradient, d)
    agrees(chosen.weight_gradient, g, percentile=False)


def test_outputs_alone_of_a_tuple_have_the_layers_gradients():
    """The same last state, read off the outputs: the weights' gradients by a loop over samples."""
    x, y = draw(4, 5, 3), torch.arange(4) % 3
    model = built(Last("outputs"))
    assert torch.equal(model(x), built(Last("states"))(x))
    found = signals(model, (x, y))
    whole = [torch.autograd.grad(functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]),
                                 [model.cell.weight_ih_l0, model.cell.weight_hh_l0]) for i in range(4)]  # fmt: skip
    cell = torch.stack([torch.cat([part.flatten() for part in one]) for one in whole])
    assert torch.allclose(found.weight_gradient.sample_square[:, 0], cell.square().mean(1), rtol=1e-9)


class Started(nn.Module):
    """A recurrent cell, or layers, that are given the states they begin with; the other states go nowhere."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.out = cell, nn.Linear(4, 3)

    def forward(self, x):
        if isinstance(self.cell, nn.LSTMCell):
            return self.out(self.cell(x[:, 0], (x[:, 1], x[:, 2]))[0])
        states = torch.zeros(self.cell.num_layers, len(x), 4, dtype=x.dtype)
        return self.out(self.cell(x, (states, states))[0][:, -1])


def test_states_that_are_given_belong_to_their_samples():
    """A cell's output is computed from the state that it gives beside: this is no use of that by the model."""
    x, y = draw(3, 3, 4), torch.arange(3) % 3
    model = built(Started(nn.LSTMCell(4, 4)))
    found = signals(model, (x, y))
    whole = [torch.autograd.grad(functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]),
                                 [model.cell.weight_ih, model.cell.weight_hh]) for i in range(3)]  # fmt: skip
    cell = torch.stack([torch.cat([part.flatten() for part in one]) for one in whole])
    assert torch.allclose(found.weight_gradient.sample_square[:, 0], cell.square().mean(1), rtol=1e-9)


@pytest.mark.parametrize("layers", [1, 3])
def test_states_by_layer_leave_weight_gradients_unknown(layers):
    """They lie along the second axis, be there as many layers as samples or not: NaN, and the rest as ever."""
    model, x, y = built(Started(nn.LSTM(4, 4, layers, batch_first=True))), draw(3, 5, 4), torch.arange(3) % 3
    found = signals(model, (x, y))
    assert found.weight_gradient.square.isnan().tolist() == [True, False]
    assert bool((found.gradient.square > 0).all())


class Timed(nn.Module):
    """A layer that is told a time, a number without an axis, before the states."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3))

    def forward(self, t, y, *, scale):
        return scale * torch.sin(t) * (y @ self.weight.T)


@pytest.mark.parametrize("time", [torch.tensor(0.7, dtype=torch.float64), torch.tensor(1)], ids=["real", "whole"])
def test_numbers_without_an_axis_are_the_same_for_all_samples(time):
    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.rule = Timed()

        def forward(self, x):
            return torch.tanh(self.rule(time, x, scale=torch.tensor(2.0, dtype=torch.float64)))

    model, x, y = built(Field()), draw(4, 3), torch.arange(4) % 3
    found = signals(model, (x, y))
    u, d, g = by_loop(model, ["rule"], x, y)
    assert found.activations == ("tanh",)
    agrees(found.preactivation, u)
    agrees(found.gradient, d)
    agrees(found.weight_gradient, g, percentile=False)
    jacobians = layer_jacobians(model, x)
    slopes = 1 - model(x).detach().square()
    wanted = slopes[:, :, None] * 2 * torch.sin(time) * model.rule.weight.detach()
    assert torch.allclose(jacobians.values[0], torch.linalg.svdvals(wanted), rtol=1e-12)
