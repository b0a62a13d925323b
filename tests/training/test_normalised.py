"""Written-out batch normalisation against torch's: one step against the general path, trainings against torch loops.

float64. The tests that compare steps have eps >= 0.01, so that a normalisation amplifies rounding by 10 at most and
three of them by 1,000: 1e-12 is generous. ReLU follows a normalisation only where beta is drawn: without, the units of
a layer whose inputs are all zero would be zero to rounding, on the kink.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.training import SGD, Stop, train
from lemmata.training.ensemble import Ensemble
from lemmata.training.perceptron import Perceptrons, assemble, perceptron_layers

INPUTS, CLASSES, M = 4, 3, 3
SMOOTH = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "none": nn.Identity}
UNITS = {"relu": nn.ReLU, **SMOOTH}
NORMS = {
    "as torch has it": {},
    "momentum": {"momentum": 0.37},
    "mean of all batches": {"momentum": None},
    "not affine": {"affine": False},
    "untracked": {"track_running_stats": False},
}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def drawn(model, seed):
    """The model with all parameters, and running statistics, drawn anew."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) * 0.6)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None:
                module.running_mean.normal_(generator=g)
                module.running_var.uniform_(0.5, 2.0, generator=g)
    return model


def perceptron(layers, seed, inputs=INPUTS):
    """Layers (width, bias, options of the normalisation or None, units), and an output layer."""
    modules = []
    for width, bias, norm, units in layers:
        modules += [nn.Linear(inputs, width, bias=bias)]
        modules += [] if norm is None else [nn.BatchNorm1d(width, **norm)]
        modules += [UNITS[units]()]
        inputs = width
    return drawn(nn.Sequential(*modules, nn.Linear(inputs, CLASSES)).double(), seed)


def usual(norm, seed, width=9):
    """Linear, normalisation, ReLU twice; tanh where there is no beta."""
    units = "tanh" if norm.get("affine") is False else "relu"
    return perceptron([(width, False, {"eps": 0.01, **norm}, units), (width, True, norm, units)], seed)


def batch(n, seed, members=None):
    g = torch.Generator().manual_seed(seed)
    leading = (n,) if members is None else (members, n)
    return torch.randn(*leading, INPUTS, generator=g, dtype=torch.float64), torch.randint(CLASSES, leading, generator=g)


@st.composite
def hidden(draw):
    if draw(st.booleans()):
        return draw(st.integers(1, 6)), draw(st.booleans()), None, draw(st.sampled_from(sorted(UNITS)))
    affine = draw(st.booleans())
    norm = {
        "affine": affine, "eps": draw(st.sampled_from([0.01, 0.5])), "momentum": draw(st.sampled_from([0.1, 0.9, 1.0])),
        "track_running_stats": draw(st.booleans()),
    }  # fmt: skip
    units = draw(st.sampled_from(sorted(UNITS if affine else SMOOTH)))
    return draw(st.integers(1, 6)), draw(st.booleans()), norm, units


@given(
    layers=st.lists(hidden(), max_size=3),
    n=st.integers(2, 9),
    members=st.integers(1, 4),
    loss=st.sampled_from(["cross_entropy", "mse"]),
    keep=st.sampled_from([0.0, 0.7]),
    shared=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_steps_are_those_of_the_general_path(*, layers, n, members, loss, keep, shared):
    """Gradients, running statistics, outputs in both modes and gradients by inputs, over steps of changing size."""
    models = [perceptron(layers, seed) for seed in range(members)]
    fast, general = Perceptrons.of(models, loss), Ensemble.of(models, loss)
    for step, size in enumerate([n, n + 1, n]):
        x, y = batch(size, step, None if shared else members)
        y = y.expand(members, size) if shared else y
        y = y if loss == "cross_entropy" else nn.functional.one_hot(y, CLASSES).double()
        losses = [e.accumulate(x, y, shared=shared, keep=keep) for e in (fast, general)]
        torch.testing.assert_close(*losses, **EXACT)
        torch.testing.assert_close(fast.gradient, general.gradient, **EXACT)
        for ensemble in (fast, general):
            ensemble.theta.sub_(ensemble.gradient, alpha=0.05)
    with torch.no_grad():
        for training in (False, True):
            outputs = [e(x, shared=shared, training=training) for e in (fast, general)]
            torch.testing.assert_close(*outputs, **EXACT)
    inputs = batch(6, 7, members)[0]
    slopes = [e.input_gradient(inputs, lambda z: z.square().sum(-1), copies=2) for e in (fast, general)]
    torch.testing.assert_close(*slopes, **EXACT)
    assert fast.constants.keys() == general.constants.keys()
    for name, value in general.constants.items():
        torch.testing.assert_close(fast.constants[name], value, **EXACT)


def alone(model, x, y, *, seed, size, epochs, lr):
    """The oracle: one network, torch's own optimiser, torch's own autograd; in evaluation mode at the end."""
    generator, optimiser = torch.Generator().manual_seed(seed), torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=generator).split(size):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model.train()(x[index]), y[index]).backward()
            optimiser.step()
    return model.eval()


