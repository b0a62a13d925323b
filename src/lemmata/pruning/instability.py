"""Instability: are two trainings from the same weights linearly connected? (Frankle, Dziugaite, Roy, Carbin, 2020)

From the weights W_k after k steps, train twice with different data orders, to w_1 and w_2; with E(t) the test error of
(1 - t) w_1 + t w_2,

    instability(k) = max_t E(t) - (E(0) + E(1)) / 2

Near zero means that the noise of the data order does not matter from step k on, up to linear interpolation: both
copies end in one linearly connected piece of the minimum. It is measured for sparse networks alike (`masks`). Cost: one
training for W_k, two for each k, and a forward pass over the test set for each point. Where it fails: the line says
nothing of minima that are one up to a permutation of units (`lemmata.landscape.permutation`), and with few test samples
the maximum of noisy errors is above zero where nothing rises: `loss` is smoother.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_whole
from lemmata.landscape import paths
from lemmata.landscape.paths.path import BatchNorm
from lemmata.landscape.samples import Interrupted
from lemmata.pruning.masks import Masks, check_masks
from lemmata.pruning.setting import Pair, Setting, States, member, of_member, stacked
from lemmata.pruning.tickets import members_of
from lemmata.training import Schedule
from lemmata.training.losses import Loss
from lemmata.training.optimisers import Optimiser
from lemmata.training.schedules import Factor

if TYPE_CHECKING:
    from lemmata.figures import Figure

COPIES = 40_000  # numbers of the trainings of copies, two a step, up to 10 million


@dataclass(frozen=True, eq=False)
class Instability:
    """Errors and losses on the lines between two copies, trained from the weights at each of the `steps` (K,).

    `t` (T,) are the points of a line, `error` and `loss` (K, M, T) those of M networks on the `samples` test samples;
    `training_steps` is what a whole training takes.
    """

    steps: tuple[int, ...]
    t: Tensor
    error: Tensor
    loss: Tensor
    samples: int
    training_steps: int

    @property
    def instability(self) -> Tensor:
        """The largest error on the line above the mean of the ends', (K, M)."""
        return rise(self.error)

    @property
    def loss_barrier(self) -> Tensor:
        """The largest loss on the line above the mean of the ends', (K, M)."""
        return rise(self.loss)

    def plot(self) -> Figure:
        """Draw instability against the step, and the error along the lines."""
        from lemmata.pruning.figures import instability_curves

        return instability_curves(self)


def rise(values: Tensor) -> Tensor:
    """How much the largest of (..., T) lies above the mean of the first and the last.

    >>> rise(torch.tensor([[1.0, 5.0, 2.0]]))
    tensor([3.5000])
    """
    return values.amax(-1) - (values[..., 0] + values[..., -1]) / 2


