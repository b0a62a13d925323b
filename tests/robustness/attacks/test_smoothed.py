"""The attack on the smoothed classifier: its loss and gradient by hand, and its limits."""

import math

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.robustness import Laplace
from lemmata.robustness.attacks import log_mean_softmax, pgd, pgd_smoothed
from lemmata.robustness.attacks.problem import problem_of
from lemmata.robustness.smoothing.noise import Gaussian

F64 = torch.float64


def case() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    net = nets.mlp(8, [12], 3, activation="tanh", gain=3.0, seed=0, dtype=F64).eval()
    x = torch.rand(9, 8, generator=torch.Generator().manual_seed(1), dtype=F64)
    with torch.no_grad():
        return net, x, net(x).argmax(1)


def test_the_loss_is_minus_the_logarithm_of_the_averaged_softmax():
    logits = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
    torch.testing.assert_close(log_mean_softmax(logits, 1).exp(), logits.softmax(-1).mean(1))
    far = torch.tensor([[[2000.0, 0.0]], [[0.0, 2000.0]]])
    assert log_mean_softmax(far, 0)[0].tolist() == pytest.approx([-math.log(2)] * 2)


def test_value_and_gradient_are_those_of_the_formula_of_salman_and_others():
    """-log (1/m) sum softmax(f(x + noise_i))_y and its gradient, written out with the noise that the attack draws."""
    net, x, y = case()
    problem = problem_of(
        net, x, y, eps=0.5, norm="l2", clip=None, noise=Gaussian(0.3), draws=6, seed=4,
    )  # fmt: skip
    noise = problem.noises(torch.arange(9))
    found = pgd_smoothed(
        net, x, y, eps=0.5, sigma=0.3, draws=6, seed=4, steps=1, step_size=0.1, clip=None, early_exit=False
    )
    z = x.clone().requires_grad_()
    p = torch.stack([net(z + noise[:, i]).softmax(1) for i in range(6)]).mean(0)
    loss = -p.gather(1, y[:, None]).squeeze(1).log()
    torch.testing.assert_close(found.loss[0], loss.detach())
    g = torch.autograd.grad(loss.sum(), z)[0]
    step = x + 0.1 * g / g.norm(dim=1, keepdim=True)
    with torch.no_grad():
        p = torch.stack([net(step + noise[:, i]).softmax(1) for i in range(6)]).mean(0)
    torch.testing.assert_close(found.loss[1], -p.gather(1, y[:, None]).squeeze(1).log())
    assert float(noise.std()) == pytest.approx(0.3, rel=0.15)  # 432 draws: four standard deviations


def test_noise_differs_from_image_to_image_and_draw_to_draw():
    net, x, y = case()
    noise = problem_of(net, x, y, eps=0.5, norm="l2", clip=None, noise=Gaussian(0.3), draws=3).noises(torch.arange(9))
    rows = noise.flatten(0, 1)
    assert len(rows.unique(dim=0)) == 27


def test_little_noise_is_none():
    net, x, y = case()
    wanted = pgd(net, x, y, eps=0.4, norm="l2", steps=10, early_exit=False, random_start=False)
    found = pgd_smoothed(net, x, y, eps=0.4, sigma=1e-9, draws=2, steps=10, early_exit=False)
    torch.testing.assert_close(found.adversarial, wanted.adversarial, rtol=0, atol=1e-6)


def test_a_linear_classifier_is_attacked_along_its_weights_whatever_the_noise():
    net = nn.Linear(5, 2, dtype=F64).requires_grad_(False)
    x = torch.rand(4, 5, generator=torch.Generator().manual_seed(0), dtype=F64)
    y = net(x).argmax(1)
    found = pgd_smoothed(net, x, y, eps=0.3, noise=Laplace(0.5), draws=3, clip=None, early_exit=False)
    w = net.weight[0] - net.weight[1]
    away = 0.3 * w / w.norm() * torch.where(y == 0, -1.0, 1.0)[:, None]
    torch.testing.assert_close(found.perturbation, away)


def test_images_keep_their_noise_in_any_batch():
    net, x, y = case()
    options = {"eps": [0.2, 0.5], "sigma": 0.25, "draws": 4, "steps": 5, "seed": 2}
    wanted, found = (pgd_smoothed(net, x, y, batch=batch, **options) for batch in (100, 3))
    torch.testing.assert_close(found.adversarial, wanted.adversarial)
    assert not pgd_smoothed(net, x, y, **{**options, "seed": 3}).adversarial.equal(wanted.adversarial)


def test_success_is_what_the_votes_say_not_the_draws_that_were_climbed():
    """Of a linear classifier smoothed by noise the ball up to the hyperplane is safe, and no ball beyond it.

    Within 0.9 of the distance an image is said to be broken with probability at most 0.001, 0.02 for all; at 1.5 times
    the distance the other class has probability Phi(0.25) = 0.6, which 2,000 votes tell at level 0.001 but with
    probability 1e-6. With one draw of the noise the averaged softmax errs on either side.
    """
    net = nn.Linear(2, 2, bias=False, dtype=F64).requires_grad_(False)
    net.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    x = torch.stack([torch.full((20,), 0.5, dtype=F64), torch.linspace(0, 1, 20, dtype=F64)], 1)
    y = torch.zeros(20, dtype=torch.long)
    options = {"eps": [0.45, 0.75], "sigma": 1.0, "draws": 1, "clip": None, "steps": 5, "seed": 1}
    assert pgd_smoothed(net, x, y, votes=2000, **options).robust_accuracy.tolist() == [1.0, 0.0]
    soft = pgd_smoothed(net, x, y, votes=0, **options)
    assert 0 < float(soft.robust_accuracy[0]) < 1
    aim = pgd_smoothed(net, x, torch.ones_like(y), votes=2000, targeted=True, **options)
    assert aim.success.double().mean(-1).tolist() == [0.0, 1.0]


def test_votes_that_are_no_count_are_refused():
    net, x, y = case()
    with pytest.raises(InvalidInput, match="votes = -1"):
        pgd_smoothed(net, x, y, eps=0.1, sigma=0.1, votes=-1)
