"""The study of adversarial examples: what it trains and moves, the closed form, and its verdicts at smoke scale."""

import numpy as np
import pytest
import torch

from lemmata.robustness.attacks import linear_worst_case
from lemmata.studies import _goodfellow_2015_fgsm_digits as digits
from lemmata.studies import goodfellow_2015_fgsm as study
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {"n": 60, "n_test": 40, "pool": 4, "width": 32, "training.epochs": 4}


def tiny(**values) -> digits.Moved:
    return digits.Moved.build({**TINY, **values})


def test_threes_and_sevens_are_two_classes_and_pixels_keep_their_range():
    whole = digits._whole(tiny(digits="3 and 7"))
    assert len(whole) == 1000
    assert whole.y.unique().tolist() == [0, 1]
    assert float(whole.x.min()) >= 0
    assert float(whole.x.max()) <= 1


def test_a_stranger_sees_other_digits_from_other_weights():
    config = tiny()
    whole = digits._whole(config)
    own, other = (digits._training_digits(config, whole, other=flag)[0] for flag in (False, True))
    assert not (own[:, None] == other[None]).flatten(2).all(2).any()
    mine, theirs = (digits.network(config, whole, other=flag) for flag in (False, True))
    assert not mine[1].weight.equal(theirs[1].weight)


def test_permuted_labels_are_the_same_labels_elsewhere():
    config = tiny()
    whole = digits._whole(config)
    (_, y), (_, permuted) = (
        digits._training_digits(tiny(labels=labels), whole, other=False) for labels in ("true", "permuted")
    )
    assert y.sort().values.equal(permuted.sort().values)
    assert (y != permuted).float().mean() > 0.6  # 0.9 in expectation, 60 labels: seven standard deviations


def test_members_do_not_see_each_other():
    configs = [
        tiny(), tiny(seed=1, defence="adversarial"), tiny(move="random signs"), tiny(labels="permuted"),
        tiny(defence="adversarial", move="pgd"),
    ]  # fmt: skip
    for config, found in zip(configs, digits.moved(configs), strict=True):
        (alone,) = digits.moved([config])
        assert found.scalars == pytest.approx(alone.scalars, rel=1e-3, abs=1e-3, nan_ok=True)


def test_the_error_of_logistic_regression_is_the_exact_worst_case():
    config = tiny(digits="3 and 7", network="linear", pool=2, n=100, eps=0.1)
    (found,) = digits.moved([config])
    whole = digits._whole(config)
    models, _ = digits._trained(config, [(config, False), (config, True)], whole)
    part = digits._split(config, whole)
    weight, bias = (tensor.double() for tensor in models[0].state_dict().values())
    exact = linear_worst_case(weight, bias, part.x_test.double(), part.y_test, eps=0.1, clip=None)
    assert found.scalars["moved_error"] == pytest.approx(1 - float(exact.robust_accuracy), abs=1e-12)
    assert found.scalars["gap"] < 1e-12
    assert found.scalars["share_predicted"] == pytest.approx(1, abs=1e-9)
    assert found.scalars["bend"] == pytest.approx(0, abs=1e-9)


def test_random_signs_move_every_pixel_by_eps():
    config = tiny(move="random signs", network="linear", eps=1e-9)
    (found,) = digits.moved([config])
    assert found.scalars["moved_error"] == found.scalars["test_error"]
    assert found.curves["error"].y[0] == found.scalars["test_error"]
    assert np.all(np.diff(found.curves["error"].x) > 0)


def test_a_step_by_its_own_class_does_not_know_the_label():
    """Where the network errs the two steps differ, and there only; the error is that against the label."""
    config = tiny(network="relu", move="fgsm by its own class", eps=0.02)
    whole = digits._whole(config)
    models, _ = digits._trained(config, [(config, False), (config, True)], whole)
    part, (own, other) = digits._split(config, whole), (model.double() for model in models)
    x, y = part.x_test.double(), part.y_test
    z, foreign, by_size = digits._moves(config, own, other, x, y)
    again, *_ = digits._moves(config, own, other, x, torch.zeros_like(y))
    labelled, *_ = digits._moves(config.model_copy(update={"move": "fgsm"}), own, other, x, y)
    right = own(x).argmax(1) == y
    assert 0 < int(right.sum()) < len(y)
    assert z.equal(again)
    assert z[right].equal(labelled[right])
    assert not (z[~right] == labelled[~right]).flatten(1).all(1).any()
    assert by_size == {}
    assert not foreign.equal(z)
    (found,) = digits.moved([config])
    assert found.scalars["moved_error"] == pytest.approx(float((own(z).argmax(1) != y).double().mean()))


def test_digits_that_are_wrong_already_are_not_moved_and_do_not_bend():
    """On random labels PGD finds most digits misclassified, and may have nothing to do."""
    config = tiny(labels="permuted", move="pgd", network="maxout", n=300, n_test=10, **{"training.epochs": 10})
    found = [digits.moved([config.model_copy(update={"seed": seed})])[0] for seed in range(6)]
    assert {one.status for one in found} == {"ok"}
    assert 0.0 in [one.scalars["bend"] for one in found]


def test_maxout_takes_the_larger_of_neighbours():
    assert digits.Maxout()(torch.tensor([[1.0, 2.0, 5.0, 3.0]])).tolist() == [[2.0, 5.0]]


REPRODUCED = [
    "exact-for-logistic-regression", "softmax-error", "linear-is-confident", "maxout-is-confident",
    "examples-transfer", "nearly-linear",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REPRODUCED)
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("goodfellow-2015-fgsm").assert_outcome(name)


@pytest.mark.slow
def test_no_control_passes_and_resistance_is_not_found(smoke):
    verdicts = smoke("goodfellow-2015-fgsm").verdicts
    assert not [name for name, one in verdicts.items() if one.outcome is Outcome.VOID]
    assert verdicts["adversarial-training-resists"].outcome is not Outcome.REPRODUCED


@pytest.mark.slow
def test_what_reproduces_at_laptop_scale_and_that_every_control_is_refuted(laptop):
    verdicts = laptop("goodfellow-2015-fgsm").verdicts
    assert {name for name, one in verdicts.items() if one.outcome is not Outcome.REPRODUCED} <= {
        "adversarial-training-resists", "regularises",
    }  # fmt: skip
    assert verdicts["adversarial-training-resists"].outcome is Outcome.CONTRADICTED
    for name, verdict in verdicts.items():
        assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls), name


def test_the_controls_of_random_labels_stay():
    claims = {claim.name: claim for claim in study.study.claims}
    for name in ("adversarial-training-helps", "adversarial-training-resists"):
        assert {"labels": "permuted"} in [control.settings for control in claims[name].controls]
