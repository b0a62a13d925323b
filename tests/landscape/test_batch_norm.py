"""Recomputed running statistics, against direct computations and torch's own."""

import copy

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.landscape.batch_norm import recomputed


def network(dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)
    ).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=draw) + (p.ndim == 1))
    return model.eval()


def samples(n=50, dtype=torch.float64):
    draw = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=draw, dtype=dtype), torch.randint(3, (n,), generator=draw)


def test_population_statistics_are_those_of_all_the_data_layer_after_layer():
    model, (x, y) = network(), samples()
    state = recomputed(model, None, (x, y), statistics="population", chunk=7)
    z = model[0](x)
    torch.testing.assert_close(state["1.running_mean"], z.mean(0))  # float64: rounding
    torch.testing.assert_close(state["1.running_var"], z.var(0))
    normal = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt() * model[1].weight + model[1].bias
    deeper = model[3](normal.relu())
    torch.testing.assert_close(state["4.running_mean"], deeper.mean(0))
    torch.testing.assert_close(state["4.running_var"], deeper.var(0))


def test_population_statistics_do_not_depend_on_how_the_data_are_cut():
    model, (x, y) = network(), samples()
    whole = recomputed(model, None, (x, y), statistics="population")
    pieces = recomputed(model, None, list(zip(x.split(9), y.split(9), strict=True)), statistics="population")
    for name, tensor in whole.items():
        torch.testing.assert_close(pieces[name], tensor)


def test_batch_statistics_are_those_of_torch_where_batches_are_of_one_size():
    model, (x, y) = network(), samples()
    other = copy.deepcopy(model)
    torch.optim.swa_utils.update_bn([(part,) for part in x.split(10)], other)
    state = recomputed(model, None, (x, y), chunk=10)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(state[name], tensor)


def test_a_smaller_batch_counts_by_its_size():
    model, (x, y) = network(), samples(12)
    state = recomputed(model, None, (x, y), chunk=8)
    z = model[0](x)
    torch.testing.assert_close(state["1.running_mean"], z.mean(0))
    torch.testing.assert_close(state["1.running_var"], (8 * z[:8].var(0) + 4 * z[8:].var(0)) / 12)


def test_convolutions_pool_over_positions():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)).double().eval()
    x = torch.randn(6, 1, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = recomputed(model, None, (x, x[:, 0, 0, 0]), statistics="population", chunk=4)
    z = model[0](x)
    torch.testing.assert_close(state["1.running_mean"], z.mean((0, 2, 3)))
    torch.testing.assert_close(state["1.running_var"], z.transpose(0, 1).flatten(1).var(1))


def test_a_residual_network_evaluated_with_them_has_normalised_layers():
    model = nets.resnet(8, channels=4, seed=0)
    x = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    state = recomputed(model, None, (x, torch.zeros(16)), statistics="population", chunk=5)
    model.load_state_dict(state)
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, i, out, name=name: seen.__setitem__(name, (m, out)))
    model.eval()(x)
    for norm, out in seen.values():
        centred = (out.transpose(0, 1).flatten(1) - norm.bias[:, None]) / norm.weight[:, None]
        assert centred.mean(1).abs().max() < 1e-3  # float32
        assert (centred.var(1) - 1).abs().max() < 2e-2  # eps of the layer beside small variances


def test_model_and_state_stay_as_they_are():
    model, data = network(), samples()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept = {name: tensor.clone() for name, tensor in state.items()}
    model.train()
    momentum = model[1].momentum
    moved = recomputed(model, state, data)
    assert model.training
    assert model[1].momentum == momentum
    assert all(state[name].equal(t) for name, t in kept.items())
    assert all(model.state_dict()[name].equal(t) for name, t in kept.items())
    assert not moved["1.running_mean"].equal(kept["1.running_mean"])


def test_without_such_layers_nothing_is_evaluated():
    class Silent(nn.Linear):
        def forward(self, x):
            raise AssertionError("evaluated")

    model = Silent(2, 1)
    state = recomputed(model, None, (torch.zeros(3, 2), torch.zeros(3)))
    assert state["weight"].equal(model.weight)


def test_dropout_stays_off():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)).train()
    x, y = samples(dtype=torch.float32)
    torch.testing.assert_close(recomputed(model, None, (x, y))["1.running_mean"], x.mean(0))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"0.weight": torch.zeros(2, 2)}, "shape"),
        ({"nothing": torch.zeros(2)}, "no tensor of this name"),
        ({"0.bias": torch.full((6,), torch.nan)}, "NaN"),
    ],
    ids=["shape", "name", "nan"],
)
def test_states_that_do_not_fit_are_refused(state, told):
    with pytest.raises(InvalidInput, match=told):
        recomputed(network(), state, samples())
