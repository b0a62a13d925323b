"""The written-out network against `nn.Sequential` under autograd, in float64: differences are those of rounding."""

from functools import partial

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.nets import fused_convnet1d
from lemmata.training import SGD, Probe, last_epoch, train

same = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)  # hundreds of additions of numbers of order one


def pair(channels: int = 4, seed: int = 0, **options) -> list[nn.Sequential]:
    made = [nets.convnet1d(channels, fused=fused, seed=seed, dtype=torch.float64, **options) for fused in (True, False)]
    for net in made:  # biases and scales away from their initial zeros and ones
        draw = torch.Generator().manual_seed(seed)
        for p in net.parameters():
            p.data.add_(torch.randn(p.shape, generator=draw, dtype=p.dtype), alpha=0.2)
    return made


def signals(n: int, length: int = 40, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, 1, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("length", [9, 10, 33, 40])
@pytest.mark.parametrize("mode", ["plain", "normalised", "evaluated"])
def test_outputs_gradients_and_running_moments_are_autograds(mode: str, length: int):
    x, found = signals(7, length), []
    for net in pair(length=length, batch_norm=mode != "plain"):
        net(signals(5, length, seed=2))  # so that running moments are no round numbers
        net.train(mode != "evaluated")
        own = x.clone().requires_grad_()
        outputs = net(own)
        gradients = torch.autograd.grad(outputs.square().sum(), [own, *net.parameters()])
        found.append([outputs, *gradients, *(b.double() for b in net.buffers())])
    for fused, plain in zip(*found, strict=True):
        same(fused, plain)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_members_train_together_as_autograd_trains_them(batch_norm: bool):
    """Weights, running moments and what is measured on more samples than are taken at a time."""
    x, y = signals(30), torch.arange(30) % 10
    results = []
    for place in (0, 1):
        members = [pair(seed=seed, batch_norm=batch_norm)[place] for seed in range(3)]
        probe = Probe(signals(20, seed=3), y[:20], metric="cross_entropy", at=last_epoch)
        rule = SGD(lr=[0.05, 0.1, 0.02], momentum=0.9)
        results.append(train(members, x, y, optimiser=rule, batch_size=8, epochs=3, probes={"probe": probe}))
    fused, plain = results
    for name, tensor in plain.states.items():
        same(fused.states[name], tensor)
    same(fused.final["probe"], plain.final["probe"])


@pytest.mark.parametrize("batch_norm", [False, True])
def test_samples_in_parts_are_samples_at_once(batch_norm: bool, monkeypatch: pytest.MonkeyPatch):
    fused, plain = pair(batch_norm=batch_norm)
    x = signals(11)
    monkeypatch.setattr(fused_convnet1d, "AT_ONCE", 3 * 4 * 3 * 10)
    with torch.no_grad():
        for mode in (True, False):  # moments of a batch are those of all of it
            same(fused.train(mode)(x), plain.train(mode)(x))


def test_a_second_pass_does_not_disturb_the_first():
    fused, plain = pair(batch_norm=True)
    found = []
    for net in (fused, plain):
        first, second = net(signals(5)), net(signals(6, seed=4))
        (first.square().sum() + second.sum()).backward()
        found.append([p.grad for p in net.parameters()])
    for own, other in zip(*found, strict=True):
        same(own, other)


def test_what_it_cannot_do_is_refused():
    net, x = pair()[0], signals(4)
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(parameters, x):
        return torch.func.functional_call(net, parameters, (x[None],)).square().sum()

    with pytest.raises(InvalidInput, match="fused=False"):
        torch.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    gradient = torch.autograd.grad(net(x).square().sum(), list(net.parameters()), create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient[0].sum().backward()
    outputs = net(x).square().sum()
    outputs.backward(retain_graph=True)
    with pytest.raises(InvalidInput, match="twice"):
        outputs.backward()
