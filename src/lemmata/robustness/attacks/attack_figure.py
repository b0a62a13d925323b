"""An attack as a figure: images, changes and sums in columns; or, where they are no images, the course of the loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel, Series

if TYPE_CHECKING:
    from lemmata.robustness.attacks.attack import Attack

SHOWN = 6  # images
CURVES = 4  # radii
NORMS = {"linf": "ℓ∞", "l2": "ℓ2"}


def draw(attack: Attack) -> Figure:
    """Images, if they are some; else the loss at each step."""
    image = attack.x.shape[1:]
    return _images(attack) if len(image) in (2, 3) and min(image[-2:]) > 1 else _course(attack)


def _images(attack: Attack) -> Figure:
    """A column an image: the image, its change (black to white: -r to r) and the sum, at the first radius and model."""
    first = (0,) * (attack.success.ndim - 1)
    broken = attack.success[first]
    changed = broken & (attack.distance[first] > 0)  # the others were wrong before
    chosen = (changed.nonzero().flatten() if bool(changed.any()) else torch.arange(len(attack)))[:SHOWN]
    chosen = chosen.to(attack.x.device)
    clean, found = attack.x[chosen], attack.adversarial[first][chosen].detach()
    change = found - clean
    reach = float(change.abs().max()) or 1.0
    low, high = attack.clip or (
        min(float(clean.min()), float(found.min())),
        max(float(clean.max()), float(found.max())),
    )
    high = high if high > low else low + 1.0
    shade = low + (high - low) * (change / reach + 1) / 2
    sheet = [_side_by_side(rows, high) for rows in (clean, shade, found)]
    gap = np.full((1, sheet[0].shape[1]), high)
    z = np.concatenate([sheet[0], gap, sheet[1], gap, sheet[2]])[::-1]
    height, width = ((side + 1) for side in clean.shape[-2:])
    field = Field(
        label="pixel", x=_places(z.shape[1], width), y=_places(z.shape[0], height), z=z, kind="heatmap",
        limits=(low, high), palette="grey",
    )  # fmt: skip
    classes = tuple(str(int(y)) for y in attack.y[chosen])
    panel = Panel(
        x=Axis(label="class to reach" if attack.targeted else "class", ticks=classes),
        y=Axis(label="", ticks=("adversarial", f"change ± {reach:.2g}", "image")),
        fields=[field],
        equal=True,
    )
    where = _radius(attack, attack.eps[(0,) * (attack.eps.ndim - 1)])
    several = " At the first radius (and model) of several." if attack.success.ndim > 1 else ""
    return Figure(
        name="attack",
        title=f"{attack.name}: {int(broken.sum())} of {len(attack)} broken, {where}",
        caption=f"Images of the classes named below, what the attack adds (-{reach:.2g} is black, {reach:.2g} white) "
        f"and the sum.{several} Colour images are averaged over their channels.",
        panels=[panel],
    )


def _side_by_side(images: Tensor, gap: float) -> np.ndarray:
    """Images (n, [c,] h, w) in a row, a column of `gap` between them."""
    grey = images.double().cpu()
    grey = grey.mean(1) if grey.ndim == 4 else grey
    padded = torch.nn.functional.pad(grey, (0, 1), value=gap)
    return padded.transpose(0, 1).flatten(1)[:, :-1].numpy()


def _places(pixels: int, each: int) -> np.ndarray:
    """Where pixels lie if images, `each` pixels with their gap, have their middles at 0, 1, 2, ..."""
    return (np.arange(pixels) - (each - 2) / 2) / each


def _course(attack: Attack) -> Figure:
    """The largest loss so far at each step over all images, one curve a radius, and how many images are left."""
    if attack.loss is None or attack.loss.shape[0] < 2 or bool(attack.loss.isnan().all()):
        raise InvalidInput("no images and no history to draw; attack images (n, c, h, w), or by several steps")
    radii = attack.eps.reshape(-1, len(attack))
    levels, steps = len(radii), len(attack.loss)
    history = attack.loss.detach().double().cpu().reshape(steps, -1, levels, len(attack))
    success = attack.success.cpu().reshape(-1, levels, len(attack))
    losses, left, said = [], [], []
    for level in sorted({round(one) for one in np.linspace(0, levels - 1, min(levels, CURVES))}):
        label = _radius(attack, radii[level])
        rows = history[:, :, level].flatten(1)
        said.append(f"{float(success[:, level].double().mean()):.0%} at {_size(radii[level])}")
        best = rows.nan_to_num(-math.inf, math.inf, -math.inf).cummax(0).values
        best = best[:, best[0] > -math.inf]  # the others were done before the first step
        step = np.arange(steps)
        if best.shape[1]:
            low, middle, high = (best.quantile(q, 1).numpy() for q in (0.25, 0.5, 0.75))
            losses.append(Series(label=label, x=step, y=middle, low=low, high=high))
        left.append(Series(label=label, x=step, y=(~rows.isnan()).double().mean(1).numpy()))
    axis = Axis(label="step", ticks=tuple(map(str, range(steps))) if steps <= 12 else ())
    loss = Axis(label="largest loss so far")
    panels = [Panel(x=axis, y=loss, series=losses, title="Median and quartiles of the images")]
    if min(float(np.min(series.y)) for series in left) < 1:
        share = Axis(label="share of images", limits=(0.0, 1.02))
        panels.append(Panel(x=axis, y=share, series=left, title="Images not yet broken"))
    models = f" by {success.shape[0]} models" if success.shape[0] > 1 else ""
    return Figure(
        name="attack",
        title=f"{attack.name}, {NORMS.get(attack.norm, attack.norm)}: broken {', '.join(said)}{models}",
        caption="The largest loss that each image has met up to each step; one that is broken keeps the loss at which "
        "it was, and one that was wrong before the attack is left out.",
        panels=panels,
    )


def _radius(attack: Attack, eps: Tensor) -> str:
    """The radius of some images, in words."""
    return f"{NORMS.get(attack.norm, attack.norm)} eps = {_size(eps)}"


def _size(eps: Tensor) -> str:
    low, high = (float(end) for end in eps.aminmax())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
