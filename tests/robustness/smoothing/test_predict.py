"""Predictions against exact class probabilities, the abstention against exact binomials, ensembles by hand."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.robustness import Gaussian, Laplace, ensemble, predict


def half_space(margins=(1.0,)):
    linear = nn.Linear(len(margins), 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.stack([torch.tensor(margins), -torch.tensor(margins)]))
    return linear


def test_clear_images_get_their_class_and_even_ones_none():
    x = torch.tensor([[1.0], [0.0], [-1.0]], dtype=torch.float64)
    found = predict(half_space(), x, sigma=0.5, n=500)
    assert found.prediction.tolist() == [0, -1, 1]
    assert found.abstained.tolist() == [False, True, False]
    assert found.accuracy(torch.tensor([0, 0, 1])) == pytest.approx(2 / 3)
    assert (found.counts.sum(1) == 500).all()


def test_p_values_are_those_of_scipy_on_the_two_leaders():
    torch.manual_seed(0)
    model, x = nn.Linear(4, 5, dtype=torch.float64), torch.randn(12, 4, dtype=torch.float64)
    found = predict(model, x, sigma=1.0, n=200, alpha=0.05)
    for counts, p_value, prediction in zip(
        found.counts.tolist(), found.p_value.tolist(), found.prediction.tolist(), strict=True
    ):
        second, first = sorted(counts)[-2:]
        # two sums of the same 200 exact terms: equal to rounding
        assert p_value == pytest.approx(stats.binomtest(first, first + second).pvalue, rel=1e-9)
        assert prediction == (counts.index(first) if p_value <= 0.05 else -1)
    assert 0 < int(found.abstained.sum()) < 12  # both outcomes were met


def test_wrong_classes_are_rarer_than_alpha():
    # 4,000 predictions on the boundary's right side by a hair: of class 1 at most alpha / 2 of them
    n, alpha, images = 50, 0.1, 4000
    x = torch.full((images, 1), 1e-3, dtype=torch.float64)
    wrong = int((predict(half_space(), x, sigma=1.0, n=n, alpha=alpha).prediction == 1).sum())
    assert stats.binomtest(32, n).pvalue <= alpha < stats.binomtest(31, n).pvalue
    exact = stats.binom(n, stats.norm.cdf(-1e-3)).sf(31)
    assert exact <= alpha / 2
    # within 4.5 standard deviations of the exact share
    assert abs(wrong - images * exact) < 4.5 * np.sqrt(images * exact)


def test_noise_of_any_law_is_taken():
    x = torch.tensor([[2.0]], dtype=torch.float64)
    found = predict(half_space(), x, noise=Laplace(0.5), n=100)
    assert found.prediction.tolist() == [0]
    assert found.noise == Laplace(0.5)


def test_too_few_copies_are_refused_with_the_least_number():
    with pytest.raises(InvalidInput, match=r"n = 10 copies can decide nothing at alpha = 0\.001.*give n >= 11"):
        predict(half_space(), torch.ones(1, 1), sigma=0.5, n=10)
    assert stats.binomtest(11, 11).pvalue <= 0.001 < stats.binomtest(10, 10).pvalue
    assert predict(half_space(), torch.full((1, 1), 9.0), sigma=0.5, n=11).prediction.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either sigma"),
        ({"sigma": 0.0}, "positive finite"),
        ({"sigma": -0.5}, "positive finite"),
        ({"sigma": 0.5, "n": 0}, "n = 0"),
        ({"sigma": 0.5, "alpha": 0.0}, "alpha = 0"),
        ({"sigma": 0.5, "input_range": (0, 0.5)}, "outside the input_range"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        predict(half_space(), torch.ones(1, 1), **options)


def test_labels_of_another_number_are_refused():
    with pytest.raises(InvalidInput, match="for 1 images"):
        predict(half_space(), torch.ones(1, 1), sigma=0.5).accuracy(torch.tensor([0, 1]))


def test_the_figure_has_both_leaders_with_their_intervals():
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    figure = predict(half_space(), x, sigma=0.5, n=100).plot()
    first, second, abstained = figure.panels[0].series
    assert (np.diff(first.y - second.y) <= 0).all()
    assert np.allclose(first.y + second.y, 1)
    assert abstained.x.tolist() == [9.0]  # the image on the boundary has the least lead
    exact = stats.binomtest(int(first.y[0] * 100), 100).proportion_ci(0.95)
    assert (first.low[0], first.high[0]) == pytest.approx((exact.low, exact.high))


def test_an_ensemble_is_the_mean_of_the_logits():
    torch.manual_seed(0)
    models, x = [nn.Linear(3, 4) for _ in range(3)], torch.randn(5, 3)
    joined = ensemble(models)
    right = sum(model(x).double() for model in models) / 3
    assert torch.allclose(joined(x).double(), right, atol=1e-6)
    assert sum(p.numel() for p in joined.parameters()) == 3 * 16
    for wrong in ([], models[0], [models[0], "model"]):
        with pytest.raises(InvalidInput):
            ensemble(wrong)


def test_an_ensemble_votes_more_steadily():
    # logits that vary about the truth, independently among members: 16 members divide their variance by 16
    members = [half_space(np.array([1.0, *(2.0 * np.eye(16)[k])])) for k in range(16)]
    x = torch.tensor([[0.5] + [0.0] * 16], dtype=torch.float64)
    alone = predict(members[0], x, noise=Gaussian(0.5), n=2000).counts[0, 0]
    joined = predict(ensemble(members), x, noise=Gaussian(0.5), n=2000).counts[0, 0]
    exact = [stats.norm.cdf(0.5 / (0.5 * np.sqrt(1 + variance))) for variance in (4.0, 4.0 / 16)]
    assert [float(alone), float(joined)] == pytest.approx([2000 * p for p in exact], abs=4.5 * np.sqrt(500))


def test_numbers_of_copies_that_would_never_end_are_refused():
    with pytest.raises(InvalidInput, match="n = 1000000000000 copies of each image; give at most"):
        predict(nn.Linear(2, 2), torch.ones(1, 2), sigma=0.5, n=10**12)
