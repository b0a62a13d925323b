"""Kept drawings: found by content, drawn anew when damaged or when the folder cannot be written."""

import numpy as np
import pytest

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.report.drawings import Drawings


def figure(last: float = 3.0) -> Figure:
    series = Series(label="risk", x=np.arange(3.0), y=np.array([1.0, 2.0, last]))
    panel = Panel(x=Axis(label="x"), y=Axis(label="y"), series=[series])
    return Figure(name="f", title="F", caption="A figure.", panels=[panel])


def never() -> str:
    raise AssertionError("drawn again")


def test_the_same_figure_is_drawn_once(tmp_path):
    assert Drawings(tmp_path).of(figure(), lambda: "first") == "first"
    assert Drawings(tmp_path).of(figure(), never) == "first"


def test_another_number_in_it_is_another_figure(tmp_path):
    Drawings(tmp_path).of(figure(), lambda: "first")
    assert Drawings(tmp_path).of(figure(last=3.0000001), lambda: "second") == "second"


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"", lambda b: b[:12] + b"\xff" + b[13:]])
def test_a_damaged_drawing_is_drawn_again(tmp_path, damage):
    Drawings(tmp_path).of(figure(), lambda: "first " * 20)
    (file,) = tmp_path.glob("*.gz")
    file.write_bytes(damage(file.read_bytes()))
    assert Drawings(tmp_path).of(figure(), lambda: "again") == "again"
    assert Drawings(tmp_path).of(figure(), never) == "again"


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert Drawings(tmp_path / "file" / "drawings").of(figure(), lambda: "first") == "first"


def test_a_report_written_twice_has_the_same_bytes_and_keeps_its_drawings(tmp_path):
    import lemmata as lm

    class Flat(lm.Config):
        level: float = 1.0

    study = lm.Study("flat", question="Is it flat?", config=Flat, sweep={"level": [1.0, 2.0]}, seeds={"laptop": 3})
    study.trial(lambda configs: [lm.Measurements.of(height=c.level + c.seed) for c in configs])

    @study.figure
    def heights(table):
        series = Series.over_seeds("height", table, x="level", y="height")
        panel = Panel(x=Axis(label="level"), y=Axis(label="height"), series=[series])
        return Figure(name="heights", title="Heights", caption="Heights.", panels=[panel])

    done = lm.run(study, store=tmp_path / "store")
    first = done.report(tmp_path / "a.html", command="again").read_bytes()
    kept = list((tmp_path / "store" / "drawings").glob("*.gz"))
    assert len(kept) == 2  # the figure and plotly's bundle
    assert done.report(tmp_path / "b.html", command="again").read_bytes() == first
    assert lm.recall(study, store=tmp_path / "store").report(tmp_path / "c.html", command="again").read_bytes() == first
