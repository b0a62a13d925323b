"""Surfaces and lines against closed forms, brute force in plain PyTorch, and their symmetries."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import update_bn

from lemmata import landscape, nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape import slice as slice_module
from lemmata.landscape.slice import Slice
from lemmata.objective import Objective


def bowl(dtype=torch.float64) -> tuple[Objective, torch.Tensor, torch.Tensor]:
    """Least squares: L(theta) = |X theta - y|^2 / n, so L on a plane is a known quadratic; y != 0: no minimum at 0."""
    draw = torch.Generator().manual_seed(0)
    X, y = torch.randn(30, 7, generator=draw, dtype=dtype), torch.randn(30, 1, generator=draw, dtype=dtype)
    model = nn.Linear(7, 1, bias=False).to(dtype)
    model.weight.data = torch.randn(1, 7, generator=draw, dtype=dtype)
    return Objective(model, loss="mse", data=(X, y), chunk=11), X, y


def on_the_bowl(found, X, y, theta) -> np.ndarray:
    """The closed form |X (theta + a d1 + b d2) - y|^2 / n at the coordinates that the result names: (ny, nx)."""
    d = [direction["weight"][0] for direction in found.directions]
    values = [[(X @ (theta + a * d[0] + b * d[1]) - y[:, 0]).square().mean() for a in found.x] for b in found.y]
    return np.array(values)


def image_net(seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x, y = torch.randn(24, 3, 8, 8, generator=draw), torch.randint(0, 10, (24,), generator=draw)
    net = nets.resnet(8, channels=4, seed=seed)
    for _ in range(30):  # running statistics that belong to the data, nearly
        net(x)
    return net.eval(), x, y


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(("span", "points"), [(1.0, 25), (2.0, 24), (((-0.5, 1.0), (-3.0, 0.5)), (17, 26))])
def test_the_bowl_is_drawn_exactly(adaptive, span, points):
    """To 1e-12 of its range: 100 roundings of 2^-53, and of a quadratic fitted exactly. In every row: no zig-zag."""
    objective, X, y = bowl()
    theta = objective.parameters["weight"][0]
    found = landscape.surface(objective, span=span, points=points, adaptive=adaptive)
    truth = on_the_bowl(found, X, y, theta)
    np.testing.assert_allclose(found.loss, truth, rtol=0, atol=1e-12 * np.ptp(truth))
    row, column = np.flatnonzero(found.y == 0), np.flatnonzero(found.x == 0)
    assert found.loss[row[0], column[0]] == pytest.approx(objective.value().item(), rel=1e-15)
    assert found.evaluated[row[0], column[0]]
    if adaptive:
        assert found.evaluations <= 60
        assert (found.error[~found.evaluated] <= 1e-9 * np.ptp(truth)).all()
    else:
        assert found.evaluations == found.loss.size
        assert found.cost == pytest.approx(found.loss.size / 3)


def test_the_whole_data_set_counts_batch_by_batch():
    objective, X, y = bowl()
    assert [len(b) for b, _ in objective.batches] == [11, 11, 8]
    whole = Objective(objective.model, loss="mse", data=(X, y))
    parts, one = (landscape.surface(o, points=3, seed=1).loss for o in (objective, whole))
    np.testing.assert_allclose(parts, one, rtol=1e-14)


def test_a_line_is_the_middle_row_of_the_surface():
    objective, _, _ = bowl()
    plane = landscape.surface(objective, points=9, adaptive=False, seed=4)
    line = landscape.line(objective, direction=plane.directions[0], points=9)
    np.testing.assert_allclose(line.loss, plane.loss[4], rtol=1e-14)
    np.testing.assert_allclose(line.x, plane.x)


@pytest.mark.parametrize("batch_norm", ["running", "batch", "reestimate"])
def test_against_brute_force(batch_norm):
    """A loop over copies of the model, the statistics by torch's own update_bn; float32 sums differ by 1e-5."""
    net, x, y = image_net()
    batches = [(x[:12], y[:12]), (x[12:], y[12:])]
    before = copy.deepcopy(net.state_dict())
    found = landscape.surface(
        Objective(net, data=batches), points=5, span=0.5, adaptive=False, batch_norm=batch_norm, biases=True, seed=3
    )
    for i, b in enumerate(found.y):
        for j, a in enumerate(found.x):
            moved = copy.deepcopy(net)
            for name, p in moved.named_parameters():
                p.data += a * found.directions[0][name] + b * found.directions[1][name]
            if batch_norm == "reestimate":
                update_bn([xs for xs, _ in batches], moved)
            moved.train(batch_norm == "batch")
            with torch.no_grad():
                outputs = [moved(xs) for xs, _ in batches]
            loss = np.mean([cross_entropy(o, t).item() for o, (_, t) in zip(outputs, batches, strict=True)])
            wrong = np.mean([(o.argmax(1) != t).double().mean() for o, (_, t) in zip(outputs, batches, strict=True)])
            assert found.loss[i, j] == pytest.approx(loss, rel=1e-4)
            assert found.misclassified[i, j] == pytest.approx(wrong, abs=1 / 24 + 1e-9)  # a tie may fall either way
    assert found.cost == pytest.approx(25 / 3 * (2 if batch_norm == "reestimate" else 1))
    assert not net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_unequal_batches_are_weighted_in_the_statistics():
    """One batch, or the same in parts: means and mean squares agree where each part is alike (repeated samples)."""
    net, x, y = image_net()
    alike = [(x, y), (torch.cat([x, x]), torch.cat([y, y]))]
    one = landscape.line(Objective(net, data=(x, y)), points=5, batch_norm="reestimate")
    two = landscape.line(Objective(net, data=alike), points=5, batch_norm="reestimate")
    np.testing.assert_allclose(two.loss, one.loss, rtol=1e-2)  # n / (n - 1) differs: 64 x 24 values a channel
    ours = Slice(Objective(net, data=alike), one.directions, batch_norm="reestimate")
    ours(np.zeros((1, 1)))
    norm = ours.model.bn1
    z = net.conv1(x)
    torch.testing.assert_close(norm.running_mean, z.mean((0, 2, 3)).detach(), rtol=1e-4, atol=1e-6)


