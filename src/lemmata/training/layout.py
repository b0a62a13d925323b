"""Where the parameters of M networks lie in one flat buffer: block after block, each (M, *shape) and
contiguous.

Parameter-major order keeps every block a contiguous batch of matrices, which batched matrix products want,
and lets an optimiser update all parameters of all members in one operation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the parameters of one member, in their order in the flat buffer.

    >>> layout = Layout.of({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})
    >>> flat = layout.pack({"weight": torch.ones(5, 2, 3), "bias": torch.zeros(5, 2)})
    >>> flat.shape, layout.views(flat)["weight"].shape
    (torch.Size([40]), torch.Size([5, 2, 3]))
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Layout":
        """Read the layout off the named tensors of one member."""
        return cls(tuple(tensors), tuple(t.shape for t in tensors.values()))

    @property
    def size(self) -> int:
        """The number of parameters of one member."""
        return sum(prod(shape) for shape in self.shapes)

    def pack(self, stacked: Mapping[str, Tensor]) -> Tensor:
        """Copy stacked tensors, each (M, *shape), into one new flat buffer of M * size numbers."""
        return torch.cat([stacked[name].reshape(-1) for name in self.names])

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Give the blocks of a flat buffer as views, each (M, *shape)."""
        members = flat.numel() // self.size
        blocks = flat.split([members * prod(shape) for shape in self.shapes])
        return {
            name: block.view(members, *shape)
            for name, shape, block in zip(self.names, self.shapes, blocks, strict=True)
        }

    def select(self, flat: Tensor, index: Tensor) -> Tensor:
        """Copy the members `index` out of a flat buffer."""
        return self.pack({name: view[index] for name, view in self.views(flat).items()})

    def spread(self, per_member: Mapping[str, Tensor]) -> Tensor:
        """Give a flat buffer that repeats one number per member and parameter block: (M,) for each name."""
        return torch.cat(
            [
                per_member[name].repeat_interleave(prod(shape))
                for name, shape in zip(self.names, self.shapes, strict=True)
            ]
        )
