"""The experiments of Goodfellow, Shlens and Szegedy (2015): networks trained on digits, and moved digits shown to them.

A member is one network, moved digits of one size, and how they were moved. Members of a block share what they can:
a network is trained once, however many ways its test digits are moved, all networks of a block in one call; a member's
outcome does not depend on which others are trained with it. Each network has a *stranger*, of the same kind, trained on
other digits from other weights, for which adversarial digits are made too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, training
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool
from lemmata.robustness.attacks import fgsm, log_odds, pgd
from lemmata.robustness.training import fast_gradient_training
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements, Section

STREAMS = Streams("split", "labels", "weights", "batches", "signs", "other weights", "other batches")
SHOWN = 16  # digits whose log-odds are followed along the step


class Training(Section):
    """Stochastic gradient descent with momentum."""

    step_size: float = Field(default=0.05, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=20, ge=0, description="0 leaves the network as it was drawn")


class Moved(Config):
    """One network and how its test digits are moved."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    digits: Literal["all", "3 and 7"] = "all"
    pool: int = Field(default=1, ge=1, description="side of the blocks of pixels that are averaged")
    n: int = Field(default=1000, ge=1, description="training digits")
    n_test: int = Field(default=500, ge=1)
    network: Literal["linear", "relu", "maxout"] = "relu"
    width: int = Field(default=64, ge=1, description="hidden units a layer, of which there are two")
    defence: Literal["none", "adversarial"] = "none"
    labels: Literal["true", "permuted"] = "true"
    move: Literal["fgsm", "fgsm by its own class", "pgd", "random signs"] = Field(
        default="fgsm", description="by its own class: away from the class that the network gives, not from the label"
    )
    eps: float = Field(default=0.25, gt=0, description="how far each pixel is moved, of a range of 1")
    training: Training = Training()


class Maxout(nn.Module):
    """The larger of each two neighbouring inputs: (n, 2 width) to (n, width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the maxima."""
        return x.unflatten(-1, (-1, 2)).amax(-1)


def moved(configs: Sequence[Moved]) -> list[Measurements]:
    """Train the networks of a block and their strangers, then move the digits of each member."""
    whole = _whole(configs[0])
    fates = sorted({(c.seed, c.defence, c.labels, other) for c in configs for other in (False, True)})
    by_fate = {(c.seed, c.defence, c.labels): c for c in configs}
    owners = [(by_fate[fate[:3]], fate[3]) for fate in fates]
    models, diverged = _trained(configs[0], owners, whole)
    place = {fate: i for i, fate in enumerate(fates)}
    found = []
    for c in configs:
        own, other = (place[c.seed, c.defence, c.labels, flag] for flag in (False, True))
        if diverged[own] or diverged[other]:
            found.append(Measurements(status="diverged"))
        else:
            found.append(_measured(c, models[own], models[other], whole))
    return found


def _trained(
    setting: Moved, owners: Sequence[tuple[Moved, bool]], whole: Dataset
) -> tuple[list[nn.Module], list[bool]]:
    starts = [network(config, whole, other=other) for config, other in owners]
    if not setting.training.epochs:
        return list(starts), [False] * len(starts)
    samples = [_training_digits(config, whole, other=other) for config, other in owners]
    x, y = (torch.stack(part) for part in zip(*samples, strict=True))
    eps = [config.eps if config.defence == "adversarial" else 0.0 for config, _ in owners]
    rule, recipe = setting.training, fast_gradient_training(eps, clip=None)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    result = training.train(
        [start.to(device) for start in starts], x.to(device), y.to(device),
        optimiser=training.SGD(lr=rule.step_size, momentum=rule.momentum), batch_size=rule.batch, epochs=rule.epochs,
        seeds=[STREAMS.seed(config.seed, "other batches" if other else "batches") for config, other in owners],
        train_at=training.last_epoch, recipe=recipe if any(eps) else None,
    )  # fmt: skip
    return [result.model(i).cpu() for i in range(len(owners))], result.diverged.tolist()


def network(config: Moved, whole: Dataset, *, other: bool = False) -> nn.Sequential:
    """The network of a member before training, or its stranger."""
    seed, pixels = STREAMS.generator(config.seed, "other weights" if other else "weights"), whole.x[0].numel()
    if config.network != "maxout":
        widths = [config.width] * 2 if config.network == "relu" else []
        return nets.mlp(pixels, widths, whole.classes, seed=seed)
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (pixels, config.width):
        layers += [nn.Linear(inputs, 2 * config.width), Maxout()]
    return nets.initialise(nn.Sequential(*layers, nn.Linear(config.width, whole.classes)), "standard", seed)  # type: ignore[return-value]


