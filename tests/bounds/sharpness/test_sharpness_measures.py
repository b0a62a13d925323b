"""Sharpness measures against closed forms: quadratics, and a classifier of one weight."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from lemmata import phantoms
from lemmata.bounds.sharpness import pac_bayes_sharpness_measure, worst_case_sharpness_measure
from lemmata.bounds.sharpness.search import crossing
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.objective import Objective

SPECTRUM = [5.0, 2.0, 1.0, 0.5, 0.1, 0.0]


def one_weight(w: float) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """X -> w x on x > 0 of class 1: all right while w > 0, all wrong after."""
    model = nn.Linear(1, 1, bias=False).requires_grad_(False)
    model.weight.fill_(w)
    return model, (torch.linspace(0.1, 1, 10)[:, None], torch.ones(10, dtype=torch.long))


def logistic(z: Tensor, y: Tensor) -> Tensor:
    """A loss of one number a sample."""
    return nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.to(z))


def network(seed: int = 0) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Two layers of ReLU, fitted to a rule by a few steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    x = torch.randn(60, 4)
    y = x[:, :3].argmax(1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model, (x, y)


@pytest.mark.parametrize("point", [None, torch.tensor([1.0, -2.0, 0.5, 3.0, 1.0, 1.0])])
def test_a_quadratic_has_its_trace(point: Tensor | None):
    """Tr H / (2 rise), at the minimum and away from it, within 4.5 standard errors."""
    bowl = phantoms.quadratic(SPECTRUM, point=point)
    found = pac_bayes_sharpness_measure(bowl.objective, of="loss", rise=0.2, draws=2000, seed=1)
    assert abs(found.value - sum(SPECTRUM) / 0.4) < 4.5 * found.stderr
    assert found.stderr < 0.03 * found.value
    assert found.value == pytest.approx(found.terms["sigma"] ** -2)


def test_magnitudes_weigh_the_diagonal():
    """Sum w_i^2 H_ii / (2 rise - epsilon^2 tr H), within 4.5 standard errors."""
    w = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 1.0])
    bowl = phantoms.quadratic(SPECTRUM, minimum=w, point=w)
    found = pac_bayes_sharpness_measure(bowl.objective, of="loss", rise=0.2, magnitude=True, epsilon=0.05, draws=2000)
    wanted = float((w.double().square() * bowl.diagonal).sum()) / (0.4 - 0.05**2 * bowl.trace)
    assert abs(found.value - wanted) < 4.5 * found.stderr


def test_the_noise_has_sigma_for_its_standard_deviation():
    """One weight w is flipped with probability Phi(-w / sigma) = 0.1: sigma = w / 1.28, whatever w is.

    A variance taken for a deviation would give sigma^2 = w / 1.28. Within 4.5 standard errors.
    """
    for w in (0.05, 20.0):
        model, data = one_weight(w)
        found = pac_bayes_sharpness_measure(model, data, loss=logistic, draws=4000, seed=2)
        assert abs(found.value - (norm.isf(0.1) / w) ** 2) < 4.5 * found.stderr
        assert found.details.stderr < 0.1 * found.terms["sigma"]


def test_the_standard_error_is_that_over_seeds():
    """60 seeds of 100 draws: the mean squared pull is 1 within the 0.999 interval of chi-square, 1.1 for its shape."""
    bowl = phantoms.quadratic(SPECTRUM)
    truth = sum(SPECTRUM) / 0.2
    runs = [pac_bayes_sharpness_measure(bowl.objective, of="loss", draws=100, seed=seed) for seed in range(60)]
    pulls = np.array([(run.value - truth) / run.stderr for run in runs])
    assert 0.45 < (pulls**2).mean() < 2.0


def test_samples_are_pseudo_values():
    """Their mean is the value, their spread its error; the crossing is where the level is met."""
    model, data = network()
    found = pac_bayes_sharpness_measure(model, data, draws=60)
    assert found.samples.mean() == pytest.approx(found.value)
    assert found.samples.std(ddof=1) / math.sqrt(30) == pytest.approx(found.stderr)
    assert abs(found.details.draws.mean() - 0.1) < 0.02  # the error of 60 samples and 60 draws has steps of 1 / 3,600
    assert not found.is_bound


def test_relative_entropy_to_the_start():
    """|w - w_0|^2 / 2 sigma^2, the divergence of two normal laws, by torch.distributions; `initial` is left alone."""
    model, data = network()
    initial = copy.deepcopy(model)
    with torch.no_grad():
        for p in initial.parameters():
            p.add_(0.1)
    before = copy.deepcopy(initial.state_dict())
    plain, entropy = (pac_bayes_sharpness_measure(model, data, initial=one, draws=20) for one in (None, initial))
    sigma = plain.terms["sigma"]
    w, w0 = (torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (model, initial))
    laws = [torch.distributions.Normal(mean.double(), sigma) for mean in (w, w0)]
    by_torch = float(torch.distributions.kl_divergence(*laws).sum())
    assert entropy.value == pytest.approx(by_torch, rel=1e-6)
    assert entropy.stderr / entropy.value == pytest.approx(plain.stderr / plain.value)
    assert all(tensor.equal(before[name]) for name, tensor in initial.state_dict().items())


def test_memory_and_seed():
    """The budget does not change the result; another seed does; a generator is a seed."""
    model, data = network()
    runs = [pac_bayes_sharpness_measure(model, data, draws=20, memory=memory) for memory in (2**25, 2**14, 1)]
    assert runs[0].value == pytest.approx(runs[1].value, rel=1e-6)
    assert runs[0].value == pytest.approx(runs[2].value, rel=1e-6)
    again, other = (pac_bayes_sharpness_measure(model, data, draws=20, seed=seed) for seed in (0, 1))
    assert again.value == runs[0].value
    assert other.value != runs[0].value
    drawn = [
        pac_bayes_sharpness_measure(model, data, draws=20, seed=torch.Generator().manual_seed(7)) for _ in range(2)
    ]
    assert drawn[0].value == drawn[1].value


@pytest.mark.parametrize("measure", [pac_bayes_sharpness_measure, worst_case_sharpness_measure])
def test_invariance_under_rescaling_of_layers(measure):
    """A ReLU network is the same with one layer ten times larger and the next smaller: with magnitudes so is this."""
    model, data = network()
    scaled = copy.deepcopy(model).requires_grad_(False)
    scaled[0].weight.mul_(10)
    scaled[0].bias.mul_(10)
    scaled[2].weight.div_(10)
    options = {"magnitude": True, "epsilon": 0.0}
    assert measure(model, data, **options).value == pytest.approx(measure(scaled, data, **options).value, rel=0.03)
    assert measure(model, data).value != pytest.approx(measure(scaled, data).value, rel=0.1)


@pytest.mark.parametrize("rise", [0.1, 3.0])
def test_worst_case_of_a_quadratic(rise: float):
    """Along the axes the corner of the box is highest: alpha^2 tr H / 2 = rise, to the tolerance."""
    bowl = phantoms.quadratic(SPECTRUM, rotated=False)
    found = worst_case_sharpness_measure(bowl.objective, of="loss", rise=rise, tolerance=1e-6)
    assert found.value == pytest.approx(sum(SPECTRUM) / (2 * rise), rel=1e-5)


def test_worst_case_by_magnitude():
    """At a minimum away from zero, sum of lambda_i (alpha |w_i| + epsilon)^2 / 2 = rise."""
    w = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 1.0])
    bowl = phantoms.quadratic(SPECTRUM, minimum=w, point=w, rotated=False)
    found = worst_case_sharpness_measure(
        bowl.objective, of="loss", rise=0.4, magnitude=True, epsilon=0.02, tolerance=1e-7
    )
    moves = found.terms["alpha"] * w.abs().double() + 0.02
    assert float((moves.square() * torch.tensor(SPECTRUM)).sum()) / 2 == pytest.approx(0.4, rel=1e-5)


def test_worst_case_of_one_weight():
    """It is flipped by a move of its own size; the error jumps there, and the search finds it to its tolerance."""
    model, data = one_weight(0.7)
    found = worst_case_sharpness_measure(model, data, loss=logistic, tolerance=1e-4)
    assert found.terms["alpha"] == pytest.approx(0.7, rel=1e-4)


def test_the_worst_case_is_no_further_than_the_average():
    """Along the worst direction less is borne than at random: alpha < sigma."""
    model, data = network()
    assert worst_case_sharpness_measure(model, data).value > pac_bayes_sharpness_measure(model, data, draws=20).value


def test_an_objective_is_model_loss_and_data():
    """Either way of asking gives the same, and the model is as before."""
    model, data = network()
    state = copy.deepcopy(model.state_dict())
    objective = Objective(model, data=data)
    for measure in (pac_bayes_sharpness_measure, worst_case_sharpness_measure):
        assert measure(objective).value == measure(model, data).value
    assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())


def test_crossing_from_either_side():
    """Above, below, and by steps."""
    for start in (1e-5, 0.5, 1e5):
        assert crossing(lambda s: s, level=0.3, start=start, tolerance=1e-6)[0] == pytest.approx(0.3, rel=1e-6)
    scale, tried, rises = crossing(lambda s: float(s > 2), level=0.5, start=1.0, tolerance=1e-3)
    assert scale == pytest.approx(2, rel=1e-3)
    assert (np.diff(tried) > 0).all()
    assert (np.diff(rises) >= 0).all()


def test_a_model_that_nothing_changes_has_no_sharpness():
    """Said, with what was tried."""
    model, data = one_weight(1.0)
    always = nn.Sequential(model, nn.ReLU(), nn.Threshold(1e30, 1.0))  # class 1 whatever the weight
    with pytest.raises(NotConverged, match="no perturbation"):
        pac_bayes_sharpness_measure(always, data, loss=logistic, draws=4)


@pytest.mark.gpu
def test_on_a_gpu():
    """The same noise: the same scale, to the steps of the error of 60 samples."""
    model, (x, y) = network()
    for measure in (pac_bayes_sharpness_measure, worst_case_sharpness_measure):
        here = measure(model.cpu(), (x, y))
        there = measure(model.cuda(), (x.cuda(), y.cuda()))
        assert there.value == pytest.approx(here.value, rel=0.02)


def test_figure_has_the_level_and_the_scale():
    """The curve, the rise asked for, and where it is reached."""
    model, data = network()
    found = pac_bayes_sharpness_measure(model, data, draws=20)
    panel = found.details.plot().panels[0]
    assert [line.value for line in panel.references] == [0.1, found.terms["sigma"]]
    assert found.plot().name == "measure"


MODEL, DATA = network()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, rise=0.0), "rise = 0.0"),
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, rise=1.0), "rise = 1.0"),
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, draws=7), "even"),
        (lambda: pac_bayes_sharpness_measure(MODEL), "give an Objective"),
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, tolerance=0.0), "tolerance = 0.0"),
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, initial=nn.Linear(4, 3)), "no parameter like"),
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, initial=MODEL, magnitude=True), "leave `magnitude` out"),
        (lambda: pac_bayes_sharpness_measure(MODEL, DATA, magnitude=True, epsilon=100.0), "epsilon = 100 alone"),
        (lambda: pac_bayes_sharpness_measure(phantoms.quadratic([1.0]).objective), "take of='loss'"),
        (lambda: worst_case_sharpness_measure(MODEL, DATA, steps=0), "steps = 0"),
        (lambda: worst_case_sharpness_measure(MODEL, DATA, magnitude=True, epsilon=100.0), "epsilon = 100 alone"),
        (lambda: worst_case_sharpness_measure(MODEL, (DATA[0][:0], DATA[1][:0])), "empty"),
        (lambda: worst_case_sharpness_measure(MODEL, (DATA[0] * torch.nan, DATA[1])), "NaN"),
    ],
)
def test_bad_input_is_named(call, said: str):
    """Each is refused by what is wrong with it."""
    with pytest.raises(InvalidInput, match=said):
        call()


def test_an_unknown_quantity_is_named():
    """The known ones are offered."""
    with pytest.raises(UnknownName, match="margin"):
        pac_bayes_sharpness_measure(MODEL, DATA, of="margin")


def test_of_a_curve_that_does_not_rise_throughout_some_crossing_is_found():
    """Upward crossings at 0.2 and 5: which of them depends on the start, as the docstring warns."""

    def rise(scale: float) -> float:
        return float(0.2 < scale < 0.3 or scale > 5)

    for start, expected in ((0.35, 5.0), (0.25, 0.2), (8.0, 5.0)):
        assert crossing(rise, level=0.5, start=start, tolerance=1e-3)[0] == pytest.approx(expected, rel=1e-3)
