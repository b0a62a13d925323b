"""Draw a figure with matplotlib: SVG, PNG or PDF, the same bytes for the same figure.

Nothing depends on the user's matplotlibrc, on dates or on random identifiers; fonts become paths in an SVG, so it
looks the same everywhere. The legend stands below the panels and the paper's numbers to their right, so that neither
covers the data. Cost: about 0.2 s a panel.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import static_field
from lemmata.figures.figure import Axis, Figure, Panel, Reference, Series
from lemmata.figures.style import CLOUD, PAPER, THEORY, Look, beside, dodged, looks, scales, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

Format = Literal["svg", "png", "pdf"]
PANEL_HEIGHT = 3.5  # inches, with its labels
MOST_POINTS, MOST_SEED_POINTS = 1000, 300  # of a line: more than a printed column can show
PATH = re.compile(rb'<path(?! id)[^>]* d="[^"]*"')  # not the shapes of letters, which are scaled down
PRECISE = re.compile(rb"(\.\d\d)\d+")
RULES: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "lemmata",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "path.simplify_threshold": 0.25,
}
NO_DATES: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def render(
    figure: Figure, path: Path | str | None = None, *, format: Format | None = None, title: bool = True
) -> str | bytes | Path:
    """Draw `figure`; with a `path` write it there and return the path, else return the SVG text or the bytes.

    `format` follows from the path's ending and is "svg" without one. Raises `InvalidInput` for another format.

    >>> from lemmata.figures import Axis
    >>> panel = Panel(x=Axis(label="step"), y=Axis(label="risk"), series=[Series(label="gd", x=[1, 2], y=[2, 1])])
    >>> render(Figure(name="f", title="Risk", caption="", panels=[panel])).startswith("<svg")
    True
    """
    kind = format or (Path(path).suffix.lstrip(".").lower() if path else "svg")
    if kind not in get_args(Format):
        raise InvalidInput(f"a figure is written as {', '.join(get_args(Format))}, not {kind!r}; change the ending")
    drawn = _draw(figure, kind, title)
    if path is not None:
        Path(path).write_bytes(drawn)
        return Path(path)
    return drawn.decode() if kind == "svg" else drawn


def rules() -> dict[Any, Any]:
    """The settings everything is drawn with: matplotlib's defaults and ours, nothing of the user's."""
    import matplotlib

    return {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"} | RULES


def _draw(figure: Figure, kind: str, title: bool) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(rules()):
        columns = 2 if len(figure.panels) == 4 else min(len(figure.panels), 3)
        rows = -(-len(figure.panels) // columns)
        width, height = (5.8, 8.4, 10.2)[columns - 1], PANEL_HEIGHT * rows + 0.35
        canvas = Canvas(figsize=(width, height), dpi=200, layout="constrained")
        if any(panel.fields for panel in figure.panels):
            room = 0.97 if any(map(static_field.solid, figure.panels)) else 1.0  # for the name of a height
            engine: Any = canvas.get_layout_engine()
            engine.set(w_pad=0.1, rect=(0, 0, room, 1))
        FigureCanvasAgg(canvas)
        drawn, panels = looks(figure), []
        for place, (panel, measures) in enumerate(zip(figure.panels, scales(figure), strict=True), start=1):
            solid = static_field.solid(panel)
            axes: Any = canvas.add_subplot(rows, columns, place, projection="3d" if solid else None)
            if panel.fields:
                last = place % columns == 0 or place == len(figure.panels)  # of its row
                static_field.draw(axes, panel, measures, bar=last or not figure.one_scale)
            _panel(axes, panel, drawn)
            panels.append(axes)
        if title and figure.title:
            canvas.suptitle(_plain(figure.title), fontsize=11, fontweight="bold", x=0.01, ha="left")
        _legend(canvas)
        for axes, panel in zip(panels, figure.panels, strict=True):
            _name_references(axes, panel.references)
        return written(canvas, kind)


def written(canvas: Canvas, kind: str) -> bytes:
    """The bytes of a matplotlib figure without dates or names of software.

    An SVG starts at its root element, and its paths keep a hundredth of a point: half the bytes, the same picture.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    if kind != "svg":
        canvas.savefig(buffer, format=kind, metadata=NO_DATES[kind])
        return buffer.getvalue()
    FigureCanvasSVG(canvas).print_svg(buffer, metadata=NO_DATES[kind])  # savefig would draw it all twice
    drawn = buffer.getvalue()
    return PATH.sub(lambda path: PRECISE.sub(rb"\1", path[0]), drawn[drawn.index(b"<svg") :])


