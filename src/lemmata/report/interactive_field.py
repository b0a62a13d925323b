"""What plotly draws of a field: contours, a heat map, or a surface to be turned, as plain data.

Where the scale is logarithmic, powers of ten are drawn and the numbers themselves are shown. A field finer than a
screen shows is drawn at some of its points. Cost: 7 bytes a value; a surface needs WebGL in the browser.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lemmata.figures.field import Field, Scale
from lemmata.figures.figure import Axis, Panel
from lemmata.figures.style import HOLE, Look

MOST = 120  # points of a field along an axis
MOST_PATH = 600  # points of a path
COLOURS = {"viridis": "Viridis", "grey": [[0, "black"], [1, "white"]]}
GRID = "#d5d5da"


def solid(panel: Panel) -> bool:
    """Whether the panel is drawn in three dimensions."""
    return any(field.kind == "surface" for field in panel.fields)


def bar(scale: Scale, domain: Mapping[str, Sequence[float]], *, shown: bool) -> dict[str, Any]:
    """Plotly's colour axis of a scale, with its bar to the right of the panel that has this domain."""
    low, high = domain["y"]
    ends = [_drawn_at(scale, end) for end in (scale.low, scale.high)]
    return {
        "cmin": ends[0], "cmax": ends[1], "colorscale": COLOURS[scale.palette], "showscale": shown,
        "colorbar": {
            "title": {"text": html.escape(scale.text), "side": "right"}, "thickness": 14, "outlinewidth": 0,
            "len": round(high - low, 4), "x": domain["x"][1], "xanchor": "left", "y": round((low + high) / 2, 4),
            "yanchor": "middle", **_ticks(scale),
        },
    }  # fmt: skip


def traces(panel: Panel, scales: Sequence[Scale], colours: str) -> list[dict[str, Any]]:
    """The traces of a panel's fields, coloured by the colour axis of that name."""
    made: list[dict[str, Any]] = []
    for order, (field, scale) in enumerate(zip(panel.fields, scales, strict=True)):
        rows, columns = (_few(len(np.asarray(points))) for points in (field.y, field.x))
        values = field.values[np.ix_(rows, columns)]
        if field.kind == "surface":  # plotly would cut it off where a poster shows a plateau
            values = np.clip(values, scale.low, scale.high)
        drawn = np.log10(values) if scale.log else values
        said = f"{html.escape(panel.x.label)} %{{x:.4~g}}<br>{html.escape(panel.y.label)} %{{y:.4~g}}<br>"
        value = "text" if scale.log else "z:.4~g"
        trace: dict[str, Any] = {
            "x": _plain(np.asarray(field.x)[columns]), "y": _plain(np.asarray(field.y)[rows]),
            "z": [_plain(row) for row in drawn], "name": html.escape(field.label), "showlegend": False,
            "hovertemplate": f"{said}{html.escape(field.text)} <b>%{{{value}}}</b><extra></extra>",
        }  # fmt: skip
        if scale.log:
            trace["text"] = [[f"{value:.4g}" if np.isfinite(value) else "none" for value in row] for row in values]
        made.append(trace | _kind(field, scale, colours, first=order == 0))
        if order == 0 and field.kind != "surface" and np.isnan(values).any():
            made.append(_holes(np.asarray(trace["x"]), np.asarray(trace["y"]), np.isnan(values)))
    return made


