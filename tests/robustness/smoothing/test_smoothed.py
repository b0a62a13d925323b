"""Soft votes against quadrature over the noise, their gradient against differences, and that they are one function."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lemmata.errors import InvalidInput
from lemmata.robustness import Smoothed, Uniform
from lemmata.robustness.smoothing.batch_dependence import require_function


def classifier():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def test_soft_votes_are_mean_probabilities_over_the_noise():
    # two classes on the line: p_0 = E logistic(2 (x + sigma z)), by Gauss-Hermite quadrature to 1e-12
    linear = nn.Linear(1, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    exact = (weights / weights.sum()) @ (1 / (1 + np.exp(-2 * (0.3 + 0.7 * nodes))))
    found = Smoothed(linear, sigma=0.7, samples=40_000)(torch.tensor([[0.3]], dtype=torch.float64)).exp()
    # the standard deviation of a probability is below 1/2: 4.5 of 0.5 / 200
    assert float(found[0, 0].detach()) == pytest.approx(exact, abs=4.5 * 0.5 / 200)


def test_cross_entropy_is_of_the_mean_probability():
    model, x, y = classifier(), torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    smoothed = Smoothed(model, sigma=0.5, samples=7, seed=2)
    noises = 0.5 * torch.empty(7, 3, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(2))
    mean = torch.stack([model(x + noise).softmax(1) for noise in noises]).mean(0)
    assert torch.allclose(cross_entropy(smoothed(x), y), -mean[torch.arange(5), y].log().mean())


def test_the_gradient_is_that_of_differences():
    smoothed = Smoothed(classifier(), sigma=0.5, samples=5)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(smoothed, (x,))


def test_it_is_one_function_until_noises_are_redrawn():
    smoothed, x = Smoothed(classifier(), sigma=0.5, samples=5, seed=0), torch.randn(4, 3, dtype=torch.float64)
    first = require_function(smoothed, x)  # neither the batch nor chance enters
    smoothed.redraw(1)
    assert not torch.allclose(smoothed(x), first)
    smoothed.redraw(0)
    assert torch.equal(smoothed(x).detach(), first)


def test_shapes_types_and_laws_may_change():
    smoothed = Smoothed(nn.Flatten(), noise=Uniform(0.1), samples=2)
    assert smoothed(torch.zeros(3, 2, 2)).shape == (3, 4)
    assert smoothed(torch.zeros(3, 5, dtype=torch.float64)).dtype == torch.float64


def test_probabilities_that_underflow_keep_their_logarithm():
    # logits of -2,000: every probability is 0 in float64, its logarithm is not
    linear = nn.Linear(1, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1000.0], [-1000.0]]))
    found = Smoothed(linear, sigma=1e-6, samples=3)(torch.tensor([[1.0]], dtype=torch.float64))
    assert float(found[0, 1].detach()) == pytest.approx(-2000, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"sigma": 0.5, "samples": 0}, "samples = 0"), ({}, "either sigma"), ({"sigma": -1}, "positive")],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        Smoothed(classifier(), **options)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("model", "rows", "message"),
    [
        (nn.Flatten(), torch.zeros(3, 2, dtype=torch.int64), "images: torch.int64"),
        (nn.Flatten(), torch.zeros(3), r"images: torch.float32 \(3,\)"),
        (nn.Flatten(), [[0.0]], "images: list"),
        (nn.Linear(3, 2), torch.zeros(3, 2), r"the model fails on images of shape \(2,\)"),
        (Pair(), torch.zeros(3, 2), "the model gives a tuple"),
        (nn.Identity(), torch.zeros(3, 2, 2), r"the model gives \(6, 2, 2\) for 6 images"),
    ],
)
def test_images_and_answers_that_do_not_fit_are_refused(model, rows, message):
    with pytest.raises(InvalidInput, match=message):
        Smoothed(model, sigma=0.5, samples=2)(rows)
