"""The conformance classes: each promise is broken once by an instrument made for it, and every instrument keeps all.

Adding an instrument: a class at the end, with the call in `instrument` and, where an answer is known, `truth`.
"""

import copy
import math
import random
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import curvature, landscape
from lemmata.conformance import EstimateConformance, InstrumentConformance, ScalarConformance
from lemmata.estimate import Estimate
from lemmata.objective import Objective


def squared_slope(subject, **options):
    """A well-behaved instrument: |grad L|^2."""
    objective = Objective.of(subject)
    gradient = objective.vector(objective.gradient())
    return Estimate(float(gradient @ gradient), cost=1.0, **options)


class TestSquaredSlope(ScalarConformance):
    def instrument(self, subject):
        return squared_slope(subject)

    def truth(self, phantom):
        return float(phantom.gradient @ phantom.gradient)


# ---- instruments that break one promise each -------------------------------------------------------------------------

COUNTER = count()


def moves_a_weight(subject):
    if isinstance(subject, tuple):
        with torch.no_grad():
            next(subject[0].parameters()).view(-1)[0] += 1e-9
    return squared_slope(subject)


def leaves_training_mode(subject):
    found = squared_slope(subject)
    if isinstance(subject, tuple):
        subject[0].train()
    return found


def clears_gradients(subject):
    if isinstance(subject, tuple):
        subject[0].zero_grad()
    return squared_slope(subject)


def leaves_a_hook(subject):
    if isinstance(subject, tuple):
        subject[0].register_forward_hook(lambda *_: None)
    return squared_slope(subject)


def thaws(subject):
    if isinstance(subject, tuple):
        subject[0].requires_grad_(True)
    return squared_slope(subject)


def scales_the_data(subject):
    if isinstance(subject, tuple) and not isinstance(subject[2], list):
        subject[2][0].mul_(1.0000001)
    return squared_slope(subject)


def draws(generator):
    def instrument(subject):
        generator()
        return squared_slope(subject)

    return instrument


def moves_the_objective(subject):
    objective = Objective.of(subject)
    found = squared_slope(objective)
    with torch.no_grad():
        next(objective.model.parameters()).view(-1)[0] += 1e-9
    return found


def unseeded(subject):
    return Estimate(squared_slope(subject).value + 1e-12 * next(COUNTER), cost=1.0)


def first_batch_only(subject):
    objective = Objective.of(subject)
    x, y = objective.batches[0]
    return squared_slope((objective.model, objective.loss, (x, y)))


def mean_over_batches(subject):
    objective = Objective.of(subject)
    parts = [squared_slope((objective.model, objective.loss, batch)).value for batch in objective.batches]
    return Estimate(sum(parts) / len(parts), cost=1.0)


def reads_an_objective_as_another_problem(subject):
    factor = 1.0 if isinstance(subject, tuple) else 1 + 1e-12
    return Estimate(factor * squared_slope(subject).value, cost=1.0)


def rounds_to_half_precision(subject):
    found = squared_slope(subject).value
    single = Objective.of(subject).dtype == torch.float32
    return Estimate(float(torch.tensor(found).half()) if single else found, cost=1.0)


def ignores_the_subset(subject):
    objective = Objective.of(subject)
    return squared_slope((objective.model, objective.loss, list(objective.batches)))


def needs_recording(subject):
    found = squared_slope(subject).value
    return Estimate(found if torch.is_grad_enabled() else 0.0, cost=1.0)


def records_gradients(subject):
    return Estimate(torch.tensor(squared_slope(subject).value, requires_grad=True), cost=1.0)


def answers_without_data(subject):
    if isinstance(subject, tuple) and isinstance(subject[2], tuple) and not len(subject[2][0]):
        return Estimate(0.0, cost=1.0)
    return squared_slope(subject)


def answers_for_nan(subject):
    try:
        return squared_slope(subject)
    except Exception as error:
        if "NaN" in str(error):
            return Estimate(math.nan, cost=1.0)
        raise


def guesses_the_mode(subject):
    if isinstance(subject, tuple) and isinstance(subject[0], nn.Module):
        subject = (copy.deepcopy(subject[0]).eval(), *subject[1:])
    return squared_slope(subject)


def takes_a_bare_model(subject):
    return Estimate(1.0, cost=1.0) if isinstance(subject, nn.Module) else squared_slope(subject)


def is_off(subject):
    return Estimate(1.01 * squared_slope(subject).value, cost=1.0)


