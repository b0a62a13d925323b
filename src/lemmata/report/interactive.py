"""The interactive version of a figure: what plotly draws, as plain data, and plotly itself, compressed.

The data are written by hand rather than through plotly's classes, whose import costs a second. Text is escaped, since
plotly reads a subset of HTML in it. Cost: a megabyte or two for the bundle, once a report; some kilobytes a figure.
"""

from __future__ import annotations

import base64
import functools
import gzip
import html
import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np

from lemmata.figures.field import Scale
from lemmata.figures.figure import Axis, Figure, Panel, Reference, Series
from lemmata.figures.style import PAPER, THEORY, Look, beside, dodged, looks, scales, thinned
from lemmata.report import interactive_field, interactive_frames

SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross", "X": "x",
    "*": "star", "": "circle",
}  # fmt: skip
MOST_POINTS, MOST_SEED_POINTS = 400, 120  # of a line: what a screen can show


@functools.cache
def bundle() -> str:
    """The JavaScript that comes with plotly, gzipped, in base64; the same bytes for the same version of plotly.

    >>> len(bundle()) < 3_000_000
    True
    """
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 9, mtime=0)).decode()


def payload(figure: Figure) -> str:
    """The figure as JSON that is safe inside a script element: `<`, `>` and `&` are written as escapes.

    >>> from lemmata.figures import Axis, Panel, Series
    >>> panel = Panel(x=Axis(label="x"), y=Axis(label="y"), series=[Series(label="</script>", x=[1], y=[1])])
    >>> "<" in payload(Figure(name="f", title="", caption="", panels=[panel]))
    False
    """
    text = json.dumps(described(figure), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def described(figure: Figure) -> dict[str, Any]:
    """What plotly draws: `data`, `layout`, the number of `panels`, and the `frames` of an animation."""
    if figure.animation is not None:
        stills = [_still(replace(figure, panels=[frame], animation=None)) for frame in figure.animation.frames]
        return interactive_frames.played(stills, figure.animation)
    return _still(figure)


def _still(figure: Figure) -> dict[str, Any]:
    drawn = looks(figure)
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": 470, "margin": {"l": 60, "r": 20, "t": 62, "b": 60}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#1b1b1d"}, "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}, "shapes": [], "annotations": [],
        "barmode": "overlay",
    }  # fmt: skip
    if _rows(figure) > 1:
        layout["height"] = 900
        layout["legend"]["y"] = -0.1
    named = {""}  # a series without a label is left out of the legend
    for place, (panel, measures) in enumerate(zip(figure.panels, scales(figure), strict=True)):
        _axes(layout, panel, place, figure)
        at = {"xaxis": f"x{_nth(place)}", "yaxis": f"y{_nth(place)}"}
        if panel.fields:
            _layout(layout, figure, place, measures[0])
            data += _fields(panel, measures, drawn, named, at=_nth(place))
            for reference in panel.references:
                _reference(layout, reference, panel, place)
            continue
        for series, x, width in dodged(panel):
            for trace in _traces(series, x, width, drawn[series.label, series.role], panel):
                legend = bool(trace.get("showlegend", True)) and series.label not in named
                data.append({**trace, **at, "legendgroup": series.label, "showlegend": legend})
            named.add(series.label)
        if not panel.series:  # plotly draws no axes without a trace
            data.append({**at, "type": "scatter", "x": [None], "y": [None], "showlegend": False})
        for reference in panel.references:
            _reference(layout, reference, panel, place)
    return {"data": data, "layout": layout, "panels": len(figure.panels)}


def _layout(layout: dict[str, Any], figure: Figure, place: int, scale: Scale) -> None:
    """Add the colour axis of a panel with fields, and its scene."""
    n, domain, solid = _nth(place), _place(place, figure), interactive_field.solid(figure.panels[place])
    shown = not solid and (place == len(figure.panels) - 1 or not figure.one_scale)
    layout[f"coloraxis{n}"] = interactive_field.bar(scale, domain, shown=shown)
    if solid:
        scene = interactive_field.scene(figure.panels[place], scale, len(figure.panels))
        layout[f"scene{n}"] = scene | {"domain": domain}


