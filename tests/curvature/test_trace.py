"""Exact traces against dense float64 Hessians, and estimates against exact traces.

Tolerance 1e-10 of the trace: both sides are sums of some thousand float64 terms of order one.
"""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from lemmata import curvature, nets
from lemmata.errors import UnknownName
from lemmata.objective import Objective


def saddle(z, y):
    """A loss that is not convex in the outputs."""
    return torch.cos(2 * z - y).sum(1).mean() + (z[:, 0] * z[:, 1]).mean()


def weighted(z, y):
    """Cross-entropy with weights of classes, which torch divides by the weights of the batch."""
    return functional.cross_entropy(z, (y[:, 0] > 0).long(), torch.tensor([1.0, 5.0, 2.0], dtype=z.dtype))


def absolute(z, y):
    """Piecewise linear in the outputs: its Gauss-Newton matrix vanishes."""
    return (z - y).abs().mean()


def assert_close(found, wanted):
    wanted = {name: float(value) for name, value in wanted.items()}
    size = 1e-10 * max(sum(map(abs, wanted.values())), 1e-3)
    assert found.by_parameter.keys() == wanted.keys()
    for name, value in wanted.items():
        assert abs(found.by_parameter[name] - value) < size, name
    assert abs(found.value - sum(wanted.values())) < size


def traces(problem):
    return {name: entries.sum() for name, entries in problem.diagonal().items()}


def test_trace_of_every_block_equals_that_of_the_dense_hessian(piecewise_linear):
    p = piecewise_linear
    found = curvature.trace((p.model, p.loss, (p.x, p.y)), method="exact")
    assert_close(found, traces(p))
    assert (found.stderr, found.n, found.converged, found.method) == (0.0, 1, True, "exact")
    assert found.interval() == (found.value, found.value)


@pytest.mark.parametrize("loss", ["mse", saddle, weighted, absolute])
@pytest.mark.parametrize("name", ["ReLU perceptron", "convolutions with BN", "used twice in parallel"])
def test_every_loss(problem, name, loss):
    p = problem(name, loss)
    assert_close(curvature.trace((p.model, loss, (p.x, p.y)), method="exact"), traces(p))


def test_cross_entropy_over_places():
    """A network for segmentation: logits (n, C, places)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 3, 1)).double()
    x, y = torch.randn(5, 2, 6, dtype=torch.float64), torch.randint(3, (5, 6))
    objective = Objective(model, data=(x, y))
    found = curvature.trace(objective, method="exact")
    assert found.value == pytest.approx(float(objective.hessian().dense().trace()), rel=1e-10)


@pytest.mark.parametrize("loss", ["cross_entropy", weighted])
def test_batches_add_up_and_memory_only_cuts_the_work(problem, loss):
    p = problem("convolutions with BN", loss, samples=23)
    whole = curvature.trace(Objective(p.model, loss=loss, data=(p.x, p.y)), method="exact")
    nine = curvature.trace(Objective(p.model, loss=loss, data=(p.x, p.y)), method="exact", memory=5200)  # at once
    assert nine.by_parameter == pytest.approx(whole.by_parameter, rel=1e-12)
    if loss == "cross_entropy":  # the other has another mean over batches
        batches = Objective(p.model, data=[(p.x[:9], p.y[:9]), (p.x[9:], p.y[9:])], chunk=4)
        assert curvature.trace(batches, method="exact").by_parameter == pytest.approx(whole.by_parameter, rel=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu"])
def test_a_smooth_network_is_refused_with_operation_and_remedy(activation):
    x, y = torch.randn(6, 4), torch.randint(3, (6,))
    subject = (nets.mlp(4, [5], 3, activation=activation, seed=0), "cross_entropy", (x, y))
    with pytest.raises(curvature.NotExact, match=rf"{activation} in '{activation}1' .* take method='auto'"):
        curvature.trace(subject, method="exact")
    auto = curvature.trace(subject, products=20)
    assert auto.method == "hutch++"
    assert auto.stderr > 0


def test_the_theorem_fails_where_it_is_refused():
    """For tanh the two traces differ by far more than rounding: refusing is no excess of caution."""
    objective = Objective(
        nets.mlp(4, [5], 3, activation="tanh", seed=0, dtype=torch.float64),
        data=(torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3),
    )
    hessian, ggn = (float(matrix.dense().trace()) for matrix in (objective.hessian(), objective.ggn()))
    assert abs(hessian / ggn - 1) > 0.05
    assert curvature.trace(objective, operator="ggn", method="exact").value == pytest.approx(ggn, rel=1e-10)


@pytest.mark.parametrize("norm", [nn.LayerNorm, lambda c: nn.GroupNorm(2, c)])
def test_gauss_newton_of_a_transformer_block(norm):
    """No theorem is needed: attention, layer normalisation and GELU are exact too."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.norm, self.up, self.down = norm(4), nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            x = x + self.attention(x, x, x)[0]
            x = self.norm(x) if isinstance(self.norm, nn.LayerNorm) else self.norm(x.mT).mT
            return self.down(functional.gelu(self.up(x))).mean(1)

    torch.manual_seed(0)
    x = torch.randn(5, 6, 4, dtype=torch.float64)
    objective = Objective(Block().double(), data=(x, torch.arange(5) % 3))
    J = torch.func.jacrev(lambda theta: objective.outputs(theta, x))(objective.parameters)
    p = objective.outputs(objective.parameters, x).softmax(1)
    H = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / 5
    wanted = {name: torch.einsum("nip,nij,njp->", j.flatten(2), H, j.flatten(2)) for name, j in J.items()}
    found = curvature.trace(objective, operator="ggn", method="exact")
    assert_close(found, wanted)
    assert found.operator == "ggn"


