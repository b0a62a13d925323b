"""Gaussian posteriors: relative entropy against quadrature and torch, pairs against networks drawn one at a time."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest, norm
from torch import nn
from torch.distributions import Normal

from lemmata.bounds import pac_bayes_bound, read_sample
from lemmata.bounds.pac_bayes import (
    DrawnPosterior,
    GaussianPosterior,
    LinearPosterior,
    disintegrated_bound,
    majority_vote_bound,
)
from lemmata.bounds.pac_bayes.gaussian_reading import read_uses
from lemmata.errors import InvalidInput

SURE = 1e-6  # the probability with which a right law fails a test of it


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posterior_over(model: nn.Module, deviation: float = 0.3) -> GaussianPosterior:
    """Deviations that differ from weight to weight, about the model's weights."""
    mean = {name: value.detach() for name, value in model.named_parameters()}
    own = generator(1)
    spread = {
        name: deviation * (0.5 + torch.rand(value.shape, generator=own, dtype=value.dtype))
        for name, value in mean.items()
    }
    zero = {name: torch.zeros_like(value) for name, value in mean.items()}
    return GaussianPosterior(model=model, mean=mean, deviation=spread, prior_mean=zero, prior_deviation=1.0)


def seeded(make, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


class Scaled(nn.Module):
    """A parameter outside of torch's own modules."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.scale * self.layer(x)


class Twice(nn.Module):
    """The same linear layer at two places: its weights are the same at both."""

    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Sequence(nn.Module):
    """A linear layer on three vectors a sample, all by the same weights, which cancel at (0.5, -1) but for a tenth."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(1, 2, bias=False), nn.Linear(2, 2, bias=False)

    def forward(self, x):
        z = self.layer(x[..., None])
        return self.last(2 * z[:, 0] + z[:, 1] + 0.1 * z[:, 2])


class Branching(nn.Module):
    """A path that depends on values: torch.fx and vmap cannot follow."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        out = self.layer(x)
        return out if float(out.sum()) > -100 else -out


class Constants(nn.Module):
    """Tensors that are made in passing, which the trace keeps and the model does not have."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x * torch.tensor([1.0, 2.0, 3.0])) + torch.ones(2)


MODELS = {
    "perceptron": lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
    "one output": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)),
    "no bias": lambda: nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2)
    ),
    "norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    "scaled": Scaled,
    "twice": Twice,
    "tied": Tied,
    "sequence": Sequence,
    "branching": Branching,
    "constants": Constants,
}
LOCAL = {
    "perceptron": 2,
    "one output": 2,
    "no bias": 2,
    "convolution": 1,
    "norm": 2,
    "twice": 1,
    "tied": 1,
    "sequence": 1,
    "constants": 1,
}


def test_log_ratio_is_torchs_and_averages_to_kl():
    """At drawn networks it is the difference of log densities; its mean over 800 is KL, to 4.9 errors."""
    posterior = posterior_over(seeded(MODELS["perceptron"]).double())
    own, found = generator(3), []
    for k in range(800):
        network = posterior.sample(own)
        found.append(posterior.log_ratio(network))
        if k < 5:
            q, p = (
                sum(float(Normal(m[n], s[n]).log_prob(value).sum()) for n, value in network.named_parameters())
                for m, s in ((posterior.mean, posterior.deviation), (posterior.prior_mean, posterior.prior_deviation))
            )
            assert found[-1] == pytest.approx(q - p, rel=1e-11)
    assert abs(np.mean(found) - posterior.kl) < 4.9 * np.std(found) / math.sqrt(len(found))  # SURE
    assert isinstance(posterior, DrawnPosterior)


