"""The study of randomised smoothing: what it measures, by hand and in closed form, and its verdicts at smoke scale."""

import os
from dataclasses import replace
from hashlib import md5

import numpy as np
import pytest
import torch
from scipy.stats import norm

from lemmata import data, laboratory
from lemmata.data import sources
from lemmata.data.sources import File
from lemmata.figures import static
from lemmata.plan import make
from lemmata.robustness import Certificates
from lemmata.studies import _cohen_2019_figures as figures
from lemmata.studies import cohen_2019 as cohen
from lemmata.studies._cohen_2019_digits import Smoothing, attack, examples, network, train_and_certify, under_attack
from lemmata.studies._cohen_2019_linear import Linear, certify_linear
from lemmata.studies._cohen_2019_published import (
    TABLES,
    Abstention,
    MnistLogs,
    Row,
    TradeOff,
    average_radii,
    compare_rows,
    compare_sigmas,
    count_abstentions,
    log,
)
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {
    "n_train": 150, "images": 8, "samples": 100, "few": 30, "many": 100, "attacked": 3, "channels": 2, "hidden": 8,
    "training.epochs": 3,
}  # fmt: skip
HERE = os.environ.get("LEMMATA_DATA") and all(
    entry.found for entry in data.available() if entry.name in ("cohen-2019-logs", "jeong-2020-logs")
)


def tiny(**values) -> Smoothing:
    return Smoothing.build({**TINY, **values})


# ---- digits ----------------------------------------------------------------------------------------------------------


def test_conditions_of_a_seed_share_images_and_only_labels_of_training_are_random():
    x, y, x_test, y_test = examples(tiny(seed=1))
    again, random, same_test, true_test = examples(tiny(seed=1, labels="random", noise=1.0))
    assert torch.equal(x, again)
    assert torch.equal(x_test, same_test)
    assert torch.equal(y_test, true_test)
    assert (y != random).double().mean() > 0.7
    assert not torch.equal(x, examples(tiny(seed=2))[0])
    assert 0 <= float(x.min()) < float(x.max()) <= 1


def test_members_do_not_see_each_other():
    """A grouped convolution adds up in another order; three epochs amplify that little, and few votes turn."""
    configs = [tiny(seed=seed, noise=noise, sigma=0.5) for seed, noise in ((0, 0.5), (1, 0.0), (0, 1.0))]
    for config, found in zip(configs, train_and_certify(configs), strict=True):
        (alone,) = train_and_certify([config])
        assert found.scalars["average_radius"] == pytest.approx(alone.scalars["average_radius"], abs=0.02)
        assert found.scalars["plain_accuracy"] == pytest.approx(alone.scalars["plain_accuracy"], abs=0.13)  # one image


def test_attacks_go_as_far_as_they_are_allowed_and_count_what_changed():
    config = tiny(sigma=0.25)
    model = network(config).eval()
    x = examples(config)[2]
    classes = model(x).argmax(1)
    for reach in (1.0, 400.0):
        found = Certificates(classes, torch.full((8,), 0.05, dtype=torch.float64))
        attacked, broken, moved = attack(replace_reach(config, reach), model, x, found)
        assert attacked == 3
        assert moved <= 1 + 1e-5
        assert (broken > 0) == (reach > 1)  # 20 away, every class changes
    assert attack(config, model, x, Certificates(classes, torch.zeros(8))) == (0, 0, 0.0)


def test_accuracy_under_attack_falls_with_its_size():
    config = tiny(sigma=0.25, attacked=8)
    model = network(config).eval()
    x = examples(config)[2]
    standing = under_attack(config, model, x, model(x).argmax(1))
    assert (np.diff(standing) <= 0).all()
    assert standing.shape == (4,)
    assert np.isnan(under_attack(tiny(attacked=0), model, x, x)).all()


def replace_reach(config, reach):
    return config.model_copy(update={"reach": reach})


# ---- a linear classifier ---------------------------------------------------------------------------------------------


def test_the_shortfall_is_what_the_samples_leave_open():
    """By the normal approximation at the farthest point, 2 sigma: within the spread of the hits, 5 deviations."""
    (found,) = certify_linear([Linear(points=4, samples=50_000)])
    distance, radius = (np.asarray(found.arrays[name]) for name in ("distance", "radius"))
    assert distance == pytest.approx([0.25, 0.5, 0.75, 1.0])
    p = norm.cdf(distance / 0.5)
    unit = 0.5 * np.sqrt(p * (1 - p) / 50_000) / norm.pdf(distance / 0.5)
    expected = norm.isf(1e-6) * unit
    assert (np.abs(distance - radius - expected) < 5 * unit + 0.2 * expected).all()
    assert found.scalars["shortfall"] == pytest.approx(((distance - radius) / 0.5).max())
    assert found.scalars["overshoot"] < 0
    assert found.scalars["wrong"] == 0


