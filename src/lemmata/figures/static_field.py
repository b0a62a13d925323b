"""How matplotlib draws fields: filled contours with labelled lines, heat maps, lit surfaces, and what lies over them.

Cells and faces become a picture inside the drawing (200 dots an inch), so that an SVG stays small and shows no seams;
contours are shapes as long as the grid is small. Holes are hatched. Paths have a white edge, to be seen on every
colour. Cost: about 0.3 s a surface, 0.1 s a contour plot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.figures.field import Field, Scale
from lemmata.figures.figure import Panel
from lemmata.figures.style import CLOUD, FIELD, HOLE, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SHAPES = 2_500  # grid points of a contour plot that stays shapes
MOST_FACES = 120  # of a surface, along an axis
MOST_PATH = 1000  # points of a path
LIGHT = {"azdeg": 300, "altdeg": 50}
INK = "#1B1B1D"


def solid(panel: Panel) -> bool:
    """Whether the panel is drawn in three dimensions."""
    return any(field.kind == "surface" for field in panel.fields)


def draw(axes: Any, panel: Panel, scales: Sequence[Scale], *, bar: bool) -> None:
    """Draw the panel's fields; the first is filled, contours after it are lines. `bar`: whether it has a colour bar."""
    from matplotlib.ticker import MaxNLocator

    if any(np.isnan(field.values).any() for field in panel.fields[:1]) and not solid(panel):
        axes.patch.set(hatch="//////", facecolor=HOLE[0], edgecolor=HOLE[1], linewidth=0)
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    for order, (field, scale) in enumerate(zip(panel.fields, scales, strict=True)):
        if field.kind == "surface":
            _surface(axes, field, scale)
            continue
        filled = _cells(axes, field, scale) if field.kind == "heatmap" else _contours(axes, field, scale, order == 0)
        if order == 0 and bar:
            _bar(axes, scale, filled)


def over(axes: Any, panel: Panel, drawn: Mapping[Any, Look]) -> None:
    """Draw the panel's series over its fields: paths, and points; on a surface at its height."""
    from matplotlib.patheffects import withStroke

    for series in panel.series:
        look = drawn[series.label, series.role]
        x, y = np.asarray(series.x), np.asarray(series.y)
        few = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_PATH)).astype(int))
        path = [x[few], y[few]]
        if solid(panel):
            path.append(_height(panel.fields[0], *path))
        line = series.style == "line"
        drawn_line = axes.plot(
            *path, color=look.colour, lw=look.width if line else 0, label=series.label.replace("$", r"\$"),
            marker=(look.marker or "o") if not line or len(x) <= 15 else None, zorder=20,
            markersize=4.6 if line else 3.6 if len(x) > CLOUD else 11 if look.marker == "*" else 7,
            markeredgecolor="white", markeredgewidth=0.3 if not line and len(x) > CLOUD else 0.8,
            linestyle=(0, look.dash) if look.dash else "-",
        )[0]  # fmt: skip
        if line:
            drawn_line.set_path_effects([withStroke(linewidth=look.width + 1.8, foreground="white")])