def over(panel: Panel, scale: Scale, drawn: Mapping[Any, Look], symbols: Mapping[str, str]) -> list[dict[str, Any]]:
    """The panel's series over its fields, with a white edge; on a surface at its height."""
    made: list[dict[str, Any]] = []
    for series in panel.series:
        look = drawn[series.label, series.role]
        few = _few(len(series.x), MOST_PATH)
        x, y = np.asarray(series.x)[few], np.asarray(series.y)[few]
        line = series.style == "line"
        size, edge = 11 if look.marker == "*" else 8, {"color": "#fff", "width": 1}
        trace: dict[str, Any] = {
            "type": "scatter", "x": _plain(x), "y": _plain(y), "name": html.escape(series.label),
            "mode": "lines" if line else "markers", "line": {"color": look.colour, "width": 2.5},
            "marker": {"color": look.colour, "size": size, "symbol": symbols[look.marker], "line": edge},
        }  # fmt: skip
        if solid(panel):
            trace |= {"type": "scatter3d", "z": _plain(_above(panel.fields[0], scale, x, y)), "hoverinfo": "name"}
            trace["line"] = {"color": look.colour, "width": 6}
            trace["marker"] = {"color": look.colour, "size": 5, "symbol": "diamond"}
        elif line:
            made.append(
                {
                    **trace,
                    "line": {"color": "#fff", "width": 5},
                    "mode": "lines",
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
        made.append(trace)
    return made


def scene(panel: Panel, scale: Scale, panels: int) -> dict[str, Any]:
    """Plotly's scene of a panel in three dimensions, one of so many, without its place."""
    low, top = _drawn_at(scale, scale.low), _drawn_at(scale, scale.high)
    room = 0.005 * (top - low)  # what lies on the border flickers
    away = 1.3 if panels == 3 else 1.0
    high = {
        "title": {"text": html.escape(scale.text), "font": {"size": 12}}, "range": [low - room, top + room],
        **_ticks(scale), **_look(),
    }  # fmt: skip
    return {
        "xaxis": _flat(panel.x), "yaxis": _flat(panel.y), "zaxis": high, "aspectmode": "manual",
        "aspectratio": {"x": 1, "y": 1, "z": 0.75}, "camera": {
            "eye": {"x": 1.2 * away, "y": -1.5 * away, "z": 1.05 * away}, "center": {"x": 0, "y": 0, "z": -0.12}
        },
    }  # fmt: skip


def _kind(field: Field, scale: Scale, colours: str, *, first: bool) -> dict[str, Any]:
    if field.kind == "heatmap":
        return {"type": "heatmap", "coloraxis": colours}
    if field.kind == "surface":
        light = {"ambient": 0.62, "diffuse": 0.75, "specular": 0.12, "roughness": 0.7, "fresnel": 0.1}
        place = {"x": -2000, "y": -4000, "z": 6000}
        return {"type": "surface", "coloraxis": colours, "lighting": light, "lightposition": place}
    levels = np.array([_drawn_at(scale, level) for level in scale.levels])
    step = float(np.median(np.diff(levels)))  # plotly draws levels at equal distances only
    lines = {"start": float(levels[0]), "end": float(levels[-1]), "size": step, "showlabels": not scale.log}
    if not first:
        return {"type": "contour", "contours": {**lines, "coloring": "none"}, "line": {"color": "#1b1b1d", "width": 1}}
    pen = {"color": "rgba(27,27,29,0.55)", "width": 0.6}
    return {
        "type": "contour", "coloraxis": colours, "line": pen, "connectgaps": False,
        "contours": {**lines, "coloring": "fill", "labelfont": {"size": 9, "color": "#1b1b1d"}},
    }  # fmt: skip


def _holes(x: np.ndarray, y: np.ndarray, absent: np.ndarray) -> dict[str, Any]:
    """Hatched cells where there is no value."""
    left, right = _edges(x)
    low, high = _edges(y)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for i, j in np.argwhere(absent):
        xs += [left[j], right[j], right[j], left[j], left[j], None]
        ys += [low[i], low[i], high[i], high[i], low[i], None]
    return {
        "type": "scatter", "x": xs, "y": ys, "mode": "none", "fill": "toself", "fillcolor": HOLE[0],
        "fillpattern": {"shape": "/", "fgcolor": HOLE[1], "bgcolor": HOLE[0], "size": 6}, "name": "no value",
        "hoverinfo": "name", "hoveron": "fills", "showlegend": False,
    }  # fmt: skip


def _above(field: Field, scale: Scale, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Heights a little above the surface, so that a path on it is seen."""
    z = np.clip(field.at(x, y), scale.low, scale.high)
    ends = _drawn_at(scale, scale.low), _drawn_at(scale, scale.high)
    return (np.log10(z) if scale.log else z) + 0.015 * (ends[1] - ends[0])


def _edges(points: np.ndarray) -> tuple[list[float], list[float]]:
    middles = (points[1:] + points[:-1]) / 2
    return [float(points[0]), *middles.tolist()], [*middles.tolist(), float(points[-1])]


def _flat(axis: Axis) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": html.escape(axis.text), "font": {"size": 12}}, **_look()}
    return made | ({"range": list(axis.limits)} if axis.limits else {})


def _look() -> dict[str, Any]:
    font = {"size": 11}
    return {
        "tickfont": font,
        "nticks": 5,
        "backgroundcolor": "#f7f7fa",
        "showbackground": True,
        "gridcolor": GRID,
        "zeroline": False,
    }


def _ticks(scale: Scale) -> dict[str, Any]:
    texts = [f"{tick:g}" if tick == 0 or 1e-3 <= abs(tick) < 1e5 else f"{tick:.0e}" for tick in scale.ticks]
    return {"tickmode": "array", "tickvals": [_drawn_at(scale, tick) for tick in scale.ticks], "ticktext": texts}


def _drawn_at(scale: Scale, value: float) -> float:
    return float(f"{np.log10(value) if scale.log else value:.8g}")


def _few(points: int, most: int = MOST) -> np.ndarray:
    return np.unique(np.linspace(0, points - 1, min(points, most)).round().astype(int))


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