@pytest.mark.parametrize("name", MODELS)
def test_pairs_have_the_law_of_drawn_networks(name: str):
    """Outputs for one sample beside those of networks drawn whole: Kolmogorov-Smirnov at SURE, for each output."""
    model = seeded(MODELS[name]).eval()
    posterior = posterior_over(model, 0.6)
    x = torch.tensor([[0.5, -1.0, 2.0]])
    assert len(posterior.reading(read_sample((x, torch.tensor([0])))).local) == LOCAL.get(name, 0)
    pairs, drawn = (4000, 600) if name != "branching" else (400, 400)
    found = posterior.outputs(read_sample((x, torch.tensor([0]))), torch.zeros(pairs, dtype=torch.int64), generator(4))
    own = generator(5)
    with torch.no_grad():
        wanted = torch.stack([posterior.sample(own)(x)[0] for _ in range(drawn)])
    for k in range(found.shape[1]):
        assert kstest(found[:, k].numpy(), wanted[:, k].numpy()).pvalue > SURE
    if found.shape[1] == 2:  # and jointly: along a diagonal, which correlation between outputs would change
        assert kstest((found @ torch.tensor([1.0, -1.0])).numpy(), (wanted[:, 0] - wanted[:, 1]).numpy()).pvalue > SURE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_ratio_is_taken_where_the_draw_fell(dtype: torch.dtype):
    """Deviations below half a unit in the last place: the mean log ratio of 300 draws is KL, to 4.9 errors.

    At the rounded weights it would be KL plus or minus hundreds, whatever the draw. The network has them rounded.
    """
    model, unit = nn.Linear(100, 1, bias=False).to(dtype), torch.finfo(dtype).eps
    mean = {"weight": torch.full((1, 100), 0.75, dtype=dtype)}
    for s in (0.2 * unit, unit, 0.1):
        law = GaussianPosterior(model=model, mean=mean, deviation=s, prior_mean=mean, prior_deviation=4 * s)
        own, found, stored = generator(3), [], law.deviation["weight"].double()
        for _ in range(300):
            network = law.sample(own)
            assert network.weight.equal((0.75 + stored * network.noise["weight"]).to(dtype))
            found.append(law.log_ratio(network))
        assert abs(np.mean(found) - law.kl) < 4.9 * np.std(found) / math.sqrt(300)  # SURE
    noise = torch.randn(1, 100, generator=generator(9), dtype=torch.float64)
    assert law.sample(generator(9)).noise["weight"].equal(noise)
    copied = copy.deepcopy(network)
    assert law.log_ratio(copied) == law.log_ratio(network)
    with torch.no_grad():
        copied.weight[0, 0] += 1
    with pytest.raises(InvalidInput, match="not what this posterior drew"):
        law.log_ratio(copied)


@pytest.mark.parametrize("name", ["perceptron", "convolution", "scaled"])
def test_pairs_are_independent(name: str):
    """The same sample at neighbouring pairs is answered by other weights: correlation within 4.9 / sqrt(m)."""
    posterior = posterior_over(seeded(MODELS[name]), 0.6)
    sample = read_sample((torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([0])))
    found = posterior.outputs(sample, torch.zeros(4000, dtype=torch.int64), generator(6))[:, 0].double().numpy()
    assert abs(np.corrcoef(found[::2], found[1::2])[0, 1]) < 4.9 / math.sqrt(2000)
    again = posterior.outputs(sample, torch.zeros(4000, dtype=torch.int64), generator(6))[:, 0].double().numpy()
    assert np.array_equal(found, again)


def test_linear_layer_in_closed_form():
    """Mean W x + b and variance sum_j s_j^2 x_j^2 + s_b^2, both normal: Kolmogorov-Smirnov at SURE."""
    posterior = posterior_over(seeded(lambda: nn.Linear(3, 1)), 0.6)
    x = torch.tensor([0.5, -1.0, 2.0])
    sample = read_sample((x[None], torch.tensor([0])))
    found = posterior.outputs(sample, torch.zeros(5000, dtype=torch.int64), generator(7))[:, 0]
    s = posterior.deviation
    spread = float((s["weight"][0] ** 2 @ x**2 + s["bias"][0] ** 2).sqrt())
    centre = float(posterior.mean["weight"][0] @ x + posterior.mean["bias"][0])
    assert kstest(found.numpy(), norm(centre, spread).cdf).pvalue > SURE


