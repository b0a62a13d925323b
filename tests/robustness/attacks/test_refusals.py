"""What the attacks refuse, what they warn of, and what they do with models that have no gradient."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.attacks import VanishingGradients, fgsm, log_odds, margin, pgd, pgd_smoothed, robust_accuracy
from lemmata.robustness.attacks.gradients import lost


def model(**options) -> nn.Sequential:
    return nets.mlp(6, [8], 3, seed=0, **options).eval()


X = torch.rand(10, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10) % 3

REFUSED = [
    (lambda m, x, y: pgd(m, x, y, eps=-0.1), "eps = -0.1; radii are finite and not negative"),
    (lambda m, x, y: pgd(m, x, y, eps=float("nan")), "eps = nan"),
    (lambda m, x, y: pgd(m, x, y, eps=[]), "eps is empty"),
    (lambda m, x, y: pgd(m, x, y, eps="0.1"), "eps = '0.1'; give one real number"),
    (lambda m, x, y: pgd(m, x, y, eps=torch.ones(3)), r"eps of shape \(3,\) does not go with 10 images"),
    (lambda m, x, y: pgd(m, 255 * x, y, eps=0.1), r"reach from .* beyond clip = \(0.0, 1.0\)"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, clip=(1, 0)), "lowest value of a pixel must be below"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, clip=0.5), r"give \(lowest, highest\)"),
    (lambda m, x, y: pgd(m, x.log(), y, eps=0.1), "beyond clip"),
    (lambda m, x, y: pgd(m, x / 0, y, eps=0.1), "NaN or infinity"),
    (lambda m, x, y: pgd(m, (255 * x).byte(), y, eps=0.1), "torch.uint8"),
    (lambda m, x, y: pgd(m, x[:0], y[:0], eps=0.1), "N >= 1"),
    (lambda m, x, y: pgd(m, x.tolist(), y, eps=0.1), "images x: a list; give a torch tensor"),
    (lambda m, x, y: pgd(m, x, y[:5], eps=0.1), r"labels y: torch.int64 of shape \(5,\) for 10 images"),
    (lambda m, x, y: pgd(m, x, y.float(), eps=0.1), "labels y: torch.float32"),
    (lambda m, x, y: pgd(m, x, y + 1, eps=0.1), "labels run from 1 to 3, but the model has 3 classes"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, steps=0), "steps = 0"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, restarts=0), "restarts = 0"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, step_size=-1.0), "step_size = -1; steps are finite"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, batch=0), "batch = 0"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, seed=1.5), "seed = 1.5"),
    *((lambda m, x, y, v=v: pgd(m, x, y, eps=0.1, steps=v), f"steps = {v!r}") for v in ("a", 1.5, None, True)),
    *((lambda m, x, y, v=v: pgd(m, x, y, eps=0.1, restarts=v), f"restarts = {v!r}") for v in ("a", 1.5, None, True)),
    *((lambda m, x, y, v=v: pgd(m, x, y, eps=0.1, batch=v), f"batch = {v!r}") for v in ("a", 1.5, True)),
    *((lambda m, x, y, v=v: pgd_smoothed(m, x, y, eps=0.1, sigma=0.1, draws=v), "draws = ") for v in ("a", 1.5)),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, early_exit="no"), "early_exit = 'no'; give True or False"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, random_start="a"), "random_start = 'a'"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, targeted="a"), "targeted = 'a'"),
    (
        lambda m, x, y: pgd(m, x, y, eps=0.1, step_size=[0.1, 0.2]),
        r"step_size of shape \(2,\) does not go with radii",
    ),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, schedule=3), "schedule: .*give a function"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, schedule=lambda k: 1.0), "schedule: .*give a function"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, schedule=lambda k, n: "a"), r"schedule\(0, 40\) = 'a'"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, schedule=lambda k, n: float("nan")), r"schedule\(0, 40\) = nan"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, loss=nn.CrossEntropyLoss()), r"float32 \(\) .*reduction='none'"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, loss=lambda z, y: z), r"the loss gives torch.float32 \(10, 3\)"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, loss=lambda z, y: z[:, 0] * float("nan")), "the loss gives NaN"),
    (lambda m, x, y: fgsm(m, x, y, eps=0.1, loss=lambda z, y: z[:, 0].detach()), "the loss has no gradient"),
    (lambda m, x, y: pgd(m, x, y, eps=0.1, loss=lambda z: z), "loss: a function of two arguments"),
    (lambda m, x, y: pgd(abs, x, y, eps=0.1), "a model is a torch.nn.Module"),
    (lambda m, x, y: pgd([], x, y, eps=0.1), "no model to attack"),
    (lambda m, x, y: pgd([m, nets.mlp(6, [9], 3, seed=0)], x, y, eps=0.1), "differ in architecture"),
    (lambda m, x, y: pgd([m, model(activation="tanh")], x, y, eps=0.1), "differ in more than their parameters"),
    (lambda m, x, y: pgd(nn.Linear(6, 1), x, y, eps=0.1), "the model gives"),
    (lambda m, x, y: pgd(nn.Linear(5, 3), x, y, eps=0.1), "the model fails on images"),
    (lambda m, x, y: pgd(nn.Sequential(m, nn.Unflatten(1, (3, 1))), x, y, eps=0.1), "the model gives"),
    (lambda m, x, y: fgsm(Poisoned(0.4), x, y, eps=0.0), "logits of image . hold NaN or infinity"),
    (lambda m, x, y: pgd(Poisoned(1.0), x, 0 * y, eps=3.0, clip=None), "logits of image . hold NaN or infinity"),
    (lambda m, x, y: pgd(nn.Sequential(m, nn.BatchNorm1d(3)), x, y, eps=0.1), r"BatchNorm1d\).*call model.eval"),
    (lambda m, x, y: pgd(nn.Sequential(m, nn.Dropout(0.5)), x, y, eps=0.1), r"Dropout\).*call model.eval"),
    (
        lambda m, x, y: pgd(nn.Sequential(Beside(), m), x, y, eps=0.1),
        "answer depends on .*Beside",
    ),
    (lambda m, x, y: pgd_smoothed(m, x, y, eps=0.1), "the noise is not clear"),
    (lambda m, x, y: pgd_smoothed(m, x, y, eps=0.1, sigma=0.0), "sigma = 0.0"),
    (lambda m, x, y: pgd_smoothed(m, x, y, eps=0.1, sigma=0.1, draws=0), "draws = 0"),
]


class Beside(nn.Module):
    """Images less the mean of their batch."""

    def forward(self, x):
        return x - x.mean(0)


class Poisoned(nn.Module):
    """Logits that are NaN where an entry of the image is beyond a threshold."""

    def __init__(self, threshold: float):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        good = torch.stack([x[:, 0] + x[:, 1], x[:, 2], 0 * x[:, 3]], 1)
        return torch.where((x[:, :1].abs() > self.threshold), torch.nan, good)


@pytest.mark.parametrize("place", range(len(REFUSED)))
def test_refused_with_what_was_wrong_and_the_remedy(place):
    call, words = REFUSED[place]
    with pytest.raises(InvalidInput, match=f"(?s){words}"):
        call(model(), X, Y)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InvalidInput, match="norm = 'inf'; give 'linf' or 'l2'"):
        pgd(model(), X, Y, eps=0.1, norm="inf")
    with pytest.raises(UnknownName, match="did you mean 'margin'"):
        pgd(model(), X, Y, eps=0.1, loss="margins")


def test_batch_normalisation_in_evaluation_mode_is_attacked():
    net = nn.Sequential(model(), nn.BatchNorm1d(3)).eval()
    pgd(net, X, Y, eps=0.1)
    assert int(net[1].num_batches_tracked) == 0


# ---- vanishing gradients ---------------------------------------------------------------------------------------------


class Confident(nn.Module):
    """Logits times 100, or the softmax of them: saturated."""

    def __init__(self, *, softmax: bool):
        super().__init__()
        self.inner, self.softmax = model(gain=2.0), softmax

    def forward(self, x):
        logits = 1000 * self.inner(x)
        return logits.softmax(1) if self.softmax else logits


def own(net: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return net(X).argmax(1)


@pytest.mark.parametrize("attack", [pgd, fgsm])
def test_a_saturated_softmax_is_warned_of_and_logits_are_not(attack):
    masked, plain = Confident(softmax=True), Confident(softmax=False)
    with pytest.warns(
        VanishingGradients, match=r"for \d+.0% of the images .* Attack the logits rather than a saturated"
    ):
        found = attack(masked, X, own(masked), eps=0.3)
    assert float((found.vanished > 0.5).double().mean()) > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_ = attack(plain, X, own(plain), eps=0.3)
    assert not open_.vanished.any()
    assert int(open_.success.sum()) > int(found.success.sum())


class Rounded(nn.Module):
    """Sees its input in steps, so that its gradient is zero everywhere; or gives logits without any graph."""

    def __init__(self, *, detached: bool):
        super().__init__()
        self.inner, self.detached = model(), detached

    def forward(self, x):
        return self.inner(x).detach() if self.detached else self.inner((x * 8).round() / 8)


def test_logits_that_are_detached_are_refused_by_the_name_of_who_detached_them():
    net = nn.Sequential(nn.Identity(), Rounded(detached=True))
    for attack in (pgd, fgsm):
        with pytest.raises(
            InvalidInput, match=r"no gradient by the images: '1' \(Rounded\) gives a result that is detach"
        ):
            attack(net, X, own(net), eps=0.05)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_where_the_caller_turned_them_off(off):
    net = model()
    wanted = pgd(net, X, own(net), eps=0.3)
    with off():
        found = pgd(net, X.clone(), own(net).clone(), eps=torch.full((10,), 0.3))
        curve = robust_accuracy(net, X.clone(), own(net), eps=[0.1, 0.3], steps=5)
        fast = fgsm(net, X, own(net), eps=0.3)
        smooth = pgd_smoothed(net, X, own(net), eps=0.3, sigma=0.1, draws=2, steps=2)
    assert found.adversarial.equal(wanted.adversarial)
    assert found.success.any()
    assert not found.x.is_inference()  # what is found can be trained on
    assert not found.y.is_inference()
    assert fast.adversarial.equal(fgsm(net, X, own(net), eps=0.3).adversarial)
    assert curve.standing.equal(robust_accuracy(net, X, own(net), eps=[0.1, 0.3], steps=5).standing)
    assert smooth.subject == "smoothed, Gaussian(sigma=0.1)"
    assert found.subject == curve.subject == "model"
    assert not any(p.grad is not None for p in net.parameters())


def test_a_model_made_in_inference_mode_is_refused_by_name():
    with torch.inference_mode():
        net = model()
    with pytest.raises(InvalidInput, match=r"made under torch\.inference_mode"):
        pgd(net, X, Y, eps=0.1)


@pytest.mark.parametrize("seed", [-1, 2**70, np.int64(3)])
def test_any_whole_number_is_a_seed(seed):
    one, two = (pgd(model(), X, Y, eps=0.1, steps=2, seed=seed).adversarial for _ in range(2))
    assert one.equal(two)


@pytest.mark.parametrize("value", [margin, log_odds])
def test_losses_refuse_what_is_no_logits_and_labels(value):
    z, y = torch.randn(2, 3), torch.tensor([0, 2])
    assert value(z, y).shape == (2,)
    for logits, labels, words in (
        (z, torch.tensor([5, 0]), "labels y run from 0 to 5"),
        (z, torch.tensor([-1, 0]), "labels y run from -1"),
        (z, y.float(), "whole numbers"),
        (z[:, :1], y * 0, "C >= 2"),
        (z.long(), y, "floating-point"),
        (z - torch.inf, y, "no difference can be taken"),
    ):
        with pytest.raises(InvalidInput, match=words):
            value(logits, labels)


def test_no_gradient_at_all_is_warned_of():
    net = Rounded(detached=False)
    with pytest.warns(VanishingGradients, match="auto_attack"):
        found = pgd(net, X, own(net), eps=0.05, random_start=False)
    assert bool((found.vanished == 1).all())
    assert found.adversarial.equal(X)


def test_lost_is_what_promises_less_than_the_rounding_of_the_logits():
    """float32 has a unit of 1.2e-7: beside logits of 10 a gain of 1e-6 is lost, beside logits of 1 it is not."""
    slope, eps = torch.tensor([1e-5, 1e-5, 0.0, 0.0]), torch.tensor([0.1, 0.1, 0.1, 0.0])
    logits = torch.tensor([[10.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert lost(slope, eps, logits).tolist() == [True, False, True, False]


def test_a_small_gradient_is_no_vanishing_one():
    """Logits of 1e-30 and gradients of that size: the attack is as strong as on logits of size 1, in either norm."""

    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model()

        def forward(self, x):
            return 1e-30 * self.inner(x)

    for norm in ("linf", "l2"):
        wanted = pgd(model(), X, own(model()), eps=0.1, norm=norm, loss="margin")
        found = pgd(Faint(), X, own(Faint()), eps=0.1, norm=norm, loss="margin")
        torch.testing.assert_close(found.adversarial, wanted.adversarial, rtol=0, atol=1e-4)
        assert not found.vanished.any()
