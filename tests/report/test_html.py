import base64
import gzip
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import plotly.graph_objects as go
import pytest

from lemmata.figures import Axis, Figure, Panel, Series, static
from lemmata.report import html
from lemmata.report.interactive import described, payload

VOID_TAGS = {"meta", "link", "img", "br", "input", "hr"}


class Reader(HTMLParser):
    """Elements with their attributes, texts by element, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def visible(self):
        return " ".join(" ".join(data for where, data in self.texts if where not in ("script", "style")).split())


@pytest.fixture(scope="module")
def text(page):
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


def test_every_tag_is_closed_and_identifiers_are_unique(read):
    assert read.open == []
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_outside_the_file_is_referred_to(read):
    for _, attributes in read.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes
    (css,) = (data for where, data in read.texts if where == "style")
    assert not re.search(r"url\(|@import", css)
    policy = next(a["content"] for a in read.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_every_claim_appears_with_its_numbers_reason_and_controls(read, run):
    for verdict in run.verdicts:
        assert " ".join(verdict.claim.statement.replace("$", "").split()) in read.visible
        assert verdict.reason in read.visible
        assert verdict.claim.quoted in read.visible
        for control in verdict.controls:
            assert control.control.statement in read.visible
            assert control.reason in read.visible
    assert {v.outcome.value for v in run.verdicts} >= {"reproduced", "direction only", "inconclusive", "void"}
    assert {v.outcome.value for v in run.verdicts} >= {"not testable here"}


def test_every_seed_is_drawn_in_the_strips(text, run):
    table = text[text.index('<table class="claims">') :]
    wanted = sum(judged.component.n for verdict in run.verdicts for judged in verdict.components)
    assert table.count('<circle class="seed"') == wanted


def test_markup_in_names_is_text(read, text):
    assert "<script>alert('claim')</script> & co" in read.visible
    assert "</script><img src=x onerror=alert(1)>" in read.visible
    assert "<b>0.1340</b>" in read.visible
    assert "lemmata run 'a & b' <x>" in read.visible
    assert "could not be drawn: ValueError: no <such> column" in read.visible
    assert all(attributes["src"].startswith("data:image/svg+xml;base64,") for attributes in read.of("img"))
    assert "onerror" not in {name for _, attributes in read.elements for name in attributes}
    assert text.count("alert('claim')</script>") == 0


def test_markup_in_a_figure_ends_no_script_element():
    nasty = "</script><script>alert(1)</script><!--"
    series = Series(label=nasty, x=[1, 2], y=[1, 2])
    panel = Panel(x=Axis(label=nasty, ticks=(nasty, "b")), y=Axis(label="y"), series=[series], title=nasty)
    text = payload(Figure(name="f", title=nasty, caption=nasty, panels=[panel]))
    assert "<" not in text
    drawn = json.loads(text)
    assert drawn["data"][0]["name"] == "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--"


def test_formulas_are_mathml_and_dollars_are_dollars(read):
    assert len(read.of("math")) >= 3
    assert "costs $5 or $6" in read.visible


def test_plotly_lies_in_the_page_once(read):
    bundles = [data for where, data in read.texts if where == "script" and len(data) > 500_000]
    assert len(bundles) == 1
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    assert gzip.decompress(base64.b64decode(bundles[0])) == script


def test_size_and_bytes(text, content):
    assert len(text.encode()) < 6_000_000
    assert html.render(content) == html.render(content)


def test_methods_name_what_was_run(read, run):
    for shown in (
        "slow_step",
        "0.1, 4.3",
        "two one-sided t tests",
        "Holm",
        "hardware",
        "versions",
        "time of the trials",
    ):
        assert shown in read.visible
    assert run.plan.datasets["digits"] in read.visible
    assert "@inproceedings{heckel2021," in read.visible
    assert "mean over seeds of best" in read.visible


def test_what_is_missing_is_said(run, tmp_path):
    study, plan = run.study, run.plan
    tables = {name: table.head(7) for name, table in run.tables.items()}
    tables["nets"] = tables["nets"].assign(status="diverged")
    page = html.write(study, plan, tables, run.verdicts, tmp_path / "r.html").read_text(encoding="utf-8")
    wanted = len(plan.wanted)
    assert f"14 of {wanted} wanted records there; 7 diverged; {wanted - 14} not run or failed." in page


def test_an_experiment_without_records_says_so(run, tmp_path):
    from lemmata.report import pdf

    tables = {**run.tables, "nets": run.tables["nets"].head(0)}
    page = html.write(run.study, run.plan, tables, run.verdicts, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Seeds: none. Records: none at this scale." in page
    assert pdf.write(run.study, run.plan, tables, run.verdicts, tmp_path / "r.pdf").read_bytes()[:5] == b"%PDF-"


def test_without_figures_there_is_no_bundle(run, tmp_path):
    from lemmata.study import Study
    from lemmata.study.config import Config

    study = Study("plain", question="Nothing?", config=Config)
    page = html.write(study, run.plan, {}, [], tmp_path / "r.html").read_text(encoding="utf-8")
    assert len(page) < 40_000
    assert "Nothing?" in page


def test_badges_have_a_word_and_a_symbol(read):
    badges = [a for a in read.of("span") if a.get("class", "").startswith("badge")]
    assert len(badges) > 15
    for symbol, word in (("✔", "reproduced"), ("↗", "direction only"), ("∅", "void"), ("✘", "passed")):
        assert f"{symbol} {word}" in read.visible or f"{symbol} 1 {word}" in read.visible


def test_images_are_described(read):
    starts = ["Risk of the iterates", "Epochs to fit. Rando", "Landscape. A bowl wi", "A walk. A point walk"]
    assert [a["alt"][:20] for a in read.of("img")] == starts
    strips = [a for a in read.of("svg") if a.get("role") == "img"]
    assert all("region" in a["aria-label"] for a in strips)


def test_plotly_accepts_what_is_described(content):
    for figure in content.figures:
        drawn = described(figure)
        checked = go.Figure({"data": drawn["data"], "layout": drawn["layout"]})  # plotly refuses unknown properties
        assert len(checked.data) == len(drawn["data"])
        theory = [trace for trace in checked.data if trace.name == "Theorem 1"]
        for trace, panel in zip(theory, figure.panels, strict=False):
            own = next(series for series in panel.series if series.role == "theory")
            np.testing.assert_allclose(np.asarray(trace.y, float), own.y, rtol=1e-5)  # six digits are written


def test_a_panel_without_records_keeps_its_axes():
    empty = Panel(x=Axis(label="x"), y=Axis(label="y"), series=[])
    assert described(Figure(name="f", title="", caption="", panels=[empty]))["data"][0]["xaxis"] == "x"
    static.render(Figure(name="f", title="", caption="", panels=[empty]))


def test_what_is_hovered_over_is_named_by_its_category():
    axis = Axis(label="labels", ticks=("true <b>", "random"))
    series = [Series(label="a", x=[0, 1], y=[1, 2], low=[0, 1], high=[2, 3], seeds=[[1, 2]], style="bars")]
    panel = Panel(x=axis, y=Axis(label="y"), series=[*series, Series(label="t", x=[0.5, 1], y=[1, 2])])
    bars, _, line = described(Figure(name="f", title="", caption="", panels=[panel]))["data"]
    assert bars["hovertext"] == ["true &lt;b&gt;", "random"]
    assert bars["customdata"] == [[0, 2], [1, 3]]
    assert line["hovertext"] == ["0.5", "random"]