def test_members_that_share_votes_have_the_radii_of_their_own_level():
    """Alone, `certify` bounds the hits at that level; together, the study does."""
    configs = [Linear(seed=3, points=4, samples=2000, alpha=alpha) for alpha in (1e-6, 0.5, 0.01)]
    together = certify_linear(configs)
    for config, found in zip(configs, together, strict=True):
        (alone,) = certify_linear([config])
        assert found.arrays["radius"] == pytest.approx(alone.arrays["radius"], abs=1e-12)
    radii = [np.asarray(found.arrays["radius"]) for found in together]
    assert (radii[0] < radii[2]).all()
    assert (radii[2] < radii[1]).all()


# ---- logs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def forged(tmp_path, monkeypatch):
    """Three logs of CIFAR-10 and one of ImageNet, ten images each, and a table that knows their sums."""
    files = []
    for dataset, sigma, radii in (
        ("cifar10", 0.12, [0.3, 0.3, 0.1, 0.1, 0.1]), ("cifar10", 0.25, [0.5, 0.5, 0.4, 0.2]),
        ("cifar10", 0.5, [1.0, 0.6, 0.2]), ("cifar10", 1.0, [2.0]),
    ):  # fmt: skip
        name = f"data/certify/{dataset}/resnet110/noise_{sigma:.2f}/test/sigma_{sigma:.2f}"
        lines = [f"{i}\t1\t1\t{radius}\t1\t2.0" for i, radius in enumerate(radii)]
        lines += [f"{i}\t1\t-1\t0.0\t0\t2.0" for i in range(len(radii), 10)]
        text = "\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *lines, ""]).encode()
        path = tmp_path / "cohen-smoothing" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
        files.append(File(name, md5(text).hexdigest(), len(text)))
    source = sources.LOGS["cohen-2019-logs"]
    monkeypatch.setitem(
        sources.LOGS, source.name, replace(source, files=tuple(files), parts=tuple(f.name for f in files))
    )
    monkeypatch.setenv("LEMMATA_DATA", str(tmp_path))
    log.cache_clear()
    yield
    log.cache_clear()


def test_a_row_is_counted_by_hand(forged):
    (found,) = compare_rows([Row(sigma=0.25)])
    # certified at 0.25, 0.5, 0.75, ...: 0.3 0.2 0 0 0 0, printed 0.60 0.43 0.27 0 0 0
    assert found.scalars["cells_off"] == 3
    assert (found.scalars["at_zero"], found.scalars["at_half"]) == (0.4, 0.2)
    assert found.scalars["average_radius"] == pytest.approx(0.16)
    assert found.scalars["seconds"] == 2
    assert found.scalars["unattainable"] == 0


