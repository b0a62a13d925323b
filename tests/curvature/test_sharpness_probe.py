import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.curvature import (
    SharpnessTrack,
    SharpnessTracker,
    sharpness_probe,
    stability_threshold,
    top_eigenvalues,
)
from lemmata.curvature.member_hessians import MemberHessians
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.objective import Objective
from lemmata.training import GD, Stop, epochs_at, every, train


def data(n=40, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 6, generator=g, dtype=torch.float64).to(dtype)
    return x, torch.tanh(x @ torch.randn(6, 2, generator=g, dtype=torch.float64).to(dtype))


def members(count, dtype=torch.float64):
    return [nets.mlp(6, [10], 2, activation="tanh", seed=seed, dtype=dtype) for seed in range(count)]


def stacked(models):
    names = models[0].state_dict()
    return {name: torch.stack([model.state_dict()[name] for model in models]) for name in names}


def dense_largest(model, x, y):
    H = Objective(model, loss="mse", data=(x, y)).hessian().dense()
    return float(torch.linalg.eigvalsh(H)[-1])


def test_products_of_members_are_those_of_each_alone():
    (x, y), models = data(), members(4)
    state = stacked(models)
    V = torch.randn(4, 92, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.stack(
        [Objective(m, loss="mse", data=(x, y)).hessian() @ v for m, v in zip(models, V, strict=True)]
    )
    objective = Objective(models[0], loss="mse", data=(x, y), chunk=15)  # three batches
    for memory in (2**30, 40_000, 0):  # all at once; in groups; a graph that is never kept
        hessians = MemberHessians(objective, state, memory=memory)
        torch.testing.assert_close(hessians.product(V, torch.arange(4)), expected, rtol=1e-10, atol=1e-12)
        some = torch.tensor([1, 3])
        torch.testing.assert_close(hessians.product(V[some], some), expected[some], rtol=1e-10, atol=1e-12)
        one = torch.tensor([2])
        torch.testing.assert_close(hessians.product(V[one], one), expected[one], rtol=1e-10, atol=1e-12)
    assert MemberHessians(objective, state, memory=40_000).group in (1, 2, 3)
    assert not MemberHessians(objective, state, memory=0).kept


def test_members_have_their_own_running_statistics():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 6, generator=g).double(), torch.randint(3, (20,), generator=g)
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()
        model.train()(torch.randn(50, 6, generator=g).double() * (seed + 1))
        models.append(model.eval())
    tracker = SharpnessTracker((models[0], "cross_entropy", (x, y)), tolerance=1e-8)
    measured = tracker.measure(stacked(models)).value
    for value, model in zip(measured, models, strict=True):
        alone = top_eigenvalues((model, "cross_entropy", (x, y)), tolerance=1e-8).value
        assert float(value) == pytest.approx(float(alone[0]), rel=1e-10)


def test_the_probe_measures_what_a_dense_hessian_has():
    (x, y), models = data(), members(3)
    probe = sharpness_probe((models[0], "mse", (x, y)), at=epochs_at([0, 10, 20]), tolerance=1e-6)
    result = train(models, x, y, loss="mse", optimiser=GD(lr=0.3), epochs=20, probes={"sharpness": probe})
    epochs, values = result.curves["sharpness"]
    assert epochs.tolist() == [0, 10, 20]
    for i, model in enumerate(models):
        assert float(values[i, 0]) == pytest.approx(dense_largest(model, x, y), rel=1e-9)
        assert float(values[i, 2]) == pytest.approx(dense_largest(result.model(i), x, y), rel=1e-9)
    assert torch.equal(values[:, 2], result.final["sharpness"])


def test_warm_measurements_agree_with_cold_ones_and_cost_less():
    (x, y), models = data(dtype=torch.float32), members(3, torch.float32)
    curves, products = {}, {}
    for cold_every in (0, 1):
        probe = sharpness_probe((models[0], "mse", (x, y)), at=every(10), cold_every=cold_every)
        result = train(models, x, y, loss="mse", optimiser=GD(lr=0.8), epochs=400, probes={"sharpness": probe})
        curves[cold_every] = result.curves["sharpness"][1]
        history = probe.tracker.history[1:]
        assert all(found.warm == (cold_every == 0) for found in history)
        products[cold_every] = torch.stack([found.products for found in history]).double().mean()
        # every measurement is certified
        assert all((found.residuals <= 1e-3 * found.value.abs()).all() for found in probe.tracker.history)
    torch.testing.assert_close(curves[0], curves[1], rtol=2e-3, atol=0)
    assert products[0] < 0.6 * products[1]


