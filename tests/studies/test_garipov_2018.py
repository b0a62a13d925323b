"""The study of Garipov et al.: that its paths are what they say, that members do not see each other, its verdicts."""

import numpy as np
import pytest
import torch

from lemmata.landscape import paths
from lemmata.studies._garipov_2018_curves import Joined, astray, joined
from lemmata.studies._mode_paths import Pairs, rise
from lemmata.verdicts import Outcome

TINY = {
    "n": 60, "n_test": 40, "pool": 4, "ends.width": 8, "ends.batch": 20, "ends.epochs": 3, "curve.epochs": 3,
    "curve.batch": 20, "points": 5,
}  # fmt: skip


def tiny(**values):
    return Joined.build({**TINY, **values})


def test_all_paths_of_a_seed_have_the_same_ends():
    found = joined([tiny(path=path) for path in ("line", "bezier", "polygon")] + [tiny(bend="random")])
    for one in found[1:]:
        np.testing.assert_allclose(one.curves["loss"].y[[0, -1]], found[0].curves["loss"].y[[0, -1]], rtol=1e-6)
    assert len({round(one.curves["loss"].y[2], 6) for one in found}) == 4
    arrays = found[1].arrays
    for name in ("curve", "minima"):
        assert arrays[f"{name} loss"].shape == arrays[f"{name} error"].shape
        x, y = arrays[f"{name} axes"]
        at = [(int(abs(x - a).argmin()), int(abs(y - b).argmin())) for a, b in arrays[f"{name} corners"][:2]]
        ends = [arrays[f"{name} loss"][j, i] for i, j in at]
        np.testing.assert_allclose(ends, found[0].curves["loss"].y[[0, -1]], rtol=1e-4)


def test_a_line_that_reaches_further_is_the_same_line():
    whole, beyond = joined([tiny(path="line"), tiny(path="line", reach=2.0, points=5)])
    np.testing.assert_allclose(beyond.curves["loss"].y[[0, 1, 2]], whole.curves["loss"].y[[0, 2, 4]], rtol=1e-4)


def test_members_do_not_see_each_other():
    configs = [tiny(), tiny(seed=1, path="line"), tiny(seed=2, bend="random"), tiny(path="polygon")]
    for config, found in zip(configs, joined(configs), strict=True):
        (alone,) = joined([config])
        assert found.scalars == pytest.approx(alone.scalars, abs=1e-5)


def test_the_two_networks_of_a_seed_share_digits_and_nothing_else():
    pairs = Pairs([tiny(), tiny(seed=1)])
    a, b = pairs.ends(0)
    assert not any(a[name].equal(b[name]) for name in a)
    assert not pairs.train[0][0].equal(pairs.train[1][0])


def test_the_random_bend_is_as_far_off_the_line_as_the_trained_one():
    pairs = Pairs([tiny()])
    a, b = pairs.ends(0)
    curve = paths.curve(pairs.models[0], a, b, data=pairs.train[0], epochs=2)
    other = astray(curve, torch.Generator().manual_seed(0))
    for name, control in curve.control.items():
        middle = (control[0] + control[2]) / 2
        torch.testing.assert_close((other.control[name][1] - middle).norm(), (control[1] - middle).norm())
        assert other.control[name][[0, 2]].equal(control[[0, 2]])


def test_a_rise_is_counted_from_the_worse_end():
    assert rise(np.array([0.1, 0.5, 0.2])) == pytest.approx(0.3)
    assert rise(np.array([0.1, 0.0, 0.2])) == 0.0


def test_no_claim_is_contradicted_at_smoke_scale(smoke):
    for verdict in smoke("garipov-2018").verdicts.values():
        assert verdict.outcome is not Outcome.CONTRADICTED, f"{verdict.claim.name}: {verdict.reason}"


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("garipov-2018").assert_outcomes()
