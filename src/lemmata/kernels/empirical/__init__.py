"""The empirical tangent kernel of a model: its values, its action, its norms, and how it moves in training."""

from lemmata.kernels.empirical.empirical_ntk import empirical_ntk
from lemmata.kernels.empirical.tangent_kernel import EmpiricalNTK

__all__ = ["EmpiricalNTK", "empirical_ntk"]