def test_gauss_newton_is_estimated_at_its_own_cost(problem):
    p = problem("ReLU perceptron")
    subject = (p.model, p.loss, (p.x, p.y))
    found = curvature.trace(subject, operator="ggn", method="hutchinson", products=30)
    assert found.cost == pytest.approx(40)
    # 5 standard errors of 30 draws: fails with probability 1e-4.
    assert abs(found.value - curvature.trace(subject, operator="ggn").value) < 5 * found.stderr


def test_the_last_layer_of_any_network_is_exact():
    model = nets.mlp(4, [5, 5], 3, activation="tanh", seed=0, dtype=torch.float64)
    objective = Objective(
        model, data=(torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3), parameters=["output"]
    )
    found = curvature.trace(objective, method="exact")
    assert found.by_parameter.keys() == {"output.weight", "output.bias"}
    assert found.value == pytest.approx(float(objective.hessian().dense().trace()), rel=1e-10)


def test_samples_that_mix_are_refused():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            h = self.first(x)
            return self.second(torch.relu(h - h.mean(0)))

    torch.manual_seed(0)
    subject = (Centred(), "cross_entropy", (torch.randn(20, 4), torch.arange(20) % 3))
    with pytest.raises(curvature.NotExact, match="depend on the other samples"):
        curvature.trace(subject, method="exact")
    assert curvature.trace(subject, products=12).method == "hutch++"
    norm = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    trained = Objective(norm, data=subject[2], mode="train")
    with pytest.raises(curvature.NotExact, match="statistics of the batch"):
        curvature.trace(trained, method="exact")
    with pytest.raises(curvature.NotExact, match="depend on the other samples"):
        curvature.trace(trained, operator="ggn", method="exact")


def test_parameters_behind_batch_statistics_are_exact_in_training_mode():
    """The parameters after the normalisation see it as data, if those before it stand still."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.arange(20) % 3
    objective = Objective(model.double(), data=(x, y), mode="train", parameters=["3", "5"])
    found = curvature.trace(objective, method="exact", memory=2**10)
    assert found.value == pytest.approx(float(objective.hessian().dense().trace()), rel=1e-10)


def test_a_loss_that_couples_samples_is_refused(problem):
    p = problem("ReLU perceptron")
    with pytest.raises(curvature.NotExact, match="the loss couples samples"):
        curvature.trace((p.model, lambda z, y: z.mean() ** 2, (p.x, p.y)), method="exact")


def test_kinks_and_ties_agree_with_what_autograd_differentiates():
    """On inputs of zeros without biases every ReLU sits on its kink, and every maximum is a tie."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(1, 3, 2, bias=False),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Linear(6, 4),
        nn.ReLU(),
        nn.Linear(4, 3),
    ).double()
    x = torch.zeros(6, 1, 5, dtype=torch.float64)
    x[3:] = torch.ones(5)
    objective = Objective(model, data=(x, torch.arange(6) % 3))
    found = curvature.diagonal(objective, method="exact")
    dense = objective.hessian().dense().diagonal()
    torch.testing.assert_close(objective.vector(found.value), dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["hutchinson", "hutch++", "xtrace"])