def test_risk_of_a_linear_classifier():
    """Mistakes of 40,000 pairs beside the closed form of the Gibbs risk: binomial at SURE. KL beside it: 1e-12."""
    model = nn.Linear(4, 1, bias=False).double()
    own = generator(8)
    mean = torch.randn(4, generator=own, dtype=torch.float64)
    law = LinearPosterior(mean=mean, deviation=0.7, prior_deviation=1.5)
    zero = {"weight": torch.zeros(1, 4, dtype=torch.float64)}
    posterior = GaussianPosterior(
        model=model, mean={"weight": mean[None]}, deviation=0.7, prior_mean=zero, prior_deviation=1.5
    )
    sample = read_sample((torch.randn(30, 4, generator=own, dtype=torch.float64), torch.arange(30) % 2))
    wrong = int(posterior.mistakes(sample, torch.arange(30).repeat(1334)[:40_000], own).sum())
    risk = law.gibbs_risk(sample)
    assert posterior.kl == pytest.approx(law.kl, rel=1e-12)
    assert min(binom.cdf(wrong, 40_000, risk), binom.sf(wrong - 1, 40_000, risk)) > SURE


@pytest.mark.parametrize("budget", [1, 10**4, 10**9])
def test_budget_changes_no_law(budget: int):
    """Whatever is evaluated at once, there are m answers, and as many mistakes: within 4.9 errors."""
    posterior = posterior_over(seeded(MODELS["convolution"]), 0.6)
    own = generator(9)
    sample = read_sample((torch.randn(20, 3, generator=own), torch.arange(20) % 2))
    rows = torch.arange(20).repeat(40)
    found = posterior.mistakes(sample, rows, own, budget=budget)
    assert found.dtype == torch.bool
    assert found.shape == rows.shape
    reference = posterior.mistakes(sample, torch.arange(20).repeat(500), generator(10)).double().mean()
    assert abs(float(found.double().mean() - reference)) < 4.9 * 0.5 / math.sqrt(len(rows))


def test_budget_bounds_what_is_drawn_at_once():
    """With 64 kB, no call draws more than 64 kB of weights; and a budget of nothing still answers."""
    model = seeded(lambda: nn.Sequential(nn.Unflatten(1, (1, 9)), nn.Conv1d(1, 20, 5), nn.Flatten(), nn.Linear(100, 2)))
    law, rows = posterior_over(model), torch.zeros(3000, dtype=torch.int64)
    sample = read_sample((torch.randn(5, 9, generator=generator()), torch.zeros(5, dtype=torch.int64)))
    parts = list(law._chunks(sample, rows, 2**16))
    assert sum(map(len, parts)) == 3000
    assert 120 * 4 <= 120 * 4 * max(map(len, parts)) <= 2**16


def test_choice_is_paid():
    """The price of a prior chosen among others is in KL, and in the bound."""
    own = dict((model := nn.Linear(2, 2)).named_parameters())
    laws = [
        GaussianPosterior(model=model, mean=own, deviation=1.0, prior_mean=own, prior_deviation=1.0, choice=choice)
        for choice in (0.0, 10.0)
    ]
    data = torch.randn(50, 2, generator=generator()), torch.zeros(50, dtype=torch.int64)
    assert [law.kl for law in laws] == [0.0, 10.0]
    assert laws[1].log_ratio(model) == pytest.approx(10.0)
    assert pac_bayes_bound(laws[1], data).value > pac_bayes_bound(laws[0], data).value + 0.05


def test_what_is_not_random_stays():
    """A posterior over the last layer alone: the others are the model's, and cost nothing."""
    model = seeded(MODELS["perceptron"])
    chosen = {name: value for name, value in model.named_parameters() if name.startswith("2")}
    law = GaussianPosterior(model=model, mean=chosen, deviation=0.5, prior_mean=chosen, prior_deviation=0.5)
    drawn = law.sample(generator())
    assert law.kl == 0
    assert torch.equal(drawn[0].weight, model[0].weight)
    assert not torch.equal(drawn[2].weight, model[2].weight)


def test_model_is_left_as_it_was():
    """Its mode, weights and running statistics."""
    model = seeded(MODELS["norm"]).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sample = read_sample((torch.randn(10, 3, generator=generator()), torch.zeros(10, dtype=torch.int64)))
    law = posterior_over(model)
    law.mistakes(sample, torch.arange(10), generator())
    law.sample(generator())
    assert model.training
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())


