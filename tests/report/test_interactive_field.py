"""What plotly is told of fields."""

import json

import numpy as np
import pytest

from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.report.interactive import described, payload

X = np.linspace(-1, 1, 11)
BOWL = 0.01 + X**2 + 2 * X[:, None] ** 2
AXES = {"x": Axis(label="<i>first"), "y": Axis(label="second")}


def figure(*fields, **rest):
    panels = [Panel(**AXES, fields=[field], series=[Series(label="path", x=X, y=X)], **rest) for field in fields]
    return Figure(name="f", title="F", caption="F.", panels=panels)


def field(z=BOWL, **rest):
    return Field(**{"label": "loss", "x": X, "y": X, "z": z, **rest})


@pytest.mark.parametrize("kind", ["contour", "heatmap", "surface"])
def test_the_values_reach_plotly(kind):
    (trace, *_) = described(figure(field(kind=kind)))["data"]
    assert trace["type"] == kind
    np.testing.assert_allclose(np.array(trace["z"], dtype=float), BOWL, rtol=1e-5)  # six digits are written
    np.testing.assert_allclose(trace["x"], X, atol=1e-6)


def test_a_logarithmic_scale_draws_powers_and_shows_numbers():
    drawn = described(figure(field(log=True)))
    np.testing.assert_allclose(np.array(drawn["data"][0]["z"], dtype=float), np.log10(BOWL), atol=1e-5)
    assert float(drawn["data"][0]["text"][5][5]) == pytest.approx(0.01)
    bar = drawn["layout"]["coloraxis"]["colorbar"]
    np.testing.assert_allclose(bar["tickvals"], np.log10([float(t) for t in bar["ticktext"]]), atol=1e-6)


def test_holes_are_null_and_hatched_cells():
    z = BOWL.copy()
    z[2, 3], z[0, 0] = np.nan, np.inf
    trace, holes, *_ = described(figure(field(z)))["data"]
    assert trace["z"][2][3] is None
    assert trace["z"][0][0] is None
    assert holes["fillpattern"]["shape"] == "/"
    assert holes["x"].count(None) == 2
    assert min(holes["x"][6:11]) < X[3] < max(holes["x"][6:11])


def test_a_surface_is_held_to_its_limits_and_its_path_lies_on_it():
    surface, path = described(figure(field(kind="surface", limits=(0.01, 1.0))))["data"]
    assert np.max(np.array(surface["z"], dtype=float)) == 1.0
    inner = np.abs(X) < 0.5
    on = np.diag(BOWL)[inner]
    np.testing.assert_allclose(np.array(path["z"], dtype=float)[inner], on, atol=0.02)  # lifted by 1.5 % of the range


def test_panels_and_bars_do_not_overlap():
    layout = described(figure(field(), field(), field(kind="surface"), field(kind="heatmap")))["layout"]
    places = [
        layout["xaxis"]["domain"] + layout["yaxis"]["domain"],
        layout["xaxis2"]["domain"] + layout["yaxis2"]["domain"],
    ]
    places += [layout["scene3"]["domain"]["x"] + layout["scene3"]["domain"]["y"]]
    places += [layout["xaxis4"]["domain"] + layout["yaxis4"]["domain"]]
    for i, (left, right, low, high) in enumerate(places):
        assert 0 <= left < right <= 1
        for other in places[:i]:
            assert left >= other[1] or right <= other[0] or low >= other[3] or high <= other[2]
    assert [layout[f"coloraxis{n}"]["showscale"] for n in ("", 2, 3, 4)] == [True, True, False, True]


def test_text_is_escaped_and_numbers_are_finite_json():
    z = BOWL.copy()
    z[0] = np.nan
    text = payload(figure(field(z, label="<b>loss</b>")))
    assert "<" not in text
    assert "&lt;b&gt;loss" in json.dumps(json.loads(text))


def test_a_fine_field_is_thinned_to_a_screen():
    fine = np.linspace(0, 1, 500)
    drawn = described(figure(Field(label="z", x=fine, y=fine, z=np.add.outer(fine, fine))))["data"][0]
    assert np.shape(drawn["z"]) == (120, 120)
    assert (drawn["x"][0], drawn["x"][-1]) == (0, 1)
