"""The study of Ainsworth et al.: what its members measure against plain computation, and its verdicts."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.landscape import permutation
from lemmata.studies import _ainsworth_2023_merging as merging
from lemmata.studies import ainsworth_2023 as ainsworth
from lemmata.studies._ainsworth_2023_merging import Many, Merging, merge, merge_many
from lemmata.studies._disjoint_parts import apart
from lemmata.studies._rebasin_networks import seed_of, trained
from lemmata.verdicts import Outcome

TINY = {"n": 100, "n_test": 50, "measured": 60, "pool": 4, "width": 12, "presented": 300, "points": 5, "depth": 2}


def tiny(**values) -> Merging:
    return Merging.build({**TINY, "steps": 3, **values})


def test_the_line_is_that_of_plain_products():
    """Losses and heights on training and test digits, written out; float32, 1e-5."""
    config = tiny(seed=4)
    own = trained(config, [4])[4]
    found = merge([config])[0]
    b = permutation.weight_matching(*own.states, own.spec, seed=seed_of(4, "matching")).state
    for curve, (x, y) in (("loss", own.train), ("loss_test", own.test)):
        losses = []
        for t in np.linspace(0, 1, 5):
            z = x.flatten(1)
            for name in ("hidden1", "hidden2", "output"):
                weight, bias = (
                    (1 - t) * own.states[0][f"{name}.{p}"] + t * b[f"{name}.{p}"] for p in ("weight", "bias")
                )
                z = (z if name == "hidden1" else z.relu()) @ weight.float().T + bias.float()
            losses.append(float(functional.cross_entropy(z, y)))
        np.testing.assert_allclose(found.curves[curve].y, losses, rtol=1e-5, atol=1e-5)
        height = losses[2] - (losses[0] + losses[4]) / 2
        assert found.scalars["height" if curve == "loss" else "height_test"] == pytest.approx(height, abs=1e-5)


def test_members_do_not_see_each_other():
    """A pair alone, and among others, to float32 rounding of batched products."""
    kinds = ("none", "weights", "straight-through", "random", "exchanged", "initial")
    configs = [tiny(seed=seed, matching=kind) for seed in (0, 3) for kind in kinds]
    together = merge(configs)
    for k in (0, 2, 4, 7, 11):
        alone = merge([configs[k]])[0].scalars
        assert alone["barrier"] == pytest.approx(together[k].scalars["barrier"], abs=1e-4)
    assert len({m.scalars["barrier"] for m in together}) > 8


def test_a_planted_order_is_recovered_and_an_exchanged_one_is_not():
    found, exchanged = merge([tiny(copied=True, width=24), tiny(copied=True, width=24, matching="exchanged")])
    assert found.scalars["recovered"] == 1.0
    assert found.scalars["barrier"] < 1e-5
    assert exchanged.scalars["recovered"] < 0.5


def test_more_digits_go_on_from_fewer():
    """Within an epoch, training on the first digits is training on fewer: the networks are those of a smaller set."""
    own = trained(tiny(presented=50), [1])[1]
    fewer = trained(tiny(presented=50, n=100), [1])[1]
    assert all(torch.equal(t, fewer.states[0][name]) for name, t in own.states[0].items())
    before = trained(tiny(presented=0), [1])[1]
    assert all(torch.equal(t, own.initial[0][name]) for name, t in before.states[0].items())


def test_seeds_test_on_digits_of_their_own():
    """Eight test sets of 600 of 5,000 digits: no digit twice, none in its own training set, other orders after them."""

    def draw(own: int, k: int) -> int:
        return seed_of(own, "split", k)

    rows = [apart(5000, 4000, 600, seed, draw) for seed in range(9)]
    assert len(set(torch.cat([test for _, test in rows[:8]]).tolist())) == 8 * 600
    assert all(
        not set(train.tolist()) & set(test.tolist()) and len(set(train.tolist())) == 4000 for train, test in rows
    )
    assert 0 < len(set(rows[8][1].tolist()) & set(rows[0][1].tolist())) < 600
    with pytest.raises(InvalidInput, match="5000"):
        apart(5000, 4500, 600, 0, draw)


def test_three_networks():
    joint, pairs, random = merge_many([Many.build({**TINY, "matching": m}) for m in ("joint", "pairs", "random")])
    assert joint.scalars["consistent"] == 1.0
    assert pairs.scalars["consistent"] < 1.0
    assert random.scalars["consistent"] < 0.5
    assert joint.scalars["mean"] == pairs.scalars["mean"] == random.scalars["mean"]
    assert joint.scalars["merged"] < random.scalars["merged"]
    assert joint.scalars["between_others"] < random.scalars["between_others"]


def test_repair_with_the_statistics_of_other_orders_is_another():
    plain, repaired, mixed = merge([tiny(), tiny(repaired=True), tiny(repaired=True, mixed=True)])
    assert len({m.scalars["height"] for m in (plain, repaired, mixed)}) == 3
    assert plain.scalars["barrier"] == repaired.scalars["barrier"]


def test_searches_are_made_once_for_a_seed():
    """Members of one seed share a search: the order exchanged is that of the search by weights."""
    known: dict = {}
    config = tiny()
    own = trained(config, [0])[0]
    first = merging._ordered(config, own, own.states[1], known)
    merging._ordered(tiny(matching="exchanged"), own, own.states[1], known)
    assert list(known.values()) == [first[1]]


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = {claim.name: Outcome.REPRODUCED for claim in ainsworth.study.claims if not claim.untestable}
CLAIMS["passes"] = Outcome.CONTRADICTED


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("ainsworth-2023").assert_outcome(name, CLAIMS[name])
