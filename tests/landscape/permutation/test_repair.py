"""REPAIR: the statistics of every corrected layer are the interpolated ones, measured by other means.

Oracles: closed forms for one layer, plain means and deviations of activations that are written out here, and what
correlated Gaussian features lose when they are averaged. Tolerances: rounding in float64, 1e-9, unless said otherwise.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape.batch_norm import recomputed
from lemmata.landscape.permutation.moments import moments
from lemmata.landscape.permutation.repair import repair, repair_merged


def _same(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _data(*shape: int, seed: int = 9):
    x = torch.randn(*shape, generator=_draw(seed), dtype=torch.float64)
    return x, torch.zeros(len(x), dtype=torch.long)


def _scrambled(model: nn.Module, seed: int) -> nn.Module:
    """A copy in evaluation mode with other numbers everywhere, running statistics and scales included."""
    copied, draw = copy.deepcopy(model).double().eval(), _draw(seed)
    for name, tensor in copied.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
            tensor.copy_(0.5 + drawn.abs() if "running_var" in name else 0.6 * drawn)
    return copied


class Residual(nn.Module):
    """Convolutions with and without bias, batch normalisation, a shortcut, a transposed and a grouped convolution."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2, bias=False)
        self.plain = nn.BatchNorm2d(6, affine=False)
        self.unused = nn.Linear(3, 3)
        self.hidden = nn.Linear(6, 5, bias=False)
        self.output = nn.Linear(5, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.branch(x))
        x = torch.relu(self.plain(torch.relu(self.up(x)))).mean((2, 3))
        return self.output(torch.relu(self.hidden(x))).log_softmax(1)


def _by_hand(model: nn.Module, name: str, x: torch.Tensor) -> torch.Tensor:
    """Mean and deviation of a layer's channels, all samples at once: (2, C)."""
    kept = []
    handle = model.get_submodule(name).register_forward_hook(lambda *call: kept.append(call[-1].clone()))
    with torch.no_grad():
        model(x)
    handle.remove()
    values = kept[0] if kept[0].ndim == 2 else kept[0].transpose(0, 1).flatten(1).T
    return torch.stack([values.mean(0), values.std(0, correction=0)])


@pytest.mark.parametrize("chunk", [64, 7])
@pytest.mark.parametrize("t", [0.0, 0.3, 0.5])
def test_every_layer_has_the_interpolated_statistics(chunk: int, t: float):
    model = Residual()
    a, b = _scrambled(model, 1), _scrambled(model, 2)
    x, y = _data(20, 1, 6, 6)
    found = repair(model.double(), None, a, b, (x, y), t=t, chunk=chunk)
    assert found.layers == ["norm", "branch", "up", "plain", "hidden"]
    assert set(found.skipped) == {"stem", "output"}
    assert found.passes == (5 if chunk == 64 else 4 + len(found.layers))
    for name in found.layers:
        wanted = (1 - t) * _by_hand(a, name, x) + t * _by_hand(b, name, x)
        _same(_by_hand(found.model, name, x), wanted)
        _same(torch.stack([*found.after[name]]), wanted)
        _same(torch.stack([*found.target[name]]), wanted)


def test_the_statistics_before_are_those_of_the_interpolated_weights():
    model = nets.mlp(3, [6, 5], 2, seed=0, dtype=torch.float64)
    a, b = _scrambled(model, 1), _scrambled(model, 2)
    data = _data(30, 3)
    middle = copy.deepcopy(model)
    middle.load_state_dict({n: 0.75 * p + 0.25 * b.state_dict()[n] for n, p in a.state_dict().items()})
    found = repair(model, None, a, b, data, t=0.25)
    for name in ("hidden1", "hidden2"):
        _same(torch.stack([*found.before[name]]), _by_hand(middle, name, data[0]))
    given = repair(model, middle, a, b, data, t=0.25)
    _same(given.model(data[0]), found.model(data[0]))


def test_averaged_orthogonal_features_lose_half_of_their_variance():
    """Two linear features with orthogonal weights on white inputs: the variance of the mean is (1 + 1) / 4; exact here.

    The inputs are all corners of a cube, whose second moments are exactly the identity.
    """
    x = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2)
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    a, b = (
        {"0.weight": torch.tensor([row], dtype=torch.float64), "0.bias": torch.zeros(1)}
        for row in ([1.0, 0.0], [0.0, 1.0])
    )
    found = repair(model, None, a, b, (x, x))
    assert found.before["0"].deviation.item() ** 2 == pytest.approx(0.5, rel=1e-12)
    assert found.after["0"].deviation.item() == pytest.approx(1.0, rel=1e-12)
    (panel,) = found.plot().panels
    assert panel.series[0].y[0] == pytest.approx(0.5, rel=1e-12)
    assert panel.series[1].y[0] == pytest.approx(1.0, rel=1e-12)


def test_at_the_ends_nothing_changes():
    model = Residual().double()
    a, b = _scrambled(model, 3), _scrambled(model, 4)
    x, y = _data(20, 1, 6, 6)
    for t, end in ((0.0, a), (1.0, b)):
        _same(repair(model, None, a, b, (x, y), t=t).model(x), end(x))


