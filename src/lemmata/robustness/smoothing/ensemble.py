"""Several classifiers as one, by the mean of their logits: under noise it varies less, so its certificates are larger.

The logits of networks that differ by their seed alone vary under noise about a common mean; the mean over k of them has
the same expectation and about 1/k of what varies between networks, so that the class leads more often: p grows, and
with p the radius. Cost: k forward passes a noisy copy, though fewer copies decide.

Source: Horvath, Mueller, Fischer, Vechev (2022), sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_model


class Ensemble(nn.Module):
    """The mean of the logits of `members`, each of which maps (rows, ...) to (rows, classes)."""

    def __init__(self, members: Sequence[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, rows: Tensor) -> Tensor:
        """Give the mean logits (rows, classes)."""
        return torch.stack([member(rows) for member in self.members]).mean(0)


def ensemble(models: Sequence[nn.Module]) -> Ensemble:
    """Join models of the same classes into one classifier, which holds them and no copies.

    Raises `InvalidInput` for no models and for what is no model.

    >>> one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    >>> x = torch.ones(1, 3)
    >>> torch.equal(ensemble([one, two])(x), (one(x) + two(x)) / 2)
    True
    """
    if isinstance(models, nn.Module) or not isinstance(models, Sequence) or not models:
        raise InvalidInput("an ensemble has at least one member; give a list of models")
    return Ensemble([require_model(model) for model in models])
