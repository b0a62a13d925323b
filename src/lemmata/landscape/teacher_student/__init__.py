"""One hidden layer that learns from a teacher of its own kind, under Gaussian inputs, in closed form."""

from lemmata.landscape.teacher_student.certificate import Certificate, certify
from lemmata.landscape.teacher_student.descent import descend
from lemmata.landscape.teacher_student.lipschitz import hessian_lipschitz
from lemmata.landscape.teacher_student.minima import Minima
from lemmata.landscape.teacher_student.problem import Gradient, TeacherStudent, orthonormal

__all__ = [
    "Certificate",
    "Gradient",
    "Minima",
    "TeacherStudent",
    "certify",
    "descend",
    "hessian_lipschitz",
    "orthonormal",
]
