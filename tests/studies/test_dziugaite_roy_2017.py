"""The study of Dziugaite and Roy: what a member is made of, its controls, and its verdicts at smoke scale."""

import numpy as np
import pandas as pd
import pytest
import torch

from lemmata import bounds
from lemmata.figures import static
from lemmata.plan import make
from lemmata.studies import _dziugaite_roy_2017_figures as figures
from lemmata.studies import dziugaite_roy_2017 as dziugaite
from lemmata.studies._dziugaite_roy_2017_digits import Digits, bound_on_digits, digits
from lemmata.studies._dziugaite_roy_2017_mnist import SPREAD, Mnist, _trained, initial
from lemmata.study import Curve
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

MNIST = ("mnist-bound", "mnist-random-labels")  # they need files
TINY = {
    "n": 300, "n_test": 100, "width": 10, "prior_epochs": 5, "learnt_epochs": 1, "initial_epochs": 1, "pairs": 500,
}  # fmt: skip


def tiny(**values) -> Digits:
    return Digits.build({**TINY, **values})


def test_conditions_of_a_seed_share_digits():
    (sample, test), (other, _) = digits(tiny(seed=1)), digits(tiny(seed=1, labels="random"))
    assert (len(sample), len(test)) == (300, 100)
    assert torch.equal(sample.x, other.x)
    assert (sample.y != other.y).double().mean() > 0.3
    assert not torch.equal(sample.x, digits(tiny(seed=2))[0].x)
    ten = digits(tiny(seed=1, classes=10))[0]
    assert torch.equal((ten.y >= 5).long(), sample.y)


def test_a_member_is_its_instruments():
    """Bound, hold-out and lead as a user gets them by hand; a prior that is not learnt has all samples."""
    (found,) = bound_on_digits([tiny(seed=3)])
    assert found.scalars["lead"] == found.scalars["bound"] - found.scalars["holdout"]
    assert found.scalars["excess"] == found.scalars["test_error"] - found.scalars["bound"]
    assert found.scalars["kl"] >= 0
    assert found.scalars["pairs_drawn"] <= 500
    assert len(found.curves["surrogate"].y) == 1
    few, free = (bound_on_digits([tiny(seed=3, **change)])[0] for change in ({"held": 2}, {"prior": "initial"}))
    assert few.scalars["bound"] == found.scalars["bound"]
    assert few.scalars["holdout"] > found.scalars["holdout"]
    assert free.scalars["kl"] > 0.4  # the price of the grid's first deviation, ln(pi^2 / 6), is in it


@pytest.mark.parametrize("classes", [2, 10])
def test_risk_on_random_labels_is_known(classes: int):
    """1 - 1/C for any classifier of labels drawn evenly from C, whatever 100 of them say."""
    (found,) = bound_on_digits([tiny(seed=3, labels="random", classes=classes)])
    assert found.scalars["risk"] == 1 - 1 / classes
    assert found.scalars["excess"] == found.scalars["risk"] - found.scalars["bound"]


def test_two_digits_prove_little():
    """Without a mistake among two the bound of Clopper and Pearson at 0.05 is 1 - sqrt(0.05), to rounding."""
    (found,) = bound_on_digits([tiny(seed=3, held=2)])
    assert found.scalars["holdout"] >= 1 - 0.05**0.5 - 1e-12


@pytest.mark.slow
def test_a_prior_that_has_met_the_samples_breaks_the_bound():
    """Random labels are memorised: a bound far below the risk of one half, on 300 of 600 digits."""
    config = Digits.build({**TINY, **dziugaite.MEMORISED, "width": 100, "prior_epochs": 150, "pairs": 3000})
    assert config.n == 600
    (found,) = bound_on_digits([config])
    assert found.scalars["bound"] < 0.35
    assert found.scalars["excess"] > 0.1


def test_weights_of_the_paper():
    """Normals of deviation 0.04 cut at 0.08; biases 0.1 and 0; SGD leaves the start as it was."""
    config = Mnist(width=50, sgd_epochs=1)
    start = initial(config)
    weights = torch.cat([p.detach().flatten() for name, p in start.named_parameters() if name.endswith("weight")])
    biases = [p.detach() for name, p in start.named_parameters() if name.endswith("bias")]
    assert float(weights.abs().max()) <= 2 * SPREAD
    # cut at two deviations the deviation is 0.88 of it (scipy.stats.truncnorm(-2, 2).std() = 0.8796); 39,250 draws
    assert float(weights.std()) == pytest.approx(0.8796 * SPREAD, rel=0.02)
    assert [float(bias.unique()) for bias in biases] == pytest.approx([0.1, 0.0])
    before = weights.clone()
    x, y = torch.rand(200, 784, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 2
    moved = _trained(config, start, x, y)
    now = torch.cat([p.detach().flatten() for name, p in start.named_parameters() if name.endswith("weight")])
    assert torch.equal(now, before)
    assert bounds.yardstick(moved, (x, y), None, delta=0.05).train_error is not None
    assert sum(p.numel() for p in initial(Mnist()).parameters()) == 471_601


@pytest.mark.parametrize("name", [claim.name for claim in dziugaite.study.claims if claim.name not in MNIST])
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    verdict = smoke("dziugaite-roy-2017", "digits").verdicts[name]
    assert verdict.outcome is Outcome.REPRODUCED, verdict.reason
    assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls)


def test_figures_of_mnist_are_drawn():
    """From a table as the trials make it: both labels, three seeds."""
    columns = {"gibbs_error": 0.03, "test_error": 0.035, "bound": 0.16}
    curve = Curve(np.arange(1, 4), np.array([0.5, 0.3, 0.2]))
    rows = [
        {"seed": seed, "labels": labels, "control": False, **columns, "surrogate": curve, "kl_per_sample": curve}
        for seed in range(3)
        for labels in ("true", "random")
    ]
    table = pd.DataFrame(rows)
    for draw in (figures.mnist_bounds, figures.mnist_training):
        assert static.render(draw(table), None).startswith("<svg")


def test_mnist_has_the_papers_number_and_its_files():
    claim = {claim.name: claim for claim in dziugaite.study.claims}["mnist-bound"]
    assert claim.region == pytest.approx((0.141, 0.181))
    plan = make(dziugaite.study, scale="laptop", data_dir="/nowhere")
    assert {member.config.n for member in plan.members_of("mnist")} == {55_000, 5500}
