"""The empirical tangent kernel against dense Jacobians, closed forms, and neural-tangents' recorded values.

Tolerances: 1e-12 of the largest entry in float64, where sums of at most 1e4 terms round to about 1e-14; 1e-4 in
float32.
"""

import copy
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels import empirical_ntk
from lemmata.kernels.empirical.layers import APPLIED, GRADIENTS, JACOBIAN, POSITIONS, PRODUCT, UNUSED

ORACLE = Path(__file__).parents[2] / "oracles" / "neural_tangents_0.6.5_empirical.json"
ROUNDING = 1e-12


def close(found: Tensor, wanted: Tensor, tolerance: float = ROUNDING) -> None:
    assert found.shape == wanted.shape
    off, size = float((found - wanted).abs().max()), float(wanted.abs().max())
    assert off <= tolerance * size, f"off by {off:.3g}, where the largest entry is {size:.3g}"


def reduced(full: Tensor, outputs: str) -> Tensor:
    """The conventions: the mean over outputs of the kernel of each; the kernel of sum_c f_c / sqrt(C)."""
    C = full.shape[-1]
    return {"full": full, "trace": full.diagonal(dim1=2, dim2=3).sum(-1) / C, "sum": full.sum((2, 3)) / C}[outputs]


# ---- the truth -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", ["full", "trace", "sum"])
def test_equals_the_dense_jacobians_product(network, truth, outputs):
    model, x = network
    wanted = reduced(truth(model, x), outputs)
    close(empirical_ntk(model, x, outputs=outputs).values, wanted)
    close(empirical_ntk(model, x[:4], x[2:], outputs=outputs).values, wanted[:4, 2:])


def test_every_way_is_taken_by_some_network(named):
    taken = set()
    for name in ("wide convolutions", "sequence", "shared", "idle", "norms"):
        for outputs in ("full", "trace", "sum"):
            model, x = named(name)
            taken |= {way.name for way in empirical_ntk(model, x, outputs=outputs).ways.values()}
    assert taken == {PRODUCT, POSITIONS, APPLIED, GRADIENTS, JACOBIAN, UNUSED}


def test_says_which_way_each_layer_went(named):
    model, x = named("norms")
    kernel = empirical_ntk(model, x)
    assert kernel.ways["8"].name == PRODUCT
    assert kernel.ways["8"].parameters == ("8.weight", "8.bias")
    assert kernel.ways["4"].name == JACOBIAN  # PReLU
    assert kernel.ways["0"].name == GRADIENTS
    assert 0 < sum(way.flops for way in kernel.ways.values()) < kernel.flops


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_equals_neural_tangents(name):
    case = json.loads(ORACLE.read_text())[name]
    pools = [nn.AvgPool2d(2)], [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers = {
        "mlp": [nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)],
        "cnn": [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), *pools[0], nn.Conv2d(4, 5, 3, stride=2, padding=1), nn.Tanh(),
                *pools[1], nn.Linear(5, 3)],
    }  # fmt: skip
    model = nn.Sequential(*layers[name]).double()
    for p, values in zip(model.parameters(), case["weights"], strict=True):
        p.data = torch.tensor(values, dtype=torch.float64)
    x, z = (torch.tensor(case[key], dtype=torch.float64) for key in ("x", "z"))
    close(empirical_ntk(model, x).values, torch.tensor(case["ntk_xx"], dtype=torch.float64))
    close(empirical_ntk(model, x, z).values, torch.tensor(case["ntk_xz"], dtype=torch.float64))


def test_of_a_linear_model_is_the_gram_matrix_plus_one():
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = empirical_ntk(nn.Linear(4, 3).double(), x).values
    close(found, torch.einsum("nm,cd->nmcd", x @ x.T + 1, torch.eye(3, dtype=torch.float64)))


def test_of_two_layers_in_closed_form():
    """Of f = a^T relu(W x) / sqrt(m): (1/m) sum_r [relu relu + a_r^2 (x . z) 1 1], Du et al. (2019)."""

    class TwoLayers(nn.Module):
        def __init__(self, m: int):
            super().__init__()
            generator = torch.Generator().manual_seed(2)
            self.W = nn.Parameter(torch.randn(m, 5, generator=generator, dtype=torch.float64))
            self.a = nn.Parameter(torch.randn(m, 1, generator=generator, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x @ self.W.T) @ self.a * len(self.a) ** -0.5

    model, m = TwoLayers(50), 50
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    W, a = model.W.detach(), model.a.detach()[:, 0]
    h, on = torch.relu(x @ W.T), ((x @ W.T) > 0).double()
    close(empirical_ntk(model, x).values[:, :, 0, 0], (h @ h.T + (x @ x.T) * ((on * a**2) @ on.T)) / m)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_convolutional_networks(truth, data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    torch.manual_seed(0)
    channels, layers, size = 2, [], 9
    for _ in range(draw(1, 3)):
        groups = draw(1, 2)
        width, kernel, stride, padding, dilation = 2 * draw(1, 12), draw(1, 3), draw(1, 2), draw(0, 2), draw(1, 2)
        size = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        if size < 1:
            break
        layers += [
            nn.Conv1d(channels, width, kernel, stride, padding, dilation, groups, bias=data.draw(st.booleans())),
            data.draw(st.sampled_from([nn.Tanh, nn.ReLU, nn.GELU]))(),
        ]
        channels = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, draw(1, 4))).double()
    x = torch.randn(4, 2, 9, dtype=torch.float64)
    outputs = data.draw(st.sampled_from(["full", "trace", "sum"]))
    close(empirical_ntk(model, x, outputs=outputs).values, reduced(truth(model, x), outputs))