def test_intervals_of_the_estimators_cover_the_exact_trace(problem, method):
    """24 intervals of 95 %: fewer than 17 cover with probability 1e-5, or 1e-3 if they cover 88 % only (XTrace)."""
    p = problem("leaky ReLU perceptron")
    subject = (p.model, p.loss, (p.x, p.y))
    exact = curvature.trace(subject).value
    covered = 0
    for seed in range(24):
        low, high = curvature.trace(subject, method=method, products=24, seed=seed).interval()
        covered += low <= exact <= high
    assert covered >= 17


def test_hutchinson_estimates_every_block(problem):
    p = problem("leaky ReLU perceptron")
    subject = (p.model, p.loss, (p.x, p.y))
    exact = curvature.trace(subject)
    found = curvature.trace(subject, method="hutchinson", products=400, seed=1)
    assert sum(found.by_parameter.values()) == pytest.approx(found.value, rel=1e-10)
    for name, value in exact.by_parameter.items():  # 5 standard errors: fails with probability 1e-5
        assert abs(found.by_parameter[name] - value) < 5 * found.stderr_by_parameter[name] + 1e-12
    assert found.cost == pytest.approx(800)
    assert (found.value, found.stderr) == (
        curvature.trace(subject, method="hutchinson", products=400, seed=1).value,
        found.stderr,
    )


def test_auto_estimates_where_exact_would_cost_more():
    x = torch.randn(4, 3)
    subject = (nets.mlp(3, [4], 40, seed=0), "mse", (x, torch.randn(4, 40)))
    assert curvature.trace(subject, products=100).method == "exact"
    assert curvature.trace(subject, products=12).method == "hutch++"


def test_float32_is_summed_in_float64(problem):
    p = problem("convolutions with BN", samples=200)
    exact = curvature.trace((p.model, p.loss, (p.x, p.y)))
    single = curvature.trace((copy.deepcopy(p.model).float(), p.loss, (p.x.float(), p.y)))
    assert single.value == pytest.approx(exact.value, rel=1e-5)  # the squares are float32


def test_cost_is_that_of_passes_through_activations():
    """MLP 784-256-128-10: 1/3 forward; 9 passes through 34,048 of 234,752 weights; squares next to nothing."""
    x, y = torch.randn(64, 784), torch.arange(64) % 10
    found = curvature.trace((nets.mlp(784, [256, 128], 10, seed=0), "cross_entropy", (x, y)))
    assert found.cost == pytest.approx(1 / 3 + 9 / 3 * 34048 / 234752, rel=0.02)


def test_the_model_is_left_alone(problem):
    p = problem("convolutions with BN")
    p.model.train()
    before = copy.deepcopy(p.model.state_dict())
    curvature.trace(Objective(p.model, data=(p.x, p.y), mode="eval"))
    assert p.model.training
    assert all(torch.equal(tensor, p.model.state_dict()[name]) for name, tensor in before.items())
    assert all(q.grad is None and q.requires_grad for q in p.model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in p.model.modules())


def test_unknown_names_are_offered_the_nearest(problem):
    p = problem("linear model")
    with pytest.raises(UnknownName, match="did you mean 'hutchinson'"):
        curvature.trace((p.model, p.loss, (p.x, p.y)), method="hutchinsen")
    with pytest.raises(UnknownName, match="operator 'fisher'"):
        curvature.trace((p.model, p.loss, (p.x, p.y)), operator="fisher")


def test_plot_shows_layers(problem, tmp_path):
    p = problem("residual network")
    found = curvature.trace((p.model, p.loss, (p.x, p.y)))
    (panel,) = found.plot().panels
    assert len(panel.x.ticks) == len(found.by_layer) == 19
    assert panel.x.ticks[:3] == ("conv1", "", "")
    assert panel.series[0].y.sum() == pytest.approx(found.value)
    assert found.plot().save(tmp_path / "trace.png").stat().st_size > 1000
    estimated = curvature.trace((p.model, p.loss, (p.x, p.y)), method="hutchinson", products=5)
    assert (estimated.plot().panels[0].series[0].high > estimated.plot().panels[0].series[0].y).any()
    assert len(curvature.trace((p.model, p.loss, (p.x, p.y)), method="xtrace", products=8).plot().panels) == 1


@pytest.mark.gpu
def test_on_a_gpu(piecewise_linear):
    p = piecewise_linear
    here = curvature.trace((p.model, p.loss, (p.x, p.y)), method="exact")
    there = curvature.trace((p.model.cuda(), p.loss, (p.x.cuda(), p.y.cuda())), method="exact")
    assert there.by_parameter == pytest.approx(here.by_parameter, rel=1e-9)