def instability(
    models: Sequence[nn.Module] | Callable[[int], nn.Module],
    data: Pair,
    *,
    test: Pair,
    steps: Sequence[int] = (0,),
    optimiser: Optimiser,
    epochs: int,
    masks: Masks | None = None,
    batch_size: int | None = None,
    loss: Loss = "cross_entropy",
    seeds: Sequence[int] | None = None,
    schedule: Schedule | Factor | None = None,
    points: int = 11,
    batch_norm: BatchNorm = "keep",
    known: Instability | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Instability:
    """Train two copies of each of M networks from the weights at each of `steps`, and measure the line between them.

    The arguments are those of `iterative_magnitude`. `masks` (M, *shape) prune both copies; W_k is that of the dense
    network. Copies take the steps from k on, up to `epochs`, with an optimiser that has just begun. The
    statistics of batch normalisation are interpolated, or taken anew with ``batch_norm="recompute"`` from `test`.
    Ctrl-C raises `lemmata.landscape.Interrupted` with the steps that are done; ``known=`` it goes on. Random: the data
    orders, from `seeds`. Cost: 1 + 2 K trainings at most.

    >>> from lemmata import nets
    >>> from lemmata.training import SGD
    >>> x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    >>> found = instability(
    ...     lambda seed: nets.mlp(4, [], 2, seed=seed), (x, (x[:, 0] > 0).long()), test=(x, (x[:, 0] > 0).long()),
    ...     seeds=[0, 1], steps=[0, 30], optimiser=SGD(lr=0.1), batch_size=10, epochs=10,
    ... )
    >>> bool((found.loss_barrier < 0.01).all())  # the loss is convex: no rise but that of unequal ends
    True
    """
    networks, seeds = members_of(models, seeds)
    setting = Setting(networks[0], *data, optimiser, epochs, batch_size, seeds, loss, schedule)
    chosen = sorted({require_whole(step, "a step", least=0) for step in steps})
    if not chosen or chosen[-1] >= setting.steps:
        raise InvalidInput(f"steps {list(steps)}: a training has {setting.steps} steps; name some before the last")
    if masks is not None:
        check_masks(networks[0], masks, len(networks))
    starts = weights_at(setting, stacked(networks), chosen)
    if known is not None and known.training_steps != setting.steps:
        raise InvalidInput(f"known has trainings of {known.training_steps} steps, not {setting.steps}; leave it out")
    found = known
    for done, step in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        if found is not None and step in found.steps:
            continue
        try:
            lines = _lines(setting, starts[step], step, masks, test, points=points, batch_norm=batch_norm)
        except KeyboardInterrupt as stop:
            raise Interrupted(found) from stop
        found = _with(found, step, lines, setting)
    assert found is not None
    return found


def weights_at(setting: Setting, starts: States, steps: Sequence[int]) -> dict[int, States]:
    """The weights after each of the steps, {step: {name: (M, *shape)}}; no longer trained than to the last of them."""
    if max(steps) == 0:
        return {0: starts}
    if setting.schedule is None:  # nothing depends on how long it will be
        setting = replace(setting, epochs=-(-max(steps) // setting.steps_per_epoch))
    setting = replace(setting, validation=None, test=None)
    return dict(setting.train(starts, None, number=0, snapshots=tuple(steps)).snapshots)


def _lines(
    setting: Setting,
    start: States,
    step: int,
    masks: Masks | None,
    test: Pair,
    *,
    points: int,
    batch_norm: BatchNorm,
) -> list[paths.Path]:
    """Train two copies from a step and evaluate the line of each member."""
    ends = [setting.train(start, masks, number=COPIES + 2 * step + k, skip=step).states for k in (0, 1)]
    return lines_between(setting, *ends, test=test, points=points, batch_norm=batch_norm)


def lines_between(
    setting: Setting, a: States, b: States, *, test: Pair, points: int = 11, batch_norm: BatchNorm = "keep"
) -> list[paths.Path]:
    """The straight path of each member from `a` to `b`, {name: (M, *shape)} each, evaluated on `test`."""
    return [
        paths.linear(
            setting.template, member(setting.template, a, i), member(setting.template, b, i),
            loss=setting.loss, data=of_member(test, i, len(setting.seeds)), points=points, batch_norm=batch_norm,
        )
        for i in range(len(setting.seeds))
    ]  # fmt: skip


def _with(found: Instability | None, step: int, lines: Sequence[paths.Path], setting: Setting) -> Instability:
    """The result with one more step, in order."""
    error, loss = (torch.stack([torch.as_tensor(getattr(p, name)) for p in lines])[None] for name in ("error", "loss"))
    if found is None:
        return Instability((step,), torch.tensor(lines[0].t), error, loss, lines[0].samples.shape[1], setting.steps)
    if len(found.t) != len(lines[0].t) or found.error.shape[1] != len(lines):
        raise InvalidInput("known has other points or other networks; leave it out, or ask for the same")
    steps = (*found.steps, step)
    order = sorted(range(len(steps)), key=steps.__getitem__)
    return replace(
        found, steps=tuple(steps[k] for k in order), error=torch.cat([found.error, error])[order],
        loss=torch.cat([found.loss, loss])[order],
    )  # fmt: skip