def test_the_mode_of_the_objective_is_kept():
    net, x, y = image_net()
    running = landscape.line(Objective(net, data=(x, y)), points=3)
    assert running.loss[1] == pytest.approx(cross_entropy(net(x), y).item(), rel=1e-5)
    in_training = Objective(copy.deepcopy(net).train(), data=(x, y), mode="train")
    batch = landscape.line(in_training, points=3)
    assert batch.loss[1] == pytest.approx(cross_entropy(copy.deepcopy(net).train()(x), y).item(), rel=1e-5)
    again = landscape.line(in_training, points=3, batch_norm="running")
    np.testing.assert_allclose(again.loss, running.loss, rtol=1e-6)
    assert abs(batch.loss[1] - running.loss[1]) > 1e-4


def test_many_points_in_one_call_give_the_same():
    net, x, y = image_net()
    objective = Objective(net, data=(x, y), chunk=10)
    directions = landscape.random_directions(objective, 2, seed=0)
    coordinates = np.random.default_rng(0).uniform(-1, 1, (7, 2))
    for batch_norm in ("running", "batch"):
        alone = Slice(objective, directions, batch_norm=batch_norm)(coordinates)
        together = Slice(objective, directions, batch_norm=batch_norm, at_once=4)
        assert together.at_once == 4
        np.testing.assert_allclose(together(coordinates)[0], alone[0], rtol=2e-5)
        np.testing.assert_array_equal(together(coordinates)[1], alone[1])


