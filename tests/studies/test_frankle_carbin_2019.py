"""The study of Frankle and Carbin (2019): its pieces by hand, and its verdicts."""

import numpy as np
import pytest
import torch

from lemmata.figures import static
from lemmata.studies import _frankle_carbin_2019_tickets as tickets
from lemmata.studies import frankle_carbin_2019 as frankle
from lemmata.studies._frankle_carbin_2019_shares import Shares, shares_left
from lemmata.studies._frankle_carbin_2019_tickets import Digits, ticket_networks

TINY = {"n": 180, "validation": 30, "epochs": 1, "every": 2}


def test_the_shares_are_those_of_exact_counting():
    """Rounding by hand, layer by layer: 235,200, 30,000 and 1,000 weights."""
    for rounds in (1, 7, 15):
        left = [235_200, 30_000, 1_000]
        for _ in range(rounds):
            left = [n - round(s * n) for n, s in zip(left, (0.2, 0.2, 0.1), strict=True)]
        found = shares_left([Shares(rounds=rounds)])[0].scalars
        assert found["weights"] == sum(left)
        assert found["left"] == pytest.approx(100 * sum(left) / 266_200, abs=1e-12)


def test_a_loss_is_reached_between_measurements():
    steps, losses = torch.tensor([0, 10, 20]), torch.tensor([3.0, 1.0, 2.0])
    assert tickets.crossing(steps, losses, 1.5) == 7.5
    assert tickets.crossing(steps, losses, 3.0) == 0.0
    assert tickets.crossing(steps, losses, 0.5) == np.inf


def test_training_validation_and_test_images_are_disjoint():
    (x, y), (vx, vy), (tx, ty) = tickets.images(Digits(), [0, 1, 2, 3, 4])
    assert (len(x[0]), len(vx[0]), len(tx[0])) == (3000, 500, 1000)
    assert [len(part) for part in (y[0], vy[0], ty[0])] == [3000, 500, 1000]
    key = torch.randn(784, generator=torch.Generator().manual_seed(0))
    seen = [set((part @ key).tolist()) for part in (x[2], vx[2], tx[2])]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    first, second = (set((tx[i] @ key).tolist()) for i in (0, 1))
    assert len(first & second) < 5  # equal pictures, if there are any


def test_what_is_measured_is_read_off_the_tickets():
    configs = [Digits(kind=kind, seed=1, **TINY) for kind in ("magnitude", "random", "reinitialised")]
    ticket, random, new = (member.scalars for member in ticket_networks(configs))
    assert ticket["gap_100"] == 0.0
    assert ticket["time_100"] == 1.0
    assert "error_ratio_51" not in ticket
    assert "pruning_ratio" not in new
    for own in (ticket, random, new):
        parts = [own[f"error_ratio_{name}"] for name in ("21", "11", "4")]
        assert own["error_ratio"] == pytest.approx(np.prod(parts) ** (1 / 3))
        # one reference for all: its errors are the ratios times each kind's own
        assert own["error_ratio_4"] * (1 - own["accuracy_4"]) == pytest.approx(
            ticket["error_ratio_4"] * (1 - ticket["accuracy_4"])
        )


def test_new_weights_are_other_weights():
    a, b = (tickets.network(0, again=again).hidden1.weight for again in (False, True))
    assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 0.02


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [c.name for e in frankle.study.experiments.values() if "laptop" in e.seeds for c in e.claims]


def test_figures_draw_what_is_measured_on_mnist(smoke):
    table = smoke("frankle-carbin-2019").tables["digits"].assign(source="mnist")
    for figure in frankle.study.experiments["digits"].figures:
        assert "<svg" in str(static.render(figure(table)))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_reproduced_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("frankle-carbin-2019").assert_outcome(name)
