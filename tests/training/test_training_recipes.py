"""Recipes in the loop, against one network in a plain torch loop that draws the same random numbers.

float64, tens of steps: the two differ by rounding only, so 1e-10 is generous by four orders.
"""

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.robustness.training import gaussian_augmentation
from lemmata.training import GD, SGD, Adam, Batch, Stop, every_epoch, train
from lemmata.training.ensemble import Ensemble
from lemmata.training.perceptron import Perceptrons
from lemmata.training.recipe import Selecting
from lemmata.training.streams import Streams

M, N, BATCH, EPOCHS = 3, 40, 16, 4  # the last batch of an epoch has 8
SIGMA = [0.0, 0.3, 1.0]


def data(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(N, *(shape or (6,)), generator=g, dtype=torch.float64), torch.randint(3, (N,), generator=g)


def members(family="relu"):
    make = {
        "relu": lambda s: nets.mlp(6, [7, 5], 3, seed=s, dtype=torch.float64),
        "gelu": lambda s: nets.mlp(6, [7, 5], 3, activation="gelu", seed=s, dtype=torch.float64),
        "batch norm": lambda s: nets.convnet1d(3, outputs=3, batch_norm=True, seed=s, dtype=torch.float64),
    }[family]
    return [make(s) for s in range(M)]


def alone(model, x, y, optimiser, *, seed, sigma, copies=1, batch=BATCH, epochs=EPOCHS):
    """The oracle: one network, torch's optimiser and autograd; the noise of the member's stream, copy after copy."""
    order, noise = torch.Generator().manual_seed(seed), Streams([seed], purpose=0)
    model.train()
    for _ in range(epochs):
        index = torch.randperm(N, generator=order) if batch < N else torch.arange(N)
        for part in index.split(batch):
            delta = noise.normal(torch.empty(1, copies, len(part), *x.shape[1:], dtype=x.dtype))[0]
            optimiser.zero_grad()
            losses = [nn.functional.cross_entropy(model(x[part] + sigma * d), y[part]) for d in delta]
            torch.stack(losses).mean().backward()
            optimiser.step()
    return model


@pytest.mark.parametrize("family", ["relu", "gelu"])
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("batch", [BATCH, None])
def test_each_member_equals_a_plain_loop_with_its_noise(family, copies, batch):
    x, y = data()
    models, seeds = members(family), [5, 11, 3]
    singles = copy.deepcopy(models)
    result = train(
        models, x, y, optimiser=SGD(lr=0.1, momentum=0.9), batch_size=batch, epochs=EPOCHS, seeds=seeds,
        recipe=gaussian_augmentation(SIGMA, draws=copies),
    )  # fmt: skip
    for i, (model, seed) in enumerate(zip(singles, seeds, strict=True)):
        rule = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        alone(model, x, y, rule, seed=seed, sigma=SIGMA[i], copies=copies, batch=batch or N)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(result.states[name][i], value, rtol=0, atol=1e-10)


def test_batch_normalisation_sees_the_noisy_copies():
    x, y = data(1, 40)
    models = members("batch norm")
    singles = copy.deepcopy(models)
    result = train(
        models, x, y, optimiser=SGD(lr=0.05), batch_size=BATCH, epochs=2, recipe=gaussian_augmentation(SIGMA)
    )
    for i, model in enumerate(singles):
        alone(model, x, y, torch.optim.SGD(model.parameters(), 0.05), seed=i, sigma=SIGMA[i], epochs=2)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(result.states[name][i].double(), value.double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", ["relu", "gelu"])
@pytest.mark.parametrize("batch", [BATCH, None])
@pytest.mark.parametrize("rule", [SGD(lr=0.1, momentum=0.9, nesterov=True), Adam(lr=0.01)])
def test_no_noise_is_plain_training_to_the_bit(family, batch, rule):
    x, y = data()
    options = {"optimiser": rule, "batch_size": batch, "epochs": 3}
    plain = train(members(family), x, y, **options)
    recipe = train(members(family), x, y, **options, recipe=gaussian_augmentation(0.0))
    for name, value in plain.states.items():
        assert torch.equal(value, recipe.states[name])
    assert torch.equal(plain.curves["running_loss"][1], recipe.curves["running_loss"][1])


def test_a_member_that_stops_leaves_the_noise_of_the_others():
    x, y = data()
    options = {"batch_size": BATCH, "train_at": every_epoch}
    rates = [0.01, 0.05, 0.2]
    stopped = train(
        members(), x, y, optimiser=SGD(lr=rates, momentum=0.9), epochs=60, stop=Stop(running_loss_below=1.0),
        recipe=gaussian_augmentation([0.1, 0.3, 0.2]), **options,
    )  # fmt: skip
    ends = stopped.stopped_at.tolist()
    assert len(set(ends)) == M, "members must stop at different epochs for this test to say anything"
    for i, end in enumerate(ends):
        single = train(
            members()[i : i + 1], x, y, optimiser=SGD(lr=rates[i], momentum=0.9), epochs=end, seeds=[i],
            recipe=gaussian_augmentation([0.1, 0.3, 0.2][i]), **options,
        )  # fmt: skip
        for name, value in single.states.items():
            torch.testing.assert_close(stopped.states[name][i], value[0], rtol=0, atol=1e-10)


def test_streams_depend_on_seed_and_purpose_alone():
    draw = lambda seeds, purpose: Streams(seeds, purpose=purpose).normal(torch.empty(len(seeds), 50))  # noqa: E731
    assert torch.equal(draw([1, 2, 7], 0)[2], draw([7], 0)[0])
    assert not torch.equal(draw([1], 0), draw([1], 1))
    assert not torch.equal(draw([1], 0)[0], torch.randn(50, generator=torch.Generator().manual_seed(1)))
    assert draw([-1, 2**70], 0).isfinite().all()  # whatever torch or Python calls a seed
    kept = Streams([4, 5, 6], purpose=0)
    kept.select(torch.tensor([0, 2]))
    assert torch.equal(kept.normal(torch.empty(2, 50)), draw([4, 6], 0))


@dataclass(frozen=True)
class Margins:
    """A recipe of a third party: another loss of the outputs, with fewer targets than samples."""

    def start(self, ensemble, samples, seeds):
        return MarginCourse()


class MarginCourse(Selecting):
    def batch(self, ensemble, x, y, *, epoch):
        return Batch(torch.cat([x, 2 * x], 1), y, self.loss)

    def loss(self, outputs, y):
        once, twice = outputs.unflatten(1, (2, -1)).unbind(1)
        return (once - twice).square().mean((1, 2)) + once.gather(2, y[..., None]).mean((1, 2))


@pytest.mark.parametrize("family", ["relu", "gelu"])
def test_a_loss_of_its_own_by_hand_and_by_autograd(family):
    x, y = data()
    models = members(family)
    result = train(models, x, y, optimiser=GD(lr=0.05), epochs=5, recipe=Margins())
    for i, model in enumerate(models):
        rule = torch.optim.SGD(model.parameters(), 0.05)
        for _ in range(5):
            rule.zero_grad()
            once, twice = model(x), model(2 * x)
            ((once - twice).square().mean() + once.gather(1, y[:, None]).mean()).backward()
            rule.step()
        for name, value in model.state_dict().items():
            torch.testing.assert_close(result.states[name][i], value, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ensemble", [Ensemble, Perceptrons])
def test_gradients_by_the_inputs_are_autograds(ensemble):
    models = members()
    g = torch.Generator().manual_seed(1)
    x = torch.randn(M, 9, 6, generator=g, dtype=torch.float64)
    together = ensemble.of(models, "cross_entropy")
    kept = together.gradient.fill_(0.5).clone()
    found = together.input_gradient(x, lambda z: z.softmax(-1)[..., 0].log())
    for i, model in enumerate(models):
        own = x[i].clone().requires_grad_()
        (expected,) = torch.autograd.grad(model(own).softmax(-1)[:, 0].log().sum(), own)
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-13)
    assert torch.equal(together.gradient, kept), "the parameters' gradient is left alone"


def test_gradients_by_the_inputs_leave_running_statistics():
    together = Ensemble.of(members("batch norm"), "cross_entropy")
    before = {name: value.clone() for name, value in together.constants.items()}
    together.input_gradient(torch.randn(M, 4, 1, 40, dtype=torch.float64), lambda z: z.sum(-1))
    assert all(torch.equal(before[name], value) for name, value in together.constants.items())


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["relu", "gelu"])
def test_members_on_a_device_are_what_they_would_be_alone_there(family):
    """The streams of a device are not those of the processor; each member's are its own all the same."""
    x, y = (part.cuda() for part in data())
    models = [model.cuda() for model in members(family)]
    options = {"optimiser": SGD(lr=0.1), "batch_size": BATCH, "epochs": 2}
    whole = train(models, x, y, recipe=gaussian_augmentation(SIGMA, draws=2), seeds=[5, 11, 3], **options)
    for i, seed in enumerate([5, 11, 3]):
        single = train(
            models[i : i + 1], x, y, recipe=gaussian_augmentation(SIGMA[i], draws=2), seeds=[seed], **options
        )
        for name, value in single.states.items():
            torch.testing.assert_close(whole.states[name][i], value[0], rtol=0, atol=1e-10)