def _whole(setting: Moved) -> Dataset:
    """All digits, or the threes and sevens as classes 0 and 1."""
    whole = data.load(setting.data)

    def pair(x: Tensor | None, y: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if x is None or y is None:
            return None, None
        x = mean_pool(x, setting.pool)
        if setting.digits == "all":
            return x, y
        kept = (y == 3) | (y == 7)
        return x[kept], (y[kept] == 7).long()

    (x, y), (x_test, y_test) = pair(whole.x, whole.y), pair(whole.x_test, whole.y_test)
    classes = whole.classes if setting.digits == "all" else 2
    return replace(whole, x=x, y=y, x_test=x_test, y_test=y_test, classes=classes)  # type: ignore[arg-type]


def _split(config: Moved, whole: Dataset) -> Dataset:
    """The digits of a seed: those of the network, then the stranger's, and the test digits.

    With all 60,000 digits, both are trained on the same ones.
    """
    wanted = min(2 * config.n, len(whole) - (config.n_test if whole.x_test is None else 0))
    return whole.split(wanted, config.n_test, seed=STREAMS.seed(config.seed, "split"))


def _training_digits(config: Moved, whole: Dataset, *, other: bool) -> tuple[Tensor, Tensor]:
    part = _split(config, whole)
    rows = slice(len(part) - config.n, None) if other else slice(config.n)
    x, y = part.x[rows], part.y[rows]
    if config.labels == "permuted":
        y = y[torch.randperm(len(y), generator=STREAMS.generator(config.seed, "labels"))]
    return x, y


def _measured(config: Moved, model: nn.Module, stranger: nn.Module, whole: Dataset) -> Measurements:
    """Errors on digits as they are and moved, in float64."""
    part = _split(config, whole)
    assert part.x_test is not None
    assert part.y_test is not None
    model, stranger = model.double(), stranger.double()
    x, y = part.x_test.double(), part.y_test
    z, foreign, by_size = _moves(config, model, stranger, x, y)
    with torch.no_grad():
        before, after, theirs = model(x), model(z), stranger(x)
        transfer = (model(foreign).argmax(1) != y).double().mean()
    wrong, p = after.argmax(1) != y, after.softmax(1).amax(1)
    return Measurements.of(
        status="ok",
        test_error=float((before.argmax(1) != y).double().mean()),
        pair_error=float((torch.stack([before, theirs]).argmax(2) != y).double().mean()),
        moved_error=float(wrong.double().mean()),
        confidence=float(p[wrong].mean()) if bool(wrong.any()) else float("nan"),
        transfer_error=float(transfer),
        **_linearity(config, model, x, y, z),
        **by_size,
    )


def _moves(
    config: Moved, model: nn.Module, stranger: nn.Module, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, dict[str, Curve]]:
    """Digits moved for a network and for its stranger; by the label's gradient or random signs, the error by size."""
    grid = np.linspace(0.0, 0.3, 13)
    if config.move == "random signs":
        draw = torch.randint(2, x.shape, generator=STREAMS.generator(config.seed, "signs")) * 2.0 - 1
        with torch.no_grad():
            errors = torch.stack([(model(x + eps * draw).argmax(1) != y).double().mean() for eps in grid])
        z = x + config.eps * draw
        return z, z, {"error": Curve(grid, errors.numpy())}
    if config.move == "fgsm":
        found = fgsm(model, x, y, eps=[config.eps, *grid], clip=None)
        foreign = fgsm(stranger, x, y, eps=config.eps, clip=None).adversarial
        return found.adversarial[0], foreign, {"error": Curve(grid, found.success[1:].double().mean(1).numpy())}
    if config.move == "pgd":
        own, foreign = pgd([model, stranger], x, y, eps=config.eps, steps=20, clip=None, seed=config.seed).adversarial
        return own, foreign, {}
    own, foreign = (fgsm(net, x, net(x).argmax(1), eps=config.eps, clip=None).adversarial for net in (model, stranger))
    return own, foreign, {}


def _linearity(config: Moved, model: nn.Module, x: Tensor, y: Tensor, z: Tensor) -> dict[str, float | Curve]:
    """How the log-odds move from x to z, beside what the gradient at x says of it."""
    start = x.clone().requires_grad_()
    odds = log_odds(model(start), y)
    gradient = torch.autograd.grad(odds.sum(), start)[0]
    worst = odds.detach() + config.eps * gradient.flatten(1).abs().sum(1)
    with torch.no_grad():
        end = log_odds(model(z), y)
        way = torch.linspace(0, 1, 21, dtype=x.dtype)
        on = torch.stack([log_odds(model(x[:SHOWN] + t * (z - x)[:SHOWN]), y[:SHOWN]) for t in way], 1)
    odds = odds.detach()
    losses = [nn.functional.softplus(one) for one in (end, worst)]
    chord = on[:, :1] + way * (on[:, -1:] - on[:, :1])
    rise = float((on[:, -1] - on[:, 0]).abs().sum())  # 0 where the attack leaves digits that are wrong as they are
    return {
        "gap": float((losses[0] - losses[1]).abs().max()),
        "share_predicted": float(((end - odds) / (worst - odds)).mean()),
        "bend": float((on - chord).abs().amax(1).sum()) / rise if rise else 0.0,
        "log_odds": Curve(way.numpy() * config.eps, on.mean(0).numpy()),
    }