def _fields(panel: Panel, measures: list[Scale], drawn: Any, named: set[str], *, at: str) -> list[dict[str, Any]]:
    """The traces of a panel with fields, on the axes or the scene numbered `at`."""
    on = {"scene": f"scene{at}"} if interactive_field.solid(panel) else {"xaxis": f"x{at}", "yaxis": f"y{at}"}
    made = [{**trace, **on} for trace in interactive_field.traces(panel, measures, f"coloraxis{at}")]
    for trace in interactive_field.over(panel, measures[0], drawn, SYMBOLS):
        legend = trace.get("showlegend", True) and trace["name"] not in named
        named |= {trace["name"]} if legend else set()
        made.append({**trace, **on, "legendgroup": trace["name"], "showlegend": legend})
    return made


def _traces(series: Series, x: np.ndarray, width: float, look: Look, panel: Panel) -> list[dict[str, Any]]:
    name = html.escape(series.label)
    traces: list[dict[str, Any]] = []
    quiet = {"hoverinfo": "skip", "showlegend": False, "type": "scatter"}
    line = series.style == "line"
    if series.seeds is not None:
        few = thinned(x, log=panel.x.log, most=MOST_SEED_POINTS)
        gap = [None]
        aside = np.zeros(len(series.seeds)) if line else beside(len(series.seeds), width)
        xs = [v for shift in aside for v in (*_plain(x[few] + shift), *gap)]
        ys = [v for row in series.seeds for v in (*_plain(row[few]), *gap)]
        style = {"mode": "lines", "line": {"color": look.colour, "width": 0.7}, "opacity": 0.4}
        if not line:
            style = {"mode": "markers", "marker": {"color": "#333", "size": 4, "symbol": "circle-open"}}
        traces.append({**quiet, **style, "x": xs, "y": ys, "name": f"{name}, each seed"})
    few = thinned(x, log=panel.x.log, most=MOST_POINTS) if series.style != "points" else np.arange(len(x))
    shown, y = x[few], np.asarray(series.y)[few]
    main: dict[str, Any] = {"x": _plain(shown), "y": _plain(y), "name": name, **_hover(series, few, panel.x.ticks)}
    if series.low is not None and series.high is not None:
        low, high = series.low[few], series.high[few]
        if line:
            edge = {**quiet, "mode": "lines", "line": {"width": 0}, "x": _plain(shown), "name": name}
            traces.append({**edge, "y": _plain(low)})
            traces.append({**edge, "y": _plain(high), "fill": "tonexty", "fillcolor": _faint(look.colour)})
        else:
            up, down = _plain(high - y), _plain(y - low)
            main["error_y"] = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": "#222"}
    if series.style == "bars":
        fill = {"color": look.colour, "opacity": 0.7}
        return [{**main, "type": "bar", "width": width * 0.9, "marker": fill}, *traces]
    marker = {"color": look.colour, "size": 7 if not line else 5, "symbol": SYMBOLS[look.marker]}
    mode = "markers" if not line else "lines+markers" if len(shown) <= 15 and look.marker else "lines"
    dash = ",".join(f"{length * 1.6:g}px" for length in look.dash) or "solid"
    stroke = {"color": look.colour, "width": 2, "dash": dash}
    return [*traces, {**main, "type": "scatter", "mode": mode, "marker": marker, "line": stroke}]


def _hover(series: Series, few: np.ndarray, ticks: tuple[str, ...]) -> dict[str, Any]:
    """What is shown under the pointer: name, place, value and interval."""
    at = "%{hovertext}" if ticks else "%{x:.6~g}"
    said = f"{html.escape(series.label)}<br>{at}: <b>%{{y:.5~g}}</b>"
    made: dict[str, Any] = {}
    if ticks:
        named: dict[float, str] = {float(i): tick for i, tick in enumerate(ticks)}
        made["hovertext"] = [html.escape(named.get(float(series.x[i]), f"{series.x[i]:.6g}")) for i in few]
    if series.low is not None and series.high is not None:
        said += "<br>95 % interval %{customdata[0]:.5~g} to %{customdata[1]:.5~g}"
        ends = zip(_plain(series.low[few]), _plain(series.high[few]), strict=True)
        made["customdata"] = [list(pair) for pair in ends]
    return {**made, "hovertemplate": f"{said}<extra></extra>"}


