"""Each member of an ensemble against a plain torch.optim loop over one nn.Module, written here as the oracle.

float64, 100 steps: the two differ by rounding only (sums in another order), so 1e-10 is generous by four orders.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata import nets
from lemmata.training import GD, SGD, Adam, cosine, train
from lemmata.training.ensemble import Ensemble
from lemmata.training.perceptron import Perceptrons, assemble

M, N, BATCH, EPOCHS = 4, 60, 12, 20
STEPS = EPOCHS * N // BATCH
RATES = [0.02, 0.05, 0.1, 0.2]
DECAYS = [0.0, 1e-3, 1e-2, 5e-2]


def data(seed=0, inputs=7, classes=3):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(N, inputs, generator=g, dtype=torch.float64), torch.randint(classes, (N,), generator=g)


def perceptrons(activation="relu"):
    return [nets.mlp(7, [9, 8], 3, activation=activation, seed=s, dtype=torch.float64) for s in range(M)]


def alone(model, x, y, optimiser, *, seed=0, batch=BATCH, epochs=EPOCHS, loss=nn.functional.cross_entropy, each=None):
    """The oracle: one network, torch's own optimiser, torch's own autograd."""
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(x), generator=generator) if batch < len(x) else torch.arange(len(x))
        y = y if each is None else each(epoch + 1)
        for start in range(0, len(x), batch):
            index = order[start : start + batch]
            optimiser.zero_grad()
            loss(model(x[index]), y[index]).backward()
            optimiser.step()
    return model


def assert_agree(result, singles, tolerance=1e-10):
    for i, single in enumerate(singles):
        for name, value in single.state_dict().items():
            difference = (result.states[name][i].double() - value.double()).abs().max().item()
            assert difference < tolerance, (i, name, difference)


CASES = {
    "sgd": (SGD(lr=RATES), lambda p, i: torch.optim.SGD(p, RATES[i])),
    "momentum": (SGD(lr=RATES, momentum=0.9), lambda p, i: torch.optim.SGD(p, RATES[i], momentum=0.9)),
    "momentum per member": (
        SGD(lr=0.05, momentum=[0.0, 0.5, 0.8, 0.9]),
        lambda p, i: torch.optim.SGD(p, 0.05, momentum=[0.0, 0.5, 0.8, 0.9][i]),
    ),
    "nesterov": (
        SGD(lr=RATES, momentum=0.9, nesterov=True),
        lambda p, i: torch.optim.SGD(p, RATES[i], momentum=0.9, nesterov=True),
    ),
    "weight decay": (
        SGD(lr=0.05, momentum=0.9, weight_decay=DECAYS),
        lambda p, i: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=DECAYS[i]),
    ),
    "nesterov with decay": (
        SGD(lr=0.05, momentum=0.8, weight_decay=1e-2, nesterov=True),
        lambda p, i: torch.optim.SGD(p, 0.05, momentum=0.8, weight_decay=1e-2, nesterov=True),
    ),
    "adam": (
        Adam(lr=[r / 10 for r in RATES], weight_decay=DECAYS),
        lambda p, i: torch.optim.Adam(p, RATES[i] / 10, weight_decay=DECAYS[i]),
    ),
    "adam with betas per member": (
        Adam(lr=0.01, betas=(0.8, [0.99, 0.999, 0.9, 0.95])),
        lambda p, i: torch.optim.Adam(p, 0.01, betas=(0.8, [0.99, 0.999, 0.9, 0.95][i])),
    ),
    "adamw": (
        Adam(lr=0.01, weight_decay=DECAYS, decoupled=True),
        lambda p, i: torch.optim.AdamW(p, 0.01, weight_decay=DECAYS[i]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_member_equals_a_plain_torch_loop(case):
    rule, torch_rule = CASES[case]
    x, y = data()
    models = perceptrons()
    before = copy.deepcopy(models)
    result = train(models, x, y, optimiser=rule, batch_size=BATCH, epochs=EPOCHS, seeds=range(10, 10 + M))
    singles = [alone(m, x, y, torch_rule(m.parameters(), i), seed=10 + i) for i, m in enumerate(before)]
    assert result.steps.tolist() == [STEPS] * M
    assert STEPS == 100
    assert_agree(result, singles)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity", "gelu", "softplus"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_every_activation_and_loss(activation, loss):
    """The first four activations are trained by `Perceptrons`, the others by vmap."""
    x, y = data()
    targets = y if loss == "cross_entropy" else torch.randn(N, 3, generator=torch.Generator().manual_seed(3)).double()
    models = perceptrons(activation)
    kind = type(assemble(models, loss))
    assert kind is (Ensemble if activation in ("gelu", "softplus") else Perceptrons)
    rule = SGD(lr=RATES, momentum=0.9)
    result = train(models, x, targets, loss=loss, optimiser=rule, batch_size=16, epochs=5)  # the last batch has 12
    oracle = {"cross_entropy": nn.functional.cross_entropy, "mse": nn.functional.mse_loss}[loss]
    for i, model in enumerate(models):
        optimiser = torch.optim.SGD(model.parameters(), RATES[i], momentum=0.9)
        alone(model, x, targets, optimiser, seed=i, batch=16, epochs=5, loss=oracle)
    assert_agree(result, models)


class Own(nn.Module):
    """A network that is not a Sequential, with a frozen parameter and one used twice."""

    def __init__(self, seed):
        super().__init__()
        self.body = nets.mlp(7, [5], 5, seed=seed, dtype=torch.float64)
        self.scale = nn.Parameter(torch.full((5,), 0.5 + seed, dtype=torch.float64), requires_grad=False)

    def forward(self, x):
        z = self.body(x) * self.scale
        return (z @ self.body.output.weight)[:, :3]


def networks(family):
    make = {
        "convnet": lambda s: nets.convnet(2, image=(1, 8, 8), hidden=6, outputs=3, seed=s, dtype=torch.float64),
        "convnet1d": lambda s: nets.convnet1d(3, outputs=3, seed=s, dtype=torch.float64),
        "batch norm": lambda s: nets.convnet1d(3, outputs=3, batch_norm=True, seed=s, dtype=torch.float64),
        "resnet": lambda s: nets.resnet(8, channels=2, outputs=3, seed=s, dtype=torch.float64),
        "plain resnet": lambda s: nets.resnet(8, shortcuts=False, channels=2, outputs=3, seed=s, dtype=torch.float64),
        "ntk": lambda s: nets.mlp(7, [9], 3, initialisation="ntk", seed=s, dtype=torch.float64),
        "own module": Own,
    }[family]
    shape = {"convnet": (1, 8, 8), "resnet": (3, 8, 8), "plain resnet": (3, 8, 8), "ntk": (7,), "own module": (7,)}
    x = torch.randn(N, *shape.get(family, (1, 40)), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [make(s) for s in range(3)], x, data()[1]


@pytest.mark.parametrize(
    "family", ["convnet", "convnet1d", "batch norm", "resnet", "plain resnet", "ntk", "own module"]
)
def test_every_family_with_its_running_statistics(family):
    models, x, y = networks(family)
    rates, epochs = RATES[:3], 4
    result = train(models, x, y, optimiser=SGD(lr=rates, momentum=0.9), batch_size=20, epochs=epochs)
    for i, model in enumerate(models):
        optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], rates[i], momentum=0.9)
        alone(model, x, y, optimiser, seed=i, batch=20, epochs=epochs)
    assert_agree(result, models, 1e-9)  # batch normalisation divides by small variances and amplifies rounding
    torch.testing.assert_close(result.model(1)(x), models[1].eval()(x), rtol=0, atol=1e-8)


def test_gradient_descent_on_the_whole_set_with_samples_of_its_own_for_each_member():
    xs, ys = zip(*(data(seed) for seed in range(M)), strict=True)
    models = perceptrons()
    result = train(models, torch.stack(xs), torch.stack(ys), optimiser=GD(lr=RATES), epochs=100)
    for i, model in enumerate(models):
        alone(model, xs[i], ys[i], torch.optim.SGD(model.parameters(), RATES[i]), batch=N, epochs=100)
    assert_agree(result, models)


@pytest.mark.parametrize("own_x", [False, True])
@pytest.mark.parametrize("own_y", [False, True])
def test_samples_shared_or_of_each_members_own(own_x, own_y):
    sets = [data(seed) for seed in range(M)]
    xs = [x for x, _ in sets] if own_x else [sets[0][0]] * M
    ys = [y for _, y in sets] if own_y else [sets[0][1]] * M
    models = perceptrons()
    x, y = torch.stack(xs) if own_x else xs[0], torch.stack(ys) if own_y else ys[0]
    result = train(models, x, y, optimiser=SGD(lr=0.1), batch_size=BATCH, epochs=3)
    for i, model in enumerate(models):
        alone(model, xs[i], ys[i], torch.optim.SGD(model.parameters(), 0.1), seed=i, epochs=3)
    assert_agree(result, models)


def test_step_sizes_by_layer_and_member():
    x, y = data()
    models = perceptrons()
    scale = {"hidden1": 0.01, "hidden1.bias": 2.0, "output": [1.0, 0.5, 0.1, 0.0]}
    rule = SGD(lr=RATES, momentum=0.9, lr_scale=scale)
    start = models[3].output.weight.clone()
    result = train(models, x, y, optimiser=rule, batch_size=BATCH, epochs=5)
    for i, model in enumerate(models):
        groups = [
            {"params": [model.hidden1.weight], "lr": RATES[i] * 0.01},
            {"params": [model.hidden1.bias], "lr": RATES[i] * 2.0},
            {"params": list(model.hidden2.parameters()), "lr": RATES[i]},
            {"params": list(model.output.parameters()), "lr": RATES[i] * scale["output"][i]},
        ]
        alone(model, x, y, torch.optim.SGD(groups, momentum=0.9), seed=i, epochs=5)
    assert_agree(result, models)
    assert torch.equal(result.states["output.weight"][3], start)


def test_a_schedule_scales_every_step():
    x, y = data()
    models = perceptrons()
    result = train(models, x, y, optimiser=SGD(lr=0.1), schedule=cosine(), batch_size=BATCH, epochs=4)
    for i, model in enumerate(models):
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20)
        optimiser.register_step_post_hook(lambda *_, decay=decay: decay.step())
        optimiser.step()  # torch wants the first step of the optimiser before the schedule; no gradient yet
        decay.last_epoch, optimiser.param_groups[0]["lr"] = 0, 0.1
        alone(model, x, y, optimiser, seed=i, epochs=4)
    assert_agree(result, models)


def test_labels_redrawn_each_epoch():
    x, y = data()
    models = perceptrons()

    def redraw(epoch):
        return torch.randint(3, (M, N), generator=torch.Generator().manual_seed(epoch))

    result = train(models, x, y, optimiser=SGD(lr=0.1), batch_size=BATCH, epochs=6, relabel=redraw)
    for i, model in enumerate(models):
        own = lambda epoch, i=i: redraw(epoch)[i]  # noqa: E731
        alone(model, x, y, torch.optim.SGD(model.parameters(), 0.1), seed=i, epochs=6, each=own)
    assert_agree(result, models)
    # the training error is measured against the labels of the last epoch
    errors = [(model(x).argmax(1) != redraw(6)[i]).double().mean() for i, model in enumerate(models)]
    torch.testing.assert_close(result.final["train_error"], torch.stack(errors), rtol=0, atol=1e-12)


def test_a_callable_loss_is_written_for_one_member():
    x, y = data()
    hinge = lambda z, y: (1 - z.gather(1, y[:, None])).clamp(min=0).sum()  # noqa: E731
    models = perceptrons()
    result = train(models, x, y, loss=hinge, optimiser=SGD(lr=1e-3), batch_size=BATCH, epochs=5)
    for i, model in enumerate(models):
        alone(model, x, y, torch.optim.SGD(model.parameters(), 1e-3), seed=i, epochs=5, loss=hinge)
    assert_agree(result, models)


@given(
    widths=st.lists(st.integers(1, 6), max_size=3),
    n=st.integers(1, 9),
    members=st.integers(1, 4),
    bias=st.booleans(),
    activation=st.sampled_from(["relu", "tanh", "sigmoid", "identity"]),
    loss=st.sampled_from(["cross_entropy", "mse"]),
    keep=st.sampled_from([0.0, 0.7]),
    shared=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_the_written_out_chain_rule_is_autograd(*, widths, n, members, bias, activation, loss, keep, shared):
    models = [
        nets.mlp(4, widths, 3, activation=activation, bias=bias, seed=s, dtype=torch.float64) for s in range(members)
    ]
    g = torch.Generator().manual_seed(n)
    x = torch.randn(*([n] if shared else [members, n]), 4, generator=g, dtype=torch.float64)
    y = torch.randint(3, (members, n), generator=g)
    y = y if loss == "cross_entropy" else torch.randn(members, n, 3, generator=g, dtype=torch.float64)
    fast, general = Perceptrons.of(models, loss), Ensemble.of(models, loss)
    for ensemble in (fast, general):
        ensemble.gradient.fill_(0.3)
        ensemble.accumulate(x, y, shared=shared, keep=keep)
    torch.testing.assert_close(fast.gradient, general.gradient, rtol=0, atol=1e-13)
    torch.testing.assert_close(fast(x, shared=shared), general(x, shared=shared).detach(), rtol=0, atol=1e-13)


def test_float32_follows_float64():
    x, y = data()
    double = train(perceptrons(), x, y, optimiser=SGD(lr=0.05, momentum=0.9), batch_size=BATCH, epochs=2)
    singles = [model.float() for model in perceptrons()]
    single = train(singles, x.float(), y, optimiser=SGD(lr=0.05, momentum=0.9), batch_size=BATCH, epochs=2)
    for name, value in single.states.items():
        # ten steps, rounding 6e-8 each in quantities of order one, amplified by momentum 10
        torch.testing.assert_close(value.double(), double.states[name], rtol=0, atol=2e-5)
