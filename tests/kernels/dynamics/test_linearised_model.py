"""The linearised model, trained by the ordinary loop, against the closed form; at other scales, and beside its copy."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from lemmata import nets
from lemmata.kernels.dynamics import Antisymmetric, LinearisedTraining, ScaledModel, linearise
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.training import GD, SGD, train

F64 = torch.float64
D, C = 3, 2


def network(seed=0, outputs=C):
    return nets.mlp(D, [6, 5], outputs, activation="tanh", seed=seed, dtype=F64)


def samples(n=9, seed=3):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, D, generator=g, dtype=F64)
    return x, torch.stack([x.sum(1).sin(), x.prod(1)], 1)


def test_linearise_is_the_first_order_expansion_and_its_gradient_is_constant():
    model, (x, _) = network(), samples()
    linear = linearise(model)
    own = dict(model.named_parameters())
    J = jacrev(lambda theta: functional_call(model, theta, (x,)))({n: p.detach() for n, p in own.items()})
    g = torch.Generator().manual_seed(1)
    expected = model(x).detach()
    with torch.no_grad():
        for name, p in linear.network.named_parameters():
            step = torch.randn(p.shape, generator=g, dtype=F64)
            p.add_(step)
            expected = expected + torch.einsum("ia...,...->ia", J[name].flatten(2), step.flatten())
    torch.testing.assert_close(linear(x), expected, rtol=1e-12, atol=1e-12)
    slope = torch.autograd.grad(linear(x)[0, 1], linear.network.get_parameter("hidden1.weight"))[0]
    torch.testing.assert_close(slope, J["hidden1.weight"][0, 1])


@pytest.mark.parametrize(
    ("loss", "rule"),
    [
        ("mse", GD(lr=0.2)),
        ("mse", SGD(lr=0.05, momentum=0.9)),
        ("mse", SGD(lr=0.05, momentum=0.9, nesterov=True)),
        ("cross_entropy", SGD(lr=0.3, momentum=0.5)),
    ],
)
def test_the_ordinary_loop_on_the_linearised_model_is_the_closed_form(loss, rule):
    (x, y), (z, _) = samples(), samples(5, seed=8)
    targets = y if loss == "mse" else (y[:, 0] > 0).long()
    models = [network(seed) for seed in range(3)]
    trained = train([linearise(m) for m in models], x, targets, loss=loss, optimiser=rule, epochs=40)
    run = LinearisedTraining.of(models, x, targets, loss=loss, x_test=z).run([0, 40], rule)
    found = run.parameters()
    for i, model in enumerate(models):
        linear = trained.model(i)
        torch.testing.assert_close(run.train_outputs[i, 1], linear(x), rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(run.test_outputs[i, 1], linear(z), rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(run.train_outputs[i, 0], model(x))
        for name in found:
            torch.testing.assert_close(found[name][i], trained.states[f"network.{name}"][i], rtol=1e-9, atol=1e-10)
    assert trained.final["train_loss"].tolist() == pytest.approx(run.train_loss[:, 1].tolist(), rel=1e-9)


@pytest.mark.parametrize("centred", [True, False])
def test_training_at_a_scale_is_the_closed_form_at_that_scale(centred):
    (x, y), (z, _), model, scale = samples(), samples(5, seed=8), network(), 50.0
    scaled = ScaledModel(model, scale, centred=centred)
    linear, rule = ScaledModel(linearise(model), scale, centred=centred), GD(lr=0.3)
    run = LinearisedTraining.of(model, x, y, x_test=z, scale=scale, centred=centred).run([0, 30], rule)
    torch.testing.assert_close(run.train_outputs[0], scaled(x).detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(run.test_outputs[0], scaled(z).detach(), rtol=1e-12, atol=1e-12)
    trained = train([linear], x, y, loss=linear.loss("mse"), optimiser=rule, epochs=30)
    torch.testing.assert_close(run.train_outputs[1], trained.model(0)(x), rtol=1e-9, atol=1e-9)
    away = [trained.states[f"network.network.{n}"][0] - p.detach() for n, p in model.named_parameters()]
    assert float(run.distance[1]) == pytest.approx(float(torch.cat([a.flatten() for a in away]).norm()), rel=1e-9)
    # and the network itself trains like this: the gap is of relative order 1 / scale when centred
    for name, moved in run.parameters().items():
        torch.testing.assert_close(moved, trained.states[f"network.network.{name}"][0], rtol=1e-9, atol=1e-10)
    one = LinearisedTraining.of(model, x, y, x_test=z, scale=3.0, centred=centred).at_scale(scale).run([0, 30], rule)
    torch.testing.assert_close(one.train_outputs, run.train_outputs)
    torch.testing.assert_close(one.test_outputs, run.test_outputs)
    torch.testing.assert_close(one.distance, run.distance)
    itself = train([scaled], x, y, loss=scaled.loss("mse"), optimiser=rule, epochs=30)
    if centred:
        torch.testing.assert_close(run.train_outputs[1], itself.model(0)(x), rtol=0, atol=0.05)


def test_networks_of_different_scales_train_together():
    (x, y), scales = samples(), [0.5, 2.0, 20.0]
    models = [ScaledModel(network(3), scale) for scale in scales]
    together = train(models, x, y, loss="mse", optimiser=GD(lr=[0.2 / scale**2 for scale in scales]), epochs=15)
    for i, (model, scale) in enumerate(zip(models, scales, strict=True)):
        alone = train([model], x, y, loss=model.loss("mse"), optimiser=GD(lr=0.2), epochs=15)
        torch.testing.assert_close(together.model(i)(x), alone.model(0)(x))
        assert float(together.states["scale"][i]) == scale


def test_the_difference_of_a_network_and_its_copy_starts_at_zero_with_the_same_kernel():
    (x, y), model = samples(), network()
    double = Antisymmetric(model)
    assert double(x).abs().max() == 0
    one, two = (LinearisedTraining.of(m, x, y, centred=True) for m in (model, double))
    torch.testing.assert_close(one.train.kernel, two.train.kernel)
    assert double.plus.output.weight.data_ptr() != double.minus.output.weight.data_ptr()


def test_parameters_that_are_frozen_stay_constants():
    model, (x, y), (z, _) = network(), samples(), samples(5, seed=8)
    model.get_submodule("hidden1").requires_grad_(False)
    linear = linearise(model)
    trained = train([linear], x, y, loss="mse", optimiser=GD(lr=0.2), epochs=10)
    run = LinearisedTraining.of(model, x, y, x_test=z).run([10], GD(lr=0.2))
    torch.testing.assert_close(run.train_outputs[0], trained.model(0)(x), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(run.test_outputs[0], trained.model(0)(z), rtol=1e-9, atol=1e-10)
    assert set(run.parameters()) == {n for n, p in model.named_parameters() if p.requires_grad}


def test_a_network_with_batch_normalisation_is_linearised_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(D, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Linear(4, C)).to(F64)
    model(samples()[0])  # moves the running statistics
    x, y = samples()
    result = train([linearise(model)], x, y, loss="mse", optimiser=GD(lr=0.1), epochs=5)
    run = LinearisedTraining.of(model, x, y).run([5], GD(lr=0.1))
    torch.testing.assert_close(run.train_outputs[0], result.model(0)(x), rtol=1e-8, atol=1e-9)
    assert model.training


def test_float32_models_and_kernel_matrices_are_read():
    model, (x, y) = network().float(), samples()
    run = LinearisedTraining.of(model, x.float(), y.float()).run([0, 10], GD(lr=0.1))
    assert run.train_outputs.dtype == F64
    found = LinearisedTraining(KernelMatrix(torch.eye(3), name="identity", symmetric=True), torch.ones(3)).run([1.0])
    assert found.train_outputs.shape == (1, 3, 1)
    assert isinstance(run.parameters()["hidden1.weight"], torch.Tensor)
