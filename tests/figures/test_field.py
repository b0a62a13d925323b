"""Fields: their scales, and how matplotlib draws them."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.interpolate import RegularGridInterpolator

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel, Reference, Series
from lemmata.figures.field import LEVELS_AT_MOST, scale
from lemmata.figures.static import render
from lemmata.figures.static_field import named
from lemmata.figures.style import MEASURED, scales

X = np.linspace(-1, 1, 21)
BOWL = X**2 + 2 * X[:, None] ** 2
AXES = {"x": Axis(label="first"), "y": Axis(label="second")}
PATH = Series(label="path", x=np.cos(9 * X) * 0.7, y=X)  # x goes back and forth


def field(z=BOWL, **rest):
    return Field(**{"label": "loss", "x": X, "y": X, "z": z, **rest})


def figure(*fields, one_scale=False, **rest):
    panels = [Panel(**AXES, fields=[drawn], **rest) for drawn in fields]
    return Figure(name="f", title="F", caption="F.", panels=panels, one_scale=one_scale)


def pixels(made):
    return np.asarray(Image.open(io.BytesIO(render(made, format="png"))).convert("RGB")).astype(int)


@given(
    st.floats(1e-6, 1e6), st.floats(1.0001, 1e12), st.booleans(), st.sampled_from([None, 5, 12, 25]),
)  # fmt: skip
@example(low=999999.998046875, ratio=4.0, log=True, levels=None)
@example(low=1.9999999998835847, ratio=4.0, log=True, levels=None)
@example(low=1.0, ratio=4.0, log=True, levels=25)
@settings(max_examples=200, deadline=None)
def test_levels_hold_all_values_in_order_and_ticks_lie_between_the_ends(low, ratio, log, levels):
    found = scale([Field(label="z", x=[0, 1], y=[0, 1], z=[[low, low], [low, low * ratio]], log=log, levels=levels)])
    assert found.low <= low * (1 + 1e-9)
    assert found.high >= low * ratio * (1 - 1e-9)
    assert (np.diff(found.levels) > 0).all()
    assert (levels or 12) / 3 <= len(found.levels) <= LEVELS_AT_MOST
    assert len(found.levels) <= 2.5 * (levels or 12) + 3
    assert (found.below, found.above) == (False, False)
    assert len(found.ticks) >= 2
    room = 1e-6 * (found.high - found.low)
    assert found.low - room <= min(found.ticks) <= max(found.ticks) <= found.high + room


def test_round_levels_and_ticks():
    assert scale([field(10 * BOWL)]).levels == tuple(np.arange(0, 31, 2.5))
    assert scale([field(1e-3 + 10 * BOWL, log=True)]).ticks == (0.001, 0.01, 0.1, 1.0, 10.0)
    assert scale([field(levels=(0.5, 1.0))]).levels == (0.0, 0.5, 1.0, 3.0)


def test_limits_are_the_ends_and_what_lies_beyond_is_noted():
    found = scale([field(limits=(0.5, 2.2))])
    assert (found.low, found.high, found.below, found.above) == (0.5, 2.2, True, True)
    assert not scale([field(limits=(-1, 5))]).above


def test_a_constant_field_has_a_scale():
    for log in (False, True):
        found = scale([field(0 * BOWL + 2, log=log)])
        assert found.low < 2 < found.high


def test_one_scale_holds_all_fields_of_a_label():
    a, b, other = field(), field(5 * BOWL), field(9 * BOWL, label="sharpness")
    (first,), (second,), (third,) = scales(figure(a, b, other, one_scale=True))
    assert first is second
    assert first.high == 16
    assert third.high > 15
    assert scales(figure(a, b))[0][0].high == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": BOWL[:3]}, r"wants x \(nx,\), y \(ny,\) and z \(ny, nx\), got \(21,\), \(21,\) and \(3, 21\)"),
        ({"x": X[::-1]}, "field 'loss': x must be two or more increasing points"),
        ({"z": BOWL * np.nan}, "has no finite value"),
        ({"z": -BOWL, "log": True}, "has no positive and finite value"),
        ({"kind": "pie"}, "is a contour, a heatmap or a surface, not a 'pie'"),
        ({"limits": (2.0, 1.0)}, r"limits must be increasing, got \(2.0, 1.0\)"),
        ({"limits": (0.0, 1.0), "log": True}, "limits must be positive and increasing, as its scale is logarithmic"),
    ],
)
def test_bad_fields_are_refused_by_name(changes, message):
    with pytest.raises(InvalidInput, match=message):
        field(**changes)


def test_a_surface_stands_alone():
    with pytest.raises(InvalidInput, match="a surface stands alone"):
        Panel(**AXES, fields=[field(kind="surface"), field()])
    with pytest.raises(InvalidInput, match="without reference lines"):
        Panel(**AXES, fields=[field(kind="surface")], references=[Reference(label="r", value=0)])


def test_heights_between_the_points_are_scipys_bilinear_ones():
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.random(7)), np.sort(rng.random(5))
    z = rng.normal(size=(5, 7))
    px, py = rng.random(200), rng.random(200)
    oracle = RegularGridInterpolator((y, x), z, bounds_error=False)(np.stack([py, px], 1))
    found = Field(label="z", x=x, y=y, z=z).at(px, py)
    np.testing.assert_allclose(found, oracle, atol=1e-12)
    assert np.isnan(found).any()  # off the grid


@pytest.mark.parametrize("kind", ["contour", "heatmap", "surface"])
@pytest.mark.parametrize("log", [False, True])
def test_every_kind_is_drawn_the_same_each_time_in_a_small_file(kind, log):
    z = 0.01 + BOWL
    z[3:6, 3:6] = np.nan
    z[0, 0] = np.inf
    made = figure(field(z, kind=kind, log=log), series=[PATH], equal=True)
    svg = render(made)
    assert svg == render(made)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert len(svg) < 200_000
    if kind != "contour":
        assert "data:image/png;base64" in svg


@pytest.mark.parametrize("kind", ["contour", "heatmap", "surface"])
def test_a_large_rough_field_stays_small(kind):
    points = np.linspace(-1, 1, 201)
    rough = np.random.default_rng(0).normal(size=(201, 201))
    svg = render(figure(Field(label="loss", x=points, y=points, z=rough, kind=kind)))
    assert len(svg) < 2_500_000


def test_colours_follow_the_values():
    """Where z is large the picture is light: viridis rises in lightness."""
    shown = pixels(figure(field(np.broadcast_to(X, (21, 21)), kind="heatmap"), equal=True))
    middle = shown[shown.shape[0] // 2].sum(1)
    (dark,) = np.nonzero(middle == middle.min())
    left = shown[shown.shape[0] // 2]
    yellow = np.nonzero((left[:, 0] > 230) & (left[:, 1] > 200) & (left[:, 2] < 80))[0]
    assert dark[0] < yellow[0]


def test_holes_are_hatched_and_nothing_else_is():
    grey = np.array([0xB5, 0xB5, 0xB5])

    def hatching(z):
        return int((np.abs(pixels(figure(field(z))) - grey).max(2) < 12).sum())

    holed = BOWL.copy()
    holed[5:12, 5:12] = np.nan
    assert hatching(holed) > hatching(BOWL) + 300


def test_a_path_over_a_field_is_drawn_in_its_own_order():
    """A path goes back and forth in x; sorted or thinned by x it would be another."""
    svg = render(figure(field(), series=[PATH]))
    drawn = [p.get("d") for p in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")
             if MEASURED[0].lower() in (p.get("style") or "") and (p.get("d") or "").count("L") >= 10]  # fmt: skip
    (path,) = {tuple(float(v) for v in d.replace("M", "").replace("L", "").split()) for d in drawn}
    x = np.array(path).reshape(-1, 2)[:, 0]
    turns = np.sum(np.diff(np.sign(np.diff(x))) != 0)
    assert turns == np.sum(np.diff(np.sign(np.diff(PATH.x))) != 0) == 5


def test_equal_units_have_equal_lengths():
    """A disc of a heat map is as wide as it is high."""
    wide = Field(
        label="z", x=np.linspace(-2, 2, 81), y=X, z=np.hypot(np.linspace(-2, 2, 81), X[:, None]) < 0.7, kind="heatmap"
    )
    shown = pixels(figure(wide, equal=True))
    yellow = (shown[..., 0] > 240) & (shown[..., 1] > 220) & (shown[..., 2] < 60)
    yellow[:, shown.shape[1] * 4 // 5 :] = False  # the colour bar
    rows, columns = np.nonzero(yellow)
    assert np.ptp(columns) == pytest.approx(np.ptp(rows), rel=0.1)


def test_four_panels_stand_two_by_two():
    image = Image.open(io.BytesIO(render(figure(*[field()] * 4), format="png")))
    assert image.size[0] < 1.3 * image.size[1]


def test_numbers_at_the_bar():
    assert [named(v) for v in (0, -0.5, 12345, 3e7, 1e-5)] == ["0", "−0.5", "12340", r"$3 \times 10^{7}$", "$10^{-5}$"]