def _panel(axes: Axes, panel: Panel, drawn: dict[Any, Look]) -> None:
    _scale(axes.xaxis, panel.x)
    _scale(axes.yaxis, panel.y)
    if panel.fields:
        static_field.over(axes, panel, drawn)
    for order, (series, x, width) in enumerate(() if panel.fields else dodged(panel)):
        look = drawn[series.label, series.role]
        if series.style == "line":
            _line(axes, series, look, panel, order)
        else:
            _marks(axes, series, x, width, look, log=panel.y.log)
    for reference in panel.references:
        _reference(axes, reference)
    if panel.title:
        title = axes.set_title(_plain(panel.title))
        if static_field.solid(panel):
            title.set_position((0.0, 1.0))
            title.set_horizontalalignment("left")
    _limits(axes, panel)
    axes.autoscale_view()
    if panel.equal and not static_field.solid(panel):
        axes.set_aspect("equal", adjustable="box")
    _name_powers(axes.xaxis, panel.x)
    _name_powers(axes.yaxis, panel.y)


def _line(axes: Axes, series: Series, look: Look, panel: Panel, order: int) -> None:
    x, y = np.asarray(series.x), np.asarray(series.y)
    few = thinned(x, log=panel.x.log, most=MOST_POINTS)
    if series.seeds is not None:
        thin = thinned(x, log=panel.x.log, most=MOST_SEED_POINTS)
        lines = axes.plot(x[thin], series.seeds[:, thin].T, color=look.colour, lw=0.5, alpha=0.35, zorder=2)
        for line in lines:
            line.set_label("_one seed")
    if series.low is not None and series.high is not None:
        low = _above_zero(series.low, y) if panel.y.log else series.low
        axes.fill_between(x[few], low[few], series.high[few], color=look.colour, alpha=0.18, lw=0, zorder=2.5)
    marks = 1.0 if len(x) <= 15 else (0.03 + 0.03 * (order % 4), 0.13)
    axes.plot(
        x[few], y[few], color=look.colour, lw=look.width, marker=look.marker or None, markersize=4.2,
        markevery=None if marks == 1.0 else marks, markeredgecolor="white", markeredgewidth=0.5,
        linestyle=(0, look.dash) if look.dash else "-", zorder=4 if series.role == "theory" else 3,
        label=_plain(series.label),
    )  # fmt: skip


def _marks(axes: Axes, series: Series, x: np.ndarray, width: float, look: Look, *, log: bool) -> None:
    y = np.asarray(series.y)
    if series.style == "bars":
        floor = 10.0 ** np.floor(np.log10(np.nanmin(np.where(y > 0, y, np.nan)) * 0.99)) if log else 0.0
        axes.bar(x, y - floor, width * 0.9, floor, color=look.colour, alpha=0.7, label=_plain(series.label))
    else:
        size = 3.6 if len(x) > CLOUD else 9 if look.marker == "*" else 6.5
        axes.plot(
            x, y, color=look.colour, marker=look.marker or "o", markersize=size, ls="", markeredgecolor="white",
            markeredgewidth=0.3 if len(x) > CLOUD else 0.6, zorder=4, label=_plain(series.label),
        )  # fmt: skip
    if series.low is not None and series.high is not None:
        ink = "#222222" if series.style == "bars" else look.colour
        axes.errorbar(x, y, [y - series.low, series.high - y], fmt="none", ecolor=ink, elinewidth=1.3, capsize=3)
    if series.seeds is not None:
        where = x[None, :] + beside(len(series.seeds), width)[:, None]
        axes.plot(where.ravel(), series.seeds.ravel(), "o", ms=2.4, mfc="none", mec="#333333", mew=0.6, zorder=5)


def _reference(axes: Axes, reference: Reference) -> None:
    draw = axes.axhline if reference.axis == "y" else axes.axvline
    colour, dash = (PAPER, (7, 2, 1.5, 2)) if reference.role == "paper" else (THEORY, (2, 1.5))
    label = _plain(reference.label) if reference.axis == "x" else "_named at its end"
    draw(reference.value, color=colour, lw=1.2, ls=(0, dash), zorder=3.5, label=label)


