"""What is to be linearised: a function of tensors that move, at given values, for each batch of an objective."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor

from lemmata.curvature.linear.graph import Forward
from lemmata.objective import Objective

Output: TypeAlias = Tensor | tuple[Tensor, Tensor] | None  # a tangent, the two factors of one, or zero
Apply: TypeAlias = Callable[[Sequence[Tensor]], Sequence[Output]]
Recorded: TypeAlias = Callable[[Sequence[Tensor]], Sequence[Tensor | None]]  # of autograd, which leaves no factors


@dataclass(frozen=True)
class Linear:
    """A linear map of one batch: `apply` takes tangents of what moves and gives those of the outputs (two matrices are
    for their product); `many` takes and gives them with a leading axis. `bytes` is what it keeps.
    """

    apply: Apply
    many: Apply
    bytes: int


class Target(Protocol):
    """A function F of a batch, whose derivative by its moving arguments is the linear map wanted."""

    objective: Objective
    repeated: int  # how many of the still arguments are the moving ones again

    def values(self, batch: int) -> tuple[list[Tensor], list[Tensor]]:
        """The moving and the still arguments at a batch; the last still one is the inputs x, or comes before y."""
        ...

    def inputs(self, batch: int) -> Tensor:
        """The inputs x of a batch."""
        ...

    def function(self, forward: Forward) -> Callable[..., Sequence[Tensor]]:
        """F of (*moving, *still), computed with this network: a tensor to be checked for being finite, then outputs."""
        ...

    def recorded(self, batch: int) -> tuple[Recorded, Recorded]:
        """The derivative at a batch on one tangent and on many, by autograd's own recorded graphs."""
        ...
