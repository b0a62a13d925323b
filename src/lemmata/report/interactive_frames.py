"""What plotly draws of an animation: the first frame, what changes in the others, a slider and two buttons.

Only traces that differ from the first frame's are written into a frame, so that what stands still is there once.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from lemmata.figures.animation import Animation

FRAME = 120  # milliseconds


def played(stills: Sequence[dict[str, Any]], animation: Animation) -> dict[str, Any]:
    """The description of the first still, with frames and what moves through them."""
    first = stills[0]
    moving = [i for i, trace in enumerate(first["data"]) if any(still["data"][i] != trace for still in stills)]
    names = [f"{value:g}" for value in animation.values]
    frames = [
        {"name": name, "traces": moving, "data": [still["data"][i] for i in moving]}
        for name, still in zip(names, stills, strict=True)
    ]
    layout = {**first["layout"], "sliders": [_slider(names, animation.label)], "updatemenus": [_buttons()]}
    layout["height"], layout["margin"] = layout["height"] + 90, {**layout["margin"], "b": 150}
    layout["legend"] = {**layout["legend"], "y": 1.02, "yanchor": "bottom"}  # the slider stands below
    return {**first, "layout": layout, "frames": frames}


def _slider(names: Sequence[str], label: str) -> dict[str, Any]:
    now = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    return {
        "active": 0, "x": 0.22, "len": 0.78, "y": -0.16, "yanchor": "top", "pad": {"t": 10, "b": 10},
        "currentvalue": {"prefix": f"{html.escape(label)} ", "font": {"size": 13}},
        "steps": [{"label": name, "method": "animate", "args": [[name], now]} for name in names],
    }  # fmt: skip


def _buttons() -> dict[str, Any]:
    on = {"frame": {"duration": FRAME, "redraw": False}, "transition": {"duration": 0}, "fromcurrent": True}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    return {
        "type": "buttons", "direction": "left", "showactive": False, "x": 0, "xanchor": "left", "y": -0.2,
        "yanchor": "top", "pad": {"r": 8, "t": 0}, "buttons": [
            {"label": "Play", "method": "animate", "args": [None, on]},
            {"label": "Pause", "method": "animate", "args": [[None], stop]},
        ],
    }  # fmt: skip
