"""What measures of sharpness give: a rise of the loss, how it was found, and every draw behind it."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.objective import Tree


@dataclass(frozen=True, kw_only=True)
class WorstCase(Estimate):
    """The largest rise of the loss that was found: a lower bound of the largest there is.

    `loss` is that at the parameters themselves; `history` (starts, steps) the rise after each step of each start;
    `displacement` where the rise was found. `gap` is how much more a further step could gain to first order: small
    means that no higher point is near, not that there is none. With the data in parts (m-sharpness) `value` is the
    mean over parts with its standard error, `samples` has each part's rise, `history` is their mean, and there is no
    one displacement.
    """

    loss: float
    history: Tensor
    gap: float
    displacement: Tree | None = None
    samples: Tensor | None = None
    quantity: str = "rise of the loss"

    def plot(self, label: str = "") -> Figure:
        """Draw the rise after each step of the ascent."""
        rises = self.history.double().numpy()
        steps = np.arange(1, rises.shape[1] + 1)
        best = rises[rises[:, -1].argmax()]
        style = "points" if len(best) == 1 else "line"
        ascent = Series(label="ascent, best start", x=steps, y=best, seeds=rises, style=style)
        found = Reference(label="found: a lower bound", value=float(self.value), role="theory")
        panel = Panel(
            x=Axis(label="step of the ascent"),
            y=Axis(label=label or self.quantity),
            series=[ascent],
            references=[found],
        )
        caption = (
            f"Loss {self.loss:.3g} at the parameters; {self.cost:.3g} gradients; to first order a further step could "
            f"gain {self.gap:.2g}."
        )
        return Figure(name="sharpness", title="Sharpness, worst case", caption=caption, panels=[panel])


@dataclass(frozen=True, kw_only=True)
class AverageCase(Estimate):
    """The mean rise of the loss over random displacements, with its standard error; `samples` (n,) has each draw's."""

    loss: float
    samples: Tensor

    def plot(self, label: str = "rise of the loss") -> Figure:
        """Draw the empirical distribution of the rise over the draws."""
        rises = self.samples.sort().values.double().numpy()
        share = (np.arange(len(rises)) + 0.5) / len(rises)
        draws = Series(label="draws", x=rises, y=share, style="points")
        lines = [Reference(label="mean", value=float(self.value), axis="x", role="theory")]
        ends = zip(("lower", "upper"), self.interval(), strict=True)
        lines += [Reference(label=f"{which} end, 95 %", value=float(x), axis="x", role="control") for which, x in ends]
        panel = Panel(
            x=Axis(label=label), y=Axis(label="share of draws below", limits=(0, 1)), series=[draws], references=lines
        )
        caption = f"Loss {self.loss:.3g} at the parameters; {self.n} draws, {self.cost:.3g} gradients."
        return Figure(name="sharpness", title="Sharpness, average case", caption=caption, panels=[panel])
