"""Kernels of points keep what every kernel promises."""

import pytest

from lemmata.conformance.kernel import KernelConformance
from lemmata.kernels import Gaussian, Laplace, Polynomial, two_layer_gram


class TestGaussian(KernelConformance):
    def kernel(self, x, z=None):
        return Gaussian(1.5)(x, z)


class TestLaplace(KernelConformance):
    def kernel(self, x, z=None):
        return Laplace(1.5)(x, z)


class TestPolynomial(KernelConformance):
    def kernel(self, x, z=None):
        return Polynomial(3, offset=0.5)(x, z)


class TestTwoLayerGram(KernelConformance):
    def kernel(self, x, z=None):
        return two_layer_gram(x, z)


@pytest.mark.parametrize("kernel", [Gaussian(1.0), Laplace(1.0), Polynomial(2), two_layer_gram])
def test_without_a_second_argument_the_matrix_is_its_transpose_to_the_bit(kernel):
    import torch

    x = torch.randn(37, 11, generator=torch.Generator().manual_seed(0))
    found = kernel(x)
    values = found if isinstance(found, torch.Tensor) else found.values
    assert values.equal(values.mT)