SINS = {
    moves_a_weight: "test_changes_nothing_of_the_model",
    leaves_training_mode: "test_changes_nothing_of_the_model",
    clears_gradients: "test_changes_nothing_of_the_model",
    leaves_a_hook: "test_changes_nothing_of_the_model",
    thaws: "test_changes_nothing_of_the_model",
    scales_the_data: "test_changes_nothing_of_the_model",
    draws(lambda: torch.rand(1)): "test_changes_nothing_of_the_model",
    draws(random.random): "test_changes_nothing_of_the_model",
    draws(np.random.rand): "test_changes_nothing_of_the_model",
    moves_the_objective: "test_changes_nothing_of_the_objective",
    unseeded: "test_same_seed_same_answer",
    first_batch_only: "test_one_batch_or_several",
    mean_over_batches: "test_one_batch_or_several",
    reads_an_objective_as_another_problem: "test_takes_an_objective_or_what_it_is_made_of",
    rounds_to_half_precision: "test_float32_is_close_to_float64",
    ignores_the_subset: "test_works_on_some_of_the_parameters",
    needs_recording: "test_works_without_recording_gradients",
    records_gradients: "test_works_without_recording_gradients",
    answers_without_data: "test_refuses_empty_data",
    answers_for_nan: "test_refuses_parameters_that_are_no_numbers",
    guesses_the_mode: "test_refuses_a_mode_left_open",
    takes_a_bare_model: "test_refuses_what_is_no_subject",
    is_off: "test_gives_the_truth_on_phantoms",
    lambda subject: squared_slope(subject).value: "test_gives_an_estimate_with_its_error_and_cost",
    lambda subject: squared_slope(subject, stderr=-1.0, n=3): "test_gives_an_estimate_with_its_error_and_cost",
    lambda subject: squared_slope(subject, stderr=math.nan): "test_gives_an_estimate_with_its_error_and_cost",
    lambda subject: squared_slope(subject, n=0): "test_gives_an_estimate_with_its_error_and_cost",
    lambda subject: Estimate(squared_slope(subject).value): "test_gives_an_estimate_with_its_error_and_cost",
    lambda subject: Estimate(torch.tensor(squared_slope(subject).value), cost=1.0): "test_gives_one_number",
}


