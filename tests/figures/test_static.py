import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band
from lemmata.figures.static import _name_powers, apart, render
from lemmata.figures.style import looks, thinned

SVG = "{http://www.w3.org/2000/svg}"
X = np.arange(1.0, 41.0)


def figure(**changes):
    rng = np.random.default_rng(0)
    values = 1 / X + 0.01 * rng.normal(size=(4, len(X)))
    mean, low, high = mean_and_band(values)
    measured = Series(label="costs $5 or $6", x=X, y=mean, low=low, high=high, seeds=values)
    others = [
        Series(label="theory", x=X, y=1 / X, role="theory"),
        Series(label="control", x=X, y=0 * X + 0.5, role="control"),
        Series(label="at points", x=X[::9], y=1 / X[::9], style="points"),
    ]
    panel = Panel(
        x=Axis(label="step", unit="epochs", log=True), y=Axis(label="risk", log=True), series=[measured, *others],
        references=[Reference(label="paper: 0.1", value=0.1), Reference(label="peak", value=9, axis="x")],
    )  # fmt: skip
    bars = Panel(
        x=Axis(label="labels", ticks=("true", "random")), y=Axis(label="epochs"), title="$ and <b>",
        series=[Series(label=n, x=[0, 1], y=[2, 9], seeds=[[1, 8], [3, 10]], style="bars") for n in ("a", "b")],
    )  # fmt: skip
    return Figure(**{"name": "f", "title": "A & B", "caption": "Both.", "panels": [panel, bars], **changes})


def paths_of(svg):
    return [path.get("d") for path in ET.fromstring(svg).iter(f"{SVG}path")]


def test_svg_is_xml_with_fonts_as_paths_and_no_dates():
    svg = render(figure())
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert not list(root.iter(f"{SVG}text"))
    assert "<dc:date>" not in svg
    assert "matplotlib.org" not in svg.lower()


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_the_same_figure_gives_the_same_bytes_whatever_the_users_settings(kind):
    first = render(figure(), format=kind)
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 30.0, "axes.facecolor": "red"}):
        assert render(figure(), format=kind) == first
    assert render(figure(title="another"), format=kind) != first


def test_files_are_what_their_endings_say(tmp_path):
    assert ET.parse(render(figure(), tmp_path / "f.svg")).getroot().tag == f"{SVG}svg"
    with Image.open(render(figure(), tmp_path / "f.png")) as image:
        assert image.format == "PNG"
    (page,) = PdfReader(io.BytesIO(render(figure(), tmp_path / "f.pdf").read_bytes())).pages
    assert "costs $5 or $6" in page.extract_text()


def test_another_ending_is_named_with_the_remedy(tmp_path):
    with pytest.raises(InvalidInput, match=r"written as svg, png, pdf, not 'jpeg'; change the ending"):
        render(figure(), tmp_path / "f.jpeg")


def test_matplotlibs_settings_are_as_they_were():
    before = dict(mpl.rcParams)
    render(figure())
    assert dict(mpl.rcParams) == before


def test_every_seed_is_drawn():
    few = Series(label="a", x=X, y=X, seeds=np.stack([X, 2 * X, 3 * X]))
    none = Series(label="a", x=X, y=X)
    axes = {"x": Axis(label="x"), "y": Axis(label="y", limits=(0, 130))}
    drawn = [render(figure(panels=[Panel(series=[series], **axes)])) for series in (few, none)]
    assert len(paths_of(drawn[0])) - len(paths_of(drawn[1])) == 3


def test_values_that_a_log_axis_cannot_show_are_left_out():
    y = np.where(X > 20, -1.0, X)
    panel = Panel(
        x=Axis(label="x", log=True), y=Axis(label="y", log=True),
        series=[Series(label="a", x=X - 1, y=y, low=y - 5, high=y + 5), Series(label="b", x=X, y=X, style="bars")],
    )  # fmt: skip
    image = Image.open(io.BytesIO(render(figure(panels=[panel]), format="png")))
    assert min(image.size) > 500


def test_labels_stand_apart_in_order_and_inside():
    rng = np.random.default_rng(3)
    for _ in range(50):
        wanted = sorted(rng.random(5))
        places = apart(wanted, [0.15] * 5)
        assert np.diff(places).min() >= 0.15 - 1e-12
        assert places[-1] <= 1 + 1e-12
    assert apart([0.2, 0.8], [0.1, 0.1]) == [0.2, 0.8]


def test_looks_tell_series_apart_without_colour():
    many = [Series(label=str(i), x=[1], y=[1]) for i in range(12)]
    found = looks(figure(panels=[Panel(x=Axis(label="x"), y=Axis(label="y"), series=many)]))
    assert len({(look.marker, look.dash) for look in found.values()}) == 12
    assert len({look.colour for look in found.values()}) == 6


def test_a_label_looks_the_same_in_every_panel():
    def panel(*names):
        series = [Series(label=name, x=[1], y=[1]) for name in names]
        return Panel(x=Axis(label="x"), y=Axis(label="y"), series=series)

    found = looks(figure(panels=[panel("a", "b"), panel("b", "c")]))
    assert [look.marker for look in found.values()] == ["o", "s", "^"]


def test_thinning_keeps_ends_and_short_lines():
    x = np.arange(0.0, 3000.0)
    for log in (True, False):
        kept = thinned(x, log=log, most=100)
        assert (kept[0], kept[-1]) == (0, 2999)
        assert len(kept) <= 100
    assert len(thinned(x[:50], log=True, most=100)) == 50


@pytest.mark.parametrize(("low", "high"), [(1.02, 1.08), (3.1e-4, 4.4e-4), (1.0, 1.9)])
def test_a_short_stretch_of_a_log_axis_has_numbers(low, high, tmp_path):
    series = [Series(label="curve", x=np.arange(5), y=np.geomspace(low, high, 5))]
    panel = Panel(x=Axis(label="x", ticks=("a", "b", "c", "d", "e")), y=Axis(label="y", log=True), series=series)
    drawn = render(Figure(name="f", title="t", caption="c", panels=[panel]), tmp_path / "f.pdf")
    (page,) = PdfReader(io.BytesIO(drawn.read_bytes())).pages
    found = [float(word.strip("y")) for word in page.extract_text().split() if word[:1].isdigit()]
    assert sum(0.9 * low <= value <= 1.1 * high for value in found) >= 2


@pytest.mark.parametrize(("high", "power"), [(1e4, "1000"), (1e5, "$10^{3}$")])
def test_a_logarithmic_axis_has_one_notation(high, power):
    """1,000 is written plainly where all powers in sight are short, and as a power beside 100,000."""
    axes = mpl.figure.Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(50, 1.5 * high)
    _name_powers(axes.xaxis, Axis(label="n", log=True))
    assert axes.xaxis.get_major_formatter()(1e3) == power


def test_equal_units_have_equal_length_also_without_a_field():
    circle = Series(label="circle", x=np.cos(X), y=np.sin(X), style="points")
    axes = {"x": Axis(label="x", limits=(-1, 1)), "y": Axis(label="y", limits=(-2, 2))}
    drawn = render(Figure(name="f", title="", caption="", panels=[Panel(**axes, series=[circle], equal=True)]))
    root = ET.fromstring(drawn)
    patch = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "patch_2")
    corners = np.array([float(v) for v in re.findall(r"[-.0-9]+", patch[0].attrib["d"])])
    width, height = np.ptp(corners[0::2]), np.ptp(corners[1::2])
    np.testing.assert_allclose(height / width, 2, rtol=0.01)  # paths keep a hundredth of a point
