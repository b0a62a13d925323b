import numpy as np
import pytest

from lemmata.errors import InvalidInput
from lemmata.figures import Animation, Axis, Field, Panel, Series, film
from lemmata.figures.static import render

X, Y = Axis(label="x", limits=(-1, 1)), Axis(label="y", limits=(-1, 1))


def frame(t, **changes):
    point = Series(label="point", x=[np.cos(t)], y=[np.sin(t)], style="points")
    return Panel(**{"x": X, "y": Y, "series": [point], **changes})


def turning(times, **changes):
    return Animation(**{"label": "time", "values": times, "frames": [frame(t) for t in times], **changes})


def test_paper_shows_some_frames_from_the_first_to_the_last():
    figure = film("turn", "A point turns", "", turning(np.arange(11.0)))
    assert [panel.title for panel in figure.panels] == ["time 0", "time 3", "time 7", "time 10"]
    assert [float(panel.series[0].x[0]) for panel in figure.panels] == [np.cos(t) for t in (0.0, 3.0, 7.0, 10.0)]
    assert render(figure).startswith("<svg")


def test_no_more_frames_are_shown_than_there_are():
    assert len(turning([0.0, 1.0]).panels()) == 2


def surface(t):
    bowl = Field(label="loss", x=[-1, 1], y=[-1, 1], z=[[t, 1], [1, 2]], kind="surface")
    return Panel(x=X, y=Y, fields=[bowl])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frames": [frame(0.0)]}, "1 frames at 2 values"),
        ({"values": [1.0, 0.0]}, "must increase"),
        ({"frames": [frame(0.0, x=Axis(label="x")), frame(1.0, x=Axis(label="x"))]}, "stand still"),
        ({"frames": [frame(0.0), frame(1.0, x=Axis(label="x", limits=(-2, 2)))]}, "frame at 1 has other"),
        ({"frames": [frame(0.0), frame(1.0, series=[])]}, "frame at 1 has other"),
        ({"frames": [surface(0.0), surface(1.0)]}, "a surface does not move"),
    ],
    ids=["one", "order", "limits", "axes", "series", "surface"],
)
def test_what_cannot_move_is_refused(changes, said):
    with pytest.raises(InvalidInput, match=said):
        turning([0.0, 1.0], **changes)
