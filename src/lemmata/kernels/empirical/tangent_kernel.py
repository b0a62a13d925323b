"""What `empirical_ntk` answers: the values, and by which way each layer's share was computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.kernels.empirical.layers import Way
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class EmpiricalNTK:
    """A tangent kernel: `values` (n, m, C, C) of all pairs of C outputs, or (n, m) of their trace or sum.

    `outputs` says which; `symmetric` that both sides are the same samples. `ways` has the way each layer's share was
    computed and its flops, by layer, or by parameter where a layer's parameters took several; `flops` counts all of
    it, passes included.
    """

    values: Tensor
    outputs: str
    symmetric: bool
    ways: Mapping[str, Way] = field(repr=False)
    flops: float

    __repr__ = short_repr

    @property
    def matrix(self) -> KernelMatrix:
        """The kernel as a matrix: (n C, m C) of the full one, sample by sample (no copy), or (n, m)."""
        values = self.values
        if values.ndim == 4:
            n, m, C, D = values.shape
            values = values.permute(0, 2, 1, 3).reshape(n * C, m * D)
        way = ", ".join(dict.fromkeys(way.name for way in self.ways.values()))
        return KernelMatrix(
            values, name=f"empirical NTK, {self.outputs}", symmetric=self.symmetric, way=way, flops=self.flops
        )

    @property
    def eigenvalues(self) -> Tensor:
        """All eigenvalues of `matrix`, largest first, float64."""
        return self.matrix.eigenvalues

    @property
    def effective_rank(self) -> float:
        """The participation ratio of the eigenvalues, (tr K)^2 / |K|_F^2."""
        return self.matrix.effective_rank

    def alignment(self, y: Tensor) -> float:
        """Alignment with targets: y (n, C) where the kernel is the full one of C outputs, else (n,) or (n, k)."""
        if self.values.ndim == 4:
            wanted = (self.values.shape[0], self.values.shape[2])
            if tuple(y.shape) != wanted and not (wanted[1] == 1 and y.shape == wanted[:1]):
                raise InvalidInput(f"targets of shape {tuple(y.shape)}; the full kernel is aligned with {wanted}")
            y = y.reshape(-1)
        return self.matrix.alignment(y)

    def plot(self) -> Figure:
        """Draw the eigenvalues, or the spread of the values between two sets of samples."""
        return self.matrix.plot()
