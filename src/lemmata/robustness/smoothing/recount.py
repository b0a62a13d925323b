"""Certificates audited: the noisy copies behind one are drawn again and its votes counted again.

A certificate names the noise, the seed, the image's place and how many copies it rests on, and every copy follows from
these (`noise_seeds`); so whoever has the model and the image can count again, one image alone and in any batch. Equal
counts show that the certificate is of this model and image, and was counted rightly; a model with other weights, or in
another precision, gives others. Cost: the copies of that image, once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lemmata.bernoulli.looks import require_count
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_tensor
from lemmata.robustness.certificates.certificates import ABSTAIN, Certificates
from lemmata.robustness.smoothing.votes import Votes
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class Recount:
    """The votes of one image counted again: `selection` and `estimate` (classes,) int64 of the two streams.

    `hits` are those of the class that `selection` chooses, `prediction`, among `drawn` copies; `claimed` are the hits
    that the certificate states. `agrees` says whether class and hits are the certificate's.
    """

    prediction: int
    hits: int
    claimed: int
    drawn: int
    agrees: bool
    selection: Tensor = field(repr=False)
    estimate: Tensor = field(repr=False)

    __repr__ = short_repr

    def plot(self) -> Figure:
        """Draw each class's share of the votes in both streams."""
        classes = torch.arange(len(self.estimate)).numpy()
        shares = [(votes / max(int(votes.sum()), 1)).numpy() for votes in (self.estimate, self.selection)]
        series = [
            Series(label="votes that certify", x=classes, y=shares[0], style="bars"),
            Series(label="votes that choose the class", x=classes, y=shares[1], role="control", style="bars"),
        ]
        panel = Panel(
            x=Axis(label="class", ticks=tuple(map(str, classes))),
            y=Axis(label="share of votes", limits=(-0.02, 1.02)),
            series=series,
        )
        caption = (
            f"Class {self.prediction}: {self.hits:,} of {self.drawn:,} votes counted again, {self.claimed:,} claimed; "
            f"the certificate {'agrees' if self.agrees else 'does not agree'}."
        )
        return Figure(name="recount", title="A certificate counted again", caption=caption, panels=[panel])


def recount(
    certificates: Certificates,
    i: int,
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    *,
    batch: int | None = None,
    memory_format: str = "auto",
) -> Recount:
    """Draw the noisy copies of image `i` of the certificates again, from x (N, ...), the images they were made of.

    Hits may differ by a few where two logits tie to rounding and another layout or batch is used than at first; any
    more tells another model, image or seed. Raises `InvalidInput` for certificates that do not say what was drawn, such
    as those of bounds or of a log, and as `Votes` does.

    >>> from lemmata.robustness.smoothing.certify import certify
    >>> model, x = nn.Linear(2, 2), torch.ones(3, 2)
    >>> found = certify(model, x, sigma=0.5, n=1000)
    >>> recount(found, 1, model, x).agrees
    True
    """
    if not isinstance(certificates, Certificates):
        raise InvalidInput(f"certificates: {certificates!r}; give what `certify` gave, then the number of an image")
    require_tensor(x, "x")
    noise, seed, samples, drawn, hits = (
        getattr(certificates, name) for name in ("noise", "seed", "samples", "drawn", "hits")
    )
    if any(each is None for each in (noise, seed, samples, drawn, hits)):
        raise InvalidInput(
            "these certificates do not say what was drawn: noise, seed, samples, drawn and hits; those of `certify` do"
        )
    if len(x) != len(certificates) or not 0 <= require_count(i, "image i", least=0) < len(x):
        raise InvalidInput(
            f"image {i} of {len(x)} images for {len(certificates)} certificates; give all that were certified"
        )
    place = torch.tensor([i]) if certificates.index is None else certificates.index[i : i + 1]
    votes = Votes(model, x[i : i + 1], noise, seed=seed, index=place, batch=batch, memory_format=memory_format)
    selection = votes.count([0], int(samples[i] - drawn[i]), "selection")[0]
    estimate = votes.count([0], int(drawn[i]))[0]
    prediction = int(selection.argmax())
    return Recount(
        prediction, int(estimate[prediction]), int(hits[i]), int(drawn[i]),
        int(estimate[prediction]) == int(hits[i]) and int(certificates.prediction[i]) in (prediction, ABSTAIN),
        torch.from_numpy(selection), torch.from_numpy(estimate),
    )  # fmt: skip
