"""What no kernel of a network can be is refused, by name, where it would otherwise go on as numbers."""

import math

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.kernels import (
    Convolutional,
    FullyConnected,
    KernelBlocks,
    LinearisedTraining,
    cntk,
    eigendirection_rates,
    empirical_ntk,
    kernel_ridge,
    predict_ensemble,
)

EYE = torch.eye(3, dtype=torch.float64)
INDEFINITE = torch.diag(torch.tensor([2.0, 1.0, -0.5], dtype=torch.float64))
BLOCKS = KernelBlocks(EYE, 0.1 * torch.ones(2, 3, dtype=torch.float64), EYE[:2, :2])
Y = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)


def test_a_covariance_that_is_none():
    """Indefinite on the training samples, or only together with the test samples."""
    with pytest.raises(InvalidInput, match="not those of one covariance"):
        predict_ensemble(BLOCKS, KernelBlocks(INDEFINITE, BLOCKS.cross, BLOCKS.test), Y, times=[0.1])
    with pytest.raises(InvalidInput, match="not those of one covariance"):
        predict_ensemble(BLOCKS, KernelBlocks(EYE, 100 * BLOCKS.cross, BLOCKS.test), Y)


def test_rates_of_an_indefinite_kernel():
    with pytest.raises(InvalidInput, match=r"eigenvalue -0.5, below zero"):
        eigendirection_rates(INDEFINITE, Y, step_size=0.1)
    found = eigendirection_rates(EYE, Y, step_size=0.1)
    for wrong in ([-1], [math.nan]):
        with pytest.raises(InvalidInput, match="0 or more"):
            found.bound(wrong)


def test_a_kernel_of_another_type():
    ntk = empirical_ntk(nn.Linear(2, 1), torch.ones(3, 2), outputs="trace")
    for wrong in (ntk, EYE.numpy(), "rbf"):
        with pytest.raises(InvalidInput, match=f"a kernel of type {type(wrong).__name__}; give"):
            kernel_ridge(wrong, Y, ridge=1.0)
    assert kernel_ridge(ntk.matrix, Y.float(), ridge=1.0).residual < 1e-6


@pytest.mark.parametrize("tolerance", [0.0, -1.0, math.nan, math.inf])
def test_a_tolerance_that_is_none(tolerance):
    training = LinearisedTraining(EYE, torch.tensor([0, 1, 0]), loss="cross_entropy")
    with pytest.raises(InvalidInput, match="tolerance"):
        training.run([1.0], tolerance=tolerance)


@pytest.mark.parametrize("depth", [math.nan, 2.5, 2.0, "3", True, 0])
def test_a_depth_that_is_none(depth):
    with pytest.raises(InvalidInput, match="depth"):
        FullyConnected(depth)


def test_images_of_different_sizes():
    images = [torch.ones(1, 4, 4), torch.ones(1, 5, 4)]
    with pytest.raises(InvalidInput, match="images of one size"):
        cntk(images, network=Convolutional(3))
    with pytest.raises(InvalidInput, match="both sides take the same"):
        cntk(images[0][None], images[1][None], network=Convolutional(3))


def test_a_kernel_of_no_parameters():
    with pytest.raises(InvalidInput, match="one parameter at least"):
        empirical_ntk(nn.Linear(2, 1), torch.ones(3, 2), parameters=[])
