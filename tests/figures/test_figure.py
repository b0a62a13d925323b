import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Series, mean_and_band
from lemmata.study import Curve


def test_band_is_scipys_interval_point_by_point_without_nans():
    values = np.random.default_rng(0).normal(size=(6, 3))
    values[2, 1] = np.nan
    mean, low, high = mean_and_band(values)
    for column in range(3):
        kept = values[~np.isnan(values[:, column]), column]
        ends = stats.t.interval(0.95, len(kept) - 1, loc=kept.mean(), scale=stats.sem(kept))
        assert (low[column], mean[column], high[column]) == pytest.approx((ends[0], kept.mean(), ends[1]), rel=1e-12)


def test_one_value_has_no_interval_and_none_no_mean():
    mean, low, high = mean_and_band(np.array([[1.0, np.nan], [np.nan, np.nan]]))
    np.testing.assert_array_equal(mean, [1.0, np.nan])
    assert np.isnan([*low, *high]).all()


def test_a_sweep_is_drawn_at_its_values():
    table = pd.DataFrame({"seed": [0, 1, 0, 1], "p": [1.0, 1.0, 0.5, 0.5], "error": [0.9, 0.7, 0.4, 0.2]})
    series = Series.over_seeds("a", table, x="p", y="error")
    np.testing.assert_array_equal(series.x, [0.5, 1.0])
    np.testing.assert_allclose(series.y, [0.3, 0.8])
    assert series.seeds.shape == (2, 2)


def test_categories_stand_in_the_order_asked_for_and_gaps_stay():
    table = pd.DataFrame({"seed": [0, 0], "labels": ["true", "random"], "epochs": [11.0, 57.0]})
    series = Series.over_seeds("a", table, x="labels", y="epochs", order=("random", "absent", "true"), style="bars")
    np.testing.assert_array_equal(series.x, [0, 1, 2])
    np.testing.assert_array_equal(series.y, [57.0, np.nan, 11.0])


def test_a_curve_that_stopped_early_counts_as_far_as_it_goes():
    table = pd.DataFrame({"seed": [0, 1, 2], "loss": [Curve([1, 2, 3], [3, 2, 1]), Curve([1, 2], [5, 4]), np.nan]})
    series = Series.over_seeds("a", table, y="loss")
    np.testing.assert_array_equal(series.x, [1, 2, 3])
    np.testing.assert_array_equal(series.y, [4, 3, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Series(label="s", x=[1, 2], y=[1]), r"series 's' wants x, y, low, high of one shape \(T,\)"),
        (lambda: Series(label="s", x=[1], y=[1], low=[0]), "one end of its band only; give `low` and `high`"),
        (lambda: Series(label="s", x=[1], y=[1], seeds=[1]), r"wants seeds of shape \(S, 1\), got \(1,\)"),
        (lambda: Series.over_seeds("s", pd.DataFrame({"loss": [np.nan]}), y="loss"), "no row has a curve 'loss'"),
        (
            lambda: Series.over_seeds("s", pd.DataFrame({"c": [Curve([1], [1]), Curve([2], [1])]}), y="c"),
            "the curves 'c' were recorded at different points",
        ),
    ],
)
def test_bad_series_are_refused_by_name(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_units_stand_in_brackets():
    assert (Axis(label="time", unit="s").text, Axis(label="time").text) == ("time [s]", "time")


def test_a_figure_without_panels_is_refused_by_name():
    with pytest.raises(InvalidInput, match="'curves' has no panels"):
        Figure(name="curves", title="Curves", caption="", panels=[])
