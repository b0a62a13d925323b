"""The straight line: linear regression in closed form, exact ends, resuming, interruption, nothing changed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import landscape
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape import Interrupted, paths
from lemmata.objective import Objective


def regression(n=30):
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, k, generator=draw, dtype=torch.float64) for k in (3, 2))
    a, b = (nn.Linear(3, 2).double().state_dict() for _ in range(2))
    for state in (a, b):
        for name, tensor in state.items():
            state[name] = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
    return nn.Linear(3, 2).double(), a, b, (x, y)


def classifier(seed, norm=True):
    draw = torch.Generator().manual_seed(seed)
    layers = [nn.Linear(4, 8), nn.BatchNorm1d(8) if norm else nn.Identity(), nn.ReLU(), nn.Linear(8, 3)]
    model = nn.Sequential(*layers).double().eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.1)
                tensor.mul_(torch.randn(tensor.shape, generator=draw).sign() if tensor.ndim > 1 else 1)
    return model


def digits(n=40):
    draw = torch.Generator().manual_seed(3)
    return torch.randn(n, 4, generator=draw, dtype=torch.float64), torch.randint(3, (n,), generator=draw)


def test_linear_regression_in_closed_form():
    model, a, b, (x, y) = regression()
    found = paths.linear(model, a, b, loss="mse", data=(x, y), points=9)
    step = (x @ b["weight"].T + b["bias"]) - (x @ a["weight"].T + a["bias"])  # outputs move along a line
    curvature = step.square().mean(1).numpy()  # sample losses are parabolas: L - chord = -t (1 - t) |step|^2
    above = found.samples - (1 - found.t)[:, None] * found.samples[0] - found.t[:, None] * found.samples[-1]
    np.testing.assert_allclose(above, -(found.t * (1 - found.t))[:, None] * curvature, atol=1e-12)
    assert found.barrier.value == 0.0  # a convex loss has none


def test_double_well_has_its_barrier():
    model, x = nn.Linear(1, 1, bias=False), torch.ones(4, 1)
    a, b = ({"weight": torch.tensor([[w]])} for w in (-2.0, 2.0))
    found = paths.linear(model, a, b, loss=lambda z, y: (z.square() - 4).square().mean(), data=(x, x), points=41)
    assert found.barrier.value == pytest.approx(16.0)
    assert found.barrier.at == 0.5
    assert found.barrier.interval() == (found.barrier.value, found.barrier.value)  # samples are all alike


def test_ends_are_the_networks_with_their_own_statistics():
    a, b, data = classifier(0), classifier(1), digits()
    found = paths.linear(a, a, b, data=data, points=5)
    for place, model in ((0, a), (-1, b)):
        objective = Objective(model, loss="cross_entropy", data=data)
        assert found.loss[place] == pytest.approx(float(objective.value()), rel=1e-12)
        wrong = (model(data[0]).argmax(1) != data[1]).double().mean()
        assert found.error[place] == pytest.approx(float(wrong))


def test_between_with_kept_statistics_it_is_what_between_gives():
    a, b, data = classifier(0), classifier(1), digits()
    own = landscape.between((a, "cross_entropy", data), [a.state_dict(), b.state_dict()], points=7)
    np.testing.assert_allclose(paths.linear(a, a, b, data=data, points=7).loss, own.loss, rtol=1e-10)


def test_recomputed_statistics_at_every_point():
    a, b, data = classifier(0), classifier(1), digits()
    found = paths.linear(a, a, b, data=data, points=5, batch_norm="recompute")
    mixed = {n: 0.75 * t + 0.25 * b.state_dict()[n] if t.is_floating_point() else t for n, t in a.state_dict().items()}
    model = copy.deepcopy(a)
    model.load_state_dict(mixed)
    z = model[0](data[0])
    hidden = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt() * model[1].weight + model[1].bias
    loss = nn.functional.cross_entropy(model[3](hidden.relu()), data[1]).detach()
    assert found.loss[1] == pytest.approx(float(loss), rel=1e-10)


def test_test_data_are_followed_too_with_the_statistics_of_the_data():
    a, b, (x, y) = classifier(0), classifier(1), digits()
    found = paths.linear(a, a, b, data=(x[:30], y[:30]), test=(x[30:], y[30:]), points=3, batch_norm="recompute")
    whole = paths.linear(a, a, b, data=(x[:30], y[:30]), points=3, batch_norm="recompute")
    assert found.test is not None
    assert found.test.samples.shape == (3, 10)
    np.testing.assert_array_equal(found.loss, whole.loss)


def test_a_callable_loss_is_a_mean_over_samples():
    a, b, data = classifier(0), classifier(1), digits()
    named = paths.linear(a, a, b, data=data, points=3)
    called = paths.linear(a, a, b, loss=nn.functional.cross_entropy, data=data, points=3)
    np.testing.assert_allclose(called.samples, named.samples, rtol=1e-12)


def test_tied_weights_move_together():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = nn.Linear(2, 2)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    one, two = Tied(), Tied()
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    found = paths.linear(one, one, two, loss="mse", data=(x, x), points=3)
    assert found.loss[-1] == pytest.approx(float((two(x) - x).square().mean().detach()), rel=1e-5)


def test_known_points_are_not_evaluated_again_and_other_paths_refused():
    a, b, data = classifier(0), classifier(1), digits()
    half = paths.linear(a, a, b, data=data, points=3)
    places: list[tuple[int, int]] = []
    found = paths.linear(a, a, b, data=data, points=5, known=half, progress=lambda *now: places.append(now))
    np.testing.assert_array_equal(found.loss, paths.linear(a, a, b, data=data, points=5).loss)
    assert places[0] == (3, 5)
    with pytest.raises(InvalidInput, match="another path"):
        paths.linear(a, b, a, data=data, points=5, known=half)


def test_interrupted_it_keeps_what_it_has():
    a, b, data = classifier(0), classifier(1), digits()

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        paths.linear(a, a, b, data=data, points=5, progress=stop)
    partial = caught.value.partial
    assert partial.t.tolist() == [0.0, 0.25, 1.0]
    assert np.isfinite(partial.barrier.value)
    whole = paths.linear(a, a, b, data=data, points=5, known=partial)
    np.testing.assert_array_equal(whole.loss, paths.linear(a, a, b, data=data, points=5).loss)


def test_it_draws_itself():
    a, b, data = classifier(0), classifier(1), digits()
    figure = paths.linear(a, a, b, data=data, test=data, points=5).plot()
    assert len(figure.panels) == 2
    assert "Barrier" in figure.caption


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"points": [0.0, 0.5]}, InvalidInput, "both ends"),
        ({"points": 1}, InvalidInput, "points"),
        ({"batch_norm": "forget"}, UnknownName, "batch_norm"),
        ({"loss": "hinge"}, UnknownName, "loss"),
        ({"b": {"0.weight": torch.zeros(1, 1)}}, InvalidInput, "shape"),
    ],
    ids=["ends", "one", "norm", "loss", "state"],
)
def test_what_does_not_fit_is_refused(options, error, told):
    a, data = classifier(0), digits()
    with pytest.raises(error, match=told):
        paths.linear(a, a, **{"b": classifier(1), "data": data, **options})


def weight(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.tensor([[value]])}


def double_well(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return ((z**2 - 1) ** 2).mean()


def test_a_known_path_to_another_end_or_of_other_test_data_is_refused():
    line, x = nn.Linear(1, 1, bias=False), torch.ones(2, 1)
    setting = {"loss": double_well, "data": (x, x), "points": 5}
    known = paths.linear(line, weight(-1.0), weight(1.0), **setting, test=(x, x))
    with pytest.raises(InvalidInput, match="another path"):
        paths.linear(line, weight(-1.0), weight(-2.0), **setting, known=known)
    with pytest.raises(InvalidInput, match="other data"):
        paths.linear(line, weight(-1.0), weight(1.0), **setting, test=(3 * x, x), known=known)


def test_along_takes_a_model_in_training_mode_as_in_evaluation_and_leaves_it():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1), nn.Dropout(0.5)).train()
    data = (torch.tensor([[0.0], [2.0]]), torch.zeros(2, 1))
    found = paths.along(model, lambda t: {"0.weight": torch.ones(1, 1)}, loss="mse", data=data, points=3)
    np.testing.assert_allclose(found.loss, 2.0, rtol=1e-4)  # of 0 and 2, by running statistics 0 and 1; BN's epsilon
    assert int(model[1].num_batches_tracked) == 0
    assert model.training


def test_a_parameter_with_two_names_is_given_by_either_and_not_by_both_differently():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    model[1].weight = model[0].weight
    x = torch.ones(2, 1)
    ends = [{"1.weight": torch.full((1, 1), value)} for value in (0.0, 3.0)]
    assert paths.linear(model, *ends, loss="mse", data=(x, 0 * x), points=3).loss.tolist() == [0.0, 1.5**4, 81.0]
    with pytest.raises(InvalidInput, match="one parameter"):
        paths.linear(model, {"0.weight": torch.ones(1, 1), **ends[1]}, ends[0], loss="mse", data=(x, x))


def test_outputs_that_are_no_numbers_are_wrong_and_their_path_is_drawn():
    line, x = nn.Linear(1, 2, bias=False), torch.ones(3, 1)
    ends = [{"weight": torch.tensor([[value], [0.0]])} for value in (1.0, float("1e38"))]
    path = paths.linear(line, *ends, loss=lambda z, y: (z * 1e10).logsumexp(1).mean() * 0, data=(x, x[:, 0].long()),
                        points=3)  # fmt: skip
    assert np.isnan(path.loss[-1])
    assert path.plot().panels
    with pytest.raises(InvalidInput, match="no bias"):
        _ = path.barrier.bias
    assert np.isinf(path.barrier.stderr)
