"""Between checkpoints: through each of them exactly, with their distances, against interpolation by hand."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from lemmata import landscape, nets
from lemmata.errors import InvalidInput
from lemmata.objective import Objective


def problem(dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 4, generator=draw).to(dtype), torch.randint(0, 3, (30,), generator=draw)
    return nets.mlp(4, [6], 3, seed=0, dtype=dtype), x, y


def states(count: int, seed: int = 1):
    return [nets.mlp(4, [6], 3, seed=seed + k, dtype=torch.float64).state_dict() for k in range(count)]


def flat(state) -> torch.Tensor:
    return torch.cat([t.flatten() for t in state.values()])


@pytest.mark.parametrize(("span", "points"), [((0.0, 1.0), 51), ((-0.5, 1.5), 51), ((-0.3, 1.2), 20)])
def test_a_line_goes_through_both_and_is_straight(span, points):
    net, x, y = problem()
    a, b = states(2)
    found = landscape.between((net, "cross_entropy", (x, y)), [a, b], span=span, points=points)
    assert isinstance(found, landscape.Line)
    assert len(found.x) == points
    for at, loss in zip(found.x, found.loss, strict=True):
        moved = copy.deepcopy(net)
        moved.load_state_dict({name: (1 - at) * a[name] + at * b[name] for name in a})
        assert loss == pytest.approx(cross_entropy(moved(x), y).item(), rel=1e-12)
    assert {0.0, 1.0} <= set(found.x.tolist())
    assert found.marks == (("a", (0.0,)), ("b", (1.0,)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.integers(7, 30))
def test_a_plane_goes_through_all_three(seed, orthogonal, points):
    """Their losses are on the grid, to 1e-9 (float64; theta is reached by two additions)."""
    net, x, y = problem()
    three = states(3, seed)
    found = landscape.between(
        (net, "cross_entropy", (x, y)), three, points=points, orthogonal=orthogonal, adaptive=False
    )
    for state, (_, (a, b)) in zip(three, found.marks, strict=True):
        net.load_state_dict(state)
        loss = found.loss[np.flatnonzero(found.y == b)[0], np.flatnonzero(found.x == a)[0]]
        assert loss == pytest.approx(cross_entropy(net(x), y).item(), rel=1e-9)


def test_distances_in_the_picture_are_those_in_parameter_space():
    net, x, y = problem()
    three = states(3)
    found = landscape.between((net, "cross_entropy", (x, y)), three, points=9)
    at = np.array([where for _, where in found.marks])
    vectors = torch.stack([flat(state) for state in three])
    own = torch.cdist(vectors, vectors)
    np.testing.assert_allclose(own / own[0, 1], np.linalg.norm(at[:, None] - at[None], axis=2), atol=1e-7)


def test_adaptive_planes_have_the_checkpoints_among_their_points():
    net, x, y = problem()
    found = landscape.between((net, "cross_entropy", (x, y)), states(3))
    assert found.evaluations < 625
    for _, (a, b) in found.marks:
        assert found.evaluated[np.flatnonzero(found.y == b)[0], np.flatnonzero(found.x == a)[0]]
    assert [series.label for series in found.plot().panels[0].series] == ["a", "b", "c"]


def test_running_statistics_go_along_unless_estimated_anew():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 3, 8, 8, generator=draw), torch.randint(0, 10, (16,), generator=draw)
    nets_of = []
    for seed in (0, 1):
        net = nets.resnet(8, channels=2, seed=seed).train()
        for _ in range(5):
            net(x + seed)
        nets_of.append(net.eval())
    objective = Objective(nets_of[0], data=(x, y))
    pair = [net.state_dict() for net in nets_of]
    running = landscape.between(objective, pair, points=3)
    for net, loss in zip(nets_of, running.loss[[0, 2]], strict=True):
        assert loss == pytest.approx(cross_entropy(net(x), y).item(), rel=1e-5)
    middle = copy.deepcopy(nets_of[0])
    middle.load_state_dict({n: (t + pair[1][n]) / 2 if t.is_floating_point() else t for n, t in pair[0].items()})
    assert running.loss[1] == pytest.approx(cross_entropy(middle(x), y).item(), rel=1e-5)
    batch = landscape.between(objective, pair, points=3, batch_norm="batch")
    assert "bn1.running_mean" in running.directions[0]
    assert "bn1.running_mean" not in batch.directions[0]
    assert batch.loss[1] == pytest.approx(cross_entropy(copy.deepcopy(middle).train()(x), y).item(), rel=1e-5)


def test_what_has_no_line_or_plane():
    net, x, y = problem()
    subject = (net, "cross_entropy", (x, y))
    a, b = states(2)
    with pytest.raises(InvalidInput, match="1 states"):
        landscape.between(subject, [a])
    with pytest.raises(InvalidInput, match="equal"):
        landscape.between(subject, [a, a])
    with pytest.raises(InvalidInput, match="on one line"):
        landscape.between(subject, [a, b, {n: 3 * b[n] - 2 * a[n] for n in a}])
    with pytest.raises(InvalidInput, match="one axis"):
        landscape.between(subject, [a, b], points=(5, 5))
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        landscape.between(subject, [a, {n: t * torch.nan for n, t in b.items()}])
    with pytest.raises(InvalidInput, match="the model has"):
        landscape.between(subject, [a, {n: t[:1] for n, t in b.items()}])
    with pytest.raises(InvalidInput, match="known is a Line"):
        landscape.between(subject, states(3), known=landscape.between(subject, [a, b], points=3))


def test_states_of_a_block_move_the_block_alone():
    net, x, y = problem()
    last = list(dict(net.named_children()))[-1]
    block = Objective(net, data=(x, y)).restricted([last])
    found = landscape.between(block, states(2), points=3)
    assert set(found.directions[0]) == {f"{last}.weight", f"{last}.bias"}
