"""Bounds beside runs: exactly attained on worst functions, kept on every other, refuted where they should be.

On a worst function bound and measurement are the same number: 1e-12 relative, the rounding of some hundred steps.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import data, descent
from lemmata.descent import Guarantee, Schedule, problems, schedules
from lemmata.errors import LemmataError, UnknownName
from lemmata.figures import static

F64 = torch.float64


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("n", [1, 2, 7, 31, 127])
@pytest.mark.parametrize("make", [schedules.dominant, schedules.silver, lambda n: schedules.constant(n, 1.0)])
def test_on_its_worst_function_a_bound_is_attained(make, n):
    method = make(n)
    rate = next(iter(descent.compare([method], problems.huber(method.steps), exact="none")))
    if method.guarantee.tight:
        assert rate.slack[0, n] == pytest.approx(1, rel=1e-12)
        assert rate.worst[0, n] == rate.bound[0, n]
    assert rate.holds.all()


@pytest.mark.parametrize("n", [1, 2, 7, 31, 127])
def test_dominant_steps_are_as_bad_on_the_quadratic(n):
    rate = next(iter(descent.compare([schedules.dominant(n)], problems.quadratic([1.0]), exact="none")))
    assert rate.slack[0, n] == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("n", [1, 2, 7, 31])
def test_gradient_norms_attain_their_bound_too(n):
    """The Huber function of the reversed schedule, from where its gap is 1/2 (tau (x - tau / 2) L, to the minimum)."""
    method = schedules.gradient_dominant(n)
    total = float(method.steps.sum())
    rate = next(iter(descent.compare([method], problems.quadratic([1.0]), exact="none")))
    assert rate.of == "gradient"
    assert rate.slack[0, n] == pytest.approx(1, rel=1e-10)
    assert rate.bound[0, n] == pytest.approx(2 / (2 * total + 1) * 0.5, rel=1e-12)


PROBLEMS = st.sampled_from(["logistic", "softmax", "least squares", "quadratic"])


def random_problem(kind: str, seed: int) -> problems.Problem:
    x, noise, start = drawn(30, 4, seed=seed), drawn(30, seed=seed + 1), 3 * drawn(3, 4, seed=seed + 2)
    if kind == "logistic":
        return problems.logistic(x, x[:, 0] + noise > 0, 1e-2, x0=start)
    if kind == "softmax":
        return problems.softmax(x, (x[:, 0] + noise > 0).long(), 1e-2, x0=drawn(3, 8, seed=seed + 2))
    if kind == "least squares":
        return problems.least_squares(x, noise, x0=start)
    return problems.quadratic(drawn(4, seed=seed).exp(), x0=start)


@settings(max_examples=25, deadline=None)
@given(kind=PROBLEMS, seed=st.integers(0, 10**6), n=st.integers(1, 40))
def test_every_proven_bound_holds_on_random_problems(kind, seed, n):
    problem = random_problem(kind, seed)
    mu = problem.mu / problem.L
    methods = [
        schedules.constant(), schedules.constant(h=1.9), schedules.grimmer(7), schedules.silver(n),
        schedules.dominant(n), schedules.primitive(n), schedules.gradient_dominant(n), schedules.nesterov(),
        schedules.ogm(n), schedules.heavy_ball(), schedules.constant(h=1.0, mu=mu), schedules.nesterov(mu=mu),
        schedules.polyak(problem.minimum.low),
    ]  # fmt: skip
    methods = [m for i, m in enumerate(methods) if m.name not in {other.name for other in methods[:i]}]
    rates = descent.compare(methods, problem, n, exact="none")
    assert rates.holds, str(rates)


def test_a_bound_that_is_too_small_does_not_hold_and_the_table_names_the_step():
    wrong = Guarantee("gap", "distance", lambda n: 0.9 / (4 * n + 2), where="nowhere")
    method = Schedule("too good", np.ones(10), guarantee=wrong)
    rates = descent.compare([method], problems.huber(np.ones(10)), exact="none")
    assert not rates.holds
    assert not rates["too good"].holds[10]
    first = int(np.argmin(rates["too good"].holds))
    assert 0 < first < 10  # 0.9 is too small for fewer steps, too
    assert f"NO: step {first}" in str(rates)


def test_a_wrong_l_breaks_the_bound():
    """Half the true L: steps are twice too long, and the run leaves its guarantee."""
    good = problems.quadratic([1.0, 0.1])
    bad = problems.Problem(
        name="wrong", value=good.value, gradient=good.gradient, x0=good.x0, L=0.45, mu=0.1, minimum=good.minimum,
        nearest=good.nearest, L_kind="estimate",
    )  # fmt: skip
    assert descent.compare([schedules.dominant(31)], good, exact="none").holds
    rates = descent.compare([schedules.dominant(31)], bad, exact="none")
    assert not rates.holds
    assert not rates.guaranteed


@pytest.mark.parametrize(
    ("of", "given", "unit"),
    [("gap", "distance", 2.0 * 9.0), ("gradient", "gap", 2.0 * 9.0), ("gradient", "distance", 4.0 * 9.0),
     ("gap", "level", 2.0 * 2 * 9.0 / 2.0)],
)  # fmt: skip
def test_units_of_all_guarantees(of, given, unit):
    """F = x^2 from 3: L = mu = 2, D = 3, gap 9, level set of radius 3."""
    bowl = problems.quadratic([2.0], x0=torch.tensor([3.0]).double())
    method = Schedule("one", np.array([0.5]), guarantee=Guarantee(of, given, lambda n: 0.7, where="nowhere"))
    rate = descent.compare([method], bowl, exact="none")["one"]
    assert rate.bound[0, 1] == pytest.approx(0.7 * unit)
    assert math.isinf(rate.bound[0, 0])
    assert rate.measured[0, 0] == pytest.approx(9.0 if of == "gap" else 36.0)


def test_what_wants_strong_convexity_proves_nothing_without():
    method = schedules.nesterov(mu=0.1)
    flat, curved = (problems.quadratic([1.0, mu]) for mu in (0.01, 0.2))
    assert np.isinf(descent.compare([method], flat, 5)[method.name].bound).all()
    assert np.isfinite(descent.compare([method], curved, 5)[method.name].bound[:, 1:]).all()
    level = schedules.grimmer(3)
    assert np.isinf(descent.compare([level], problems.quadratic([1.0, 0.0]), 5, exact="none")[level.name].bound).all()


def test_long_steps_without_strong_convexity_are_worth_what_they_promise():
    """From the level bound with the run's own start: never above the start's gap after a whole cycle."""
    problem = random_problem("logistic", 0)
    rate = descent.compare([schedules.grimmer(7)], problem, 21, exact="none")["Grimmer, t = 7"]
    assert (rate.bound[:, 21] <= rate.bound[:, 14] + 1e-15).all()
    assert (rate.bound[:, 7] <= rate.measured[:, 0] * (1 + 1e-9)).all()


def test_exact_worst_cases_lie_between_measured_and_proven():
    problem = random_problem("logistic", 3)
    rates = descent.compare([schedules.nesterov(), schedules.heavy_ball(), schedules.silver(7)], problem, 7)
    for rate in rates:
        kept = np.isfinite(rate.worst[0])
        assert kept[[1, 3, 7]].all()
        assert (rate.measured[:, kept] <= rate.worst[:, kept] * (1 + 1e-7)).all()
        assert (rate.worst[:, kept] <= rate.bound[:, kept] * (1 + 1e-6)).all()


def test_rates_on_the_digits_as_published_with_the_steps():
    """Gap after 127 steps of logistic regression on 5,000 MNIST digits; momentum beats every schedule."""
    digits = data.load("mnist-5k").flat().to(dtype=F64)
    problem = problems.logistic(digits.x, digits.y < 5, 1e-3, intercept=True)
    methods = [schedules.constant(), schedules.grimmer(127), schedules.silver(127), schedules.dominant(127),
               schedules.nesterov()]  # fmt: skip
    rates = descent.compare(methods, problem, 127, exact="none")
    assert rates.holds
    found = [float(rate.run.gap[0, -1]) for rate in rates]
    assert found == pytest.approx([8.73e-2, 3.09e-2, 4.31e-2, 3.87e-2, 1.08e-2], abs=5.1e-5)
    assert rates["dominant, 127 steps"].slack[0, -1] == pytest.approx(5.3, abs=0.05)


def test_the_figure_has_a_panel_a_method_and_one_for_all():
    methods = [schedules.constant(), schedules.silver(15), schedules.nesterov()]
    rates = descent.compare(methods, random_problem("logistic", 1), 15)
    figure = rates.plot()
    assert [panel.title for panel in figure.panels] == [*(rate.name for rate in rates), "all, measured"]
    assert static.render(figure).startswith("<svg")
    labels = [series.label for series in figure.panels[0].series]
    best = min(rates, key=lambda rate: float(rate.run.gap[0, -1])).name
    assert best != "constant step 1"
    assert labels == ["constant step 1", best, "proven bound", "exact worst case"]
    (proven,) = (series for series in figure.panels[1].series if series.label == "proven bound")
    assert proven.x.tolist() == [1, 3, 7, 15]  # where silver steps promise anything new
    assert len(rates.plot(["Nesterov"]).panels) == 2
    with pytest.raises(UnknownName, match="Nesterov"):
        rates.plot(["Nesterow"])


def test_a_divergent_method_has_no_bound_and_its_missing_worst_case_stops_nothing():
    found = descent.compare([schedules.constant(h=3.0), schedules.nesterov()], problems.quadratic([1.0, 0.1]), 30)
    row = str(found).splitlines()[2]
    assert "none" in row
    assert row.endswith("  -")
    assert str(found).splitlines()[3].endswith("  yes")


@pytest.mark.parametrize(("methods", "n", "exact", "says"), [
    (schedules.nesterov(), 5, "none", "give a list"),
    ("nesterov", 5, "none", "give a list"),
    (["nesterov"], 5, "none", "no Method"),
    ([schedules.nesterov()], 5.5, "none", "n = 5.5"),
    ([schedules.nesterov()], 5, "x", "'x'"),
    ([schedules.nesterov()], 5, [1.5], "1.5"),
    ([schedules.nesterov()], 5, 3, "exact = 3"),
])  # fmt: skip
def test_comparisons_that_cannot_be_are_refused(methods, n, exact, says):
    with pytest.raises(LemmataError, match=says):
        descent.compare(methods, problems.quadratic([1.0]), n, exact=exact)
