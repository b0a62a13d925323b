"""The empirical tangent kernel of a model: its values, its action, its norms, and how it moves in training."""

from lemmata.kernels.empirical.empirical_ntk import empirical_ntk
from lemmata.kernels.empirical.layers import Way
from lemmata.kernels.empirical.ntk_probe import KernelMovement, NTKProbe, NTKTracker, ntk_probe
from lemmata.kernels.empirical.operator import ntk_operator, ntk_trace
from lemmata.kernels.empirical.sketch import KernelSketch, kernel_sketch, ntk_sketch
from lemmata.kernels.empirical.tangent_kernel import EmpiricalNTK

__all__ = [
    "EmpiricalNTK",
    "KernelMovement",
    "KernelSketch",
    "NTKProbe",
    "NTKTracker",
    "Way",
    "empirical_ntk",
    "kernel_sketch",
    "ntk_operator",
    "ntk_probe",
    "ntk_sketch",
    "ntk_trace",
]
