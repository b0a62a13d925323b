"""The figure of a worst case: what is drawn where."""

import numpy as np
import pytest

from lemmata.descent import worst_case


def test_run_function_and_proof_are_drawn():
    found = worst_case([1.5, 1.5])
    figure = found.plot()
    run, line, proof = figure.panels
    assert run.series[0].y[-1] == pytest.approx(found.value)
    assert run.references[0].value == pytest.approx(found.value)
    assert line.series[1].x.tolist() == pytest.approx(found.function().run(found.H).points[:, 0].tolist())
    assert np.nanmax(proof.fields[0].z) == pytest.approx(found.multipliers.max())


def test_figures_are_rendered(tmp_path):
    assert worst_case([1.5, 1.5], mu=0.1, of="gradient").plot().save(tmp_path / "worst.png").stat().st_size > 10_000


@pytest.mark.parametrize("steps", [[2.0], [1.5, 1.5]])
def test_where_bound_and_run_meet_the_axis_shows_it(steps):
    """With the step 2 the worst run stays where it is, on the bound."""
    found = worst_case(steps)
    panel = found.plot().panels[0]
    low, high = panel.y.limits
    assert low < 0.6 * found.value < 1.9 * found.value < high
    assert low < panel.series[0].y.min() <= panel.series[0].y.max() < high
