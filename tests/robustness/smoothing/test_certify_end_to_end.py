"""From a trained network to a figure: certificates, an attack beside them, an audit, and words.

The network is a small perceptron trained on noisy 8 x 8 digits, for a second.
"""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.datasets import load_digits
from torch import nn

from lemmata.bernoulli import clopper_pearson
from lemmata.robustness import certify, ensemble, predict, recount, schedule
from lemmata.robustness.attacks import pgd_smoothed
from lemmata.robustness.smoothing.noise import Gaussian
from lemmata.robustness.smoothing.votes import Votes

SIGMA = 0.25
RADII = [0.1, 0.25, 0.5]
FAILURE = 1e-6  # probability with which a random test below may fail on code that is right


@pytest.fixture(scope="module")
def digits():
    found = load_digits()
    x = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order], torch.tensor(found.target)[order]


def trained(digits, seed):
    x, y = (part[:1500] for part in digits)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(150):
        rows = torch.randint(1500, (100,))
        optimiser.zero_grad()
        noisy = x[rows] + SIGMA * torch.randn_like(x[rows])
        nn.functional.cross_entropy(model(noisy), y[rows]).backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def models(digits):
    return [trained(digits, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def some(digits):
    return digits[0][1500:1540], digits[1][1500:1540]


@pytest.fixture(scope="module")
def certificates(models, some):
    return certify(models[0], *some, sigma=SIGMA, radii=RADII, n=10_000, input_range=(0.0, 1.0))


def test_most_are_certified_and_none_beyond_what_was_asked(certificates):
    assert float(certificates.correct.double().mean()) > 0.8
    assert set(certificates.radius.tolist()) <= {0.0, *RADII}
    assert 0.1 < certificates.average_radius < 0.5


def test_no_attack_within_a_certified_radius_changes_the_smoothed_class(models, some, certificates):
    x, y = some
    attack = pgd_smoothed(models[0], x, y, sigma=SIGMA, eps=RADII, draws=16, steps=8)
    for r, adversarial in zip(RADII, attack.adversarial, strict=True):
        safe = certificates.radius >= r
        assert bool(((adversarial - x).flatten(1).norm(dim=1) <= r + 1e-5).all())
        found = predict(models[0], adversarial[safe], sigma=SIGMA, n=1_000, seed=1)
        changed = (found.prediction != certificates.prediction[safe]) & (found.prediction >= 0)
        # either a certificate is false, or a prediction: 0.001 each
        assert int(changed.sum()) <= binom.isf(FAILURE, int(safe.sum()), 0.002)


def test_the_attack_is_drawn_beside_and_lies_above(models, some, certificates, tmp_path):
    attack = pgd_smoothed(models[0], *some, sigma=SIGMA, eps=RADII, draws=16, steps=8)
    for r, broken in zip(RADII, attack.success, strict=True):
        safe = certificates.correct & (certificates.radius >= r)
        # a certificate is false, or votes are, with probability 0.001 each
        assert int((safe & broken).sum()) <= binom.isf(FAILURE, int(safe.sum()), 0.002)
    figure = certificates.plot(beside=[attack])
    series = {each.label: each for each in figure.panels[0].series}
    label = f"{attack.name}, upper bound: not broken by attack"
    np.testing.assert_allclose(series[label].y, attack.robust_accuracy)
    figure.save(tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").stat().st_size > 1_000


def test_a_certificate_is_counted_again(models, some, certificates):
    for i in (0, 7):
        again = recount(certificates, i, models[0], some[0])
        assert again.agrees
        assert not recount(certificates, i, models[1], some[0]).agrees


def test_a_certificate_says_what_it_rests_on(certificates):
    right = int(certificates.correct.nonzero()[0])
    words = certificates.explain(right)
    assert f"{int(certificates.hits[right]):,} of {int(certificates.drawn[right]):,}" in words


def test_several_models_are_their_mean(models, some):
    asked = {"sigma": SIGMA, "radii": RADII, "n": 5_000, "batch": 100, "memory_format": "plain"}
    several, one = certify(models, *some, **asked), certify(ensemble(models), *some, **asked)
    for name in ("prediction", "radius", "hits", "samples"):
        assert torch.equal(getattr(several, name), getattr(one, name))
    assert several.name == "3 models of Sequential under Gaussian(sigma=0.25)"


def test_another_precision_is_another_classifier(models, some):
    low = certify(copy.deepcopy(models[0]).to(torch.bfloat16), *some, sigma=SIGMA, n=1_000)
    full = certify(models[0], *some, sigma=SIGMA, n=1_000)
    assert float(low.correct.double().mean()) > 0.8
    # on the same noise, some of the 40,000 votes fall otherwise, by bfloat16's 8 bits; most do not
    moved = (low.hits - full.hits).abs()
    assert 0 < int(moved.sum()) < 400


class Peeking:
    """Clopper-Pearson at the full alpha at every look, stopping at the first that certifies: what must not be done."""

    n, alpha = 2_000, 0.05
    looks = np.arange(50, 2_001, 50)

    def __init__(self, threshold):
        self.threshold = threshold

    def start(self, selected, n0):
        rule = self

        class Progress:
            lower = np.zeros(len(selected))

            def look(self, k, active, hits):
                found = clopper_pearson(hits, rule.looks[k], alpha=rule.alpha)
                self.lower[active] = np.maximum(self.lower[active], found)
                return self.lower[active] > rule.threshold

        return Progress()


def test_the_door_would_show_naive_peeking():
    # images at exactly 0.3 from the hyperplane: every certificate of 0.3 is false. What the door takes stays below
    # alpha, what it must not take does not, by the same counting
    class HalfLine(nn.Module):
        def forward(self, x):
            return torch.cat([-x, x], 1)

    x, noise = torch.full((500, 1), 0.3), Gaussian(0.3)
    threshold, most = float(noise.threshold(0.3)), binom.isf(FAILURE, 500, Peeking.alpha)
    votes = Votes(HalfLine(), x, noise, batch=500)
    naive = sum(int((each.decided.lower > threshold).sum()) for each in schedule(votes, Peeking(threshold), 500, n0=20))
    found = certify(HalfLine(), x, sigma=0.3, radii=[0.3], n=Peeking.n, alpha=Peeking.alpha, n0=20, batch=500)
    assert int((found.radius > 0).sum()) <= most < naive
