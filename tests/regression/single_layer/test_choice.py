"""The choice of a method: operations counted by hand, and which way they turn the scale."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lemmata.regression.single_layer import choice as choice_module
from lemmata.regression.single_layer.choice import ITERATIONS, Size, choose
from lemmata.regression.single_layer.gauss_newton import Matrix
from lemmata.regression.single_layer.reduced_problem import reduced_objective

PEAKS = Size(n=2000, M=65, k=1, p=192, forward=2 * 2000 * 3 * 64)
DIGITS = Size(n=4000, M=65, k=10, p=785 * 64, forward=2.0 * 4000 * 785 * 64)


def test_few_parameters_and_squares_take_gauss_newton_with_its_matrix():
    choice = choose(PEAKS, "mse")
    assert choice.method == "gauss-newton"
    assert choice.matrix
    assert "least work: gauss-newton" in choice.why


def test_many_parameters_and_cross_entropy_take_lbfgs_on_everything():
    choice = choose(DIGITS, "cross_entropy")
    assert choice.method == "lbfgs-full"
    assert not choice.matrix


def test_a_step_is_counted_as_it_is_computed(monkeypatch):
    """All matrix products of an evaluation, a gradient and a model on the peaks, as torch counts them.

    The count leaves out the triangular solutions (M^3 / 3 + p^3 / 3 + p M^2, here 1.5 %), and the choice counts a pull
    that the Jacobian spares.
    """
    monkeypatch.setattr(choice_module, "TRAFFIC", 0.0)
    in_place = {
        torch.ops.aten.addmm_: lambda _, a, b, **__: 2 * a[0] * a[1] * b[1],
        torch.ops.aten.addmv_: lambda _, a, b, **__: 2 * a[0] * a[1],
    }
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    reduced = reduced_objective(64, x, x[:, 0])
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        Matrix(reduced.at(reduced.start))
    counted = choose(PEAKS, "mse").operations["gauss-newton"]
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_outputs_too_many_to_project_leave_one_method():
    choice = choose(Size(n=1000, M=1001, k=100, p=10, forward=1e3), "cross_entropy")
    assert choice.method == "lbfgs-full"
    assert "1001 x 100 output weights is too large" in choice.why


@pytest.mark.parametrize("loss", ITERATIONS)
@pytest.mark.parametrize("method", ["gauss-newton", "lbfgs", "lbfgs-full"])
def test_what_is_asked_for_is_taken(loss, method):
    choice = choose(DIGITS, loss, method)
    assert (choice.method, choice.why) == (method, "as asked")


def test_the_scale_turns_with_the_number_of_inner_parameters():
    """For squares and one hidden layer a wide input ends the lead of the matrix, and then that of Gauss-Newton."""
    seen = [choose(Size(2000, 65, 1, 64 * d, 2.0 * 2000 * d * 64), "mse") for d in (3, 1000)]
    assert [choice.matrix for choice in seen] == [True, False]
    assert [choice.method for choice in seen] == ["gauss-newton", "lbfgs"]
