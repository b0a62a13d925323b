"""Extreme learning machines against their definition, least squares of numpy, and what theory says of the rank."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lemmata import data
from lemmata.conformance import SolverConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.regression.single_layer.extreme_learning import extreme_learning_machine


def peaks(n, seed=0):
    """The function of two variables known as peaks, on [-3, 3]^2."""
    generator = torch.Generator().manual_seed(seed)
    x = 6 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 3
    a, b = x.T
    y = 3 * (1 - a) ** 2 * torch.exp(-(a**2) - (b + 1) ** 2)
    y = y - 10 * (a / 5 - a**3 - b**5) * torch.exp(-(a**2) - b**2) - torch.exp(-((a + 1) ** 2) - b**2) / 3
    return x, y


def test_weights_are_least_squares_on_the_features():
    x, y = peaks(300)
    fit = extreme_learning_machine(x, y, [5, 20], "sin", ridge=0.0, intercept=False, repeats=2, scale=2.0)
    for place, width in enumerate((5, 20)):
        for i in range(2):
            H = np.sin(x.numpy() @ fit.K[i, :width].numpy().T + fit.b[i, :width].numpy())
            W, *_ = np.linalg.lstsq(H, y.numpy()[:, None], rcond=None)
            # the fit, not the weights, is determined to rounding: the condition is up to 1e8
            np.testing.assert_allclose(H @ fit.weights[place][i].numpy(), H @ W, atol=1e-8 * float(y.abs().max()))
            assert float(fit.train_loss[place, i]) == pytest.approx(np.mean((H @ W - y.numpy()[:, None]) ** 2))
            assert int(fit.rank[place, i]) == np.linalg.matrix_rank(H, tol=None)


def test_predictions_are_the_network_written_out():
    x, y = peaks(80)
    fit = extreme_learning_machine(x, y, [3, 7], "tanh", repeats=2, seed=1)
    for place, width in enumerate((3, 7)):
        for i in range(2):
            H = torch.tanh(x @ fit.K[i, :width].T + fit.b[i, :width])
            expected = H @ fit.weights[place][i] + fit.intercepts[place][i]
            torch.testing.assert_close(fit.predict(x, width)[i], expected)
    assert fit.predict(x).shape == (2, 80, 1)


def test_as_many_sine_units_as_samples_interpolate():
    """Huang et al. (2006), Theorem 2.1: n units of a smooth activation reach zero error, almost surely.

    With frequencies of standard deviation 8 the condition of 40 such features leaves 6 digits or more.
    """
    x, y = peaks(40)
    fit = extreme_learning_machine(x, y, 40, "sin", ridge=0.0, intercept=False, repeats=5, scale=8.0)
    assert (fit.rank == 40).all()
    assert float(fit.train_loss.max()) < 1e-12


def test_rank_of_smooth_features_stays_below_the_width():
    """The tanh of small pre-activations is nearly a polynomial of low degree in the two variables."""
    x, y = peaks(500)
    fit = extreme_learning_machine(x, y, 200, "tanh", repeats=3, scale=0.05)
    assert (fit.rank < 100).all()
    assert (fit.rank >= 10).all()
    assert (fit.freedom <= fit.rank + 1 + 1e-9).all()


def test_test_error_falls_with_width_and_gcv_foresees_it():
    x, y = peaks(1000)
    noisy = y + 0.1 * torch.randn(1000, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    fit = extreme_learning_machine(x, noisy, [10, 40, 160], "tanh", test=peaks(500, seed=9), repeats=10, scale=2.0)
    mean = fit.test_loss.mean(1)
    assert mean[0] > 2 * mean[1] > 4 * mean[2]
    # GCV estimates the prediction error: that at new points plus the variance of the noise
    np.testing.assert_allclose(fit.criterion.mean(1), mean + 0.01, rtol=0.25)


def test_draws_do_not_depend_on_memory_or_on_each_other():
    x, y = peaks(60)
    whole = extreme_learning_machine(x, y, [4, 9], repeats=5, seed=3)
    pieces = extreme_learning_machine(x, y, [4, 9], repeats=5, seed=3, memory=1)
    given = extreme_learning_machine(x, y, [4, 9], hidden=(whole.K[2:3], whole.b[2:3]))
    torch.testing.assert_close(pieces.train_loss, whole.train_loss, rtol=1e-9, atol=0)
    torch.testing.assert_close(given.train_loss[:, 0], whole.train_loss[:, 2], rtol=1e-9, atol=0)
    assert len(set(whole.train_loss[1].tolist())) == 5


def test_digits_are_classified_from_random_features():
    digits = data.load("digits", dtype=torch.float64).flat().split(1000, 700, seed=0)
    test = (digits.x_test, digits.y_test)
    fit = extreme_learning_machine(digits.x, digits.y, [50, 400], "relu", test=test, repeats=3)
    # a linear model has 5 to 8 % error on these digits; 400 random units do better, 50 do worse
    assert float(fit.test_error[1].max()) < 0.05 < float(fit.test_error[0].min())
    assert fit.predict(digits.x_test).shape == (3, 700, 10)


def test_cross_entropy_is_softmax_regression_on_the_features():
    digits = data.load("digits", dtype=torch.float64).flat().split(300, 100, seed=0)
    fit = extreme_learning_machine(digits.x, digits.y, 30, "tanh", ridge=1e-2, loss="cross_entropy", repeats=2)
    for i in range(2):
        H = torch.tanh(digits.x @ fit.K[i].T + fit.b[i])
        theirs = LogisticRegression(C=1 / (300 * 1e-2), tol=1e-8, max_iter=5000).fit(H.numpy(), digits.y.numpy())
        p = theirs.predict_proba(H.numpy())[np.arange(300), digits.y.numpy()]
        ours = float(fit.train_loss[0, i]) + 0.005 * float(fit.weights[0][i].square().sum())
        # objectives: both are within 1e-8 of the minimum, as their gradients are within 1e-5
        assert ours == pytest.approx(-np.log(p).mean() + 0.005 * (theirs.coef_**2).sum(), abs=1e-8)


def test_float32_is_close_and_integers_are_labels():
    x, y = peaks(200)
    double = extreme_learning_machine(x, y, 20, ridge=1e-2, repeats=2)
    single = extreme_learning_machine(x.float(), y.float(), 20, ridge=1e-2, repeats=2)
    torch.testing.assert_close(single.train_loss.double(), double.train_loss, rtol=1e-3, atol=0)
    assert single.weights[0].dtype == torch.float32


def test_figure_has_axes_labels_and_a_band():
    x, y = peaks(100)
    figure = extreme_learning_machine(x, y, [4, 8, 16], test=peaks(50, 1), repeats=3).plot()
    assert [panel.y.label for panel in figure.panels] == ["mean squared error", "dimension"]
    assert figure.panels[0].series[1].low is not None


x, y = peaks(20)
labels = torch.arange(20) % 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((x[:0], y[:0], 3), "expected \\(n, d\\)"),
        ((x, y[:5], 3), "expected \\(n, d\\)"),
        ((x * torch.nan, y, 3), "no NaN"),
        ((x.long(), y, 3), "must be floating"),
        ((x.numpy(), y, 3), "x is a ndarray; give a torch tensor"),
        ((x[:1], y[:1], 3), "n = 1 sample"),
        ((x, y > 0, 3), "labels are int64"),
        ((x, y, 2.5), "width = 2.5; numbers of hidden units are integers"),
        ((x, y, 0), "at least one unit"),
        ((x, y, []), "at least one unit"),
        ((x, labels[:, None], 3), "labels are \\(n,\\)"),
        ((x, labels - 1, 3), "they must be 0 to 1"),
    ],
)
def test_bad_data_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        extreme_learning_machine(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ridge": -1.0}, InvalidInput, "0 or more"),
        ({"ridge": float("nan")}, InvalidInput, "0 or more"),
        ({"ridge": "gvc"}, UnknownName, "did you mean 'gcv'"),
        ({"loss": "hinge"}, UnknownName, "unknown loss"),
        ({"activation": "tahn"}, UnknownName, "did you mean 'tanh'"),
        ({"repeats": 0}, InvalidInput, "repeats = 0"),
        ({"scale": 0.0}, InvalidInput, "scale = 0.0"),
        ({"loss": "cross_entropy"}, InvalidInput, "give a number"),
        ({"loss": "cross_entropy", "ridge": 1.0}, InvalidInput, "integer labels"),
        ({"hidden": (torch.zeros(1, 4, 2), torch.zeros(1, 4))}, InvalidInput, "expected \\(R, 3, 2\\)"),
        ({"test": x}, InvalidInput, "give a pair of tensors"),
        ({"test": (x[:, :1], y)}, InvalidInput, "are not like the training data"),
        ({"activation": lambda z: z / 0}, InvalidInput, "NaN or infinity"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        extreme_learning_machine(x, y, 3, **options)


@pytest.mark.parametrize("wrong", [x[:, :1], x.float(), x.numpy(), x[0]])
def test_predictions_at_other_inputs_are_refused(wrong):
    with pytest.raises(InvalidInput, match=r"give a torch tensor torch.float64 of shape \(n, 2\)"):
        extreme_learning_machine(x, y, 3).predict(wrong)


def test_unknown_width_is_refused():
    with pytest.raises(InvalidInput, match="the widths are 3, 4"):
        extreme_learning_machine(x, y, [3, 4], repeats=1).predict(x, 5)


@pytest.mark.gpu
def test_on_a_gpu_the_same():
    here = extreme_learning_machine(x, y, 5, repeats=2)
    there = extreme_learning_machine(x.cuda(), y.cuda(), 5, repeats=2)
    torch.testing.assert_close(there.train_loss.cpu(), here.train_loss, rtol=1e-6, atol=1e-12)


class TestConformance(SolverConformance):
    """The promises of any solver; a direct one, judged by its training loss, which float32 leaves alone."""

    needs_history = False

    def solve(self, x, y, ridge):
        return extreme_learning_machine(x, y, [3, 6], ridge=ridge, repeats=2)

    def values(self, result):
        return result.train_loss.reshape(-1)

    def certificate(self, result):
        return float(result.train_loss.max())


class TestLabelsConformance(TestConformance):
    """The same with labels, by cross-entropy: floating labels are targets of least squares otherwise."""

    labels = True

    def solve(self, x, y, ridge):
        return extreme_learning_machine(x, y, [3, 6], ridge=ridge, loss="cross_entropy", repeats=2)
