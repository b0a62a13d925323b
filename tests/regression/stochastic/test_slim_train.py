"""slimTrain against closed forms with fixed features, against its own gradient, and against Adam."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.regression.stochastic import slim_train


def peaks(n, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = 6 * torch.rand(n, 2, generator=draw, dtype=torch.float64) - 3
    a, b = x.T
    y = 3 * (1 - a) ** 2 * torch.exp(-(a**2) - (b + 1) ** 2)
    return x, y - 10 * (a / 5 - a**3 - b**5) * torch.exp(-(a**2) - b**2) - torch.exp(-((a + 1) ** 2) - b**2) / 3


def features(width=20, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.Tanh()).double()


def test_fixed_features_and_full_memory_give_the_tikhonov_solution():
    """One epoch of 10 batches adds 10 times the ridge. Relative 1e-8: the condition is 1e6, squared by the oracle."""
    (x, y), phi = peaks(200), features()
    fit = slim_train(phi, x, y, memory=None, batch=20, epochs=1, ridge=0.05, optimiser=None)
    Z = torch.cat([phi(x), torch.ones(200, 1).double()], 1).detach()
    W = torch.linalg.solve(Z.T @ Z + 0.5 * torch.eye(21).double(), Z.T @ y)
    torch.testing.assert_close(torch.cat([fit.weights, fit.intercept[None]])[:, 0], W, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(fit.predict(x)[:, 0], Z @ W)
    assert fit.train_loss[-1] == pytest.approx(float((Z @ W - y).square().mean()))
    assert fit.penalties[-1] == pytest.approx(0.5)


def test_the_features_move_along_the_gradient_with_the_last_layer_held():
    """One step of plain gradient descent, against the definition written out."""
    (x, y), phi = peaks(16), features(4)
    fit = slim_train(
        phi, x, y, batch=16, epochs=1, ridge=0.3, weight_decay=0.1, optimiser=lambda p: torch.optim.SGD(p, lr=0.05)
    )
    K, b = phi[0].weight.detach().clone().requires_grad_(), phi[0].bias.detach().clone().requires_grad_()
    Z = torch.cat([torch.tanh(x @ K.T + b), torch.ones(16, 1).double()], 1)
    W = torch.linalg.solve(Z.T @ Z + 0.3 * torch.eye(5).double(), Z.T @ y[:, None]).detach()
    ((Z @ W - y[:, None]).square().sum() / 32 + 0.05 * (K.square().sum() + b.square().sum())).backward()
    torch.testing.assert_close(fit.features[0].weight, K - 0.05 * K.grad)
    torch.testing.assert_close(fit.features[0].bias, b - 0.05 * b.grad)


def test_the_module_is_left_alone_and_the_seed_decides():
    (x, y), phi = peaks(100), features(5)
    before = {name: p.clone() for name, p in phi.state_dict().items()}
    one, two, other = (slim_train(phi, x, y, epochs=2, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(p, before[name]) for name, p in phi.state_dict().items())
    assert torch.equal(one.weights, two.weights)
    assert not torch.equal(one.weights, other.weights)
    assert not torch.equal(one.features[0].weight, phi[0].weight)


def adam(phi, x, y, *, lr, epochs, batch=32):
    """Train the whole network by Adam: the loss on all data after each epoch."""
    torch.manual_seed(1)
    network = nn.Sequential(*phi, nn.Linear(phi[0].out_features, 1).double())
    optimiser, losses = torch.optim.Adam(network.parameters(), lr=lr), []
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            optimiser.zero_grad()
            (network(x[rows])[:, 0] - y[rows]).square().mean().backward()
            optimiser.step()
        with torch.no_grad():
            losses.append(float((network(x)[:, 0] - y).square().mean()))
    return np.array(losses)


def test_at_one_step_size_it_is_ahead_of_adam_on_the_whole_network():
    """At Adam's default of 1e-3, epoch by epoch: less than half of its loss after 5 and after 10 epochs."""
    x, y = peaks(1000)
    slim = slim_train(features(32), x, y, epochs=10, lr=1e-3).train_loss
    whole = adam(features(32), x, y, lr=1e-3, epochs=10)
    assert slim[5] < whole[4] / 2
    assert slim[10] < whole[9] / 2


def test_judging_on_the_next_batch_keeps_weights_that_moving_features_survive():
    """Sampled GCV on noise-free data takes penalties near rounding; the loss after each epoch shows it."""
    x, y = peaks(1000)
    runs = {rule: slim_train(features(64), x, y, memory=2, epochs=5, lr=1e-2, ridge=rule) for rule in ("sgcv", "next")}
    worst = {rule: run.train_loss[1:].max() for rule, run in runs.items()}
    assert worst["next"] < 2
    assert worst["sgcv"] > 10
    assert np.median(runs["sgcv"].penalties) < np.median(runs["next"].penalties) / 10


def test_several_outputs_float32_and_test_data():
    x, y = peaks(200)
    targets = torch.stack([y, x[:, 0]], 1).float()
    phi = features(10).float()
    fit = slim_train(phi, x.float(), targets, epochs=3, test=(x[:50].float(), targets[:50]), optimiser="sgd")
    assert fit.weights.shape == (10, 2)
    assert fit.weights.dtype == torch.float32
    assert fit.test_loss.shape == (4,)
    assert [panel.y.label for panel in fit.plot().panels] == ["mean squared error", "penalty Lambda"]


def test_what_cannot_be_trained_is_refused():
    (x, y), phi = peaks(20), features(3)
    for arguments, message in (
        ((phi, x[:0], y[:0]), "expected n samples"),
        ((phi, x, y[:5]), "expected n samples"),
        ((phi, x, torch.arange(20)), "floating targets"),
        ((phi, x * torch.nan, y), "NaN or infinity"),
        ((phi, x.numpy(), y), "x is a ndarray; give a torch tensor"),
        ((3, x, y), "features are a int; give a torch module"),
        ((phi, x, y.float()), "make them one dtype"),
        ((nn.Flatten(0), x, y), "expected \\(1, m\\)"),
    ):
        with pytest.raises(InvalidInput, match=message):
            slim_train(*arguments, batch=5)
    for options, message in (
        ({"batch": 21}, "batch = 21"),
        ({"epochs": 0}, "epochs = 0"),
        ({"batch": 5, "lr": -1.0}, "lr = -1.0; it must be finite and positive"),
        ({"batch": 5, "lr": np.nan}, "lr = nan"),
        ({"batch": 5, "weight_decay": -1.0}, "weight_decay = -1.0"),
        ({"batch": 5, "test": x}, "give a pair of tensors"),
        ({"batch": 5, "test": (x[:, :1], y)}, "expected those of the training data"),
    ):
        with pytest.raises(InvalidInput, match=message):
            slim_train(phi, x, y, **options)
    with pytest.raises(UnknownName, match="unknown optimiser"):
        slim_train(phi, x, y, batch=5, optimiser="lbfgs")
    diverging = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double()
    with pytest.raises(InvalidInput, match="take smaller steps"):
        slim_train(diverging, x, 1e200 * y, batch=5, epochs=50, optimiser=lambda p: torch.optim.SGD(p, lr=1e200))


def test_samples_that_the_features_do_not_take_are_named():
    x, y = peaks(20)
    with pytest.raises(InvalidInput, match=r"cannot be computed of x of shape \(20, 3\)"):
        slim_train(features(), torch.cat([x, x[:, :1]], 1), y, batch=10)
    with pytest.raises(InvalidInput, match=r"cannot be computed of x of shape \(20, 1\)"):
        slim_train(features(), x, y, batch=10, epochs=1).predict(x[:, :1])