class Mixing(nn.Linear):
    """An answer that depends on the batch."""

    def forward(self, x):
        return super().forward(x - x.mean(0))


def test_bad_laws_are_named():
    """Each by what is wrong with it."""
    model = nn.Linear(2, 2)
    own = {name: value.detach() for name, value in model.named_parameters()}
    good = {"model": model, "mean": own, "deviation": 0.1, "prior_mean": own, "prior_deviation": 1.0}
    for change, said in (
        ({"deviation": 0.0}, "a standard deviation is positive"),
        ({"prior_deviation": {**own, "bias": -torch.ones(2)}, "deviation": 1.0}, "positive"),
        ({"deviation": {"bias": torch.ones(2)}}, "nothing for 'weight'"),
        ({"mean": {"weight": own["weight"]}}, "name other parameters"),
        ({"mean": {**own, "weight": torch.ones(3, 2)}}, "has shape"),
        ({"mean": {**own, "other": torch.ones(2)}}, "no such parameter"),
        ({"mean": {**own, "bias": torch.full((2,), torch.nan)}}, "NaN"),
        ({"mean": 3}, "give the tensors by the names"),
        ({"choice": -1.0}, "choice = -1"),
        ({"model": abs}, "Module"),
    ):
        with pytest.raises(InvalidInput, match=said):
            GaussianPosterior(**{**good, **change})


def test_bad_pairs_are_named():
    """Indices out of range, labels that are no classes, and a model whose answers depend on the batch."""
    sample = read_sample((torch.randn(4, 2, generator=generator()), torch.tensor([0, 1, 1, 0])))
    law = posterior_over(nn.Linear(2, 2))
    for rows, said in (
        (torch.tensor([4]), "indices from 4"),
        (torch.tensor([-1]), "indices from -1"),
        (torch.tensor([0.5]), "whole numbers"),
        (torch.zeros(0, dtype=torch.int64), "whole numbers"),
    ):
        with pytest.raises(InvalidInput, match=said):
            law.mistakes(sample, rows, generator())
    with pytest.raises(InvalidInput, match="classes 0 to 1"):
        law.mistakes(read_sample((sample.x, sample.y + 5)), torch.tensor([0]), generator())
    with pytest.raises(InvalidInput, match="depends on the other samples"):
        posterior_over(Mixing(2, 2)).mistakes(sample, torch.tensor([0]), generator())
    with pytest.raises(InvalidInput, match="no parameter"):
        law.log_ratio(nn.ReLU())


def test_constants_are_said_to_be_the_priors():
    """Every bound on such a posterior says so, since nothing can see whether it is true."""
    data = torch.randn(50, 2, generator=generator()), torch.zeros(50, dtype=torch.int64)
    law = posterior_over(nn.Linear(2, 2))
    for bound in (pac_bayes_bound(law, data), disintegrated_bound(law, data), majority_vote_bound(law, data)):
        assert any("buffers" in one for one in bound.assumes)


def test_reading_leaves_hooks_alone():
    """A model with hooks is drawn whole, since what they do is not traced."""
    model = seeded(MODELS["perceptron"])
    model[0].register_forward_hook(lambda module, inputs, output: output + 1)
    reading = read_uses(model, tuple(dict(model.named_parameters())))
    assert reading.graph is None
    assert not reading.local


def test_figure_shows_where_kl_lies():
    """A bar a tensor; they add up."""
    law = posterior_over(seeded(MODELS["perceptron"]))
    bars = law.plot().panels[0].series[0]
    assert float(np.sum(bars.y)) == pytest.approx(law.kl)


@pytest.mark.gpu
def test_on_a_gpu():
    """Weights and samples there, the generator on either device."""
    law = posterior_over(seeded(MODELS["convolution"]).cuda())
    sample = read_sample((torch.randn(4, 3).cuda(), torch.tensor([0, 1, 1, 0]).cuda()))
    for device in ("cpu", "cuda"):
        assert law.mistakes(sample, torch.arange(4), torch.Generator(device).manual_seed(0)).shape == (4,)