class Residual(nn.Module):
    """x + phi(norm(layer(x))) with a layer that some blocks share, on vectors or sequences."""

    def __init__(self, width: int, blocks: list[tuple[int, bool, bool]], outputs: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width, bias=bias) for _, bias, _ in blocks])
        self.norms = nn.ModuleList([nn.LayerNorm(width) if norm else nn.Identity() for *_, norm in blocks])
        self.use, self.read = [i for i, *_ in blocks], nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for i, norm in zip(self.use, self.norms, strict=True):
            x = x + torch.tanh(norm(self.layers[i % len(self.layers)](x)))
        return self.read(x).flatten(1, -2).mean(1) if x.ndim > 2 else self.read(x)


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(1, 24),
    blocks=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=3),
    outputs=st.integers(1, 4),
    positions=st.sampled_from([(), (1,), (2,), (5,)]),
    kind=st.sampled_from(["full", "trace", "sum"]),
    n=st.integers(1, 5),
)
def test_random_residual_networks_with_shared_layers(truth, *, width, blocks, outputs, positions, kind, n):
    torch.manual_seed(0)
    model = Residual(width, blocks, outputs).double()
    x = torch.randn(n, *positions, width, dtype=torch.float64)
    close(empirical_ntk(model, x, outputs=kind).values, reduced(truth(model, x), kind))


# ---- properties ------------------------------------------------------------------------------------------------------


def test_is_symmetric_to_the_bit_and_positive_semidefinite(network):
    model, x = network
    for outputs in ("full", "trace", "sum"):
        kernel = empirical_ntk(model, x, outputs=outputs)
        assert torch.equal(kernel.matrix.values, kernel.matrix.values.T)
        assert float(kernel.eigenvalues[-1]) >= -1e-13 * float(kernel.eigenvalues[0])


def test_is_the_sum_over_parameters(network, truth):
    model, x = network
    names = [name for name, _ in model.named_parameters()]
    parts = sum(empirical_ntk(model, x, parameters=[name]).values for name in names)
    close(parts, empirical_ntk(model, x).values)
    close(empirical_ntk(model, x, parameters=names[:1]).values, truth(model, x, names=names[:1]), 1e-10)


def test_frozen_parameters_count_all_the_same(named, truth):
    model, x = named("mlp")
    wanted = truth(model, x)
    close(empirical_ntk(model.requires_grad_(False), x).values, wanted)


@pytest.mark.parametrize("outputs", ["full", "trace"])
@pytest.mark.parametrize("name", ["mlp", "wide convolutions", "norms", "sequence"])
def test_blocks_give_the_same(named, name, outputs):
    """As many blocks as memory allows: from all samples at once down to the least that is accepted."""
    model, x = named(name, 7)
    whole = empirical_ntk(model, x, outputs=outputs).values
    least = _least_memory(model, x, outputs)
    for memory in (least, 2 * least):
        close(empirical_ntk(model, x, outputs=outputs, memory=memory).values, whole)
        close(empirical_ntk(model, x[:4], x[4:], outputs=outputs, memory=memory).values, whole[:4, 4:])


def _least_memory(model: nn.Module, x: Tensor, outputs: str) -> int:
    with pytest.raises(InvalidInput, match="memory") as refused:
        empirical_ntk(model, x, outputs=outputs, memory=1)
    return int(str(refused.value).split("give memory=")[1].split()[0])


