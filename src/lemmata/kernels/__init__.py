"""Kernels of networks: the infinite-width limit, the empirical tangent kernel, and what a kernel says of training."""

from lemmata.kernels.kernel_matrix import KernelMatrix

__all__ = ["KernelMatrix"]