def test_members_that_leave_take_their_own_vectors_along():
    (x, y), models = data(), members(4)
    probe = sharpness_probe((models[0], "mse", (x, y)), at=every(20), tolerance=1e-6)
    result = train(
        models, x, y, loss="mse", optimiser=GD(lr=[0.4, 0.01, 0.3, 0.01]), epochs=600,
        stop=Stop(train_loss_below=0.02), probes={"sharpness": probe},
    )  # fmt: skip
    assert len(set(result.stopped_at.tolist())) > 2
    for i in range(4):
        final = float(result.final["sharpness"][i])
        assert final == pytest.approx(dense_largest(result.model(i), x, y), rel=1e-9)
    assert not any(found.warm for found in probe.tracker.history[:1])
    assert all(found.warm for found in probe.tracker.history[1:])


def test_the_tracker_follows_one_objective():
    x, y = data()
    models = members(2)
    tracker = SharpnessTracker((models[0], "mse", (x, y)), tolerance=1e-6)
    first = tracker.measure()
    again = tracker.measure(models[0].state_dict())
    moved = tracker.measure({name: 1.01 * p for name, p in models[0].state_dict().items()})
    assert first.value.tolist() == pytest.approx([dense_largest(models[0], x, y)], rel=1e-9)
    assert again.products.item() == 2  # the recycled vectors, and no step
    assert moved.products < first.products
    assert moved.cost == 1 + 2 * int(moved.products)
    assert tracker.history == [first, again, moved]


def test_refuses_rather_than_guesses():
    x, y = data()
    with pytest.raises(NotConverged, match="member 0"):
        SharpnessTracker((members(1)[0], "mse", (x, y)), tolerance=1e-9, max_products=3).measure()
    with pytest.raises(InvalidInput, match=r"the state has no 'output.weight'"):
        SharpnessTracker((members(1)[0], "mse", (x, y))).measure(
            {n: p for n, p in members(1)[0].state_dict().items() if n != "output.weight"}
        )


def test_the_track_knows_the_threshold_of_each_member():
    (x, y), models = data(), members(4)
    rates = [0.1, 0.1, 0.2, 0.2]
    probe = sharpness_probe((models[0], "mse", (x, y)), at=every(5))
    result = train(models, x, y, loss="mse", optimiser=GD(lr=rates), epochs=20, probes={"sharpness": probe})
    track = SharpnessTrack.of(result, lr=rates)
    assert track.thresholds.tolist() == [20, 20, 10, 10]
    assert track.ratio[2].tolist() == pytest.approx((result.curves["sharpness"][1][2] / 10).tolist())
    figure = track.plot()
    assert [reference.value for reference in figure.panels[0].references] == [10, 20]
    assert [len(series.seeds) for series in figure.panels[1].series] == [2, 2]
    with pytest.raises(UnknownName, match="curve 'sharp'"):
        SharpnessTrack.of(result, lr=0.1, name="sharp")
    with pytest.raises(InvalidInput, match=r"lr of shape \(2,\)"):
        SharpnessTrack.of(result, lr=[0.1, 0.2])


def test_momentum_raises_the_threshold():
    assert stability_threshold(0.5) == 4
    assert stability_threshold(0.5, 0.5) == 6
    assert stability_threshold(0.5, 0.5, nesterov=True) == 3


@pytest.mark.gpu
def test_on_a_gpu_the_same():
    (x, y), models = data(), members(2)
    here = SharpnessTracker((models[0], "mse", (x, y)), tolerance=1e-8).measure(stacked(models)).value
    there = SharpnessTracker((models[0].cuda(), "mse", (x.cuda(), y.cuda())), tolerance=1e-8)
    moved = {name: tensor.cuda() for name, tensor in stacked(members(2)).items()}
    torch.testing.assert_close(there.measure(moved).value, here, rtol=1e-8, atol=0)
