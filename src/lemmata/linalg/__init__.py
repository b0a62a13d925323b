"""Matrix-free linear algebra shared by the instruments: operators, conjugate gradients, Lanczos, traces."""

from lemmata.linalg.adjoint_check import AdjointCheck, check_adjoint
from lemmata.linalg.cg import Solution, cg
from lemmata.linalg.cgls import cgls
from lemmata.linalg.convolution_norm import OperatorNorm, convolution_norm, matrix_norm
from lemmata.linalg.definite import is_positive_definite, is_positive_semidefinite
from lemmata.linalg.derivative_check import DerivativeCheck, check_gradient, check_jacobian
from lemmata.linalg.diagonal import exact_diagonal, hutchinson_diagonal
from lemmata.linalg.hutch_plus_plus import hutch_plus_plus
from lemmata.linalg.lanczos import Eigenpairs, eigenpairs
from lemmata.linalg.least_squares_run import LeastSquaresRun
from lemmata.linalg.lsqr import lsqr
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.quadrature import Quadrature, lanczos_quadrature
from lemmata.linalg.trace import hutchinson
from lemmata.linalg.xdiag import xdiag
from lemmata.linalg.xtrace import xtrace

__all__ = [
    "AdjointCheck",
    "DerivativeCheck",
    "Eigenpairs",
    "LeastSquaresRun",
    "LinearOperator",
    "OperatorNorm",
    "Quadrature",
    "Solution",
    "cg",
    "cgls",
    "check_adjoint",
    "check_gradient",
    "check_jacobian",
    "convolution_norm",
    "eigenpairs",
    "exact_diagonal",
    "hutch_plus_plus",
    "hutchinson",
    "hutchinson_diagonal",
    "is_positive_definite",
    "is_positive_semidefinite",
    "lanczos_quadrature",
    "lsqr",
    "matrix_norm",
    "xdiag",
    "xtrace",
]
