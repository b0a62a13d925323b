"""What recipes minimise, where it is known; and what they refuse."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.robustness.training import (
    adversarial_training,
    consistency,
    fast_gradient_training,
    gaussian_augmentation,
    mixture,
    smooth_adv,
    stability,
)
from lemmata.robustness.training.penalty import Penalising
from lemmata.training import SGD, train
from lemmata.training.ensemble import Ensemble
from lemmata.training.losses import losses_of
from lemmata.training.probes import Samples

F64 = torch.float64


def linear(outputs, seed=0):
    model = nn.Linear(4, outputs).double()
    with torch.no_grad():
        model.weight.copy_(torch.randn(outputs, 4, generator=torch.Generator().manual_seed(seed), dtype=F64))
    return model


def test_noise_on_a_linear_model_is_a_ridge():
    """Bishop (1995): the mean of the noisy squared error is the clean one + sigma^2 |W|^2 / k, exactly.

    4,000 independent draws of a batch; the mean lies within 4.5 standard errors but in one of 1e5 runs.
    """
    sigma, draws = [0.3, 1.0], 4000
    ensemble = Ensemble.of([linear(3), linear(3, seed=1)], "mse")
    g = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 5, 4, generator=g, dtype=F64), torch.randn(2, 5, 3, generator=g, dtype=F64)
    course = gaussian_augmentation(sigma).start(ensemble, Samples(x, y, 2, name="data"), [0, 1])
    losses = []
    for _ in range(draws):
        batch = course.batch(ensemble, x, y, epoch=1)
        losses.append(losses_of(ensemble(batch.x), batch.y, "mse").detach())
    losses = torch.stack(losses)
    weights = ensemble.parameters["weight"].detach()
    penalty = torch.tensor(sigma, dtype=F64).square() * weights.square().sum((1, 2)) / 3
    expected = losses_of(ensemble(x), y, "mse").detach() + penalty
    z = (losses.mean(0) - expected) * math.sqrt(draws) / losses.std(0)
    assert float(z.abs().max()) < 4.5
    assert float((penalty * math.sqrt(draws) / losses.std(0)).min()) > 15, "the penalty must be seen"


def test_training_on_noise_ends_at_the_ridge_solution():
    """Full-batch descent on noisy copies, averaged weights: the closed form of ridge regression.

    64 members, 200 draws a step; their means differ from it by about 3 standard errors of 64 at most (4.5 allowed).
    """
    g = torch.Generator().manual_seed(0)
    x, target = torch.randn(20, 4, generator=g, dtype=F64), torch.randn(20, generator=g, dtype=F64)
    sigma = 0.8
    ridge = torch.linalg.solve(x.T @ x / 20 + sigma**2 * torch.eye(4, dtype=F64), x.T @ target / 20)
    models = [nets.mlp(4, [], 1, bias=False, seed=s, dtype=F64) for s in range(64)]
    rule = SGD(lr=0.02)
    result = train(
        models, x, target, loss="mse", optimiser=rule, epochs=400, recipe=gaussian_augmentation(sigma, draws=20)
    )
    found = result.states["output.weight"][:, 0]
    z = (found.mean(0) - ridge) / (found.std(0) / 8)
    # noisy gradients have the ridge's fixed point on average, exactly, as they are linear in the weights; the start is
    # forgotten by exp(-0.02 * 2 * 0.9 * 400) < 1e-6
    assert float(z.abs().max()) < 4.5
    plain = torch.linalg.lstsq(x, target[:, None]).solution[:, 0]
    assert float(((found.mean(0) - plain) / (found.std(0) / 8)).abs().max()) > 20


@given(seed=st.integers(0, 10**6), draws=st.integers(2, 5), scale=st.floats(0.1, 50))
@settings(max_examples=30, deadline=None)
def test_the_consistency_penalty_is_divergence_and_entropy(seed, draws, scale):
    """Against torch.distributions; and the divergence is the entropy of the mean less the mean cross-entropy's rest."""
    logits = scale * torch.randn(2, draws, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=F64)
    one = [torch.distributions.Categorical(logits=part) for part in logits.unbind(1)]
    mean = torch.distributions.Categorical(probs=torch.stack([p.probs for p in one]).mean(0))
    divergence = torch.stack([torch.distributions.kl_divergence(mean, p) for p in one]).mean(0).mean(1)
    torch.testing.assert_close(Penalising(1.0, 0.0)(logits), divergence, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(Penalising(0.0, 1.0)(logits), mean.entropy().mean(1), rtol=1e-8, atol=1e-9)
    assert bool((Penalising(1.0, 0.0)(logits) >= -1e-12).all())
    alike = logits[:, :1].expand(-1, draws, -1, -1)
    assert float(Penalising(1.0, 0.0)(alike).abs().max()) < 1e-12


def test_the_penalty_stays_finite_where_the_classifier_is_sure():
    logits = torch.tensor([[[[1e4, 0.0]], [[0.0, 1e4]]]]).requires_grad_()
    value = Penalising(10.0, 0.5)(logits)
    value.sum().backward()
    assert bool(value.isfinite().all())
    assert bool(logits.grad.isfinite().all())


def test_the_fast_gradient_on_a_linear_model_costs_its_l1_norm():
    """Goodfellow et al. (2015), section 5: the adversarial logistic loss is softplus(eps |w|_1 - y w.x)."""
    w = torch.tensor([0.5, -2.0, 1.0], dtype=F64)
    model = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.stack([-w / 2, w / 2]))
    x = torch.randn(1, 10, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    y = torch.arange(10)[None] % 2
    eps = torch.tensor([0.25], dtype=F64)
    ensemble = Ensemble.of([model], "cross_entropy")
    course = fast_gradient_training(eps, alpha=0.0, clip=None).start(ensemble, Samples(x, y, 1, name="data"), [0])
    batch = course.batch(ensemble, x, y, epoch=1)
    margin = (2 * y[0] - 1) * (x[0] @ w)
    expected = nn.functional.softplus(0.25 * w.abs().sum() - margin).mean()
    torch.testing.assert_close(losses_of(ensemble(batch.x), batch.y, "cross_entropy")[0].detach(), expected)


def mlps():
    return [nets.mlp(4, [3], 2, seed=s, dtype=F64) for s in range(2)]


BAD = {
    "sigma = -0.1: must be at least 0": lambda: gaussian_augmentation(-0.1),
    "sigma = nan: must be at least 0": lambda: gaussian_augmentation(math.nan),
    "sigma = inf: must be at least 0": lambda: smooth_adv(math.inf, 0.1),
    "sigma = \\[0.1, nan\\]: must be": lambda: consistency([0.1, math.nan]),
    "sigma = 'large'; give one number": lambda: gaussian_augmentation("large"),
    "sigma has shape \\(3,\\); give one number, or one for each of 2": lambda: gaussian_augmentation([0.1, 0.2, 0.3]),
    "eps = -1.0: must be at least 0": lambda: smooth_adv(0.1, -1.0),
    "eps = nan: must be": lambda: adversarial_training(math.nan),
    "step_size = -0.1: must be": lambda: adversarial_training(0.1, step_size=-0.1),
    "weight = -1.0: must be": lambda: consistency(0.1, weight=-1.0),
    "entropy = nan: must be": lambda: consistency(0.1, entropy=math.nan),
    "alpha = 1.0: must be at least 0 and below 1": lambda: fast_gradient_training(0.1, alpha=1.0),
    "draws = 0; give a whole number, at least 1": lambda: gaussian_augmentation(0.1, draws=0),
    "draws = 1; give a whole number, at least 2": lambda: consistency(0.1, draws=1),
    "draws = 2.5; give a whole number": lambda: stability(0.1, draws=2.5),
    "steps = 0; give a whole number": lambda: smooth_adv(0.1, 0.1, steps=0),
    "warmup = -1; give a whole number, at least 0": lambda: smooth_adv(0.1, 0.1, warmup=-1),
    "x runs from 0 to 2, outside clip = \\(0.0, 1.0\\)": lambda: adversarial_training(0.1),
    "clip = \\(1, 0\\); the lowest value of a pixel must be below": lambda: adversarial_training(0.1, clip=(1, 0)),
    "attack: give a smooth_adv": lambda: consistency(0.1, attack=gaussian_augmentation(0.1)),
    "a mixture of \\(\\); give pairs": mixture,
    "weight = nan: must be": lambda: mixture((math.nan, None)),
}


@pytest.mark.parametrize("message", BAD)
def test_what_no_recipe_can_be_is_refused(message):
    x, y = torch.linspace(0, 2, 40, dtype=F64).view(10, 4), torch.arange(10) % 2
    with pytest.raises(InvalidInput, match=message):
        train(mlps(), x, y, optimiser=SGD(lr=0.1), epochs=1, recipe=BAD[message]())


@pytest.mark.parametrize("recipe", [smooth_adv(0.1, 0.1, clip=None), consistency(0.1), stability(0.1)])
def test_probabilities_need_the_cross_entropy(recipe):
    x, y = torch.zeros(10, 4, dtype=F64), torch.zeros(10, 2, dtype=F64)
    with pytest.raises(InvalidInput, match="compares class probabilities; train with loss='cross_entropy', not 'mse'"):
        train(mlps(), x, y, loss="mse", optimiser=SGD(lr=0.1), epochs=1, recipe=recipe)
    with pytest.raises(InvalidInput, match="not 'a function'"):
        train(mlps(), x, y, loss=nn.functional.mse_loss, optimiser=SGD(lr=0.1), epochs=1, recipe=recipe)


def test_an_unknown_norm_is_told_which_there_are():
    with pytest.raises(InvalidInput, match="norm = 'l3'; give 'linf' or 'l2'"):
        adversarial_training(0.1, norm="l3")


@pytest.mark.parametrize("loss", ["mse", nn.functional.mse_loss])
def test_attacks_climb_any_loss(loss):
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(1, 30, 4, generator=g, dtype=F64), torch.randn(1, 30, 2, generator=g, dtype=F64)
    ensemble = Ensemble.of(mlps()[:1], loss)
    course = adversarial_training(0.1, alpha=0.3).start(ensemble, Samples(x, y, 1, name="data"), [0])
    batch = course.batch(ensemble, x, y, epoch=1)
    clean, worst = (losses_of(ensemble(part), y, loss) for part in batch.x.split(30, 1))
    assert bool(worst > clean)
    torch.testing.assert_close(batch.loss(ensemble(batch.x), batch.y), 0.3 * clean + 0.7 * worst)