def test_sigmas_are_compared_by_hand(forged):
    (found,) = compare_sigmas([TradeOff()])
    # radii 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5: best are 0.12, 0.25, 0.25 (as good as 0.5), 0.5 (as good as 1), 0.5, 1, 1
    assert found.curves["best"].y.tolist() == [0.12, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    assert (found.scalars["grows"], found.scalars["rises_at_zero"]) == (1, 0)
    # in units of sigma: 0.12 has 0.5 up to 0.75 sigma = 0.09, and 0.2 from 1 sigma = 0.12 on,
    # where 0.25 has 0.3 (up to 1.5 sigma = 0.375) and 0.5 has 0.2
    (scaled,) = compare_sigmas([TradeOff(unit="sigma")])
    assert scaled.curves["best"].y.tolist() == [0.12] * 4 + [0.25] * 3


def test_outcomes_are_dealt_anew_image_by_image(tmp_path, monkeypatch):
    """Times 100, 1,000, ... of each image stay its own, and so does how often PREDICT abstained."""
    files = []
    for n, abstained in zip((100, 1000, 10_000, 100_000), (9, 5, 2, 1), strict=True):
        name = f"data/predict/imagenet/resnet50/noise_0.25/test/N_{n}"
        lines = [f"{i}\t1\t{-1 if i < abstained else 1}\t{int(i >= abstained)}\t{n / 2000:.6f}" for i in range(40)]
        text = "\n".join(["idx\tlabel\tpredict\tcorrect\ttime", *lines, ""]).encode()
        path = tmp_path / "cohen-smoothing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        files.append(File(name, md5(text).hexdigest(), len(text)))
    source = sources.LOGS["cohen-2019-logs"]
    forged = replace(source, files=tuple(files), parts=tuple(f.name for f in files))
    monkeypatch.setitem(sources.LOGS, source.name, forged)
    monkeypatch.setenv("LEMMATA_DATA", str(tmp_path))
    as_it_is, dealt = count_abstentions([Abstention(), Abstention(dealt=0)])
    assert as_it_is.curves["abstained"].y.tolist() == [9 / 40, 5 / 40, 2 / 40, 1 / 40]
    assert (as_it_is.scalars["rises"], as_it_is.scalars["time_exponent"]) == (0, pytest.approx(1))
    for name in ("abstained", "seconds"):
        assert dealt.curves[name].y.sum() == pytest.approx(as_it_is.curves[name].y.sum())
    assert dealt.scalars["time_exponent"] < 0.5


def test_printed_rows_are_quoted_as_printed():
    claims = {claim.name: claim for claim in cohen.study.claims}
    assert claims["table-imagenet-0-5"].quoted == "0.46 0.37 0.29 0.00 0.00 0.00"
    assert claims["table-cifar10-0-12"].quoted == "0.59 0.00 0.00 0.00 0.00 0.00"
    assert sum(name.startswith("table-") for name in claims) == sum(map(len, TABLES.values())) == 7
    for claim in claims.values():
        assert claim.controls or claim.untestable, claim.name


def test_without_the_logs_their_claims_are_not_testable(tmp_path):
    plan = make(cohen.study, scale="laptop", data_dir=tmp_path)
    assert {entry.experiment for entry in plan.missing} == {"rows", "trade-off", "abstention", "mnist-logs"}
    assert "--data-dir" in str(next(iter(plan.missing)))


@pytest.mark.skipif(not HERE, reason="the published logs are not here: name their folder by LEMMATA_DATA")
def test_with_the_logs_every_cell_is_as_printed_and_the_level_is_not():
    found = {
        (dataset, sigma): compare_rows([Row.build({"dataset": dataset, "sigma": sigma})])[0]
        for dataset, table in TABLES.items() for sigma in table
    }  # fmt: skip
    assert {key: m.scalars["cells_off"] for key, m in found.items()} == dict.fromkeys(found, 0)
    unattainable = {key: m.scalars["unattainable"] for key, m in found.items()}
    assert unattainable.pop(("cifar10", 0.12)) == 0
    assert min(unattainable.values()) == 5
    assert max(m.scalars["largest_change"] for m in found.values()) == pytest.approx(0.008)


@pytest.mark.skipif(not HERE, reason="the published logs are not here: name their folder by LEMMATA_DATA")
def test_average_radii_of_the_mnist_logs_and_their_leads():
    """0.911, 1.558 and 1.618 are what the fifteen logs of Gaussian training give, counted once and kept here."""
    for sigma, known in ((0.25, 0.911), (0.5, 1.558), (1.0, 1.618)):
        runs = average_radii([MnistLogs(sigma=sigma, method="cohen", seed=seed) for seed in range(5)])
        assert f"{np.mean([run.scalars['average_radius'] for run in runs]):.3f}" == f"{known:.3f}"
        assert {run.scalars["lead"] for run in runs} == {0.0}
        led = average_radii([MnistLogs(sigma=sigma, seed=seed) for seed in range(5)])
        for run, base in zip(led, runs, strict=True):
            lead = run.scalars["average_radius"] - base.scalars["average_radius"]
            assert run.scalars["lead_in_sigma"] * sigma == pytest.approx(lead)


@pytest.mark.skipif(not HERE, reason="the published logs are not here: name their folder by LEMMATA_DATA")
def test_smoothed_alike_networks_do_not_lose_accuracy_in_order():
    for dataset, rises in (("cifar10", 2), ("imagenet", 1)):
        own, alike = compare_sigmas([TradeOff(dataset=dataset), TradeOff(dataset=dataset, smoothed=0.5)])
        assert (own.scalars["rises_at_zero"], alike.scalars["rises_at_zero"]) == (0, rises)


# ---- the whole study -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear-is-tight", "linear-is-sound"])
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    verdict = smoke("cohen-2019").verdicts[name]
    assert verdict.outcome is Outcome.REPRODUCED, verdict.reason
    assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls)


def test_no_attack_succeeded_inside_what_was_certified(smoke):
    rows = smoke("cohen-2019").tables["digits"]
    assert rows[rows.reach == 1].broken.sum() == 0


@pytest.mark.skipif(not HERE, reason="the published logs are not here: name their folder by LEMMATA_DATA")
def test_figures_of_the_logs_are_drawn(tmp_path):
    found = laboratory.run(cohen.study, scale="laptop", only=["rows", "abstention", "mnist-logs"], store=tmp_path)
    for name, draw in (
        ("rows", figures.published_curves), ("abstention", figures.published_abstentions),
        ("mnist-logs", figures.published_leads),
    ):  # fmt: skip
        assert static.render(draw(found.tables[name]), None).startswith("<svg")


@pytest.mark.slow
def test_every_claim_about_our_own_networks_at_laptop_scale(tmp_path):
    found = laboratory.run(cohen.study, scale="laptop", only=["digits", "linear"], store=tmp_path)
    asked = [verdict for verdict in found.verdicts if verdict.claim.experiment in ("digits", "linear")]
    assert len(asked) == 8
    for verdict in asked:
        assert verdict.outcome is Outcome.REPRODUCED, verdict.reason
        for control in verdict.controls:
            assert control.outcome is ControlOutcome.REFUTED, (verdict.claim.name, control.control.statement)
