"""Trajectories: their plane is scikit-learn's, the path has the surface's scale, and what lies beside it is shown."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.nn.functional import cross_entropy

from lemmata import landscape, nets
from lemmata.errors import InvalidInput
from lemmata.objective import Objective


def path(count: int = 12, dtype=torch.float64):
    """A perceptron on the way to its minimum: checkpoints of gradient descent with momentum."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(60, 5, generator=draw).to(dtype)
    y = (x[:, 0] * x[:, 1] > 0).long()
    net = nets.mlp(5, [8], 2, seed=0, dtype=dtype)
    optimiser, states = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.8), []
    for step in range(5 * count):
        if step % 5 == 0:
            states.append({name: t.clone() for name, t in net.state_dict().items()})
        optimiser.zero_grad()
        cross_entropy(net(x), y).backward()
        optimiser.step()
    return Objective(net, data=(x, y)), states


def rows(states) -> np.ndarray:
    return np.stack([torch.cat([t.flatten() for t in state.values()]).numpy() for state in states])


def test_the_plane_is_that_of_the_principal_components():
    """Through the last checkpoint; coordinates, shares and distances against scikit-learn and numpy, to 1e-8."""
    objective, states = path()
    found = landscape.trajectory(objective, states, points=7)
    D = rows(states) - rows(states)[-1]
    pca = PCA().fit(D)
    np.testing.assert_allclose(found.explained, pca.explained_variance_ratio_, atol=1e-9)
    directions = rows([dict(d) for d in found.surface.directions])
    for ours, theirs in zip(directions, pca.components_[:2], strict=True):
        assert abs(ours @ theirs) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found.path, D @ directions.T, atol=1e-8)
    np.testing.assert_allclose(found.distance, np.linalg.norm(D - found.path @ directions, axis=1), atol=1e-7)
    np.testing.assert_allclose(found.travelled, np.linalg.norm(D, axis=1), rtol=1e-12)


def test_losses_at_the_checkpoints_and_on_the_plane():
    objective, states = path()
    found = landscape.trajectory(objective, states, points=7)
    own = [objective.at(state).value().item() for state in states]
    np.testing.assert_allclose(found.loss, own, rtol=1e-12)
    end = objective.at(states[-1]).parameters
    for (a, b), loss in zip(found.path, found.plane_loss, strict=True):
        d1, d2 = found.surface.directions
        theta = {name: p + a * d1[name] + b * d2[name] for name, p in end.items()}
        assert loss == pytest.approx(objective.value(theta).item(), rel=1e-12)
    assert found.plane_loss[-1] == pytest.approx(found.loss[-1], rel=1e-12)
    assert np.abs(found.plane_loss - found.loss).max() > 1e-3  # the orthogonal part matters, and is shown
    centre = found.surface.loss[np.flatnonzero(found.surface.y == 0)[0], np.flatnonzero(found.surface.x == 0)[0]]
    assert centre == pytest.approx(own[-1], rel=1e-12)
    assert found.cost == pytest.approx(found.surface.cost + 2 * len(states) / 3)


def test_memory_does_not_matter():
    objective, states = path()
    whole, parts = (landscape.trajectory(objective, states, points=5, memory=m) for m in (2**30, 2000))
    np.testing.assert_allclose(np.abs(whole.path), np.abs(parts.path), atol=1e-9)


def test_given_directions_have_the_scale_of_their_surface():
    """Neither of unit length nor orthogonal: the path's coordinates are those of the surface along them."""
    objective, states = path()
    end = objective.at(states[-1])
    first, second = landscape.random_directions(end, 2, biases=True, seed=0)
    long = {name: 7 * t for name, t in first.items()}
    skew = {name: second[name] + first[name] for name in first}
    found = landscape.trajectory(objective, states, directions=[long, skew], points=5)
    D, basis = rows(states) - rows(states)[-1], rows([long, skew])
    np.testing.assert_allclose(found.path, np.linalg.lstsq(basis.T, D.T, rcond=None)[0].T, atol=1e-9)
    assert 0 < found.explained.sum() < 0.5


def test_a_point_of_a_line_has_its_own_coordinate():
    """Theta + 3 d is at 3 whatever the length of d: peers divide by |d| once, and have 3 |d|."""
    draw = torch.Generator().manual_seed(0)
    origin, d = ({"w": torch.randn(4, 5, generator=draw)} for _ in range(2))
    for length in (0.01, 1.0, 30.0):
        scaled = {"w": length * d["w"]}
        found = landscape.project({"w": origin["w"] + 3 * scaled["w"]}, origin, [scaled])
        assert found.coordinates[0] == pytest.approx(3, rel=1e-5)
        assert found.length == pytest.approx(3 * length * d["w"].norm().item(), rel=1e-5)
        assert found.distance < 1e-3 * found.length
    with pytest.raises(InvalidInput, match="dependent"):
        landscape.project(origin, d, [d, {"w": 2 * d["w"]}])


def test_the_surface_covers_the_path():
    objective, states = path()
    found = landscape.trajectory(objective, states, points=9)
    for axis, column in ((found.surface.x, 0), (found.surface.y, 1)):
        assert axis[0] < found.path[:, column].min()
        assert axis[-1] > found.path[:, column].max()


def test_buffers_of_checkpoints_are_their_own():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 3, 8, 8, generator=draw), torch.randint(0, 10, (16,), generator=draw)
    net, states = nets.resnet(8, channels=2, seed=0).train(), []
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(4):
        optimiser.zero_grad()
        cross_entropy(net(x), y).backward()
        optimiser.step()
        states.append({name: t.clone() for name, t in net.state_dict().items()})
    found = landscape.trajectory(Objective(net.eval(), data=(x, y)), states, points=3)
    net.load_state_dict(states[0])
    assert found.loss[0] == pytest.approx(cross_entropy(net(x), y).item(), rel=1e-5)
    batch = landscape.trajectory(Objective(net, data=(x, y)), states, points=3, batch_norm="batch")
    assert batch.loss[0] == pytest.approx(cross_entropy(net.train()(x), y).item(), rel=1e-5)


def test_the_figure_shows_the_residual():
    objective, states = path()
    found = landscape.trajectory(objective, states, points=7)
    over, beside, losses = found.plot().panels
    np.testing.assert_array_equal(over.series[0].x, found.path[:, 0])
    np.testing.assert_allclose(beside.series[0].y[:-1], (found.distance / np.maximum(found.travelled, 1e-300))[:-1])
    assert [series.label for series in losses.series] == ["at the checkpoint", "at its projection"]
    assert "% of the variance" in over.x.label


def test_what_has_no_plane():
    objective, states = path(4)
    with pytest.raises(InvalidInput, match="2 checkpoints"):
        landscape.trajectory(objective, states[:2])
    straight = [{n: k * t for n, t in states[0].items()} for k in range(4)]
    with pytest.raises(InvalidInput, match="on a line"):
        landscape.trajectory(objective, straight)
    with pytest.raises(InvalidInput, match="checkpoint 1 has NaN"):
        landscape.trajectory(objective, [states[0], {n: t / 0 for n, t in states[1].items()}, *states[2:]])
    with pytest.raises(InvalidInput, match="checkpoint 0 lacks"):
        landscape.trajectory(objective, [{}, *states])
    assert isinstance(objective.model, nn.Module)
