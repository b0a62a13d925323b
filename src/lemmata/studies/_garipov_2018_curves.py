"""The curves of Garipov et al. (2018): trained, or straight, or with a bend that nobody trained."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import nets, training
from lemmata.landscape import Surface, between, paths
from lemmata.objective import Objective
from lemmata.studies._mode_paths import Pair, Pairs, measured, seed_of, stream
from lemmata.study import Measurements, Section

PLANE = 25  # points on a side


class Training(Section):
    """The training of a curve: SGD with momentum 0.9, the step size falling like half a cosine."""

    step_size: float = Field(default=0.05, gt=0)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=60, ge=1)


class Joined(Pair):
    """One path between the two networks of a seed."""

    n_test: int = Field(default=500, ge=1)
    path: Literal["line", "bezier", "polygon"] = "bezier"
    bend: Literal["trained", "random"] = Field(
        default="trained", description="random: as far from the line as the trained one, in any direction"
    )
    curve: Training = Training()
    drawn: int = Field(
        default=1, ge=0, description="seeds below this record two planes: of their Bezier curve, and of three networks"
    )


def joined(configs: Sequence[Joined]) -> list[Measurements]:
    """Train the networks of a block, the curves that are asked for, and follow each path."""
    pairs = Pairs(configs)
    trained: dict[str, list[paths.Curve]] = {}
    for kind in sorted({c.path for c in configs} - {"line"}):
        trained[kind] = _trained(configs[0], pairs, kind)
    return [_followed(config, pairs, trained) for config in configs]


def _trained(setting: Joined, pairs: Pairs, kind: str) -> list[paths.Curve]:
    starts, ends = zip(*(pairs.ends(seed) for seed in pairs.seeds), strict=True)
    rule = setting.curve
    return paths.curves(
        pairs.models[0], starts, ends, kind=kind, data=pairs.stacked(), own_data=True, epochs=rule.epochs,  # type: ignore[arg-type]
        batch_size=rule.batch, optimiser=training.SGD(lr=rule.step_size, momentum=0.9), schedule=training.cosine(),
        seeds=[seed_of(seed, "path") for seed in pairs.seeds],
    )  # fmt: skip


def _followed(config: Joined, pairs: Pairs, trained: dict[str, list[paths.Curve]]) -> Measurements:
    if pairs.diverged[config.seed]:
        return Measurements(status="diverged")
    sample, test = pairs.train[config.seed], pairs.test[config.seed]
    place = pairs.seeds.index(config.seed)
    if config.path == "line":
        a, b = pairs.ends(config.seed, config.reach)
        return Measurements.of(
            **measured(paths.linear(pairs.models[0], a, b, data=sample, test=test, points=config.points))
        )
    curve = trained[config.path][place]
    if config.bend == "random":
        curve = astray(curve, stream(config.seed, "direction"))
    found = measured(curve.path(config.points, test=test))
    if config.path == "bezier" and config.bend == "trained" and config.seed < config.drawn:
        found |= _planes(config, pairs, curve)
    return Measurements.of(**found)


def _planes(config: Joined, pairs: Pairs, curve: paths.Curve) -> dict[str, np.ndarray]:
    """Training loss and test error over the plane of the curve, and over that through three networks."""
    model, states = pairs.models[0], [*pairs.ends(config.seed), third(config, pairs)]
    found: dict[str, np.ndarray] = {}
    for what, loss, sample in (
        ("loss", "cross_entropy", pairs.train[config.seed]),
        ("error", _error, pairs.test[config.seed]),
    ):
        subject = Objective(model, loss=loss, data=sample)  # type: ignore[arg-type]
        own = paths.plane(curve, subject=subject, points=PLANE, adaptive=False)
        apart = between(subject, states, points=PLANE, adaptive=False)
        assert isinstance(apart, Surface)
        for name, surface in (("curve", own.surface), ("minima", apart)):
            found[f"{name} {what}"] = surface.loss
            found[f"{name} axes"] = np.stack([surface.x, surface.y])
            found[f"{name} corners"] = np.array([at for _, at in surface.marks])
        found["course"] = own.course
    return found


def third(config: Joined, pairs: Pairs) -> dict[str, Tensor]:
    """A third network of the seed, trained as the other two are."""
    x, y = pairs.train[config.seed]
    rule = config.ends
    drawn = nets.mlp(x.shape[1], [rule.width] * rule.depth, 10, seed=stream(config.seed, "third weights"))
    return training.train(
        [drawn], x, y, epochs=rule.epochs, batch_size=rule.batch,
        optimiser=training.SGD(lr=rule.step_size, momentum=0.9), schedule=training.cosine(),
        seeds=[seed_of(config.seed, "third batches")],
    ).model(0).state_dict()  # fmt: skip


def _error(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs.argmax(1) != y).to(outputs.dtype).mean()


def astray(curve: paths.Curve, generator: torch.Generator) -> paths.Curve:
    """The curve with its bend moved: each tensor as far from the middle of the line as before, in any direction."""

    def moved(control: Tensor) -> Tensor:
        middle = (control[0] + control[-1]) / 2
        direction = torch.randn(middle.shape, generator=generator)
        bend = middle + direction * ((control[1] - middle).norm() / direction.norm())
        return torch.stack([control[0], bend, control[-1]])

    return replace(curve, control={name: moved(tensor) for name, tensor in curve.control.items()})