def _name_references(axes: Axes, references: Iterable[Reference]) -> None:
    """Write each horizontal reference's name at its right end, moved apart where they would overlap."""
    high = 0.75 * PANEL_HEIGHT * 72  # about the points between an axis' ends
    named = []
    for reference in references:
        place = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[0], reference.value)))[1]
        if reference.axis == "y" and -0.02 <= place <= 1.02:
            text = textwrap.fill(_plain(reference.label), 20)
            named.append((place, 11.5 * (text.count("\n") + 1) / high, text, reference.role))
    named.sort(key=lambda name: name[0])
    places = apart([name[0] for name in named], [name[1] for name in named])
    for at, (_, _, text, role) in zip(places, named, strict=True):
        colour = PAPER if role == "paper" else THEORY
        axes.text(1.01, at, text, transform=axes.transAxes, color=colour, fontsize=8, va="center", linespacing=1.05)


def apart(wanted: list[float], heights: list[float]) -> list[float]:
    """Move sorted places in [0, 1] up, then down from the top, until labels of these heights do not overlap.

    >>> apart([0.5, 0.5], [0.25, 0.25])
    [0.5, 0.75]
    """
    places = list(wanted)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + (heights[i - 1] + heights[i]) / 2)
    ceiling = 1.0 + heights[-1] / 2 if heights else 1.0
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling - heights[i] / 2)
        ceiling = places[i] - heights[i] / 2
    return places


def _legend(canvas: Canvas) -> None:
    entries: dict[str, Any] = {}
    for axes in canvas.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        return
    longest = max(map(len, entries)) * 5.2 + 45
    columns = int(np.clip(canvas.get_figwidth() * 72 / longest, 1, len(entries)))
    canvas.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, handlelength=3.2)


def _scale(axis: Any, described: Axis) -> None:
    if described.log:
        getattr(axis.axes, f"set_{axis.axis_name}scale")("log", nonpositive="mask")
    axis.set_label_text(_plain(described.text))
    if described.ticks:
        wide = sum(map(len, described.ticks)) > 48 and axis.axis_name == "x"
        room = 12 if axis.axis_name == "x" else 34  # letters a line
        labels = [textwrap.fill(_plain(tick), room) for tick in described.ticks]
        turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if wide else {}
        axis.set_ticks(range(len(labels)), labels, **turned)
        axis.grid(False)


def _power(value: float, *, plain: bool) -> str:
    return f"{value:g}" if plain else rf"$10^{{{np.log10(value):.0f}}}$"


def _between(value: float) -> str:
    """Of what lies between powers of ten, name 2 and 5."""
    leading = round(value / 10.0 ** np.floor(np.log10(value)))
    return f"{value:g}" if leading in (2, 5) else ""


def _named(low: float, high: float) -> int:
    """How many of 1, 2 and 5 times a power of ten lie in view."""
    if not 0 < low < high < np.inf:
        return 2
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    values = np.outer(powers, (1, 2, 5))
    return int(((values >= low) & (values <= high)).sum())


def _name_powers(axis: Any, described: Axis) -> None:
    """Write powers of ten as 0.1, 1, 10 where all in sight are short; and what lies between, where few are in sight."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if described.log:
        low, high = axis.get_view_interval()
        if _named(low, high) < 2:  # so short a stretch has none of 1, 2, 5 times a power: evenly spaced numbers
            axis.set_major_locator(MaxNLocator(4))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.5g}"))
            axis.set_minor_formatter(NullFormatter())
            return
        plain = low > 5e-4 and high < 2e4  # one notation an axis
        axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value, plain=plain)))
        between = FuncFormatter(lambda value, _: _between(value)) if high / low < 50 else NullFormatter()
        axis.set_minor_formatter(between)


def _limits(axes: Axes, panel: Panel) -> None:
    if panel.x.ticks:
        axes.set_xlim(-0.6, len(panel.x.ticks) - 0.4)
    if panel.x.limits:
        axes.set_xlim(*panel.x.limits)
    if panel.y.limits:
        axes.set_ylim(*panel.y.limits)


def _above_zero(low: np.ndarray, y: np.ndarray) -> np.ndarray:
    positive = y[y > 0]
    return np.maximum(low, positive.min() / 10) if len(positive) else low


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
