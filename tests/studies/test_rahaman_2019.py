"""The study of Rahaman et al.: its spectra, moves and kernels against literal computations, and its verdicts."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from lemmata.plan import make
from lemmata.studies import _rahaman_2019_training as training
from lemmata.studies import rahaman_2019 as rahaman
from lemmata.studies._rahaman_2019_training import Sinusoids
from lemmata.training.ensemble import Ensemble

TINY: dict[str, Any] = {"n": 32, "count": 3, "width": 8, "depth": 2, "steps": 20}


@pytest.mark.parametrize("amplitudes", ["equal", "increasing"])
def test_targets_have_their_amplitudes_at_their_frequencies_and_nothing_else(amplitudes):
    """N A_k / 2 in modulus; float32 targets, 1e-4."""
    config = Sinusoids(amplitudes=amplitudes, n=64, lowest=3, spacing=5, count=4, seed=1)
    _, y, _ = training.draw(config)
    whole = np.abs(np.fft.rfft(y[:, 0].double().numpy()))
    expected = np.zeros(33)
    expected[[3, 8, 13, 18]] = 32 * (np.ones(4) if amplitudes == "equal" else np.array([0.25, 0.5, 0.75, 1]))
    np.testing.assert_allclose(whole, expected, atol=1e-4)
    np.testing.assert_allclose(np.abs(training.spectrum(y, config.frequencies)), expected[[3, 8, 13, 18]], atol=1e-4)


def test_features_have_their_bandwidth():
    """Inner products of features estimate exp(-(2 pi sigma dx)^2 / 2); 4,000 features, 4.5 standard errors."""
    x, _, _ = training.draw(Sinusoids(bandwidth=3.0, features=4000, n=64, seed=2))
    assert x.shape == (64, 8000)
    kernel = (x @ x.T / 4000).numpy()
    lag = np.subtract.outer(np.arange(64), np.arange(64)) / 64
    np.testing.assert_allclose(kernel, np.exp(-((2 * np.pi * 3 * lag) ** 2) / 2), atol=4.5 * (0.5 / 4000) ** 0.5)


def test_steps_are_those_of_torch():
    """20 steps of torch's Adam, float32: losses and shares to 1e-3."""
    config = Sinusoids(**TINY, seed=4)
    (found,) = training.run([config])
    x, y, net = training.draw(config)
    rule = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(20):
        rule.zero_grad()
        (net(x) - y).square().mean().backward()
        rule.step()
    with torch.no_grad():
        f = net(x)
    assert found.scalars["final_loss"] == pytest.approx(float((f - y).square().mean()), rel=1e-3)
    F, G = (np.fft.fft(part[:, 0].double().numpy())[[2, 4, 6]] for part in (f, y))
    shares = [found.curves[f"share_{i}"].y[-1] for i in range(3)]
    np.testing.assert_allclose(shares, 1 - np.abs(F - G) / np.abs(G), atol=1e-4)


def test_moves_have_their_length_and_are_undone():
    """A linear model: |F f_k| after a move by hand, direction by direction."""
    config = Sinusoids(**TINY, seed=0, perturbation=0.2)
    x, _, net = training.draw(config)
    ensemble = Ensemble.of([net], "mse")
    before = ensemble.theta.clone()
    found = training.retained(ensemble, x[None], config.frequencies, config, [0])[0]
    assert torch.equal(ensemble.theta, before)
    weights = [p.detach().clone() for p in net.parameters()]
    length = float(torch.cat([w.flatten() for w in weights]).norm())
    random, total = torch.Generator().manual_seed(20_000), np.zeros(3)
    with torch.no_grad():
        start = np.abs(training.spectrum(net(x), config.frequencies))
        for _ in range(training.DIRECTIONS):
            move = [torch.randn(w.shape, generator=random) for w in weights]
            size = float(torch.cat([w.flatten() for w in move]).norm())
            for p, w, v in zip(net.parameters(), weights, move, strict=True):
                p.copy_(w + 0.2 * length / size * v)
            total += np.abs(training.spectrum(net(x), config.frequencies)) / start
    np.testing.assert_allclose(found, total / training.DIRECTIONS, rtol=1e-3)


def test_the_kernel_is_that_of_gradients():
    """Windowed gradients by autograd, row by row; scipy's window, at half points."""
    config = Sinusoids(n=16, count=3, width=6, depth=1)
    x, _, net = training.draw(config)
    found = training.kernel_spectrum(net, x, config.frequencies)
    net, x = net.double(), x.double()
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(net(one[None]).sum(), list(net.parameters()))]) for one in x
    ]
    window = get_window("hann", 33, fftbins=False)[1::2]
    transform = np.fft.fft(torch.stack(rows).numpy() * window[:, None], axis=0)[config.frequencies]
    np.testing.assert_allclose(found, (np.abs(transform) ** 2).sum(1) / (window**2).sum(), rtol=1e-10)


def test_a_window_tells_a_kink_from_a_smooth_kernel():
    """A kernel of two neurons' kinks falls as k^-2, a linear one as k^-6 (k = 16, 32; 5 % for the next order)."""
    x = (torch.arange(256, dtype=torch.float64) / 128 - 1)[:, None]
    kinked = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    with torch.no_grad():
        kinked[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        kinked[0].bias.copy_(torch.tensor([0.3, 0.2]))
        kinked[2].weight.fill_(1.0)
    for net, exponent in ((kinked, -2), (torch.nn.Linear(1, 1), -6)):
        low, high = training.kernel_spectrum(net, x, np.array([16, 32]))
        assert np.log2(high / low) == pytest.approx(exponent, rel=0.05)


def test_a_frequency_that_is_never_learned_comes_last():
    config = Sinusoids(**TINY)
    share = np.array([[0.1, 0.9, 0.2], [0.85, 0.9, 0.3]])
    found = training.measured(
        config, training.draw(config), np.array([5, 10]), share=share, loss=np.ones(2), kept=np.array([3.0, 2.0, 1.0])
    )
    assert found.curves["first"].y.tolist() == [10, 5, np.inf]
    assert found.scalars["order"] == pytest.approx(0.5)
    assert found.scalars["order_of_moves"] == -1
    assert found.scalars["learned"] == 2


def test_members_do_not_see_each_other():
    configs = [Sinusoids(**TINY, seed=seed, amplitudes=kind) for seed, kind in ((0, "equal"), (1, "increasing"))]
    for config, found in zip(configs, training.run(configs), strict=True):
        (alone,) = training.run([config])
        for name in ("share_1", "retained"):
            np.testing.assert_allclose(found.curves[name].y, alone.curves[name].y, atol=1e-4)


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_controls_by_fourier_features_cover_the_frequencies(scale: str):
    """The highest is at most 1.2 bandwidths, at which no order was left in the pilots."""
    plan = make(rahaman.study, scale=scale)
    by_key: dict[str, Any] = {member.key: member.config for member in plan.wanted}
    for claim in rahaman.study.claims:
        for control, keys in zip(claim.controls, plan.of_control[claim.name], strict=True):
            if keys and "bandwidth" in control.settings:
                configs = [by_key[key] for key in keys]
                assert all(config.frequencies[-1] <= 1.2 * config.bandwidth for config in configs), claim.name
    assert any(plan.of_control[claim.name][0] for claim in rahaman.study.claims)


# ---- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("rahaman-2019").assert_outcomes()
