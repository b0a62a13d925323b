"""One law twice: a Gaussian posterior over the weights of a linear layer, and the same as a linear posterior.

The first draws outputs as it does for any network; the second knows everything in closed form.
"""

import math

import pytest
import torch
from torch import nn

from lemmata.bounds import pac_bayes_bound
from lemmata.bounds.pac_bayes import (
    DrawnPosterior,
    ExactPosterior,
    GaussianPosterior,
    LinearPosterior,
    disintegrated_bound,
    gibbs_risk,
    linear_margin_bound,
    majority_vote_bound,
    maurer,
    tandem_risk,
)

D = 5
X = torch.randn(300, D, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + 0.4 * torch.randn(300, generator=torch.Generator().manual_seed(1)) > 0).long()
MEAN = torch.tensor([1.5, 0.2, -0.1, 0.0, 0.3])
PRIOR = torch.tensor([0.5, 0.0, 0.0, 0.1, 0.0])


def network():
    trees = ({"weight": value[None]} for value in (MEAN, PRIOR))
    mean, prior_mean = trees
    model = nn.Linear(D, 1, bias=False).requires_grad_(False)
    return GaussianPosterior(model=model, mean=mean, deviation=0.6, prior_mean=prior_mean, prior_deviation=0.9)


def linear():
    return LinearPosterior(mean=MEAN, deviation=0.6, prior_mean=PRIOR, prior_deviation=0.9)


def test_divergences_agree():
    """KL to 1e-6, the rounding of deviations to float32, and the density ratio at a draw."""
    net, closed = network(), linear()
    assert isinstance(net, DrawnPosterior)
    assert not isinstance(net, ExactPosterior)
    assert net.kl == pytest.approx(closed.kl, rel=1e-6)
    for seed in range(5):
        drawn = net.sample(torch.Generator().manual_seed(seed))
        assert net.log_ratio(drawn) == pytest.approx(closed.log_ratio(drawn), rel=1e-5, abs=1e-5)


def test_pairs_of_a_network_have_the_exact_risk():
    """40,000 pairs: 4 standard errors of the closed form; both draws of a tandem are independent."""
    q, found = linear().gibbs_risk((X, Y)), gibbs_risk(network(), (X, Y), n=40_000, tolerance=0.0, seed=3)
    assert abs(found.rate - q) < 4 * math.sqrt(q * (1 - q) / 40_000)
    each = torch.tensor([linear().gibbs_risk((X[i : i + 1], Y[i : i + 1])) for i in range(len(Y))])
    exact, twice = float(each.square().mean()), tandem_risk(network(), (X, Y), n=40_000, tolerance=0.0, seed=4)
    assert abs(twice.rate - exact) < 4 * math.sqrt(exact * (1 - exact) / 40_000)


def test_bounds_of_a_network_are_near_the_exact_ones():
    """The bound by pairs is above the exact one, but for a chance of 0.01, and by what 40,000 pairs leave."""
    options = {"prior_knows": "a part of the data not in it", "delta": 0.05}
    exact = float(maurer(linear().gibbs_risk((X, Y)), linear().kl, 300, 0.04))
    found = pac_bayes_bound(network(), (X, Y), pairs=40_000, holdout=(X[:50] + 1e-6, Y[:50]), **options)
    assert exact < found.value < exact + 0.01
    assert found.yardstick.held_out == 50
    one, same = (disintegrated_bound(law, (X, Y), **options, seed=2) for law in (network(), linear()))
    assert one.delta == same.delta == 0.05
    assert one.value < 1
    assert majority_vote_bound(network(), (X, Y), pairs=5000, **options).value < 1


@pytest.mark.gpu
def test_on_a_gpu():
    """The same closed forms, and pairs drawn there by a generator of the CPU: 4 standard errors."""
    law = LinearPosterior(mean=MEAN.cuda(), deviation=0.6, prior_mean=PRIOR.cuda(), prior_deviation=0.9)
    data = X.cuda(), Y.cuda()
    q = linear().gibbs_risk((X, Y))
    assert law.kl == pytest.approx(linear().kl, rel=1e-10)
    assert law.gibbs_risk(data) == pytest.approx(q, rel=1e-10)
    found = gibbs_risk(law, data, n=20_000, tolerance=0.0)
    assert abs(found.rate - q) < 4 * math.sqrt(q * (1 - q) / 20_000)
    assert 0 < disintegrated_bound(law, data).value < 1
    vote = law.majority_vote()
    assert linear_margin_bound(vote, data).value == pytest.approx(linear_margin_bound(vote.cpu(), (X, Y)).value)
