"""Does a network lie on the expansion manifold of another one, and what does each of its neurons do there?

For one hidden layer, a student of n neurons and a teacher of r: student neurons whose incoming vectors are those of a
teacher neuron, to a tolerance, are its copies; the others fall into groups of equal incoming vectors. The student lies
on the manifold if the copies of each teacher neuron have output weights that sum to its own, and each group's sum to
zero. A neuron without output is a group of one.

Cost: n (n + r) distances a student. The tolerance is absolute, the same for incoming vectors and sums of output
weights; a student on the manifold whose own distinct groups come closer than that is still recognised, as sums of zero
are zero.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_number, require_tensor


@dataclass(frozen=True)
class Membership:
    """What each neuron of each student is: leading axes (...) are those of the students.

    `labels` (..., n) names the teacher's neuron, or is -1, -2, ... for the student's further groups. `distance`
    (..., n) is that of the incoming vector from the teacher's nearest, `imbalance` (..., n) how far the output weights
    of the neuron's set miss their sum. `on_manifold` (...) is true where all imbalances are within the tolerance and
    every neuron of the teacher is copied.
    """

    labels: Tensor
    distance: Tensor
    imbalance: Tensor
    on_manifold: Tensor
    tolerance: float

    def plot(self) -> Figure:
        """Draw the imbalance of every neuron against its distance from the nearest of the teacher's."""
        floor = self.tolerance / 1e4
        copies = (self.labels >= 0).flatten().numpy()
        x, y = (v.flatten().clamp(min=floor).numpy() for v in (self.distance, self.imbalance))
        series = [
            Series(label=label, x=x[own], y=y[own], style="points")
            for label, own in (("copies of the teacher's", copies), ("groups of their own", ~copies))
            if np.any(own)
        ]
        panel = Panel(
            x=Axis(label="distance of the incoming vector from the teacher's nearest", log=True),
            y=Axis(
                label="output weights' missing sum", log=True, limits=(floor / 3, max(10 * self.tolerance, 3 * y.max()))
            ),
            series=series,
            references=[Reference(label="tolerance", value=self.tolerance, role="theory")],
        )
        share = float(self.on_manifold.double().mean())
        caption = f"{100 * share:.3g} % of {self.on_manifold.numel()} students lie on the manifold; one point a neuron."
        return Figure(name="membership", title="Copies, and what cancels", caption=caption, panels=[panel])


def membership(
    incoming: Tensor, outgoing: Tensor, *, teacher_incoming: Tensor, teacher_outgoing: Tensor, tolerance: float = 1e-6
) -> Membership:
    """Classify the neurons of students with incoming vectors (..., n, d) and output weights (..., n) or (..., n, o).

    The teacher has (r, d) and (r,) or (r, o). Raises `InvalidInput` for shapes that do not fit, and NaN or infinity.

    >>> W = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 3.0]])
    >>> found = membership(W, torch.tensor([0.5, 2.0, 0.5, 0.0]),
    ...                    teacher_incoming=torch.eye(2), teacher_outgoing=torch.tensor([1.0, 2.0]))
    >>> found.labels.tolist(), bool(found.on_manifold)
    ([0, 1, 0, -1], True)
    """
    W, V = require_tensor(incoming, "incoming"), require_tensor(teacher_incoming, "teacher_incoming")
    a, b = require_tensor(outgoing, "outgoing"), require_tensor(teacher_outgoing, "teacher_outgoing")
    given = {"incoming": W, "outgoing": a, "teacher_incoming": V, "teacher_outgoing": b}
    for name in (name for name, tensor in given.items() if not bool(tensor.isfinite().all())):
        raise InvalidInput(f"{name}: NaN or infinity, so that no neuron is anyone's copy; leave such students out")
    if V.ndim != 2 or W.ndim < 2 or W.shape[-1] != V.shape[1] or a.shape[: W.ndim - 1] != W.shape[:-1]:
        raise InvalidInput(f"students {tuple(W.shape)}, {tuple(a.shape)} and teacher {tuple(V.shape)}: (..., n, d) and "
                           "(..., n[, o]) with (r, d) are wanted")  # fmt: skip
    if b.shape[:1] != V.shape[:1] or b.ndim - 1 != a.ndim - W.ndim + 1 or b.shape[1:] != a.shape[W.ndim - 1 :]:
        raise InvalidInput(
            f"teacher_outgoing {tuple(b.shape)} does not fit {tuple(V.shape)} and outgoing {tuple(a.shape)}"
        )
    tolerance = require_number(tolerance, "tolerance")
    if not tolerance >= 0:
        raise InvalidInput(f"tolerance = {tolerance}; give a number that is not negative")
    students, (n, _), r = W.shape[:-2], W.shape[-2:], len(V)
    W, a = W.reshape(-1, *W.shape[-2:]), a.reshape(-1, n, b[0].numel())
    labels, distance = _labels(W, V, tolerance)
    sets = torch.nn.functional.one_hot(torch.where(labels >= 0, labels, r - 1 - labels), r + n).to(a)  # (S, n, r + n)
    missing = sets.transpose(1, 2) @ a
    missing[:, :r] -= b.reshape(r, -1)
    miss = missing.abs().amax(2)  # (S, r + n), empty sets of the student's own miss nothing
    own = torch.gather(miss, 1, torch.where(labels >= 0, labels, r - 1 - labels))
    on = (miss <= tolerance).all(1) & (sets[:, :, :r].amax(1) > 0).all(1)
    return Membership(
        labels.reshape(*students, n), distance.reshape(*students, n), own.reshape(*students, n), on.reshape(students),
        tolerance,
    )  # fmt: skip


def _labels(W: Tensor, V: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Labels and distances (S, n) of incoming vectors W (S, n, d) beside V (r, d)."""
    near = (W[:, :, None] - V).norm(dim=-1)  # (S, n, r)
    distance, nearest = near.min(-1)
    alike = (W[:, :, None] - W[:, None]).norm(dim=-1) <= tolerance
    labels = torch.where(distance <= tolerance, nearest, -(W.shape[1] + 1))
    groups = torch.zeros(len(W), dtype=torch.long, device=W.device)
    for i in range(W.shape[1]):
        free = labels[:, i] < -W.shape[1]
        groups += free
        members = alike[:, i] & (labels < -W.shape[1]) & free[:, None]
        labels = torch.where(members, -groups[:, None], labels)
    return labels, distance