def named(value: float) -> str:
    """A number at a colour bar or on a contour line.

    >>> named(0.25), named(1000.0), named(1e6)
    ('0.25', '1000', '$10^{6}$')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{float(f'{value:.4g}'):g}".replace("-", "−")
    lead, power = f"{value:.0e}".split("e")
    times = "" if lead == "1" else rf"{lead} \times "
    return rf"${times}10^{{{int(power)}}}$"


def _bar(axes: Any, scale: Scale, filled: Any) -> None:
    """The colour bar, as high as the panel."""
    place = axes.inset_axes((1.035, 0.0, 0.045, 1.0))
    bar = axes.figure.colorbar(filled, cax=place, extend=_beyond(scale))
    bar.set_label(scale.text.replace("$", r"\$"))
    bar.set_ticks(list(scale.ticks), labels=[named(tick) for tick in scale.ticks])
    bar.minorticks_off()
    bar.outline.set_visible(False)


def _norm(scale: Scale) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    return (LogNorm if scale.log else Normalize)(scale.low, scale.high)


def _beyond(scale: Scale) -> Any:
    return {(0, 0): "neither", (0, 1): "max", (1, 0): "min", (1, 1): "both"}[int(scale.below), int(scale.above)]


def _contours(axes: Axes, field: Field, scale: Scale, filled: bool) -> Any:
    import matplotlib.patheffects as effects

    z = np.ma.masked_invalid(field.values)
    where: tuple[Any, Any, Any] = (field.x, field.y, z)
    shapes = None
    if filled:
        shapes = axes.contourf(*where, levels=scale.levels, cmap=FIELD, norm=_norm(scale), extend=_beyond(scale))
        shapes.set_rasterized(z.size > MOST_SHAPES)
    inner = [level for level in scale.levels if z.min() < level < z.max()]
    if inner:
        lines = axes.contour(*where, levels=inner, colors=INK, linewidths=0.5, alpha=0.75, negative_linestyles="solid")
        lines.set_rasterized(z.size > 8 * MOST_SHAPES)
        texts = axes.clabel(lines, inner[:: 1 + len(inner) // 9], fontsize=6.5, fmt=named, inline_spacing=3)
        for text in texts:
            text.set(color=INK, alpha=1.0, path_effects=[effects.withStroke(linewidth=1.8, foreground="#FFFFFFC0")])
    return shapes


def _cells(axes: Axes, field: Field, scale: Scale) -> Any:
    z: Any = np.ma.masked_invalid(field.values)
    return axes.pcolormesh(
        *(np.asarray(field.x), np.asarray(field.y), z),
        cmap="gray" if scale.palette == "grey" else FIELD,
        norm=_norm(scale),
        shading="nearest",
        rasterized=True,
    )


def _surface(axes: Any, field: Field, scale: Scale) -> None:
    """Faces coloured by height and shaded by the slope of the surface as it is seen, in a box of fixed proportions."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LightSource
    from matplotlib.ticker import MaxNLocator

    x, y, z = _refined(field)
    low, high = _drawn_at(scale, scale.low), _drawn_at(scale, scale.high)
    z = np.clip(z, low, high)
    rise = 0.75 * (np.nan_to_num(z, nan=low) - low) / (high - low)
    colours = ScalarMappable(cmap=FIELD).to_rgba(rise / 0.75, norm=False)[..., :3]
    lit = LightSource(**LIGHT).shade_rgb(
        colours, rise, blend_mode="soft", vert_exag=1.0, dx=1 / (len(x) - 1), dy=1 / (len(y) - 1)
    )
    steps = {"rstride": -(-(len(y) - 1) // MOST_FACES), "cstride": -(-(len(x) - 1) // MOST_FACES)}
    faces = axes.plot_surface(
        *np.meshgrid(x, y), z, facecolors=lit, shade=False, linewidth=0, antialiased=False, **steps
    )
    faces.set_rasterized(True)
    axes.computed_zorder = False
    axes.set_box_aspect((1, 1, 0.75), zoom=0.93)
    axes.view_init(elev=32, azim=-58)
    axes.set_zlim(low, high)
    axes.set_zticks([_drawn_at(scale, tick) for tick in scale.ticks], [named(tick) for tick in scale.ticks])
    axes.set_zlabel(scale.text.replace("$", r"\$"), labelpad=2)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.97, 0.97, 0.98, 1.0))
        axis.set_tick_params(labelsize=7.5, pad=0)
        axis.line.set_color("#777777")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.labelpad = 0


def _refined(field: Field) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surface with points between the grid's, on straight lines as it is drawn, so that it is cut off smoothly."""
    x, y = np.asarray(field.x), np.asarray(field.y)
    z = np.log10(field.values) if field.log else field.values
    fine = [np.interp(np.linspace(0, len(p) - 1, _many(len(p))), np.arange(len(p)), p) for p in (x, y)]
    z = np.stack([np.interp(fine[0], x, row) for row in z])
    return fine[0], fine[1], np.stack([np.interp(fine[1], y, column) for column in z.T], axis=1)


def _many(points: int) -> int:
    return (points - 1) * max(1, MOST_FACES // (points - 1)) + 1


def _drawn_at(scale: Scale, value: float) -> float:
    return float(np.log10(value)) if scale.log else value


def _height(field: Field, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    z = field.at(x, y)
    return np.log10(z) if field.log else z
