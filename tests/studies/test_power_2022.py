"""The study of Power et al.: its tables, networks and times against literal computations, and its verdicts."""

from typing import Any

import numpy as np
import pytest
import torch

from lemmata.plan import make
from lemmata.studies import _power_2022_training as training
from lemmata.studies import power_2022 as power
from lemmata.studies._power_2022_training import Table


@pytest.mark.parametrize("operation", ["sum", "first"])
def test_the_table_holds_every_pair_with_its_result(operation):
    x, y = training.table(Table(p=7, operation=operation))
    pairs = {(int(row[:7].argmax()), int(row[7:].argmax())): int(result) for row, result in zip(x, y, strict=True)}
    assert x.sum(1).eq(2).all()
    assert pairs == {(a, b): (a + b) % 7 if operation == "sum" else a for a in range(7) for b in range(7)}


def test_random_results_follow_from_the_seed_and_not_from_the_cells():
    y = [training.table(Table(operation="random", seed=seed))[1] for seed in (0, 0, 1)]
    assert torch.equal(y[0], y[1])
    assert not torch.equal(y[0], y[2])
    counts = torch.bincount(y[0], minlength=31)
    assert float(((counts - 31.0) ** 2 / 31).sum()) < 71  # chi^2 of 30 degrees of freedom: false alarm below 1e-4


def test_the_cells_are_split():
    trained, others = training.split(Table(p=11, fraction=0.3, seed=5))
    assert len(trained) == 36
    assert sorted([*trained.tolist(), *others.tolist()]) == list(range(121))


def test_steps_are_those_of_torch():
    """100 steps of torch's AdamW, float32: the same accuracies at both looks."""
    config = Table(p=7, width=16, steps=100, seed=2, fraction=0.5)
    (found,) = training.run([config])
    net = training.network(config)
    x, y, x_other, y_other = training.examples(config)
    rule = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1.0, betas=(0.9, 0.98))
    for step in range(1, 101):
        rule.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        rule.step()
        if step % 50 == 0:
            at = step // 50 - 1
            with torch.no_grad():
                own, others = ((net(a).argmax(1) == b).double().mean().item() for a, b in ((x, y), (x_other, y_other)))
            assert found.curves["training"].y[at] == pytest.approx(own, abs=0.05)  # one cell of 24
            assert found.curves["others"].y[at] == pytest.approx(others, abs=0.05)


def test_the_transformer_is_causal_and_reads_both_numbers():
    net = training.network(Table(network="transformer", p=5, width=16))
    assert isinstance(net, training.Transformer)
    h = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(0))
    moved = h.clone()
    moved[:, 3] = h[:, 0]  # a constant would be lost in the normalisation
    with torch.no_grad():
        a, b = net.blocks(h), net.blocks(moved)
        x, _ = training.table(Table(p=5))
        outputs = net(x)
    torch.testing.assert_close(a[:, :3], b[:, :3])
    assert not torch.allclose(a[:, 3], b[:, 3])
    assert len(torch.unique(outputs, dim=0)) == 25


def test_times_are_the_first_and_curves_end_where_the_others_are_found():
    at = np.array([50, 100, 150, 200])
    own, others = np.array([0.5, 0.99, 1.0, 1.0]), np.array([0.0, 0.1, 0.95, 0.4])
    found = training.measured(at, own, others)
    assert found.scalars == {
        "fitted": 100, "generalised": 150, "best": 0.95, "others_when_fitted": 0.1, "delay": 1.5,
    }  # fmt: skip
    assert found.curves["others"].x.tolist() == [50, 100, 150]
    never = training.measured(at, own, 0.1 * others).scalars
    assert never["generalised"] == np.inf
    assert "delay" not in never


def test_members_do_not_see_each_other():
    """One of them finds its rule at once, and the others go on."""
    configs = [Table(p=7, width=32, steps=200, seed=seed, weight_decay=decay) for seed, decay in ((0, 1.0), (1, 0.0))]
    for config, found in zip(configs, training.run(configs), strict=True):
        (alone,) = training.run([config])
        np.testing.assert_allclose(found.curves["training"].y, alone.curves["training"].y, atol=0.05)


def test_paper_scale_is_a_transformer_modulo_97():
    plan = make(power.study, scale="paper")
    members = [member.config for member in plan.members_of("transformer")]
    assert {(config.network, config.p) for config in members} == {("transformer", 97)}
    assert not plan.members_of("sums")


@pytest.mark.parametrize(("scale", "suffix"), [("laptop", ""), ("paper", "-transformer")])
def test_thresholds_are_those_of_the_table_and_the_budget(scale: str, suffix: str):
    plan = make(power.study, scale=scale)
    by_key: dict[str, Any] = {member.key: member.config for member in plan.wanted}
    chance, budget = (power.study.find_claim(name + suffix) for name in ("memorises-first", "generalises"))
    assert {round(chance.region[1] * by_key[key].p, 12) for key in plan.of_claim[chance.name]} == {2}
    assert {by_key[key].steps for key in plan.of_claim[budget.name]} == {budget.region[1]}
    for claim in power.study.claims:
        if claim.experiment in {member.experiment for member in plan.wanted}:
            controls = [by_key[key] for keys in plan.of_control[claim.name] for key in keys]
            assert {config.steps for config in controls} == {budget.region[1]}  # none fails for being cut off


# ---- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("power-2022").assert_outcomes()
