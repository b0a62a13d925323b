"""Runs against loops written out, matrices and closed forms; batches of methods and starts against each alone."""

import numpy as np
import pytest
import torch

from lemmata import descent
from lemmata.descent import Schedule, problems, schedules
from lemmata.errors import InvalidInput

F64 = torch.float64


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def logistic(**options):
    x = drawn(50, 6)
    return problems.logistic(x, x[:, 0] + drawn(50, seed=1) > 0, 1e-2, **options)


METHODS = [
    schedules.constant(),
    schedules.grimmer(3),
    schedules.silver(15),
    schedules.dominant(15),
    schedules.nesterov(),
    schedules.ogm(15),
    schedules.heavy_ball(),
]


def test_gradient_descent_is_the_loop_one_would_write():
    problem, steps = logistic(), schedules.silver(15).steps
    x, values, norms = problem.x0, [], []
    for h in [*steps, None]:
        values.append(float(problem.value(x)))
        norms.append(float(problem.gradient(x).norm()))
        x = x if h is None else x - h / problem.L * problem.gradient(x)
    found = descent.run(schedules.silver(15), problem)
    np.testing.assert_allclose(found.value[0], values, rtol=1e-13)
    np.testing.assert_allclose(found.gradient_norm[0], norms, rtol=1e-11)
    torch.testing.assert_close(found.output, x, rtol=1e-12, atol=1e-14)
    assert found.n == found.cost == 15


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_outputs_are_those_of_the_matrix_at_every_step(method):
    """x_k = x_0 - (1/L) sum_j H[k-1, j] g(x_j), gradients at the points of the recursion, H's last row the output."""
    bowl = problems.quadratic([1.0, 0.3, 0.01])
    found = descent.run(method, bowl, 8)
    for k in range(1, 9):
        H = method.matrix(k)
        points, gradients = [bowl.x0], [bowl.gradient(bowl.x0)]
        for row in H:
            points.append(bowl.x0 - sum(h * g for h, g in zip(row, gradients, strict=False)) / bowl.L)
            gradients.append(bowl.gradient(points[-1]))
        assert found.value[0, k] == pytest.approx(float(bowl.value(points[-1])), rel=1e-11)
        assert found.gradient_norm[0, k] == pytest.approx(float(gradients[-1].norm()), rel=1e-11)


def test_methods_and_starts_together_are_each_alone():
    problem = logistic(x0=drawn(5, 6, seed=3))
    polyak = schedules.polyak(problem.minimum.low)
    methods = [*METHODS, polyak]
    together = descent.compare(methods, problem, 15, exact="none")
    for rate, method in zip(together, methods, strict=True):
        for i in (0, 4):
            alone = descent.run(method, problem.at(problem.x0[i]), 15)
            np.testing.assert_allclose(rate.run.value[i], alone.value[0], rtol=1e-12)
            np.testing.assert_allclose(rate.run.gradient_norm[i], alone.gradient_norm[0], rtol=1e-8, atol=1e-13)
        assert rate.run.output.shape == problem.x0.shape


def test_a_shorter_method_stops_at_its_end_beside_longer_ones():
    runs = descent.compare([schedules.constant(), schedules.silver(7)], logistic(), 20, exact="none")
    assert [rate.n for rate in runs] == [20, 7]


def test_divergence_is_infinite_and_stays_so():
    """A step of 4/L doubles and more on the top eigenvector: 3^k, beyond float64 after some 650 steps."""
    found = descent.run(schedules.constant(h=4.0), problems.quadratic([1.0]), 1000)
    assert np.isinf(found.value[0, -1])
    first = int(np.argmax(np.isinf(found.value[0])))
    assert 300 < first < 700
    assert np.isinf(found.value[0, first:]).all()


def test_the_start_is_not_written_to():
    problem = logistic()
    before = problem.x0.clone()
    descent.run(schedules.nesterov(), problem, 5)
    assert torch.equal(problem.x0, before)


def test_refuses_lengths_that_make_no_sense():
    problem = logistic()
    with pytest.raises(InvalidInput, match="no end"):
        descent.run(schedules.constant(), problem)
    with pytest.raises(InvalidInput, match="at least 1"):
        descent.run(schedules.constant(), problem, 0)
    with pytest.raises(InvalidInput, match="7 steps, 8 are asked for"):
        descent.run(schedules.silver(7), problem, 8)
    with pytest.raises(InvalidInput, match="no methods"):
        descent.compare([], problem, 3)
    with pytest.raises(InvalidInput, match="name of its own"):
        descent.compare([schedules.constant(), schedules.constant()], problem, 3)


def test_the_plot_has_a_line_for_every_start():
    figure = descent.run(Schedule("two", np.array([1.0, 1.5])), logistic(x0=drawn(4, 6))).plot()
    assert [panel.series[0].seeds.shape for panel in figure.panels] == [(4, 3), (4, 3)]
