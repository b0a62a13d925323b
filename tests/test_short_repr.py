"""Results print in a line or a few, whatever they hold; the terminal shown is 120 characters wide."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata.kernels import (
    KernelMatrix,
    LinearisedTraining,
    NTKTracker,
    eigendirection_rates,
    empirical_ntk,
    kernel_ridge,
    kernel_ridge_path,
    label_complexity,
    ntk_operator,
    rank_comparison,
)
from lemmata.training import GD

K = torch.eye(30, dtype=torch.float64) * 12345.678
Y = torch.linspace(-1, 1, 30, dtype=torch.float64)
X = torch.linspace(-1, 1, 60).reshape(30, 2)
RESULTS = {
    "KernelMatrix": lambda: KernelMatrix(K, name="k", symmetric=True),
    "KernelFit": lambda: kernel_ridge(K, Y),
    "KernelRidgePath": lambda: kernel_ridge_path(K, Y),
    "HeldOut": lambda: kernel_ridge_path(K, Y).leave_one_out(),
    "LabelComplexity": lambda: label_complexity(K, Y),
    "EigendirectionRates": lambda: eigendirection_rates(K, Y, step_size=1e-5),
    "LinearisedRun": lambda: LinearisedTraining(K, Y).run(range(50), GD(lr=1e-5)),
    "EmpiricalNTK": lambda: empirical_ntk(nn.Linear(2, 3), X),
    "RankComparison": lambda: rank_comparison(np.random.default_rng(0).random((20, 4)), list("abcd")),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_prints_in_five_lines(name):
    shown = repr(RESULTS[name]())
    assert shown.startswith(f"{name}(")
    assert "\n" not in shown
    assert len(shown) <= 5 * 120


def test_what_is_printed_is_what_is_held():
    assert repr(KernelMatrix(K, name="k", symmetric=True)).startswith(
        "KernelMatrix(values=<float64 (30, 30)>, name='k'"
    )
    found = rank_comparison(np.random.default_rng(0).random((20, 4)), list("abcd"))
    assert f"average_ranks=[{', '.join(f'{rank:.6g}' for rank in found.average_ranks)}]" in repr(found)


def test_operators_and_trackers_say_what_they_are():
    model = nn.Linear(2, 3)
    assert repr(ntk_operator(model, X)) == "<LinearOperator 90 x 90, torch.float32, symmetric>"
    assert repr(NTKTracker(model, X)) == "<NTKTracker of a kernel of size 90: 0 measurements>"
