"""A quadratic loss with any spectrum, as a model, a loss and data."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.phantoms.phantom import F64, Phantom, normals


def quadratic(
    eigenvalues: Sequence[float] | Tensor,
    *,
    minimum: Tensor | None = None,
    point: Tensor | None = None,
    shapes: Sequence[tuple[int, ...]] | None = None,
    rotated: bool = True,
    seed: int | torch.Generator = 0,
) -> Phantom:
    """L(theta) = 1/2 (theta - theta*)' A (theta - theta*), A with these P eigenvalues of any sign.

    The eigenvectors are random, or the axes if not `rotated`. `minimum` is theta* (0 if not given), `point` where the
    parameters are (at theta* if not given), both (P,); `shapes` lays the parameters out in several tensors. The P
    samples are the eigenvectors q_j, each with the loss P lambda_j (q_j . (theta - theta*))^2 / 2, so that the mean
    over any order or split of the data is L, but no batch has the curvature of another.

    >>> phantom = quadratic([4.0, 1.0], point=torch.ones(2).double(), rotated=False)
    >>> phantom.objective.value().item()
    2.5
    """
    spectrum = torch.as_tensor(eigenvalues, dtype=F64)
    size = len(spectrum)
    if spectrum.ndim != 1 or not size or not spectrum.isfinite().all():
        raise InvalidInput(f"eigenvalues of shape {tuple(spectrum.shape)}; give a list of finite numbers")
    centre = torch.zeros(size, dtype=F64) if minimum is None else minimum.to(F64)
    theta = centre if point is None else point.to(F64)
    shapes = [(size,)] if shapes is None else list(shapes)
    if len(theta) != size or len(centre) != size or sum(torch.Size(shape).numel() for shape in shapes) != size:
        raise InvalidInput(f"{size} eigenvalues, but `minimum`, `point` or `shapes` hold another number of parameters")
    Q = torch.eye(size, dtype=F64)
    if rotated:
        Q = torch.linalg.qr(normals(seed, (size, size))[0]).Q
    targets = torch.stack([size * spectrum, Q.T @ centre], 1)
    A = Q @ torch.diag(spectrum) @ Q.T
    A = (A + A.T) / 2
    off = theta - centre
    return Phantom(
        "quadratic", LinearFunctional(shapes, theta), weighted_squares, (Q.T.contiguous(), targets),
        float(off @ A @ off) / 2, A @ off, A, polynomial=True,
    )  # fmt: skip


class LinearFunctional(nn.Module):
    """x -> x . theta for all parameters theta, laid out one after the other in tensors of the given shapes.

    >>> LinearFunctional([(2, 2), (3,)], torch.arange(7.0))(torch.ones(1, 7))
    tensor([21.], grad_fn=<MvBackward0>)
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], values: Tensor):
        super().__init__()
        sizes = [torch.Size(shape).numel() for shape in shapes]
        parts = values.split(sizes)
        self.blocks = nn.ParameterList(part.reshape(s).clone() for part, s in zip(parts, shapes, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, P) to (n,)."""
        return x @ torch.cat([block.flatten() for block in self.blocks])


def weighted_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of w (f - c)^2 / 2 for outputs f (n,) and targets (n, 2) that hold (w, c); w may be negative.

    >>> weighted_squares(torch.tensor([3.0]), torch.tensor([[2.0, 1.0]])).item()
    4.0
    """
    weight, centre = targets.unbind(1)
    return (weight * (outputs - centre) ** 2 / 2).mean()