def test_filter_normalised_surfaces_do_not_see_the_scale_of_layers():
    """Weights and biases into a layer of rectifiers times c, those out of it by c: the same function, and surface."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 6, generator=draw), torch.randint(0, 3, (40,), generator=draw)
    net = nets.mlp(6, [20, 20], 3, seed=0, dtype=torch.float64)
    scaled = copy.deepcopy(net)
    layers = [m for m in scaled.modules() if isinstance(m, nn.Linear)]
    layers[0].weight.data *= 8.0
    layers[0].bias.data *= 8.0
    layers[1].weight.data /= 8.0 * 4.0
    layers[1].bias.data /= 4.0
    layers[2].weight.data *= 4.0
    data = (x.double(), y)
    kept, raw = (
        [landscape.surface(Objective(m, data=data), points=7, normalization=n, seed=2).loss for m in (net, scaled)]
        for n in ("filter", None)
    )
    np.testing.assert_allclose(kept[0], kept[1], rtol=1e-12)
    assert np.abs(raw[0] - raw[1]).max() > 0.1 * np.ptp(raw[0])


def test_filter_normalised_surfaces_do_not_see_the_scale_of_filters_before_batch_normalisation():
    net, x, y = image_net()
    net, data = net.double().train(), (x.double(), y)
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eps = 1e-12
    scaled = copy.deepcopy(net)
    factors = torch.logspace(-1, 1, 4, dtype=torch.float64)[:, None, None, None]
    scaled.conv1.weight.data *= factors
    first = [landscape.surface(Objective(m, data=data, mode="train"), points=5, seed=1).loss for m in (net, scaled)]
    np.testing.assert_allclose(first[0], first[1], rtol=1e-7)  # eps is 1e-12 of variances of about 1e-2
    whole = [
        landscape.surface(Objective(m, data=data, mode="train"), points=5, seed=1, normalization="layer").loss
        for m in (net, scaled)
    ]
    assert np.abs(whole[0] - whole[1]).max() > 1e-2


def test_nothing_of_the_users_moves():
    net, x, y = image_net()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    objective = Objective(net, data=(x, y))
    landscape.surface(objective, points=3, batch_norm="reestimate")
    own = objective.model.state_dict()
    assert all(torch.equal(t, before[name]) and torch.equal(own[name], t) for name, t in net.state_dict().items())
    assert all(p.requires_grad for p in net.parameters())


def test_a_block_moves_alone():
    net, x, y = image_net()
    block = Objective(net, data=(x, y)).restricted(["linear"])
    found = landscape.surface(block, points=3)
    assert set(found.directions[0]) == {"linear.weight", "linear.bias"}


def test_labels_of_any_kind():
    objective, _, _ = bowl()
    assert np.isnan(landscape.line(objective, points=3).misclassified).all()
    assert len(landscape.line(objective, points=3).plot().panels) == 1
    net, x, y = image_net()
    found = landscape.line((net, cross_entropy, (x, y)), points=3)
    assert found.misclassified[1] == pytest.approx((net(x).argmax(1) != y).double().mean().item())
    assert len(found.plot().panels) == 2


def log_barrier() -> Objective:
    """-log(1 - |theta|^2): NaN beyond the unit circle, infinite on it."""
    model = nn.Linear(2, 1, bias=False).double()
    model.weight.data = torch.tensor([[0.1, 0.2]]).double()

    def loss(outputs, _):
        return -torch.log(1 - outputs.square().sum())

    return Objective(model, loss=loss, data=(torch.eye(2).double(), torch.zeros(2)))


@pytest.mark.parametrize("adaptive", [False, True])
def test_holes_are_kept_and_shown(adaptive):
    """Where the loss is not finite nothing is made up: NaN, or an error that says so."""
    directions = list(torch.eye(2).double())
    found = landscape.surface(log_barrier(), directions=directions, span=1.5, points=25, adaptive=adaptive)
    a, b = np.meshgrid(found.x, found.y)
    square = (a + 0.1) ** 2 + (b + 0.2) ** 2
    rim = np.abs(square - 1) < 1e-9  # where rounding decides
    inside = (square < 1) | rim
    assert np.isfinite(found.loss[inside & ~rim & found.evaluated]).all()
    assert not np.isfinite(found.loss[~inside & found.evaluated]).any()
    made_up = ~inside & np.isfinite(found.loss) & np.isfinite(found.error)
    assert not made_up.any()
    field = found.plot().panels[0].fields[0]
    assert np.isnan(field.values[~np.isfinite(found.loss)]).all()
    assert "not finite" in found.plot().caption
    if adaptive:
        assert found.evaluations <= 169
        assert np.isnan(found.loss[(square > 1.5) & ~found.evaluated]).all()
        assert (np.isinf(found.error) & np.isfinite(found.loss)).sum() >= 10  # beside holes nothing is certain
        kept = inside & ~rim & np.isfinite(found.error) & ~found.evaluated
        assert kept.sum() > 30
        wrong = np.abs(found.loss + np.log1p(-np.where(inside & ~rim, square, 0)))[kept]
        assert (wrong <= found.error[kept]).mean() > 0.9


def test_infinity_stays_infinity():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    found = landscape.line(
        (model, lambda out, _: out.exp().mean(), (torch.ones(1, 1), torch.zeros(1))), span=200.0, points=5
    )
    assert found.loss[-1] == np.inf
    assert np.isfinite(found.loss[:3]).all()
    assert "At 2 the loss is not finite" in found.plot().caption


def test_progress_and_interruption():
    objective, X, y = bowl()
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        landscape.surface(objective, points=5, adaptive=False, progress=stop)
    assert isinstance(caught.value, landscape.Interrupted)
    partial = caught.value.partial
    assert seen == [(i, 25) for i in range(1, 11)]
    assert partial.evaluated.sum() == 10
    assert np.isnan(partial.loss[~partial.evaluated]).all()
    assert np.isinf(partial.error[~partial.evaluated]).all()
    partial.plot()
    whole = landscape.surface(objective, points=5, adaptive=False, known=partial)
    assert whole.evaluations == 16  # 15 that were missing, and one to make sure
    np.testing.assert_allclose(whole.loss, on_the_bowl(whole, X, y, objective.parameters["weight"][0]), rtol=1e-12)


def test_a_finer_grid_takes_over_a_coarser_one():
    objective, _, _ = bowl()
    coarse = landscape.surface(objective, points=5, adaptive=False)
    fine = landscape.surface(objective, points=9, adaptive=False, known=coarse)
    assert fine.evaluations == 81 - 25 + 1
    np.testing.assert_allclose(fine.loss, landscape.surface(objective, points=9, adaptive=False).loss, rtol=1e-14)


def test_what_is_known_of_something_else_is_refused():
    objective, _, _ = bowl()
    other = landscape.surface(objective, points=5, adaptive=False, seed=1)
    with pytest.raises(InvalidInput, match="other parameters, data or directions"):
        landscape.surface(objective, points=5, adaptive=False, seed=2, known=other)
    line = landscape.line(objective, points=5)
    with pytest.raises(InvalidInput, match="known is a Line"):
        landscape.surface(objective, points=5, known=line)  # type: ignore[arg-type]


def test_unusable_options():
    objective, _, _ = bowl()
    with pytest.raises(UnknownName, match="reestimate"):
        landscape.line(objective, batch_norm="re-estimate")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="tolerance = 0"):
        landscape.surface(objective, tolerance=0.0)
    with pytest.raises(InvalidInput, match="budget = 0"):
        landscape.surface(objective, budget=0)
    with pytest.raises(InvalidInput, match="span -1"):
        landscape.surface(objective, span=-1.0)
    with pytest.raises(InvalidInput, match="one for both axes"):
        landscape.surface(objective, points=(3, 3, 3))  # type: ignore[arg-type]


def test_figures():
    net, x, y = image_net()
    found = landscape.surface(Objective(net, data=(x, y)), points=9, adaptive=False, span=2.0)
    for kind in ("contour", "heatmap", "surface"):
        assert found.plot(kind).panels[0].fields[0].kind == kind
    field = found.plot().panels[0].fields[0]
    assert field.log == (found.loss.max() > 30 * found.loss.min())
    np.testing.assert_array_equal(field.z, found.loss)
    assert not found.plot(log=False).panels[0].fields[0].log
    np.testing.assert_array_equal(found.plot(of="misclassified").panels[0].fields[0].z, found.misclassified)


@pytest.mark.gpu
def test_on_a_gpu_points_go_together():
    net, x, y = image_net()
    on_cpu = landscape.surface(Objective(net, data=(x, y)), points=5, adaptive=False)
    moved = Objective(copy.deepcopy(net).cuda(), data=(x.cuda(), y.cuda()))
    on_gpu = landscape.surface(moved, points=5, adaptive=False)
    np.testing.assert_allclose(on_gpu.loss, on_cpu.loss, rtol=1e-3)
    assert Slice(moved, on_gpu.directions).at_once == slice_module.AT_ONCE_ON_GPU
