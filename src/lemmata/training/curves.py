"""Curves of M members over the epochs at which they are due; members that stop keep their last value."""

import torch
from torch import Tensor

from lemmata.training.epochs import Epochs


class Curves:
    """Fills (M, T) tables, NaN where nothing was measured.

    >>> curves = Curves({"loss": lambda epochs: [1, 3]}, epochs=3, members=2)
    >>> curves.write("loss", 1, torch.tensor([0, 1]), torch.tensor([5.0, 6.0]))
    >>> curves.freeze("loss", 1, torch.tensor([0]), torch.tensor([5.0]))
    >>> curves.tables()["loss"][1]
    tensor([[5., 5.],
            [6., nan]], dtype=torch.float64)
    """

    def __init__(self, at: dict[str, Epochs], *, epochs: int, members: int):
        self.at = {name: rule(epochs) for name, rule in at.items()}
        self.place = {name: {epoch: place for place, epoch in enumerate(due)} for name, due in self.at.items()}
        self.values = {
            name: torch.full((members, len(due)), torch.nan, dtype=torch.float64) for name, due in self.at.items()
        }
        self.last = {name: torch.full((members,), torch.nan, dtype=torch.float64) for name in at}

    def due(self, name: str, epoch: int) -> bool:
        """Whether this curve wants a value at this epoch."""
        return epoch in self.place[name]

    def write(self, name: str, epoch: int, live: Tensor, values: Tensor) -> None:
        """Enter the values of the live members (indices) at an epoch that is due."""
        self.values[name][live, self.place[name][epoch]] = values.double()

    def freeze(self, name: str, epoch: int, members: Tensor, values: Tensor) -> None:
        """Enter final values for members (indices) that stopped after this epoch, here and from here on."""
        later = torch.tensor([due >= epoch for due in self.at[name]], dtype=torch.bool)
        self.values[name][members] = torch.where(later, values.double()[:, None], self.values[name][members])
        self.last[name][members] = values.double()

    def tables(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Give {name: (epochs (T,), values (M, T))}."""
        return {name: (torch.tensor(self.at[name]), values) for name, values in self.values.items()}
