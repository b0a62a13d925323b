"""What a search for permutations gives: the permutations, the aligned state, and how the search went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.landscape.permutation.permuting import Permutations
from lemmata.landscape.permutation.specification import Specification


@dataclass(frozen=True, eq=False)
class Matching:
    """Permutations that align a model b with a model a, and `state`, that of b permuted by them.

    `objective` (passes + 1,) is what was maximised, sum_k <A_k, pi B_k>, before the first pass and after each, and
    `largest` its bound |A| |B| by Cauchy and Schwarz, which it attains where b is a permutation of a. `converged` says
    that no group alone can be improved; it is no promise of a global maximum, which is NP-hard to find.
    """

    permutations: Permutations
    state: dict[str, Tensor]
    objective: np.ndarray
    largest: float
    passes: int
    converged: bool
    spec: Specification

    @property
    def cosine(self) -> float:
        """The objective at the end as a share of its bound: 1 for a permutation of the same model."""
        return float(self.objective[-1] / self.largest)

    def plot(self) -> Figure:
        """Draw the objective after each pass, as a share of its bound."""
        share = self.objective / self.largest
        end = "no group alone can be improved" if self.converged else "stopped before it converged"
        return Figure(
            name="permutation_matching",
            title="Alignment by permutations",
            caption=f"{self.passes} passes over {len(self.permutations)} groups; {end}.",
            panels=[
                Panel(
                    x=Axis(label="passes over the groups"),
                    y=Axis(label="inner product, share of |A| |B|"),
                    series=[Series(label="a with permuted b", x=np.arange(len(share)), y=share, style="line")],
                )
            ],
        )