@pytest.mark.parametrize("norm", [name for name in NORMS if name != "untracked"])
def test_members_that_stop_when_they_are_done_are_what_each_is_alone(norm):
    """Step sizes of their own, a last batch of 2, stopping at different times: parameters, buffers, outputs, errors."""
    models = [usual(NORMS[norm], seed) for seed in range(M)]
    assert type(assemble(models, "cross_entropy")) is Perceptrons
    (x, y), rates = batch(42, 0), [0.05, 0.02, 0.01]
    result = train(
        copy.deepcopy(models), x, y, optimiser=SGD(lr=rates, momentum=0.9), batch_size=8, epochs=40, seeds=[5, 6, 7],
        stop=Stop(train_loss_below=1.0),
    )  # fmt: skip
    epochs = result.stopped_at.tolist()
    assert len(set(epochs)) > 1, epochs
    for i, model in enumerate(models):
        alone(model, x, y, seed=5 + i, size=8, epochs=epochs[i], lr=rates[i])
        for name, value in model.state_dict().items():
            torch.testing.assert_close(result.states[name][i], value, rtol=0, atol=1e-9)  # hundreds of steps
        outputs = model(x)
        torch.testing.assert_close(result.model(i)(x), outputs, rtol=0, atol=1e-8)
        assert result.final["train_error"][i] == (outputs.argmax(1) != y).double().mean()


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_by_the_inputs_are_in_evaluation_mode(norm):
    models = [usual(NORMS[norm], seed).eval() for seed in range(M)]
    together, (x, _) = Perceptrons.of(models, "cross_entropy"), batch(9, 1, M)
    before = {name: value.clone() for name, value in together.constants.items()}
    found = together.input_gradient(x, lambda z: z.softmax(-1)[..., 0].log())
    for i, model in enumerate(models):
        own = x[i].clone().requires_grad_()
        (expected,) = torch.autograd.grad(model(own).softmax(-1)[:, 0].log().sum(), own)
        torch.testing.assert_close(found[i], expected, **EXACT)
    assert all(torch.equal(before[name], value) for name, value in together.constants.items())


def test_chosen_members_go_on_with_their_own_statistics():
    models, index = [usual({}, seed) for seed in range(M)], torch.tensor([2, 0])
    chosen, general = (kind.of(models, "mse").select(index) for kind in (Perceptrons, Ensemble))
    x, y = batch(5, 0, 2)[0], torch.zeros(2, 5, CLASSES, dtype=torch.float64)
    for ensemble in (chosen, general):
        ensemble.accumulate(x, y, shared=False)
    torch.testing.assert_close(chosen.gradient, general.gradient, **EXACT)
    for name, value in general.states().items():
        torch.testing.assert_close(chosen.states()[name], value, **EXACT)


def test_a_batch_of_one_sample_is_refused_in_training():
    models, (x, y) = [usual({}, 0)], batch(7, 0)
    with pytest.raises(InvalidInput, match=r"'1' normalises over a batch of one sample.*batch_size"):
        train(models, x, y, optimiser=SGD(lr=0.1), batch_size=3, epochs=1)
    with pytest.raises(InvalidInput, match="set track_running_stats"):
        train([usual(NORMS["untracked"], 0)], x, y, optimiser=SGD(lr=0.1), epochs=1)


def test_float32_normalises_units_far_from_zero():
    """Sums around 1,000 with a deviation of 1: their rounding is 6e-5, and centring adds nothing to it."""
    model = nn.Sequential(nn.Linear(INPUTS, 1), nn.BatchNorm1d(1))
    nn.init.constant_(model[0].bias, 1e3)
    x = batch(500, 0, 1)[0].float()
    found = Perceptrons.of([model], "mse")(x, training=True)
    exact = copy.deepcopy(model).double()(x[0].double())
    assert (found[0].double() - exact).abs().max() < 5e-4


one = nn.BatchNorm1d(3)
SHARED = nn.Tanh()
BROKEN = {
    "before the first layer": nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)),
    "after the units": nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 3)),
    "twice": nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)),
    "of another width": nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(1)),
    "used in two places": nn.Sequential(nn.Linear(4, 3), one, nn.Linear(3, 3), one),
    "in half precision": nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).half(),
    "of another kind": nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_other_places_and_kinds_are_left_to_the_general_path(case):
    assert perceptron_layers(BROKEN[case], "mse") is None


def test_a_module_that_is_watched_is_left_to_the_general_path():
    model = usual({}, 0)
    model[1].register_forward_hook(lambda *_: None)
    assert perceptron_layers(model, "mse") is None


def test_one_activation_in_two_places_acts_in_both():
    models = [nn.Sequential(nn.Linear(4, 3), SHARED, nn.Linear(3, 3), SHARED).double()]
    x, _ = batch(5, 0)
    fast = assemble(models, "mse")
    assert type(fast) is Perceptrons
    torch.testing.assert_close(fast(x, shared=True)[0], models[0](x), **EXACT)


@pytest.mark.gpu
def test_a_device_takes_the_same_steps():
    models = [usual({}, seed) for seed in range(M)]
    x, y = batch(8, 0, M)
    here = Perceptrons.of(models, "cross_entropy")
    there = Perceptrons.of([model.cuda() for model in models], "cross_entropy")
    here.accumulate(x, y, shared=False)
    there.accumulate(x.cuda(), y.cuda(), shared=False)
    torch.testing.assert_close(there.gradient.cpu(), here.gradient, **EXACT)
    for name, value in here.constants.items():
        torch.testing.assert_close(there.constants[name].cpu(), value, **EXACT)
