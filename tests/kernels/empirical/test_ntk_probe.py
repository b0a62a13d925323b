"""The kernel's movement along training against kernels of the same networks by dense Jacobians."""

import copy

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels import NTKTracker, empirical_ntk, ntk_probe
from lemmata.kernels.empirical.member_kernels import MemberKernels
from lemmata.training import GD, epochs_at, train


def members(count: int = 3) -> tuple[list[nn.Module], torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None]
    models = [nets.mlp(1, [6], 2, activation="tanh", seed=seed).double() for seed in range(count)]
    return models, x, torch.cat([x**2, x], 1)


def stacked(models: list[nn.Module]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([m.state_dict()[name] for m in models]) for name in models[0].state_dict()}


def moved(models: list[nn.Module], by: float) -> list[nn.Module]:
    generator, found = torch.Generator().manual_seed(4), copy.deepcopy(models)
    for p in (p for model in found for p in model.parameters()):
        p.data += by * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return found


def test_definitions(truth):
    """To rounding, 1e-10: change, distance, velocity, alignment and norm by their formulas on dense kernels."""
    models, x, y = members()
    tracker = NTKTracker(models[0], x, y)
    stages = [models, moved(models, 0.2), moved(models, 0.5)]
    found = [tracker.measure(stacked(stage)) for stage in stages]
    for i in range(3):
        K = [truth(stage[i], x).transpose(1, 2).reshape(16, 16) for stage in stages]
        first, before, now = K
        cosine = lambda a, b: float((a * b).sum() / (a.norm() * b.norm()))  # noqa: E731
        assert float(found[2].change[i]) == pytest.approx(float((now - first).norm() / first.norm()), rel=1e-10)
        assert float(found[2].distance[i]) == pytest.approx(1 - cosine(now, first), rel=1e-10)
        assert float(found[2].velocity[i]) == pytest.approx(1 - cosine(now, before), rel=1e-10)
        assert float(found[2].norm[i]) == pytest.approx(float(now.norm()), rel=1e-10)
        v = y.flatten()
        assert float(found[2].alignment[i]) == pytest.approx(float(v @ now @ v / (now.norm() * v @ v)), rel=1e-10)
        assert float(found[0].change[i]) == float(found[0].velocity[i]) == 0
    assert tracker.history == found


@pytest.mark.parametrize("outputs", ["full", "trace", "sum"])
def test_members_together_and_alone_agree(outputs):
    models, x, _ = members()
    kernels = MemberKernels(models[0], x, outputs=outputs)
    found = kernels.of(stacked(models))
    assert kernels.together
    for one, model in zip(found, models, strict=True):
        assert torch.allclose(one, empirical_ntk(model, x, outputs=outputs).matrix.values, rtol=1e-12, atol=1e-12)
    narrow = MemberKernels(models[0], x, outputs=outputs, memory=20 * 2**10)
    assert torch.allclose(narrow.of(stacked(models)), found, rtol=1e-12, atol=1e-12)


def test_members_go_one_by_one_where_that_is_cheaper_or_mapping_is_wrong():
    generator = torch.Generator().manual_seed(0)
    wide = [nets.mlp(16, [256, 256], 4, seed=seed) for seed in range(2)]
    x = torch.randn(30, 16, generator=generator)
    kernels = MemberKernels(wide[0], x)
    found = kernels.of(stacked(wide))
    assert not kernels.together
    assert torch.equal(found[1], empirical_ntk(wide[1], x).matrix.values)
    sloped = [nn.Sequential(nn.Conv1d(1, 2, 2), nn.PReLU(2), nn.Flatten()).double() for _ in range(2)]
    sloped[1][1].weight.data.fill_(0.6)
    samples = torch.randn(4, 1, 4, generator=generator, dtype=torch.float64)
    for outputs in ("full", "sum"):
        found = MemberKernels(sloped[0], samples, outputs=outputs).of(stacked(sloped))
        wanted = empirical_ntk(sloped[1], samples, outputs=outputs).matrix.values
        assert torch.allclose(found[1], wanted, rtol=1e-12, atol=1e-12)


def test_members_that_leave_are_recognised():
    models, x, _ = members()
    tracker = NTKTracker(models[0], x)
    tracker.measure(stacked(models))
    whole = NTKTracker(models[0], x)
    whole.measure(stacked(models))
    later = moved(models, 0.01)
    assert torch.allclose(tracker.measure(stacked(later[1:])).change, whole.measure(stacked(later)).change[1:])
    with pytest.raises(InvalidInput, match="members left"):
        tracker.plot()


def test_probe_measures_along_training():
    """The last point of the curve is what the trained networks show, to 1e-4: states are float32."""
    x = torch.linspace(-1, 1, 8)[:, None]
    models = [nets.mlp(1, [6], 1, activation="tanh", seed=seed) for seed in range(3)]
    start = copy.deepcopy(models)
    probe = ntk_probe(models[0], x, x**2, at=epochs_at([0, 5, 20]))
    result = train(models, x, x**2, loss="mse", optimiser=GD(lr=0.2), epochs=20, probes={"change": probe})
    epochs, change = result.curves["change"]
    assert epochs.tolist() == [0, 5, 20]
    assert torch.equal(change, torch.stack([each.change for each in probe.tracker.history], 1))
    for i in range(3):
        K0, K = (empirical_ntk(model, x).values for model in (start[i], result.model(i)))
        assert float(change[i, -1]) == pytest.approx(float((K - K0).norm() / K0.norm()), rel=1e-4)
    figure = probe.tracker.plot([0, 5, 20])
    assert [panel.y.label for panel in figure.panels][3] == "alignment with targets"
    assert figure.panels[0].series[0].seeds.shape == (3, 3)


def test_a_linear_model_never_moves():
    tracker = NTKTracker(nn.Linear(3, 2), torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    tracker.measure({"weight": torch.zeros(2, 2, 3), "bias": torch.zeros(2, 2)})
    found = tracker.measure({"weight": torch.ones(2, 2, 3), "bias": torch.ones(2, 2)})
    assert found.change.tolist() == found.distance.tolist() == [0, 0]


def test_refusals():
    models, x, y = members()
    with pytest.raises(UnknownName, match="quantity"):
        ntk_probe(models[0], x, quantity="speed")
    with pytest.raises(InvalidInput, match="give y"):
        ntk_probe(models[0], x, quantity="alignment")
    with pytest.raises(InvalidInput, match="give 16 finite numbers"):
        NTKTracker(models[0], x, y[:, :1])
    with pytest.raises(InvalidInput, match="three kernels of each of 3 members take"):
        NTKTracker(models[0], x, memory=10_000).measure(stacked(models))
    with pytest.raises(InvalidInput, match="the states have no"):
        NTKTracker(models[0], x).measure({"w": torch.zeros(1)})
    with pytest.raises(InvalidInput, match="2 epochs for 0 measurements"):
        NTKTracker(models[0], x).plot([0, 1])