def test_it_is_the_reset_of_batch_normalisation_where_the_running_statistics_are_the_datas():
    """Up to the stabilising constant, 1e-5 of variances near 1, and the unbiased variance, 1/400: 5e-3 relative."""
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)).double()
    data = _data(400, 4)
    ends = []
    for seed in (5, 6):
        end = _scrambled(model, seed)
        end.load_state_dict({n: p.abs() if n == "1.weight" else p for n, p in end.state_dict().items()})
        end.load_state_dict(recomputed(model, end, data, statistics="population"))
        ends.append(end)
    found = repair(model, None, *ends, data)
    assert found.layers == ["1"]
    mean = {n: (p + ends[1].state_dict()[n]) / 2 for n, p in ends[0].state_dict().items() if p.is_floating_point()}
    reset = copy.deepcopy(model).eval()
    reset.load_state_dict(recomputed(model, mean, data, statistics="population"))
    _same(found.model(data[0]), reset(data[0]), 5e-3)


def test_many_ends_with_weights():
    model = nets.mlp(3, [6, 5], 2, seed=0, dtype=torch.float64)
    ends = [_scrambled(model, seed) for seed in (1, 2, 3)]
    x, y = _data(30, 3)
    found = repair_merged(model, None, ends, (x, y), weights=[0.5, 0.3, 0.2])
    for name in ("hidden1", "hidden2"):
        wanted = sum(w * _by_hand(end, name, x) for w, end in zip((0.5, 0.3, 0.2), ends, strict=True))
        _same(_by_hand(found.model, name, x), wanted)


def test_a_constant_channel_gets_its_mean_alone():
    """A unit whose weights cancel in the mean has nothing to scale."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    a = _scrambled(model, 1)
    b = copy.deepcopy(a)
    with torch.no_grad():
        b[0].weight[0] *= -1
    x, y = _data(10, 2)
    found = repair(model, None, a, b, (x, y))
    assert found.constant == 1
    wanted = (_by_hand(a, "0", x) + _by_hand(b, "0", x)) / 2
    assert found.after["0"].deviation[0] == 0
    _same(found.after["0"].mean, wanted[0])
    _same(found.after["0"].deviation[1], wanted[1, 1])


def test_rounding_in_float32_is_no_deviation_to_scale():
    """Weights that cancel to rounding, a bias that does not: 1e-8 of the deviation is left, and not scaled up."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    a = _scrambled(model, 1).float()
    merged = copy.deepcopy(a)
    with torch.no_grad():
        merged[0].weight[0] *= 3e-8
    x, y = _data(10, 2)
    found = repair(model, merged, a, a, (x.float(), y))
    assert found.constant == 1
    assert found.after["0"].deviation[0] < 1e-6
    _same(found.after["0"].mean, found.target["0"].mean, 1e-6)


def test_layers_that_run_twice_are_left_alone_and_named():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.output = nn.Linear(3, 3), nn.Linear(3, 2)
            self.first = nn.Linear(3, 3)

        def forward(self, x):
            return self.output(torch.relu(self.inner(torch.relu(self.inner(torch.relu(self.first(x)))))))

    model = Twice().double()
    found = repair(model, None, _scrambled(model, 1), _scrambled(model, 2), _data(10, 3))
    assert found.layers == ["first"]
    assert "runs 2 times" in found.skipped["inner"]
    with pytest.raises(InvalidInput, match="runs 2 times"):
        repair(model, None, model, model, _data(10, 3), layers=["inner"])


def test_nothing_given_is_changed_and_float32_stays_float32():
    model = Residual().train()
    a, b = (_scrambled(model, seed).float() for seed in (1, 2))
    before = [{n: t.clone() for n, t in m.state_dict().items()} for m in (model, a, b)]
    x = _data(20, 1, 6, 6)[0].float()
    found = repair(model, None, a, b, (x, torch.zeros(20)))
    assert model.training
    assert found.model.training is False
    assert found.model.get_parameter("hidden.bias").dtype == torch.float32
    assert model.hidden.bias is None
    for m, old in zip((model, a, b), before, strict=True):
        assert all(torch.equal(t, old[n]) for n, t in m.state_dict().items())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in m.modules())
    for name in found.layers:  # single precision
        _same(found.after[name].deviation, found.target[name].deviation, 1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 29))
def test_moments_do_not_depend_on_how_the_data_are_cut(seed: int, cut: int):
    model = nets.mlp(3, [4], 2, seed=seed, dtype=torch.float64)
    x, y = _data(30, 3, seed=seed)
    x = 1e3 + x  # a mean that is large against the deviation, where sums of squares lose digits
    (whole,) = moments(model, ["hidden1"], [(x, y)]).values()
    (parts,) = moments(model, ["hidden1"], [(x[:cut], y[:cut]), (x[cut:], y[cut:])]).values()
    _same(parts.deviation, whole.deviation, 1e-8)
    _same(whole.deviation, _by_hand(model, "hidden1", x)[1], 1e-8)


def test_refusals():
    model, data = nets.mlp(3, [4], 2, seed=0), (torch.zeros(5, 3), torch.zeros(5))
    with pytest.raises(InvalidInput, match=r"t = 1\.5"):
        repair(model, None, model, model, data, t=1.5)
    with pytest.raises(InvalidInput, match="no tensor of this name"):
        repair(model, None, model, {"nothing": torch.zeros(1)}, data)
    with pytest.raises(UnknownName, match="hidden1"):
        repair(model, None, model, model, data, layers=["hidden"])
    with pytest.raises(InvalidInput, match="sum to 1"):
        repair_merged(model, None, [model, model], data, weights=[0.5, 0.6])
    with pytest.raises(InvalidInput, match="no ends"):
        repair_merged(model, None, [], data)
    with pytest.raises(InvalidInput, match="no linear"):
        repair(nn.Flatten(), None, {}, {}, data)
