"""Matrix-free linear algebra shared by the instruments: operators, conjugate gradients, Lanczos, traces."""

from lemmata.linalg.cg import Solution, cg
from lemmata.linalg.lanczos import Eigenpairs, eigenpairs
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.trace import hutchinson

__all__ = ["Eigenpairs", "LinearOperator", "Solution", "cg", "eigenpairs", "hutchinson"]
