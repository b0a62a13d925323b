"""Measurements are sorted by what they are; curves are increasing; nothing else passes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.study import Curve, Measurements


def test_quantities_are_sorted_by_what_they_are():
    made = Measurements.of(
        a=1, b=np.float32(0.5), c=torch.tensor(2.0, requires_grad=True), d=True,
        e=SimpleNamespace(value=torch.tensor(3.0), stderr=0.25), f=Curve([1, 2], [3, 4]), g=torch.ones(2), h=[1, 2],
    )  # fmt: skip
    assert made.scalars == {"a": 1.0, "b": 0.5, "c": 2.0, "d": 1.0, "e": 3.0}
    assert made.errors == {"e": 0.25}
    assert list(made.curves) == ["f"]
    assert made.arrays["g"].dtype == np.float32
    assert made.arrays["h"].tolist() == [1, 2]
    assert made.status == "ok"


@pytest.mark.parametrize("quantity", ["high", None, {"a": 1}, [1, "a"], 1j])
def test_what_is_no_number_is_refused(quantity):
    with pytest.raises(InvalidInput, match="a measurement is a number, a Curve or an array"):
        Measurements.of(x=quantity)


def test_curves_are_float64_of_one_shape():
    made = Curve(torch.tensor([1, 2]), [3, 4])
    assert (made.x.dtype, made.y.dtype) == (np.float64, np.float64)
    assert len(Curve([], []).x) == 0
    for x, y in (([1, 2], [1]), ([[1]], [[1]]), (1, 2)):
        with pytest.raises(InvalidInput, match=r"a curve wants x and y of one shape \(T,\), got"):
            Curve(x, y)


@pytest.mark.parametrize("x", [[1, 1], [2, 1], [0, 2, 1], [1, float("nan")]])
def test_points_increase(x):
    with pytest.raises(InvalidInput, match="strictly increasing and no NaN; sort the points"):
        Curve(x, [0] * len(x))
