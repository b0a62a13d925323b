"""Mean and covariance over initialisations: Monte-Carlo ensembles, Gaussian-process posteriors, dense formulas."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.kernels.dynamics import KernelBlocks, LinearisedTraining, NewSamples, predict_ensemble
from lemmata.training import GD, SGD

F64 = torch.float64
N, M, C = 8, 5, 2


def draws(seed=0):
    g = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=g, dtype=F64)


def linear_kernels(seed=0):
    """Two different kernels of features, and targets."""
    draw = draws(seed)
    blocks = []
    for _ in range(2):
        A, B = draw(N, 20) / 4, draw(M, 20) / 4
        blocks.append(KernelBlocks(A @ A.T, B @ A.T, B @ B.T))
    return *blocks, draw(N, C), draw(M, C)


def test_the_mean_and_covariance_are_equations_14_and_15_written_out():
    theta, K, y, _ = linear_kernels()
    t = 0.7
    found = predict_ensemble(theta, K, y, times=[t], loss="half_sum")
    propagator = np.eye(N) - expm(-t * theta.train.numpy())
    A = theta.cross.numpy() @ np.linalg.inv(theta.train.numpy()) @ propagator
    covariance = K.test.numpy() + A @ K.train.numpy() @ A.T - (A @ K.cross.numpy().T + K.cross.numpy() @ A.T)
    np.testing.assert_allclose(found.mean[0].numpy(), A @ y.numpy(), atol=1e-10)
    np.testing.assert_allclose(found.covariance[0].numpy(), covariance, atol=1e-10)
    np.testing.assert_allclose(found.deviation[0].numpy() ** 2, np.diag(covariance), atol=1e-10)


@pytest.mark.parametrize("rule", [None, GD(lr=0.1), SGD(lr=0.05, momentum=0.9, nesterov=True)])
def test_an_ensemble_of_linear_models_has_this_mean_and_covariance(rule):
    """60,000 members, whose outputs at the start are drawn from the process: every moment within 5 standard errors.

    80 moments are compared: the chance that a right one fails is below 80 * 6e-7.
    """
    theta, K, y, z = linear_kernels(1)
    members, times = 60_000, [0, 3, 40]
    joint = torch.cat([torch.cat([K.train, K.cross.T], 1), torch.cat([K.cross, K.test], 1)], 0)
    values, vectors = torch.linalg.eigh(joint)
    root = vectors * values.clamp(min=0).sqrt()
    start = root @ draws(7)(N + M, members)  # every column a member, one output
    run = LinearisedTraining(theta.train, y[:, :1].expand(N, members), f0=start[:N], loss="half_sum",
                             test=NewSamples(theta.cross, start[N:])).run(times, rule)  # fmt: skip
    found = predict_ensemble(
        theta, K, y[:, :1], times=times, rule=rule, loss="half_sum", y_test=z[:, :1], covariance=True
    )
    ensemble = run.test_outputs
    for place in range(len(times)):
        sample, mean = ensemble[place], found.mean[place, :, 0]
        assert ((sample.mean(1) - mean).abs() <= 5 * sample.std(1) / math.sqrt(members)).all()
        covariance = found.covariance[place]
        variances = covariance.diagonal()[:, None] * covariance.diagonal()[None] + covariance.square()
        assert ((torch.cov(sample) - covariance).abs() <= 5 * (variances / members).sqrt()).all()
        train = run.train_outputs[place]
        assert ((train.mean(1) - found.train_mean[place, :, 0]).abs() <= 5 * train.std(1) / math.sqrt(members)).all()
        np.testing.assert_allclose(found.train_deviation[place], train.std(1), rtol=0.02)
        losses = (train - y[:, :1]).square().sum(0) / 2
        assert float((losses.mean() - found.train_loss[place]).abs()) <= 5 * float(losses.std()) / math.sqrt(members)
        losses = (sample - z[:, :1]).square().sum(0) / 2
        assert float((losses.mean() - found.test_loss[place]).abs()) <= 5 * float(losses.std()) / math.sqrt(members)


def test_with_one_kernel_the_limit_is_the_posterior_of_the_gaussian_process():
    draw = draws(2)
    x, z, y = draw(N, 3), draw(M, 3), draw(N)
    kernel = RBF(1.3)
    process = GaussianProcessRegressor(kernel, optimizer=None, alpha=1e-10).fit(x.numpy(), y.numpy())
    mean, covariance = process.predict(z.numpy(), return_cov=True)
    blocks = KernelBlocks.of(
        lambda a, b: torch.as_tensor(kernel(a.numpy(), None if b is None else b.numpy())), x, z
    )  # fmt: skip
    found = predict_ensemble(blocks, blocks, y)
    np.testing.assert_allclose(found.mean[0, :, 0].numpy(), mean, atol=1e-6)  # their jitter of 1e-10 on the diagonal
    np.testing.assert_allclose(found.covariance[0].numpy(), covariance, atol=1e-6)
    assert found.train_deviation.abs().max() < 1e-7
    assert found.train_loss[0] < 1e-14


@pytest.mark.parametrize("loss", ["mse", "half_mse", "half_mean", "half_sum"])
def test_the_expected_loss_is_that_of_bias_and_variance(loss):
    theta, K, y, z = linear_kernels(6)
    found = predict_ensemble(theta, K, y, times=[3.0], loss=loss, y_test=z)
    outputs = (found.mean[0] - z).square() + found.deviation[0, :, None].square()  # each output has the same variance
    share = {"mse": 1 / (M * C), "half_mse": 0.5 / (M * C), "half_mean": 0.5 / M, "half_sum": 0.5}[loss]
    assert float(found.test_loss[0]) == pytest.approx(share * float(outputs.sum()))


def test_before_training_it_is_the_prior():
    theta, K, y, _ = linear_kernels(3)
    found = predict_ensemble(theta, K, y, times=[0])
    assert found.mean.abs().max() == 0
    torch.testing.assert_close(found.covariance[0], K.test)
    torch.testing.assert_close(found.train_deviation[0].square(), K.train.diagonal())


def test_rules_and_losses_meet_in_the_limit():
    theta, K, y, _ = linear_kernels(4)
    flow = predict_ensemble(theta, K, y)
    steps = predict_ensemble(theta, K, y, rule=SGD(lr=0.1, momentum=0.9), times=[math.inf], loss="half_sum")
    torch.testing.assert_close(flow.mean, steps.mean)
    torch.testing.assert_close(flow.covariance, steps.covariance)


def test_deviations_without_the_covariance():
    theta, K, y, _ = linear_kernels(5)
    full, less = (predict_ensemble(theta, K, y, times=[0.1, 2.0], covariance=keep) for keep in (True, False))
    assert less.covariance is None
    torch.testing.assert_close(full.deviation, less.deviation)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"y": torch.ones(N + 1)}, "same samples"),
        ({"loss": "cross_entropy"}, "Gaussian"),
        ({"times": [-1.0]}, "negative"),
        ({"rule": GD(lr=1e3)}, "stable below"),
        ({"memory": 1000}, "GB"),
        ({"y_test": torch.ones(M)}, "test targets"),
        ({"nngp": KernelBlocks(torch.eye(N), torch.ones(M, N), torch.eye(M + 1))}, "nngp: blocks"),
        ({"nngp": KernelBlocks(torch.eye(3), torch.ones(M, 3), torch.eye(M))}, "same samples"),
        ({"nngp": KernelBlocks(torch.eye(N), 2 * torch.ones(M, N), torch.eye(M))}, "one covariance"),
        ({"ntk": KernelBlocks(-torch.eye(N), torch.ones(M, N), torch.eye(M))}, "not positive semidefinite"),
        ({"ntk": KernelBlocks(torch.ones(N, N, 1, 1), torch.ones(M, N), torch.eye(M))}, "limit kernel"),
    ],
)
def test_refuses(change, word):
    theta, K, y, _ = linear_kernels()
    given = {"ntk": theta, "nngp": K, "y": y, **change}
    ntk, nngp, targets = (given.pop(name) for name in ("ntk", "nngp", "y"))
    with pytest.raises(InvalidInput, match=word):
        predict_ensemble(ntk, nngp, targets, **given)


def test_plot():
    theta, K, y, z = linear_kernels()
    figure = predict_ensemble(theta, K, y, times=torch.linspace(0, 30, 40), y_test=z).plot()
    assert static.render(figure, None).startswith("<svg")
    assert {series.role for panel in figure.panels for series in panel.series} == {"measured"}  # told apart by colour
