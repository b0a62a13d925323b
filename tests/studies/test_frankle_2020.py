"""The study of Frankle, Dziugaite, Roy and Carbin (2020): its pieces, and its verdicts."""

import numpy as np
import pytest
import torch

from lemmata import laboratory
from lemmata.figures import static
from lemmata.studies import _frankle_2020_copies as copies
from lemmata.studies import frankle_2020 as frankle
from lemmata.studies._disjoint_fifths import disjoint_fifths
from lemmata.studies._frankle_2020_copies import Copies, instabilities
from lemmata.training import train
from lemmata.training.streams import derived
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

SMALL = {"n": 200, "epochs": 2, "layers": 1}


def test_five_seeds_test_on_disjoint_fifths():
    x, y = torch.arange(23.0)[:, None], torch.arange(23)
    (rest, _), (_, held) = disjoint_fifths(x, y, range(7))
    assert sorted(held[:5].flatten().tolist()) == sorted(set(held[:5].flatten().tolist()))
    assert held.shape == (7, 4)
    for i in range(7):
        assert not set(rest[i].flatten().long().tolist()) & set(held[i].tolist())
    (alone, _), (_, one) = disjoint_fifths(x, y, [6])
    assert torch.equal(one, held[6])
    assert torch.equal(alone, rest[6])


def test_the_line_joins_two_trainings_from_the_same_weights():
    """By hand: two calls of `train` from the initial weights, errors of their mixtures; equal, and so the rise."""
    config, own = Copies(**SMALL, seed=3), 3 + copies.STREAMS
    found = instabilities([config])[0]
    (x, y), (tx, ty) = disjoint_fifths(*copies._whole("mnist1d"), [own])
    ends = [
        train(
            [copies.network(config, own)], x[:200], y[:200], optimiser=copies._rule(config), epochs=2, batch_size=50,
            seeds=derived([own], 40_000 + k),
        ).model(0)
        for k in (0, 1)
    ]  # fmt: skip
    errors = []
    for t in np.linspace(0, 1, 9):
        a, b = (end.state_dict() for end in ends)
        mixed = copies.network(config, own)
        mixed.load_state_dict({name: (1 - t) * a[name] + t * b[name] for name in a})
        errors.append(float((mixed(tx).argmax(1) != ty).double().mean()))
    curve = found.curves["line"]
    assert curve.y == pytest.approx(errors, abs=2e-3)  # a sample may fall on the other side of a tie in float32
    assert found.scalars["instability"] == pytest.approx(max(curve.y) - (curve.y[0] + curve.y[-1]) / 2)


def test_members_do_not_see_each_other():
    """Errors are shares of 1,000 samples: one may turn with the order of float32 sums."""
    configs = [Copies(**SMALL, seed=seed, part=part) for seed in (0, 1) for part in (0.0, 1.0)]
    for config, member in zip(configs, instabilities(configs), strict=True):
        alone = instabilities([config])[0]
        assert alone.curves["line"].y == pytest.approx(member.curves["line"].y, abs=2e-3)


def test_unrelated_networks_have_other_weights():
    config = Copies(seed=0)
    a, b = (copies.network(config, 0, other=other).hidden1.weight for other in (0, 1))
    assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 0.1


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [claim.name for claim in frankle.study.claims]


def _run(scale: str, store):
    found = laboratory.run(frankle.study, scale=scale, store=store)
    assert found.outcome is not None
    assert not found.outcome.failed
    return {verdict.claim.name: verdict for verdict in found.verdicts}, found.tables


def test_smoke_scale_refutes_nothing_and_draws(tmp_path):
    verdicts, tables = _run("smoke", tmp_path)
    assert not {Outcome.CONTRADICTED, Outcome.VOID} & {verdict.outcome for verdict in verdicts.values()}
    for experiment in frankle.study.experiments.values():
        for figure in experiment.figures:
            assert "<svg" in str(static.render(figure(tables[experiment.name])))


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    return _run("laptop", tmp_path_factory.mktemp("frankle-2020"))[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_verdicts_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    verdict = laptop[name]
    assert verdict.outcome is (Outcome.INCONCLUSIVE if name == "falls" else Outcome.REPRODUCED), verdict.reason
    assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls)
