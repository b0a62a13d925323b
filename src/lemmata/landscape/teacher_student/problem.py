"""A student with one hidden layer, a teacher of its kind, Gaussian inputs: loss, gradient and Hessian, exactly.

    L(W, a) = E[(sum_i a_i phi(w_i.x) - sum_j b_j phi(v_j.x))^2] / 2,    x ~ N(0, I_d)
            = a'F(W, W)a / 2 - a'F(W, V)b + b'F(V, V)b / 2,              F_ij = E[phi(w_i.x) phi(v_j.x)]

F has a closed form for ReLU and erf (`relu`, `erf`), so there is no sample and no noise. With k teacher and n student
neurons a student costs about 2 n (n + k) d multiplications for the loss and as many for the gradient, and
n (n + 4 n + 2 k) d^2 for the Hessian. Rounding of the loss is absolute: about 1e-16 times the sum of all terms, so a
loss of zero is known to 1e-14.

Where it fails: inputs that are not Gaussian with covariance I; biases; a Hessian where a ReLU neuron is zero.

Sources: Saad, Solla (1995); Brutzkus, Globerson (2017); Safran, Shamir (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_flag, require_tensor, require_whole
from lemmata.landscape.teacher_student.erf import Erf
from lemmata.landscape.teacher_student.pairs import Activation
from lemmata.landscape.teacher_student.relu import ReLU
from lemmata.landscape.teacher_student.second_order import hessian

ACTIVATIONS: dict[str, Activation] = {"relu": ReLU(), "erf": Erf()}


class Gradient(NamedTuple):
    """The gradient by the neurons (..., n, d), and by the outputs (..., n)."""

    W: Tensor
    a: Tensor


@dataclass(frozen=True, eq=False)
class TeacherStudent:
    """The population loss of students of a `teacher` (k, d), whose rows are its neurons' weights.

    `activation` is "relu" or "erf" (erf(x / sqrt 2)); `teacher_outputs` (k,) are by default ones. Students' outputs are
    ones, or parameters with `trained_outputs`. Everything is computed in float64 on the teacher's device, whatever the
    dtype given. Raises `InvalidInput` for a teacher that is not a finite matrix, or has a zero row.

    >>> problem = TeacherStudent(torch.eye(2))
    >>> problem.loss(torch.eye(2)).item(), problem.gradient(torch.eye(2)).abs().max().item()
    (0.0, 0.0)
    >>> problem.hessian(torch.randn(5, 3, 2)).shape                       # five students of three neurons
    torch.Size([5, 6, 6])
    """

    teacher: Tensor
    activation: Literal["relu", "erf"] = "relu"
    teacher_outputs: Tensor | None = None
    trained_outputs: bool = False

    def __post_init__(self) -> None:
        teacher = require_tensor(self.teacher, "teacher").detach().to(torch.float64)
        if teacher.ndim != 2 or not teacher.numel():
            raise InvalidInput(f"teacher of shape {tuple(teacher.shape)}; give a matrix (k, d), a row a neuron")
        if not (teacher.isfinite().all() and (teacher.square().sum(1) > 0).all()):
            raise InvalidInput("the teacher has a neuron that is zero or not finite; leave it out")
        if self.activation not in ACTIVATIONS:
            raise UnknownName("activation", self.activation, ACTIVATIONS)
        require_flag(self.trained_outputs, "trained_outputs")
        outputs = teacher.new_ones(len(teacher)) if self.teacher_outputs is None else self.teacher_outputs
        outputs = require_tensor(outputs, "teacher_outputs").detach().to(teacher)
        if outputs.shape != (len(teacher),) or not outputs.isfinite().all():
            raise InvalidInput(
                f"teacher_outputs of shape {tuple(outputs.shape)}; give {len(teacher)} finite numbers, one a neuron"
            )
        object.__setattr__(self, "teacher", teacher)
        object.__setattr__(self, "teacher_outputs", outputs)

    @property
    def neurons(self) -> int:
        """The teacher's, k."""
        return self.teacher.shape[0]

    @property
    def dimension(self) -> int:
        """Of the inputs, d."""
        return self.teacher.shape[1]

    @property
    def phi(self) -> Activation:
        """The closed forms of the activation."""
        return ACTIVATIONS[self.activation]

    @property
    def b(self) -> Tensor:
        """The teacher's outputs (k,)."""
        assert self.teacher_outputs is not None
        return self.teacher_outputs

    def loss(self, W: Tensor, a: Tensor | None = None) -> Tensor:
        """The losses (...,) of students W (..., n, d) with outputs a (..., n), by default ones.

        >>> round(TeacherStudent(torch.eye(1)).loss(torch.zeros(1, 1)).item(), 6)       # E[relu(x)^2] / 2
        0.25
        """
        W, a = self.students(W, a)
        V, b, phi = self.teacher, self.b, self.phi
        apart = _apart(phi.first(W, W).value)
        own = (a.square() * phi.alone(W).value).sum(-1) + torch.einsum("...i,...ij,...j->...", a, apart, a)
        shared = torch.einsum("...i,...ij,j->...", a, phi.first(W, V).value, b)
        theirs = b.square() @ phi.alone(V).value + b @ _apart(phi.first(V, V).value) @ b
        return own / 2 - shared + theirs / 2

    @overload
    def gradient(self, W: Tensor) -> Tensor: ...
    @overload
    def gradient(self, W: Tensor, a: Tensor) -> Gradient: ...
    def gradient(self, W: Tensor, a: Tensor | None = None) -> Tensor | Gradient:
        """The gradient by W (..., n, d); with outputs a (..., n) given, that by W and that by a.

        A ReLU neuron at zero has none; it gets the mean of those around it.

        >>> TeacherStudent(torch.eye(2)).gradient(torch.zeros(1, 2)).tolist()
        [[-0.25, -0.25]]
        """
        alone = a is None
        W, a = self.students(W, a)
        V, b = self.teacher, self.b
        ours, theirs, own = self.phi.first(W, W), self.phi.first(W, V), self.phi.alone(W)
        toward, from_teacher = _apart(ours.beta) * a[..., None, :], theirs.beta * b
        along = (_apart(ours.alpha) * a[..., None, :]).sum(-1) - (theirs.alpha * b).sum(-1) + a * own.gain / 2
        by_neurons = a[..., None] * (along[..., None] * W + toward @ W - from_teacher @ V)
        if alone:
            return by_neurons
        by_outputs = a * own.value + (_apart(ours.value) @ a[..., None])[..., 0] - theirs.value @ b
        return Gradient(by_neurons, by_outputs)

    def hessian(self, W: Tensor, a: Tensor | None = None) -> Tensor:
        """The Hessians (..., P, P) by the flattened W, followed by the outputs where they are trained (P = n d or + n).

        Raises `InvalidInput` where a ReLU neuron is zero. Takes P^2 numbers a student.

        >>> TeacherStudent(torch.eye(1)).hessian(torch.ones(1, 1)).tolist()
        [[0.5]]
        """
        W, a = self.students(W, a)
        return hessian(self.phi, W, a, self.teacher, self.b, outputs=self.trained_outputs)

    def students(self, W: Tensor, a: Tensor | None) -> tuple[Tensor, Tensor]:
        """W (..., n, d) and a (..., n) in float64 on the teacher's device; refused where they do not fit."""
        W = require_tensor(W, "W").to(self.teacher)
        if W.ndim < 2 or W.shape[-1] != self.dimension or not W.shape[-2]:
            raise InvalidInput(f"W of shape {tuple(W.shape)}; give (..., n, {self.dimension}), a row a neuron")
        if a is None:
            return W, W.new_ones(W.shape[:-1])
        a = require_tensor(a, "a").to(W)
        if a.shape != W.shape[:-1]:
            raise InvalidInput(f"outputs of shape {tuple(a.shape)}; give {tuple(W.shape[:-1])}, one for each neuron")
        return W, a


def orthonormal(
    k: int,
    *,
    dimension: int | None = None,
    activation: Literal["relu", "erf"] = "relu",
    teacher_outputs: Tensor | None = None,
    trained_outputs: bool = False,
) -> TeacherStudent:
    """A teacher of k orthonormal neurons, the first k unit vectors of `dimension` (by default k) dimensions.

    Any other orthonormal teacher is this one in other coordinates of a Gaussian that has none. Raises `InvalidInput`
    for fewer dimensions than neurons.

    >>> orthonormal(3, dimension=4).teacher.shape
    torch.Size([3, 4])
    """
    require_whole(k, "k")
    d = require_whole(k if dimension is None else dimension, "dimension")
    if d < k:
        raise InvalidInput(f"{k} orthonormal neurons in {d} dimensions; give at least as many dimensions")
    teacher = torch.eye(k, d, dtype=torch.float64)
    return TeacherStudent(teacher, activation, teacher_outputs, trained_outputs)


def _apart(pairs: Tensor) -> Tensor:
    """The pairs of different neurons: a zero diagonal."""
    return pairs - torch.diag_embed(pairs.diagonal(dim1=-2, dim2=-1))
