"""The study of staircases: targets and readings against direct sums, and its verdicts at smoke scale."""

import numpy as np
import pytest
import torch

from lemmata.data.synthetic import characters
from lemmata.errors import InvalidInput
from lemmata.studies import _abbe_staircase_training as training
from lemmata.studies._abbe_staircase_training import Staircase
from lemmata.studies._online_perceptrons import Signs
from lemmata.verdicts import Outcome


def test_sets_are_those_that_the_names_say():
    assert training.sets(Staircase(degree=3)) == [[0], [0, 1], [0, 1, 2]]
    assert training.sets(Staircase(degree=4, first=3)) == [[0, 1, 2], [0, 1, 2, 3]]
    assert training.sets(Staircase(target="monomial", degree=3)) == [[0, 1, 2]]
    apart = training.sets(Staircase(target="apart", degree=4))
    assert len({i for each in apart for i in each}) == 12


@pytest.mark.parametrize(("target", "largest"), [("merged", 1), ("leap", 6)])
def test_a_merged_staircase_adds_one_coordinate_at_most(target, largest):
    """The merged-staircase property, set by set, and by how much the leap breaks it."""
    seen: set[int] = set()
    added = []
    for each in training.sets(Staircase(target=target)):
        added.append(len(set(each) - seen))
        seen |= set(each)
    assert max(added) == largest


@pytest.mark.parametrize("fields", [{"degree": 31}, {"first": 11}, {"target": "apart", "degree": 11}])
def test_targets_that_do_not_fit_are_refused(fields):
    with pytest.raises(InvalidInput, match="does not fit 30 coordinates"):
        training.sets(Staircase(**fields))


@pytest.mark.parametrize("d", [5, 30])
def test_the_targets_monomials_are_orthonormal_on_the_probe(d):
    """So that a coefficient of the target is read without error: exactly 0 and 1."""
    points = training.probe_points(d)
    known = characters(points, [list(range(size)) for size in range(1, min(d, 10) + 1)])
    assert torch.equal(known.T @ known / len(points), torch.eye(known.shape[1]))
    assert points.shape == (4096, d)


def test_samples_of_a_seed_do_not_depend_on_the_others():
    together, alone = Signs([3, 7], 6, batch=4, ahead=2), Signs([7], 6, batch=4, ahead=2)
    for _ in range(5):
        assert torch.equal(together()[1], alone()[0])


def test_members_do_not_see_each_other():
    """Trained with others or alone: to rounding of products of other shapes (1e-3 after 60 steps)."""
    short = {"d": 8, "degree": 4, "steps": 60, "check": 30, "width": 20}
    configs = [Staircase(seed=s, target=t, **short) for s in (0, 4) for t in ("staircase", "monomial")]
    together = training.learn(configs)
    for config, member in zip(configs, together, strict=True):
        (alone,) = training.learn([config])
        assert alone.scalars["final_left"] == pytest.approx(member.scalars["final_left"], rel=1e-3)


def test_what_is_read_is_the_error_and_the_coefficients():
    """Variance left = 1 - 2 sum of c_S f_S + |f|^2 on the probe; the readings fit it where f is learned whole."""
    (found,) = training.learn([Staircase(d=8, degree=3, steps=1200, check=100, width=60)])
    shares = found.arrays["coefficients"]
    assert shares[-1] == pytest.approx([1, 1, 1], abs=0.1)
    assert found.scalars["final_left"] < 0.02
    assert found.scalars["least_coefficient"] == shares[-1].min()
    crossing = np.flatnonzero(found.curves["left"].y <= training.LEARNED)[0]
    steps = found.curves["left"].x
    assert steps[max(crossing - 1, 0)] * 128 <= found.scalars["samples"] <= steps[crossing] * 128


def test_orders():
    assert training._order(np.array([1.0, 2.0, 3.0])) == pytest.approx(1)
    assert training._order(np.array([3.0, 2.0, 1.0])) == pytest.approx(-1)
    assert training._order(np.full(3, np.inf)) == 0
    times = training._times(np.array([10, 20]), np.array([[0.6, 0.1], [0.7, 0.2]]))
    assert times.tolist() == [10, np.inf]


@pytest.mark.slow
def test_the_separation_is_seen_at_smoke_scale(smoke):
    for name in ("staircase-learned", "monomial-not-learned", "top-coefficient"):
        smoke("abbe-staircase").assert_outcome(name)
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("abbe-staircase").verdicts.values()}
