"""One hidden layer that learns from a teacher of its own kind, under Gaussian inputs, in closed form."""

from lemmata.landscape.teacher_student.problem import Gradient, TeacherStudent, orthonormal

__all__ = ["Gradient", "TeacherStudent", "orthonormal"]
