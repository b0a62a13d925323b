"""What a trial function gives back is held against the contract, and the function is named."""

import math

import numpy as np
import pytest

from lemmata.engines.attempt import BadOutcome, checked
from lemmata.plan.trial import Member
from lemmata.study import Config, Curve, Experiment, Measurements


class Net(Config):
    width: int = 3


EXPERIMENT = Experiment("main", namespace="s/main", config=Net)


@EXPERIMENT.trial
def measure(configs):
    return []


MEMBERS = [Member("main", Net(seed=seed), f"k{seed}") for seed in range(2)]


def one(**options):
    return [Measurements(**options), Measurements(**options)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "gave a NoneType; return a list with one Measurements a configuration"),
        ("ab", "gave a str; return a list"),
        (one()[:1], "gave 1 outcomes for 2 configurations; return one for each"),
        ([1.0, 2.0], r"gave a float in its list; write lemmata.Measurements.of\(\.\.\.\)"),
        (one(status="fine"), "gave status 'fine'; a member is 'ok' or 'diverged'"),
        (one(scalars={"width": 1.0}), "measures 'width', which is a field of the configuration; choose another name"),
        (one(arrays={"status": np.ones(2)}), "measures 'status', which is a field"),
        (one(scalars={"a": 1.0}, arrays={"a": np.ones(2)}), "measures 'a' twice, as different things"),
        (one(errors={"a": 1.0}), "gives a standard error of 'a', which it does not measure"),
        (one(curves={"a": [1, 2]}), "gives 'a' as a curve, but it is a list; use Curve"),
        (one(scalars={"a": "high"}), "gives 'a' = 'high', which is no number"),
        (one(arrays={"a": np.array(["x"])}), "gives 'a' as an array of <U1; give numbers of at most 8 bytes"),
        (
            one(arrays={"a": np.ones(2, dtype=np.longdouble)}),
            r"gives .a. as an array of .*; give numbers of at most 8 bytes",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_the_function(given, message):
    with pytest.raises(BadOutcome, match=f"trial function 'measure' {message}"):
        checked(given, EXPERIMENT, MEMBERS)


def test_a_number_that_is_none_marks_its_member_as_diverged():
    given = [Measurements.of(a=math.nan), Measurements.of(a=math.inf, b=Curve([1], [math.nan]))]
    assert [m.status for m in checked(given, EXPERIMENT, MEMBERS)] == ["diverged", "ok"]
    assert checked(one(status="diverged"), EXPERIMENT, MEMBERS)[0].status == "diverged"


def test_numbers_and_arrays_are_made_plain():
    import torch

    given = one(scalars={"a": torch.tensor(2.0), "b": np.int64(3)}, arrays={"w": torch.ones(2), "v": np.ones(2, ">f8")})
    measured = checked(given, EXPERIMENT, MEMBERS)[0]
    assert measured.scalars == {"a": 2.0, "b": 3.0}
    assert type(measured.scalars["b"]) is float
    assert measured.arrays["w"].dtype == np.float32
    assert measured.arrays["v"].dtype.isnative
    np.testing.assert_array_equal(measured.arrays["v"], [1, 1])