def test_large_enough_for_triangles_and_tiles(truth):
    """300 samples of 4 outputs: 1,200 rows, which are halved twice and cut into tiles."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4)).double()
    x = torch.randn(300, 3, dtype=torch.float64)
    close(empirical_ntk(model, x).values, truth(model, x))
    conv = nn.Sequential(nn.Conv1d(1, 4, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 4)).double()
    close(empirical_ntk(conv, x[:, None]).values, truth(conv, x[:, None]))


def test_float32_is_near_float64(network):
    model, x = network
    single = copy.deepcopy(model).float()
    inputs = x.float() if x.is_floating_point() else x
    found = empirical_ntk(single, inputs).values
    assert found.dtype == torch.float32
    close(found.double(), empirical_ntk(model, x).values, 1e-4)


def test_the_model_is_left_as_it_was(network):
    model, x = network
    before = copy.deepcopy(model.state_dict())
    empirical_ntk(model, x)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not model.training


def test_outputs_of_any_shape_are_flattened(truth):
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Unflatten(1, (2, 3))).double()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    close(empirical_ntk(model, x).values, truth(model, x))


def test_a_parameter_may_be_one_number(truth):
    class Tempered(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.temperature = nn.Linear(4, 3), nn.Parameter(torch.tensor(0.7))

        def forward(self, x):
            return self.linear(x) / self.temperature

    model, x = Tempered().double(), torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    close(empirical_ntk(model, x).values, truth(model, x))


def test_a_wrong_rule_for_mapping_is_noticed(truth):
    """PReLU's weight, mapped over samples and outputs, has a wrong gradient in torch 2.13; nobody is told."""
    model = nn.Sequential(nn.Conv1d(2, 3, 2), nn.PReLU(3), nn.Flatten()).double()
    x = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for outputs in ("full", "sum"):
        close(empirical_ntk(model, x, outputs=outputs).values, reduced(truth(model, x), outputs))


# ---- what comes with the values --------------------------------------------------------------------------------------


def test_matrix_is_a_view_of_the_full_kernel_sample_by_sample(named):
    model, x = named("mlp")
    kernel = empirical_ntk(model, x)
    assert kernel.matrix.values.data_ptr() == kernel.values.data_ptr()
    assert torch.equal(kernel.matrix.values[3 * 2 + 1, 3 * 5 + 2], kernel.values[2, 5, 1, 2])


def test_alignment_and_effective_rank(named):
    model, x = named("mlp")
    y = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel = empirical_ntk(model, x)
    K, v = kernel.matrix.values, y.flatten()
    assert kernel.alignment(y) == pytest.approx(float(v @ K @ v / (K.norm() * v @ v)), rel=1e-12)
    assert kernel.effective_rank == pytest.approx(float(K.trace() ** 2 / K.square().sum()), rel=1e-12)
    trace = empirical_ntk(model, x, outputs="trace")
    assert trace.alignment(y[:, 0]) == pytest.approx(trace.matrix.alignment(y[:, 0]))
    with pytest.raises(InvalidInput, match="the full kernel is aligned with"):
        kernel.alignment(y[:, 0])


def test_plot(named):
    figure = empirical_ntk(*named("mlp")).plot()
    assert figure.panels[0].y.label == "eigenvalue"


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_refuses_outputs_that_depend_on_the_batch():
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    normalised = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    with pytest.raises(InvalidInput, match="say mode='eval' or 'train'"):
        empirical_ntk(normalised.train(), x)
    with pytest.raises(InvalidInput, match=r"depend on the other samples.*mode='eval'"):
        empirical_ntk(normalised, x, mode="train")
    with pytest.raises(InvalidInput, match="depend on the other samples"):
        empirical_ntk(normalised, x, mode="train", parameters=["3"])  # behind the normalisation
    assert empirical_ntk(normalised, x, mode="eval").values.shape == (12, 12, 3, 3)
    always = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 3)).eval()
    for samples in (x, x[:1]):
        with pytest.raises(InvalidInput, match="normalise within a sample"):
            empirical_ntk(always, samples)


def test_training_mode_without_batch_statistics_is_the_same(named):
    model, x = named("mlp")
    for samples in (x, x[:1]):
        found = empirical_ntk(model.train(), samples, mode="train").values
        assert torch.equal(found, empirical_ntk(model, samples).values)


def test_refuses_what_it_has_no_answer_for(named):
    model, x = named("mlp")
    with pytest.raises(UnknownName, match="did you mean 'trace'"):
        empirical_ntk(model, x, outputs="traces")
    with pytest.raises(UnknownName, match="parameter"):
        empirical_ntk(model, x, parameters=["nowhere"])
    with pytest.raises(InvalidInput, match="has no parameters"):
        empirical_ntk(nn.Flatten(), x)
    with pytest.raises(InvalidInput, match=r"torch\.nn\.Module"):
        empirical_ntk(lambda x: x, x)
    with pytest.raises(InvalidInput, match="do not go with"):
        empirical_ntk(model, x, x.float())
    broken = copy.deepcopy(model)
    broken[4].bias.data[0] = torch.nan
    with pytest.raises(InvalidInput, match="outputs hold NaN"):
        empirical_ntk(broken, x)
    with pytest.raises(InvalidInput, match=r"kernel takes 5.83e\+03 bytes.*outputs='trace'.*ntk_operator"):
        empirical_ntk(model, x, memory=5000)


@pytest.mark.gpu
def test_on_a_gpu(named, truth):
    for name in ("mlp", "wide convolutions", "sequence", "shared"):
        model, x = named(name)
        found = empirical_ntk(model.cuda(), x.cuda()).values
        assert found.device.type == "cuda"
        close(found.cpu(), truth(model.cpu(), x), 1e-10)
