"""Straight lines between networks: theta(t) = (1 - t) a + t b, t from 0 to 1 (Goodfellow, Vinyals and Saxe, 2015).

Two networks are linearly mode connected if the loss has no barrier on the line (Frankle, Dziugaite, Roy and Carbin,
2020). Cost: 1/3 gradient a point. A barrier on the line says nothing of other paths: two orders of the same hidden
units are one function and lie far apart (`lemmata.landscape.permutation`), and curves may go around it (`curve`).
"""

from __future__ import annotations

from torch import nn

from lemmata.batches import Data
from lemmata.errors import InvalidInput
from lemmata.landscape.paths.path import BatchNorm, Path, Points, along
from lemmata.landscape.samples import Progress
from lemmata.landscape.states import Place, mixed, stacked, state_of, template_of
from lemmata.objective import Loss


def linear(
    model: nn.Module,
    a: Place,
    b: Place,
    *,
    loss: Loss = "cross_entropy",
    data: Data,
    points: Points = 25,
    batch_norm: BatchNorm = "keep",
    test: Data | None = None,
    chunk: int = 1024,
    known: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Evaluate the loss on the straight line from `a` to `b`, and its barrier.

    `a` and `b` are models or state dicts (what they leave out is the model's own); all real tensors are interpolated,
    buffers too. With ``batch_norm="keep"`` the running statistics are interpolated as well, so that t = 0 and t = 1 are
    the two networks to the bit; with ``"recompute"`` those of `data` are taken at every point, the ends included. The
    model is evaluated in evaluation mode. `points` is how many, or the t themselves. `loss` is ``"cross_entropy"``,
    ``"mse"`` or a callable (outputs, targets) -> scalar, a mean over samples. The path is evaluated on `test` too if it
    is given. `known`, `progress` and Ctrl-C: as for `along`.

    Nothing is random but the draws behind the barrier's interval, of a fixed seed. Raises `InvalidInput` for states
    that do not fit or are not finite. Costs points / 3 gradients, twice that with statistics recomputed.

    >>> import torch
    >>> model, x = nn.Linear(1, 1, bias=False), torch.ones(2, 1)
    >>> a, b = ({"weight": torch.tensor([[w]])} for w in (-1.0, 1.0))
    >>> found = linear(model, a, b, loss=lambda z, y: ((z**2 - 1) ** 2).mean(), data=(x, x), points=5)
    >>> found.loss.tolist(), found.barrier.value, found.barrier.at
    ([0.0, 0.5625, 1.0, 0.5625, 0.0], 1.0, 0.5)
    """
    ends = stacked([state_of(model, a, "a"), state_of(model, b, "b")])
    for name, pair in ends.items():
        if not (pair.is_floating_point() or name.endswith("num_batches_tracked") or pair[0].equal(pair[1])):
            raise InvalidInput(f"the ends differ in {name!r}, which is not real and so does not move along a line")
    return along(
        template_of(model), lambda t: mixed([1.0 - t, t], ends), loss=loss, data=data, points=points,
        batch_norm=batch_norm, test=test, chunk=chunk, known=known, progress=progress,
    )  # fmt: skip
