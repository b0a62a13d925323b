"""The curves of Garipov et al. (2018): trained, or straight, or with a bend that nobody trained."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import training
from lemmata.landscape import paths
from lemmata.studies._mode_paths import Pair, Pairs, measured, seed_of, stream
from lemmata.study import Measurements, Section


class Training(Section):
    """The training of a curve: SGD with momentum 0.9, the step size falling like half a cosine."""

    step_size: float = Field(default=0.05, gt=0)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=60, ge=1)


class Joined(Pair):
    """One path between the two networks of a seed."""

    path: Literal["line", "bezier", "polygon"] = "bezier"
    bend: Literal["trained", "random"] = Field(
        default="trained", description="random: as far from the line as the trained one, in any direction"
    )
    curve: Training = Training()
    drawn: int = Field(default=1, ge=0, description="seeds below this record the plane of their Bezier curve")


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
        plane = paths.plane(curve, points=25)
        field = plane.surface
        found |= {
            "plane_axes": np.stack([field.x, field.y]), "plane": field.loss, "course": plane.course,
            "corners": np.array([at for _, at in field.marks]),
        }  # fmt: skip
    return Measurements.of(**found)


def astray(curve: paths.Curve, generator: torch.Generator) -> paths.Curve:
    """The curve with its bend moved: each tensor as far from the middle of the line as before, in any direction."""

    def moved(control: Tensor) -> Tensor:
        middle = (control[0] + control[-1]) / 2
        direction = torch.randn(middle.shape, generator=generator)
        bend = middle + direction * ((control[1] - middle).norm() / direction.norm())
        return torch.stack([control[0], bend, control[-1]])

    return replace(curve, control={name: moved(tensor) for name, tensor in curve.control.items()})
