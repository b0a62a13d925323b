"""The study of Robbins and Monro: its trials against exact moments, and its declarations."""

import numpy as np
import pytest
import torch

from lemmata.studies._robbins_monro_digits import AdaGradOfTheSlide, Digits, classify
from lemmata.studies._robbins_monro_rates import Descent, descend
from lemmata.studies._robbins_monro_samples import Samples, learn, limit_gap_ratio
from lemmata.studies.robbins_monro import study
from lemmata.study.kinds.threshold import first_crossing

SMALL = {"iterations": 200, "draws": 8}


def test_members_do_not_depend_on_their_company():
    rules = [(1.0, 1.0, 10.0), (0.2, 1.0, 10.0), (0.04, 0.0, 10.0), (1.0, 2.0, 1.0)]
    configs = [Descent(seed=s, c=c, power=p, k0=k, **SMALL) for s in (3, 4) for c, p, k in rules]
    together = descend(configs)
    for config, member in zip(configs, together, strict=True):
        alone = descend([config])[0]
        np.testing.assert_allclose(member.curves["distance"].y, alone.curves["distance"].y, rtol=1e-10)
        assert member.scalars == pytest.approx(alone.scalars)
    assert together[0].scalars["exponent"] != together[4].scalars["exponent"]


def test_measured_means_are_the_exact_moments():
    """40 seeds of 16 runs: within 6 standard errors at every mark; odds below 1e-5 for the whole test."""
    configs = [Descent(seed=s, iterations=300, draws=16) for s in range(40)]
    distances = np.array([member.curves["distance"].y for member in descend(configs)])
    exact = configs[0].exact().distance
    assert (np.abs(distances.mean(0) - exact) < 6 * distances.std(0, ddof=1) / 40**0.5 + 1e-12).all()


def test_what_is_left_is_the_infinite_product():
    members = descend([Descent(seed=s, power=2.0, k0=1.0, iterations=2000, draws=50) for s in range(10)])
    left = np.array([member.scalars["left"] for member in members])
    assert abs(left.mean() - 0.5) < 6 * left.std(ddof=1) / 10**0.5 + 1e-3  # the product's tail is 1 / 2000


def test_least_squares_sees_the_samples_of_the_runs():
    """Against a solution of the stream written out, for one seed and its first stream."""
    config = Samples(n=600, draws=2, seed=5)
    problem = config.problem
    x, y = problem.draw(600 * 2, torch.Generator().manual_seed(5))
    gaps = []
    for i in range(2):
        A, b = x[i::2], y[i::2]
        theta = torch.linalg.lstsq(A, b[:, None]).solution[:, 0]
        gaps.append(float(problem.expected(theta) - problem.minimum))
    measured = learn([config])[0]
    assert measured.curves["least_squares_gap"].y[-1] == pytest.approx(np.mean(gaps), rel=1e-8)


def test_ratio_of_the_iterate_is_the_mean_over_the_spectrum():
    h = np.geomspace(1, 4, 5)
    for c in (1.0, 1.5):
        assert limit_gap_ratio(c) == pytest.approx(np.mean((c * h) ** 2 / (2 * c * h - 1)), rel=1e-9)


def test_the_slide_divides_by_squares_of_the_weights():
    theta = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    optimiser = AdaGradOfTheSlide([theta])
    optimiser.param_groups[0]["lr"] = 0.5
    theta.grad = torch.tensor([1.0, 1.0])
    optimiser.step()
    torch.testing.assert_close(theta.detach(), torch.tensor([2.0 - 0.5 / 4, -1.0 - 0.5]))
    optimiser.step()
    second = torch.tensor([1.875 - 0.5 / (4 + 1.875**2), -1.5 - 0.5 / (1 + 2.25)])
    torch.testing.assert_close(theta.detach(), second)


def test_digits_are_followed_from_the_same_start_to_the_same_minimum():
    small = {"n": 300, "pool": 4, "passes": 2.0}
    members = {
        method: classify([Digits(method=method, **small)])[0]
        for method in ("sgd", "adam", "adagrad", "adagrad of the slide", "l-bfgs", "newton-cg")
    }
    for method, member in members.items():
        curve = member.curves["gap_by_passes"]
        assert curve.y[0] == 1, method
        assert len(member.curves["gap_by_seconds"].x) == len(curve.x)
    assert members["l-bfgs"].scalars["last_gap"] < 1e-7
    assert members["newton-cg"].scalars["last_gap"] < 1e-7
    assert members["adagrad of the slide"].scalars["last_gap"] > 1
    crossings = [first_crossing(members[m].curves["gap_by_passes"], 0.5) for m in ("sgd", "l-bfgs")]
    assert crossings[0] < crossings[1]


def test_every_claim_says_where_it_stands_and_has_a_control():
    for claim in study.claims:
        assert claim.where
        assert claim.controls
    names = [claim.name for claim in study.claims]
    assert len(names) == len(set(names)) == 17


@pytest.mark.slow
def test_every_figure_has_data_at_smoke_scale(smoke):
    outcomes = {name: str(verdict.outcome.value) for name, verdict in smoke("robbins-monro").verdicts.items()}
    assert outcomes["fine"] == outcomes["adagrad-of-the-slide-diverges"] == "reproduced"
    figures = [draw(smoke("robbins-monro").tables[e.name]) for e in study.experiments.values() for draw in e.figures]
    assert [figure.name for figure in figures] == ["rates", "failures", "averaging", "samples", "digits", "adagrad"]
    assert all(series.y.size for figure in figures for panel in figure.panels for series in panel.series)
