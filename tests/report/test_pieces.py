"""Numbers, strips, equations, badges and the picture."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lemmata.errors import InvalidInput
from lemmata.report import picture
from lemmata.report.badges import BADGES, CONTROL_BADGES
from lemmata.report.equations import Equations
from lemmata.report.numbers import number, range_of, region, with_interval
from lemmata.report.strip import Scale, strip
from lemmata.study.kinds import Component
from lemmata.verdicts import Outcome
from lemmata.verdicts.evidence import weigh
from lemmata.verdicts.verdict import ControlOutcome

finite = st.floats(-1e9, 1e9)


@given(st.floats(1e-12, 1e12))
@settings(max_examples=50, deadline=None)
def test_numbers_keep_four_digits(value):
    text = number(value).translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    read = float(text.replace(" × 10", "e"))
    assert read == pytest.approx(value, rel=5.1e-4)  # half a unit of the fourth digit


def test_numbers_have_a_minus_sign_and_words():
    assert (number(-3.0), number(math.nan), number(-math.inf)) == ("−3", "none", "−∞")
    assert with_interval(-5.0, -7.25, -2.75) == "−5.0 [−7.2, −2.8]"
    assert with_interval(1.0, 1.0, 1.0) == "1"
    assert with_interval(2.0, math.nan, math.nan) == "2"
    assert with_interval(-1e-4, -0.12, 0.13) == "0.00 [−0.12, 0.13]"
    assert region(-1.5, -1.25) == range_of(-1.5, -1.25) == "−1.50 to −1.25"


def test_scales_keep_order_and_hold_everything():
    @given(st.lists(finite, min_size=1, max_size=8))
    @settings(max_examples=50, deadline=None)
    def check(values):
        scale = Scale.holding(values)
        places = [scale.place(value) for value in sorted(values)]
        assert places == sorted(places)
        assert min(places) >= 12
        assert max(places) <= 248
        assert len(scale.ticks()) <= 12

    check()


def test_far_values_get_a_logarithmic_scale():
    scale = Scale.holding([1e-12, 1e-3])
    assert scale.log
    assert scale.place(1e-12) < scale.place(1e-9) < scale.place(1e-3)
    assert not Scale.holding([0.0, 1e-3]).log


def test_a_strip_has_every_seed_the_region_and_the_papers_number():
    part = weigh(Component("risk", np.array([1.0, 2.0, 3.0, math.inf]), 0.0, 5.0, seeds=(0, 1, 2, 3)))
    root = ET.fromstring(strip(part, paper=2.5))
    kinds = [element.get("class") for element in root]
    assert kinds.count("seed") == 4
    assert "region" in kinds
    assert "paper" in kinds
    assert "paper 2.5" in root.get("aria-label")
    assert "paper" not in [element.get("class") for element in ET.fromstring(strip(part))]


def test_every_outcome_has_a_badge_of_its_own():
    assert set(BADGES) == {outcome.value for outcome in Outcome}
    assert set(CONTROL_BADGES) == {outcome.value for outcome in ControlOutcome}
    assert len({(b.symbol, b.word) for b in BADGES.values()}) == len(Outcome)


@pytest.mark.parametrize("ink", sorted({b.ink for b in [*BADGES.values(), *CONTROL_BADGES.values()]}))
def test_badges_are_legible_on_white(ink):
    channels = [int(ink[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 4.5  # WCAG 2.1, AA


def test_formulas_typst_cannot_read_stay_as_they_are():
    equations = Equations(["good $x^2$, bad $unknownname + (1$, code $#sys.version$, money $3 to $4, $5"])
    (first, second, third) = equations.pieces("good $x^2$, bad $unknownname + (1$, code $#sys.version$")
    assert (first.text, second.text, second.math) == ("good ", "x^2", True)
    assert third.text == ", bad $unknownname + (1$, code $#sys.version$"
    assert "<msup>" in equations.mathml["x^2"]


def test_a_formula_cannot_bring_markup():
    equations = Equations(['$"<script>alert(1)</script>"$'])
    (mathml,) = equations.mathml.values()
    assert "<script" not in mathml


def test_picture_is_900_wide_and_the_same_each_time(run, tmp_path):
    drawn = picture.write(run.verdicts, tmp_path / "v.svg", title="A <b> & $5 or $6")
    assert ET.parse(drawn).getroot().get("viewBox").startswith("0 0 648 ")  # points: 900 / 100 inches
    assert picture.write(run.verdicts, tmp_path / "w.svg", title="A <b> & $5 or $6").read_bytes() == drawn.read_bytes()
    with Image.open(picture.write(run.verdicts, tmp_path / "v.png")) as image:
        assert image.size[0] == 1800
    with pytest.raises(InvalidInput, match=r"ends in .svg, .png or .pdf, not '.bmp'"):
        picture.write(run.verdicts, tmp_path / "v.bmp")