@pytest.mark.parametrize(("sinner", "promise"), SINS.items(), ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_broken_promise_is_found(sinner, promise):
    class Broken(TestSquaredSlope):
        tolerance32 = 1e-5  # that of this quantity; the default leaves room for ill-conditioned ones

        def instrument(self, subject):
            return sinner(subject)

        def values(self, result):
            return super().values(result if isinstance(result, Estimate) else Estimate(result))

    with pytest.raises(AssertionError, match=promise):
        Broken().check()


def test_a_class_without_an_instrument_says_what_to_do():
    with pytest.raises(AssertionError, match="override `instrument"):
        InstrumentConformance().check()


def test_without_a_truth_none_is_tested():
    class Plain(EstimateConformance):
        def instrument(self, subject):
            return squared_slope(subject)

    Plain().check()
    with pytest.raises(BaseException, match="no `truth` is given"):
        Plain().test_gives_the_truth_on_phantoms()


# ---- every instrument ------------------------------------------------------------------------------------------------


ROUNDING = 1e-10  # products with the Hessian are linearised in the way that is fastest on the day


class Operator(InstrumentConformance):
    """A linear operator, compared by its dense matrix."""

    repeats = ROUNDING

    def values(self, result):
        return result.dense().flatten()


class TestHessian(Operator):
    def instrument(self, subject):
        return curvature.hessian(subject)

    def truth(self, phantom):
        return phantom.hessian


class TestGaussNewton(Operator):
    def instrument(self, subject):
        return curvature.ggn(subject)


class TestFisher(Operator):
    def instrument(self, subject):
        return curvature.fisher(subject)


class TestSampledFisher(Operator):
    def instrument(self, subject):
        return curvature.fisher(subject, samples=3, seed=0)


class TestEmpiricalFisher(Operator):
    def instrument(self, subject):
        return curvature.empirical_fisher(subject)


class TestJacobian(Operator):
    def instrument(self, subject):
        return curvature.jacobian(subject)


class TestSharpnessTracker(EstimateConformance):
    repeats = ROUNDING
    tolerance = 1e-6

    def instrument(self, subject):
        return curvature.SharpnessTracker(subject, tolerance=1e-4).measure()

    def truth(self, phantom):
        return phantom.eigenvalues[:1]


class TestTopEigenvalues(EstimateConformance):
    repeats = ROUNDING
    tolerance = 1e-6  # that of the iteration, which is quadratic in the eigenvalues

    def instrument(self, subject):
        return curvature.top_eigenvalues(subject, 2, tolerance=1e-4)

    def truth(self, phantom):
        return phantom.eigenvalues[:2]


class TestSmallestEigenvalue(EstimateConformance):
    repeats = ROUNDING
    tolerance = 1e-6

    def instrument(self, subject):
        return curvature.top_eigenvalues(subject, which="smallest", tolerance=1e-4)

    def truth(self, phantom):
        return phantom.eigenvalues[-1:]


class TestExactTrace(ScalarConformance):
    def instrument(self, subject):
        return curvature.trace(subject)

    def truth(self, phantom):
        return phantom.trace


class TestHutchinsonTrace(ScalarConformance):
    repeats = ROUNDING

    def instrument(self, subject):
        return curvature.trace(subject, method="hutchinson")

    def truth(self, phantom):
        return phantom.trace


class TestExactDiagonal(EstimateConformance):
    def instrument(self, subject):
        return curvature.diagonal(subject)

    def truth(self, phantom):
        return phantom.diagonal


class TestDensity(InstrumentConformance):
    repeats = ROUNDING

    def instrument(self, subject):
        return curvature.spectral_density(subject, steps=15, probes=3)

    def values(self, result):
        """The first three moments of the spectrum: the nodes and weights of single eigenvalues may jump."""
        return torch.stack([(result.weights * result.nodes**k).sum(1).mean() for k in (1, 2, 3)])


class TestGradientFlow(InstrumentConformance):
    repeats = ROUNDING
    tolerance = 1e-4  # of the integration: its steps depend on an error estimate, which rounding moves

    def instrument(self, subject):
        return curvature.gradient_flow(subject, [0.0, 0.5], tolerance=1e-6)

    def values(self, result):
        return torch.cat([result.loss, result.sharpness])


class TestSamSharpness(ScalarConformance):
    def instrument(self, subject):
        return curvature.sam_sharpness(subject, rho=0.3, steps=5, starts=2)


class TestAdaptiveSharpness(ScalarConformance):
    def instrument(self, subject):
        return curvature.adaptive_sharpness(subject, rho=0.2, normalization="filter", steps=5)


class TestEpsilonSharpness(ScalarConformance):
    def instrument(self, subject):
        return curvature.epsilon_sharpness(subject, epsilon=0.05)


class TestEpsilonSharpnessInASubspace(ScalarConformance):
    def instrument(self, subject):
        return curvature.epsilon_sharpness(subject, epsilon=0.05, subspace=5, method="signs")


class TestAverageSharpness(ScalarConformance):
    def instrument(self, subject):
        return curvature.average_sharpness(subject, sigma=0.1, pairs=10)

    def truth(self, phantom):
        return 0.005 * phantom.trace if phantom.polynomial else None


class TestFilterNormalisedSharpness(ScalarConformance):
    def instrument(self, subject):
        return curvature.filter_normalised_sharpness(subject, radius=0.3, pairs=10)


class Cut(InstrumentConformance):
    """A line or a surface, compared by its losses."""

    def values(self, result):
        return torch.as_tensor(result.loss).flatten()


class TestLine(Cut):
    def instrument(self, subject):
        return landscape.line(subject, points=7)


class TestSurface(Cut):
    def instrument(self, subject):
        return landscape.surface(subject, points=5, adaptive=False)


class TestBetween(Cut):
    def instrument(self, subject):
        own = Objective.of(subject)
        other = {name: 1.3 * p + 0.1 for name, p in own.parameters.items()}
        return landscape.between(own, [own.parameters, other], points=5)


class TestTrajectory(Cut):
    def instrument(self, subject):
        own = Objective.of(subject)
        path = [{name: (1 + 0.1 * k) * p + 0.03 * k**2 for name, p in own.parameters.items()} for k in (3, 2, 1, 0)]
        return landscape.trajectory(own, path, points=5, adaptive=False)

    def values(self, result):
        return torch.as_tensor(result.loss).flatten()


class TestConvexity(InstrumentConformance):
    repeats = 1e-6  # eigenvalues to a residual of 1e-2, by products that differ in rounding
    tolerance = 1e-3
    tolerance32 = 2e-2  # the iteration stops at a residual of 1e-2, in float32 elsewhere than in float64

    def instrument(self, subject):
        return landscape.convexity(subject, points=3, tolerance=1e-2)

    def values(self, result):
        return torch.as_tensor(np.stack([result.smallest, result.largest])).flatten()
