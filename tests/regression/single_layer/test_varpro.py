"""Variable projection as a whole: published problems, independent minimisers, promises, refusals."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import data as datasets
from lemmata.conformance import SolverConformance
from lemmata.data import synthetic
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.regression.single_layer import reduced_objective, varpro
from lemmata.regression.single_layer.history import History, Recorder

F64 = torch.float64


class Exponentials(nn.Module):
    """The features exp(-a_j t): no affine map anywhere."""

    def __init__(self, rates):
        super().__init__()
        self.rates = nn.Parameter(torch.tensor(rates, dtype=F64))

    def forward(self, t):
        return torch.exp(-t * self.rates)


def peaks(n=500, seed=1):
    x, t = synthetic.peaks(n, generator=torch.Generator().manual_seed(seed))
    return x, (t - t.mean()) / t.std()


MGH17 = (
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
    0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
    0.406,
)  # fmt: skip


@pytest.mark.parametrize("kaufman", [True, False])
@pytest.mark.parametrize("matrix", [True, False])
def test_a_published_problem_to_its_certified_digits(kaufman, matrix):
    """MGH17 of NIST's Statistical Reference Datasets (Osborne, 1972), from its second start; certified to 11 digits.

    y = b1 + b2 exp(-b4 t) + b3 exp(-b5 t). The certified sum of squares is 5.4648946975e-5; the data have three
    digits, and all of the certified ones follow from them. The gradient is at rounding where the run ends.
    """
    t = torch.arange(0, 330, 10, dtype=F64)[:, None]
    y = torch.tensor(MGH17, dtype=F64)
    fit = varpro(
        Exponentials([0.01, 0.02]), t, y, ridge=0.0, kaufman=kaufman, matrix=matrix, method="gauss-newton",
        tolerance=1e-14, iterations=500,
    )  # fmt: skip
    assert 2 * 33 * fit.value == pytest.approx(5.4648946975e-5, rel=1e-10)
    weights, rates = fit.model.output, fit.model.features.rates.detach()
    found = [weights.bias.item(), *weights.weight[0].tolist(), *rates.tolist()]
    certified = [3.7541005211e-1, 1.9358469127, -1.4646871366, 1.2867534640e-2, 2.2122699662e-2]
    np.testing.assert_allclose(found, certified, rtol=1e-6)


def test_exponentials_are_recovered():
    t = torch.linspace(0, 3, 60, dtype=F64)[:, None]
    y = 2 * torch.exp(-t) - 3 * torch.exp(-4 * t) + 0.5
    fit = varpro(Exponentials([0.7, 3.0]), t, y, ridge=0.0, tolerance=1e-13)
    np.testing.assert_allclose(fit.model.features.rates.detach(), [1, 4], rtol=1e-6)
    np.testing.assert_allclose(fit.model.output.weight.detach(), [[2, -3]], rtol=1e-6)
    assert fit.converged or fit.stopped == "rounding"


def whole_objective(fit, x, y, loss, ridge):
    """J by its definition, from the fitted model alone."""
    outputs = fit.model(x)
    data = (
        0.5 * (outputs - y).square().sum(1).mean() if loss == "mse" else nn.functional.cross_entropy(outputs, y)
    )  # fmt: skip
    of_theta = sum(p.square().sum() for p in fit.model.features.parameters())
    of_weights = sum(p.square().sum() for p in fit.model.output.parameters())
    return data + ridge[0] / 2 * of_theta + ridge[1] / 2 * of_weights


def small(loss):
    if loss == "mse":
        x, t = peaks(200)
        return x, torch.stack([t, t.sin()], 1)
    return synthetic.peaks_classes(200, classes=3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("method", ["gauss-newton", "lbfgs", "lbfgs-full"])
def test_value_and_gradient_are_those_of_the_model(loss, method):
    x, y = small(loss)
    ridge = (1e-3, 1e-2)
    fit = varpro(8, x, y, loss=loss, ridge=ridge, method=method, iterations=20)
    J = whole_objective(fit, x, y, loss, ridge)
    assert fit.value == pytest.approx(J.item(), rel=1e-12)
    gradients = torch.autograd.grad(J, list(fit.model.parameters()))
    sizes = [g.norm() for g in gradients]
    if method == "lbfgs-full":
        assert math.sqrt(sum(size**2 for size in sizes)) == pytest.approx(fit.gradient_norm, rel=1e-6)
    else:  # the weights are the best ones, and the rest is the reduced gradient
        assert math.hypot(*sizes[-2:]) < 1e-9
        assert math.hypot(*sizes[:-2]) == pytest.approx(fit.gradient_norm, rel=1e-4)
    assert (np.diff(fit.history.value) <= 1e-12).all()


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("method", ["gauss-newton", "lbfgs", "lbfgs-full"])
def test_scipy_finds_nothing_better_from_where_it_ends(loss, method):
    """BFGS over all parameters of the fitted model, on J by its definition: the end is a minimum, not only flat."""
    from scipy.optimize import minimize

    x, y = small(loss)
    ridge = (3e-2, 3e-2)
    fit = varpro(3, x, y, loss=loss, ridge=ridge, method=method, tolerance=1e-9, iterations=3000)

    def objective(flat):
        nn.utils.vector_to_parameters(torch.as_tensor(flat), fit.model.parameters())
        value = whole_objective(fit, x, y, loss, ridge)
        return value.item(), nn.utils.parameters_to_vector(
            torch.autograd.grad(value, list(fit.model.parameters()))
        ).numpy()

    assert fit.converged
    flat = nn.utils.parameters_to_vector(fit.model.parameters()).detach().numpy()
    nudge = 1e-3 * np.random.default_rng(0).standard_normal(flat.shape)
    found = minimize(objective, flat + nudge, jac=True, method="BFGS", options={"gtol": 1e-9})
    assert found.fun == pytest.approx(fit.value, rel=1e-10)


def test_peaks_to_a_small_misfit_in_a_few_iterations():
    x, t = peaks(2000)
    fit = varpro(64, x, t, target=1e-4, iterations=40)
    assert fit.method == "gauss-newton"
    assert fit.stopped == "target"
    assert fit.iterations <= 25  # 8 to 19 over ten seeds
    assert fit.history.reaches(1e-4)[0] == fit.iterations
    generator = torch.Generator().manual_seed(5)
    x_new, t_new = synthetic.peaks(500, generator=generator)
    _, raw = synthetic.peaks(2000, generator=torch.Generator().manual_seed(1))
    error = (fit.model(x_new)[:, 0] - (t_new - raw.mean()) / raw.std()).square().mean()
    assert error < 1e-2


def test_digits_take_lbfgs_on_all_parameters():
    digits = datasets.load("mnist-5k").split(train=400, test=10)
    x = digits.x.flatten(1)
    features = nn.Sequential(nn.Linear(784, 64), nn.Tanh()).eval()
    fit = varpro(features, x, digits.y, loss="cross_entropy", ridge=1e-4, iterations=3)
    assert fit.method == "lbfgs-full"
    assert "relative iterations x Mflop an iteration" in fit.choice.why


def test_features_of_a_convolution():
    digits = datasets.load("digits").subset(150)
    features = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Tanh(), nn.Flatten()).eval()
    x = digits.x.reshape(-1, 1, 8, 8)
    fit = varpro(features, x, digits.y, loss="cross_entropy", ridge=1e-3, method="gauss-newton", iterations=6)
    assert fit.history.value[-1] < 0.5 * fit.history.value[0]
    assert fit.model.features[0].weight.shape == features[0].weight.shape


def test_only_new_modules_come_back():
    x, y = small("cross_entropy")
    features = nn.Sequential(nn.Linear(2, 4), nn.Tanh()).double()
    before = copy.deepcopy(features.state_dict())
    fit = varpro(features, x, y, loss="cross_entropy", ridge=1e-3, iterations=3)
    assert all(torch.equal(before[name], value) for name, value in features.state_dict().items())
    assert fit.model.features is not features
    assert not torch.equal(fit.model.features[0].weight, features[0].weight)


def test_single_precision_in_single_precision_out():
    x, t = peaks(100)
    double = varpro(5, x, t, iterations=5, ridge=1e-3)
    single = varpro(5, x.float(), t.float(), iterations=5, ridge=1e-3)
    assert single.model(x.float()).dtype == torch.float32
    assert single.value == pytest.approx(double.value, rel=1e-4)  # inputs rounded to 6e-8


def test_seeds_draw_the_units():
    x, t = peaks(100)
    a, again, other = (varpro(5, x, t, iterations=3, seed=seed).value for seed in (0, 0, 1))
    assert a == again
    assert a != other
    g = torch.Generator().manual_seed(0)
    assert varpro(5, x, t, iterations=3, seed=g).value == a


def test_a_stationary_start_ends_at_once():
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    fit = varpro(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), x, torch.zeros(20), ridge=(0.0, 1e-3))
    assert (fit.stopped, fit.iterations, fit.value) == ("tolerance", 0, 0.0)


def test_runs_of_few_iterations_say_so():
    fit = varpro(8, *peaks(100), iterations=2)
    assert (fit.stopped, fit.iterations, fit.converged) == ("iterations", 2, False)
    assert len(fit.history.seconds) == 3
    assert fit.cost > 0


def test_figure(tmp_path):
    figure = varpro(8, *peaks(100), iterations=5).plot()
    assert static.render(figure, None).startswith("<svg")
    assert "Ended by: iterations" in figure.caption


def test_history_reaches():
    history = History(np.array([5.0, 2.0, 1.0]), np.ones(3), np.array([0.0, 0.1, 0.3]))
    assert history.reaches(2.0) == (1, 0.1)
    assert history.reaches(0.5) is None


def test_the_recorder_reads_the_clock_it_is_given():
    ticks = iter(range(10))
    record = Recorder(1e-3, 5, clock=lambda: float(next(ticks)))
    assert not record.done(1.0, torch.ones(1))
    assert record.done(0.5, torch.zeros(1))
    assert record.why == "tolerance"
    assert record.history.seconds.tolist() == [1.0, 2.0]


class TestConformanceOfSquares(SolverConformance):
    """The promises of a solver; the ridge makes the minimum of these few units unique enough to be found twice."""

    repeats = 0.0
    tolerance = 1e-5

    def solve(self, x, y, ridge):
        return varpro(3, x, y, ridge=ridge, tolerance=1e-9)

    def values(self, result):
        return nn.utils.parameters_to_vector(result.model.parameters()).detach()


class TestConformanceOfCrossEntropy(TestConformanceOfSquares):
    labels = True

    def solve(self, x, y, ridge):
        return varpro(3, x, y, loss="cross_entropy", ridge=ridge, tolerance=1e-9, method="gauss-newton")


X, T = torch.zeros(6, 2), torch.zeros(6)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, X, T[:5]), "give .n, .... and n targets"),
        ((3, X[:0], T[:0]), "give .n, ...."),
        ((3, torch.full((6, 2), math.nan), T), "NaN or infinity"),
        ((3, X.long(), T), "floating-point inputs"),
        ((3, X, torch.zeros(6, 1, 1)), "give .n,. or .n, k."),
        ((0, X, T), "0 tanh units"),
        ((3, torch.zeros(6, 2, 2), T), "vectors"),
        ((3, X.numpy(), T), "x is a ndarray; give a torch tensor"),
        ((nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (2, 2))), X, T), r"are \(2, 2, 2\); give \(n, m\)"),
        ((nn.Sequential(nn.Linear(3, 4), nn.Tanh()), X, T), "cannot be computed of x of shape"),
        ((nn.Sequential(nn.Embedding(3, 4), nn.Flatten()), X, T), "cannot be computed of x of shape"),
    ],
)
def test_data_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        varpro(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ridge": -1.0}, "finite and 0 or more"),
        ({"ridge": (0.0, math.inf)}, "finite and 0 or more"),
        ({"iterations": 0}, "1 or more"),
        ({"tolerance": -1.0}, "0 or more"),
        ({"kaufman": False, "method": "lbfgs"}, "kaufman=False is for"),
        ({"loss": "cross_entropy"}, "needs labels"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        varpro(3, X, T, **options)


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ({"ridge": 0.0}, LABELS, "no unique minimum"),
        ({"kaufman": False, "method": "gauss-newton"}, LABELS, "kaufman=False is for"),
        ({}, LABELS - 1, "labels .n,. 0, 1"),
        ({}, LABELS * 0, "two classes or more"),
        ({"inner_tolerance": 0.0}, LABELS, "must be positive"),
    ],
)
def test_labels_and_options_of_cross_entropy(options, labels, message):
    with pytest.raises(InvalidInput, match=message):
        varpro(3, X, labels, loss="cross_entropy", **options)


def test_names_are_checked():
    with pytest.raises(UnknownName, match="did you mean 'gauss-newton'"):
        varpro(3, X, T, method="gauss_newton")
    with pytest.raises(UnknownName, match="unknown loss 'huber'"):
        reduced_objective(3, X, T, loss="huber")
