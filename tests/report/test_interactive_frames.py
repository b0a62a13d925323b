import numpy as np
import plotly.graph_objects as go

from lemmata.figures import Animation, Axis, Field, Panel, Series, film
from lemmata.report.interactive import described

AXES = {"x": Axis(label="x", limits=(-1, 1)), "y": Axis(label="y", limits=(-1, 1))}
REGION = Field(label="|R(z)|", x=[-1, 0, 1], y=[-1, 1], z=[[0, 1, 2], [2, 1, 0]])


def figure(fields=()):
    circle = Series(label="circle", x=[0, 1], y=[1, 0], role="theory")
    frames = [
        Panel(**AXES, fields=fields, series=[circle, Series(label="<p>", x=[t], y=[-t], style="points")])
        for t in (0.0, 0.25, 0.5)
    ]
    return film("walk", "A point walks", "", Animation(label="layer", values=[0, 8, 16], frames=frames))


def test_plotly_accepts_the_frames():
    drawn = described(figure())
    checked = go.Figure({name: drawn[name] for name in ("data", "layout", "frames")})
    assert [frame.name for frame in checked.frames] == ["0", "8", "16"]
    assert [step.label for step in checked.layout.sliders[0].steps] == ["0", "8", "16"]


def test_only_what_moves_is_written_in_the_frames():
    for fields in ((), (REGION,)):
        drawn = described(figure(fields))
        (moving,) = {tuple(frame["traces"]) for frame in drawn["frames"]}
        assert [drawn["data"][i]["name"] for i in moving] == ["&lt;p&gt;"]
        places = [(frame["data"][0]["x"][0], frame["data"][0]["y"][0]) for frame in drawn["frames"]]
        np.testing.assert_allclose(places, [(0, 0), (0.25, -0.25), (0.5, -0.5)])


def test_the_page_starts_with_the_first_frame_in_one_panel():
    drawn = described(figure())
    assert drawn["panels"] == 1
    assert drawn["data"] == described(film("w", "", "", figure().animation, shown=2))["data"]
