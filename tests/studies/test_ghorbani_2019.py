"""The study of Ghorbani et al.: what is normalised by what, what is measured, and its verdicts at smoke scale."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import laboratory
from lemmata.objective import Objective
from lemmata.studies import ghorbani_2019 as ghorbani
from lemmata.studies._ghorbani_2019_networks import Bias, Fixed, Spectrum, checkpoints, examples, network, train
from lemmata.studies._ghorbani_2019_spectra import Accuracy, compare, follow, objective_of, top
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {"n": 60, "network.width": 12, "network.depth": 2, "training.epochs": 3, "training.batch": 30}


def tiny(**values) -> Spectrum:
    return Spectrum.build({**TINY, **values})


def test_settings_differ_in_the_normalisation_alone():
    x, _ = examples(tiny())
    plain, batch, fixed = (
        network(tiny(**fields), x)
        for fields in ({}, {"normalisation": "batch"}, {"normalisation": "batch", "statistics": "fixed"})
    )
    assert [type(m) for m in plain] == [nn.Linear, Bias, nn.ReLU] * 2 + [nn.Linear]
    assert [type(m) for m in batch] == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2 + [nn.Linear]
    assert [type(m) for m in fixed] == [nn.Linear, Fixed, nn.ReLU] * 2 + [nn.Linear]
    for i in (0, 3, 6):
        assert torch.equal(plain[i].weight, batch[i].weight)
        assert torch.equal(plain[i].weight, fixed[i].weight)


@pytest.mark.parametrize("kind", [{}, {"network.kind": "resnet", "network.depth": 8, "data": "digits"}])
def test_fixed_statistics_start_as_the_function_that_batch_normalisation_is(kind):
    values = {"normalisation": "batch", **kind}
    config = tiny(**values)
    x, _ = examples(config)
    x = x.expand(-1, 3, -1, -1) if kind else x
    batch, fixed = network(config, x), network(tiny(statistics="fixed", **values), x)
    # the running variance is the unbiased one, a factor n / (n - 1) a layer: 1 % on 60 samples, less on pixels
    with torch.no_grad():
        torch.testing.assert_close(fixed(x), batch.train()(x), rtol=0.1, atol=0.05)


def test_without_normalisation_a_residual_network_has_biases_in_its_place():
    model = network(tiny(**{"network.kind": "resnet", "network.depth": 8}), torch.zeros(2, 3, 8, 8))
    assert not [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(isinstance(m, Bias) for m in model.modules()) == 9
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_checkpoints_double_from_the_start():
    assert checkpoints(16) == [0, 1, 2, 4, 8, 16]
    assert checkpoints(6) == [0, 1, 2, 4, 6]


def test_a_checkpoint_is_the_network_as_it_was():
    config = tiny(normalisation="batch")
    (snapshots,), result = train([config])
    x, y = examples(config)
    epochs, losses = result.curves["train_loss"]
    for epoch, loss in zip(epochs, losses[0], strict=True):
        own = Objective(snapshots[int(epoch)], loss="cross_entropy", data=(x, y), mode="eval")
        assert float(own.value()) == pytest.approx(float(loss), rel=1e-4)
    start = network(config, x)
    for name, p in start.named_parameters():
        assert torch.equal(snapshots[0].get_parameter(name), p)


@pytest.mark.parametrize("fields", [{}, {"normalisation": "batch"}])
def test_measures_are_those_of_the_dense_hessian(fields):
    config = tiny(**fields)
    (snapshots,), _ = train([config])
    objective = objective_of(config, snapshots[2])
    assert objective.mode == ("train" if fields else "eval")
    found = top(objective, config.seed, (1, 11))
    H = objective.hessian().dense().double()
    values, vectors = torch.linalg.eigh((H + H.T) / 2)
    g = objective.vector(objective.gradient()).double()
    share = float((vectors[:, -10:].T @ g).square().sum() / g.square().sum())
    # eigenvalues are second order in the residual's 1 %, the subspace is first order
    assert found["largest"] == pytest.approx(float(values[-1]), rel=1e-3)
    assert found["outlier_ratio"] == pytest.approx(float(values[-1] / values[-10]), rel=0.02)
    assert found["share from 1"] == pytest.approx(share, abs=0.05)
    later = float((vectors[:, -20:-10].T @ g).square().sum() / g.square().sum())
    assert found["share from 11"] == pytest.approx(later, abs=0.05)


def test_members_that_look_at_one_network_see_what_they_would_alone():
    configs = [tiny(), tiny(first=11), tiny(statistics="fixed"), tiny(seed=1)]
    together = follow(configs)
    for config, found in zip(configs, together, strict=True):
        for name, number in follow([config])[0].scalars.items():
            assert found.scalars[name] == pytest.approx(number, rel=0.02), name
    assert together[0].scalars == together[2].scalars  # without normalisation there are no statistics
    assert together[0].scalars["gradient_share"] != together[1].scalars["gradient_share"]


def test_members_do_not_see_each_other():
    together = follow([tiny(normalisation="batch", seed=seed) for seed in (0, 1)])
    alone = follow([tiny(normalisation="batch", seed=1)])[0]
    for name, number in alone.scalars.items():
        assert together[1].scalars[name] == pytest.approx(number, rel=0.02), name


def test_the_measurements_say_what_their_curves_show():
    (found,) = follow([tiny()])
    ratio, share, largest = (found.curves[name].y for name in ("ratio_curve", "share_curve", "largest"))
    assert found.scalars["outlier_ratio"] == pytest.approx(np.exp(np.log(ratio[1:]).mean()))
    assert found.scalars["gradient_share"] == pytest.approx(share[1:].mean())
    assert found.scalars["growth"] == pytest.approx(largest[1:].max() / largest[0])
    assert found.scalars["gained_by_holding"] == pytest.approx(1.0, rel=1e-6)  # there is nothing to hold


def test_a_density_of_few_steps_is_not_accurate():
    good, bad = (compare([Accuracy(width=6, n=100, epochs=2, steps=steps)])[0].scalars for steps in (60, 3))
    assert good["largest_off"] < 1e-9 < bad["largest_off"]
    assert good["misplaced"] < bad["misplaced"]


def test_the_largest_eigenvalue_is_reproduced_and_few_steps_are_refuted_at_smoke_scale(smoke):
    verdicts = smoke("ghorbani-2019").verdicts
    assert verdicts["largest-eigenvalue"].outcome is Outcome.REPRODUCED, verdicts["largest-eigenvalue"].reason
    for name in ("largest-eigenvalue", "density-is-accurate"):
        assert all(control.outcome is ControlOutcome.REFUTED for control in verdicts[name].controls)


def test_no_control_passes_at_smoke_scale(smoke):
    for name, verdict in smoke("ghorbani-2019").verdicts.items():
        assert all(control.outcome is not ControlOutcome.PASSED for control in verdict.controls), name


@pytest.mark.slow
def test_every_claim_at_laptop_scale(tmp_path):
    """One control is on the edge with six seeds: with fixed statistics the ratio is 0.65 or 0.66, claimed below 0.5.

    Its interval began at 0.498 on one machine and at 0.535 on another; why the runs part was not traced.
    """
    found = laboratory.run(ghorbani.study, scale="laptop", store=tmp_path)
    for verdict in found.verdicts:
        on_edge = verdict.claim.name == "outliers-almost-absent"
        assert verdict.outcome in {Outcome.REPRODUCED, *([Outcome.INCONCLUSIVE] if on_edge else [])}, verdict.reason
        for control in verdict.controls:
            open_too = on_edge and "fixed statistics" in control.control.statement
            due = {ControlOutcome.REFUTED, *([ControlOutcome.UNDECIDED] if open_too else [])}
            assert control.outcome in due, verdict.claim.name