def _place(place: int, figure: Figure) -> dict[str, list[float]]:
    """The domain of a panel; four stand two by two, and beside fields room for a colour bar is left."""
    fields = any(panel.fields for panel in figure.panels)
    rows = _rows(figure)
    panels = len(figure.panels) // rows
    if fields and panels == 1:
        return {"x": [0.05, 0.68], "y": [0, 1]}
    room, spare = (0.09, 1.0) if not fields else (0.17, 0.5) if panels == 2 else (0.2, 0.6)
    width = (1 - room * (panels - spare)) / panels
    left = place % panels * (width + room)
    if interactive_field.solid(figure.panels[place]):  # it has no colour bar, and needs room to turn
        left, width = max(0.0, left - 0.04), width + room / 2
    height = (1 - 0.2 * (rows - 1)) / rows
    low = (rows - 1 - place // panels) * (height + 0.2)
    return {"x": [round(left, 4), round(left + width, 4)], "y": [round(low, 4), round(low + height, 4)]}


def _rows(figure: Figure) -> int:
    return 2 if len(figure.panels) == 4 else 1


def _axes(layout: dict[str, Any], panel: Panel, place: int, figure: Figure) -> None:
    domain = _place(place, figure)
    n = _nth(place)
    if panel.title:
        where = {"xref": f"x{n} domain", "x": 0, "yref": f"y{n} domain", "y": 1.02}
        if interactive_field.solid(panel):
            above = min(1.02, domain["y"][1] + 0.02)
            where = {"xref": "paper", "x": domain["x"][0], "yref": "paper", "y": above, "name": f"scene{n}"}
        text = {"text": f"<b>{html.escape(panel.title)}</b>", "showarrow": False}
        layout["annotations"].append({**text, **where, "yanchor": "bottom", "xanchor": "left"})
    if interactive_field.solid(panel):
        return
    layout[f"xaxis{n}"] = {**_axis(panel.x), "anchor": f"y{n}", "domain": domain["x"]}
    layout[f"yaxis{n}"] = {**_axis(panel.y), "anchor": f"x{n}", "domain": domain["y"]}
    if panel.x.ticks and not panel.x.limits:
        layout[f"xaxis{n}"]["range"] = [-0.6, len(panel.x.ticks) - 0.4]
    if panel.equal:
        layout[f"yaxis{n}"] |= {"scaleanchor": f"x{n}", "constrain": "domain"}
        layout[f"xaxis{n}"] |= {"constrain": "domain", "constraintoward": "right" if panel.fields else "center"}


def _axis(axis: Axis) -> dict[str, Any]:
    made: dict[str, Any] = {
        "title": {"text": html.escape(axis.text), "standoff": 8}, "type": "log" if axis.log else "linear",
        "gridcolor": "#e3e3e3", "linecolor": "#555", "showline": True, "zeroline": False, "automargin": True,
        "exponentformat": "power",
    }  # fmt: skip
    if axis.limits:
        made["range"] = [float(v) for v in (np.log10(axis.limits) if axis.log else axis.limits)]
    if axis.ticks:
        made |= {"tickvals": list(range(len(axis.ticks))), "ticktext": [html.escape(t) for t in axis.ticks]}
    return made


def _reference(layout: dict[str, Any], reference: Reference, panel: Panel, place: int) -> None:
    colour = PAPER if reference.role == "paper" else THEORY
    x, y = f"x{_nth(place)}", f"y{_nth(place)}"
    across = reference.axis == "y"
    log = panel.y.log if across else panel.x.log
    line = {"color": colour, "width": 1.4, "dash": "dashdot"}
    ends = {"x0": 0, "x1": 1, "y0": reference.value, "y1": reference.value}
    if not across:
        ends = {"x0": reference.value, "x1": reference.value, "y0": 0, "y1": 1}
    refs = {"xref": f"{x} domain" if across else x, "yref": y if across else f"{y} domain"}
    layout["shapes"].append({"type": "line", "line": line, **refs, **ends})
    at = float(np.log10(reference.value)) if log else reference.value
    where = {"x": 1, "y": at, "xanchor": "right", "yanchor": "bottom"}
    if not across:
        where = {"x": at, "y": 1, "xanchor": "left", "yanchor": "top"}
    ink = {"font": {"color": colour, "size": 11}, "bgcolor": "rgba(255,255,255,0.7)"}
    text = {"text": html.escape(reference.label), "showarrow": False, **ink}
    layout["annotations"].append({**text, **refs, **where})


def _nth(place: int) -> str:
    return "" if place == 0 else str(place + 1)


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
